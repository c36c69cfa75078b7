"""What a method took away: white, or with signal in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.signal.noise import line_weights

Signals = NDArray[np.floating]


@dataclass(frozen=True)
class Whiteness:
    """How the residual y - x̂ compares with the noise it should be.

    Parameters
    ----------
    autocorrelation : float
        Root of the mean squared autocorrelation over all lags but 0, relative to lag 0, of the residual in
        units of the noise of each line.
    expected, spread : float
        Its value and standard deviation were the residual nothing but noise.
    correlation : float
        Correlation of the residual with the estimate.
    correlation_spread : float
        Its standard deviation around 0 were the residual noise that the estimate knows nothing of.
    """

    autocorrelation: float
    expected: float
    spread: float
    correlation: float
    correlation_spread: float

    @property
    def is_noise(self) -> bool:
        """Both figures are within three standard deviations of those of noise."""
        coloured = abs(self.autocorrelation - self.expected) > 3 * self.spread
        return not coloured and abs(self.correlation) <= 3 * self.correlation_spread


def residual_whiteness(
    noisy: Signals,
    estimate: Signals,
    *,
    noise_power: NDArray[np.float64] | None = None,
    freedom: float = np.inf,
) -> Whiteness:
    """Compare the residual y - x̂ with noise: whether it is white, and free of the estimate.

    A method that takes all noise and no signal leaves both figures at what is expected. One that shrinks or
    smooths leaves signal in the residual, one that keeps some lines whole leaves their noise out of it.

    The autocorrelation is taken over circular lags, and by Parseval's theorem it is the scatter of the
    residual's power P over the n lines of a channel: its mean square over the lags is Σ (P / mean P - 1)² /
    (2 n²). For the mean of M residuals of white noise, P / Σ P has a Dirichlet distribution, which gives the
    expected value (n - 1) / (2 n (n M + 1)), about 1 / (M V).

    Parameters
    ----------
    noisy, estimate : shape (..., C, V), unit of the signal
        M signals of C channels with independent noise.
    noise_power : shape (C, K) or None
        Noise power on each line of an un-normalised rfft, by which the lines are weighted; lines without
        noise are left out. None takes the noise to be white.
    freedom : float
        Complex degrees of freedom of ``noise_power``, when it was measured (on other data); more than 2. Its
        errors on neighbouring lines may go together, so that the spread is then 5 % of the expected value
        or more.

    Raises
    ------
    ValueError
        When a channel has fewer than two lines to look at.
    """
    channels, samples = np.shape(noisy)[-2:]
    found = np.asarray(estimate, np.float64).reshape(-1, channels, samples)
    residual = np.asarray(noisy, np.float64).reshape(found.shape) - found
    power = np.ones((channels, samples // 2 + 1)) if noise_power is None else noise_power
    used = (power > 0) & (line_weights(samples) == 2)  # DC and Nyquist are real, and scatter otherwise
    if used.sum(axis=-1).min() < 2:
        raise ValueError("fewer than two lines with noise in a channel")
    squares, expected, product, energies, total = [], [], 0.0, np.zeros(2), 0
    for channel in range(channels):
        lines = used[channel]
        scale = np.sqrt(power[channel, lines])
        left = np.fft.rfft(residual[:, channel], axis=-1)[:, lines] / scale
        kept = np.fft.rfft(found[:, channel], axis=-1)[:, lines] / scale
        squares.append(_mean_square(left))
        expected.append(_expected(len(left), lines.sum(), freedom))
        product += float(np.sum((left * kept.conj()).real))
        energies += [np.sum(np.abs(left) ** 2), np.sum(np.abs(kept) ** 2)]
        total += left.size
    scatter = _variance(len(found), freedom)
    relative = np.sqrt((2 + 6 * scatter) / used.sum()) / 2  # of a root, half that of the square
    relative = np.hypot(relative, 0.05 if np.isfinite(freedom) else 0.0)
    wanted = float(np.sqrt(np.mean(expected)))
    norm = float(np.sqrt(np.prod(energies)))
    return Whiteness(
        autocorrelation=float(np.sqrt(np.mean(squares))),
        expected=wanted,
        spread=float(wanted * relative),
        correlation=product / norm if norm > 0 else 0.0,
        correlation_spread=float(1 / np.sqrt(2 * total)),
    )


def _mean_square(spectra: NDArray[np.complex128]) -> float:
    """Mean squared autocorrelation of the mean of residuals (M, n), over the lags but 0."""
    power = np.mean(np.abs(spectra) ** 2, axis=0)
    if not power.any():
        return 0.0
    return float(np.sum((power / power.mean() - 1) ** 2) / (2 * len(power) ** 2))


def _variance(signals: int, freedom: float) -> float:
    """Relative variance of the mean power of noise on one line, over a measured one (F distribution)."""
    if not np.isfinite(freedom):
        return 1 / signals
    return (signals + freedom - 1) / (signals * max(freedom - 2, 1))


def _expected(signals: int, lines: int, freedom: float) -> float:
    exact = (lines - 1) / (2 * lines * (lines * signals + 1))
    return float(exact * signals * _variance(signals, freedom))
