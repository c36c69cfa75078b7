"""Squared errors of several methods side by side: their differences, and how well these are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.signal.noise import line_weights

Signals = NDArray[np.floating]
ENOUGH_SIGNALS = 8  # clean signals whose spread says how well their mean is known
MOST_GROUPS = 16  # of repeats that are left out together


@dataclass(frozen=True)
class Spread:
    """How noise of the judges makes the loss of estimates uncertain.

    Parameters
    ----------
    estimates : shape (n, C, K)
        Spectra; n may be 0.
    doubt : shape (C, K), unit squared
        Variance of the loss for each unit squared of these.
    """

    estimates: NDArray[np.complexfloating]
    doubt: NDArray[np.float64]

    def variance(self, other: Spread) -> float:
        """Return that of the difference of two losses."""
        apart = np.sum(np.abs(self.estimates - other.estimates).astype(np.float64) ** 2, axis=0)
        return float(np.sum(apart * self.doubt))


@dataclass(frozen=True)
class View:
    """The second of two views of the same periods, that were made with noise of a level that is known.

    Parameters
    ----------
    noise : shape (C, K), unit squared
        Noise power of the view on each line.
    in_common : float
        Share of it that comes again in every other pair of views.
    leak : float
        What the noise, if it was as large as that which splits them, adds to the loss: the product of the
        estimate and the difference of the views times this.
    width : int
        Lines whose level was measured together.
    freedom : float
        Complex degrees of freedom of that measurement.
    """

    noise: NDArray[np.float64]
    in_common: float
    leak: float
    width: int
    freedom: float


@dataclass(frozen=True)
class Losses:
    """Mean squared error of estimates, less the power of the clean signals that all methods have in common.

    Parameters
    ----------
    signals : shape (B,), unit squared
        Of each clean signal.
    lines : shape (K,), unit squared
        Share of each line; their sum is the mean over the signals.
    replicates : shape (G, K), unit squared, or None
        The same without one group of repeats, for a jackknife; None with fewer than three repeats, or where
        the signals speak for others.
    judged : Spread
        By the noise of the judges; empty where replicates or signals show it.
    background : Spread
        By the noise of a background that judges have in common.
    level : Spread
        By the error of a noise level that was taken to be known.
    in_common : float
        Share of the other noise of the judges that comes again where the same signals are judged once more.
    """

    signals: NDArray[np.float64]
    lines: NDArray[np.float64]
    replicates: NDArray[np.float64] | None
    judged: Spread
    background: Spread
    level: Spread
    in_common: float = 0.0

    @property
    def loss(self) -> float:
        """Mean over all signals, unit squared."""
        return float(self.lines.sum())

    def is_paired_with(self, other: Losses) -> bool:
        """Say whether both were judged on the same repeats of the same signals."""
        return _shapes(self) == _shapes(other)

    def doubt(self, other: Losses) -> tuple[float, float]:
        """Return the variance of the difference of two losses: by the judges, and by what they share."""
        if self.replicates is not None and other.replicates is not None:
            replicates = self.replicates - other.replicates
            variance = (len(replicates) - 1) * float(np.sum(np.var(replicates, axis=0)))
        elif len(self.signals) >= ENOUGH_SIGNALS:
            variance = float(np.var(self.signals - other.signals, ddof=1)) / len(self.signals)
        else:
            variance = self.judged.variance(other.judged)
        return variance, self.background.variance(other.background) + self.level.variance(other.level)


def excess(ours: Sequence[Losses], others: Sequence[Losses]) -> tuple[float, float]:
    """Return how much larger an error is than another, and the standard error of that difference.

    What the judges and the clean signals add is the same in both, and cancels. The standard error is that of
    a jackknife over the repeats (Efron and Stein, Ann. Statist. 9, 1981), line by line and added over the
    lines, for noise is independent there; without enough repeats that of the mean over the signals; with few
    of either it follows from the noise of the judges. Several parts that were held out in turn are taken to
    be independent but for the background, and for what they are said to have in common.

    Parameters
    ----------
    ours, others : sequence of Losses
        Of two methods that were judged on the same repeats, see `Losses.is_paired_with`; one for each part
        that was held out. Parts that only one of them has do not count.
    """
    pairs = list(zip(ours, others, strict=False))
    judged, shared = np.mean([one.doubt(other) for one, other in pairs], axis=0)
    share = ours[0].in_common
    variance = judged * (share + (1 - share) / len(pairs)) + shared
    return float(np.mean([one.loss - other.loss for one, other in pairs])), float(np.sqrt(variance))


def _shapes(losses: Losses) -> list[tuple[int, ...] | None]:
    replicates = None if losses.replicates is None else losses.replicates.shape
    spreads = (losses.judged.estimates.shape, losses.background.estimates.shape)
    return [losses.signals.shape, replicates, *spreads]


def losses(
    estimate: Signals,
    repeats: Signals,
    *,
    view: View | None = None,
    apart: Signals | None = None,
    by_signals: bool = False,
    common_noise: NDArray[np.float64] | float = 0.0,
    common_to_all: bool = True,
) -> Losses:
    """Judge estimates by noisy repeats that had no part in them.

    With an estimate a and a judge y, ``|a|² - 2 <a, y>`` has the mean ``|a - x|² - |x|²``, for any estimator.

    Parameters
    ----------
    estimate, repeats : shape (B, R, C, V)
    view : View or None
        None when each estimate was made from the repeat of its place, and is judged by the others. Otherwise
        it is judged by the one of its place, whose noise it has not seen.
    apart : shape (B, R, C, V) or None
        Difference of the first view and the second.
    by_signals : bool
        The signals speak for others like them, so that their spread counts where there are enough.
    common_noise : shape (C, K) or 0
        Noise power that the judges have in common and the estimates have not seen.
    common_to_all : bool
        In common to the judges of all signals; else to those of one signal each.
    """
    signals, count, channels, samples = estimate.shape
    scale = line_weights(samples) / (samples**2 * channels)
    by_others, enough = view is None, signals >= ENOUGH_SIGNALS
    groups = _groups(count) if by_others and count > 2 and not (by_signals and enough) else []
    each, lines, noise = np.zeros(signals), np.zeros(len(scale)), np.zeros((channels, len(scale)))
    replicates = np.zeros((len(groups), len(scale)))
    means = np.zeros((1 if common_to_all else signals, channels, len(scale)), complex)
    kept, leaks = [], np.zeros_like(noise)
    for index in range(signals):  # one clean signal at a time bounds the memory
        sums = _Sums(
            *(np.fft.rfft(stack[index].astype(np.float64), axis=-1) for stack in (estimate, repeats))
        )
        part = scale * (sums.by_others([]) if by_others else sums.by_own())
        each[index] = part.sum()
        lines += part / signals
        for place, group in enumerate(groups):
            replicates[place] += scale * sums.by_others(group) / signals
        means[0 if common_to_all else index] += sums.estimate.mean(axis=0) / (signals if common_to_all else 1)
        if not groups and not enough:
            kept.append(sums.estimate.astype(np.complex64))
            # of two repeats each judges the other, so that the product of their noise counts twice
            noise += (2 * sums.spread() if view is None else view.noise) / signals
        if view is not None and apart is not None:
            split = np.fft.rfft(apart[index].astype(np.float64), axis=-1)
            leaks += view.leak * scale * np.mean((sums.estimate * split.conj()).real, axis=0) / signals
    judged = np.concatenate(kept) if kept else means[:0].astype(np.complex64)
    return Losses(
        each,
        lines,
        replicates if groups else None,
        Spread(judged, 2 * noise * (scale / max(len(judged), 1)) ** 2),
        Spread(means, 2 * np.ones_like(noise) * common_noise * (scale / len(means)) ** 2),
        _level(leaks, view),
        0.0 if view is None else view.in_common,
    )


def _level(leaks: NDArray[np.float64], view: View | None) -> Spread:
    """Return the leaks (C, K) of lines whose level has one error, and the variance of these errors."""
    if view is None:
        return Spread(np.zeros((0, *leaks.shape), complex), np.zeros(leaks.shape))
    sums = np.add.reduceat(leaks, np.arange(0, leaks.shape[1], view.width), axis=1)
    return Spread(sums[None].astype(complex), np.full(sums.shape, 1 / view.freedom))


def _groups(count: int) -> list[list[int]]:
    return [
        [int(place) for place in part] for part in np.array_split(np.arange(count), min(count, MOST_GROUPS))
    ]


class _Sums:
    """Spectra (R, C, K) of the estimates and of the repeats of one clean signal, and their sums."""

    def __init__(self, estimate: NDArray[np.complex128], repeats: NDArray[np.complex128]) -> None:
        self.estimate, self.repeats = estimate, repeats
        self.size: NDArray[np.float64] = np.sum(np.abs(estimate) ** 2, axis=1)
        self.own: NDArray[np.float64] = np.sum((estimate * repeats.conj()).real, axis=1)

    def spread(self) -> NDArray[np.float64]:
        """Noise power of one repeat on each line, (C, K)."""
        found: NDArray[np.float64] = np.var(self.repeats, axis=0, ddof=1)
        return found

    def by_own(self) -> NDArray[np.float64]:
        """Mean loss on each line, (K,), each estimate judged by the repeat of its place."""
        found: NDArray[np.float64] = np.mean(self.size - 2 * self.own, axis=0)
        return found

    def by_others(self, left_out: list[int]) -> NDArray[np.float64]:
        """Mean loss on each line, (K,), over all pairs of different repeats, without some of these."""
        kept = np.setdiff1d(np.arange(len(self.size)), left_out)
        estimate, repeats = self.estimate[kept].sum(axis=0), self.repeats[kept].sum(axis=0)
        pairs = np.sum((estimate * repeats.conj()).real, axis=0) - self.own[kept].sum(axis=0)
        found: NDArray[np.float64] = self.size[kept].mean(axis=0) - 2 * pairs / (len(kept) * (len(kept) - 1))
        return found
