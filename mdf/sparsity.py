"""Sparsity transformation: cosine coefficients in place of foreground frames (MDF 2.1.0, measurement).

All transforms are orthonormal: the inverse is the transpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mdf import spec

Array = np.ndarray[Any, Any]


@lru_cache(maxsize=32)
def cosines(name: str, length: int) -> NDArray[np.float64]:
    """Return the matrix that transforms a vector, shape (length, length): coefficient, then position.

    >>> cosines("DCT-II", 2).round(3)
    array([[ 0.707,  0.707],
           [ 0.707, -0.707]])
    """
    if name not in spec.TRANSFORMATIONS:
        raise ValueError(f"the transformation is {name!r}, expected one of {', '.join(spec.TRANSFORMATIONS)}")
    if length == 1:
        return np.ones((1, 1))
    places = np.arange(length)
    if name == "DCT-III":
        return cosines("DCT-II", length).T
    if name == "DCT-I":
        ends = np.where((places == 0) | (places == length - 1), np.sqrt(0.5), 1.0)
        angle = np.pi * np.outer(places, places) / (length - 1)
        ends_of_both: NDArray[np.float64] = np.sqrt(2 / (length - 1)) * np.outer(ends, ends) * np.cos(angle)
        return ends_of_both
    start = np.where(places == 0, np.sqrt(0.5), 1.0) if name == "DCT-II" else np.ones(length)
    order = places if name == "DCT-II" else places + 0.5
    matrix: NDArray[np.float64] = (
        np.sqrt(2 / length) * start[:, None] * np.cos(np.pi * np.outer(order, places + 0.5) / length)
    )
    return matrix


def transform(values: Array, name: str, size: Sequence[int], *, inverse: bool = False) -> Array:
    """Transform vectors that fill a grid, along each axis of the grid.

    Parameters
    ----------
    values : shape (..., O)
        Real or complex; the grid is flattened in the last axis.
    name : {"DCT-I", "DCT-II", "DCT-III", "DCT-IV"}
    size : sequence of int
        Lengths of the grid's axes from slow to fast, for order "xyz": z, y, x.
    inverse : bool
        From coefficients back to values.

    Returns
    -------
    shape (..., O), float64 or complex128
    """
    lead = values.shape[:-1]
    grid = values.reshape(*lead, *size)
    for axis, length in enumerate(size, start=len(lead)):
        if length > 1:  # no type changes a single value; DCT-I is not defined for one
            matrix = cosines(name, int(length))
            side = matrix if inverse else matrix.T
            grid = np.moveaxis(np.tensordot(grid, side, axes=(axis, 0)), -1, axis)
    flat: Array = grid.reshape(*lead, -1)
    return flat


@dataclass(frozen=True)
class Sparsity:
    """What brings the frames of a compressed file back.

    Parameters
    ----------
    name : str
        DCT-I, DCT-II, DCT-III or DCT-IV.
    size : tuple of int
        Lengths of the grid's axes from slow to fast; their product is O.
    places : h5py.Dataset, shape (J, C, K, B)
        Which coefficients were kept, from 1.
    """

    name: str
    size: tuple[int, ...]
    places: h5py.Dataset

    @property
    def num_positions(self) -> int:
        """O: foreground frames."""
        return int(np.prod(self.size))

    @property
    def num_kept(self) -> int:
        """B: coefficients kept of each frequency component."""
        return int(self.places.shape[-1])

    def restore(self, stored: Array, rows: tuple[slice, slice, slice]) -> Array:
        """Return the frames of some rows.

        Parameters
        ----------
        stored : shape (J, C, K, B + E)
            Kept coefficients and background frames of these rows.
        rows : tuple of slice
            Which periods, channels and components they are.

        Returns
        -------
        shape (J, C, K, O + E)
        """
        places = np.asarray(self.places[rows]).astype(np.int64) - 1
        ordered = np.sort(places, axis=-1)
        is_out = places.size and (ordered.min() < 0 or ordered.max() >= self.num_positions)
        if is_out or np.any(ordered[..., 1:] == ordered[..., :-1]):
            raise ValueError(f"subsamplingIndices has no distinct indices from 1 to {self.num_positions}")
        full = np.zeros((*stored.shape[:-1], self.num_positions), np.result_type(stored, np.float64))
        np.put_along_axis(full, places, stored[..., : self.num_kept], axis=-1)
        foreground = transform(full, self.name, self.size, inverse=True)
        return np.concatenate([foreground, stored[..., self.num_kept :]], axis=-1).astype(stored.dtype)
