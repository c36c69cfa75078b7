"""Random draws of torch that leave its global state alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# the generator of torch belongs to the whole process, and dropout and first weights come from it
_GENERATOR = threading.RLock()


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Draw from a seed inside, and go on afterwards as if nothing had been drawn.

    Of several threads one is inside at a time: a seed gives one result, whatever runs beside.
    """
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with _GENERATOR, torch.random.fork_rng(devices=devices):
        # not torch.manual_seed, which seeds all devices, also those that are not put back
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield
