"""Few directions that hold the clean signals, when the noise of each coefficient is known by itself.

Noise of different lines is uncorrelated, whatever its colour (that is what stationary means), so what one
line tells about another is signal. With the directions known, every line can be predicted from all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.signal.lowrank import TINY, LowRankFilter, clean_power, principal_directions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FactorModel:
    """Signals x = L h, h of unit variance, with uncorrelated noise: the model of factor analysis.

    Parameters
    ----------
    loadings : shape (P, r)
        L.
    noise : shape (P,)
        Noise variance of each coefficient; above 0.
    """

    loadings: Floats
    noise: Floats

    def information(self, seen: NDArray[np.bool_]) -> Floats:
        """Inverse covariance of h once the coefficients that are seen (P,) are known, shape (r, r)."""
        weighted = self.loadings / self.noise[:, None] * seen[:, None]
        found: Floats = np.eye(self.loadings.shape[1]) + self.loadings.T @ weighted
        return found

    def encoder(self, seen: NDArray[np.bool_]) -> Floats:
        """Return the map (P, r) from those coefficients that are seen to the mean of h."""
        weighted = self.loadings / self.noise[:, None] * seen[:, None]
        found: Floats = np.asarray(np.linalg.solve(self.information(seen), weighted.T).T, np.float64)
        return found

    @property
    def filter(self) -> LowRankFilter:
        """Best linear estimate of the signal from all coefficients."""
        every = np.ones(len(self.noise), bool)
        return LowRankFilter(self.loadings, self.encoder(every))


def fit_factors(means: Floats, noise: Floats, share: float = 1.0) -> FactorModel:
    """Learn the directions of the signals, principal components in units of the noise.

    Parameters
    ----------
    means : shape (M, P)
        Noisy vectors of M clean ones.
    noise : shape (P,)
        Variance of the noise in the vectors that will be filtered, above 0.
    share : float
        That in the means, relative to it.
    """
    level = np.sqrt(np.maximum(noise, TINY))
    directions, values = principal_directions(means / level)
    power = clean_power(values, share, shape=means.shape)
    kept = power > 0
    return FactorModel(level[:, None] * directions[:, kept] * np.sqrt(power[kept]), level**2)
