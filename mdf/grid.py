"""Regular grids of voxels: calibration positions and reconstructed images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """A regular grid; all vectors are in the order x, y, z (MDF 2.1.0, calibration).

    Parameters
    ----------
    size : shape (3,)
        Number of voxels.
    field_of_view : shape (3,), m
        Extent between the outer faces of the outermost voxels.
    center : shape (3,), m
        Centre relative to the scanner centre.
    order : str
        Axes of the stored frames from fast to slow. `positions` is x fastest whatever this says.
    """

    size: Ints
    field_of_view: Floats
    center: Floats
    order: str = "xyz"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (z, y, x) of an image on the grid."""
        x, y, z = (int(size) for size in self.size)
        return z, y, x

    @property
    def spacing(self) -> Floats:
        """Size of a voxel, shape (3,), m."""
        return self.field_of_view / self.size

    @property
    def extent_mm(self) -> Floats:
        """Lower and upper outer face along each axis, shape (3, 2), mm."""
        half = self.field_of_view / 2
        return 1e3 * np.stack([self.center - half, self.center + half], axis=1)

    def positions(self) -> Floats:
        """Return the centres of all voxels, shape (P, 3), m, x fastest.

        >>> Grid(np.array([2, 1, 1]), np.array([0.004, 0.001, 0.001]), np.zeros(3)).positions()[:, 0]
        array([-0.001,  0.001])
        """
        z, y, x = np.indices(self.shape).reshape(3, -1)
        place = np.stack([x, y, z], axis=1)
        centers: Floats = self.center + self.field_of_view * ((place + 0.5) / self.size - 0.5)
        return centers

    def stored_index(self) -> Ints:
        """Return where each voxel, x fastest, stands among values stored in `order`, shape (P,)."""
        return stored_index(self.size, self.order)

    def nearest(self, positions: Floats) -> Ints:
        """Return the voxel, x fastest, next to each of some positions, shape (O, 3) in m; -1 outside."""
        extent = np.where(self.field_of_view > 0, self.field_of_view, np.inf)  # a flat grid holds any place
        relative = (positions - self.center) / extent + 0.5
        place = np.floor(relative * self.size).astype(np.int64)
        inside = np.all((place >= 0) & (place < self.size), axis=1)
        x, y, z = place.T
        voxel: Ints = np.where(inside, x + self.size[0] * (y + self.size[1] * z), -1)
        return voxel


def stored_shape(size: Sequence[int] | Ints, order: str) -> tuple[int, ...]:
    """Return the lengths of a stored grid's axes from slow to fast; the first letter of `order` is fastest.

    >>> stored_shape([4, 3, 2], "yxz")
    (2, 4, 3)
    """
    if sorted(order) != ["x", "y", "z"]:
        raise ValueError(f"it is {order!r}, expected the letters x, y and z")
    return tuple(int(size["xyz".index(letter)]) for letter in reversed(order))


def stored_index(size: Sequence[int] | Ints, order: str) -> Ints:
    """Return where each voxel, x fastest, stands among values stored with the first letter fastest.

    >>> stored_index([2, 3, 1], "yxz")
    array([0, 3, 1, 4, 2, 5])
    """
    stored = np.arange(np.prod(size)).reshape(stored_shape(size, order))
    by_axis = [order[::-1].index(letter) for letter in "zyx"]
    index: Ints = stored.transpose(by_axis).reshape(-1)
    return index
