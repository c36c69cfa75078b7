"""What belongs to the whole process while code of plugins runs, thread by thread.

`sys.stdout`, `os._exit`, `os.chdir` and the functions that change the filters of warnings have stand-ins as
long as any thread is inside a plugin. A stand-in treats a thread that is inside in its own way; any other
thread, also one that a plugin has started, finds what it stands for.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import numpy as np


class _Here(threading.local):
    """Of one thread: how deep it is inside plugins, and the error that passes through one on its way."""

    depth = 0
    passing: BaseException | None = None


class _Changes:
    """What threads inside plugins have changed, to be undone when the last of them comes out."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.threads = 0  # that are inside
        self.process = os.getpid()
        self.streams: tuple[Any, Any] = (None, None)
        self.folder: str | None = None  # before a plugin changed it
        self.filters: list[Any] | None = None  # likewise
        self.lists: list[list[Any]] = []  # in which filters are or were, as `catch_warnings` makes new ones
        self.added: set[Any] = set()
        self.removed: set[Any] = set()

    def undo_folder(self) -> None:
        folder, self.folder = self.folder, None
        if folder is not None:
            with suppress(OSError):  # it is gone
                os.chdir(folder)

    def undo_filters(self) -> None:
        """Take out what plugins have added, put back what they have removed; what others did stays."""
        if self.filters is None:
            return
        lists = [*self.lists, cast("list[Any]", warnings.filters)]
        undone = [self._undone(filters, self.filters) for filters in lists]
        warnings.resetwarnings()  # forgets which warnings were shown, as it must when filters change
        for filters, entries in zip(lists, undone, strict=True):
            filters[:] = entries
        self.filters, self.lists, self.added, self.removed = None, [], set(), set()

    def _undone(self, filters: list[Any], before: list[Any]) -> list[Any]:
        others = [each for each in filters if each not in before and each not in self.added]
        return others + [each for each in before if each in filters or each in self.removed]


_here, _changes = _Here(), _Changes()


class _StandIn:
    """Stands for what has this name in a module."""

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs


class _Stdout(_StandIn):
    """Stdout carries data, as the JSON of ``--json``: what a plugin prints goes to stderr."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr if _here.depth else self.theirs, name)


class _Exit(_StandIn):
    """`os._exit` would end all without a word and with the exit code of a success."""

    def __call__(self, status: int) -> None:
        if not _here.depth or os.getpid() != _changes.process:  # or a child that the plugin has forked
            self.theirs(status)
        raise SystemExit(f"os._exit({status})")


class _ChangeFolder(_StandIn):
    def __call__(self, path: Any) -> None:
        with _changes.lock:
            before = None
            with suppress(OSError):  # the folder is gone
                before = os.getcwd()  # noqa: PTH109 - a plain string is all that is kept
            self.theirs(path)
            # the wish of anybody else counts more than a folder that a plugin has left
            _changes.folder = (_changes.folder or before) if _here.depth else None


class _ChangeFilters(_StandIn):
    def __call__(self, *arguments: Any, **options: Any) -> None:
        if not _here.depth:
            self.theirs(*arguments, **options)
            return
        with _changes.lock:
            before = list(warnings.filters)
            _changes.lists.append(cast("list[Any]", warnings.filters))
            self.theirs(*arguments, **options)
            _changes.filters = before if _changes.filters is None else _changes.filters
            _changes.added |= set(warnings.filters) - set(before)
            _changes.removed |= set(before) - set(warnings.filters)


_PLACES: tuple[tuple[Any, str, type[_StandIn]], ...] = (
    (sys, "stdout", _Stdout),
    (os, "_exit", _Exit),
    (os, "chdir", _ChangeFolder),
    (warnings, "filterwarnings", _ChangeFilters),
    (warnings, "simplefilter", _ChangeFilters),
    (warnings, "resetwarnings", _ChangeFilters),
)


def _enter() -> None:
    _here.depth += 1
    if _here.depth > 1:
        return
    with _changes.lock:
        _changes.threads += 1
        if _changes.threads > 1:
            return
        _take_out_stand_ins()  # one that somebody had kept, and has put back since
        _changes.process, _changes.streams = os.getpid(), (sys.stdout, sys.stderr)
        for module, name, stand_in in _PLACES:
            setattr(module, name, stand_in(getattr(module, name)))


def _leave() -> None:
    _here.depth -= 1
    if _here.depth:
        return
    _here.passing = None
    with _changes.lock:
        _changes.threads -= 1
        if _changes.threads:
            return
        _take_out_stand_ins()
        if threading.active_count() == 1:  # then nobody but the plugin can have replaced them
            sys.stdout, sys.stderr = _changes.streams
        _changes.undo_folder()
        _changes.undo_filters()


def _take_out_stand_ins() -> None:
    """Put back what is still replaced by ours; what somebody else has put there since stays."""
    for module, name, _ in _PLACES:
        while isinstance(found := getattr(module, name), _StandIn):
            setattr(module, name, found.theirs)


def _begin_as_child() -> None:
    """Forget the other threads, and a lock that one of them may have held: a forked process has only one."""
    _changes.lock = threading.RLock()
    _changes.threads = min(_here.depth, 1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_as_child)


@contextmanager
def surroundings_kept() -> Iterator[None]:
    """Run code of a plugin: what it prints goes to stderr, and what it changes in the process is undone.

    Undone are the folder of the process, the filters of warnings and NumPy's error handling, when the last
    thread has come out; what threads did that are in no plugin stays. `os._exit` raises SystemExit here.
    Other streams in the place of stdout and stderr are taken away where no other thread can have put them.
    """
    _enter()
    try:
        with np.errstate():
            yield
    finally:
        _leave()


@contextmanager
def outside() -> Iterator[None]:
    """Run code of mpikit, or of its caller, that a plugin has called, as a listener; see `is_passing`."""
    depth, _here.depth = _here.depth, 0
    try:
        yield
    except BaseException as error:
        _here.passing = error if depth else None
        raise
    finally:
        _here.depth = depth


def is_passing(error: BaseException) -> bool:
    """Tell whether an error comes from what ran `outside`: the plugin is not to blame for it."""
    return error is _here.passing
