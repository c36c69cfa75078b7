"""Where a phantom lies in the field of view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import UsageError

Floats = NDArray[np.float64]
Vector = tuple[float, float, float]

ORIGIN: Vector = (0.0, 0.0, 0.0)
_ROUNDING = 1e-9  # of the field of view


def field_of_view(grid: Grid) -> Floats:
    """Return the lower and the upper corner of a grid, shape (2, 3), m."""
    half = grid.field_of_view / 2
    return np.stack([grid.center - half, grid.center + half])


def scaled(grid: Grid, boxes: object, centre: Vector) -> Floats:
    """Return boxes that are given in x and y in units of half the field of view, and fill it in z.

    Parameters
    ----------
    grid : mdf.Grid
    boxes : shape (B, 2, 2)
        Lower and upper x and y, where ±1 is the edge of the field of view.
    centre : shape (3,), m
        Shift from the centre of the field of view.

    Returns
    -------
    shape (B, 2, 3), m
    """
    planes = np.asarray(boxes, float)
    whole = np.broadcast_to(np.array([[-1.0], [1.0]]), (len(planes), 2, 1))
    boxes_of_three = np.concatenate([planes, whole], axis=2)
    placed: Floats = grid.center + np.asarray(centre) + boxes_of_three * grid.field_of_view / 2
    return placed


def covered(grid: Grid, box: Floats) -> Floats:
    """Return the share of each voxel that lies in a box.

    Parameters
    ----------
    grid : mdf.Grid
    box : shape (2, 3), m
        Lower and upper corner; its faces are parallel to the axes.

    Returns
    -------
    shape (z, y, x), from 0 to 1
    """
    low, _ = field_of_view(grid)
    x, y, z = (
        np.diff(np.clip(low[axis] + step * np.arange(size + 1), *box[:, axis])) / step
        for axis, (size, step) in enumerate(zip(grid.size, grid.spacing, strict=True))
    )
    share: Floats = np.einsum("z,y,x->zyx", z, y, x)
    return share


def check_inside(name: str, boxes: Floats, grid: Grid, *, cut: bool = False) -> None:
    """Refuse a phantom that reaches out of the field of view.

    Parameters
    ----------
    name : str
    boxes : shape (B, 2, 3), m
        Lower and upper corners of boxes that hold the parts of the phantom.
    grid : mdf.Grid
    cut : bool
        A grid of a single slice may cut the phantom in z: a planar scan images a slice of its object.

    Raises
    ------
    UsageError
        When a part is outside, or nothing is in the slice.
    """
    inner = field_of_view(grid)
    tolerance = _ROUNDING * grid.field_of_view
    hint = "shift it with --at, or take a larger field of view with --fov"
    sliced = cut and int(grid.size[2]) == 1
    if sliced and not np.any(_overlap(boxes, inner)[:, 2] > tolerance[2]):
        raise UsageError(
            f"phantom {name!r} is out of the field of view: its tracer lies at z {_layers(boxes)} mm, "
            f"the slice at z {_span(inner[:, 2])} mm",
            hint=hint,
        )
    outer = np.stack([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)])
    outside = (outer[0] < inner[0] - tolerance) | (outer[1] > inner[1] + tolerance)
    if np.any(outside[:2] if sliced else outside):
        raise UsageError(
            f"phantom {name!r} is out of the field of view: it reaches over {_extent(outer)}, "
            f"the field of view over {_extent(inner)}",
            hint=hint,
        )


def _overlap(boxes: Floats, inner: Floats) -> Floats:
    """Return how far boxes and a box overlap along each axis, shape (B, 3), m; negative for a gap."""
    overlap: Floats = np.minimum(boxes[:, 1], inner[1]) - np.maximum(boxes[:, 0], inner[0])
    return overlap


def _layers(boxes: Floats) -> str:
    layers = np.unique(np.round(boxes[:, :, 2], 9), axis=0)
    return " and ".join(_span(layer) for layer in layers)


def _extent(box: Floats) -> str:
    return ", ".join(f"{axis} {_span(box[:, place])}" for place, axis in enumerate("xyz")) + " mm"


def _span(values: Floats) -> str:
    low, high = (round(1e3 * float(value), 3) + 0.0 for value in values)  # no minus in front of zero
    return f"{low:g} to {high:g}"
