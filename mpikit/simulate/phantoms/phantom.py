"""One or several distributions of tracer on the same grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import UsageError

Ints = NDArray[np.int64]


def check_concentration(name: str, concentration: float) -> None:
    """Refuse a highest concentration, mol(Fe)/L, that is negative or no number, with a `UsageError`."""
    if not 0 <= concentration < math.inf:
        raise UsageError(
            f"the concentration of phantom {name!r} is {concentration:g} mol(Fe)/L, expected 0 or more"
        )


@dataclass(frozen=True)
class Phantom:
    """One or several distributions of tracer on the same grid.

    Parameters
    ----------
    images : shape (Q, z, y, x), mol(Fe)/L
    grid : mdf.Grid
        Where the voxels are, in m.
    name : str
    origins : shape (Q,) or None
        See `sources`; None when every image is of another picture.

    Raises
    ------
    UsageError
        When a concentration is negative or no number.
    """

    images: NDArray[np.floating[Any]]
    grid: Grid
    name: str
    origins: Ints | None = None

    def __post_init__(self) -> None:
        if self.images.shape[1:] != self.grid.shape:
            raise ValueError(f"images of {self.images.shape[1:]} voxels on a grid of {self.grid.shape}")
        if self.origins is not None and self.origins.shape != (len(self.images),):
            raise ValueError(f"origins of shape {self.origins.shape} for {len(self.images)} images")
        if not np.all(np.isfinite(self.images)) or np.any(self.images < 0):
            raise UsageError(f"phantom {self.name!r} has a concentration that is negative or no number")

    @property
    def count(self) -> int:
        """Number of images Q."""
        return len(self.images)

    @property
    def sources(self) -> Ints:
        """Number of the picture that each image was made from, shape (Q,).

        Images of one picture are copies of each other: for a fair judgement they stay in one split.
        """
        return np.arange(self.count) if self.origins is None else self.origins

    def part(self, part: slice) -> Phantom:
        """Return some of the images, with their sources."""
        return Phantom(self.images[part], self.grid, self.name, self.sources[part])
