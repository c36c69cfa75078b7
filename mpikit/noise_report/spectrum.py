"""Level, spectrum, colour and correlation of the random part of the noise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mpikit.signal.noise import ENOUGH, line_weights

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CONFIDENCE = 0.95
BANDS = 8
BESIDE = 9  # lines, at least, whose median stands in for a line between them


@dataclass(frozen=True)
class Spectrum:
    """Power of the random part on each line of an un-normalised rfft of one period.

    Parameters
    ----------
    power : shape (C, K), unit squared
        NaN on lines that are not stored; on lines that drift, the noise of the lines beside them. With few
        degrees of freedom the running median over ``window`` lines, corrected to the mean.
    freedom : shape (K,)
        Real degrees of freedom of ``power``.
    raw, raw_freedom : shapes (C, K) and (K,)
        The same before the running median.
    window : int
        1 when nothing was smoothed.
    """

    power: Floats
    freedom: Floats
    raw: Floats
    raw_freedom: Floats
    window: int

    def interval(self) -> Floats:
        """Return the 95 % confidence interval of the power, shape (2, C, K)."""
        return interval(self.power, self.freedom)


def interval(power: Floats | float, freedom: Floats | float) -> Floats:
    """Return the 95 % confidence interval of a mean power with a chi-squared distribution, shape (2, ...)."""
    from scipy.stats import chi2

    tail = (1 - CONFIDENCE) / 2
    freedom = np.asarray(freedom, float)
    bounds: Floats = np.stack(
        [power * freedom / chi2.isf(tail, freedom), power * freedom / chi2.ppf(tail, freedom)]
    )
    return bounds


def line_freedom(freedom: float, samples: int) -> Floats:
    """Real degrees of freedom of each line, shape (K,): DC and Nyquist have no imaginary part."""
    return freedom * line_weights(samples)


def measured_spectrum(raw: Floats, freedom: float, stored: Mask, samples: int) -> Spectrum:
    """Return the spectrum with its degrees of freedom.

    Parameters
    ----------
    raw : shape (C, K), unit squared
        Measured power of each line.
    freedom : float
        Its complex degrees of freedom.
    stored : shape (K,)
    samples : int
        V.
    """
    raw = np.where(stored, raw, np.nan)
    own = line_freedom(freedom, samples)
    inner = np.flatnonzero(stored & (line_weights(samples) == 2))
    window = smoothing_window(freedom, len(inner)) if freedom < ENOUGH else 1
    if window == 1:
        return Spectrum(raw, own, raw, own, 1)
    power, smoothed = raw.copy(), own.copy()
    power[:, inner] = local_median(raw[:, inner], freedom, window)
    smoothed[inner] = 2 * median_freedom(freedom, window)
    return Spectrum(power, smoothed, raw, own, window)


def noise_beside(raw: Floats, freedom: float, usable: Mask, samples: int) -> Floats:
    """Return the noise on each line as the usable lines beside it show it.

    The running median over usable lines, interpolated between them and constant beyond the outermost.

    Parameters
    ----------
    raw : shape (C, K), unit squared
        Measured power of each line.
    freedom : float
        Its complex degrees of freedom.
    usable : shape (C, K)
        DC and Nyquist are never taken.
    samples : int
        V.

    Returns
    -------
    shape (C, K), unit squared
        A channel without any usable line comes back as it is.
    """
    beside = raw.copy()
    places = np.arange(raw.shape[1])
    for channel, lines in enumerate(map(np.flatnonzero, usable & (line_weights(samples) == 2))):
        if not len(lines):
            continue
        most = (len(lines) - 1) // 2 * 2 + 1
        window = min(max(smoothing_window(freedom, len(lines)), BESIDE), most)
        median = local_median(raw[channel : channel + 1, lines], freedom, window)[0]
        beside[channel] = np.interp(places, lines, median)
    return beside


def median_freedom(freedom: float, window: int) -> float:
    """Complex degrees of freedom of the median of so many powers, each a mean of ``freedom`` of them.

    A median of many values w with density f and median m has the variance 1 / (4 w f(m)²). For few normal
    ones w + π/2 - 1 in place of w is nearly exact.
    """
    from scipy.stats import gamma

    middle = gamma.median(freedom)
    return float(4 * (window + np.pi / 2 - 1) * (gamma.pdf(middle, freedom) * middle) ** 2)


def smoothing_window(freedom: float, lines: int) -> int:
    """Return the odd number of lines whose median has enough degrees of freedom, or as many as there are."""
    first, third = median_freedom(freedom, 1), median_freedom(freedom, 3)
    wanted = 2 * int(np.ceil((ENOUGH - first) / (third - first))) + 1
    return max(1, min(wanted, (lines - 1) // 2 * 2 + 1))


def local_median(power: Floats, freedom: float, window: int) -> Floats:
    """Return the running median (C, K) over neighbouring lines, corrected to the mean.

    Near the ends it is that of the outermost whole window.
    """
    from scipy.ndimage import median_filter
    from scipy.stats import gamma

    smooth: Floats = median_filter(power, size=(1, window))
    half = window // 2
    smooth[:, :half] = smooth[:, half, None]
    smooth[:, power.shape[1] - half :] = smooth[:, -half - 1, None]
    return smooth / float(gamma.median(freedom) / freedom)


@dataclass(frozen=True)
class Level:
    """Standard deviation of one sample in each channel.

    Parameters
    ----------
    sigma : shape (C,), unit of the signal
    interval : shape (2, C)
        95 % confidence.
    """

    sigma: Floats
    interval: Floats


def level(spectrum: Spectrum, drifting: Mask, samples: int) -> Level:
    """Add the power of all lines up, by Parseval's sum.

    Parameters
    ----------
    spectrum : Spectrum
    drifting : shape (C, K)
        Lines that have the noise of those beside them, which makes nothing known better.
    samples : int
        V.
    """
    weights = line_weights(samples)
    total = np.nansum(weights * spectrum.raw, axis=1)
    # smoothed, for the square of a raw power is too large
    shares = np.nan_to_num(weights * spectrum.power * ~drifting)
    freedom = effective_number(shares, spectrum.raw_freedom)
    return Level(np.sqrt(total) / samples, np.sqrt(interval(total, freedom)) / samples)


def effective_number(shares: Floats, each: Floats | float) -> Floats:
    """Degrees of freedom of a sum of shares (..., K) that have so many each (Satterthwaite 1946)."""
    squares = np.sum(shares**2 / each, axis=-1)
    number: Floats = shares.sum(axis=-1) ** 2 / np.where(squares > 0, squares, 1)
    return np.maximum(number, 1)


@dataclass(frozen=True)
class Band:
    """Mean noise of the lines in one band.

    Parameters
    ----------
    low, high : float, Hz
    lines : shape (C,)
        How many lines it is the mean of.
    power : shape (C,), unit squared
        NaN where all lines drift.
    interval : shape (2, C)
    """

    low: float
    high: float
    lines: NDArray[np.int64]
    power: Floats
    interval: Floats


def bands(spectrum: Spectrum, usable: Mask, frequencies: Floats) -> tuple[Band, ...]:
    """Return the noise in up to eight bands of equal ratio.

    Parameters
    ----------
    spectrum : Spectrum
    usable : shape (C, K)
        Lines with noise alone, neither DC nor Nyquist.
    frequencies : shape (K,), Hz
    """
    places = frequencies[usable.any(axis=0)]
    if len(places) < 2:
        return ()
    edges = np.geomspace(places[0], places[-1], min(BANDS, len(places)) + 1)
    found = []
    member = np.clip(np.searchsorted(edges * (1 - 1e-9), frequencies, side="right") - 1, 0, len(edges) - 2)
    for index, (low, high) in enumerate(pairwise(edges)):
        chosen = usable & (member == index)
        if chosen.any():
            found.append(_band(spectrum, chosen, (float(low), float(high))))
    return tuple(found)


def _band(spectrum: Spectrum, chosen: Mask, edges: tuple[float, float]) -> Band:
    lines = chosen.sum(axis=1)
    power, freedom = mean_power(spectrum, chosen)
    return Band(*edges, lines, power, interval(power, freedom))


def mean_power(spectrum: Spectrum, chosen: Mask) -> tuple[Floats, Floats]:
    """Return the mean raw power of chosen lines (C, K) and its degrees of freedom, both (C,); NaN if none."""
    count = chosen.sum(axis=1)
    total = np.where(chosen, spectrum.raw, 0).sum(axis=1)
    freedom = np.where(chosen, spectrum.raw_freedom, 0).sum(axis=1)
    empty = np.where(count > 0, 1.0, np.nan)
    return empty * total / np.maximum(count, 1), empty * freedom


@dataclass(frozen=True)
class Colour:
    """How the noise changes with frequency in each channel.

    Parameters
    ----------
    exponent, exponent_error : shape (C,)
        The power falls as 1 / f^exponent, and the standard error; white noise has 0.
    ratio : shape (C,)
        Noise amplitude of the lowest tenth of the lines over that of the highest; white noise has 1.
    ratio_interval : shape (2, C)
        95 % confidence.
    """

    exponent: Floats
    exponent_error: Floats
    ratio: Floats
    ratio_interval: Floats


def colour(spectrum: Spectrum, usable: Mask, frequencies: Floats) -> Colour:
    """Fit a power law, and compare the ends of the spectrum.

    The logarithm of a mean power of n complex degrees of freedom has the variance trigamma(n) on every line,
    so that plain least squares over ln f are the best there are.

    Parameters
    ----------
    spectrum : Spectrum
    usable : shape (C, K)
        Lines with noise alone, neither DC nor Nyquist.
    frequencies : shape (K,), Hz
    """
    from scipy.special import polygamma
    from scipy.stats import f

    exponent, error = np.full((2, len(usable)), np.nan)
    variance = float(polygamma(1, np.max(spectrum.raw_freedom) / 2))
    ends = np.zeros((2, *usable.shape), bool)
    for channel, lines in enumerate(map(np.flatnonzero, usable & (spectrum.raw > 0))):
        tenth = max(1, len(lines) // 10)
        if len(lines) < 3:
            continue
        ends[0, channel, lines[:tenth]] = ends[1, channel, lines[-tenth:]] = True
        place = np.log(frequencies[lines]) - np.log(frequencies[lines]).mean()
        exponent[channel] = -(place @ np.log(spectrum.raw[channel, lines])) / (place @ place)
        error[channel] = np.sqrt(variance / (place @ place))
    low, low_freedom = mean_power(spectrum, ends[0])
    high, high_freedom = mean_power(spectrum, ends[1])
    tail = (1 - CONFIDENCE) / 2
    ratio = low / np.where(high > 0, high, np.nan)
    bounds = np.stack(
        [ratio / f.isf(tail, low_freedom, high_freedom), ratio / f.ppf(tail, low_freedom, high_freedom)]
    )
    return Colour(exponent, error, np.sqrt(ratio), np.sqrt(bounds))


def correlation(cross: Floats, spectrum: Spectrum, usable: Mask) -> tuple[Floats, Floats]:
    """Correlation of the samples of two channels at the same time, and its standard error, both (C, C).

    Parameters
    ----------
    cross : shape (C, C, K), unit squared
        Real part of the covariance of the channels on each line.
    spectrum : Spectrum
    usable : shape (C, K)
        Lines with noise alone, neither DC nor Nyquist.
    """
    both = usable[:, None] & usable[None]
    raw = np.where(usable, spectrum.raw, 0)
    own = np.sum(both * raw[:, None], axis=-1)
    scale = np.sqrt(own * own.T)
    matrix = np.sum(np.where(both, cross, 0), axis=-1) / np.where(scale > 0, scale, np.nan)
    smooth: Floats = np.sqrt(np.where(usable, spectrum.power, 0))
    number = effective_number(smooth[:, None] * smooth[None], spectrum.raw_freedom)
    return matrix, (1 - matrix**2) / np.sqrt(number)
