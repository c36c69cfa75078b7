"""Focus fields: where they put the field-free point, and which calibration suits which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdf import File
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Warned
from mpikit.reconstruct.match import SINGULAR, check_match, differences, focus_periods
from mpikit.reconstruct.periods import of_periods

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Tell = Callable[[Event], None]

_NEAR = 1e-6  # m: field-free points that are no further apart are at one place


@dataclass(frozen=True)
class Focus:
    """Periods with the same focus field.

    Parameters
    ----------
    file : mdf.File
        With these periods alone.
    periods : shape (J',)
        Their numbers in the whole file.
    position : shape (3,), m
        Field-free point without drive field.
    number : int
        Of the file among the system matrices.
    """

    file: File
    periods: Ints
    position: Floats
    number: int = 0


def focuses(file: File, number: int = 0) -> list[Focus]:
    """Return the focus fields of a file, in the order in which each comes first.

    Parameters
    ----------
    file : mdf.File
    number : int
        Of the file among the system matrices.

    Raises
    ------
    InputError
        Without a gradient, or a field-free point that a focus field could move.
    """
    return [
        Focus(of_periods(file, periods), periods, _field_free_point(file, periods), number)
        for periods in focus_periods(file)
    ]


def choose_matrices(
    measurement: File,
    calibrations: Sequence[File],
    patches: Sequence[Focus],
    mapping: Sequence[int] = (),
    *,
    allow_mismatch: bool,
    tell: Tell,
) -> list[Focus]:
    """Return the matrix of each patch.

    Parameters
    ----------
    measurement : mdf.File
    calibrations : sequence of mdf.File
    patches : sequence of Focus
    mapping : sequence of int
        Number of the calibration of each patch; empty: that of the nearest focus field.
    allow_mismatch : bool
    tell : callable

    Raises
    ------
    InputError
        When no calibration fits, or two of the same focus field fit equally well.
    UsageError
        A mapping of another length, or to a matrix that is not there.
    """
    _check_mapping(mapping, len(patches), len(calibrations))
    numbers = sorted(set(mapping)) or _matching(measurement, calibrations)
    for number in numbers:
        check_match(measurement, calibrations[number], patches=True, allow_mismatch=allow_mismatch, tell=tell)
    for number in numbers:
        if calibrations[number].acquisition.offset_field is None:
            name = calibrations[number].path.name
            tell(Warned(f"{name} says nothing of its focus field, which is taken as 0"))
    found = [focus for number in numbers for focus in focuses(calibrations[number], number)]
    used = []
    for index, patch in enumerate(patches):
        allowed = [focus for focus in found if not mapping or focus.number == mapping[index]]
        used.append(_nearest(patch, allowed, index))
    names = {focus.number for focus in used}
    for number in range(len(calibrations)):
        if number not in names:
            tell(Warned(f"{calibrations[number].path.name} is used for no patch"))
    return used


def _check_mapping(mapping: Sequence[int], patches: int, matrices: int) -> None:
    if not mapping:
        return
    counted = "1 number" if len(mapping) == 1 else f"{len(mapping)} numbers"
    if len(mapping) != patches:
        raise UsageError(
            f"the mapping has {counted}, expected one for each of {patches} patches"
            if patches > 1
            else f"the mapping has {counted}, expected 1 for the only patch",
            hint="periods with the same focus field are one patch, counted in the order of acquisition",
        )
    wrong = [number for number in mapping if not 0 <= number < matrices]
    if wrong:
        raise UsageError(
            f"the mapping names the system matrix {wrong[0]}, expected 0 to {matrices - 1}",
            hint="they are counted from 0 as they are given",
        )


def _matching(measurement: File, calibrations: Sequence[File]) -> list[int]:
    """Numbers of the calibrations of the same sequence; of one alone the difference is told elsewhere."""
    told = []
    found = []
    for number, file in enumerate(calibrations):
        others = differences(measurement, file, patches=True)
        if file.num_samples != measurement.num_samples:
            others.append(f"samples in a period {measurement.num_samples}, {file.num_samples}")
        told.append(f"{file.path.name}: {', '.join(others)}")
        if not others:
            found.append(number)
    if found or len(calibrations) == 1:
        return found or [0]
    raise InputError(
        f"no system matrix fits the patches of {measurement.path.name} (measurement, system matrix): "
        f"{'; '.join(told)}",
        hint="use calibrations of this sequence and gradient, or say which with -p mapping=... and "
        "--allow-mismatch",
    )


def _nearest(patch: Focus, matrices: Sequence[Focus], index: int) -> Focus:
    distances = np.array([np.linalg.norm(focus.position - patch.position) for focus in matrices])
    best = int(np.argmin(distances))
    for other, focus in enumerate(matrices):
        same_place = np.linalg.norm(focus.position - matrices[best].position) <= _NEAR
        if other != best and same_place and focus.number != matrices[best].number:
            names = " and ".join(matrices[each].file.path.name for each in sorted((best, other)))
            raise InputError(
                f"{names} have the same focus field, and both fit patch {index}",
                hint="leave one out, or say which with -p mapping=... (a number for each patch, from 0)",
            )
    return matrices[best]


def _field_free_point(file: File, periods: Ints) -> Floats:
    """Place of the field-free point without drive field, shape (3,), m."""
    gradient, offset = file.acquisition.gradient, file.acquisition.offset_field
    name = file.path.name
    if gradient is None:
        raise InputError(
            f"{name} has no gradient, and the places of patches follow from it",
            hint="add /acquisition/gradient, in T/m",
        )
    if gradient.shape[1] != 1 or (offset is not None and offset.shape[1] != 1):
        raise InputError(
            f"{name} has {gradient.shape[1]} selection fields in a period, patches have one each",
            hint="continuous focus fields are for --method x-space",
        )
    here = gradient[periods[0], 0]
    if abs(np.linalg.det(here)) <= SINGULAR * np.linalg.norm(here) ** 3:
        raise InputError(
            f"the selection field of {name} has no single field-free point, which a focus field could move",
            hint="patches are for field-free-point scans",
        )
    field = np.zeros(3) if offset is None else offset[periods[0], 0]
    return np.asarray(-np.linalg.solve(here, field))
