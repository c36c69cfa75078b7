"""Grids of patches on one grid that covers them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import InputError
from mpikit.reconstruct.regrid import Regridding

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDING = 0.01  # of a voxel: a patch that is no further off the grid is moved onto it, and that is said
_INSIDE = 5e-5  # of a voxel, half of what a regridding takes for inside
_ALIKE = 1e-6  # of a spacing: what is no smaller than another but for this is as large
_BLOCK = 2**22  # bytes of rows that are extended at once
_MOST = 1e6  # voxels along an axis
_SAME = 1e-6  # m: planes without thickness that are no further apart are one


class Fitting:
    """What brings the columns of a patch to nodes of another grid, up to its outer faces.

    As `mpikit.reconstruct.regrid.Regridding`, but it is the nodes of the target that lie inside the source,
    and not all of their voxels: in the outer half of the outermost voxels values are extrapolated. A layer
    stands for a layer of any thickness.

    Parameters
    ----------
    source, target : mdf.Grid

    Attributes
    ----------
    source, target : mdf.Grid
    volume_ratio : float
        Volume of a voxel of the target over that of the source.
    """

    def __init__(self, source: Grid, target: Grid) -> None:
        self.source, self.target = source, target
        thick = (source.field_of_view > 0) & (target.field_of_view > 0)
        ratios = np.divide(target.spacing, source.spacing, out=np.ones(3), where=thick)
        self.volume_ratio = float(np.prod(ratios))
        single = source.size == 1
        beyond = np.abs(target.center - source.center) + (target.field_of_view - source.field_of_view) / 2
        spacing = np.where(source.spacing > 0, source.spacing, 1.0)
        self._room = np.where(single, 0, np.ceil(np.maximum(beyond / spacing - _INSIDE, 0))).astype(int)
        size = source.size + 2 * self._room
        wider = Grid(
            size,
            np.where(single, target.field_of_view, size * source.spacing),
            np.where(single, target.center, source.center),
        )
        self._regridding = Regridding(wider, target)

    def __call__(self, rows: Array) -> Array:
        """Return rows (m, P) of the source on the target, shape (m, P'), x fastest, of the same type."""
        if not self._room.any():
            return self._regridding(rows)
        out = np.empty((len(rows), int(np.prod(self.target.size))), rows.dtype)
        each = max(1, _BLOCK // (rows.itemsize * int(np.prod(self.source.size + 2 * self._room))))
        around = [(0, 0), *((room, room) for room in self._room[::-1])]
        for start in range(0, len(rows), each):
            block = rows[start : start + each].reshape(-1, *self.source.size[::-1])
            block = np.pad(block, around, mode="reflect", reflect_type="odd")  # the last slope goes on
            out[start : start + each] = self._regridding(block.reshape(len(block), -1))
        return out


@dataclass(frozen=True)
class Placement:
    """Where the columns of a patch stand on the grid of the image.

    Parameters
    ----------
    columns : shape (P',)
        Voxels of the image, each once.
    regridding : Fitting or None
        What makes these columns of those of the patch; None: they are its own.
    moved : shape (3,), m
        How far the nodes of the patch were moved to stand on nodes of the image.
    interpolated : bool
        The columns are values between those of the patch.
    """

    columns: Ints
    regridding: Fitting | None
    moved: Floats
    interpolated: bool = False


@dataclass(frozen=True)
class _Stretch:
    """Nodes of the image along one axis that lie in a patch, and the patch as it is put there.

    ``moved`` is None where nodes are interpolated, ``whole`` tells that they are those of the patch.
    """

    first: int
    count: int
    moved: float | None
    extent: float
    center: float
    whole: bool


def moved_grid(grid: Grid, shift: Floats) -> Grid:
    """Return a grid at another place.

    Parameters
    ----------
    grid : mdf.Grid
    shift : shape (3,), m
    """
    return Grid(grid.size, grid.field_of_view, grid.center + shift, grid.order)


def joint_grid(grids: Sequence[Grid]) -> Grid:
    """Return the smallest regular grid with the smallest spacing that covers all grids.

    Along each axis its nodes are in line with those of the first grid that has the smallest spacing there, so
    that this one needs no interpolation. Where all have one layer, at one place, the result has one, as thick
    as the thinnest.

    Parameters
    ----------
    grids : sequence of mdf.Grid

    Raises
    ------
    InputError
        When grids without thickness lie in different planes.
    """
    counts, extents, middles = zip(*(_joint_axis(grids, axis) for axis in range(3)), strict=True)
    return Grid(np.array(counts), np.array(extents), np.array(middles))


def place(grid: Grid, image: Grid) -> Placement:
    """Place the grid of a patch on that of the image.

    Where its nodes are those of the image along an axis, but for `ROUNDING`, they are taken as they are. A
    single layer goes to the nearest one. Along the other axes the columns are interpolated to all nodes of
    the image that lie inside the patch, in the outer half of its outermost voxels extrapolated.

    Parameters
    ----------
    grid, image : mdf.Grid

    Raises
    ------
    InputError
        When no voxel of the image lies inside the patch.
    """
    axes = [_place_axis(grid, image, axis) for axis in range(3)]
    x, y, z = (np.arange(axis.first, axis.first + axis.count) for axis in axes)
    columns = (x + image.size[0] * (y[:, None] + image.size[1] * z[:, None, None])).ravel()
    moved = np.array([axis.moved or 0.0 for axis in axes])
    if all(axis.whole for axis in axes):
        return Placement(columns, None, moved)
    first = np.array([axis.first for axis in axes])
    size = np.array([axis.count for axis in axes])
    lower = image.center - image.field_of_view / 2 + first * image.spacing
    target = Grid(size, size * image.spacing, lower + size * image.spacing / 2)
    source = Grid(
        grid.size, np.array([axis.extent for axis in axes]), np.array([axis.center for axis in axes])
    )
    return Placement(columns, Fitting(source, target), moved, any(axis.moved is None for axis in axes))


def common_grid(grids: Sequence[Grid]) -> Grid:
    """Return the largest regular grid with the smallest spacing that lies inside all grids.

    Along each axis its nodes are those of the grid that has the smallest spacing there, of several such grids
    the one that begins first. Where a grid has one layer, the result has the thinnest layer. So the order of
    the grids does not matter.

    Parameters
    ----------
    grids : sequence of mdf.Grid

    Raises
    ------
    InputError
        When the grids have nothing in common.
    """
    counts, extents, middles = zip(*(_common_axis(grids, axis) for axis in range(3)), strict=True)
    return Grid(np.array(counts), np.array(extents), np.array(middles))


def onto(grid: Grid, common: Grid, target: Grid | None = None) -> Regridding:
    """Return what brings columns from a grid to a `common_grid`, or to one inside of it.

    The only layer of a grid is taken for that of the common grid.

    Parameters
    ----------
    grid, common : mdf.Grid
    target : mdf.Grid, optional
        Inside the common grid; not given: that.
    """
    single = grid.size == 1
    source = Grid(
        grid.size,
        np.where(single, common.field_of_view, grid.field_of_view),
        np.where(single, common.center, grid.center),
    )
    return Regridding(source, common if target is None else target)


def _common_axis(grids: Sequence[Grid], axis: int) -> tuple[int, float, float]:
    """Voxels, extent and centre along one axis."""
    middle = np.array([grid.center[axis] for grid in grids])
    half = np.array([grid.field_of_view[axis] / 2 for grid in grids])
    low, high = float(np.max(middle - half)), float(np.min(middle + half))
    layers = [index for index, grid in enumerate(grids) if grid.size[axis] == 1]
    if low > high + (-_SAME if half.all() else _SAME):
        raise _apart(axis)
    if layers:
        thinnest = min(layers, key=lambda index: (half[index], middle[index]))
        return 1, float(2 * half[thinnest]), float(middle[thinnest])
    spacing = np.array([grid.spacing[axis] for grid in grids])
    alike = np.flatnonzero(spacing <= spacing.min() * (1 + _ALIKE))
    finest = int(min(alike, key=lambda index: middle[index] - half[index]))
    step, start = spacing[finest], middle[finest] - half[finest]
    first = int(np.ceil((low - start) / step - _INSIDE))
    last = int(np.floor((high - start) / step + _INSIDE))
    if last <= first:
        raise _apart(axis)
    return last - first, (last - first) * step, start + (first + last) / 2 * step


def _apart(axis: int) -> InputError:
    return InputError(
        f"the grids of the calibrations have nothing in common along {'xyz'[axis]}",
        hint="tracers are told apart where all of them were calibrated: use calibrations of one place",
    )


def _joint_axis(grids: Sequence[Grid], axis: int) -> tuple[int, float, float]:
    """Voxels, extent and centre along one axis."""
    middle = np.array([grid.center[axis] for grid in grids])
    half = np.array([grid.field_of_view[axis] / 2 for grid in grids])
    spacing = np.array([grid.spacing[axis] for grid in grids])
    if not spacing.all():
        if half.any() or np.ptp(middle) > _SAME:
            raise InputError(
                f"a calibration grid has no thickness along {'xyz'[axis]}, along which patches are shifted",
                hint="give the calibration its thickness in /calibration/fieldOfView",
            )
        return 1, 0.0, float(middle[0])
    if all(grid.size[axis] == 1 for grid in grids) and np.ptp(middle) <= _SAME:
        return 1, float(2 * half.min()), float(middle[0])
    finest = int(np.argmin(spacing))
    step, start = spacing[finest], middle[finest] - half[finest]
    with np.errstate(all="ignore"):
        ends = (np.array([np.min(middle - half), np.max(middle + half)]) - start) / step
    if not np.ptp(ends) <= _MOST:  # nor if it is no number
        raise InputError(
            f"the grids of the calibrations cannot be joined along {'xyz'[axis]}: their sizes, centres or "
            "fields of view are no numbers, or too far apart",
            hint="mpikit validate looks at a system matrix",
        )
    low = int(np.floor(ends[0] + ROUNDING))
    high = int(np.ceil(ends[1] - ROUNDING))
    return high - low, (high - low) * step, start + (low + high) / 2 * step


def _place_axis(grid: Grid, image: Grid, axis: int) -> _Stretch:
    """Find the nodes of the image that lie in a patch along one axis."""
    size, step, nodes = int(grid.size[axis]), float(image.spacing[axis]), int(image.size[axis])
    extent, center = float(grid.field_of_view[axis]), float(grid.center[axis])
    if step == 0:
        return _Stretch(0, 1, float(image.center[axis]) - center, extent, center, True)
    start = float(image.center[axis] - image.field_of_view[axis] / 2)
    at = (center - start) / step - size / 2  # of the first voxel, when they are as large
    if size == 1:
        first = int(np.clip(np.rint(at), 0, nodes - 1))
        if abs(at - first) * step > max(extent, step) / 2 * (1 + ROUNDING):
            raise _outside(axis, center)
        same = abs(extent / step - 1) <= ROUNDING
        return _Stretch(first, 1, (first - at) * step, extent, center, same)
    first = int(np.rint(at))
    if abs(extent / step - size) <= ROUNDING and abs(at - first) <= ROUNDING:
        low, high = max(first, 0), min(first + size, nodes)
        middle = start + (first + size / 2) * step
        found = _Stretch(low, high - low, (first - at) * step, size * step, middle, high - low == size)
    else:
        lower, upper = ((center + side * extent / 2 - start) / step - 0.5 for side in (-1, 1))
        low = max(int(np.ceil(lower - _INSIDE)), 0)
        high = min(int(np.floor(upper + _INSIDE)) + 1, nodes)
        found = _Stretch(low, high - low, None, extent, center, False)
    if found.count < 1:
        raise _outside(axis, center)
    return found


def _outside(axis: int, center: float) -> InputError:
    return InputError(
        f"the patch around {1e3 * center:.4g} mm along {'xyz'[axis]} holds no voxel of the image",
        hint="use a larger field of view or more voxels (--fov, --grid), or leave both out",
    )
