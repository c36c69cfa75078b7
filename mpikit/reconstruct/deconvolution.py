"""Sharper x-space images: deconvolution with the known point spread function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import NumericalError, UsageError

if TYPE_CHECKING:
    from mpikit.simulate.particles import Particle

Floats = NDArray[np.float64]

_FAINTEST = 1e-9  # of the largest voxel: Richardson-Lucy divides by nothing fainter


def point_spread_function(
    particle: Particle | float, gradient: Floats, grid: Grid, *, motion: Floats
) -> Floats:
    """Return the image that x-space makes of a point, for particles in equilibrium.

    With the Jacobian h(B) of the mean moment direction (`Particle.magnetisation`) at the field B = G r of a
    point at the distance r, a sample that moves along the unit vector v shows v · h v. The mean over the
    samples is the trace of h M, where M is the mean of v vᵀ with the weights of the image.

    Parameters
    ----------
    particle : Particle or float
        Particles, or the field k T / m in T at which the Langevin argument of one size is 1.
    gradient : shape (3, 3), T/m
    grid : mdf.Grid
        Of the image: its voxels count, not its place.
    motion : shape (3, 3), 1
        `Trajectory.motion`. Where the direction changes over the image, this is the mean one.

    Returns
    -------
    shape (2z - 1, 2y - 1, 2x - 1), 1
        Between any two voxels of the image; the point is in the middle, and the sum is 1.

    Raises
    ------
    UsageError
        When the saturation field is not above 0.

    Notes
    -----
    P. W. Goodwill, S. M. Conolly: Multidimensional x-space magnetic particle imaging, IEEE Transactions on
    Medical Imaging 30 (2011) 1581.
    """
    reach = grid.size - 1
    distance = [spacing * np.arange(-n, n + 1) for n, spacing in zip(reach, grid.spacing, strict=True)]
    z, y, x = np.meshgrid(*distance[::-1], indexing="ij")
    field = np.stack([x, y, z], axis=-1) @ gradient.T
    even, growth = _magnetisation(particle, np.sum(field**2, axis=-1))
    along = np.einsum("...a,ab,...b->...", field, motion, field)
    seen = even * np.trace(motion) + growth * along
    normalised: Floats = seen / seen.sum()
    return normalised


def wiener(images: Floats, psf: Floats, *, noise_to_signal: float = 0.01) -> Floats:
    """Deconvolve images with the Wiener filter.

    The spectrum is multiplied by ``H* (1 + q) / (|H|² + q)``, where q is the ratio of the power of the noise
    to that of the signal. The factor 1 + q keeps the total amount. Noise is raised by (1 + q) / (2 √q) at
    most.

    Parameters
    ----------
    images : shape (Q, z, y, x)
        They are continued beyond their edges by a ramp to zero, as wide as the point spread function reaches.
    psf : shape (odd, odd, odd)
        Point spread function with the point in the middle; it is scaled to the sum 1.
    noise_to_signal : float
        Ratio of powers, the same at all spatial frequencies.

    Returns
    -------
    shape (Q, z, y, x)
        Of the unit of the images. Values may be negative.

    Raises
    ------
    UsageError
        When the ratio is not above 0, or the point spread function has an even number of voxels.
    NumericalError
        When an image is not finite.
    """
    if not 0 < noise_to_signal < np.inf:
        raise UsageError(
            f"the noise-to-signal ratio is {noise_to_signal:g}, expected a number above 0",
            hint="0.01 suits images with little noise, 0.1 others",
        )
    psf = _checked(images, psf)
    padded, inside = _padded(images, psf)
    axes, shape = (1, 2, 3), padded.shape[1:]
    kernel = np.zeros(shape)
    kernel[tuple(slice(0, size) for size in psf.shape)] = psf
    kernel = np.roll(kernel, [-(size // 2) for size in psf.shape], axis=(0, 1, 2))
    response = np.fft.rfftn(kernel)
    gain = response.conj() * (1 + noise_to_signal) / (np.abs(response) ** 2 + noise_to_signal)
    found: Floats = np.fft.irfftn(np.fft.rfftn(padded, axes=axes) * gain, s=shape, axes=axes)
    return found[inside]


def richardson_lucy(images: Floats, psf: Floats, *, iterations: int = 20) -> Floats:
    """Deconvolve images without negative values, by Richardson and Lucy's iteration.

    Parameters
    ----------
    images : shape (Q, z, y, x)
        Negative values are taken as 0. Continued beyond the edges as for `wiener`.
    psf : shape (odd, odd, odd)
        Point spread function with the point in the middle; it is scaled to the sum 1.
    iterations : int
        More make it sharper, and noisier.

    Returns
    -------
    shape (Q, z, y, x)
        Of the unit of the images, nowhere negative.

    Raises
    ------
    UsageError
        When there is no iteration, or the point spread function has an even number of voxels.
    NumericalError
        When an image is not finite.

    Notes
    -----
    W. H. Richardson, Journal of the Optical Society of America 62 (1972) 55; L. B. Lucy, The Astronomical
    Journal 79 (1974) 745. The iteration is that of scikit-image.
    """
    if iterations < 1:
        raise UsageError(f"Richardson-Lucy with {iterations} iterations, expected 1 or more")
    import skimage.restoration

    iterated: Any = skimage.restoration.richardson_lucy  # without annotations
    psf = _checked(images, psf)
    if psf.min() < 0:
        raise UsageError("the point spread function has negative values, expected none for Richardson-Lucy")
    padded, inside = _padded(np.maximum(images, 0), psf)
    highest = padded.max(axis=(1, 2, 3), keepdims=True)
    scale = np.where(highest > 0, highest, 1)  # scikit-image adds a constant before it divides
    found: Floats = iterated(
        padded / scale, psf[None], num_iter=iterations, clip=False, filter_epsilon=_FAINTEST
    )
    return np.maximum(found * scale, 0)[inside]


def _magnetisation(particle: Particle | float, square: Floats) -> tuple[Floats, Floats]:
    """Return the functions a and b of the Jacobian a 1 + b B Bᵀ, 1/T and 1/T³."""
    from mpikit.simulate.particles import langevin_ratios

    if not isinstance(particle, (float, int)):
        return particle.magnetisation(square)
    if not 0 < particle < np.inf:
        raise UsageError(
            f"the saturation field of the particles is {particle:g} T, expected a number above 0",
            hint="k T / m: about 1e-3 T for cores of 25 nm",
        )
    ratio, curvature = langevin_ratios(np.sqrt(square) / particle)
    return ratio / particle, curvature / particle**3


def _checked(images: Floats, psf: Floats) -> Floats:
    if psf.ndim != 3 or any(size % 2 == 0 for size in psf.shape) or not psf.sum() > 0:
        raise UsageError(
            f"a point spread function of shape {psf.shape} and sum {psf.sum():g}, expected three odd numbers "
            "of voxels with the point in the middle, and a sum above 0"
        )
    if not np.isfinite(images).all():
        raise NumericalError("the images hold values that are not finite", hint="reconstruct them anew")
    normalised: Floats = psf / psf.sum()
    return normalised


def _padded(images: Floats, psf: Floats) -> tuple[Floats, tuple[slice, ...]]:
    """Continue images by a ramp to zero, and tell where they are in the result."""
    widths = [(size // 2, size // 2) for size in psf.shape]
    inside = tuple(slice(low, low + n) for (low, _), n in zip(widths, images.shape[1:], strict=True))
    return np.pad(images, [(0, 0), *widths], mode="linear_ramp"), (slice(None), *inside)
