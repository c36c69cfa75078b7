"""Mean, spread, steps and slope of the lines of a series, in one pass over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, Step, silent
from mpikit.noise_report.series import Series, places_in

Spectra = NDArray[np.complex128]
LARGEST = 2**21  # samples at once: 50 MB with their spectra
MANY = 10  # pieces that take long enough to tell of each


@dataclass(frozen=True)
class Moments:
    """What a series says about each line of an un-normalised rfft of one period.

    Parameters
    ----------
    mean : shape (C, K), unit of the signal
        Mean over all acquisitions: what is locked in phase.
    slope : shape (C, K), unit of the signal
        Change from the first to the last acquisition along the straight line of least squares.
    spread : shape (C, K), unit squared
        Variance over the acquisitions of one signal: the random part and the drift.
    cross : shape (C, C, K), unit squared
        Covariance of the channels over the steps between neighbours, real part: the random part alone.
    """

    mean: Spectra
    slope: Spectra
    spread: NDArray[np.float64]
    cross: NDArray[np.float64]

    @property
    def power(self) -> NDArray[np.float64]:
        """Power of the random part, shape (C, K)."""
        own: NDArray[np.float64] = np.einsum("cck->ck", self.cross)
        return own


def moments(series: Series, tell: Callable[[Event], None] = silent) -> Moments:
    """Go once over a series.

    Parameters
    ----------
    series : Series
    tell : callable
        Hears of each piece of a long series.
    """
    signals, _, channels, samples = series.stack.shape
    sums = _Sums(series, np.zeros((channels, samples // 2 + 1)))
    pieces = list(places_in(series.stack.shape, LARGEST))
    for index, (some, now) in enumerate(pieces, start=1):
        sums.add(np.fft.rfft(series.stack[some, now].astype(np.float64), axis=-1), now)
        if len(pieces) >= MANY:
            tell(Step(index, len(pieces)))
    sums.close()
    return Moments(
        mean=sums.mean / signals,
        slope=sums.slope / (signals * np.sum(series.times**2)),
        spread=np.maximum(sums.spread, 0) / series.spread_freedom(),
        cross=sums.cross / (2 * signals * np.sum(series.compared)),
    )


class _Sums:
    """Running sums of deviations from the first acquisition, for a strong line would swamp the noise."""

    def __init__(self, series: Series, empty: NDArray[np.float64]) -> None:
        self.times, self.compared = series.times, series.compared
        self.acquisitions = series.stack.shape[1]
        self.mean, self.slope = empty.astype(complex), empty.astype(complex)
        self.spread = empty.copy()
        self.cross = np.zeros((len(empty), *empty.shape))
        self.first: Any = None

    def add(self, spectra: Spectra, now: slice) -> None:
        """Take acquisitions (B', R', C, K) in; a new group of signals begins with ``now.start == 0``."""
        if now.start == 0:
            self.close()
            self.first = spectra[:, :1].copy()
            self.last = np.zeros_like(self.first)
            self.total: Spectra = np.zeros_like(self.first[:, 0])
        spectra -= self.first
        self.total += spectra.sum(axis=1)
        self.spread += np.sum(spectra.real**2 + spectra.imag**2, axis=(0, 1))
        self.slope += np.einsum("r,brck->ck", self.times[now], spectra)
        steps = np.diff(spectra, axis=1, prepend=self.last)
        if now.start == 0:  # nothing came before
            steps = steps[:, 1:]
        steps = steps[:, self.compared[max(now.start - 1, 0) : now.stop - 1]]
        self.cross += np.einsum("brak,brck->ack", steps, steps.conj()).real
        self.last = spectra[:, -1:].copy()

    def close(self) -> None:
        """Complete the group of signals that is being added."""
        if self.first is None:
            return
        self.mean += np.sum(self.first[:, 0] + self.total / self.acquisitions, axis=0)
        self.spread -= np.sum(np.abs(self.total) ** 2, axis=0) / self.acquisitions
        self.first = None
