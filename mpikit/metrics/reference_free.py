"""Figures without a clean reference: independent noisy repeats are the judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.signal.noise import line_weights

Signals = NDArray[np.floating]
ENOUGH = 16  # repeats whose own spread says how much each of them adds


@dataclass(frozen=True)
class ReferenceFree:
    """Error of an estimate, measured without a clean reference.

    Parameters
    ----------
    error : float, unit squared
        Mean squared error of one sample; may be negative, when it is lost in its own uncertainty.
    uncertainty : float, unit squared
        Standard error of ``error``.
    power : float, unit squared
        Mean squared clean signal.
    """

    error: float
    uncertainty: float
    power: float

    @property
    def is_bound(self) -> bool:
        """The error is lost in its uncertainty: `snr_db` is only a lower bound."""
        return self.error < 2 * self.uncertainty

    @property
    def snr_db(self) -> float:
        """Signal-to-noise ratio in dB; with `is_bound` the least that two standard errors allow."""
        error = max(self.error, 0) + 2 * self.uncertainty if self.is_bound else self.error
        if self.power <= 0:
            return -np.inf
        return float(10 * np.log10(self.power / error)) if error > 0 else np.inf

    @property
    def is_free_of_noise(self) -> bool:
        """Neither error nor uncertainty is larger than the rounding of single precision."""
        return max(self.error, self.uncertainty) <= 1e-12 * self.power

    @property
    def snr_error_db(self) -> float | None:
        """Standard error of `snr_db`, or None where that is only a bound, or infinite."""
        return (
            None
            if self.is_bound or self.error == 0
            else float(10 / np.log(10) * self.uncertainty / self.error)
        )


def reference_free(
    estimate: Signals,
    judge: Signals,
    judge_noise: NDArray[np.float64],
    power: float,
    *,
    noise_variance: NDArray[np.float64] | float = 0.0,
) -> ReferenceFree:
    """Mean squared error of estimates against independent noisy repeats of the same signals.

    The expected squared difference to an independent repeat is the error of the estimate plus the noise of
    that repeat, which is subtracted. Unbiased for any estimator and any colour of the noise, as long as the
    estimate has not seen the judge. What is common to both, a phase-locked background, counts as signal.

    Parameters
    ----------
    estimate : shape (B, R, C, V)
        R estimates of each of B clean signals.
    judge : shape (B, R, C, V)
        For each estimate a repeat that had no part in it, and that judges no other.
    judge_noise : shape (C, K), unit squared
        Noise power of a judge on each line of its un-normalised rfft.
    power : float, unit squared
        Mean squared clean signal, see `clean_power`.
    noise_variance : shape (C, K) or 0
        Variance of ``judge_noise``, where that was measured independently of the judge.

    Returns
    -------
    ReferenceFree
        Its uncertainty is that by the noise of the judges, which are taken to be independent, and so are
        lines and channels.
    """
    signals, count, channels, samples = estimate.shape
    weights = line_weights(samples)
    scale = weights / (samples**2 * channels)
    difference = np.fft.rfft(np.asarray(estimate, np.float64) - judge, axis=-1)
    error = np.mean(np.abs(difference) ** 2, axis=(0, 1)) - judge_noise
    # a complex Gaussian of power s around an offset e has variance s² + 2 s |e|² in its squared magnitude, a
    # real one (DC, Nyquist) twice that
    doubled = scale**2 * 2 / weights / (signals * count)
    of_noise = np.sum(judge_noise**2 * doubled) + np.sum(noise_variance * scale**2)
    of_error = 2 * float(np.sum(judge_noise * error * doubled))
    uncertainty = np.sqrt(of_noise + max(of_error, 0.0))
    return ReferenceFree(float(np.sum(error * scale)), float(uncertainty), power)


def clean_power(repeats: Signals) -> float:
    """Mean squared clean signal: the mean product of different repeats, which noise does not bias.

    Parameters
    ----------
    repeats : shape (B, R, C, V), R > 1
    """
    count = repeats.shape[1]
    total = repeats.sum(axis=1, dtype=np.float64)
    products = np.mean(total**2) - np.mean(np.sum(np.asarray(repeats, np.float64) ** 2, axis=1))
    return float(products / (count * (count - 1)))


def score_repeats(
    estimate: Signals,
    repeats: Signals,
    *,
    common_noise: NDArray[np.float64] | float = 0.0,
    common_to_all: bool = True,
) -> ReferenceFree:
    """Score each estimate by the mean of the other repeats of its clean signal.

    For R estimates a_r and repeats y_r of one signal the mean of ``|a_r - mean of the other y|²``, less the
    noise of that mean, is ::

        |mean a - mean y|² - P(y - a) / R + P(a),

    P being the sample variance: bias squared and variance of the estimates. It is a mean over all pairs of
    repeats, so its variance follows exactly (Hoeffding, Ann. Math. Stat. 19, 1948); with Gaussian noise, n
    that of the repeats and e that of the estimates, and a bias d, it is for a complex line ::

        P(e)² / R + 2 |d|² P(n - e) / R + (P(e)² + P(n - e)² - 2 |cov(e, n - e)|²) / (R (R - 1)).

    All of it is measured from the repeats of that signal. Two of them cannot tell whether e goes with n on
    its line: the covariance is then taken to be as large as it can be, which it is for a linear filter. From
    16 repeats on the first two terms are the spread of what each repeat adds, summed over lines and channels;
    that holds for noise that these have in common, and for any estimator.

    Parameters
    ----------
    estimate : shape (B, R, C, V)
        Entry [b, r] was made from repeat r alone, and from what was fitted to other data.
    repeats : shape (B, R, C, V)
        The noisy repeats, R > 1.
    common_noise : shape (C, K) or 0
        Noise power on each line that all repeats have in common, and that the estimates have not seen: that
        of a background which was subtracted from all.
    common_to_all : bool
        In common to all signals too; else each signal has its own.

    Returns
    -------
    ReferenceFree
        Its uncertainty takes clean signals to be independent, and with fewer than 16 repeats lines and
        channels too.
    """
    signals, count, channels, samples = repeats.shape
    weights = line_weights(samples)
    scale = weights / (samples**2 * channels)
    shape = (channels, len(weights))
    common = np.broadcast_to(np.asarray(common_noise, np.float64), shape)
    bias, own, apart, of_pairs = np.zeros((4, *shape))
    off, of_each, doubled = np.zeros(shape, complex), 0.0, scale**2 * 2 / weights  # DC and Nyquist are real
    for index in range(signals):  # one clean signal at a time bounds the memory
        found = _Moments.of(estimate[index], repeats[index], scale)
        off += found.off / signals
        bias += found.bias / signals
        own += found.own / signals
        apart += found.apart / signals
        of_pairs += found.variance_of_pairs / signals**2
        of_each += found.variance_of_each(doubled) / signals**2
    seen = np.abs(off) ** 2 - apart / (count * signals) if common_to_all else bias
    share = 1 if common_to_all else signals
    variance = np.sum((of_pairs + common**2 / share) * doubled)
    # squares are subtracted where there is no bias: what is left is never less than nothing
    variance += max(of_each, 0.0)
    variance += max(float(np.sum(2 * common * (seen - common) / share * doubled)), 0.0)
    error = float(np.sum((bias - common + own) * scale))
    return ReferenceFree(error, float(np.sqrt(variance)), _power_without(common_noise, repeats))


@dataclass(frozen=True)
class _Moments:
    """Of R estimates and R repeats of one clean signal on each line, (C, K).

    Parameters
    ----------
    off : complex
        Mean estimate less the mean repeat.
    own, apart : float
        Sample variance of the estimates, and of repeat less estimate.
    mixed : float
        Squared magnitude of their sample covariance.
    each : shape (R,)
        What each repeat adds to half the error, by its noise alone; all lines and channels.
    """

    off: NDArray[np.complex128]
    own: NDArray[np.float64]
    apart: NDArray[np.float64]
    mixed: NDArray[np.float64]
    each: NDArray[np.float64]

    @classmethod
    def of(cls, estimate: Signals, repeats: Signals, scale: NDArray[np.float64]) -> _Moments:
        """Measure them, with the weight of each line (K,); a single estimate is that of all repeats."""
        ours = np.fft.rfft(np.asarray(estimate, np.float64), axis=-1)
        apart = np.fft.rfft(np.asarray(repeats, np.float64), axis=-1) - ours
        off, count = -apart.mean(axis=0), len(apart)
        apart += off
        ours -= ours.mean(axis=0)
        mixed = np.abs(np.sum(apart * ours.conj(), axis=0) / (count - 1)) ** 2
        spread = (ours.real**2 + ours.imag**2) * count / (count - 1) / 2
        each = np.sum((spread - (off.conj() * apart).real) * scale, axis=(1, 2))
        return cls(off, _power(ours, count), _power(apart, count), mixed, each)

    @property
    def count(self) -> int:
        """R."""
        return len(self.each)

    @property
    def bias(self) -> NDArray[np.float64]:
        """Squared difference of mean estimate and clean signal, without bias itself."""
        return np.abs(self.off) ** 2 - self.apart / self.count

    def variance_of_each(self, weights: NDArray[np.float64]) -> float:
        """Variance of the error by what each repeat adds by itself; with the weight of each line, (K,)."""
        count = self.count
        by_noise = 2 * (count - 1) / count**3 * self.apart**2  # the mean of which is in ``off``
        if count >= ENOUGH:
            return float(4 / count * np.var(self.each, ddof=1) - np.sum(by_noise * weights))
        by_bias = 2 / count * np.abs(self.off) ** 2 * self.apart - by_noise
        return float(np.sum(((count - 1) / count**2 * self.own**2 + by_bias) * weights))

    @property
    def variance_of_pairs(self) -> NDArray[np.float64]:
        """Variance of the error by products of noise of two repeats; squares are made free of bias."""
        count, product = self.count, self.own * self.apart
        pairs = (count - 1) / count * (self.own**2 + self.apart**2 - self.mixed - product)
        if count > 2:
            pairs += (count - 1) / (count - 2) * (product - self.mixed)
        return pairs / (count * (count - 1))


def _power(residuals: NDArray[np.complex128], count: int) -> NDArray[np.float64]:
    """Sample variance (C, K) of what has a mean of zero."""
    power: NDArray[np.float64] = np.sum(residuals.real**2 + residuals.imag**2, axis=0) / (count - 1)
    return power


def score_mean(
    estimate: Signals,
    repeats: Signals,
    *,
    common_noise: NDArray[np.float64] | float = 0.0,
    common_to_all: bool = True,
) -> ReferenceFree:
    """Score one estimate of each clean signal by the mean of repeats that had no part in it.

    Parameters
    ----------
    estimate : shape (B, 1, C, V)
    repeats : shape (B, R, C, V)
        Noisy repeats, R > 1, none of which the estimate has seen.
    common_noise, common_to_all
        As for `score_repeats`.

    Returns
    -------
    ReferenceFree
        Its uncertainty is that by the noise of the judges; the estimate is what it is.
    """
    if estimate.shape[1] != 1:
        raise ValueError("one estimate of each signal")
    return score_repeats(estimate, repeats, common_noise=common_noise, common_to_all=common_to_all)


def _power_without(common_noise: NDArray[np.float64] | float, repeats: Signals) -> float:
    """`clean_power` of the repeats, less what noise they have in common."""
    channels, samples = repeats.shape[-2:]
    lines = np.broadcast_to(common_noise, (channels, samples // 2 + 1))
    common = np.sum(lines @ line_weights(samples)) / (samples**2 * channels)
    return clean_power(repeats) - float(common)


def combine(figures: Sequence[ReferenceFree], counts: Sequence[int]) -> ReferenceFree:
    """Join the figures of several sets of signals as if they were one set.

    Parameters
    ----------
    figures : sequence of ReferenceFree
        Of sets that share no noise.
    counts : sequence of int
        How many estimates each is the mean of.
    """
    weights = np.asarray(counts, np.float64) / np.sum(counts)
    error, uncertainty, power = np.array(
        [(each.error, each.uncertainty, each.power) for each in figures], np.float64
    ).T
    return ReferenceFree(
        float(weights @ error), float(np.sqrt(weights**2 @ uncertainty**2)), float(weights @ power)
    )
