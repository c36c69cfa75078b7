"""Size and length of a drift, told from the noise by likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

MOST_FRAMES = 96
LENGTHS = 25  # that are tried
LARGEST = 3.0  # rms of a drift
CLEAR = 3.5  # standard errors: three, and a half for the choice among many lengths


@dataclass(frozen=True)
class FittedDrift:
    """Drift of a background.

    Parameters
    ----------
    amplitude : float
        Relative change of an amplitude, rms; 0 when it is not clearly beyond the noise.
    phase : float, rad
        The same of a phase.
    frames : float or None
        Length over which both are correlated; None when both are 0.
    """

    amplitude: float = 0.0
    phase: float = 0.0
    frames: float | None = None


def fit_drift(
    relative: NDArray[np.complexfloating[Any, Any]], index: NDArray[np.int64], noise: Floats, freedom: float
) -> FittedDrift:
    """Find the drift of lines that drift independently, as `Background` draws it.

    Of M lines that fluctuate around unknown means, E - 1 contrasts between the frames say all about the
    fluctuation (restricted likelihood, Patterson and Thompson, Biometrika 58, 1971). On the eigenvectors of
    the correlation exp(-n² / (2 length²)) of the frames they are independent, with the variance noise +
    drift² · eigenvalue. The length is the most likely one. A drift counts where its log-likelihood is
    above that of none as that of a normal variable is beyond three standard errors; its rms is then that of
    the contrasts without the noise.

    Parameters
    ----------
    relative : shape (E, M)
        Complex amplitudes over those of their mean: 1 + change of the amplitude + i · change of the phase.
    index : shape (E,)
        Place of each frame in the order of acquisition.
    noise : shape (M,)
        Variance of the noise of either part, as it was measured.
    freedom : float
        Real degrees of freedom of its level, which may be wrong by a common factor.
    """
    order = np.argsort(index)[np.unique(np.linspace(0, len(index) - 1, MOST_FRAMES).astype(int))]
    relative, index = relative[order], index[order]
    best, gain = FittedDrift(), 0.0
    if len(index) < 2:
        return best
    contrasts = _contrasts(len(index))
    for length in np.geomspace(index[-1] - index[0], np.min(np.diff(index)), LENGTHS):
        distance = (index[:, None] - index) / length
        eigenvalues, vectors = np.linalg.eigh(contrasts.T @ np.exp(-(distance**2) / 2) @ contrasts)
        projected = (contrasts @ vectors).T @ relative
        fits = [
            _fit_part(squares, np.maximum(eigenvalues, 0), noise, freedom)
            for squares in (projected.real**2, projected.imag**2)
        ]
        together = sum(more for _, more in fits)
        if together > gain * (1 + 1e-6):  # of lengths that explain the same, the longest
            best, gain = FittedDrift(fits[0][0], fits[1][0], float(length)), together
    return best


def _contrasts(frames: int) -> Floats:
    """Orthonormal basis (E, E - 1) of all that has no mean over the frames."""
    basis: Floats = np.linalg.qr(np.c_[np.ones(frames), np.eye(frames)[:, :-1]])[0][:, 1:]
    return basis


def _fit_part(squares: Floats, eigenvalues: Floats, noise: Floats, freedom: float) -> tuple[float, float]:
    """Return the rms of a drift, and by how much its log-likelihood is above that of none; 0 if not clearly.

    Parameters
    ----------
    squares : shape (E - 1, M)
        Of the contrasts.
    eigenvalues : shape (E - 1,)
    noise : shape (M,)
    freedom : float
    """
    variance, factor, gain = _most_likely(squares, eigenvalues, noise, freedom)
    if gain <= CLEAR**2 / 2:
        return 0.0, 0.0
    # Weighted by the eigenvalues, so that the large contrasts count: the likelihood alone would go by the
    # smallest that stand out of the noise, where a real drift is not what the model says.
    weight = eigenvalues[:, None] / (factor * noise + variance * np.max(eigenvalues)) ** 2
    found = np.sum(weight * (squares - factor * noise)) / np.sum(weight * eigenvalues[:, None])
    return float(np.sqrt(max(found, 0.0))), gain


def _most_likely(
    squares: Floats, eigenvalues: Floats, noise: Floats, freedom: float
) -> tuple[float, float, float]:
    """Return the most likely variance of a drift, that of the noise over ``noise``, and the gain.

    The latter is by how much the log-likelihood is above that of no drift, whose noise has a factor of its
    own. Of a given ratio of both variances the most likely factor is a weighted mean.
    """
    from scipy.optimize import minimize_scalar

    weight = eigenvalues[:, None] / noise
    signal = squares / noise
    count = signal.size + freedom

    def factor(ratio: float) -> float:
        return float(np.sum(signal / (1 + ratio * weight)) + freedom) / count

    def loss(logarithm: float) -> float:
        ratio = np.exp(logarithm)
        return float(count * np.log(factor(ratio)) + np.sum(np.log1p(ratio * weight))) / 2

    least = np.log(1e-3 / np.max(weight))  # of which nothing shows
    most = max(2 * np.log(LARGEST), least + 1)
    found = minimize_scalar(loss, bounds=(least, most), method="bounded", options={"xatol": 1e-4})
    ratio = float(np.exp(found.x))
    return ratio * factor(ratio), factor(ratio), count * float(np.log(factor(0.0))) / 2 - float(found.fun)
