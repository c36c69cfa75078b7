"""Where an image of a point sample shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mdf import Grid

Images = NDArray[np.floating]
Floats = NDArray[np.float64]
Place = Literal["maximum", "centroid"]
SHARE = 0.5  # of the maximum: what is darker does not count for the centroid


@dataclass(frozen=True)
class PositionErrors:
    """How far from their true places point samples are seen.

    Parameters
    ----------
    errors : shape (...), m
        A failed image counts as half the field of view.
    failed : shape (...)
        Images that show nothing: flat, without a positive value, or not finite.
    spacing : shape (3,), m
        Distance of voxels along x, y, z: `locate` by the maximum is no finer.
    """

    errors: Floats
    failed: NDArray[np.bool_]
    spacing: Floats

    @property
    def mean(self) -> float:
        """Mean error in m."""
        return float(self.errors.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation of the errors in m (n - 1); NaN of one image."""
        return float(self.errors.std(ddof=1)) if self.errors.size > 1 else float("nan")


def locate(images: Images, grid: Grid, *, place: Place = "maximum") -> Floats:
    """Say where images of a point sample show it.

    Parameters
    ----------
    images : shape (..., z, y, x)
    grid : mdf.Grid
        Where the voxels are.
    place : {"maximum", "centroid"}
        The voxel of the largest value; or the centre of mass of all voxels of at least half that value, which
        is finer than a voxel.

    Returns
    -------
    shape (..., 3), m
        x, y, z; NaN for an image that shows nothing: flat, without a positive value, or not finite.
    """
    if images.shape[-3:] != grid.shape:
        raise ValueError(f"images of {images.shape[-3:]} voxels on a grid of {grid.shape}")
    places = grid.positions()
    flat = np.asarray(images, np.float64).reshape(-1, len(places))
    found = np.full((len(flat), 3), np.nan)
    for index, values in enumerate(flat):
        peak = values.max()
        if not np.isfinite(values).all() or peak <= 0 or np.ptp(values) == 0:
            continue
        if place == "maximum":
            found[index] = places[np.argmax(values)]
        else:
            bright = values >= SHARE * peak
            found[index] = values[bright] @ places[bright] / values[bright].sum()
    return found.reshape(*images.shape[:-3], 3)


def position_errors(
    images: Images, positions: NDArray[np.floating], grid: Grid, *, place: Place = "maximum"
) -> PositionErrors:
    """Distance of point samples in images from their true places.

    The position error of Dahms et al. (IWMPI 2026) with ``place="maximum"``. Axes of one voxel do not count.

    Parameters
    ----------
    images : shape (..., z, y, x)
    positions : shape (..., 3), m
        True places x, y, z; broadcasts against the leading axes of the images.
    grid : mdf.Grid
    place
        See `locate`.

    Returns
    -------
    PositionErrors
        An image that shows nothing counts as half of the longest side of the field of view.
    """
    extended = np.asarray(grid.size) > 1
    offset = (locate(images, grid, place=place) - positions)[..., extended]
    errors = np.sqrt(np.sum(offset**2, axis=-1))
    failed = np.isnan(errors)
    half = float(np.max(grid.field_of_view)) / 2
    return PositionErrors(np.where(failed, half, errors), failed, grid.spacing)
