"""Two views of a clean signal from one period, a pair for Noise2Noise.

A signal that is odd about the turning point equals its mirror image, and is known from either half of the
period; the noise is not. `mirror_views` serve a method that is linear: a period and its mirror image, whose
noise is uncorrelated whatever its colour. A network that saw the one could copy the other; it gets
`half_period_views`, whose noise is independent where its memory is short against the period.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mpikit.signal.lines import LineCoefficients
from mpikit.signal.symmetry import Symmetry


def mirror_views(both: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the odd part of each line plus and minus its even part, which holds no signal.

    Parameters
    ----------
    both : shape (..., 2 P)
        Whitened odd parts, then even parts, of the same lines.

    Returns
    -------
    shape (..., 2, P)
        The noise is circular, so odd and even part have the same covariance over the lines, and that of the
        two views is 0. Its variance is 2.
    """
    odd, even = np.split(both, 2, axis=-1)
    return np.stack([odd + even, odd - even], axis=-2)


def both_parts(lines: LineCoefficients) -> LineCoefficients:
    """Return coefficients of the same lines and phases with the even part of every line as well.

    Raises
    ------
    ValueError
        When no symmetry is used, or it does not hold on a line that is kept.
    """
    symmetry = lines.harmonic.symmetry
    if symmetry is None or np.any(lines.harmonic.keep & ~symmetry.holds):
        raise ValueError("the symmetry must hold on all lines that are kept")
    nowhere = replace(symmetry, holds=np.zeros_like(symmetry.holds))
    return replace(lines, harmonic=replace(lines.harmonic, symmetry=nowhere))


def half_period_views(
    spectra: NDArray[np.complex128], symmetry: Symmetry, samples: int
) -> NDArray[np.complex128]:
    """Continue each half of a period to a whole odd one.

    Parameters
    ----------
    spectra : shape (n, C, K)
        Un-normalised, free of signal on lines where the symmetry does not hold.
    symmetry : Symmetry
        Its angles turn each line so that the signal is odd about t = 0.
    samples : int
        V.

    Returns
    -------
    shape (n, 2, C, K)
        Their mean is the odd part. White noise is independent in the two, with twice its power in that.
    """
    rotation = np.exp(1j * symmetry.angle)
    rotation[:, 0] = 1  # a real line that is turned is no longer real, and noise would lose a part of it
    if samples % 2 == 0:
        rotation[:, -1] = 1
    turned = np.fft.irfft(spectra * rotation, n=samples, axis=-1)
    half = (samples - 1) // 2
    views = np.zeros((len(turned), 2, *turned.shape[1:]))
    first, second = turned[..., 1 : half + 1], -turned[..., : -half - 1 : -1]
    for view, one in enumerate((first, second)):
        views[:, view, :, 1 : half + 1] = one
        views[:, view, :, : -half - 1 : -1] = -one
    found: NDArray[np.complex128] = np.fft.rfft(views, axis=-1) * rotation.conj()
    return found
