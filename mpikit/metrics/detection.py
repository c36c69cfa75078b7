"""The lowest concentration that is told from an empty sample, and whether that claim is true.

A denoiser that maps weak inputs to zero leaves blanks without any spread, and a limit computed from that
spread is none. A limit counts only when samples of that concentration have been measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpikit.errors import InputError

Floats = NDArray[np.float64]
Rule = Literal["ich", "clsi"]

FEWEST_BLANKS = 10
QUANTILE = 1.645  # a normal variate is above it with probability 5 %
MOST_BIAS = 0.2  # of the concentration
LEAST_DETECTED = 0.95
MOST_FALSE = 0.05
CHANCE = 0.05  # probability with which a limit that just keeps its rates is refused


@dataclass(frozen=True)
class DetectionLimit:
    """A detection limit, as it is claimed.

    Parameters
    ----------
    limit : float, unit of concentration
    decision : float, unit of the figure
        A sample counts as detected when its figure is above: mean + 1.645 standard deviations of blanks, the
        limit of blank (LoB) of CLSI EP17.
    slope : float, unit of the figure per unit of concentration
        Of the calibration line.
    blank : float, unit of the figure
        Mean of the blanks.
    blank_deviation : float, unit of the figure
        Their standard deviation.
    blanks : int
        How many there were.
    """

    limit: float
    decision: float
    slope: float
    blank: float
    blank_deviation: float
    blanks: int


@dataclass(frozen=True)
class DetectionCheck:
    """What samples of the claimed concentration, and blanks that had no part in the claim, say to it.

    Parameters
    ----------
    bias : float
        Mean of (figure - blank) / slope over the concentration, less 1.
    detection_rate : float
        Share of the samples that are detected.
    false_positive_rate : float
        Share of the blanks that are detected.
    failures : tuple of str
        What speaks against the limit, in words; empty when nothing does.
    """

    bias: float
    detection_rate: float
    false_positive_rate: float
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Nothing speaks against the limit."""
        return not self.failures


def detection_limit(
    concentrations: ArrayLike, values: ArrayLike, blanks: ArrayLike, *, rule: Rule = "ich"
) -> DetectionLimit:
    """Claim a detection limit from a dilution series and blanks.

    "ich": 3.3 s₀ / b, with the standard deviation s₀ of the blanks (ICH Q2). "clsi": (LoB + 1.645 s - mean of
    the blanks) / b, with the standard deviation s of the lowest concentration, and LoB = mean + 1.645 s₀
    (CLSI EP17). The slope b is that of a straight line fitted by least squares to all values.

    Parameters
    ----------
    concentrations : shape (n,), above 0
        Of the samples: take the low ones of a series, where the figure is linear.
    values : shape (n,)
        The figure of each sample, after denoising.
    blanks : shape (m,), m >= 10
        The figure of samples without tracer, treated in the same way.
    rule : {"ich", "clsi"}

    Returns
    -------
    DetectionLimit
        A claim: see `check_detection_limit`. Infinite when the figure does not grow with the concentration.

    Raises
    ------
    InputError
        With fewer than 10 blanks, fewer than two concentrations, or for ``"clsi"`` a single sample of the
        lowest one.
    """
    dose = np.asarray(concentrations, np.float64).ravel()
    figure, empty = np.asarray(values, np.float64).ravel(), np.asarray(blanks, np.float64).ravel()
    if empty.size < FEWEST_BLANKS:
        raise InputError(f"a detection limit of {empty.size} blanks, expected {FEWEST_BLANKS} or more")
    if dose.shape != figure.shape or len(np.unique(dose)) < 2:
        different = len(np.unique(dose))
        raise InputError(
            f"{figure.size} values of {different} different concentrations make no calibration line",
            hint="give one value for each sample, and two concentrations or more",
        )
    slope = float(np.polyfit(dose, figure, 1)[0])
    blank, spread = float(empty.mean()), float(empty.std(ddof=1))
    decision = blank + QUANTILE * spread
    width = 3.3 * spread if rule == "ich" else QUANTILE * (spread + _low_spread(dose, figure))
    limit = width / slope if slope > 0 else float("inf")
    return DetectionLimit(limit, decision, slope, blank, spread, empty.size)


def _low_spread(dose: Floats, figure: Floats) -> float:
    lowest = figure[dose == dose.min()]
    if lowest.size < 2:
        raise InputError("the rule of CLSI needs two samples or more of the lowest concentration")
    return float(lowest.std(ddof=1))


def check_detection_limit(
    claim: DetectionLimit, values: ArrayLike, blanks: ArrayLike, *, concentration: float | None = None
) -> DetectionCheck:
    """Check a claimed detection limit with samples of that concentration.

    At the limit the mean is wrong by less than 20 %, at least 95 % of the samples are detected, and at most
    5 % of the blanks are. A rate fails when chance does not explain it: a limit that keeps it is refused
    with probability 5 % or less (binomial test). The decision level is taken for exact: where no more blanks
    made the claim than check it, chance in that level refuses more.

    Parameters
    ----------
    claim : DetectionLimit
    values : shape (n,)
        The figure of samples of the claimed concentration.
    blanks : shape (m,)
        The figure of blanks that had no part in the claim.
    concentration : float, optional
        That of the samples, where it is not quite the claimed one.

    Returns
    -------
    DetectionCheck

    Raises
    ------
    InputError
        Without samples or blanks.
    """
    figure, empty = np.asarray(values, np.float64).ravel(), np.asarray(blanks, np.float64).ravel()
    if not figure.size or not empty.size:
        raise InputError(
            "a detection limit without samples and blanks of its own cannot be checked",
            hint="measure samples of that concentration, and as many blanks",
        )
    dose = claim.limit if concentration is None else concentration
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = float(np.divide(figure.mean() - claim.blank, claim.slope * dose) - 1)
    detected, false = figure > claim.decision, empty > claim.decision
    failures = []
    if not abs(bias) < MOST_BIAS:
        failures.append(f"the mean is wrong by {100 * bias:+.0f} %, expected less than 20 %")
    if _too_many(np.count_nonzero(~detected), detected.size, 1 - LEAST_DETECTED):
        failures.append(f"{100 * detected.mean():.0f} % are detected, expected 95 %")
    if _too_many(np.count_nonzero(false), false.size, MOST_FALSE):
        failures.append(f"{100 * false.mean():.0f} % of the blanks are detected, expected 5 % at most")
    return DetectionCheck(bias, float(detected.mean()), float(false.mean()), tuple(failures))


def verified_limit(
    claim: DetectionLimit, concentrations: Sequence[float], values: Sequence[ArrayLike], blanks: ArrayLike
) -> float:
    """Lowest concentration of a series at which, and above which, all checks pass.

    Parameters
    ----------
    claim : DetectionLimit
        Its line and its decision are used, not its limit.
    concentrations : sequence of float
        Ascending.
    values : sequence of arrays
        The figure of the samples of each concentration.
    blanks : shape (m,)
        As in `check_detection_limit`.

    Returns
    -------
    float
        Infinite when the highest one fails.
    """
    found = float("inf")
    for dose, figure in reversed(list(zip(concentrations, values, strict=True))):
        if not check_detection_limit(claim, figure, blanks, concentration=dose).passed:
            break
        found = float(dose)
    return found


def _too_many(count: int | np.intp, total: int, rate: float) -> bool:
    """Say whether so many of a total are more than chance explains at a rate."""
    from scipy.stats import binom

    return bool(count > rate * total and binom.sf(int(count) - 1, total, rate) < CHANCE)
