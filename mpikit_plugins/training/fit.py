"""Train one network by one objective, on noisy data that are there already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from mpikit import Run
from mpikit.metrics import ReferenceFree
from mpikit_plugins.training.batches import Batches, Pairs
from mpikit_plugins.training.loop import Player, play
from mpikit_plugins.training.options import TrainingOptions
from mpikit_plugins.training.repeats import RepeatedSignals, Signals
from mpikit_plugins.training.selection import apply_to, score


class Objective(Protocol):
    """What a learned method says to the loop."""

    def loss(self, network: nn.Module, /, *batch: Tensor) -> Tensor:
        """Loss of a batch, of noisy pairs (B, C, V) if nothing else is said: repeats of the same signals."""

    def predict(self, network: nn.Module, noisy: Tensor, /) -> Tensor:
        """Denoise (B, C, V) for good: what the method will do after training."""


class Bfloat16(nn.Module):
    """A network that computes with bfloat16 where that is safe; input, output and weights are single.

    Parameters
    ----------
    network : torch.nn.Module
    device : str
    """

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.network, self.device = network, device

    def forward(self, *arguments: Tensor) -> Tensor:
        """Apply the network."""
        # no cache: weights that were cast outside of a recorded step would be used in it for ever
        with torch.autocast(self.device, torch.bfloat16, cache_enabled=False):
            output: Tensor = self.network(*arguments)
        return output.float()


def train(
    network: nn.Module,
    objective: Objective,
    data: RepeatedSignals,
    options: TrainingOptions,
    *,
    run: Run,
    batches: Batches | None = None,
    evaluate: Callable[[], ReferenceFree | None] | None = None,
) -> list[tuple[int, ReferenceFree]]:
    """Train a network on noisy data; leave it with its best weights.

    The best weights are those with the smallest reference-free error on what was kept back; without any,
    those after the last step.

    Parameters
    ----------
    network : torch.nn.Module
        On ``run.device``.
    objective : Objective
    data : RepeatedSignals
    options : TrainingOptions
    run : Run
        Its generator draws the batches; its listener gets a `Step` for each score.
    batches : Batches or None
        None draws pairs of repeats.
    evaluate : callable or None
        Error of the network as it is; None takes the repeats that were kept back.

    Returns
    -------
    list of (int, ReferenceFree)
        The scores and their steps.

    Raises
    ------
    NumericalError
        When the loss is no longer finite.
    InputError
        When the checkpoint of the run is of another training.
    """
    batches = batches or Pairs(data.training, batch=options.batch, device=run.device)
    trained = as_trained(network, options, run.device)
    player = Player(network, lambda *batch: objective.loss(trained, *batch), options.learning_rate)

    def by_repeats() -> ReferenceFree | None:
        return score(lambda noisy: objective.predict(network, noisy), data, device=run.device)

    identity = _fingerprint(network, data, options) if run.checkpoint else b""
    return play(
        [player],
        batches,
        options,
        run=run,
        evaluate=evaluate or by_repeats,
        kept_back=data.kept_back,
        fingerprint=identity,
    )


def apply(
    network: nn.Module, objective: Objective, signals: Signals, *, run: Run, batch: int = 16
) -> Signals:
    """Denoise signals of shape (..., C, V) in batches."""
    network.eval()
    return apply_to(lambda noisy: objective.predict(network, noisy), signals, device=run.device, batch=batch)


def as_trained(network: nn.Module, options: TrainingOptions, device: str) -> nn.Module:
    """Return the network in the precision in which it is trained; the weights are the same."""
    mixed = device == "cuda" and options.precision == "auto" and _has_bfloat16()
    return Bfloat16(network, device) if mixed else network


def _has_bfloat16() -> bool:
    """Whether the CUDA device computes with bfloat16 itself; where it is emulated, it is slower."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _fingerprint(network: nn.Module, data: RepeatedSignals, options: TrainingOptions) -> bytes:
    """Whatever makes a training another one: options, network, data."""
    digest = hashlib.sha256(options.model_dump_json().encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)}".encode())
    for group in (*data.training, *data.validation):
        digest.update(f"{group.shape}".encode())
        for signals in group:
            digest.update(signals.tobytes())
    return digest.digest()
