"""Reconstructed images with their grid, and how MDF stores them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mdf import File, Grid


@dataclass(frozen=True)
class Images:
    """Q images on one grid, of one tracer or of several.

    Parameters
    ----------
    values : shape (Q, z, y, x), or (Q, S, z, y, x) of several tracers, ``unit``
    grid : mdf.Grid
    frames : shape (Q,)
        Place in acquisition of the frame of each image, counted from 0; empty for a mean over frames.
    unit : str
        Of the values: ``"delta sample"`` is the amount in the calibration's sample.
    concentration : float, or tuple of S float, or None, mol/L
        What one unit stands for, when the calibration says; of several tracers when all calibrations do.
    tracers : tuple of S str
        Names of several tracers; empty for one.
    """

    values: NDArray[np.float32]
    grid: Grid
    frames: NDArray[np.int64]
    unit: str
    concentration: float | tuple[float, ...] | None = None
    tracers: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[NDArray[np.float32], str]:
        """Values and unit for people: mmol/L where that is known."""
        if self.concentration is None:
            return self.values, self.unit
        factor = np.float32(1e3) * np.asarray(self.concentration, np.float32)
        return self.values * (factor if factor.ndim == 0 else factor[:, None, None, None]), "mmol/L"

    def each(self) -> tuple[Images, ...]:
        """Return the images of each tracer by themselves; of one tracer the images as they are."""
        if not self.tracers:
            return (self,)
        known = self.concentration
        return tuple(
            replace(
                self,
                values=self.values[:, index],
                concentration=known[index] if isinstance(known, tuple) else known,
                tracers=(),
            )
            for index in range(len(self.tracers))
        )

    def peak(self) -> tuple[NDArray[np.float64], float]:
        """Position (x, y, z) in m and value, in ``unit``, of the highest voxel of the mean image.

        Of several tracers that of the highest one; `each` has them apart.
        """
        if self.tracers:
            return max((images.peak() for images in self.each()), key=lambda peak: peak[1])
        mean = self.values.mean(axis=0, dtype=np.float64).ravel()
        highest = int(np.argmax(mean))
        return self.grid.positions()[highest], float(mean[highest])

    def contents(self) -> dict[str, object]:
        """Datasets of `/reconstruction` (MDF 2.1.0, reconstruction).

        Voxels are x fastest, and each tracer is a channel.
        """
        return {
            "/reconstruction/data": self._data(),
            "/reconstruction/size": self.grid.size,
            "/reconstruction/fieldOfView": self.grid.field_of_view,
            "/reconstruction/fieldOfViewCenter": self.grid.center,
            "/reconstruction/order": "xyz",
            "/reconstruction/positions": self.grid.positions(),
        }

    def _data(self) -> NDArray[np.float32]:
        """Return the values as (Q, P, S)."""
        channels = self.values.reshape(len(self.values), max(len(self.tracers), 1), -1)
        return np.ascontiguousarray(channels.swapaxes(1, 2), np.float32)


def concentration_of(calibration: File) -> float | None:
    """Return the concentration of the delta sample in mol/L, when the file says it without a doubt.

    Parameters
    ----------
    calibration : mdf.File
    """
    values = calibration.tracer.concentration if calibration.tracer is not None else None
    if values is None or np.size(values) != 1:
        return None
    value = float(np.ravel(values)[0])
    return value if np.isfinite(value) and value > 0 else None
