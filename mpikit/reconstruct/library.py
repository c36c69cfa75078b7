"""Which calibration of a folder belongs to a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import mdf
from mpikit.errors import InputError
from mpikit.events import Event, Finding, Warned
from mpikit.reconstruct.focus import Focus, focuses
from mpikit.reconstruct.match import check_kinds, differences, focus_periods

SUFFIXES = (".mdf", ".h5", ".hdf5")

_SHOWN = 3  # of the calibrations that do not match
_DIGITS = 6  # of distances in m: a micrometre
_SAME, _UNKNOWN, _OTHER = 0, 1, 2  # how the tracers of two files compare
_NO_NAME = ("", "n.a.")


def pick_calibrations(folder: Path, measurement: mdf.File, *, tell: Callable[[Event], None]) -> list[Path]:
    """Return the calibrations of a folder that a measurement needs: one, or the nearest for each patch.

    Of a measurement whose periods have different focus fields, a calibration matches whatever its own one is.
    Each patch takes the one whose field-free point is nearest; of several there it is chosen as in
    `pick_calibration`.

    Parameters
    ----------
    folder, measurement, tell
        See `pick_calibration`.

    Raises
    ------
    InputError
        As `pick_calibration`, or when the focus fields do not say where the patches are.
    """
    if measurement.measurement is None or len(focus_periods(measurement)) == 1:
        return [pick_calibration(folder, measurement, tell=tell)]
    candidates = list(_candidates(folder, measurement, tell, patches=True))
    matching = _in_order(candidates)
    if not matching:
        raise _nothing(folder, measurement, candidates)
    places = [(each, focus.position) for each in matching for focus in _focuses(each.path)]
    chosen: list[Path] = []
    for patch in focuses(measurement):
        distances = [round(float(np.linalg.norm(place - patch.position)), _DIGITS) for _, place in places]
        nearest = places[int(np.argmin(distances))][0]
        if nearest.path not in chosen:
            chosen.append(nearest.path)
            if nearest.tracer == _OTHER:
                tell(Warned(f"{nearest.path.name} is of another tracer than {measurement.path.name}"))
    names = [path.name for path in chosen]
    text = f"of {len(candidates)} calibrations in {folder} the patches take {', '.join(names)}"
    tell(Finding("system matrix", names, text))
    return chosen


@dataclass(frozen=True)
class _Candidate:
    """A calibration beside a measurement.

    Parameters
    ----------
    path : Path
    differences : tuple of str
        What does not match; empty when it can be used.
    tracer : int
        Whether it is the measurement's.
    distance : float
        Between the starts of both acquisitions, s; infinite when one is not known.
    """

    path: Path
    differences: tuple[str, ...]
    tracer: int
    distance: float


def pick_calibration(folder: Path, measurement: mdf.File, *, tell: Callable[[Event], None]) -> Path:
    """Return the calibration of a folder that matches a measurement.

    A calibration matches when `mpikit.reconstruct.match.differences` finds nothing, its periods have as many
    samples, and its positions are a regular grid. Of several, those of the measurement's tracer come first,
    then those of an unknown one; among these the one that was acquired nearest in time to the measurement, as
    a scanner drifts; among these the first by name. The choice is told with the names of the others. Nothing
    but the headers of the files is read.

    Parameters
    ----------
    folder : Path
        Its ``.mdf``, ``.h5`` and ``.hdf5`` files are looked at, not those of folders in it.
    measurement : mdf.File
    tell : callable
        Hears the choice, and a warning for each file that cannot be read or when the tracer is another one.

    Raises
    ------
    InputError
        When the folder has no calibration, or none that matches: the nearest ones are named with what
        differs.
    """
    if measurement.measurement is not None:
        differences(measurement, measurement)  # a damaged measurement is no fault of a calibration
    candidates = list(_candidates(folder, measurement, tell))
    matching = _in_order(candidates)
    if not matching:
        raise _nothing(folder, measurement, candidates)
    chosen = matching[0]
    tell(Finding("system matrix", chosen.path.name, _choice(matching, len(candidates), folder)))
    if chosen.tracer == _OTHER:
        tell(Warned(f"{chosen.path.name} is of another tracer than {measurement.path.name}"))
    return chosen.path


def _in_order(candidates: list[_Candidate]) -> list[_Candidate]:
    """Those that match, the best first."""
    return sorted(
        (each for each in candidates if not each.differences),
        key=lambda each: (each.tracer, each.distance, each.path.name),
    )


def _focuses(path: Path) -> list[Focus]:
    with mdf.open(path) as file:
        return focuses(file)


def _candidates(
    folder: Path, measurement: mdf.File, tell: Callable[[Event], None], *, patches: bool = False
) -> Iterator[_Candidate]:
    """Compare every calibration of a folder with a measurement."""
    for path in _files(folder):
        try:
            with mdf.open(path) as file:
                if not file.is_calibration or file.measurement is None:
                    continue
                check_kinds(measurement, file)
                yield _compare(measurement, file, patches=patches)
        except mdf.MdfError as error:
            tell(Warned(f"{path.name} is left out, it cannot be read: {error}"))


def _files(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read: {error.strerror or error}") from error
    return [
        path
        for path in paths
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]


def _compare(measurement: mdf.File, calibration: mdf.File, *, patches: bool = False) -> _Candidate:
    found = differences(measurement, calibration, patches=patches)
    samples = measurement.num_samples, calibration.num_samples
    if samples[0] != samples[1]:
        found.append(f"samples in a period {samples[0]}, {samples[1]}")
    if calibration.grid is None:
        found.append("no regular grid")
    starts = [_start(file) for file in (measurement, calibration)]
    distance = float("inf")
    if starts[0] is not None and starts[1] is not None:
        distance = abs((starts[0] - starts[1]).total_seconds())
    return _Candidate(calibration.path, tuple(found), _tracers(measurement, calibration), distance)


def _tracers(measurement: mdf.File, calibration: mdf.File) -> int:
    """Compare tracers by name; a measurement of several has that of a calibration when it is one of them."""
    measured, calibrated = _tracer(measurement), _tracer(calibration)
    if not measured or not calibrated:
        return _UNKNOWN
    return _SAME if calibrated <= measured else _OTHER


def _tracer(file: mdf.File) -> set[str]:
    names = file.tracer.name if file.tracer is not None else None
    known = (str(name).strip().casefold() for name in (() if names is None else names))
    return {name for name in known if name not in _NO_NAME}


def _start(file: mdf.File) -> datetime | None:
    """Start of the acquisition, UTC where the file names no zone."""
    with suppress(ValueError):
        start = datetime.fromisoformat(str(file.acquisition.start_time))
        return start if start.tzinfo else start.replace(tzinfo=UTC)
    return None


def _choice(matching: list[_Candidate], count: int, folder: Path) -> str:
    chosen, *others = matching
    if not others:
        return f"{chosen.path.name} is the one of {count} calibrations in {folder} that matches"
    if chosen.tracer < others[0].tracer:
        reason = "its tracer fits best"
    elif chosen.distance < others[0].distance:
        reason = "it was acquired nearest in time"
    else:
        reason = "it is the first by name"
    names = ", ".join(other.path.name for other in others)
    return f"{chosen.path.name} is used, {reason}; these in {folder} match too: {names}"


def _nothing(folder: Path, measurement: mdf.File, candidates: list[_Candidate]) -> InputError:
    if not candidates:
        return InputError(
            f"there is no calibration in {folder}, expected files ending in {', '.join(SUFFIXES)}",
            hint="name the folder of the system matrices, or one file",
        )
    nearest = sorted(candidates, key=lambda each: (len(each.differences), each.path.name))
    told = [f"{each.path.name}: {', '.join(each.differences)}" for each in nearest[:_SHOWN]]
    rest = len(nearest) - _SHOWN
    more = f"; and {rest} more" if rest > 0 else ""
    return InputError(
        f"no calibration in {folder} matches {measurement.path.name} (measurement, system matrix): "
        f"{'; '.join(told)}{more}",
        hint="name one file with --system-matrix, and --allow-mismatch to use it all the same",
    )
