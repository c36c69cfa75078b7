"""Images of one size on a grid of another, with the same amount of tracer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.simulate.phantoms.place import Vector

Floats = NDArray[np.float64]


def resample(images: NDArray[np.floating[Any]], grid: Grid, shift: Vector) -> NDArray[np.floating[Any]]:
    """Bring images that fill the field of view of a grid to its size, then move them.

    An axis that keeps its size and its place is not touched.

    Parameters
    ----------
    images : shape (Q, z, y, x)
    grid : mdf.Grid
    shift : shape (3,), m

    Returns
    -------
    shape (Q, z, y, x) of the grid
    """
    for axis, move, size, extent in zip((3, 2, 1), shift, grid.size, grid.field_of_view, strict=True):
        cells = images.shape[axis]
        if cells == size and move == 0:
            continue
        matrix = averaging(int(size), cells, move / float(extent))
        images = np.moveaxis(np.moveaxis(images, axis, -1) @ matrix.T, -1, axis)
    return images


def averaging(size: int, cells: int, shift: float = 0.0) -> Floats:
    """Return the matrix (size, cells) from the values of cells to the means over cells of another size.

    Between fewer cells than before the values are steps, so that the means are area averages; between more
    cells they are joined by straight lines, which continue level into the two outer half cells. Either way
    the integral is kept.

    Parameters
    ----------
    size, cells : int
        Number of cells after and before, over the same length.
    shift : float
        How far the values move, in units of that length; what leaves it is lost.

    Examples
    --------
    >>> averaging(2, 4)
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    >>> averaging(4, 2)[1]
    array([0.75, 0.25])
    """
    faces = np.clip((np.arange(size + 1) / size - shift) * cells, 0, cells)[:, None]
    if size <= cells:
        integral = np.clip(faces - np.arange(cells), 0, 1)
    else:
        hats = _hat_integral(faces - np.arange(-1, cells + 1) - 0.5)
        hats[:, 1] += hats[:, 0]
        hats[:, -2] += hats[:, -1]
        integral = hats[:, 1:-1]
    means: Floats = np.diff(integral, axis=0) * size / cells
    return means


def _hat_integral(place: Floats) -> Floats:
    """Return the integral of the hat function 1 - abs(t) from -1 to a place."""
    inside = np.clip(place, -1, 1)
    return 0.5 + inside - inside * np.abs(inside) / 2
