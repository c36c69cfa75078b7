"""The linear system S c = u from a calibration and a measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import File, Grid
from mpikit.errors import InputError
from mpikit.events import Event, Finding, Warned
from mpikit.reconstruct.background import background_state, plan_background
from mpikit.reconstruct.match import check_kinds, check_match, check_patches
from mpikit.reconstruct.options import Kaczmarz
from mpikit.reconstruct.selection import Rows, select_rows
from mpikit.scan_file import EMPTY_LINES, STORED_LINES

Ints = NDArray[np.int64]

MEMORY = 2**28  # bytes of spectra that are read at once


@dataclass(frozen=True)
class LinearSystem:
    """Matrix and data after selection and background correction.

    Parameters
    ----------
    matrix : shape (M, P)
        One column for each voxel, x fastest, then y, then z; in units of the calibration's delta sample.
    data : shape (M, Q)
        One column for each image.
    rows : Rows
    grid : mdf.Grid
    frames : shape (Q,)
        Place in acquisition of the frame of each image, counted from 0; empty when all were averaged.
    background : tuple of str
        Files whose background frames were subtracted.
    """

    matrix: NDArray[np.complexfloating[Any]]
    data: NDArray[np.complexfloating[Any]]
    rows: Rows
    grid: Grid
    frames: Ints
    background: tuple[str, ...]


def read_system(
    measurement: File,
    calibration: File,
    options: Kaczmarz,
    *,
    average_frames: bool = False,
    allow_mismatch: bool = False,
    tell: Callable[[Event], None],
) -> LinearSystem:
    """Read, check, select and correct what the solver needs.

    Periods of a frame are averaged. Neither file is corrected for the transfer function here: both are
    taken as they are, and `check_match` sees to it that they are alike.

    Raises
    ------
    InputError
        When the files do not belong together, or when no row is left.
    """
    check_kinds(measurement, calibration)
    check_patches(measurement)
    check_patches(calibration)
    check_match(measurement, calibration, allow_mismatch=allow_mismatch, tell=tell)
    grid = _grid(calibration)
    frames = measurement.frame_index("foreground")
    if not len(frames):
        raise InputError(
            f"{measurement.path.name} has no foreground frames, expected at least one",
            hint="all its frames are marked as background",
        )
    rows = _rows(measurement, calibration, options, tell)
    names = f"measurement {measurement.path.name}", f"system matrix {calibration.path.name}"
    states = dict(zip(names, map(background_state, (measurement, calibration)), strict=True))
    corrected = plan_background(states, options.background, allow_mismatch=allow_mismatch, tell=tell)
    voxels = np.arange(int(np.prod(grid.size)))
    matrix = _read_rows(calibration, rows, voxels, "grid")
    data = _read_rows(measurement, rows, frames, "acquisition")
    if names[1] in corrected:
        matrix -= _background(calibration, rows)
    if names[0] in corrected:
        data -= _background(measurement, rows)
    if average_frames:
        data, frames = data.mean(axis=1, keepdims=True), frames[:0]
    return LinearSystem(matrix, data, rows, grid, frames, tuple(sorted(corrected)))


def _grid(calibration: File) -> Grid:
    grid = calibration.grid
    if grid is None:
        raise InputError(
            f"{calibration.path.name} has no regular grid, expected /calibration/size and fieldOfView",
            hint="irregular calibration positions are not supported",
        )
    return grid


def _rows(measurement: File, calibration: File, options: Kaczmarz, tell: Callable[[Event], None]) -> Rows:
    channels = min(measurement.num_channels, calibration.num_channels)
    samples = measurement.num_samples
    frequencies = np.arange(samples // 2 + 1) * measurement.sampling_rate / samples
    snr = None
    if options.snr_threshold > 0:
        snr = _snr(calibration, channels, len(frequencies))
        if snr is None:
            tell(Warned(f"{calibration.path.name} stores no SNR: no row is left out for its SNR"))
    rows = select_rows(
        _stored(measurement) & _stored(calibration),
        frequencies,
        channels=channels,
        emptied=_emptied(measurement, channels, len(frequencies)),
        min_frequency=options.min_frequency,
        max_frequency=options.max_frequency,
        snr=snr,
        snr_threshold=options.snr_threshold,
    )
    total = channels * len(frequencies)
    tell(Finding("rows", len(rows), f"{len(rows)} of {total} rows (frequency, channel) are used"))
    return rows


def _emptied(measurement: File, channels: int, lines: int) -> NDArray[np.bool_] | None:
    """Lines that a denoiser emptied, shape (C, K): they say nothing of the object, zero least of all."""
    said = np.asarray(measurement.user_value(EMPTY_LINES))
    return said[:channels] != 0 if said.ndim == 2 and said.shape[1] == lines else None


def _snr(calibration: File, channels: int, lines: int) -> NDArray[np.float64] | None:
    """SNR of the first period on the full frequency axis, shape (C, K); None when the file has none."""
    stored = calibration.value("/calibration/snr")
    if stored is None:
        return None
    snr = np.zeros((channels, lines))
    snr[:, _lines(calibration)] = stored[0, :channels]
    return snr


def _stored(file: File) -> NDArray[np.bool_]:
    """Lines that were measured, shape (K,); time data of ours may come from a file that stored only some."""
    said = np.asarray(file.user_value(STORED_LINES))
    return file.stored_lines & (said != 0) if said.shape == file.stored_lines.shape else file.stored_lines


def _lines(file: File) -> Ints:
    """Place of each stored component on the full frequency axis."""
    return np.rint(file.frequencies * file.num_samples / file.sampling_rate).astype(np.int64)


def _read_rows(file: File, rows: Rows, frames: Ints, order: Any) -> NDArray[Any]:
    """Mean over the periods of the selected rows of some frames, shape (M, n); bounded in memory."""
    lines = _lines(file)
    size = 8 * file.num_periods * file.num_channels * max(file.num_samples, 1)
    at_once = max(1, MEMORY // size)
    parts = []
    for start in range(0, len(frames), at_once):
        spectra = file.read_signal(frames[start : start + at_once], order, "frequency")
        parts.append(rows.pick(spectra.mean(axis=1), lines))
    return np.concatenate(parts, axis=1)


def _background(file: File, rows: Rows) -> NDArray[Any]:
    frames = np.flatnonzero(file.is_background)
    mean: NDArray[Any] = _read_rows(file, rows, frames, "acquisition").mean(axis=1, keepdims=True)
    return mean
