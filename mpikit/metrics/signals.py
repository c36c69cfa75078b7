"""Figures of signals beside a clean reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Signals = NDArray[np.floating]


def snr(estimate: Signals, reference: Signals) -> NDArray[np.float64]:
    """Signal-to-noise ratio 10 log10(Σ x² / Σ (x̂ - x)²) of each signal.

    Parameters
    ----------
    estimate, reference : shape (..., V), same unit

    Returns
    -------
    shape (...), dB
        Infinite for a perfect estimate, NaN where both are all zero. Average it over signals as it is, in dB.
    """
    error = np.sum((np.asarray(estimate, np.float64) - reference) ** 2, axis=-1)
    return _decibels(_energy(reference), error)


def rmse(estimate: Signals, reference: Signals) -> NDArray[np.float64]:
    """Root of the mean squared error of each signal, shape (...), unit of the signal."""
    error = np.mean((np.asarray(estimate, np.float64) - reference) ** 2, axis=-1)
    return np.asarray(np.sqrt(error), np.float64)


def prd(estimate: Signals, reference: Signals) -> NDArray[np.float64]:
    """Percent root difference 100 sqrt(Σ (x̂ - x)² / Σ x²) of each signal, shape (...)."""
    return np.asarray(100 * 10 ** (-snr(estimate, reference) / 20), np.float64)


def scale_invariant_snr(estimate: Signals, reference: Signals) -> NDArray[np.float64]:
    """SNR of each signal after the best factor: 10 log10(Σ x² / min over a of Σ (a x̂ - x)²).

    Beside `snr` it tells a wrong amplitude, as of a denoiser that shrinks, from a wrong shape.

    Parameters
    ----------
    estimate, reference : shape (..., V)
        The unit of the estimate does not matter.

    Returns
    -------
    shape (...), dB
        0 where the estimate is all zero, infinite where it is the reference up to a factor.
    """
    found, wanted = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    own = _energy(found)
    factor = np.sum(found * wanted, axis=-1) / np.where(own > 0, own, 1)
    return snr(factor[..., None] * found, wanted)


def amplitude_bias(estimate: Signals, reference: Signals) -> NDArray[np.float64]:
    """Amplitude g = Σ x x̂ / Σ x² of each signal: 1 without bias, less when a denoiser shrinks.

    Parameters
    ----------
    estimate, reference : shape (..., V), same unit

    Returns
    -------
    shape (...)
        NaN where the reference is all zero.
    """
    product = np.sum(np.asarray(estimate, np.float64) * reference, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(product / _energy(reference), np.float64)


def equivalent_averages(after_db: float, before_db: float) -> float:
    """How many averages of the noisy signal would reach the same SNR: 10^((after - before) / 10).

    Parameters
    ----------
    after_db, before_db : float, dB
        SNR of the denoised and of the noisy signal.

    Examples
    --------
    >>> equivalent_averages(25.0, 5.0)
    100.0
    """
    return float(10 ** ((after_db - before_db) / 10))


def _energy(signal: Signals) -> NDArray[np.float64]:
    return np.asarray(np.sum(np.asarray(signal, np.float64) ** 2, axis=-1), np.float64)


def _decibels(power: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(10 * np.log10(power / error), np.float64)
