"""Blocks of work in order: in threads of this process, in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from threadpoolctl import threadpool_limits

from mpikit.errors import InputError, NumericalError, PluginError, UsageError

Made_co = TypeVar("Made_co", covariant=True)

CONNECT = 10.0  # seconds to wait for a scheduler
_MOST_THREADS = 4
# of processes that we start; Dask would also have them give memory back at once, and large arrays come anew
_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1)


class Plan(Protocol[Made_co]):
    """Work in blocks that do not depend on each other."""

    @property
    def blocks(self) -> int:
        """How many blocks there are."""

    def prepare(self) -> None:
        """Do what all blocks have in common, once before the first."""

    def draw(self, index: int, /) -> Made_co:
        """Make one block; nothing but the index and the plan decides what it is."""


def check_workers(workers: int | None, scheduler: str | None) -> None:
    """Refuse both kinds of workers together, and none at all.

    Raises
    ------
    UsageError
    """
    if workers is not None and scheduler is not None:
        raise UsageError("--workers and --scheduler exclude each other", hint="the scheduler has its workers")
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers do no work", hint="give 1 or more")


@contextmanager
def in_order(
    plan: Plan[Made_co],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    threads: int = _MOST_THREADS,
) -> Iterator[Iterator[Made_co]]:
    """Make all blocks of a plan, and give them back in order.

    Only a few are held at a time. The result is the same for any number of workers.

    Parameters
    ----------
    plan : Plan
    workers : int or None
        Processes on this machine, through Dask; None takes threads of this process.
    scheduler : str or None
        Address of a Dask scheduler, as ``tcp://host:8786``.
    threads : int
        Threads of this process at most, where there are no other workers.

    Yields
    ------
    iterator
        Over the blocks.

    Raises
    ------
    UsageError
        With both, or without any worker.
    PluginError
        When Dask is not installed.
    InputError
        When the scheduler does not answer, or has no worker.
    NumericalError
        When workers died of a block.
    """
    check_workers(workers, scheduler)
    plan.prepare()
    if workers is None and scheduler is None:
        count = min(threads, os.cpu_count() or 1)
        # the threads are ours: a matrix product that is split in another way may round in another way
        with (
            threadpool_limits(1),
            ThreadPoolExecutor(count) as pool,
            closing(_ordered(lambda index: pool.submit(plan.draw, index), plan.blocks, count + 1)) as blocks,
        ):
            yield blocks
        return
    with _client(workers, scheduler) as client, _told_of_deaths():
        count = sum(client.nthreads().values())
        remote = client.scatter(_InOnePiece(plan), broadcast=True)
        with closing(
            _ordered(lambda index: client.submit(_draw, remote, index, pure=False), plan.blocks, 2 * count)
        ) as blocks:
            yield blocks


def _ordered(submit: Callable[[int], Any], blocks: int, ahead: int) -> Generator[Any]:
    """Give results in order, with some blocks under way; what is left is cancelled when the reader stops."""
    waiting: deque[Any] = deque()
    try:
        for index in range(blocks):
            waiting.append(submit(index))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


class _InOnePiece:
    """A plan that travels as one text, from worker to worker too.

    Dask sends the arrays of an object side by side in a message, and leaves them where they lie there: at odd
    addresses, for which NumPy takes slower ways that round differently.
    """

    def __init__(self, plan: Plan[Any]) -> None:
        self._plan = plan

    def draw(self, index: int, /) -> Any:
        """Make a block of the plan."""
        return self._plan.draw(index)

    def __reduce__(self) -> tuple[Callable[[bytes], _InOnePiece], tuple[bytes]]:
        return _unpacked, (_pickle().dumps(self._plan),)


def _unpacked(text: bytes) -> _InOnePiece:
    return _InOnePiece(_pickle().loads(text))


def _pickle() -> Any:
    from distributed.protocol import pickle  # takes functions too; its own have no types

    return pickle


def _draw(plan: _InOnePiece, index: int) -> Any:
    with threadpool_limits(1):
        return plan.draw(index)


@contextmanager
def _client(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    try:
        import distributed
        from dask import config
    except ImportError as error:
        raise PluginError(
            "several workers need Dask, which is not installed", hint="pip install 'mpikit[distributed]'"
        ) from error
    dask: Any = distributed  # its functions have no types
    if scheduler is None:
        quiet: dict[str, Any] = {"dashboard_address": "127.0.0.1:0", "silence_logs": 50}
        with (
            config.set({"distributed.nanny.pre-spawn-environ": _ENVIRONMENT}),
            dask.LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, **quiet) as cluster,
            dask.Client(cluster) as client,
        ):
            client.run(_ignore_interrupts)
            yield client
        return
    _check_scheduler(scheduler)
    with dask.Client(scheduler, timeout=CONNECT) as client:
        if not client.nthreads():
            raise InputError(
                f"the Dask scheduler {scheduler} has no worker", hint=f"start some: dask worker {scheduler}"
            )
        yield client


@contextmanager
def _told_of_deaths() -> Iterator[None]:
    from distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise NumericalError(
            "several workers died one after the other, expected each to finish what it was given",
            hint="they may have run out of memory: use fewer workers, or machines with more memory",
        ) from error


def _ignore_interrupts() -> None:
    """Leave Ctrl-C, which all processes of a terminal get, to the one that started the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _check_scheduler(scheduler: str) -> None:
    """Knock at the door first: a client that cannot connect leaves threads behind."""
    address = urlsplit(scheduler if "://" in scheduler else f"tcp://{scheduler}")
    try:
        port = address.port or 0
        if not port or address.scheme not in {"tcp", "tls", "ws", "wss"}:
            raise ValueError("it is no address of a scheduler")
        socket.create_connection((address.hostname or "", port), CONNECT).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"the Dask scheduler {scheduler} does not answer: {error}",
            hint="an address is like tcp://host:8786",
        ) from error
