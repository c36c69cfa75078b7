"""The level of the noise of each period, by what holds no signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Scan
from mpikit.signal.lines import LineCoefficients
from mpikit.signal.measured import MeasuredLines
from mpikit.signal.views import both_parts

Floats = NDArray[np.float64]
MEDIAN = 0.6744897501960817  # of the magnitude of a unit Gaussian
MEDIAN_SPREAD = 1.3605  # relative variance of the median magnitude of n Gaussians, times n
MOST_PERIODS = 200  # whose levels are compared
FEWEST_PARTS = 32  # real parts that tell a level
RARE = 1e-3  # probability with which chance is taken for different levels
UNLIKE = 2.0  # times the variance by chance: from here on the level of each is known better than one for all
WORTH = 0.05  # relative spread of the levels below which they might as well be one
FAILING = 0.05  # share of the lines that may turn signal into the even part: the median outvotes them


def odd_and_even(lines: LineCoefficients, signal: NDArray[np.floating[Any]]) -> tuple[Floats, Floats]:
    """Return the coefficients of signals, and beside them the even part of every line.

    Parameters
    ----------
    lines : LineCoefficients
        With a symmetry; whether it holds on a line does not matter.
    signal : shape (..., C, V)

    Returns
    -------
    coefficients : shape (..., P)
        As `LineCoefficients.forward` gives them.
    even : shape (..., n)
        Of all n kept lines, whose places are the first n of ``lines.places``.
    """
    odd, even = np.split(_both(lines).forward(signal), 2, axis=-1)
    symmetry = lines.harmonic.symmetry
    if symmetry is None or lines.count == odd.shape[-1]:
        return odd, even
    channel, line = lines.places[: odd.shape[-1]].T
    free = np.flatnonzero(~symmetry.holds[channel, line])
    return np.concatenate([odd, even[..., free]], axis=-1), even


def of_equal_noise(measured: MeasuredLines, lines: LineCoefficients) -> MeasuredLines:
    """Divide each signal by the level of its noise, for the search for lines takes it to be one.

    Parameters
    ----------
    measured : MeasuredLines
    lines : LineCoefficients
        Their even part tells the level, see `symmetry_tells`.
    """
    even = np.split(_both(lines).of_spectra(measured.signals), 2, axis=-1)[1]
    channels = lines.places[: even.shape[-1], 0]
    levels = levels_of(even, channels, measured.signals.shape[1]) / measured.share**0.5
    return replace(measured, signals=measured.signals / np.where(levels > 0, levels, 1)[..., None])


def _both(lines: LineCoefficients) -> LineCoefficients:
    """Return coefficients of the odd parts of all lines, then of the even parts of all."""
    symmetry = lines.harmonic.symmetry
    if symmetry is None:
        raise ValueError("without symmetry no part of a period is known to be noise")
    anyhow = replace(symmetry, holds=np.ones_like(symmetry.holds))
    return both_parts(replace(lines, harmonic=replace(lines.harmonic, symmetry=anyhow)))


def levels_of(parts: Floats, channels: NDArray[np.intp], count: int) -> Floats:
    """Root of the noise power of each period and channel, by the median magnitude of its parts.

    Parameters
    ----------
    parts : shape (..., n)
        Free of signal but for some few; of unit noise at the level 1.
    channels : shape (n,)
        Receive channel of each.
    count : int
        C.

    Returns
    -------
    shape (..., C)
        1 for a channel without parts.
    """
    levels: Floats = np.ones((*parts.shape[:-1], count))
    for channel in np.unique(channels):
        own = parts if count == 1 else parts[..., channels == channel]
        levels[..., channel] = np.median(np.abs(own), axis=-1) / MEDIAN
    return levels


def symmetry_tells(lines: LineCoefficients, detected: NDArray[np.bool_]) -> bool:
    """Say whether the even part of the lines is noise: the symmetry holds on nearly all that stand out.

    Parameters
    ----------
    lines : LineCoefficients
    detected : shape (C, K)
        Lines that stand out of the noise.
    """
    symmetry, keep = lines.harmonic.symmetry, lines.harmonic.keep
    if symmetry is None:
        return False
    failing = np.sum(keep & detected & ~symmetry.holds, axis=1)
    return bool(np.all(failing <= FAILING * np.sum(keep, axis=1)))


def levels_differ(scans: Sequence[Scan], lines: LineCoefficients, detected: NDArray[np.bool_]) -> bool:
    """Say whether the noise differs in level from period to period, beyond chance and worth a thought.

    Parameters
    ----------
    scans : sequence of Scan
        Of many periods some are compared, evenly chosen.
    lines : LineCoefficients
        Their even part tells the level, where `symmetry_tells`; otherwise the lines that do not stand out,
        or the weaker half of all, when noise that is taken for too small makes nearly all stand out.
    detected : shape (C, K)
    """
    signal = _some_periods(scans)
    if symmetry_tells(lines, detected):
        _, parts = odd_and_even(lines, signal)
        channels = lines.places[: parts.shape[-1], 0]
    else:
        every = lines.forward(signal)
        empty = _empty_parts(every, lines, detected)
        parts, channels = every[:, empty], lines.places[empty, 0]
    counts = np.bincount(channels, minlength=signal.shape[1])
    told = counts >= FEWEST_PARTS
    levels = levels_of(parts, channels, signal.shape[1])[:, told]
    return _beyond_chance(levels, counts[told])


def _empty_parts(parts: Floats, lines: LineCoefficients, detected: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose the coefficients (P,) of lines without signal, from those of some periods (n, P)."""
    channel, line = lines.places.T
    empty: NDArray[np.bool_] = ~detected[channel, line]
    power = np.mean(parts**2, axis=0)
    for each in np.unique(channel):
        own = channel == each
        if np.sum(empty[own]) < FEWEST_PARTS:
            empty[own] = power[own] <= np.median(power[own])
    return empty


def _beyond_chance(levels: Floats, counts: NDArray[np.intp]) -> bool:
    """Test the levels (n, C) of periods, each told by so many real parts (C,), for a common one."""
    from scipy.stats import chi2

    periods, channels = levels.shape
    if periods < 2 or channels == 0:
        return False
    mean = levels.mean(axis=0)
    spread = np.divide(levels.var(axis=0, ddof=1), mean**2, out=np.zeros(channels), where=mean > 0)
    chance = MEDIAN_SPREAD / counts
    limit = max(UNLIKE, chi2.isf(RARE / channels, periods - 1) / (periods - 1))
    return bool(np.any(spread > np.maximum(limit * chance, WORTH**2)))


def _some_periods(scans: Sequence[Scan]) -> NDArray[np.float32]:
    """Choose periods (n, C, V), evenly over all frames and repeats."""
    most = max(MOST_PERIODS // len(scans), 1)
    chosen = []
    for scan in scans:
        flat = scan.signal.reshape(-1, *scan.signal.shape[2:])
        places = np.unique(np.linspace(0, len(flat) - 1, min(len(flat), most)).astype(int))
        chosen.append(flat[places])
    return np.concatenate(chosen)
