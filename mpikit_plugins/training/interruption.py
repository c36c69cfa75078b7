"""Ctrl-C that waits for the end of a training step, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def waiting_interruption() -> Iterator[Callable[[], bool]]:
    """Hold an interruption (SIGINT) back inside; what is yielded says whether there was one.

    The second one is not held back. Whoever uses this raises KeyboardInterrupt as soon as it suits. Only in
    the main thread, where Python handles signals, and only if nobody else handles this one.
    """
    asked = threading.Event()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield asked.is_set
        return

    def handle(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        asked.set()

    signal.signal(signal.SIGINT, handle)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
