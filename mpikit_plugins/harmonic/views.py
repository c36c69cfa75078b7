"""Noisy views of clean signals, on the coefficients of the lines: what `harmonic-n2n` learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.signal import mirror_views
from mpikit_plugins.harmonic.space import Parts

HELD_OUT = 5  # every so many-th signal is kept back for the choice of the weights
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Views:
    """Periods, or views of them, and which clean signal each is of.

    Parameters
    ----------
    parts : Parts
        (n, P) and (n, E), those of one signal together.
    signals : shape (n,)
        Number of the clean signal.
    """

    parts: Parts
    signals: NDArray[np.intp]

    @property
    def count(self) -> int:
        """How many clean signals there are."""
        return len(np.unique(self.signals))

    @property
    def pairs(self) -> Indices:
        """Disjoint pairs of views of one signal, the first with the second, the third with the fourth."""
        _, first, counts = np.unique(self.signals, return_index=True, return_counts=True)
        starts = [start + np.arange(0, count - 1, 2) for start, count in zip(first, counts, strict=True)]
        one = np.concatenate(starts)
        return np.stack([one, one + 1], axis=1)

    def split(self) -> tuple[Views, Views]:
        """Return the views for training, and those of signals that are kept back."""
        _, number = np.unique(self.signals, return_inverse=True)
        kept_back = number % HELD_OUT == HELD_OUT - 1
        return self._some(~kept_back), self._some(kept_back)

    def _some(self, chosen: NDArray[np.bool_]) -> Views:
        return Views(Parts(self.parts.signal[chosen], self.parts.empty[chosen]), self.signals[chosen])


def views_of(groups: Sequence[Parts]) -> Views:
    """Take the repeats of clean signals for views, (B, R, P) and (B, R, E) in each group."""
    flat = [group.flat() for group in groups]
    parts = Parts(
        np.concatenate([each.signal for each in flat]), np.concatenate([each.empty for each in flat])
    )
    counts = np.concatenate([np.full(len(group.signal), group.signal.shape[1]) for group in groups])
    return Views(parts, np.repeat(np.arange(len(counts)), counts))


def mirrored(group: Parts) -> Parts:
    """Take each period and its mirror image for views, (B, 2 R, P); the symmetry holds on all lines.

    Odd and even part of circular noise are alike and independent, so what one view says of the noise of the
    other is nothing: their sum and difference have no correlation, and exchanging the parts changes nothing.
    """
    views = mirror_views(np.concatenate([group.signal, group.empty], axis=-1))
    joined = views.reshape(len(views), -1, views.shape[-1])
    return Parts(joined, joined[..., :0])
