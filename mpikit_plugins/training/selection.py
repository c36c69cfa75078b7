"""Which weights are best: the reference-free error on what was kept back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpikit import Finding, Step, Warned
from mpikit.metrics import ReferenceFree, combine, score_repeats
from mpikit_plugins.training.repeats import RepeatedSignals, Signals

ENOUGH_REPEATS = 8  # of one signal to judge by; more signals tell more than more repeats of few
MOST_VALIDATION = 128  # periods that are denoised for a score; more would cost as much as the training
SNR = "reference-free SNR in dB"
Predict = Callable[[Tensor], Tensor]


def apply_to(predict: Predict, signals: Signals, *, device: str, batch: int = 16) -> Signals:
    """Denoise signals of shape (..., C, V) in batches."""
    flat = signals.reshape(-1, *signals.shape[-2:])
    output: NDArray[np.float32] = np.empty_like(flat, dtype=np.float32)
    with torch.no_grad():
        for start in range(0, len(flat), batch):
            # torch takes no read-only array; a copy only where it must be
            block = np.require(flat[start : start + batch], np.float32, requirements=["C", "W"])
            noisy = torch.from_numpy(block).to(device)
            output[start : start + batch] = predict(noisy).cpu().numpy()
    return output.reshape(signals.shape)


def score(predict: Predict, data: RepeatedSignals, *, device: str) -> ReferenceFree | None:
    """Reference-free error on the repeats that were kept back, or None without any.

    Each repeat is the input once; the mean of the other ones of its clean signal is the judge.
    """
    figures, counts = [], []
    for group in data.validation:
        repeats = _some(group, MOST_VALIDATION // len(data.validation))
        estimate = apply_to(predict, repeats, device=device)
        figures.append(score_repeats(estimate, repeats))
        counts.append(repeats.shape[0] * repeats.shape[1])
    if not figures:
        return None
    found = combine(figures, counts)
    error = found.error + 2 * data.common_passed - data.common_power
    return replace(found, error=error, power=found.power - data.common_power)


def _some(group: Signals, most: int) -> Signals:
    """Choose signals, spread evenly over a group, and repeats of them."""
    signals, repeats = group.shape[:2]
    count = min(signals, max(most // min(repeats, ENOUGH_REPEATS), 1))
    chosen = np.linspace(0, signals - 1, count).astype(int)
    return group[chosen, : max(most // count, 2)]


class Best:
    """The best weights so far, and since when there is clear evidence that they get worse."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.score: ReferenceFree | None = None
        self.step = 0
        self.since = 0
        self.weights: dict[str, Tensor] = {}

    def see(self, step: int, score: ReferenceFree, weights: Mapping[str, Tensor]) -> None:
        """Take note of a score. One within a standard error of the best is no evidence of over-fitting.

        A score that is no number says nothing of the weights: it would be the best for ever.
        """
        if not np.isfinite(score.error):
            return
        if self.score is None or score.error < self.score.error:
            self.score, self.step, self.since = score, step, 0
            self.weights = {name: value.detach().clone() for name, value in weights.items()}
        elif score.error > self.score.error + score.uncertainty:
            self.since += 1

    @property
    def is_over(self) -> bool:
        """It is time to stop."""
        return self.since >= self.patience

    def finding(self, last: int, *, kept_back: str, figure: str = SNR) -> Finding | Warned:
        """Say which weights are used, by which figure."""
        if self.score is None:
            return Warned(
                f"too few {kept_back} to keep any back: trained for {last} steps without early stopping"
            )
        if figure != SNR:
            return Finding(
                "training",
                {"step": self.step, "figure": figure, "value": self.score.error},
                f"best of {last} steps: step {self.step}, {figure} {self.score.error:.3g} on {kept_back} "
                "kept back",
            )
        value, doubt = self.score.snr_db, self.score.snr_error_db
        words = f"> {value:.1f} dB" if doubt is None else f"{value:.1f} ± {doubt:.1f} dB"
        return Finding(
            "training",
            {"step": self.step, "snr_db": value, "standard_error_db": doubt},
            f"best of {last} steps: step {self.step}, reference-free SNR {words} on {kept_back} kept back",
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all as arrays."""
        if self.score is None:
            return {}
        figures = (self.step, self.since, self.score.error, self.score.uncertainty, self.score.power)
        weights = {f"weights.{name}": value.cpu().numpy() for name, value in self.weights.items()}
        return {"figures": np.array(figures, np.float64), **weights}

    def restore(self, state: Mapping[str, NDArray[Any]], like: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned; the weights go where those of ``like`` are."""
        if not state:
            return
        step, since, *figures = (float(value) for value in state["figures"])
        self.step, self.since, self.score = int(step), int(since), ReferenceFree(*figures)
        self.weights = {
            name: torch.from_numpy(np.array(state[f"weights.{name}"])).to(value.device)
            for name, value in like.items()
        }


def step_event(
    step: int,
    total: int,
    *,
    score: ReferenceFree | None,
    losses: Sequence[float],
    rate: float,
    names: Sequence[str] = (),
    figure: str = SNR,
) -> Step:
    """Return a step with its figures for progress bar and log, the most telling first."""
    found, bounds = {}, {}
    if score is not None and figure != SNR:
        found[figure] = score.error
    elif score is not None:
        found[SNR], bounds[SNR] = score.snr_db, score.is_bound
        if score.snr_error_db is not None:
            found["standard error in dB"] = score.snr_error_db
    numbers = [f" {number}" for number in range(1, len(losses) + 1)] if len(losses) > 1 else [""]
    called = [f" {name}" if name else number for name, number in zip_longest(names, numbers)]
    found |= {f"loss{name}": loss for name, loss in zip(called, losses, strict=True)}
    found["learning rate"] = rate
    return Step(step, total, found, bounds)
