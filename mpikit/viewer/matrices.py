"""A system matrix as layers: its best rows as images, and the SNR of all rows."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mdf import Grid
from mpikit.errors import InputError
from mpikit.figures import COLOURS
from mpikit.reconstruct.mixing import MixingTable
from mpikit.report.matrices import matrix_snr, mixing_of
from mpikit.viewer.images import placed
from mpikit.viewer.layer import Layer, OnDemand

MOST_ROWS = 100  # frequencies that are shown
MOST_VALUES = 2**25  # of all rows that are shown, which stay in memory once they were read
GAP = 0.1  # between rows and SNR, over the width
CYCLIC = "twilight"

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Places = tuple[Ints, ...]


def matrix_layers(file: mdf.File) -> list[Layer]:
    """Return the layers of a system matrix.

    - Magnitude and phase (hidden at first) of rows of the first period, as images
      (channel, row, z, y, x): the frequencies with the highest SNR in any channel, by mixing order. Each row
      is over its largest magnitude, the mean of the empty frames is subtracted before. A row is read when it
      is looked at.
    - log10 of the SNR over mixing factors, (channel, row, z, factor, factor), the same for all rows. It is
      drawn beside the image, as large as this.

    Without a regular grid there is the SNR alone, without SNR there are the rows of lowest mixing order.

    Raises
    ------
    InputError
        When there is neither a grid nor a SNR.
    mdf.MdfError
        When the file is damaged.
    """
    snr, mixing = matrix_snr(file), mixing_of(file)
    calibration = file.calibration
    grid = None if calibration is None else calibration.grid
    voxels = None if calibration is None or grid is None else calibration.voxels
    layers = []
    lines: Ints = np.zeros(1, np.int64)
    if grid is not None and voxels is not None:
        lines = _chosen(snr, mixing, len(file.frequencies), int(np.prod(grid.size)) * file.num_channels)
        layers += _rows(file, grid, voxels, lines, _about(file, lines, snr, mixing))
    if snr is not None:
        table = _by_factors(snr, mixing)
        layers.append(_snr_layer(file, table, grid if layers else None, len(lines), mixing))
    if not layers:
        raise InputError(
            f"{file.path.name} has nothing to show: its positions fill no regular grid, and it has no SNR",
        )
    return layers


def _chosen(snr: Floats | None, mixing: MixingTable | None, count: int, values: int) -> Ints:
    """Return the components to show, (R,): those of highest SNR, by mixing order and frequency."""
    most = max(1, min(MOST_ROWS, MOST_VALUES // max(values, 1)))
    orders = np.arange(count) if mixing is None else np.where(mixing.orders < 0, count, mixing.orders)
    level = np.zeros(count) if snr is None else snr.max(axis=0)
    is_dc = orders == 0 if mixing is not None else np.zeros(count, bool)
    best = np.lexsort((orders, -level, is_dc))[:most]
    useful = best[level[best] > 0] if np.any(level > 0) else best
    lines: Ints = np.sort(useful)
    return lines if mixing is None else lines[np.argsort(orders[lines], kind="stable")]


def _about(file: mdf.File, lines: Ints, snr: Floats | None, mixing: MixingTable | None) -> dict[str, Any]:
    """Return a title for each row that is shown, and the SNR in each channel."""
    titles = []
    for line in lines:
        order = "" if mixing is None else f"order {mixing.orders[line]} {_factors(mixing)[line].tolist()}, "
        titles.append(f"{order}{file.frequencies[line] / 1e3:.2f} kHz")
    about: dict[str, Any] = {"file": file.path.name, "rows": titles}
    if snr is not None:
        about["snr"] = [[round(float(value), 3) for value in channel] for channel in snr[:, lines]]
    return about


def _factors(mixing: MixingTable) -> Ints:
    """Return the mixing factors of the active components, (K, A)."""
    factors = mixing.factors.reshape(len(mixing.orders), -1)
    return factors[:, factors.any(axis=0)]


def _rows(file: mdf.File, grid: Grid, voxels: Ints, lines: Ints, about: dict[str, Any]) -> list[Layer]:
    measurement = file.measurement
    assert measurement is not None  # noqa: S101 - a calibration has one
    source = _Source(
        Path(file.path), lines, grid.shape, voxels, one_by_one=bool(measurement.is_fast_frame_axis)
    )
    shape = (file.num_channels, len(lines), *grid.shape)
    scale, translate = placed(grid)
    layers = []
    for kind, read, limits, colours in (
        ("magnitude", source.magnitude, (0.0, 1.0), COLOURS),
        ("phase", source.phase, (-np.pi, np.pi), CYCLIC),
    ):
        layers.append(
            Layer(
                name=f"{file.path.stem} {kind} of rows",
                kind="rows",
                data=OnDemand(shape, np.dtype(np.float32), read),
                axes=("channel", "row", "z", "y", "x"),
                scale=(1.0, 1.0, *scale),
                translate=(0.0, 0.0, *translate),
                limits=limits,
                colours=colours,
                in_mm=True,
                visible=kind == "magnitude",
                about=about,
            )
        )
    return layers


@dataclass(frozen=True, eq=False)
class _Source:
    """Rows that are shown; those that were read stay in memory, no file stays open.

    Parameters
    ----------
    path : Path
    lines : shape (R,)
        Components.
    shape : (z, y, x)
    voxels : shape (O,)
        Voxel of each position, x fastest.
    one_by_one : bool
        Rows stand in the file one behind the other. Otherwise all are read in one pass.
    """

    path: Path
    lines: Ints
    shape: tuple[int, int, int]
    voxels: Ints
    one_by_one: bool
    known: dict[tuple[int, int], NDArray[np.complex64]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def magnitude(self, places: Places) -> NDArray[np.float32]:
        """Read magnitudes (C, R, z, y, x)."""
        return np.abs(self._read(places)).astype(np.float32, copy=False)

    def phase(self, places: Places) -> NDArray[np.float32]:
        """Read phases (C, R, z, y, x), rad."""
        return np.angle(self._read(places)).astype(np.float32, copy=False)

    def _read(self, places: Places) -> NDArray[np.complex64]:
        channels, rows, *voxels = places
        wanted = [(int(channel), int(row)) for channel in channels for row in rows]
        with self.lock:
            missing = [each for each in dict.fromkeys(wanted) if each not in self.known]
            if missing:
                self._load(missing)
            out = np.stack([self.known[each][np.ix_(*voxels)] for each in wanted])
        return out.reshape(len(channels), len(rows), *out.shape[1:])

    def _load(self, missing: list[tuple[int, int]]) -> None:
        if not self.one_by_one:
            channels = dict.fromkeys(channel for channel, _ in missing)
            missing = [(channel, row) for channel in channels for row in range(len(self.lines))]
        index = np.array([(0, channel, self.lines[row]) for channel, row in missing])
        with mdf.open(self.path) as file:
            found = _without_empty(file, index)
        for place, row in zip(missing, found, strict=True):
            self.known[place] = self._image(row)

    def _image(self, row: NDArray[Any]) -> NDArray[np.complex64]:
        """Place a row on the grid, over its largest magnitude; what was not measured is no number."""
        size = np.abs(row)
        most = float(size.max(initial=0.0, where=np.isfinite(size))) or 1.0
        image = np.full(int(np.prod(self.shape)), np.nan, np.complex64)
        image[self.voxels] = row / most
        return image.reshape(self.shape)


def _without_empty(file: mdf.File, index: Ints) -> NDArray[Any]:
    """Read rows (M, O), less the mean of the empty frames unless that was subtracted before."""
    matrix, measurement = file.system_matrix, file.measurement
    assert matrix is not None  # noqa: S101 - it was one before
    assert measurement is not None  # noqa: S101
    rows = matrix.rows(index).astype(np.complex128)
    if measurement.is_background_corrected or not np.any(file.is_background):
        return rows
    empty = matrix.rows(index, "background", "acquisition").astype(np.complex128)
    without: NDArray[Any] = rows - empty.mean(axis=1, keepdims=True)
    return without


def _by_factors(snr: Floats, mixing: MixingTable | None) -> NDArray[np.float32]:
    """Return log10 of the largest SNR of each pair of mixing factors, (C, second, first).

    The first factor counts from 0, the second one from minus its largest magnitude. Other factors are not
    told apart. Without mixing orders it is (C, 1, K).
    """
    with np.errstate(divide="ignore"):
        level = np.where(snr > 0, np.log10(snr), np.nan).astype(np.float32)
    if mixing is None:
        return level[:, None]
    factors = np.pad(_factors(mixing), ((0, 0), (0, 2)))[:, :2]
    factors = np.where(factors[:, :1] < 0, -factors, factors)
    most = np.abs(factors).max(axis=0)
    table = np.full((len(snr), 2 * most[1] + 1, most[0] + 1), np.nan, np.float32)
    places: Any = (slice(None), factors[:, 1] + most[1], factors[:, 0])
    np.fmax.at(table, places, level)
    return table


def _snr_layer(
    file: mdf.File, table: NDArray[np.float32], grid: Grid | None, rows: int, mixing: MixingTable | None
) -> Layer:
    about: dict[str, Any] = {"file": file.path.name, "unit": "log10 of the SNR"}
    axes = ("factor 2", "factor 1") if mixing is not None else ("", "component")
    if mixing is not None:
        about["lowest_factor_2"] = -(table.shape[1] // 2)
    alone = Layer(
        name=f"{file.path.stem} SNR (log10, by mixing factors)",
        kind="snr",
        data=table,
        axes=("channel", *axes),
        scale=(1.0, 1.0, 1.0),
        translate=(0.0, 0.0, 0.0),
        limits=(0.0, max(float(np.nanmax(table)), 0.1)),
        colours=COLOURS,
        about=about,
    )
    if grid is None:
        return alone
    scale, translate = _beside(grid, table.shape[1:])
    count = (len(table), rows, grid.shape[0])  # the same for each row and layer: nothing is copied
    return replace(
        alone,
        data=np.broadcast_to(table[:, None, None], (*count, *table.shape[1:])),
        axes=("channel", "row", "z", *axes),
        scale=(1.0, 1.0, *scale),
        translate=(0.0, 0.0, *translate),
        in_mm=True,
    )


def _beside(grid: Grid, size: tuple[int, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return scale and translation (z, y, x) that draw a map to the right of the voxels, about as large."""
    (deep, tall, wide), (first_z, first_y, first_x) = placed(grid)
    _, rows, columns = grid.shape
    height, width = rows * tall, columns * wide
    side = max(height, width)
    pixel = (max(height, side / 2) / size[0], side / size[1])
    left = first_x + width - wide / 2 + GAP * side
    return (deep, *pixel), (first_z, first_y - tall / 2 + pixel[0] / 2, left + pixel[1] / 2)
