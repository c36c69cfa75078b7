"""Figures of images beside a reference; the range is always that of the reference, never of the estimate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError

Images = NDArray[np.floating]
WINDOW = 11  # voxels of the Gaussian window of SSIM: 3.5 standard deviations of 1.5 to either side


def nrmse(estimate: Images, reference: Images) -> NDArray[np.float64]:
    """Normalised error ‖x̂ - x‖ / ‖x‖ of each image: 0 for a perfect estimate, 1 for an empty image.

    Parameters
    ----------
    estimate, reference : shape (..., z, y, x), same unit

    Returns
    -------
    shape (...)
        NaN where the reference is all zero.
    """
    found, wanted = _pair(estimate, reference)
    axes = (-3, -2, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.sqrt(np.sum((found - wanted) ** 2, axis=axes) / np.sum(wanted**2, axis=axes))
    return np.where(np.any(wanted != 0, axis=axes), value, np.nan)


def psnr(
    estimate: Images, reference: Images, *, data_range: Literal["span", 1] = "span"
) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio 10 log10(R² / MSE) of each image, with R = max - min of its reference.

    The estimate is neither scaled by itself nor clipped. Average it over images as it is, in dB.

    Parameters
    ----------
    estimate, reference : shape (..., z, y, x), same unit
    data_range : {"span", 1}
        "span": R = max - min of each reference. 1: both images are divided by the largest value of the
        reference, and R = 1, as much of the literature has it; the same where the smallest value is 0.

    Returns
    -------
    shape (...), dB
        Infinite for a perfect estimate, NaN where the reference is constant, or with ``data_range=1`` nowhere
        above 0.
    """

    def one(found: Images, wanted: Images, span: float) -> float:
        from skimage.metrics import peak_signal_noise_ratio

        if data_range == 1:
            largest = float(wanted.max())
            if largest <= 0:
                return np.nan
            found, wanted, span = found / largest, wanted / largest, 1.0
        with np.errstate(divide="ignore"):
            value = peak_signal_noise_ratio(wanted, found, data_range=span)  # type: ignore[no-untyped-call]
            return float(value)

    return _each(one, estimate, reference)


def ssim(estimate: Images, reference: Images) -> NDArray[np.float64]:
    """Structural similarity of each image (Wang et al., IEEE Trans. Image Process. 13, 2004).

    Gaussian weights with a standard deviation of 1.5 voxels in a window of 11, K1 = 0.01, K2 = 0.03,
    population covariance, and R = max - min of the reference of each image. Axes of one voxel are left out.

    Parameters
    ----------
    estimate, reference : shape (..., z, y, x), same unit

    Returns
    -------
    shape (...)
        1 for a perfect estimate, NaN where the reference is constant.

    Raises
    ------
    InputError
        When an image is smaller than the window.
    """

    def one(found: Images, wanted: Images, span: float) -> float:
        from skimage.metrics import structural_similarity

        choices = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        value = structural_similarity(  # type: ignore[no-untyped-call]
            wanted, found, data_range=span, K1=0.01, K2=0.03, **choices
        )
        return float(value)

    size = [length for length in np.shape(reference)[-3:] if length > 1]
    if size and min(size) < WINDOW:
        raise InputError(
            f"an image of {' x '.join(map(str, size))} voxels, SSIM needs {WINDOW} along each axis",
            hint="reconstruct on a finer grid, or look at the PSNR",
        )
    return _each(one, estimate, reference)


def _each(
    figure: Callable[[Images, Images, float], float], estimate: Images, reference: Images
) -> NDArray[np.float64]:
    """Apply a figure of one image (without axes of one voxel) to images of shape (..., z, y, x)."""
    found, wanted = _pair(estimate, reference)
    values = np.full(wanted.shape[:-3], np.nan)
    for index in np.ndindex(values.shape):
        span = float(np.ptp(wanted[index]))
        if span > 0:
            values[index] = figure(found[index].squeeze(), wanted[index].squeeze(), span)
    return values


def _pair(estimate: Images, reference: Images) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found, wanted = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    if found.shape != wanted.shape or wanted.ndim < 3:
        raise ValueError(f"estimate {found.shape} and reference {wanted.shape} must both be (..., z, y, x)")
    return found, wanted
