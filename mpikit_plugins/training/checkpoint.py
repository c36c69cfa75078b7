"""State of a training on disk: flat arrays that a training goes on from, bit for bit on the CPU."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mpikit import Checkpoint, Run
from mpikit.errors import InputError


class Resumable(Protocol):
    """What can be saved and taken back."""

    run: Run

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next step depends on, without the states of the generators."""

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back what `state` returned."""


def save_training(training: Resumable, checkpoint: Checkpoint | None, fingerprint: bytes) -> None:
    """Save a training with the generators that it draws from."""
    if checkpoint is None:
        return
    run = training.run
    drawn = {"rng": _bytes(json.dumps(run.rng.bit_generator.state).encode()), **_torch_states(run.device)}
    checkpoint.save({**training.state(), **drawn, "fingerprint": _bytes(fingerprint)})


def load_training(training: Resumable, checkpoint: Checkpoint | None, fingerprint: bytes) -> None:
    """Take a training back to where it was saved; without anything saved it starts at the start.

    Raises
    ------
    InputError
        When what was saved is of another training, or damaged.
    """
    state = None if checkpoint is None else checkpoint.load()
    if state is None:
        return
    if state.get("fingerprint", _bytes(b"")).tobytes() != fingerprint:
        raise InputError(
            "the checkpoint is of a training with other options or other data",
            hint="go on with the options and files of that training, or start anew without the checkpoint",
        )
    run = training.run
    try:
        training.restore(state)
        run.rng.bit_generator.state = json.loads(state["rng"].tobytes())
        torch.set_rng_state(torch.from_numpy(np.array(state["torch"])))
        if run.device == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(torch.from_numpy(np.array(state["cuda"])))
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"the checkpoint is damaged, or of another version: {error}", hint="start anew without it"
        ) from error


def _torch_states(device: str) -> dict[str, NDArray[Any]]:
    states = {"torch": torch.get_rng_state().numpy()}
    if device == "cuda":
        states["cuda"] = torch.cuda.get_rng_state().numpy()
    return states


def _bytes(value: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(value, np.uint8)
