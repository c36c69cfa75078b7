"""Level, decay and drift of a background, from the background frames of a scan."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit import Scan
from mpikit.errors import InputError
from mpikit_plugins.noise.background import BackgroundOptions, drive_harmonics
from mpikit_plugins.noise.differences import background_differences

Floats = NDArray[np.floating[Any]]

MOST_HARMONICS = 100
STANDS_OUT = 2.0  # power of all harmonics over that of the noise in them
POWER_KEPT = 0.99  # of all that the harmonics hold
MOST_FRAMES = 128  # for the pairs of frames that show the drift
STEEPEST = 60.0  # dB per harmonic


def fit_background(scan: Scan) -> BackgroundOptions:
    """Estimate the options of a harmonic background.

    ``amplitude`` is the rms of the mean background in each channel, ``lines`` the fewest harmonics that hold
    99 % of its power, and ``decay_db`` that of the geometric series with their mean order. The drift is
    fitted to the mean square of the differences of two frames over their distance; noise, as successive
    frames show it, is taken off. A drift that takes longer than from the first background frame to the last
    cannot be told from a longer one: ``drift_frames`` ends there. Where the harmonics do not stand out of the
    noise the amplitude is 0.

    Parameters
    ----------
    scan : Scan
        With at least two background frames.

    Raises
    ------
    InputError
        With fewer than two, or when no harmonic of the drive field falls on a line of the signal.
    """
    samples = scan.signal.shape[-1]
    differences = background_differences(scan)
    lines, order = drive_harmonics(scan.drive_field, samples, scan.sampling_rate, MOST_HARMONICS)
    lines, order = lines[scan.stored_lines[lines]], order[scan.stored_lines[lines]]
    if not len(lines):
        raise InputError(
            f"no harmonic of the drive field of {scan.name} falls on a line of the signal that is stored",
            hint="estimate another noise model, such as coloured",
        )
    frames = np.fft.rfft(scan.background.astype(float).mean(axis=1), axis=-1)[..., lines] * (2 / samples)
    noise = np.fft.rfft(differences.mean(axis=1), axis=-1)[..., lines] * (2 / samples)
    noise_power = np.mean(np.abs(noise) ** 2, axis=0)
    noise_of_mean = noise_power / len(frames)
    power = np.abs(frames.mean(axis=0)) ** 2 - noise_of_mean
    if np.sum(power) <= np.sum(noise_of_mean) * (STANDS_OUT - 1):
        return BackgroundOptions(amplitude=(0.0,) * scan.background.shape[2])
    held = np.cumsum(np.bincount(order, power.sum(axis=0)))
    last = int(np.argmax(held >= POWER_KEPT * held.max()))
    kept = order <= last
    power, frames, noise_power = power[:, kept], frames[..., kept], noise_power[:, kept]
    drift = _drift(frames, scan.background_index, noise_power)
    return BackgroundOptions(
        amplitude=_short(*np.sqrt(np.maximum(power.sum(axis=-1), 0) / 2)),
        lines=last,
        decay_db=_decay(order[kept], power.sum(axis=0)),
        **dict(zip(("drift", "phase_drift", "drift_frames"), _short(*drift), strict=True)),
    )


def _short(*values: float) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)


def _decay(order: NDArray[np.intp], power: Floats) -> float:
    """Decay in dB per harmonic of the geometric series that has the mean order of these powers (L,)."""
    from scipy.optimize import brentq

    wanted = np.sum(order * power) / np.sum(power)

    def excess(decay: float) -> float:
        series = 10 ** (-decay * (order - order[0]) / 10)
        return float(np.sum(order * series) / np.sum(series) - wanted)

    if excess(0) <= 0:
        return 0.0
    return _short(brentq(excess, 0, STEEPEST))[0] if excess(STEEPEST) < 0 else STEEPEST


def _drift(
    frames: NDArray[np.complexfloating[Any, Any]], index: NDArray[np.int64], noise: Floats
) -> tuple[float, float, float]:
    """Drift of amplitude and phase, rms, and their length in frames.

    Parameters
    ----------
    frames : shape (E, C, L)
        Complex amplitudes.
    index : shape (E,)
    noise : shape (C, L)
        Mean squared magnitude of the noise of an amplitude.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, MOST_FRAMES).astype(int))
    frames, index = frames[chosen], index[chosen]
    mean = frames.mean(axis=0)
    strength = np.abs(mean)
    turned = (frames - mean) * np.conj(mean) / np.where(strength > 0, strength, 1)  # amplitude + i · phase
    first, second = np.triu_indices(len(frames), 1)
    lag = np.abs(index[second] - index[first])
    gram = (
        np.einsum("acl,bcl->ab", turned.real, turned.real),
        np.einsum("acl,bcl->ab", turned.imag, turned.imag),
    )
    total = np.sum(strength**2)
    seen = np.stack([np.diag(g)[first] + np.diag(g)[second] - 2 * g[first, second] for g in gram]) / total
    seen -= np.sum(noise) / total
    best = (np.inf, 0.0, 0.0, 1.0)
    for length in np.geomspace(lag.min(), max(lag.max(), lag.min() + 1), 60):
        shape = 2 * (1 - np.exp(-(lag**2) / (2 * length**2)))
        variance = np.maximum(seen @ shape / (shape @ shape), 0)
        misfit = float(np.sum((seen - variance[:, None] * shape) ** 2))
        if misfit < best[0]:
            best = (misfit, *np.sqrt(variance), length)
    _, drift, phase_drift, length = best
    if drift == phase_drift == 0:
        length = BackgroundOptions().drift_frames
    return min(drift, 1.0), phase_drift, length
