"""How the network of `harmonic-n2n` is trained: pairs of periods, or hidden lines, and a held-out judge."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpikit import Finding, Run
from mpikit.metrics import ReferenceFree
from mpikit_plugins.harmonic.correction import AT_ONCE, TINY, Correction
from mpikit_plugins.harmonic.space import Parts, Places, Space
from mpikit_plugins.harmonic.views import Indices, Views
from mpikit_plugins.training.chance import seeded
from mpikit_plugins.training.loop import Player, play
from mpikit_plugins.training.options import TrainingOptions
from mpikit_plugins.training.threads import threads_for

BITS = 62  # of a random number
SURE = 2.0  # standard errors by which the network must be better


class Examples(Protocol):
    """A source of batches: noisy input (B, P) and (B, E), target (B, P) and hidden group (B,)."""

    @property
    def items(self) -> int:
        """Pairs in one pass over the data."""

    def draw(self, count: int, rng: np.random.Generator, /) -> Indices:
        """Draw the indices of so many batches."""

    def take(self, index: Tensor, /) -> tuple[Tensor, ...]:
        """Return a batch."""

    def everything(self) -> Tensor:
        """Return the index of one batch: all pairs in either role, or all periods."""


class Store:
    """Periods on the device: (n, P) and (n, E)."""

    def __init__(self, parts: Parts, device: str) -> None:
        self.signal = torch.from_numpy(parts.signal.astype(np.float32)).to(device)
        self.empty = torch.from_numpy(parts.empty.astype(np.float32)).to(device)


class FixedPairs:
    """Two noisy views of each signal, always the same two together, in either role.

    Parameters
    ----------
    parts : Parts
        Periods, (n, P) and (n, E).
    pairs : shape (m, 2)
        Places of the two views.
    batch : int
    device : str
    """

    def __init__(self, parts: Parts, pairs: Indices, *, batch: int, device: str) -> None:
        self.store, self.pairs, self.batch, self.device = Store(parts, device), pairs, batch, device

    @property
    def items(self) -> int:
        """How many pairs there are."""
        return len(self.pairs)

    def draw(self, count: int, rng: np.random.Generator, /) -> Indices:
        """Draw pairs in random roles, (count, batch, 2)."""
        chosen = self.pairs[rng.integers(len(self.pairs), size=(count, self.batch))]
        turned = rng.integers(2, size=(count, self.batch, 1)) == 1
        return np.where(turned, chosen[..., ::-1], chosen)

    def take(self, index: Tensor, /) -> tuple[Tensor, ...]:
        """Return input, its even part, target, and the group: nothing is hidden."""
        one, other = index[:, 0], index[:, 1]
        return self.store.signal[one], self.store.empty[one], self.store.signal[other], torch.zeros_like(one)

    def everything(self) -> Tensor:
        """Return all pairs, then all of them turned round."""
        both = np.concatenate([self.pairs, self.pairs[:, ::-1]])
        return torch.from_numpy(both).to(self.device)


class RedrawnPairs(FixedPairs):
    """Two repeats of a signal, drawn anew each time; each line comes from either, at random.

    The noise of different lines is uncorrelated, so a period with some lines of one repeat and some of
    another is as good as a measured one, and what is left over makes another, with noise of its own.

    Parameters
    ----------
    parts, pairs, batch, device
        As in `FixedPairs`; the pairs serve the judge.
    signals : shape (n,)
        Number of the signal of each period; those of one signal stand together, two at least.
    lines, empty_lines : shape (P,), (E,)
        Number of the line of each coefficient.
    """

    def __init__(
        self,
        parts: Parts,
        pairs: Indices,
        *,
        batch: int,
        device: str,
        signals: NDArray[np.intp],
        lines: NDArray[np.intp],
        empty_lines: NDArray[np.intp],
    ) -> None:
        super().__init__(parts, pairs, batch=batch, device=device)
        _, first, own, count = np.unique(signals, return_index=True, return_inverse=True, return_counts=True)
        self._first, self._count = first[own], count[own]
        numbers = np.unique(lines)
        self._lines = torch.from_numpy(np.searchsorted(numbers, lines)).to(device)
        self._empty_lines = torch.from_numpy(np.searchsorted(numbers, empty_lines)).to(device)
        self._words = -(-len(numbers) // BITS)
        self._shifts = torch.arange(BITS, device=device)

    def draw(self, count: int, rng: np.random.Generator, /) -> Indices:
        """Draw two repeats, and a random bit for each line, (count, batch, 2 + words)."""
        shape = (count, self.batch)
        one = rng.integers(len(self._first), size=shape)
        start, repeats = self._first[one], self._count[one]
        other = start + (one - start + rng.integers(1, repeats)) % repeats
        bits = rng.integers(2**BITS, size=(*shape, self._words))
        return np.concatenate([one[..., None], other[..., None], bits], axis=-1)

    def take(self, index: Tensor, /) -> tuple[Tensor, ...]:
        """Return input, its even part, target, and the group."""
        one, even, other, group = super().take(index)
        bits = (index[:, 2:, None] >> self._shifts) & 1
        turned = bits.flatten(1) == 1
        swap, swap_even = turned[:, self._lines], turned[:, self._empty_lines]
        other_even = self.store.empty[index[:, 1]]
        return (
            torch.where(swap, other, one),
            torch.where(swap_even, other_even, even),
            torch.where(swap, one, other),
            group,
        )

    def everything(self) -> Tensor:
        """Return the pairs that the judge looks at: no line is exchanged."""
        pairs = super().everything()
        return torch.cat([pairs, pairs.new_zeros(len(pairs), self._words)], dim=1)


class HiddenLines:
    """Single periods with a group of lines hidden, which are the target.

    Parameters
    ----------
    parts : Parts
    groups : int
        G.
    batch : int
    device : str
    """

    def __init__(self, parts: Parts, *, groups: int, batch: int, device: str) -> None:
        self.store, self.groups, self.batch, self.device = Store(parts, device), groups, batch, device

    @property
    def items(self) -> int:
        """How many periods there are."""
        return len(self.store.signal)

    def draw(self, count: int, rng: np.random.Generator, /) -> Indices:
        """Draw periods and groups, (count, batch, 2)."""
        shape = (count, self.batch)
        return np.stack([rng.integers(self.items, size=shape), rng.integers(self.groups, size=shape)], -1)

    def take(self, index: Tensor, /) -> tuple[Tensor, ...]:
        """Return a period, its even part, the same as target, and the group that is hidden."""
        one, group = index[:, 0], index[:, 1]
        return self.store.signal[one], self.store.empty[one], self.store.signal[one], group

    def everything(self) -> Tensor:
        """Return each period once, with the groups in turn."""
        one = np.arange(self.items)
        return torch.from_numpy(np.stack([one, one % self.groups], -1)).to(self.device)


@dataclass(frozen=True)
class Judged:
    """How the network did on signals that were kept back.

    Parameters
    ----------
    difference, uncertainty : float
        Mean squared error less that of the linear filter, in units of the signals' power, and standard error.
    error : float
        That of the network.
    """

    difference: float
    uncertainty: float
    error: float

    @property
    def better(self) -> bool:
        """The network is better beyond doubt."""
        return self.difference < -SURE * self.uncertainty


class Objective:
    """Loss and judge of a correction.

    Parameters
    ----------
    network : Correction
    space : Space
    examples : Examples
        The loss is in units of that of the linear filter on these.
    device : str
    """

    def __init__(self, network: Correction, space: Space, examples: Examples, device: str) -> None:
        self.network = network
        self.unit: Tensor | float = 1.0
        self.hidden = torch.from_numpy(space.hidden.astype(np.float32)).to(device)
        self.noise = torch.from_numpy(space.noise.astype(np.float32)).to(device)
        with torch.no_grad():
            self.unit = self.loss(*examples.take(examples.everything()[:AT_ONCE])).clamp_min(TINY)

    def loss(self, signal: Tensor, empty: Tensor, target: Tensor, group: Tensor) -> Tensor:
        """Mean square of what is left of the target, relative to the size; one for the linear filter."""
        linear, correction, size = self.network(signal, empty, group)
        left = ((linear + correction) @ self.network.decode.T - target) / size
        if self.network.blind:
            left = left * self.hidden[group]
        found: Tensor = left.square().mean() / self.unit
        return found

    def judge(self, examples: Examples) -> Judged:
        """Compare the network with the linear filter, signal by signal."""
        index = examples.everything()
        better, errors = [], []
        with torch.no_grad():
            for part in torch.split(index, AT_ONCE):
                signal, empty, target, group = examples.take(part)
                linear, correction, size = self.network(signal, empty, group)
                weights = self.network.weights / size.square()
                if self.network.blind:
                    weights = weights * self.hidden[group]
                before = linear @ self.network.decode.T - target
                after = before + correction @ self.network.decode.T
                better.append(((after.square() - before.square()) * weights).sum(dim=1))
                errors.append(((after.square() - self.noise) * weights).sum(dim=1))
        # the two roles of a pair, or the groups of a period, are one sample
        difference = torch.cat(better).double().view(-1, examples.items).mean(dim=0)
        error = float(torch.cat(errors).double().mean())
        doubt = float(difference.std() / examples.items**0.5) if examples.items > 1 else np.inf
        return Judged(float(difference.mean()), doubt, error)


def learn_correction(
    space: Space,
    training: Examples,
    held_out: Examples,
    options: TrainingOptions,
    *,
    width: int,
    run: Run,
    fingerprint: bytes,
) -> Correction | None:
    """Train a correction; None when it does not beat the linear filter on what was held out.

    Parameters
    ----------
    space : Space
    training, held_out : Examples
        Of different signals.
    options : TrainingOptions
    width : int
    run : Run
    fingerprint : bytes
        Of the data and options, for checkpoints.
    """
    with threads_for(options.batch * len(space.weights)), seeded(int(run.rng.integers(2**63)), run.device):
        network = Correction(space, width).to(run.device)
        objective = Objective(network, space, held_out, run.device)

        def evaluate() -> ReferenceFree:
            judged = objective.judge(held_out)
            return ReferenceFree(judged.error, judged.uncertainty, 1.0)

        player = Player(network, objective.loss, options.learning_rate)
        words = "signals"
        play(
            [player], training, options, run=run, evaluate=evaluate, kept_back=words, fingerprint=fingerprint
        )
        network.eval()
        judged = objective.judge(held_out)
    run.tell(_finding(judged))
    return network if judged.better else None


def _finding(judged: Judged) -> Finding:
    change, doubt = 100 * judged.difference, 100 * judged.uncertainty
    verdict = "used" if judged.better else "not used, the linear filter is"
    return Finding(
        "network",
        judged.better,
        f"the network changes the error on signals kept back by {change:+.2g} ± {doubt:.1g} % of the signal "
        f"power: it is {verdict}",
    )


def examples_of(
    views: Views, space: Space, places: Places, *, redrawn: bool, batch: int, device: str
) -> Examples:
    """Return the batches of views: pairs of one signal, or periods with hidden lines."""
    if space.blind:
        return HiddenLines(views.parts, groups=len(space.hidden), batch=batch, device=device)
    if not redrawn:
        return FixedPairs(views.parts, views.pairs, batch=batch, device=device)
    return RedrawnPairs(
        views.parts,
        views.pairs,
        batch=batch,
        device=device,
        signals=views.signals,
        lines=places.lines,
        empty_lines=places.empty_lines,
    )


def fingerprint_of(parts: Parts, text: str) -> bytes:
    """Whatever makes a training another one: options, data."""
    digest = hashlib.sha256(text.encode())
    for values in (parts.signal, parts.empty):
        digest.update(f"{values.shape}".encode())
        digest.update(np.ascontiguousarray(values, np.float32).tobytes())
    return digest.digest()
