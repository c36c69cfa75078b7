"""Threads of torch on the CPU: short signals are computed by one, for handing them out would take longer."""

from __future__ import annotations

import threading
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
    if samples >= SHORT:
        yield
        return
    _ONE.enter()
    try:
        yield
    finally:
        _ONE.leave()


class _OneThread:
    """One thread of torch, for as long as any thread of the process is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside, self._before = 0, 1

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = torch.get_num_threads()
            self._inside += 1
            torch.set_num_threads(1)  # each thread has a number of its own in some builds

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.set_num_threads(self._before)


_ONE = _OneThread()
