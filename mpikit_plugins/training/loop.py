"""One training loop: seeded batches, a schedule, early stopping on the reference-free error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mpikit import Finding, Run, Step, Warned
from mpikit.errors import NumericalError
from mpikit.metrics import ReferenceFree, score_repeats
from mpikit_plugins.training.options import TrainingOptions
from mpikit_plugins.training.repeats import RepeatedSignals, Signals

MOST_VALIDATION = 64  # signals whose error is measured; more would cost as much as the training


class Objective(Protocol):
    """What a learned method says to the loop."""

    def loss(self, network: nn.Module, first: Tensor, second: Tensor) -> Tensor:
        """Loss of a batch of noisy pairs, both (B, C, V): repeats of the same clean signals."""

    def predict(self, network: nn.Module, noisy: Tensor) -> Tensor:
        """Denoise (B, C, V) for good: what the method will do after training."""


def train(
    network: nn.Module, objective: Objective, data: RepeatedSignals, options: TrainingOptions, *, run: Run
) -> None:
    """Train a network on pairs of noisy repeats; leave it with its best weights.

    The best weights are those with the smallest reference-free error on repeats that were kept back; without
    any, those after the last step.

    Parameters
    ----------
    network : torch.nn.Module
        On ``run.device``.
    objective : Objective
    data : RepeatedSignals
    options : TrainingOptions
    run : Run
        Its generator draws the batches; its listener gets a `Step` for each score.

    Raises
    ------
    NumericalError
        When the loss is no longer finite.
    """
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    total = options.total_steps(sum(group.shape[0] * (group.shape[1] // 2) for group in data.training))
    schedule = _schedule(optimiser, options, total)
    batches = _pairs(data.training, options.batch, run)
    best = _Best(network, options.patience)
    for step in range(1, total + 1):
        network.train()
        first, second = next(batches)
        loss = objective.loss(network, first, second)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), options.clip)
        optimiser.step()
        schedule.step()
        if step % options.evaluate_every and step != total:
            continue
        if not np.isfinite(loss.item()):
            raise NumericalError(
                f"training diverged at step {step}",
                hint="choose a smaller learning_rate, or look at the data",
            )
        score = validate(network, objective, data, run=run)
        run.tell(_step(step, total, score))
        if score is not None and best.see(step, score):
            break
    best.restore()
    run.tell(best.finding(step))


def _schedule(
    optimiser: torch.optim.Optimizer, options: TrainingOptions, total: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if options.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)
    return torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=options.learning_rate, total_steps=total + 1)


def _pairs(groups: Sequence[Signals], batch: int, run: Run) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw two different repeats of the same clean signal, in random roles, without end."""
    tensors = [_tensor(group, run.device) for group in groups]
    sizes = np.array([group.shape[0] * group.shape[1] for group in groups])
    while True:
        tensor = tensors[run.rng.choice(len(tensors), p=sizes / sizes.sum())]
        signals, repeats = tensor.shape[:2]
        row = torch.from_numpy(run.rng.integers(signals, size=batch)).to(run.device)
        one = run.rng.integers(repeats, size=batch)
        other = (one + run.rng.integers(1, repeats, size=batch)) % repeats
        columns = torch.from_numpy(np.stack([one, other])).to(run.device)
        yield tensor[row, columns[0]], tensor[row, columns[1]]


def validate(
    network: nn.Module, objective: Objective, data: RepeatedSignals, *, run: Run
) -> ReferenceFree | None:
    """Reference-free error on the repeats that were kept back, or None without any.

    Each repeat is the input once; the mean of the other ones of its clean signal is the judge.
    """
    if not data.validation:
        return None
    network.eval()
    repeats = data.validation[0]
    chosen = np.linspace(0, len(repeats) - 1, min(len(repeats), MOST_VALIDATION)).astype(int)
    repeats = repeats[np.unique(chosen)]
    estimate = apply(network, objective, repeats, run=run)
    score = score_repeats(estimate, repeats)
    error = score.error + 2 * data.common_passed - data.common_power
    return replace(score, error=error, power=score.power - data.common_power)


def apply(
    network: nn.Module, objective: Objective, signals: Signals, *, run: Run, batch: int = 16
) -> Signals:
    """Denoise signals of shape (..., C, V) in batches."""
    network.eval()
    flat = signals.reshape(-1, *signals.shape[-2:])
    output: NDArray[np.float32] = np.empty_like(flat)
    with torch.no_grad():
        for start in range(0, len(flat), batch):
            block = _tensor(flat[start : start + batch], run.device)
            output[start : start + batch] = objective.predict(network, block).cpu().numpy()
    return output.reshape(signals.shape)


def _tensor(signals: Signals, device: str) -> Tensor:
    """Hand an array to torch, which takes no read-only one; a copy only where it must be."""
    return torch.from_numpy(np.require(signals, requirements=["C", "W"])).to(device)


class _Best:
    """The best weights so far, and how long ago they were."""

    def __init__(self, network: nn.Module, patience: int) -> None:
        self.network, self.patience = network, patience
        self.score: ReferenceFree | None = None
        self.step = 0
        self.since = 0
        self.weights: dict[str, Tensor] = {}

    def see(self, step: int, score: ReferenceFree) -> bool:
        """Take note of a score; say whether it is time to stop."""
        self.since += 1
        if self.score is None or score.error < self.score.error:
            self.score, self.step, self.since = score, step, 0
            self.weights = {name: value.clone() for name, value in self.network.state_dict().items()}
        return self.since >= self.patience

    def restore(self) -> None:
        if self.weights:
            self.network.load_state_dict(self.weights)

    def finding(self, last: int) -> Finding | Warned:
        if self.score is None:
            return Warned(
                f"too few repeats to keep any back: trained for {last} steps without early stopping"
            )
        value, bound = self.score.snr_db, "> " if self.score.is_bound else ""
        return Finding(
            "training",
            {"step": self.step, "snr_db": value},
            f"best of {last} steps: step {self.step}, "
            f"reference-free SNR {bound}{value:.1f} dB on repeats kept back",
        )


def _step(index: int, total: int, score: ReferenceFree | None) -> Step:
    return Step(index, total, {} if score is None else {"reference-free SNR in dB": score.snr_db})
