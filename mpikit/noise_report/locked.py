"""Lines that are locked in phase to the drive field, and how they drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.noise_report.moments import Moments
from mpikit.noise_report.series import Series
from mpikit.noise_report.spectrum import (
    CONFIDENCE,
    Floats,
    Mask,
    Spectrum,
    measured_spectrum,
)
from mpikit.signal.noise import line_weights

FALSE_ALARM = 0.01  # probability that any line of a file without locked lines is called locked
STRONGEST = 5  # lines whose course is kept for the picture
POINTS = 24  # of a course
NEGLIGIBLE = 0.01  # of the power of the noise
ROUNDING = 1e-7  # of float32, relative: no spread is smaller


@dataclass(frozen=True)
class LockedLine:
    """One phase-locked line of one channel.

    Parameters
    ----------
    channel : int
    frequency : float, Hz
    amplitude, amplitude_error : float, unit of the signal
        Peak value of a sine wave, and its standard error.
    phase : float, rad
        Of a cosine at the first sample of the period.
    amplitude_change : float
        From the first to the last acquisition, relative to the amplitude, along a straight line.
    phase_change : float, rad
    change_error : float
        Standard error of both changes.
    """

    channel: int
    frequency: float
    amplitude: float
    amplitude_error: float
    phase: float
    amplitude_change: float
    phase_change: float
    change_error: float


@dataclass(frozen=True)
class Course:
    """How the amplitude of one line went over the acquisitions.

    Parameters
    ----------
    channel : int
    frequency : float, Hz
    places : shape (n,)
        In frames of the whole acquisition.
    amplitude : shape (n,)
        Relative to that of the mean.
    error : shape (n,)
        Half the 95 % interval that noise alone explains.
    """

    channel: int
    frequency: float
    places: Floats
    amplitude: Floats
    error: Floats


@dataclass(frozen=True)
class Drift:
    """What the phase-locked lines of one channel have in common.

    Parameters
    ----------
    amplitude_change, phase_change, change_error : float
        As in `LockedLine`, weighted by how well each line is known.
    relative_to_noise : float
        Rms of all that varies beyond the random part, over the rms of the random part, on these lines in one
        acquisition.
    """

    amplitude_change: float
    phase_change: float
    change_error: float
    relative_to_noise: float


@dataclass(frozen=True)
class Background:
    """The phase-locked background of a file.

    Parameters
    ----------
    mask : shape (C, K)
        Which lines are locked.
    lines : tuple of LockedLine
        The strongest first.
    drift : tuple of Drift or None
        For each channel; None where no line is locked.
    courses : tuple of Course
        Of the strongest lines.
    """

    mask: Mask
    lines: tuple[LockedLine, ...]
    drift: tuple[Drift | None, ...]
    courses: tuple[Course, ...]


def locked_lines(series: Series, found: Moments, stored: Mask) -> Mask:
    """Test each line for a mean that stands out of the spread of the acquisitions.

    Without a locked part, mean and spread of Gaussian noise are independent, and n |mean|² over the spread
    follows F(2, 2 n - 2) (F(1, n - 1) at DC and Nyquist). The threshold shares `FALSE_ALARM` over all lines
    and channels (Bonferroni). Where the acquisitions are few, the spread of a line is the larger one of its
    own and the running median over its neighbours.

    Returns
    -------
    shape (C, K)
    """
    from scipy.stats import f

    samples = series.stack.shape[-1]
    around = measured_spectrum(found.spread, series.spread_freedom(), stored, samples)
    spread = np.maximum(around.power, around.raw)
    power = np.abs(found.mean) ** 2
    spread = np.maximum(spread, power * ROUNDING**2 + np.finfo(float).tiny)
    ratio = series.stack.shape[0] * series.stack.shape[1] * power / spread
    limit = f.isf(FALSE_ALARM / (len(power) * stored.sum()), line_weights(samples), around.freedom)
    mask: Mask = (ratio > limit) & stored
    return mask


def drifting_lines(series: Series, found: Moments, noise: Floats, mask: Mask) -> Mask:
    """Find the phase-locked lines whose drift from one acquisition to the next may show beside the noise.

    Between acquisitions that are all apart the drift of a line cannot be told from its noise, so that these
    are all locked lines; else those whose slope says so.

    Parameters
    ----------
    series, found, mask
        As in `describe`.
    noise : shape (C, K), unit squared
        Power of the random part, as the lines beside show it.

    Returns
    -------
    shape (C, K)
    """
    if not series.neighbours.any():
        return mask
    steps = np.diff(series.times)[series.compared]
    drift: Mask = np.abs(found.slope) ** 2 * np.mean(steps**2) / 2 > NEGLIGIBLE * noise
    return mask & drift


def describe(
    series: Series, found: Moments, spectrum: Spectrum, mask: Mask, frequencies: Floats
) -> Background:
    """Describe the phase-locked lines.

    Parameters
    ----------
    series : Series
    found : Moments
    spectrum : Spectrum
        Of the random part.
    mask : shape (C, K)
        From `locked_lines`.
    frequencies : shape (K,), Hz
    """
    signals, acquisitions, _, samples = series.stack.shape
    mean = np.where(mask, found.mean, 1)
    noise = spectrum.power / (signals * acquisitions)  # of the mean
    relative = np.sqrt(noise / line_weights(samples)) / np.abs(mean)  # of its real part
    change_error = relative / np.sqrt(np.mean(series.times**2))
    first, last = (mean + found.slope * series.times[end] for end in (0, -1))
    amplitude = line_weights(samples) * np.abs(mean) / samples
    changes = (np.abs(last) - np.abs(first)) / np.abs(mean), np.angle(last * first.conj())
    order = sorted(zip(*np.nonzero(mask), strict=True), key=lambda place: -amplitude[place])
    lines = tuple(
        LockedLine(
            channel=int(place[0]),
            frequency=float(frequencies[place[1]]),
            amplitude=float(amplitude[place]),
            amplitude_error=float(amplitude[place] * relative[place]),
            phase=float(np.angle(mean[place])),
            amplitude_change=float(changes[0][place]),
            phase_change=float(changes[1][place]),
            change_error=float(change_error[place]),
        )
        for place in order
    )
    drift = tuple(
        _common_drift(
            (found.slope / mean)[channel, chosen],
            change_error[channel, chosen],
            found.spread[channel, chosen] - spectrum.power[channel, chosen],
            spectrum.power[channel, chosen],
        )
        for channel, chosen in enumerate(map(np.flatnonzero, mask))
    )
    courses = tuple(_course(series, spectrum, found, place, frequencies) for place in order[:STRONGEST])
    return Background(mask, lines, drift, courses)


def _common_drift(
    change: NDArray[np.complex128], error: Floats, excess: Floats, noise: Floats
) -> Drift | None:
    """Average the relative changes of the lines of one channel, all of shape (lines,)."""
    if not len(change):
        return None
    weights = 1 / np.maximum(error, ROUNDING) ** 2
    common = np.sum(weights * change) / weights.sum()
    beyond = np.sqrt(max(float(excess.sum()), 0.0) / noise.sum()) if noise.sum() > 0 else np.nan
    return Drift(float(common.real), float(common.imag), float(weights.sum() ** -0.5), float(beyond))


def _course(
    series: Series, spectrum: Spectrum, found: Moments, place: Sequence[int], frequencies: Floats
) -> Course:
    """Follow one line through the acquisitions; of a long series, the means of equal parts."""
    from scipy.stats import norm

    channel, line = place
    signals, samples = len(series.stack), series.stack.shape[-1]
    wave = np.exp(-2j * np.pi * line * np.arange(samples) / samples)
    values = np.mean([signal[:, channel] @ wave for signal in series.stack], axis=0)
    groups = _groups(series.neighbours)
    reference = abs(found.mean[channel, line])
    count = np.array([len(group) for group in groups]) * signals
    half = norm.isf((1 - CONFIDENCE) / 2) / reference
    noise = spectrum.power[channel, line] / line_weights(samples)[line]
    return Course(
        channel=int(channel),
        frequency=float(frequencies[line]),
        places=np.array([series.places[group].mean() for group in groups]),
        amplitude=np.array([abs(values[group].mean()) for group in groups]) / reference,
        error=half * np.sqrt(noise / count),
    )


def _groups(neighbours: Mask) -> list[NDArray[np.intp]]:
    """Divide the acquisitions into about `POINTS` groups, each of neighbours."""
    total = len(neighbours) + 1
    blocks = np.split(np.arange(total), np.flatnonzero(~neighbours) + 1)
    parts = [min(len(block), max(1, round(POINTS * len(block) / total))) for block in blocks]
    return [
        group for block, count in zip(blocks, parts, strict=True) for group in np.array_split(block, count)
    ]
