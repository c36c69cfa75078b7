"""Bodies that are given by a formula, on a grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.simulate.phantoms.place import field_of_view

Floats = NDArray[np.float64]

_FEWEST, _MOST = 4, 16  # points of a voxel along each axis


def filled(
    grid: Grid, depth: Callable[[Floats, Floats, float], Floats], box: Floats, *, finest: float
) -> Floats:
    """Return the share of each voxel that a body fills, from points on a regular sub-grid.

    A point counts from 0 to 1 over a border as thick as the sub-grid is fine, which makes the volume of round
    bodies far more exact than counting would.

    Parameters
    ----------
    grid : mdf.Grid
    depth : callable
        Takes x of shape (1, X), y of shape (Y, 1) and one z, all in m, and returns how deep (Y, X) points
        lie in the body, in m; negative outside.
    box : shape (2, 3), m
        Lower and upper corner of a box that holds the body.
    finest : float, m
        Thickness of the finest part of the body: it gets at least eight points across, where 16 points of a
        voxel along each axis allow it.

    Returns
    -------
    shape (z, y, x), from 0 to 1
    """
    out: Floats = np.zeros(grid.shape)
    points = np.clip(np.ceil(8 * grid.spacing / finest).astype(int), _FEWEST, _MOST)
    border = float(np.min(grid.spacing / points))
    low, _ = field_of_view(grid)
    start, end = (box + np.array([[-border], [border]]) / 2 - low) / grid.spacing
    first = np.clip(np.floor(start).astype(int), 0, grid.size)
    last = np.clip(np.ceil(end).astype(int), first, grid.size)
    nx, ny, nz = (int(count) for count in last - first)
    if 0 in (nx, ny, nz):
        return out
    x, y, z = (
        low[axis] + grid.spacing[axis] * (first[axis] + (np.arange(count * step) + 0.5) / step)
        for axis, (count, step) in enumerate(zip((nx, ny, nz), points, strict=True))
    )
    for plane, height in enumerate(z):
        share = np.clip(0.5 + depth(x[None], y[:, None], float(height)) / border, 0, 1)
        slab = out[first[2] + plane // points[2], first[1] : last[1], first[0] : last[0]]
        slab += share.reshape(ny, points[1], nx, points[0]).sum(axis=(1, 3))
    return out / float(np.prod(points))
