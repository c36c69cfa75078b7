"""Is the noise of the lines Gaussian? If so, a network has nothing to gain on a linear filter here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpikit_plugins.harmonic.space import Places
from mpikit_plugins.harmonic.views import Views

FALSE_ALARM = 1e-6  # probability with which Gaussian noise is taken for other noise
TINY = np.finfo(float).tiny
Floats = NDArray[np.float64]
FEWEST = 20  # values that say anything of a fourth moment


def is_gaussian(views: Views, places: Places) -> bool:
    """Look at the fourth moment of differences of two views, and of even parts, which are noise alone.

    Its level may grow with the size of the period. Interference in proportion to each line is not Gaussian
    then. With neither pairs nor even parts nothing is known, and the answer is no.

    Parameters
    ----------
    views : Views
    places : Places
    """
    parts = views.parts
    size = np.sqrt(parts.signal**2 @ places.weights + parts.empty**2 @ places.empty_weights)
    pairs = views.pairs
    differences = parts.signal[pairs[:, 0]] - parts.signal[pairs[:, 1]]
    sizes = np.sqrt(np.mean(size[pairs] ** 2, axis=1))
    samples = [(values, by) for values, by in ((differences, sizes), (parts.empty, size)) if values.size]
    if not samples:
        return False
    return all(_looks_gaussian(values, by) for values, by in samples)


def _looks_gaussian(values: Floats, sizes: Floats) -> bool:
    """Say whether the columns of (n, P), of a level that may grow with the sizes (n,), contradict it."""
    from scipy.stats import chi2, kurtosistest

    if len(values) < FEWEST:
        return True
    scaled = values / _levels(values, sizes)
    scaled = scaled[:, np.var(scaled, axis=0) > 0]
    if scaled.shape[1] == 0:
        return True
    # each is a standard normal number (Anscombe and Glynn, Biometrika 70, 1983)
    doubt = kurtosistest(scaled, axis=0).statistic
    return bool(chi2.sf(np.sum(doubt**2), len(doubt)) > FALSE_ALARM)


def _levels(values: Floats, sizes: Floats) -> Floats:
    """Return the standard deviation of each value (n, P); its square is a line over the squared size."""
    squares, powers = values**2, sizes**2
    mean, size = squares.mean(axis=0), float(powers.mean())
    spread = float(np.sum((powers - size) ** 2))
    slope = (powers - size) @ squares / spread if spread > 0 else np.zeros(mean.shape)
    # neither the constant nor the share is negative
    slope = np.clip(slope, 0, mean / max(size, TINY))
    found: Floats = np.sqrt(np.maximum(mean + (powers - size)[:, None] * slope, TINY))
    return found
