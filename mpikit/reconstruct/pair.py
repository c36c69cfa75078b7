"""One measurement and one calibration that belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import File, Grid
from mpikit.errors import InputError
from mpikit.events import Event, Finding
from mpikit.reconstruct.background import background_state, how_subtracted, plan_background
from mpikit.reconstruct.empty import Empty, empty_rows
from mpikit.reconstruct.finite import FiniteReader
from mpikit.reconstruct.linear_system import LinearSystem
from mpikit.reconstruct.match import check_external, check_match
from mpikit.reconstruct.matrix_rows import memory_for, read_matrix
from mpikit.reconstruct.measured import Data, read_data
from mpikit.reconstruct.mixing import mixing_table
from mpikit.reconstruct.options import SystemMatrix
from mpikit.reconstruct.reading import Reader, tell_leakage, tell_periods
from mpikit.reconstruct.regrid import Regridding, fitted_grid, in_words
from mpikit.reconstruct.selection import Rows, select_rows
from mpikit.reconstruct.snr import matrix_snr
from mpikit.reconstruct.streamed import FileRows
from mpikit.reconstruct.transfer import ReceiveChain, plan_transfer_function
from mpikit.reconstruct.weighting import dictionary_of, weights_of
from mpikit.scan_file import drive_field_of


@dataclass(frozen=True)
class Pair:
    """How a measurement and a calibration are read.

    Parameters
    ----------
    of_object, of_matrix : Reader
        Of the measurement and the calibration.
    of_empty : tuple of Reader
        Of empty measurements.
    corrected : dict
        Names of the files whose background is subtracted, by what they are.
    treatment : tuple
        What is done to the measurement, and to the empty ones: pairs that agree have the same data.
    """

    of_object: Reader
    of_matrix: Reader
    of_empty: tuple[Reader, ...]
    corrected: dict[str, str]
    treatment: tuple[bool, ...]


def check_pair(
    measurement: File,
    calibration: File,
    *,
    empty: Sequence[File],
    grouping: int = 1,
    allow_mismatch: bool,
    tell: Callable[[Event], None],
) -> None:
    """Refuse files of other sequences or scanner settings.

    Raises
    ------
    InputError
    """
    check_match(measurement, calibration, grouping=grouping, allow_mismatch=allow_mismatch, tell=tell)
    for file in empty:
        check_external(file, measurement)


def read_pair(
    measurement: File,
    calibration: File,
    options: SystemMatrix,
    *,
    empty: Sequence[File],
    average_frames: bool,
    allow_mismatch: bool,
    tell: Callable[[Event], None],
    rows: Rows | None = None,
    matrix: NDArray[Any] | FileRows | None = None,
) -> LinearSystem:
    """Select, read and correct what one measurement and one calibration that belong together hold.

    Parameters
    ----------
    measurement, calibration, options, empty, average_frames, allow_mismatch, tell
        See `mpikit.reconstruct.system_matrix.read_system`.
    rows : Rows, optional
        Rows to use; not given: those that the options select.
    matrix : optional
        The matrix of these rows, when it has been read before.
    """
    native = calibration_grid(calibration)
    grid = asked_grid(native, options, tell)
    pair = plan_pair(measurement, calibration, options, empty=empty, allow_mismatch=allow_mismatch, tell=tell)
    rows = select_pair_rows(pair, options, tell) if rows is None else rows
    nothing = empty_rows(pair.of_object, pair.of_empty, rows)
    if matrix is None:
        corrected = "system matrix" in pair.corrected
        regridding = Regridding(native, grid)
        matrix = read_matrix(pair.of_matrix, rows, regridding, options, corrected=corrected, tell=tell)
    data = data_of_pair(pair, rows, nothing, options, average_frames=average_frames)
    of_matrices = matrix_backgrounds([pair], rows, options)
    return LinearSystem(
        matrix,
        data.values,
        rows,
        grid,
        data.frames,
        weights=weights_of(options, rows, matrix, of_matrices, nothing),
        noise=data.noise,
        dictionary=dictionary_of(options, of_matrices, nothing),
        background=tuple(sorted(pair.corrected.values())),
        single=data.single,
    )


def plan_pair(
    measurement: File,
    calibration: File,
    options: SystemMatrix,
    *,
    empty: Sequence[File],
    allow_mismatch: bool,
    tell: Callable[[Event], None],
) -> Pair:
    """Decide how the files are read.

    Parameters
    ----------
    measurement, calibration, options, empty, allow_mismatch, tell
        See `mpikit.reconstruct.system_matrix.read_system`.

    Raises
    ------
    InputError
        When the states of the files do not go together, or there is no foreground frame.
    """
    if not len(measurement.frame_index("foreground")):
        raise InputError(
            f"{measurement.path.name} has no foreground frames, expected at least one",
            hint="all its frames are marked as background",
        )
    readers, divided = _readers((measurement, calibration, *empty), options, allow_mismatch, tell)
    corrected = _plan(measurement, calibration, empty, options, allow_mismatch, tell)
    treatment = (*divided, "measurement" in corrected)
    return Pair(readers[0], readers[1], tuple(readers[2:]), corrected, treatment)


def data_of_pair(
    pair: Pair, rows: Rows, nothing: Empty, options: SystemMatrix, *, average_frames: bool
) -> Data:
    """Read and correct the measurement.

    Parameters
    ----------
    pair : Pair
    rows : Rows
    nothing : Empty
        Of the measurement.
    options : SystemMatrix
    average_frames : bool
        One image of the mean of all frames, which then has no place among them.
    """
    data = read_data(
        pair.of_object,
        rows,
        nothing,
        averages=_together(options, average_frames, pair.of_object.file),
        subtracted="measurement" in pair.corrected,
        interpolated=options.background == "interpolated",
        keep_single=options.uncertainty != "none",
    )
    return replace(data, frames=data.frames[:0]) if average_frames else data


def matrix_backgrounds(pairs: Sequence[Pair], rows: Rows, options: SystemMatrix) -> list[Empty]:
    """Read the background of each calibration; none where nothing depends on it.

    Parameters
    ----------
    pairs : sequence of Pair
    rows : Rows
    options : SystemMatrix
    """
    if options.background != "dictionary" and "whitening" not in options.weighting:
        return []
    return [empty_rows(pair.of_matrix, (), rows) for pair in pairs]


def _readers(
    files: Sequence[File], options: SystemMatrix, allow_mismatch: bool, tell: Callable[[Event], None]
) -> tuple[list[Reader], tuple[bool, ...]]:
    """Readers of all files, whose receive chains are divided out alike, and what is divided out."""
    roles = ("measurement", "system matrix", "empty measurement", "second empty measurement")
    names = [f"{role} {file.path.name}" for role, file in zip(roles, files, strict=False)]
    chains = {name: _chain(file) for name, file in zip(names, files, strict=True)}
    plan = plan_transfer_function(chains, options.transfer_function, allow_mismatch=allow_mismatch, tell=tell)
    grouping = options.period_grouping
    long_already = files[1].num_samples != files[0].num_samples
    readers: list[Reader] = [
        FiniteReader(
            file,
            leakage=options.leakage and index != 1,
            divide=names[index] in plan.divide,
            induction=plan.induction,
            grouping=1 if index == 1 and long_already else grouping,
            averages=None if index == 1 else options.period_averages,
        )
        for index, file in enumerate(files)
    ]
    known = dict(zip(names, readers, strict=True))
    tell_periods(known, tell)
    del known[names[1]]
    tell_leakage(known, tell)
    return readers, (*(name in plan.divide for name in known), plan.induction)


def _chain(file: File) -> ReceiveChain:
    receiver = file.acquisition.receiver
    return ReceiveChain(
        corrected=bool(file.value("/measurement/isTransferFunctionCorrected")),
        function=receiver.transfer_function,
        induction=receiver.induction_factor,
    )


def _plan(
    measurement: File,
    calibration: File,
    empty: Sequence[File],
    options: SystemMatrix,
    allow_mismatch: bool,
    tell: Callable[[Event], None],
) -> dict[str, str]:
    """Decide what is subtracted; return the names of the files by what they are."""
    names = {
        "measurement": f"measurement {measurement.path.name}",
        "system matrix": f"system matrix {calibration.path.name}",
    }
    states = {
        names["measurement"]: background_state(measurement),
        names["system matrix"]: background_state(calibration),
    }
    if empty:
        if states[names["measurement"]] == "corrected":
            raise InputError(
                f"{names['measurement']} is background-corrected already, and nothing is subtracted twice",
                hint="leave out --background-file",
            )
        states[names["measurement"]] = "frames"
    how = {names["measurement"]: how_subtracted(measurement, empty, options.background)}
    how[names["system matrix"]] = how_subtracted(calibration, (), options.background)
    corrected = plan_background(states, options.background, allow_mismatch=allow_mismatch, how=how, tell=tell)
    return {what: name for what, name in names.items() if name in corrected}


def asked_grid(native: Grid, options: SystemMatrix, tell: Callable[[Event], None]) -> Grid:
    """Return the grid of the images: the one that is given, or what the options make of it.

    Parameters
    ----------
    native : mdf.Grid
    options : SystemMatrix
        Those of the grid, the field of view and its centre are looked at.
    tell : callable

    Raises
    ------
    InputError, UsageError
        See `mpikit.reconstruct.regrid.fitted_grid`.
    """
    asked = options.grid, options.field_of_view, options.center
    if all(each is None for each in asked):
        return native
    grid = fitted_grid(native, *asked)
    tell(Finding("grid", grid.size.tolist(), f"images of {in_words(grid)}"))
    return grid


def calibration_grid(calibration: File) -> Grid:
    """Return the grid of a calibration.

    Raises
    ------
    InputError
        When it has none.
    """
    grid = calibration.grid
    if grid is None:
        raise InputError(
            f"{calibration.path.name} has no regular grid, expected /calibration/size and fieldOfView",
            hint="irregular calibration positions are not supported",
        )
    return grid


def select_pair_rows(pair: Pair, options: SystemMatrix, tell: Callable[[Event], None]) -> Rows:
    """Return the rows that the options select for a measurement and a calibration.

    Parameters
    ----------
    pair : Pair
    options : SystemMatrix
    tell : callable

    Raises
    ------
    InputError
        When no row is left.
    """
    of_object, of_matrix = pair.of_object, pair.of_matrix
    readers = (of_object, of_matrix, *pair.of_empty)
    measurement, calibration = of_object.file, of_matrix.file
    channels = min(measurement.num_channels, calibration.num_channels)
    frequencies = of_object.frequencies
    snr = None
    if options.snr_threshold > 0 or options.best is not None or options.row_order == "snr":
        snr = matrix_snr(of_matrix, channels, room=memory_for(options), tell=tell)
    orders = None
    if options.max_mixing_order is not None:
        orders = mixing_table(
            drive_field_of(measurement),
            samples=of_object.samples,
            sampling_rate=measurement.sampling_rate,
        ).orders
    emptied = of_object.emptied
    zeros = [reader.zeros[:channels] for reader in readers if reader.zeros is not None]
    rows = select_rows(
        np.all([reader.stored for reader in readers], axis=0),
        frequencies,
        channels=channels,
        emptied=None if emptied is None else emptied[:channels],
        transfer_zeros=np.any(zeros, axis=0) if zeros else None,
        receive_channels=options.receive_channels,
        min_frequency=options.min_frequency,
        max_frequency=options.max_frequency,
        mixing_orders=orders,
        max_mixing_order=options.max_mixing_order,
        snr=snr,
        snr_threshold=options.snr_threshold,
        stop_bands=options.bands,
        best=options.best,
        order="snr" if options.row_order == "snr" else "frequency",
    )
    total = channels * len(frequencies)
    tell(Finding("rows", len(rows), f"{len(rows)} of {total} rows (frequency, channel) are used"))
    return rows


def _together(options: SystemMatrix, average_frames: bool, measurement: File) -> int:
    """Frames in the mean of one image."""
    frames = len(measurement.frame_index("foreground"))
    return frames if average_frames else min(options.frame_averages, frames)
