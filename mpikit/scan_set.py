"""Several scans as one set: which files of a folder are meant, whether they fit together, empty frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Finding, silent
from mpikit.provenance import HISTORY, read_history
from mpikit.scan import Repeats, Scan
from mpikit.scan_file import read_background, read_scan
from mpikit.signal import stack_repeats


def measurement_files(sources: Sequence[Path], *, tell: Callable[[Event], None] = silent) -> list[Path]:
    """Return the files that are meant: those that are named, and the measurements of a folder.

    Of a folder (not of those inside it) files are passed over that are no measurement, that were denoised
    already, or that are a simulation without noise: nothing is learnt from clean data unless it is asked for
    by name. What is passed over is told.

    Parameters
    ----------
    sources : sequence of Path
    tell : callable

    Returns
    -------
    list of Path
        In the order in which they are named, those of a folder by name; each once.

    Raises
    ------
    InputError
        When a folder has no measurement.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        files = _of_folder(source, tell) if source.is_dir() else [source]
        for path in files:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _of_folder(folder: Path, tell: Callable[[Event], None]) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".mdf" and path.is_file())
    kept = []
    for path in files:
        why = _unsuitable(path)
        if why is None:
            kept.append(path)
        else:
            tell(Finding("passed over", path.name, f"passed over {path}: {why}"))
    if not kept:
        what = f"{len(files)} MDF files, but none to use" if files else "no MDF file"
        raise InputError(f"the folder {folder} has {what}", hint="name the files one by one")
    return kept


def _unsuitable(path: Path) -> str | None:
    """Say in words why a file of a folder is not meant, or None; a damaged file complains later."""
    try:
        with mdf.open(path) as file:
            if file.is_calibration:
                return "a calibration"
            if file.measurement is None:
                return "it has no measurement"
            return made_clean(read_history(_text(file.user_value(HISTORY))))
    except mdf.MdfError:
        return None


def was_denoised(history: Sequence[dict[str, Any]]) -> bool:
    """Say whether a file of this history was denoised."""
    return any(record.get("command") == "denoise" for record in history)


def made_clean(history: Sequence[dict[str, Any]]) -> str | None:
    """Say in words why a file of this history is no noisy measurement, or None."""
    if was_denoised(history):
        return "denoised before"
    last = history[-1] if history else {}
    options = last.get("options")
    is_clean = isinstance(options, dict) and options.get("noise") == []
    return "a simulation without noise" if last.get("command") == "simulate" and is_clean else None


def refuse_calibration(path: Path) -> None:
    """Raise `InputError` when a file is a calibration: its signals are of no object."""
    with mdf.open(path) as file:
        if file.is_calibration:
            raise InputError(
                f"{path.name} is a calibration (a system matrix), expected a measurement",
                hint="name the measurement; mpikit info shows what a file is",
            )


