"""What a denoising took away from a scan, beside the noise that it should be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpikit.judging import take_frames, take_periods
from mpikit.metrics import Whiteness, residual_whiteness
from mpikit.scan import Scan
from mpikit.signal import NoiseStatistics, noise_statistics, shared_background_noise, subtract_background

MOST_SIGNALS = 64  # that the residual is taken from: more tell nothing new, and noise that they share shows
MOST_SHARED = 0.5  # of the scatter of the mean power of independent residuals


@dataclass(frozen=True)
class Residual:
    """The residual of a denoised scan.

    Parameters
    ----------
    amplitude : shape (C, K), unit of the scan
        Root of its mean squared amplitude on each line.
    noise : NoiseStatistics
        What it should be.
    power : float
        Its mean square over that of the noisy signal.
    whiteness : Whiteness or None
        None where a channel has too few lines.
    independent : bool
        The noise was measured on other data than the residual, and the signals do not share a background that
        was subtracted: the whiteness may be trusted.
    """

    amplitude: NDArray[np.float64]
    noise: NoiseStatistics
    power: float
    whiteness: Whiteness | None
    independent: bool


def amplitudes(signal: NDArray[np.floating]) -> NDArray[np.float64]:
    """Root of the mean squared amplitude of each line over frames and periods.

    Parameters
    ----------
    signal : shape (N, J, C, V)

    Returns
    -------
    shape (C, K), unit of the signal
        2 |X| / V, at DC and Nyquist |X| / V: what a sine of this line has.
    """
    frames, _, channels, samples = signal.shape
    total = np.zeros((channels, samples // 2 + 1))
    for frame in signal:  # one frame at a time bounds the memory
        spectra = np.fft.rfft(frame.astype(np.float64), axis=-1)
        total += np.mean(spectra.real**2 + spectra.imag**2, axis=0)
    return line_amplitude(total / max(frames, 1), samples)


def line_amplitude(power: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """Return the amplitude of lines of an un-normalised rfft whose mean squared magnitude is known."""
    from mpikit.signal.noise import line_weights

    amplitude: NDArray[np.float64] = np.sqrt(power) * line_weights(samples) / samples
    return amplitude


def as_treated(before: Scan, after: Scan) -> Scan:
    """Return the scan before, its background subtracted if that is so after."""
    both = after.corrections.background and not before.corrections.background
    return subtract_background(before) if both else before


def find_residual(before: Scan, after: Scan) -> Residual:
    """Compare what was taken away with the noise of the scan before.

    Parameters
    ----------
    before, after : Scan
        Of the same frames, periods, channels and samples; with or without background alike, see `as_treated`.
    """
    noise, chosen, independent = _noise_apart(before)
    whiteness = None
    try:
        whiteness = residual_whiteness(
            before.signal[chosen],
            after.signal[chosen],
            noise_power=np.where(before.stored_lines, noise.line_power, 0.0),
            freedom=noise.freedom,
        )
    except ValueError:  # too few lines
        independent = False
    total, energy = 0.0, 0.0
    power = np.zeros((before.signal.shape[2], len(before.stored_lines)))
    for one, other in zip(before.signal, after.signal, strict=True):  # one frame at a time bounds the memory
        residual = one.astype(np.float64) - other
        spectra = np.fft.rfft(residual, axis=-1)
        power += np.mean(spectra.real**2 + spectra.imag**2, axis=0) / len(before.signal)
        total += float(np.sum(residual**2))
        energy += float(np.sum(one.astype(np.float64) ** 2))
    return Residual(
        line_amplitude(power, before.signal.shape[-1]),
        noise,
        total / energy if energy > 0 else 0.0,
        whiteness,
        independent and len(chosen[0]) * _shared(before) ** 2 <= MOST_SHARED,
    )


def _shared(scan: Scan) -> float:
    """Noise of a subtracted background in two frames alike, relative to that of one period."""
    return shared_background_noise(replace(scan, repeats="frames")) if len(scan.signal) > 1 else 0.0


def _noise_apart(scan: Scan) -> tuple[NoiseStatistics, tuple[NDArray[np.intp], ...], bool]:
    """Measure the noise on other data than that which is judged, if there are enough.

    Returns
    -------
    noise : NoiseStatistics
    chosen : index of the axes N and J
        Signals that are judged.
    apart : bool
    """
    frames, periods = scan.signal.shape[:2]
    everything = np.ones((frames, periods), bool)
    noise = noise_statistics(replace(scan, repeats="none"))
    if noise.source == "background frames":
        return noise, _some(everything), True
    odd_frames, odd_periods = np.arange(frames) % 2 == 1, np.arange(periods) % 2 == 1
    if scan.repeats in ("frames", "both") and frames >= 4:
        noise = noise_statistics(take_frames(scan, ~odd_frames))
        return noise, _some(everything & odd_frames[:, None]), True
    if scan.repeats in ("periods", "both") and periods >= 4:
        noise = noise_statistics(take_periods(scan, ~odd_periods))
        return noise, _some(everything & odd_periods), True
    return noise_statistics(scan), _some(everything), False


def _some(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Choose some signals evenly from those of a mask (N, J)."""
    places = np.argwhere(mask)
    index = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_SIGNALS)).astype(int))
    return tuple(places[index].T)
