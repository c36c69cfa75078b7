"""The gain of each coefficient that is best for the power of signal and noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LineGains:
    """A gain for each coefficient.

    Parameters
    ----------
    gains : shape (P,)
        In [0, 1).
    """

    gains: Floats

    def __call__(self, coefficients: Floats) -> Floats:
        """Filter coefficients of shape (..., P)."""
        return coefficients * self.gains

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the gains as a flat dict of arrays."""
        return {"filter.gains": self.gains}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> LineGains:
        """Take back what `state` returned."""
        return cls(np.asarray(state["filter.gains"]))


def fit_line_gains(means: Floats, noise: float) -> LineGains:
    """Learn the gain P / (P + 1) of each coefficient, P its clean power in units of the noise.

    The filter of Wiener (1949) on uncorrelated coefficients, with powers from noisy data.

    Parameters
    ----------
    means : shape (M, P)
        Noisy vectors of M clean ones.
    noise : float
        Variance of their noise; in the vectors that will be filtered it is 1.
    """
    power = np.maximum(np.mean(means**2, axis=0) - noise, 0)
    return LineGains(power / (power + 1))
