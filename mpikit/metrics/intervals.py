"""How sure a mean over signals is: bootstrap intervals, and methods compared signal by signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_AT_ONCE = 1 << 22  # values that are drawn at a time, to bound the memory


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Parameters
    ----------
    mean : float
    low, high : float
        NaN when there are too few values, or one is not finite.
    level : float
        Probability with which the interval holds the true mean.
    count : int
        Values it comes from.
    """

    mean: float
    low: float
    high: float
    level: float
    count: int


def bootstrap_mean(
    values: ArrayLike, *, rng: np.random.Generator, level: float = 0.95, draws: int = 2000
) -> Interval:
    """Confidence interval of the mean of independent values, by the percentile bootstrap.

    The values are drawn again with replacement, and the interval holds the middle of the means (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). With fewer than about 20 values it comes
    out a little too short.

    Parameters
    ----------
    values : shape (n,)
        One for each signal, for instance its SNR in dB.
    rng : numpy.random.Generator
    level : float
    draws : int

    Returns
    -------
    Interval
    """
    each: NDArray[np.float64] = np.asarray(values, np.float64).ravel()
    mean = float(each.mean()) if each.size else float("nan")
    if each.size < 2 or not np.isfinite(each).all():
        return Interval(mean, float("nan"), float("nan"), level, each.size)
    at_once = max(1, MOST_AT_ONCE // each.size)
    means = np.concatenate(
        [
            each[rng.integers(each.size, size=(min(at_once, draws - start), each.size))].mean(axis=1)
            for start in range(0, draws, at_once)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), level, each.size)


def paired_difference(
    first: ArrayLike, second: ArrayLike, *, rng: np.random.Generator, level: float = 0.95, draws: int = 2000
) -> Interval:
    """Interval of the mean of first - second, of two methods on the same signals.

    What makes a signal hard for both methods cancels, so that it is far shorter than the two intervals by
    themselves suggest. The methods differ for sure where it leaves 0 out.

    Parameters
    ----------
    first, second : shape (n,)
        Figures of two methods, signal by signal.
    rng, level, draws
        As for `bootstrap_mean`.

    Raises
    ------
    ValueError
        When there are not equally many.
    """
    one, other = np.asarray(first, np.float64).ravel(), np.asarray(second, np.float64).ravel()
    if one.shape != other.shape:
        raise ValueError(f"{one.size} and {other.size} values cannot be compared signal by signal")
    return bootstrap_mean(one - other, rng=rng, level=level, draws=draws)
