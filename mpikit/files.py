"""Files that are complete or absent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from mpikit.errors import InputError

_TAKEN: ContextVar[list[tuple[Path, str]] | None] = ContextVar("taken", default=None)


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


def check_output(
    path: Path, *, inputs: tuple[Path, ...] = (), overwrite: bool = False, option: str = "--output"
) -> None:
    """Refuse an output before any work is done; within `planning` one that exists is noted instead.

    Parameters
    ----------
    path : Path
        File to be written.
    inputs : tuple of Path
        Files that are read; the output may be none of them, not even through a link.
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
    if exists and any(other.exists() and path.samefile(other) for other in inputs):
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
    check_output(path, overwrite=overwrite)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())  # mkstemp makes it private, a user's file is not
            if overwrite:
                temporary.replace(path)
            else:
                _place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _taken(path, "--output") from error
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def _place(temporary: Path, path: Path) -> None:
    """Give a file its name, unless somebody else has taken that name meanwhile (`FileExistsError`)."""
    try:
        os.link(temporary, path)  # unlike a rename it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        temporary.replace(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
