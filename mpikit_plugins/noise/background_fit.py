"""Level, decay and drift of a background, from the background frames of a scan."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit import Scan
from mpikit.errors import InputError
from mpikit_plugins.noise.background import BackgroundOptions, drive_harmonics
from mpikit_plugins.noise.drift_fit import FittedDrift, fit_drift
from mpikit_plugins.noise.empty import empty_noise

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

MOST_HARMONICS = 100
POWER_KEPT = 0.99  # of all that the locked harmonics hold
ROUNDING = 1e-7  # of float32, relative: no noise is less
STEEPEST = 60.0  # dB per harmonic


def fit_background(scan: Scan) -> BackgroundOptions:
    """Estimate the options of a harmonic background.

    Of the harmonics, those count that `mpikit.noise_report.measure_noise` finds locked in phase, without the
    noise in them. ``amplitude`` is the rms of their mean over the frames in each channel, ``lines`` the
    fewest harmonics that hold 99 % of their power, and ``decay_db`` that of the geometric series with their
    mean order: what is weaker than the noise of the mean cannot be seen. Without any the amplitude is 0.

    ``drift`` and ``phase_drift`` are the most likely ones, or 0 where they are not clearly beyond the noise,
    which does not say that there is no drift. A drift that takes longer than from the first background frame
    to the last cannot be told from a longer one: ``drift_frames`` ends there.

    Parameters
    ----------
    scan : Scan
        With at least two background frames, or with one whose periods are alike.

    Raises
    ------
    InputError
        With fewer, when they have no noise at all, or when no harmonic of the drive field falls on a line of
        the signal.
    """
    periods, channels, samples = scan.background.shape[1:]
    noise = empty_noise(scan)
    assert noise.background is not None  # noqa: S101 - measured from background frames
    lines, order = drive_harmonics(scan.drive_field, samples, scan.sampling_rate, MOST_HARMONICS)
    lines, order = lines[scan.stored_lines[lines]], order[scan.stored_lines[lines]]
    if not len(lines):
        raise InputError(
            f"no harmonic of the drive field of {scan.name} falls on a line of the signal that is stored",
            hint="estimate another noise model, such as coloured",
        )
    locked = noise.background.mask[:, lines]
    if not locked.any():
        return BackgroundOptions(amplitude=(0.0,) * channels)
    frames = np.fft.rfft(scan.background.mean(axis=1, dtype=float), axis=-1)[..., lines] * (2 / samples)
    noise_power = noise.spectrum.power[:, lines] * (2 / samples) ** 2 / periods
    power = np.maximum(np.abs(frames.mean(axis=0)) ** 2 - noise_power / len(frames), 0) * locked
    held = np.cumsum(np.bincount(order, power.sum(axis=0)))
    last = int(np.argmax(held >= POWER_KEPT * held[-1]))
    kept = order <= last
    lines_freedom = noise.spectrum.freedom[lines].min()
    drift = _drift(frames, scan.background_index, noise_power, locked & kept, lines_freedom)
    return BackgroundOptions(
        amplitude=_short(*np.sqrt(power[:, kept].sum(axis=-1) / 2)),
        lines=last,
        decay_db=_decay(order[kept], power[:, kept].sum(axis=0)),
        **dict(zip(("drift", "phase_drift"), _short(min(drift.amplitude, 1.0), drift.phase), strict=True)),
        **({} if drift.frames is None else {"drift_frames": _short(drift.frames)[0]}),
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
    frames: NDArray[np.complexfloating[Any, Any]],
    index: NDArray[np.int64],
    noise: Floats,
    used: Mask,
    freedom: float,
) -> FittedDrift:
    """Fit the drift of the lines that are used.

    Parameters
    ----------
    frames : shape (E, C, L)
        Complex amplitudes.
    index : shape (E,)
    noise : shape (C, L)
        Mean squared magnitude of the noise of an amplitude.
    used : shape (C, L)
    """
    lines = frames[:, used]
    mean = lines.mean(axis=0)
    relative = np.maximum(noise[used] / 2 / np.abs(mean) ** 2, ROUNDING**2)
    return fit_drift(lines / mean, index, relative, freedom)
