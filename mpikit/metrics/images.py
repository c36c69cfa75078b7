"""Figures of images beside a reference; the range is always that of the reference, never of the estimate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError

Images = NDArray[np.floating]
WINDOW = 11  # voxels of the Gaussian window of SSIM: 3.5 standard deviations of 1.5 to either side


def psnr(estimate: Images, reference: Images) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio 10 log10(R² / MSE) of each image, with R = max - min of its reference.

    The estimate is neither scaled nor clipped. Average it over images as it is, in dB.

    Parameters
    ----------
    estimate, reference : shape (..., z, y, x), same unit

    Returns
    -------
    shape (...), dB
        Infinite for a perfect estimate, NaN where the reference is constant.
    """

    def one(found: Images, wanted: Images, span: float) -> float:
        from skimage.metrics import peak_signal_noise_ratio

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
    found, wanted = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    if found.shape != wanted.shape or wanted.ndim < 3:
        raise ValueError(f"estimate {found.shape} and reference {wanted.shape} must both be (..., z, y, x)")
    values = np.full(wanted.shape[:-3], np.nan)
    for index in np.ndindex(values.shape):
        span = float(np.ptp(wanted[index]))
        if span > 0:
            values[index] = figure(found[index].squeeze(), wanted[index].squeeze(), span)
    return values
