"""From samples along a path to voxels: a weighted mean, as one sparse matrix product for all images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import UsageError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEWEST, MOST = 8, 100  # voxels along an axis when the grid is not given
_FAINTEST = 1e-3  # of the largest weight: a voxel with less was hardly touched


def covering_grid(
    positions: Floats,
    axes: Sequence[int],
    *,
    size: tuple[int, ...] | None = None,
    field_of_view: tuple[float, ...] | None = None,
) -> Grid:
    """Return a grid around the positions of all samples.

    Parameters
    ----------
    positions : shape (n, 3), m
    axes : sequence of int
        Axes along which the positions differ.
    size : tuple of int, optional
        Voxels along x, y, z; trailing ones may be left out. Not given: about two samples in a voxel.
    field_of_view : tuple of float, m, optional
        Extent along x, y, z. Not given: that of the positions.

    Raises
    ------
    UsageError
        For a size or an extent that is not above 0, or several voxels along another axis.
    """
    low, high = positions.min(axis=0), positions.max(axis=0)
    driven = list(axes)
    voxels = np.ones(3, np.int64)
    if size is None:
        each = round((len(positions) / 2) ** (1 / len(driven)))
        voxels[driven] = np.clip(each, FEWEST, MOST)
    else:
        voxels[: len(size)] = size
        _check_axes(voxels, axes)
    extent = np.zeros(3)
    extent[driven] = (high - low)[driven]
    given = field_of_view or ()
    if not all(0 < length < np.inf for length in given) or np.any(voxels < 1):
        raise UsageError(
            f"a grid of {_by(voxels)} voxels over {_by(given, 1e3)} mm, expected numbers above 0",
            hint="as in --grid 32x32 --fov 30x30",
        )
    extent[: len(given)] = given
    # A slice as thick as a voxel is wide, where nothing else is known.
    extent[extent == 0] = (extent[driven] / voxels[driven]).min()
    return Grid(voxels, extent, (low + high) / 2 + 0.0)  # which turns -0 into 0


def spreading(positions: Floats, grid: Grid, axes: Sequence[int]) -> csr_array[np.float64]:
    """Return the matrix that spreads samples linearly to the voxels around them.

    Parameters
    ----------
    positions : shape (n, 3), m
    grid : mdf.Grid
    axes : sequence of int
        Axes along which samples are spread; along the others there is one voxel.

    Returns
    -------
    shape (P, n), 1
        A sample between the centres of voxels has shares that add up to 1. What falls outside is lost.
    """
    from scipy.sparse import csr_array

    place = ((positions - grid.center) / grid.field_of_view + 0.5) * grid.size - 0.5
    strides = np.array([1, grid.size[0], grid.size[0] * grid.size[1]])
    spread = np.isin(range(3), list(axes))
    voxels, samples, shares = [], [], []
    for corner in np.ndindex(*(2 if axis in axes else 1 for axis in range(3))):
        cell = np.floor(place).astype(np.int64) + corner
        share = np.prod(np.where(spread, 1 - np.abs(place - cell), 1), axis=1)
        cell[:, ~spread] = 0
        inside = np.flatnonzero(np.all((cell >= 0) & (cell < grid.size), axis=1))
        voxels.append(cell[inside] @ strides)
        samples.append(inside)
        shares.append(share[inside])
    where = (np.concatenate(voxels), np.concatenate(samples))
    return csr_array((np.concatenate(shares), where), shape=(int(np.prod(grid.size)), len(positions)))


def spread_sums(matrix: csr_array[np.float64], values: Floats) -> Floats:
    """Return what the voxels get of values at the samples, (..., n) to (..., P)."""
    sums: Floats = np.asarray(matrix @ values.T).T
    return sums


def touched(weight: Floats, grid: Grid) -> Flags:
    """Tell which voxels have a weight worth dividing by.

    Parameters
    ----------
    weight : shape (P,)
    grid : mdf.Grid

    Raises
    ------
    UsageError
        When there is none.
    """
    if not weight.any():
        raise UsageError(
            f"no sample falls into the field of view of {_by(grid.field_of_view, 1e3)} mm",
            hint="give a larger --fov, or leave it out",
        )
    return np.asarray(weight > _FAINTEST * weight.max())


def weighted_mean(total: Floats, weight: Floats, grid: Grid, axes: Sequence[int]) -> Floats:
    """Divide sums by their weights; voxels without a sample are interpolated between those with one.

    Parameters
    ----------
    total : shape (Q, P)
    weight : shape (P,)
    grid : mdf.Grid
    axes : sequence of int
        Axes of the interpolation.

    Returns
    -------
    shape (Q, P)
        0 outside the hull of the samples.

    Raises
    ------
    UsageError
        When no sample falls into the grid.
    """
    met = touched(weight, grid)
    images = np.zeros_like(total)
    images[:, met] = total[:, met] / weight[met]
    return _filled(images, met, grid, axes)


def _by(numbers: Iterable[float], scale: float = 1.0) -> str:
    return " x ".join(f"{scale * number:g}" for number in numbers) or "?"


def _check_axes(voxels: NDArray[np.int64], driven: Sequence[int]) -> None:
    for axis, count in enumerate(voxels):
        if count > 1 and axis not in driven:
            raise UsageError(
                f"the grid has {count} voxels along {'xyz'[axis]}, where the field-free point does not move",
                hint=f"it moves along {', '.join('xyz'[each] for each in driven)}",
            )


def _filled(images: Floats, met: Flags, grid: Grid, axes: Sequence[int]) -> Floats:
    from scipy.interpolate import LinearNDInterpolator

    if met.all():
        return images
    index = np.indices(grid.shape).reshape(3, -1)[::-1].T[:, list(axes)].astype(float)
    if len(axes) == 1:
        line = index[:, 0]
        for image in images:
            image[~met] = np.interp(line[~met], line[met], image[met], left=0, right=0)
        return images
    if np.linalg.matrix_rank(index[met] - index[met][0]) == len(axes):
        fill = LinearNDInterpolator(index[met], images[:, met].T, fill_value=0)
        images[:, ~met] = fill(index[~met]).T
    return images
