"""Reconstructed images with their grid, and how MDF stores them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdf import Grid


@dataclass(frozen=True)
class Images:
    """Q images on one grid.

    Parameters
    ----------
    values : shape (Q, z, y, x), ``unit``
    grid : mdf.Grid
    frames : shape (Q,)
        Place in acquisition of the frame of each image, counted from 0; empty for a mean over frames.
    unit : str
        Of the values: ``"delta sample"`` is the amount in the calibration's sample.
    concentration : float or None, mol/L
        What one unit stands for, when the calibration says.
    """

    values: NDArray[np.float32]
    grid: Grid
    frames: NDArray[np.int64]
    unit: str
    concentration: float | None = None

    @property
    def shown(self) -> tuple[NDArray[np.float32], str]:
        """Values and unit for people: mmol/L where that is known."""
        if self.concentration is None:
            return self.values, self.unit
        return (self.values * np.float32(1e3 * self.concentration)), "mmol/L"

    def peak(self) -> tuple[NDArray[np.float64], float]:
        """Position (x, y, z) in m and value, in ``unit``, of the highest voxel of the mean image."""
        mean = self.values.mean(axis=0, dtype=np.float64).ravel()
        highest = int(np.argmax(mean))
        return self.grid.positions()[highest], float(mean[highest])

    def contents(self) -> dict[str, object]:
        """Datasets of `/reconstruction` (MDF 2.1.0, reconstruction); voxels x fastest."""
        return {
            "/reconstruction/data": self.values.reshape(len(self.values), -1, 1).astype(np.float32),
            "/reconstruction/size": self.grid.size,
            "/reconstruction/fieldOfView": self.grid.field_of_view,
            "/reconstruction/fieldOfViewCenter": self.grid.center,
            "/reconstruction/order": "xyz",
            "/reconstruction/positions": self.grid.positions(),
        }
