"""What all verbs of a notebook do alike: listen to events, and choose a device."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from mpikit.device import choose_device
from mpikit.events import Event, Warned
from mpikit.records import Run

Listener = Callable[[Event], None]


def warn(event: Event) -> None:
    """Make a Python warning of what a run warns of, and pass over the rest: what a notebook shows."""
    if isinstance(event, Warned):
        warnings.warn(event.text, stacklevel=2)


def run_of(seed: int, device: str, tell: Listener, *, learned: bool) -> Run:
    """Return what a run takes from the outside."""
    # only learned methods compute on a device, and asking for one imports torch
    found = choose_device(device) if learned or device != "auto" else "cpu"
    return Run(rng=np.random.default_rng(seed), device=found, tell=tell)
