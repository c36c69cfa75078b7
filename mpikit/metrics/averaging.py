"""How much averaging a method is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def averages_to_reach(target: float, counts: ArrayLike, errors: ArrayLike) -> float:
    """How many averages bring an error that was measured for some of them down to a target.

    The curve is interpolated linearly in the logarithms of both, up to its first crossing of the target.
    For an image, whose error has a part that averaging leaves, this is the honest figure: decibels of the
    signal (`equivalent_averages`) say nothing about that part.

    Parameters
    ----------
    target : float, above 0
        Error of what is compared, for instance the NRMSE of the image of one denoised period.
    counts : shape (n,)
        Averages, ascending.
    errors : shape (n,), above 0, unit of ``target``
        Error with so many averages.

    Returns
    -------
    float
        ``counts[0]`` when that already reaches the target: the true number may be smaller. Infinite when
        none does.

    Examples
    --------
    >>> averages_to_reach(0.25, [1, 4, 16, 64], [1.0, 0.5, 0.25, 0.125])
    16.0
    """
    numbers: NDArray[np.float64] = np.asarray(counts, np.float64)
    found: NDArray[np.float64] = np.asarray(errors, np.float64)
    if numbers.ndim != 1 or numbers.shape != found.shape or numbers.size == 0:
        raise ValueError(f"{found.shape} errors for {numbers.shape} counts, expected as many, in one row")
    if np.any(np.diff(numbers) <= 0) or numbers[0] <= 0:
        raise ValueError("the counts must ascend from above 0")
    reached = np.flatnonzero(found <= target)
    if not reached.size:
        return float("inf")
    first = int(reached[0])
    if first == 0 or found[first] == target:
        return float(numbers[first])
    before, after = np.log(found[first - 1]), np.log(found[first])
    share = (before - np.log(target)) / (before - after)
    logs = np.log(numbers)
    return float(np.exp(logs[first - 1] + share * (logs[first] - logs[first - 1])))
