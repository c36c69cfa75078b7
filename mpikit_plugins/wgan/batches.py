"""Batches of unpaired samples: noisy periods, noise to add to them, and other noise to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpikit_plugins.training.batches import Indices
from mpikit_plugins.wgan.amplitude import strata


@dataclass(frozen=True)
class Measured:
    """Noisy periods with what is known of them.

    Parameters
    ----------
    signal : shape (P, C, W)
        In units of the noise, free of its mean.
    size : shape (P,)
        What the critics divide by.
    condition : shape (P,)
        What the critics are told: the logarithm of the amplitude.
    amplitude : shape (P,)
        Of the clean signal.
    signal_of : shape (P,)
        Which clean signal a period is a repeat of, ascending.
    """

    signal: NDArray[np.float32]
    size: NDArray[np.float32]
    condition: NDArray[np.float32]
    amplitude: NDArray[np.float64]
    signal_of: NDArray[np.int64]


class Unpaired:
    """Noisy periods and noise samples, each drawn independently.

    Of one batch the noise that is added to periods, and the noise that a critic sees as such, are drawn from
    two halves of all samples, parted anew for every batch: the same sample never is in both.

    Parameters
    ----------
    measured : Measured
    noise : shape (E, C, W)
        E > 1, in the same units.
    batch : int
    ranges : int
        Ranges of the amplitude, see `strata`; place i of a batch is for range i modulo their number.
    paired : bool
        Each batch also has another repeat of each period, where there is one.
    device : str
    rng : numpy.random.Generator
        Mixes the noise samples once, so that halves of them are no halves of the measurement.
    """

    def __init__(
        self,
        measured: Measured,
        noise: NDArray[np.float32],
        *,
        batch: int,
        ranges: int,
        paired: bool,
        device: str,
        rng: np.random.Generator,
    ) -> None:
        self._batch, self._paired = batch, paired
        self._samples = len(noise)
        self._mixed = rng.permutation(len(noise))
        numbers = strata(measured.amplitude, ranges)
        self._ranges = [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]
        self._counts = np.bincount(measured.signal_of)[measured.signal_of]
        self._starts = np.searchsorted(measured.signal_of, measured.signal_of)
        arrays: Sequence[NDArray[np.float32]] = (measured.signal, measured.size, measured.condition, noise)
        self._store = [torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in arrays]
        self._repeated = torch.from_numpy((self._counts > 1).astype(np.float32)).to(device)

    @property
    def items(self) -> int:
        """How many noisy periods there are."""
        return len(self._counts)

    def draw(self, count: int, rng: np.random.Generator, /) -> Indices:
        """Draw places of periods, of noise to add, and of other noise, (count, 3 or 4, batch)."""
        shape = (count, self._batch)
        periods = np.empty(shape, np.int64)
        for number, members in enumerate(self._ranges):
            places = slice(number, None, len(self._ranges))
            periods[:, places] = members[rng.integers(len(members), size=periods[:, places].shape)]
        start = rng.integers(self._samples, size=(count, 1))
        half = self._samples // 2
        added = self._mixed[(start + rng.integers(half, size=shape)) % self._samples]
        other = half + rng.integers(self._samples - half, size=shape)
        rows = [periods, added, self._mixed[(start + other) % self._samples]]
        if self._paired:
            rows.append(self._partners(periods, rng))
        return np.stack(rows, axis=1)

    def _partners(self, periods: Indices, rng: np.random.Generator) -> Indices:
        """Draw another repeat of each period; itself where there is none."""
        start, count = self._starts[periods], self._counts[periods]
        step = 1 + np.floor(rng.random(periods.shape) * (count - 1)).astype(np.int64)
        return start + (periods - start + np.where(count > 1, step, 0)) % count

    def take(self, index: Tensor, /) -> tuple[Tensor, ...]:
        """Return periods (B, C, W), their sizes and conditions (B,), noise to add and other noise (B, C, W).

        With pairs also another repeat (B, C, W), and 1 where there is one, else 0, (B,).
        """
        signal, size, condition, noise = self._store
        batch = (signal[index[0]], size[index[0]], condition[index[0]], noise[index[1]], noise[index[2]])
        if not self._paired:
            return batch
        return (*batch, signal[index[3]], self._repeated[index[0]])
