"""Figures without a clean reference: independent noisy repeats are the judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.signal.noise import line_weights

Signals = NDArray[np.floating]


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
        For each estimate a repeat, or a mean of repeats, that had no part in it. Judges of one clean signal
        may share repeats.
    judge_noise : shape (C, K), unit squared
        Noise power of a judge on each line of its un-normalised rfft.
    power : float, unit squared
        Mean squared clean signal, see `clean_power`.
    noise_variance : shape (C, K) or 0
        Variance of ``judge_noise``, where that was measured independently of the judge.

    Returns
    -------
    ReferenceFree
        Its uncertainty takes lines, channels and clean signals to be independent, and the judges of one
        clean signal to be one and the same.
    """
    signals, _, channels, samples = estimate.shape
    scale = line_weights(samples) / (samples**2 * channels)
    difference = np.fft.rfft(np.asarray(estimate, np.float64) - judge, axis=-1)
    error = np.mean(np.abs(difference) ** 2, axis=(0, 1)) - judge_noise
    # a complex Gaussian of power s around an offset e has variance s² + 2 s |e|² in its squared magnitude
    variance = (judge_noise**2 + 2 * judge_noise * np.maximum(error, 0)) / signals
    uncertainty = np.sqrt(np.sum((variance + noise_variance) * scale**2))
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
    estimate: Signals, repeats: Signals, *, common_noise: NDArray[np.float64] | float = 0.0
) -> ReferenceFree:
    """Score each estimate by the mean of the other repeats of its clean signal.

    Parameters
    ----------
    estimate : shape (B, R, C, V)
        Entry [b, r] was made from repeat r alone, and from what was fitted to other data.
    repeats : shape (B, R, C, V)
        The noisy repeats, R > 1.
    common_noise : shape (C, K) or 0
        Noise power on each line that all repeats have in common, and that the estimates have not seen: that
        of a background which was subtracted from all.
    """
    count = repeats.shape[1]
    judges = (repeats.sum(axis=1, keepdims=True, dtype=np.float64) - repeats) / (count - 1)
    noise = _spread(repeats) / (count - 1) + common_noise
    return reference_free(estimate, judges, noise, _power_without(common_noise, repeats))


def score_mean(
    estimate: Signals, repeats: Signals, *, common_noise: NDArray[np.float64] | float = 0.0
) -> ReferenceFree:
    """Score one estimate of each clean signal by the mean of repeats that had no part in it.

    Parameters
    ----------
    estimate : shape (B, 1, C, V)
    repeats : shape (B, R, C, V)
        Noisy repeats, R > 1, none of which the estimate has seen.
    common_noise : shape (C, K) or 0
        As for `score_repeats`.
    """
    signals, count = repeats.shape[:2]
    mean = repeats.mean(axis=1, keepdims=True, dtype=np.float64)
    noise = _spread(repeats) / count
    # the mean is independent of the spread around it, so that the variance of the noise comes on top; of the
    # square of the measured noise, which scatters itself, this much is left to add
    doubt = noise**2 * (signals - 1) / (signals * (signals * (count - 1) + 1))
    power = _power_without(common_noise, repeats)
    return reference_free(estimate, mean, noise + common_noise, power, noise_variance=doubt)


def _spread(repeats: Signals) -> NDArray[np.float64]:
    """Noise power of one repeat on each line, (C, K)."""
    spectra = np.fft.rfft(np.asarray(repeats, np.float64), axis=-1)
    power: NDArray[np.float64] = np.var(spectra, axis=1, ddof=1).mean(axis=0)
    return power


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
