"""Another grid for a system matrix: a part of the calibration's own positions, or new ones between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import InputError, UsageError

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SAME = 1e-6  # of a voxel: nodes that are no further apart are the same
_EDGE = 1e-4  # of a voxel: a grid may reach so far beyond another, as single precision does
_PLANE = 1e-6  # m: the same for a grid without thickness
_BLOCK = 2**22  # bytes of rows that are interpolated at once


class Regridding:
    """Linear interpolation of the rows of a matrix from one grid to another.

    Along each axis a value is interpolated between the two nodes beside it, or extrapolated from the last two
    in the outer half of the outermost voxels. So a function that is linear in x, y and z is reproduced
    exactly. Along an axis with one node the values are constant. Where all nodes of the target are nodes of
    the source, the columns are taken as they are.

    Parameters
    ----------
    source : mdf.Grid
        Of the columns that come in.
    target : mdf.Grid
        Of those that go out; not outside the source, from outer face to outer face.

    Attributes
    ----------
    source, target : mdf.Grid
    needed : shape (P'',)
        Columns of the source that count, in ascending order; a crop needs no others.
    volume_ratio : float
        Volume of a voxel of the target over that of the source. A matrix whose columns stand for the content
        of a voxel has to be multiplied with it, if images shall stay concentrations.

    Raises
    ------
    InputError
        When the target reaches outside the source.

    Notes
    -----
    There is no filter against aliasing: a coarser target takes points of the source, and leaves out what
    oscillates faster than it can show. High rows of a system matrix then no longer fit their data.
    """

    def __init__(self, source: Grid, target: Grid) -> None:
        from scipy.sparse import kron

        half = target.field_of_view / 2
        _check_inside(source, target.center - half, target.center + half)
        self.source, self.target = source, target
        self.volume_ratio = float(np.prod(_spacing_ratio(source, target)))
        along_x, along_y, along_z = (_interpolation(source, target, axis) for axis in range(3))
        weights = kron(along_z, kron(along_y, along_x), format="csr")  # x fastest
        self.needed: Ints = np.unique(weights.indices).astype(np.int64)
        self._weights = weights[:, self.needed]
        self._is_selection = bool(np.all(self._weights.data == 1))

    def __call__(self, rows: Array) -> Array:
        """Return rows (m, P) of the source on the target, shape (m, P'), x fastest, of the same type."""
        if rows.shape[-1] != np.prod(self.source.size):
            raise ValueError(f"the rows have {rows.shape[-1]} columns, expected {np.prod(self.source.size)}")
        return self.of_needed(rows if len(self.needed) == rows.shape[-1] else rows[:, self.needed])

    @property
    def is_crop(self) -> bool:
        """The target has voxels of the source and no others: its columns are those `needed`."""
        in_order = np.array_equal(self._weights.indices, np.arange(len(self.needed)))
        return self._is_selection and in_order and bool(np.isclose(self.volume_ratio, 1, rtol=1e-9))

    def of_needed(self, rows: Array) -> Array:
        """Return rows of the columns `needed`, shape (m, P''), on the target, shape (m, P')."""
        if self._is_selection:
            same = np.array_equal(self._weights.indices, np.arange(rows.shape[1]))
            return rows if same else rows[:, self._weights.indices]
        weights = self._weights.astype(rows.real.dtype).T
        out = np.empty((len(rows), weights.shape[1]), rows.dtype)
        each = max(1, _BLOCK // (rows.itemsize * max(weights.shape)))
        for start in range(0, len(rows), each):
            out[start : start + each] = rows[start : start + each] @ weights
        return out


def _interpolation(source: Grid, target: Grid, axis: int) -> Any:
    """Weights of the nodes along one axis, sparse, shape (nodes of the target, nodes of the source)."""
    from scipy.sparse import csr_array

    count, size = int(target.size[axis]), int(source.size[axis])
    to = np.arange(count)
    if size == 1:
        return csr_array((np.ones(count), (to, np.zeros(count, np.int64))), shape=(count, 1))
    place = (_nodes(target, axis) - _nodes(source, axis)[0]) / source.spacing[axis]
    nearest = np.rint(place)
    place = np.where(np.abs(place - nearest) <= _SAME, nearest, place)
    low = np.clip(np.floor(place), 0, size - 2).astype(np.int64)
    share = place - low
    values, columns = np.concatenate([1 - share, share]), np.concatenate([low, low + 1])
    weights = csr_array((values, (np.tile(to, 2), columns)), shape=(count, size))
    weights.eliminate_zeros()
    return weights


def fitted_grid(
    source: Grid,
    size: Sequence[int] | None = None,
    field_of_view: Sequence[float] | None = None,
    center: Sequence[float] | None = None,
) -> Grid:
    """Return the grid for what is asked, axis by axis.

    Along an axis with a size, so many voxels fill the field of view. Along one without, it is cropped: the
    nodes of the source that lie in the field of view, its edges included, keep their places and spacing. The
    field of view of the result may then differ from that which is asked for by up to one voxel.

    Parameters
    ----------
    source : mdf.Grid
        Of the calibration.
    size : one to three int, optional
        Voxels along x, y, z. Axes that are not said are cropped.
    field_of_view : one to three float, m, optional
        Extent along x, y, z. Not said: as far as the source reaches on both sides of the centre.
    center : one to three float, m, optional
        Not said: that of the source.

    Returns
    -------
    mdf.Grid

    Raises
    ------
    UsageError
        For numbers that describe no grid.
    InputError
        When the field of view reaches outside the source, or holds none of its nodes.
    """
    middle = _three("center", center, source.center)
    whole = np.maximum(source.field_of_view - 2 * np.abs(middle - source.center), 0)
    extent = _three("field of view", field_of_view, whole)
    if np.any(extent[: len(field_of_view or ())] <= 0):
        raise UsageError(
            f"the field of view is {_in_mm(extent)} mm, expected numbers above 0",
            hint="for instance --fov 20x30",
        )
    voxels = tuple(int(count) for count in size or ())
    if len(voxels) > 3 or any(count < 1 for count in voxels):
        raise UsageError(
            f"the grid has {_by(voxels)} voxels, expected up to three numbers above 0",
            hint="for instance --grid 20x30",
        )
    _check_inside(source, middle - extent / 2, middle + extent / 2)
    axes = [
        _new_axis(source, axis, voxels[axis], extent[axis], middle[axis])
        if axis < len(voxels)
        else _cropped_axis(source, axis, extent[axis], middle[axis])
        for axis in range(3)
    ]
    counts, extents, middles = zip(*axes, strict=True)
    return Grid(np.array(counts), np.array(extents), np.array(middles))


def in_words(grid: Grid) -> str:
    """Say size, field of view and centre of a grid.

    >>> in_words(Grid(np.array([4, 3, 1]), np.array([0.02, 0.015, 0.001]), np.zeros(3)))
    '4 x 3 x 1 voxels in 20 x 15 x 1 mm around (0, 0, 0) mm'
    """
    around = ", ".join(_mm(place) for place in grid.center)
    return f"{_by(grid.size)} voxels in {_in_mm(grid.field_of_view)} mm around ({around}) mm"


def _new_axis(source: Grid, axis: int, count: int, extent: float, middle: float) -> tuple[int, float, float]:
    if source.size[axis] == 1 and count > 1:
        raise InputError(
            f"the grid has {count} voxels along {'xyz'[axis]}, where the calibration has one",
            hint="say 1 voxel there (--grid)",
        )
    if count > 1 and extent <= 0:
        raise InputError(
            f"the centre of the grid is on the edge of the calibration along {'xyz'[axis]}",
            hint="say a center further inside (-p center=...)",
        )
    return count, extent, middle


def _cropped_axis(source: Grid, axis: int, extent: float, middle: float) -> tuple[int, float, float]:
    nodes, spacing = _nodes(source, axis), float(source.spacing[axis])
    edge = extent / 2 + (_EDGE * spacing or _PLANE)
    inside = np.flatnonzero(np.abs(nodes - middle) <= edge)
    if not len(inside):
        raise InputError(
            f"no position of the calibration lies in the field of view along {'xyz'[axis]}, expected one in "
            f"{_range_mm(middle - extent / 2, middle + extent / 2)}",
            hint=f"use a larger field of view (--fov): the spacing is {_mm(spacing)} mm",
        )
    if len(inside) == len(nodes):
        return len(nodes), float(source.field_of_view[axis]), float(source.center[axis])
    first, last = nodes[inside[0]], nodes[inside[-1]]
    return len(inside), len(inside) * spacing, float(first + last) / 2


def _check_inside(source: Grid, lower: Floats, upper: Floats) -> None:
    half = source.field_of_view / 2
    edge = np.where(half > 0, _EDGE * source.spacing, _PLANE)
    least, most = source.center - half, source.center + half
    # a plane has no faces: whatever reaches across it is inside
    flat = half == 0
    outside = np.where(flat, lower > least + edge, lower < least - edge)
    outside |= np.where(flat, upper < most - edge, upper > most + edge)
    if not outside.any():
        return
    found = [
        f"along {'xyz'[axis]} it goes {_range_mm(lower[axis], upper[axis])}, the calibration "
        f"{_range_mm(least[axis], most[axis])}"
        for axis in np.flatnonzero(outside)
    ]
    raise InputError(
        f"grid outside the calibration: {'; '.join(found)}",
        hint="use a smaller field of view (--fov), or a center further inside (-p center=..., in m)",
    )


def _spacing_ratio(source: Grid, target: Grid) -> Floats:
    thick = (source.field_of_view > 0) & (target.field_of_view > 0)
    return np.divide(target.spacing, source.spacing, out=np.ones(3), where=thick)


def _nodes(grid: Grid, axis: int) -> Floats:
    count = int(grid.size[axis])
    places: Floats = grid.center[axis] + grid.field_of_view[axis] * ((np.arange(count) + 0.5) / count - 0.5)
    return places


def _three(name: str, said: Sequence[float] | None, otherwise: Floats) -> Floats:
    values = np.asarray(said if said is not None else (), np.float64)
    if len(values) > 3 or not np.all(np.isfinite(values)):
        raise UsageError(
            f"the {name} is {values.tolist()}, expected up to three finite numbers (x, y, z)",
            hint="for instance -p center=0.002,0 (in m)" if name == "center" else "for instance --fov 20x30",
        )
    return np.append(values, otherwise[len(values) :])


def _by(counts: Sequence[int] | Ints) -> str:
    return " x ".join(str(count) for count in counts)


def _in_mm(lengths: Floats) -> str:
    return " x ".join(_mm(length) for length in lengths)


def _range_mm(lower: float, upper: float) -> str:
    return f"from {_mm(lower)} to {_mm(upper)} mm"


def _mm(length: float) -> str:
    return f"{round(1e3 * length, 6) + 0:.6g}"  # to the nm: what is below is rounding
