"""Own threads, each with a single-threaded BLAS: threads of BLAS that spin collapse beside a busy process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from mpikit.device import Arrays

Item = TypeVar("Item")
Found = TypeVar("Found")


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries: milliseconds


def one_blas_thread() -> AbstractContextManager[Any]:
    """Keep BLAS to the thread that calls it."""
    limit: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return limit


def each(work: Callable[[Item], Found], items: Iterable[Item], library: Arrays) -> list[Found]:
    """Do work on each item, in threads when the library leaves that to us."""
    waiting = list(items)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(cores, len(waiting)) if library.own_threads else 1
    if threads <= 1:
        return [work(item) for item in waiting]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, waiting))
