"""Many frames: solved in blocks that do not depend on each other, by this process or by workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import mdf
from mpikit.errors import InputError
from mpikit.events import Event, Finding, Step, Warned, silent
from mpikit.reconstruct.blocked import GROUP
from mpikit.reconstruct.linear_system import LinearSystem
from mpikit.reconstruct.options import SystemMatrix
from mpikit.reconstruct.patch_rows import PatchRows
from mpikit.reconstruct.streamed import FileRows
from mpikit.reconstruct.system_matrix import read_system
from mpikit.resources import physical_memory
from mpikit.workers import in_order

Array = NDArray[Any]
Matrix = Array | FileRows | PatchRows
Tell = Callable[[Event], None]
Solve = Callable[[LinearSystem, Tell], Array]

FRAMES = 2 * GROUP  # of a block at most
_TOGETHER = 10  # blocks whose state is held at once


@dataclass(frozen=True)
class Sharing:
    """Who solves the frames of one file. The images do not depend on it.

    Parameters
    ----------
    workers : int or None
        Processes on this machine, through Dask.
    scheduler : str or None
        Address of a Dask scheduler. None of both: this process.
    """

    workers: int | None = None
    scheduler: str | None = None

    @property
    def alone(self) -> bool:
        """There are no other workers."""
        return self.workers is None and self.scheduler is None


ALONE = Sharing()


@dataclass(frozen=True)
class Stored:
    """Where a matrix that is streamed comes from: a worker opens the files by itself.

    Parameters
    ----------
    measurement : Path
    calibrations, empty : tuple of Path
    options : SystemMatrix
    average_frames, allow_mismatch : bool
        See `mpikit.reconstruct.system_matrix.read_system`.
    """

    measurement: Path
    calibrations: tuple[Path, ...]
    empty: tuple[Path, ...]
    options: SystemMatrix
    average_frames: bool
    allow_mismatch: bool

    @contextmanager
    def rows(self) -> Iterator[Matrix]:
        """Open the files, and yield the matrix."""
        with ExitStack() as files:
            matrix = read_system(
                files.enter_context(mdf.open(self.measurement)),
                [files.enter_context(mdf.open(path)) for path in self.calibrations],
                self.options,
                empty=[files.enter_context(mdf.open(path)) for path in self.empty],
                average_frames=self.average_frames,
                allow_mismatch=self.allow_mismatch,
                tell=silent,
            ).matrix
            try:
                yield matrix
            finally:
                if not isinstance(matrix, np.ndarray):
                    matrix.close()

    @classmethod
    def of(
        cls,
        measurement: mdf.File,
        calibrations: mdf.File | Sequence[mdf.File],
        options: SystemMatrix,
        *,
        empty: Sequence[mdf.File],
        average_frames: bool,
        allow_mismatch: bool,
    ) -> Stored:
        """Return where what `read_system` reads comes from, for workers in any folder."""
        several = [calibrations] if isinstance(calibrations, mdf.File) else calibrations
        present = physical_memory()
        if options.memory is None and present is not None:  # a larger machine shall stream what this one does
            options = options.model_copy(update={"memory": present / 2**31})
        return cls(
            measurement.path.absolute(),
            tuple(file.path.absolute() for file in several),
            tuple(file.path.absolute() for file in empty),
            options,
            average_frames,
            allow_mismatch,
        )


@dataclass(frozen=True)
class Frames:
    """A plan (`mpikit.workers.Plan`) to solve a linear system part by part.

    Parameters
    ----------
    system : LinearSystem
        Without its matrix where ``stored`` is given.
    solve : callable
    parts : tuple of slice
        Columns of the data; the last part may end behind them.
    whole : bool
        Fill the last part up with frames of zeros.
    stored : Stored or None
    """

    system: LinearSystem
    solve: Solve
    parts: tuple[slice, ...]
    whole: bool
    stored: Stored | None = None

    @property
    def blocks(self) -> int:
        """Number of parts."""
        return len(self.parts)

    def prepare(self) -> None:
        """Do nothing: λ was chosen before."""

    def draw(self, index: int, /) -> tuple[Array, list[Event]]:
        """Return the images (P, q) of a part, and what was said of them."""
        told: list[Event] = []
        kept: AbstractContextManager[Matrix] = nullcontext(self.system.matrix)
        with kept if self.stored is None else self.stored.rows() as matrix:
            images = self.part(index, replace(self.system, matrix=matrix), told.append)
        return images, [event for event in told if not isinstance(event, Step)]

    def part(self, index: int, system: LinearSystem, tell: Tell) -> Array:
        """Return the images (P, q) of a part of a system."""
        data = system.data[:, self.parts[index]]
        count = data.shape[1]
        size = self.parts[index].stop - self.parts[index].start
        if self.whole and count < size:
            data = np.pad(data, ((0, 0), (0, size - count)))
        return self.solve(replace(system, data=data), tell)[:, :count]


def solve_frames(
    system: LinearSystem,
    solve: Solve,
    *,
    own_threads: bool,
    together: bool,
    sharing: Sharing = ALONE,
    stored: Stored | None = None,
    tell: Tell,
) -> Array:
    """Solve a linear system in blocks of frames.

    Blocks are the same whoever solves them, as the rounding of a product depends on its shape, and each is
    solved with a single-threaded BLAS.

    Parameters
    ----------
    system : LinearSystem
    solve : callable
        Takes a system and a listener and returns the images (P, Q); for workers it has to be one that can be
        pickled.
    own_threads : bool
        The solver spreads its work over threads; else blocks are spread over threads here.
    together : bool
        The solver makes equal groups of at most `GROUP` frames, so that this process may as well solve
        several blocks of two groups at once, which saves their common set-up.
    sharing : Sharing
    stored : Stored, optional
        Where the matrix comes from, for workers if it is streamed.
    tell : callable

    Returns
    -------
    shape (P, Q)

    Raises
    ------
    InputError
        Data that are not finite.
    UsageError, InputError, PluginError, NumericalError
        Those of the solver, and of `mpikit.workers.in_order`.
    """
    frames = system.data.shape[1]
    if frames <= FRAMES:
        if not sharing.alone:
            text = f"{frames} images are a single block: there is nothing that workers could share"
            tell(Finding("workers", 0, text))
        return solve(system, tell)
    _check_finite(system.data)
    parts = frame_parts(frames, _TOGETHER if together and sharing.alone else 1)
    plan = Frames(replace(system, single=None), solve, parts, whole=together)
    if own_threads and sharing.alone:
        return _one_by_one(plan, tell)
    if not isinstance(system.matrix, np.ndarray):
        assert stored is not None  # noqa: S101 - whoever streams a matrix knows its file
        nothing = np.zeros((0, 0), np.complex64)
        plan = replace(plan, system=replace(plan.system, matrix=nothing), stored=stored)
    return _shared(plan, sharing, tell)


def frame_parts(frames: int, together: int) -> tuple[slice, ...]:
    """Divide frames into blocks of equal, even length, and join so many neighbours.

    Half a block is a group of Kaczmarz. With equal groups it does not matter how many blocks are solved at
    once, but the last one has to be filled up.

    Parameters
    ----------
    frames : int
    together : int
        Blocks of a part.

    Returns
    -------
    tuple of slice
        The last one may end behind the frames, by less than a block.
    """
    count = -(-frames // FRAMES)
    size = 2 * -(-frames // (2 * count))
    edges = [*range(0, count, together), count]
    return tuple(slice(size * start, size * stop) for start, stop in pairwise(edges))


def _one_by_one(plan: Frames, tell: Tell) -> Array:
    def told(event: Event) -> None:
        if isinstance(event, Step):
            event = Step(index * event.total + event.index, plan.blocks * event.total, event.values)
        tell(event)

    found = _Images(plan)
    with threadpool_limits(1, user_api="blas"):
        for index in range(plan.blocks):
            found.put(plan.part(index, plan.system, told))
    return found.images


def _shared(plan: Frames, sharing: Sharing, tell: Tell) -> Array:
    found, before = _Images(plan), set[str]()
    threads = os.cpu_count() or 1
    with in_order(plan, workers=sharing.workers, scheduler=sharing.scheduler, threads=threads) as blocks:
        for index, (images, events) in enumerate(blocks, start=1):
            found.put(images)
            for event in events:
                if not isinstance(event, Warned):
                    tell(event)
                elif event.text not in before:  # once, not for each block
                    before.add(event.text)
                    tell(event)
            tell(Step(index, plan.blocks))
    return found.images


class _Images:
    """Images (P, Q), filled up as they come."""

    def __init__(self, plan: Frames) -> None:
        self._frames, self._done = plan.system.data.shape[1], 0
        self.images: Array = np.zeros((0, 0))

    def put(self, images: Array) -> None:
        if not self._done:
            self.images = np.empty((len(images), self._frames), images.dtype)
        self.images[:, self._done : self._done + images.shape[1]] = images
        self._done += images.shape[1]


def _check_finite(data: Array) -> None:
    """Refuse before the work what a solver would refuse: it counts the frames of a block only."""
    finite = np.isfinite(data).all(axis=0)
    if not finite.all():
        raise InputError(
            f"the data hold values that are not finite, first in frame {int(np.argmin(finite))}",
            hint="leave the frame out, or repair the file",
        )
