"""What several system matrices, or periods with different focus fields, are taken for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from mdf import File
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Step
from mpikit.reconstruct.match import focus_periods, same_place
from mpikit.reconstruct.options import SystemMatrix

Combination = Literal["one", "patches", "tracers"]


def choose_combination(measurement: File, calibrations: Sequence[File], options: SystemMatrix) -> Combination:
    """Say how a measurement and its calibrations go together.

    Periods with different focus fields, of the measurement or of a calibration, are patches. Several
    calibrations for a measurement of one patch are those of several tracers. One calibration at the place of
    a measurement of one patch is that of this patch, whatever ``combine`` allows.

    Parameters
    ----------
    measurement : mdf.File
    calibrations : sequence of mdf.File
        At least one.
    options : SystemMatrix
        Those named ``combine`` and ``mapping`` are looked at.

    Raises
    ------
    InputError
        Several tracers in several patches.
    UsageError
        One matrix for several tracers, or a mapping where there is nothing to choose.
    """
    several = [file for file in (measurement, *calibrations) if len(focus_periods(file)) > 1]
    alone = not several and len(calibrations) == 1 and same_place(measurement, calibrations[0])
    if alone and options.mapping:
        raise UsageError(
            "a mapping says which system matrix is that of which patch, and there is one of each",
            hint="leave out -p mapping=...",
        )
    if options.combine == "patches" and alone:
        return "one"
    if options.combine == "patches" or (options.combine == "auto" and (several or options.mapping)):
        return "patches"
    if options.combine == "auto" and len(calibrations) == 1:
        return "one"
    if several:
        raise InputError(
            f"the periods of {several[0].path.name} differ in the focus field, and several tracers are found "
            "in one patch alone",
            hint="reconstruct one tracer at a time, without -p combine=tracers",
        )
    if len(calibrations) == 1:
        raise UsageError(
            "one system matrix is given, and several tracers need one each",
            hint="give --system-matrix for each tracer, or leave out -p combine=tracers",
        )
    return "tracers"


def once(tell: Callable[[Event], None]) -> Callable[[Event], None]:
    """Return a listener that hears the same words only once, whichever patch or tracer they are about."""
    before: set[str] = set()

    def told(event: Event) -> None:
        if isinstance(event, Step) or event.text not in before:
            if not isinstance(event, Step):
                before.add(event.text)
            tell(event)

    return told
