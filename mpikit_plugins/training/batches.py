"""Where batches come from: index batches drawn on the host, data that stay on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpikit.errors import InputError
from mpikit_plugins.training.repeats import Signals

Indices = NDArray[np.int64]
MOST_OF_A_SUBSET = 16  # repeats of one signal in a pair of means; more would only cost memory


class Batches(Protocol):
    """A source of batches."""

    @property
    def items(self) -> int:
        """How many periods, or disjoint pairs of them, one pass over the data has."""

    def draw(self, count: int, rng: np.random.Generator, /) -> Indices:
        """Draw the indices of ``count`` batches, shape (count, ...), on the host."""

    def take(self, index: Tensor, /) -> tuple[Tensor, ...]:
        """Return the batch of one entry of `draw`, which is on the device already; no wait for the device."""


class Singles:
    """Noisy periods by themselves.

    Parameters
    ----------
    groups : sequence of shape (B, R, C, V)
    batch : int
        Periods in one batch.
    device : str
    """

    def __init__(self, groups: Sequence[Signals], *, batch: int, device: str) -> None:
        self._store = _stored(groups, device)
        self._batch = batch

    @property
    def items(self) -> int:
        """How many periods there are."""
        return len(self._store)

    def draw(self, count: int, rng: np.random.Generator, /) -> Indices:
        """Draw periods, shape (count, batch)."""
        return rng.integers(len(self._store), size=(count, self._batch))

    def take(self, index: Tensor, /) -> tuple[Tensor, ...]:
        """Return the periods, (batch, C, V)."""
        return (self._store[index],)


class Pairs:
    """Two noisy versions of one clean signal, with noise of their own (Noise2Noise).

    With K repeats of a signal there are three rules: one repeat and another, in either role; one and the mean
    of all others, whose noise has a variance K - 1 times smaller; the mean of some and the mean of others,
    and as a third part of the batch the noise of the first, relative to that of one repeat.

    Parameters
    ----------
    groups : sequence of shape (B, R, C, V)
        R > 1 noisy repeats of each clean signal. Every repeat is as likely as any other.
    batch : int
        Pairs in one batch.
    device : str
    rule : {"pair", "mean", "subset"}
    lag : int
        Least distance of the two repeats of a pair, for noise that lasts (rule "pair").

    Raises
    ------
    InputError
        When a signal has too few repeats for the lag.
    """

    def __init__(
        self,
        groups: Sequence[Signals],
        *,
        batch: int,
        device: str,
        rule: Literal["pair", "mean", "subset"] = "pair",
        lag: int = 1,
    ) -> None:
        counts = np.concatenate([np.full(len(group), group.shape[1]) for group in groups])
        if lag > 1 and counts.min() < 2 * lag:
            raise InputError(
                f"pairs of repeats {lag} apart need {2 * lag} repeats of each signal, one has {counts.min()}",
                hint="choose a smaller lag",
            )
        self._store = _stored(groups, device)
        self._counts, self._starts = counts, np.cumsum(counts) - counts
        self._signal = np.repeat(np.arange(len(counts)), counts)  # of each repeat
        self._batch, self._rule, self._lag = batch, rule, lag
        self.take = {"pair": self._pair, "mean": self._mean, "subset": self._subset}[rule]
        if rule == "mean":
            sums = [group.sum(axis=1, dtype=np.float64).astype(np.float32) for group in groups]
            self._sums = torch.from_numpy(np.concatenate(sums)).to(device)
            self._others = torch.from_numpy(counts - 1).to(device, torch.float32)[:, None, None]

    @property
    def items(self) -> int:
        """How many disjoint pairs there are."""
        return int(np.sum(self._counts // 2))

    def draw(self, count: int, rng: np.random.Generator, /) -> Indices:
        """Draw pairs: places of repeats, or of a repeat and its signal, or of the parts of two means."""
        if self._rule == "subset":
            return self._draw_subsets(count, rng)
        one = rng.integers(len(self._store), size=(count, self._batch))
        signal = self._signal[one]
        if self._rule == "mean":
            return np.stack([one, signal], axis=1)
        start, repeats = self._starts[signal], self._counts[signal]
        step = rng.integers(self._lag, repeats - self._lag + 1)
        return np.stack([one, start + (one - start + step) % repeats], axis=1)

    def _draw_subsets(self, count: int, rng: np.random.Generator) -> Indices:
        """Places of some repeats, (count, batch, r), and in one more column how many are for the input."""
        taken = min(int(self._counts.min()), MOST_OF_A_SUBSET)
        signal = self._signal[rng.integers(len(self._store), size=(count, self._batch))]
        most = int(self._counts.max())
        order = rng.random((*signal.shape, most))
        order[np.arange(most) >= self._counts[signal][..., None]] = 2  # behind all that there are
        places = self._starts[signal][..., None] + np.argsort(order, axis=-1)[..., :taken]
        inputs = rng.integers(1, taken, size=(*signal.shape, 1))
        return np.concatenate([places, inputs], axis=-1)

    def _pair(self, index: Tensor) -> tuple[Tensor, ...]:
        return self._store[index[0]], self._store[index[1]]

    def _mean(self, index: Tensor) -> tuple[Tensor, ...]:
        one = self._store[index[0]]
        return one, (self._sums[index[1]] - one) / self._others[index[1]]

    def _subset(self, index: Tensor) -> tuple[Tensor, ...]:
        picked, inputs = self._store[index[:, :-1]], index[:, -1:]
        taken = index.shape[1] - 1
        mine = (torch.arange(taken, device=index.device) < inputs).to(picked)[..., None, None]
        first = (picked * mine).sum(dim=1) / inputs[..., None]
        second = (picked * (1 - mine)).sum(dim=1) / (taken - inputs[..., None])
        return first, second, inputs[:, 0].to(picked) ** -0.5


def _stored(groups: Sequence[Signals], device: str) -> Tensor:
    """All periods one behind the other, (periods, C, V), on the device."""
    flat = np.concatenate([group.reshape(-1, *group.shape[2:]) for group in groups])
    return torch.from_numpy(np.ascontiguousarray(flat, np.float32)).to(device)
