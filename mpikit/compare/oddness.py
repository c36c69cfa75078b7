"""Whether a scan is odd in time, so that its even part is noise alone, and how strong that noise is.

About its center an ideal scan has imaginary lines (see `mpikit.signal.symmetry_center`). Of noise that is
stationary, real and imaginary parts are independent and of equal power, and either sign is as likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.signal.noise import ENOUGH
from mpikit.signal.stacks import parts_of

DETECTED = 1e-4  # probability with which a line of noise is asked whether it is odd
UNLIKE = 2.0  # times the variance by chance, from which on the noise of periods has different levels
MEDIAN = 0.64  # efficiency of a median beside a mean
CONTRADICTION = 0.01  # probability with which an odd scan is taken for one that is not
WIDE = 2 * ENOUGH + 3  # lines that one is compared with
LEAST_LEVEL = 1e-3  # of the mean: periods without noise must not outweigh all others
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Chance:
    """What noise alone gives, in mean squares of the real parts of a line over n periods.

    Parameters
    ----------
    count : int
        n.
    common : float
        Share of the noise that all periods have in common: that of a background which was subtracted.
    levels : shape (n,) or None
        By which each was divided; None where all are alike.
    """

    count: int
    common: float = 0.0
    levels: Values | None = None

    def freedom(self) -> float:
        """Degrees of freedom, of real parts."""
        _, second, third = self._sums()
        return second**3 / third**2

    def median(self) -> float:
        """Median, relative to the mean."""
        from scipy.stats import chi2

        freedom = self.freedom()
        return 1 + self._scale() * (float(chi2.median(freedom)) / freedom - 1)

    def bound(self, probability: float, measured: float, lines: int = 1) -> float:
        """Bound on the mean over some lines, relative to noise that was measured with so much freedom.

        The mean is taken for a gamma variate, shifted and scaled to its first three cumulants (Buckley and
        Eagleson, Austral. J. Statist. 30A, 1988).
        """
        from scipy.stats import chi2
        from scipy.stats import f as f_distribution

        freedom = lines * self.freedom()
        known = chi2.isf(probability, freedom) / freedom
        inflated = f_distribution.isf(probability, freedom, measured) / known
        return float((1 + self._scale() * (known - 1)) * inflated)

    def _scale(self) -> float:
        first, second, _ = self._sums()
        return float(np.sqrt(second * self.freedom()) / first)

    def _sums(self) -> tuple[float, float, float]:
        """Traces of the covariance of the periods, of its square and of its cube."""
        levels = np.ones(self.count) if self.levels is None else np.maximum(self.levels, LEAST_LEVEL)
        shared = np.minimum(self.common / levels, 1)
        own, total = 1 - shared, float(shared.sum())
        mixed = float(own @ shared)
        return (
            float(own.sum()) + total,
            float(own @ own) + 2 * mixed + total**2,
            float(np.sum(own**3)) + 3 * float(own**2 @ shared) + 3 * mixed * total + total**3,
        )


@dataclass(frozen=True)
class Moments:
    """Of the lines of n periods that are neither DC nor Nyquist; all of shape (C, K').

    Parameters
    ----------
    even, odd : unit squared
        Twice the mean square of the real and of the imaginary parts: of noise, its power.
    slant, excess : float
        Sum of the products of real and imaginary part, and of the differences of their squares, each over
        the root of its sum of squares.
    """

    even: Values
    odd: Values
    slant: Values
    excess: Values

    def are_of_an_odd_scan(self, chance: Chance) -> bool:
        """Test that the real parts of the periods hold no signal.

        A scan that is odd is refused with a probability of about `CONTRADICTION`. Enough periods that share
        no noise are tested line by line, whatever the noise of each line and each period is. Others are
        compared with the lines around, whose noise must be alike.

        Parameters
        ----------
        chance : Chance
            Of the periods.
        """
        alone = chance.common == 0 and width_of(chance.count) == 1
        return self._are_symmetric(chance.count) if alone else self._are_alike(chance)

    def _are_alike(self, chance: Chance) -> bool:
        """Compare even parts with their neighbours: the largest, and those of the lines that stand out.

        The lines are chosen by their odd part, of which the even part of noise knows nothing.
        """
        power = _around(self.even) / chance.median()
        freedom = chance.freedom() * MEDIAN * min(WIDE, self.even.shape[-1])
        used = power > 0
        ratio = np.divide(self.even, power, out=np.zeros_like(power), where=used)
        if np.any(ratio > chance.bound(CONTRADICTION / 2 / ratio.size, freedom)):
            return False
        found = used & (self.odd > chance.bound(DETECTED, freedom) * power)
        if not found.any():
            return True
        lines = int(np.count_nonzero(found.any(axis=0)))  # channels may have one noise
        return bool(np.mean(ratio[found]) <= chance.bound(CONTRADICTION / 2, freedom, lines))

    def _are_symmetric(self, count: int) -> bool:
        """Test the sign of real times imaginary part, and that real parts are no larger.

        Sums of numbers of either sign, over the root of their squares, exceed x with a probability below
        exp(-x²/2), whatever their sizes (Efron, J. Am. Stat. Assoc. 64, 1969).
        """
        from scipy.stats import chi2

        bound = np.sqrt(2 * np.log(3 * self.slant.size / (CONTRADICTION / 2)))
        if max(np.abs(self.slant).max(), self.excess.max()) > bound:
            return False
        total = (self.even + self.odd) / 2
        # neither choice nor noise level say which sign comes next
        found = total > chi2.isf(DETECTED, 2 * count) / (2 * count) * _around(self.even)
        if not found.any():
            return True
        lines = np.count_nonzero(found.any(axis=0))
        return bool(np.mean(self.slant[found] ** 2) <= chi2.isf(CONTRADICTION / 2, lines) / lines)


@dataclass(frozen=True)
class Halves:
    """Even and odd part of periods, line by line.

    Parameters
    ----------
    signals : shape (n, C, V)
    turn : shape (K,), complex
        Factor that makes the lines of an ideal scan imaginary.
    tested : shape (K,)
        Lines that are stored, and that have a phase; at least one.
    """

    signals: NDArray[np.float32]
    turn: NDArray[np.complex128]
    tested: NDArray[np.bool_]

    def moments(self, levels: Values | None = None) -> Moments:
        """Return the moments of all periods, each divided by its noise level (n,)."""
        shape = (self.signals.shape[1], int(self.tested.sum()))
        even, odd, slant, excess, slants, excesses = np.zeros((6, *shape))
        scale = np.ones(len(self.signals)) if levels is None else np.maximum(levels, LEAST_LEVEL) ** -0.5
        for part in parts_of(self.signals.shape):
            lines = self._lines(part) * scale[part][:, None, None]
            product, difference = lines.real * lines.imag, lines.real**2 - lines.imag**2
            even += np.sum(lines.real**2, axis=0)
            odd += np.sum(lines.imag**2, axis=0)
            slant += np.sum(product, axis=0)
            excess += np.sum(difference, axis=0)
            slants += np.sum(product**2, axis=0)
            excesses += np.sum(difference**2, axis=0)
        for total, squares in ((slant, slants), (excess, excesses)):
            np.divide(total, np.sqrt(squares), out=total, where=squares > 0)
        count = len(self.signals)
        return Moments(2 * even / count, 2 * odd / count, slant, excess)

    def compare(self, power: Values) -> tuple[Values, Values]:
        """Compare the even parts of periods and of channels.

        Parameters
        ----------
        power : shape (C, K')
            Of the noise.

        Returns
        -------
        levels : shape (n,)
            Mean power of the even part of each period, in units of the noise.
        cross : shape (C, C)
            Sum of products of the channels, in units of the noise.
        """
        channels = len(power)
        cross, levels = np.zeros((channels, channels)), []
        for part in parts_of(self.signals.shape):
            real = self._lines(part).real
            white = np.divide(real, np.sqrt(power), out=np.zeros(real.shape), where=power > 0)
            cross += np.einsum("nck,ndk->cd", white, white)
            levels.append(2 * np.mean(white**2, axis=(1, 2)))
        return np.concatenate(levels), cross

    def _lines(self, part: slice) -> NDArray[np.complex128]:
        lines = np.fft.rfft(self.signals[part].astype(np.float64), axis=-1) * self.turn
        return np.asarray(lines[..., self.tested], np.complex128)


def uneven(levels: Values, terms: int) -> Values | None:
    """Return noise levels relative to their mean, or None where chance explains that they differ.

    Parameters
    ----------
    levels : shape (n,)
    terms : int
        Real parts that each was measured by.
    """
    chance = 2 / max(terms, 1)  # variance of the mean square of unit Gaussians
    mean = float(levels.mean())
    if len(levels) < 2 or mean <= 0 or np.var(levels) < UNLIKE * chance:
        return None
    return np.asarray(levels / mean, np.float64)


def width_of(count: int) -> int:
    """Lines over which the mean square of so many real parts is smoothed; 1 when they are enough."""
    return 1 if count / 2 >= ENOUGH else 2 * (ENOUGH // count) + 3


def freedom_of(count: int, lines: int) -> float:
    """Complex degrees of freedom of what `smooth` returns, of so many lines."""
    width = width_of(count)
    return count / 2 * (MEDIAN * min(width, lines) if width > 1 else 1)


def smooth(even: Values, count: int) -> Values:
    """Mean square (C, K') of real parts, smoothed over the lines as long as the periods are few."""
    from scipy.stats import gamma

    if width_of(count) == 1:
        return even
    # a mean of real squares has half the degrees of freedom of one of complex squares
    return np.asarray(
        _around(even, width_of(count)) / (2 * float(gamma.median(count / 2)) / count), np.float64
    )


def _around(even: Values, width: int = WIDE) -> Values:
    from scipy.ndimage import median_filter

    around: Values = median_filter(even, size=(1, width), mode="reflect")
    return around
