"""Files that are complete or absent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from mpikit.errors import InputError, UsageError

_TAKEN: ContextVar[list[tuple[Path, str]] | None] = ContextVar("taken", default=None)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_READ: ContextVar[tuple[Path, ...]] = ContextVar("read", default=())


@contextmanager
def planning() -> Iterator[list[tuple[Path, str]]]:
    """Let `check_output` pass outputs that exist already: a plan says so, and is no error.

    Yields
    ------
    list of (Path, str)
        These outputs, and the option that names another, as they are found.
    """
    taken: list[tuple[Path, str]] = []
    token = _TAKEN.set(taken)
    try:
        yield taken
    finally:
        _TAKEN.reset(token)


@contextmanager
def reading(*paths: Path) -> Iterator[None]:
    """Count files among the inputs of all that is done meanwhile, such as the plan of a command.

    Parameters
    ----------
    *paths : Path
        No output may be one of them.
    """
    token = _READ.set((*_READ.get(), *paths))
    try:
        yield
    finally:
        _READ.reset(token)


def is_input(path: Path, inputs: Iterable[Path]) -> bool:
    """Say whether a file is an input: one of these, one of `reading`, or one that holds values of these.

    Parameters
    ----------
    path : Path
        It may be absent.
    inputs : iterable of Path
        Any of them may be a link, or absent.
    """
    place = _place_on_disk(path)
    return place is not None and place in _places_on_disk(inputs)


def refuse_inputs(made: Mapping[Path, Path], inputs: Iterable[Path]) -> None:
    """Refuse the outputs of several files before any work, when one is an input.

    Parameters
    ----------
    made : mapping of Path to Path
        Each output, and the file that it is made of.
    inputs : iterable of Path
        All files that are read.

    Raises
    ------
    UsageError
    """
    there = {path: place for path in made if (place := _place_on_disk(path)) is not None}
    read = _places_on_disk(inputs) if there else {}
    for path, place in there.items():
        if place in read:
            raise UsageError(
                f"the output of {made[path]}, {path}, is the input {read[place]}",
                hint="leave one of the two out, or name another folder with --output",
            )


def _places_on_disk(inputs: Iterable[Path]) -> dict[tuple[int, int], Path]:
    """Return what is read by where it is, whatever it is called; of a virtual dataset the sources too."""
    found: dict[tuple[int, int], Path] = {}
    for path in (*inputs, *_READ.get()):
        from mdf.virtual import sources_of  # h5py is not loaded where nothing is read

        for place in map(_place_on_disk, (path, *sources_of(path))):
            if place is not None:
                found.setdefault(place, path)
    return found


def _place_on_disk(path: Path) -> tuple[int, int] | None:
    """Return what `Path.samefile` compares; None when there is no file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def check_output(
    path: Path, *, inputs: tuple[Path, ...] = (), overwrite: bool = False, option: str = "--output"
) -> None:
    """Refuse an output before any work is done; within `planning` one that exists is noted instead.

    Parameters
    ----------
    path : Path
        File to be written.
    inputs : tuple of Path
        Files that are read; the output may be none of them, not even through a link. Those of `reading`
        are added.
    overwrite : bool
        A file of this name may be replaced.
    option : str
        Option of the command that names the file, for the hint.

    Raises
    ------
    InputError
        When the output is an input, exists, is a folder, or its folder does not exist or is read-only.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    if exists and is_input(path, inputs):
        raise InputError(f"the output {path.name} is an input", hint=f"choose another name with {option}")
    if path.is_dir():
        raise InputError(f"the output {path} is a folder", hint=f"name a file with {option}")
    if exists and not overwrite:
        taken = _TAKEN.get()
        if taken is None:
            raise _taken(path, option)
        taken.append((path, option))
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist", hint="make it first")
    if not os.access(folder, os.W_OK):
        raise InputError(f"the folder {folder} is read-only", hint=f"choose another place with {option}")


def planned_outputs(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Say which files would be written, ready for JSON: ``path``, and whether it ``exists`` already."""
    return [{"path": str(path), "exists": path.exists()} for path in paths]


def named_once(path: Path, message: str) -> str:
    """Return a message about a file that begins with its name as the user wrote it, and names it once."""
    for name in (path.absolute(), path.resolve(), path, path.name):
        message = message.removeprefix(f"{name}: ")
    return message if message.startswith((str(path), path.name)) else f"{path}: {message}"


def _taken(path: Path, option: str) -> InputError:
    return InputError(f"{path} exists already", hint=f"choose another name with {option}, or add --force")


def write_atomically(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file that is complete or absent: beside the target, to disk, then renamed.

    Parameters
    ----------
    path : Path
    content : bytes
    overwrite : bool
        Replace a file of this name.

    Raises
    ------
    InputError
        As `check_output`, or when the disk is full.
    """
    import mdf
    from mdf import temporary

    check_output(path, overwrite=overwrite)
    try:
        hidden = temporary.claim(path)
        try:
            with os.fdopen(os.open(hidden, _NEW, 0o666), "wb") as file:  # the system takes the umask off
                file.write(content)
            temporary.publish(hidden, path, overwrite=overwrite)
        finally:
            temporary.release(hidden)
    except mdf.MdfError as error:
        raise _taken(path, "--output") from error
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
