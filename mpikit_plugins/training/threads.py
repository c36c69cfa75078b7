"""Threads of torch on the CPU: short signals are computed by one, for handing them out would take longer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SHORT = 16_000  # samples of a batch below which one thread is the quickest


@contextmanager
def threads_for(samples: int) -> Iterator[None]:
    """Compute with one thread inside if a batch has few samples.

    Handing an operation out to several threads takes as long as a small convolution, and far longer beside a
    busy process. One thread also gives the same digits on every machine.

    Parameters
    ----------
    samples : int
        Of a batch, over all periods and channels.
    """
    before = torch.get_num_threads()
    if samples < SHORT:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