def file_history(path: Path) -> list[dict[str, Any]]:
    """Return the history of an MDF file, see `mpikit.provenance.read_history`."""
    with mdf.open(path) as file:
        return read_history(_text(file.user_value(HISTORY)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def read_repeated(path: Path, *, repeats: Repeats | None = None) -> Scan:
    """Read a scan; refuse repeats along an axis on which nothing can repeat.

    Parameters
    ----------
    path : Path
    repeats : {"frames", "periods", "both", "none"} or None
        None finds out.

    Raises
    ------
    InputError, UsageError, mdf.MdfError
    """
    scan = read_scan(path, repeats=repeats)
    if repeats not in (None, "none") and stack_repeats(scan.signal, scan.repeats).shape[1] < 2:
        raise UsageError(
            f"--repeats {repeats}: {scan.name} has N = {len(scan.signal)} foreground frames of "
            f"J = {scan.signal.shape[1]} periods, so nothing repeats that way",
            hint="leave --repeats out to have the repeats found",
        )
    return scan


def describe_repeats(scan: Scan, *, asked: bool, of: str = "") -> Finding:
    """Say along which axis a scan repeats.

    Parameters
    ----------
    scan : Scan
    asked : bool
        The user said so.
    of : str
        Name of the scan, where there are several.
    """
    frames, periods = scan.signal.shape[:2]
    words = {
        "frames": f"the same signal was measured again in {frames} frames",
        "periods": f"the same signal was measured again in {periods} periods of each frame",
        "both": f"the same signal was measured again in {frames} frames of {periods} periods",
        "none": "no signal was measured twice",
    }
    start = f"repeats of {of}" if of else "repeats"
    return Finding("repeats", scan.repeats, f"{start}: {words[scan.repeats]}{' (as asked)' if asked else ''}")


def check_alike(scans: Sequence[Scan]) -> None:
    """Refuse scans that one method cannot be fitted to together.

    Parameters
    ----------
    scans : sequence of Scan

    Raises
    ------
    InputError
        When channels, samples of a period, sampling rate, unit, drive field or corrections differ.
    """
    first = scans[0]
    for scan in scans[1:]:
        for what, one, other in _compared(first, scan):
            if one != other:
                raise InputError(
                    f"{scan.name} has {what} {other}, {first.name} has {one}; one method is fitted to scans "
                    "of one sequence",
                    hint="fit a method to each of them",
                )
        if not _same_drive(first, scan):
            raise InputError(
                f"{scan.name} and {first.name} have different drive fields; one method is fitted to scans of "
                "one sequence",
                hint="mpikit info shows them; fit a method to each",
            )


def _compared(first: Scan, scan: Scan) -> list[tuple[str, object, object]]:
    pairs: list[tuple[str, object, object]] = [
        ("receive channels", first.signal.shape[2], scan.signal.shape[2]),
        ("samples in a period", first.signal.shape[3], scan.signal.shape[3]),
        ("the sampling rate in Hz", f"{first.sampling_rate:.9g}", f"{scan.sampling_rate:.9g}"),
        ("the unit", repr(first.unit), repr(scan.unit)),
        ("a corrected transfer function:", *_said(first, scan, "transfer_function")),
        ("corrected spectral leakage:", *_said(first, scan, "leakage")),
        ("stored lines:", int(first.stored_lines.sum()), int(scan.stored_lines.sum())),
    ]
    return pairs


def _said(first: Scan, scan: Scan, name: str) -> tuple[str, str]:
    one, other = ("yes" if getattr(each.corrections, name) else "no" for each in (first, scan))
    return one, other


def _same_drive(first: Scan, scan: Scan) -> bool:
    one, other = first.drive_field, scan.drive_field
    alike = bool(np.isclose(one.base_frequency, other.base_frequency, rtol=1e-9))
    alike = alike and np.array_equal(one.dividers, other.dividers)
    alike = alike and np.array_equal(one.waveforms, other.waveforms)
    return (
        alike
        and _same_over_periods(one.amplitudes, other.amplitudes)
        and _same_over_periods(one.phases, other.phases)
    )


def _same_over_periods(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Compare fields of shape (J, D, F); scans of different J agree when nothing changes over J."""
    if one.shape[1:] != other.shape[1:]:
        return False
    if len(one) != len(other):
        return bool(np.allclose(one, one[:1], rtol=1e-6) and np.allclose(other, one[:1], rtol=1e-6))
    return bool(np.allclose(one, other, rtol=1e-6))


def with_empty_measurements(scan: Scan, files: Sequence[Path]) -> Scan:
    """Return the scan with the frames of empty measurements as its background frames.

    Of an empty measurement the frames that are marked as background count, or all if none is. One is placed
    before the first frame of the object, a second one after the last.

    Parameters
    ----------
    scan : Scan
    files : sequence of Path
        At most two; without any the scan comes back as it is.

    Raises
    ------
    UsageError
        With more than two.
    InputError
        When the background was subtracted before, or an empty measurement has another shape, unit, sampling
        rate or drive field.
    """
    if not files:
        return scan
    if len(files) > 2:
        raise UsageError(
            f"{len(files)} empty measurements, expected one, or two for before and after",
            hint="leave some --background-file out",
        )
    if scan.corrections.background:
        raise InputError(
            f"{scan.name} came with its background subtracted", hint="leave --background-file out"
        )
    parts = [_empty_frames(path, scan) for path in files]
    frames = len(parts[0])
    last = scan.foreground_index.max() + frames
    index = [np.arange(frames), *(last + 1 + np.arange(len(part)) for part in parts[1:])]
    return replace(
        scan,
        background=np.concatenate(parts),
        background_index=np.concatenate(index),
        foreground_index=scan.foreground_index + frames,
    )


def _empty_frames(path: Path, scan: Scan) -> NDArray[np.float32]:
    empty = read_background(path)
    frames = empty.background
    if not len(frames):
        empty = read_scan(path, repeats="none")
        frames = empty.signal
    if frames.shape[1:] != scan.signal.shape[1:]:
        shapes = [" x ".join(map(str, shape[1:])) for shape in (frames.shape, scan.signal.shape)]
        raise InputError(
            f"the empty measurement {path.name} has frames of {shapes[0]} (periods x channels x samples), "
            f"{scan.name} has {shapes[1]}",
            hint="measure the empty scanner with the same sequence",
        )
    if empty.unit != scan.unit or empty.corrections.transfer_function != scan.corrections.transfer_function:
        raise InputError(
            f"the empty measurement {path.name} is in {empty.unit!r}, {scan.name} in {scan.unit!r}, or only "
            "one of them has a corrected transfer function",
            hint="use an empty measurement that was treated like the scan",
        )
    same_rate = bool(np.isclose(empty.sampling_rate, scan.sampling_rate, rtol=1e-9))
    if not same_rate or not _same_drive(scan, empty):
        what = "drive fields" if same_rate else "sampling rates"
        raise InputError(
            f"the empty measurement {path.name} and {scan.name} have different {what}",
            hint="measure the empty scanner with the same sequence",
        )
    return frames
