"""Reading the linear system S c = u from calibrations and a measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mdf import File
from mpikit.errors import UsageError
from mpikit.events import Event
from mpikit.reconstruct.combining import choose_combination
from mpikit.reconstruct.contrasts import read_tracers
from mpikit.reconstruct.linear_system import LinearSystem
from mpikit.reconstruct.match import check_kinds, check_periods
from mpikit.reconstruct.options import SystemMatrix
from mpikit.reconstruct.pair import check_pair, read_pair
from mpikit.reconstruct.patches import read_patches


def read_system(
    measurement: File,
    calibration: File | Sequence[File],
    options: SystemMatrix,
    *,
    empty: Sequence[File] = (),
    average_frames: bool = False,
    allow_mismatch: bool = False,
    tell: Callable[[Event], None],
) -> LinearSystem:
    """Read, check, select and correct what the solver needs.

    Parameters
    ----------
    measurement : mdf.File
    calibration : mdf.File, or sequence of mdf.File
        Several are those of several tracers, or of the patches of a measurement whose periods differ in the
        focus field: see `mpikit.reconstruct.contrasts` and `mpikit.reconstruct.patches`.
    options : SystemMatrix
    empty : sequence of mdf.File
        Empty measurements, one or two (before and after), instead of the measurement's background frames.
    average_frames : bool
        One image of the mean of all frames.
    allow_mismatch : bool
    tell : callable

    Raises
    ------
    InputError
        When the files do not belong together, or when no row is left.
    """
    calibrations = list(calibration) if isinstance(calibration, Sequence) else [calibration]
    for file in calibrations:
        check_kinds(measurement, file)
    for file in (measurement, *calibrations, *empty):
        check_periods(file)
    more: dict[str, Any] = {"empty": empty, "average_frames": average_frames}
    more |= {"allow_mismatch": allow_mismatch, "tell": tell}
    combination = choose_combination(measurement, calibrations, options)
    if combination == "patches":
        _refuse_periods(options)
        return read_patches(measurement, calibrations, options, **more)
    if combination == "tracers":
        return read_tracers(measurement, calibrations, options, **more)
    check_pair(
        measurement,
        calibrations[0],
        empty=empty,
        grouping=options.period_grouping,
        allow_mismatch=allow_mismatch,
        tell=tell,
    )
    return read_pair(measurement, calibrations[0], options, **more)


def _refuse_periods(options: SystemMatrix) -> None:
    """Refuse for patches what is for periods that repeat."""
    if options.period_grouping > 1 or options.period_averages is not None:
        raise UsageError(
            "periods with different focus fields are patches, and neither grouped nor images of their own",
            hint="leave out period_grouping and period_averages",
        )
