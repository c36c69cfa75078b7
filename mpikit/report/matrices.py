"""The rows of a system matrix: which to show, and their SNR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.errors import InputError
from mpikit.figures_plot import RowShown, draw_matrix_snr, draw_rows
from mpikit.reconstruct.mixing import MixingTable, mixing_table
from mpikit.report.blocks import Block, Picture, Section, Words
from mpikit.scan_file import drive_field_of

MOST_ROWS = 12
MOST_VALUES = 2**26  # of a calibration whose SNR is computed
Floats = NDArray[np.float64]


def matrix_sections(path: Path) -> list[Section]:
    """Return the sections on a system matrix: its SNR, and rows of growing mixing order.

    Raises
    ------
    mdf.MdfError
        When the file is damaged.
    """
    with mdf.open(path) as file:
        snr = matrix_snr(file)
        mixing = mixing_of(file)
        shown = shown_rows(file, snr, mixing)
        grid = full_grid(file)
        frequencies = file.frequencies
    blocks: list[Block] = []
    if snr is None:
        blocks.append(Words("The file has no SNR, and it cannot be computed from its background frames."))
    else:
        drawn = draw_matrix_snr(frequencies, snr, factors_of_two(mixing))
        blocks.append(Picture("SNR of each row of the first period.", drawn))
    if shown and grid is not None:
        words = "Rows of growing mixing order, those with the highest SNR of each; each on its own scale"
        layer = ", the layer along z where it is strongest" if min(grid.size) > 1 else ""
        blocks.append(Picture(f"{words}{layer}.", draw_rows(shown, grid)))
    else:
        blocks.append(Words("The positions fill no regular grid, or no row has a signal: no row is drawn."))
    return [Section("System matrix", blocks)]


def full_grid(file: mdf.File) -> mdf.Grid | None:
    """Return the grid of a calibration if every voxel of it was measured, else None."""
    calibration = file.calibration
    if calibration is None or calibration.grid is None:
        return None
    voxels = calibration.voxels
    whole = int(np.prod(calibration.grid.size))
    return calibration.grid if voxels is not None and len(voxels) == whole else None


def matrix_snr(file: mdf.File) -> Floats | None:
    """Return the SNR of the rows of the first period, (C, K); computed if the file has none and is small.

    0 where it is not known or no number; None when nothing is known.
    """
    matrix = file.system_matrix
    if matrix is None:
        return None
    snr = matrix.snr
    if snr is None or snr.shape != matrix.shape[:3]:
        snr = _computed(file)
    if snr is None:
        return None
    first: Floats = np.where(np.isfinite(snr[0]) & (snr[0] > 0), snr[0], 0.0)
    return first if np.any(first) else None


def _computed(file: mdf.File) -> Floats | None:
    lines = len(file.frequencies)
    values = lines * file.num_frames * file.num_channels * file.num_periods
    empty = int(np.sum(file.is_background))
    if values > MOST_VALUES or empty < 2 or lines < mdf.snr.STRONGEST:
        return None
    foreground = file.read_signal("foreground", domain="frequency")
    return mdf.snr.signal_to_noise(foreground, file.read_signal("background", domain="frequency"))


def mixing_of(file: mdf.File) -> MixingTable | None:
    """Return the mixing orders of the stored components, None when a period holds no whole oscillations."""
    try:
        table = mixing_table(drive_field_of(file), samples=file.num_samples, sampling_rate=file.sampling_rate)
    except (InputError, mdf.MdfError):
        return None
    stored = file.stored_lines
    if len(stored) != len(table.orders):
        return None
    return MixingTable(table.orders[stored], table.factors[stored])


def factors_of_two(mixing: MixingTable | None) -> NDArray[np.int64] | None:
    """Return the mixing factors (K, 2) when exactly two drive frequencies are active, else None."""
    if mixing is None:
        return None
    factors = mixing.factors.reshape(len(mixing.orders), -1)
    active = np.flatnonzero(factors.any(axis=0))
    return factors[:, active] if len(active) == 2 else None


def shown_rows(file: mdf.File, snr: Floats | None, mixing: MixingTable | None) -> list[RowShown]:
    """Choose rows of growing mixing order, and turn each into an image.

    Of each mixing order the row with the highest SNR is taken; without mixing orders the rows with the
    highest SNR at all; without SNR the first channel.
    """
    grid, matrix = full_grid(file), file.system_matrix
    if grid is None or matrix is None:
        return []
    lines = len(file.frequencies)
    level = np.ones((file.num_channels, lines)) if snr is None else snr
    places = _by_order(level, mixing) if mixing is not None else _best(level)
    if not places:
        return []
    index = np.array([(0, channel, line) for channel, line in places])
    rows = matrix.rows(index).astype(np.complex128) - _empty(file, index)
    found = []
    for (channel, line), row in zip(places, rows, strict=True):
        if np.isfinite(row).all() and np.any(row):
            title = _title(file.frequencies[line], channel, mixing, line)
            found.append(RowShown(title, _turned(row).reshape(grid.shape)))
    return found


def _empty(file: mdf.File, index: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Mean of the background frames of some rows, (M, 1); zero where it was subtracted before."""
    matrix, measurement = file.system_matrix, file.measurement
    corrected = measurement is not None and measurement.is_background_corrected
    if matrix is None or corrected or not np.any(file.is_background):
        return np.zeros((len(index), 1), np.complex128)
    rows = matrix.rows(index, "background", "acquisition").astype(np.complex128)
    mean: NDArray[np.complex128] = rows.mean(axis=1, keepdims=True)
    return mean


def _by_order(level: Floats, mixing: MixingTable) -> list[tuple[int, int]]:
    found = []
    for order in np.unique(mixing.orders[mixing.orders > 0]):
        of_order = np.where(mixing.orders == order, level, 0.0)
        channel, line = np.unravel_index(int(np.argmax(of_order)), level.shape)
        if of_order[channel, line] > 0:
            found.append((int(channel), int(line)))
    return found[:MOST_ROWS]


def _best(level: Floats) -> list[tuple[int, int]]:
    order = np.argsort(-level, axis=None, kind="stable")[:MOST_ROWS]
    channels, lines = np.unravel_index(np.sort(order), level.shape)
    return [(int(channel), int(line)) for channel, line in zip(channels, lines, strict=True)]


def _turned(row: NDArray[Any]) -> Floats:
    """Return the real part of a row (P,), once its phase is turned to where the real part is largest."""
    square = complex(np.sum(row**2))
    turned = row * np.exp(-0.5j * np.angle(square))
    return np.asarray(turned.real, np.float64)


def _title(frequency: float, channel: int, mixing: MixingTable | None, line: int) -> str:
    words = f"{frequency / 1e3:.2f} kHz, channel {channel}"
    if mixing is None:
        return words
    factors = mixing.factors[line].ravel()
    active = mixing.factors.reshape(len(mixing.orders), -1).any(axis=0)
    shown = ", ".join(str(factor) for factor in factors[active])
    return f"order {mixing.orders[line]}: ({shown})\n{words}"
