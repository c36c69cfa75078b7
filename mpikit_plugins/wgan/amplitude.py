"""How strong the clean signal of a measurement is, without a clean signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpikit_plugins.training.repeats import Signals

Floats = NDArray[np.float64]


def clean_amplitudes(repeats: Signals, noise_power: float) -> tuple[Floats, float]:
    """Root mean square of each clean signal: that of the mean of its repeats, less the noise in it.

    Without repeats the whole measurement has one amplitude, for that of a single period depends on its noise,
    and a critic that knows it would know whether it sees measured noise or other.

    Parameters
    ----------
    repeats : shape (B, R, C, W)
        R repeats of each of B clean signals, free of background.
    noise_power : float
        Mean squared sample of the noise of one period.

    Returns
    -------
    amplitudes : shape (B,)
        Not below ``floor``.
    floor : float
        Smallest one that is no chance: by a standard deviation of the noise power of the mean.
    """
    signals, count, channels, samples = repeats.shape
    mean = repeats.mean(axis=1, dtype=np.float64)
    power: Floats = np.mean(mean**2, axis=(1, 2)) - noise_power / count
    values = channels * samples
    if count == 1:
        power = np.full(signals, power.mean())
        values *= signals
    floor = float(np.sqrt(noise_power / count * np.sqrt(2 / values)))
    return np.sqrt(np.maximum(power, floor**2)), floor


def strata(amplitudes: Floats, count: int) -> NDArray[np.int64]:
    """Return the range of the logarithm that each amplitude is in, (P,); empty ranges do not count."""
    logs = np.log(amplitudes)
    width = (logs.max() - logs.min()) / count
    if width == 0:
        return np.zeros(len(logs), np.int64)
    place = np.minimum((logs - logs.min()) / width, count - 1).astype(np.int64)
    return np.unique(place, return_inverse=True)[1].astype(np.int64)
