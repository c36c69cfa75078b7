"""Blocks of work in order: in threads of this process, in processes of this machine, or on a Dask cluster.

`in_order` makes the blocks of a plan that have much in common, as frames of one file. `one_by_one` makes
pieces that have nothing in common, as files.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from threadpoolctl import threadpool_info, threadpool_limits

from mpikit.errors import InputError, MpikitError, NumericalError, PluginError, UsageError
from mpikit.events import Event, Step
from mpikit.extras import install_hint

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)
Job = TypeVar("Job")
Tell = Callable[[Event], None]

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
        When the scheduler does not answer, goes away, has no worker, or one with another version of mpikit.
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


def _ordered(
    submit: Callable[[int], Any],
    blocks: int,
    ahead: int,
    take: Callable[[int, Any], Any] = lambda _index, future: future.result(),
) -> Generator[Any]:
    """Give results in order, with some blocks under way; what is left is cancelled when the reader stops."""
    waiting: deque[Any] = deque()
    try:
        for index in range(blocks):
            waiting.append(submit(index))
            if len(waiting) > ahead:
                yield take(index - ahead, waiting.popleft())
        for index in range(max(blocks - ahead, 0), blocks):
            yield take(index, waiting.popleft())
    finally:
        for future in waiting:
            future.cancel()


@dataclass(frozen=True)
class Piece(Generic[Job, Made]):
    """One of the pieces of `one_by_one`, as it travels to a worker: a plan of one block.

    A worker that dies takes nothing with it that the others need.

    Parameters
    ----------
    make : callable
    job : Any
    threads : int
        Of the BLAS: rounding depends on it, so all workers take the number of the main process.
    """

    make: Callable[[Job, Tell], Made]
    job: Job
    threads: int

    @property
    def blocks(self) -> int:
        """One."""
        return 1

    def prepare(self) -> None:
        """Do nothing."""

    def draw(self, _index: int, /) -> tuple[Made, list[Event]]:
        """Make the piece, and return what was said on the way."""
        told: list[Event] = []
        with threadpool_limits(self.threads, user_api="blas"):
            made = self.make(self.job, told.append)
        return made, [event for event in told if not isinstance(event, Step)]


def one_by_one(
    make: Callable[[Job, Tell], Made],
    jobs: Sequence[Job],
    *,
    died: Callable[[Job, MpikitError], Made],
    tell: Callable[[Job, Event], None],
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[Made]:
    """Make pieces that have nothing in common, and give them back in order.

    What comes of a piece does not depend on the workers. When one of them dies, another makes its piece once
    more, from the beginning.

    Parameters
    ----------
    make : callable
        Makes the piece of a job, and tells on the way; pickled for workers.
    jobs : sequence
    died : callable
        Gives what stands for a piece of which several workers died one after the other, with the error.
    tell : callable
        Takes a job and an event of it: as it happens, or from workers when the piece is made, without steps.
    workers, scheduler
        As for `in_order`. Without both the pieces are made by this thread.

    Yields
    ------
    What ``make`` gives for each job.

    Raises
    ------
    UsageError, PluginError, InputError
        As `in_order`.
    """
    check_workers(workers, scheduler)
    if workers is None and scheduler is None:
        for job in jobs:
            yield make(job, partial(tell, job))
        return
    threads = max(
        (each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"), default=1
    )
    with _client(workers, scheduler) as client, _told_of_deaths():
        from distributed import KilledWorker  # after _client, which says so when there is no Dask

        def submit(index: int) -> Any:
            return client.submit(_draw, _InOnePiece(Piece(make, jobs[index], threads)), 0, pure=False)

        def take(index: int, future: Any) -> tuple[Made, list[Event]]:
            try:
                made: tuple[Made, list[Event]] = future.result()
            except KilledWorker:
                return died(jobs[index], _deaths()), []
            return made

        ahead = 2 * sum(client.nthreads().values())
        with closing(_ordered(submit, len(jobs), ahead, take)) as pieces:
            for job, (made, events) in zip(jobs, pieces, strict=True):
                for event in events:
                    tell(job, event)
                yield made


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
            "several workers need Dask, which is not installed", hint=install_hint("distributed")
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
    with _without_logs(), dask.Client(scheduler, timeout=CONNECT) as client:
        if not client.nthreads():
            raise InputError(
                f"the Dask scheduler {scheduler} has no worker", hint=f"start some: dask worker {scheduler}"
            )
        _check_versions(client.run(version, "mpikit", on_error="return"))
        yield client


@contextmanager
def _without_logs() -> Iterator[None]:
    """Keep what Dask logs of lost connections, tracebacks too, off the terminal: we say it in our words."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_versions(found: Mapping[str, object]) -> None:
    """Refuse workers with another mpikit, or none: their results may be others."""
    own = version("mpikit")
    for address, theirs in found.items():
        if theirs == own or isinstance(theirs, OSError):  # it died meanwhile, and others do the work
            continue
        what = f"has mpikit {theirs}" if isinstance(theirs, str) else f"has no mpikit ({theirs})"
        raise InputError(
            f"the Dask worker {address} {what}, expected {own} as here",
            hint="install the same version of mpikit on all machines",
        )


@contextmanager
def _told_of_deaths() -> Iterator[None]:
    from distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise _deaths() from error
    except CancelledError as error:
        raise InputError(
            "the Dask scheduler went away, or forgot the work",
            hint="start it again, with its workers, and repeat the command; --resume keeps what is done",
        ) from error


def _deaths() -> NumericalError:
    return NumericalError(
        "several workers died one after the other, expected each to finish what it was given",
        hint="they may have run out of memory: use fewer workers, or machines with more memory",
    )


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
