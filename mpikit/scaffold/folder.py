"""A folder of text files that is complete, or as it was before."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from mpikit.errors import InputError


def check_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Refuse a folder to write into before any work is done.

    Parameters
    ----------
    folder : Path
    overwrite : bool
        It may hold something.

    Raises
    ------
    InputError
        When it is a file, holds something, is read-only, or its own folder does not exist.
    """
    try:
        if not folder.exists():
            _check_writable(folder.parent)
            return
        if not folder.is_dir():
            raise InputError(
                f"{folder} is a file, expected a folder", hint="name a folder that is new or empty"
            )
        if not overwrite and any(folder.iterdir()):
            raise InputError(
                f"the folder {folder} is not empty",
                hint="name another, or add --force: it replaces files of the same names, and keeps others",
            )
    except OSError as error:
        raise _unwritable(folder, error) from error
    _check_writable(folder)


def _check_writable(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist", hint="make it first")
    if not os.access(folder, os.W_OK):
        raise InputError(f"the folder {folder} is read-only", hint="choose another place")


def write_folder(folder: Path, contents: Mapping[str, str], *, overwrite: bool = False) -> None:
    """Write text files into a folder: all of them, or none.

    A new folder is made beside its place and gets its name last. In one that is there, files are made aside
    and moved; if a move fails, or Ctrl-C comes, those before it are taken back.

    Parameters
    ----------
    folder : Path
    contents : mapping of str to str
        Text by path in the folder, with ``/`` between the parts.
    overwrite : bool
        The folder may hold something; files of these names are replaced.

    Raises
    ------
    InputError
        As `check_folder`, or when the disk is full.
    """
    check_folder(folder, overwrite=overwrite)
    is_new = not folder.exists()
    place = folder.parent if is_new else folder
    staged = place / f".{secrets.token_hex(6)}.partial"
    try:
        staged.mkdir()
        try:
            _write(staged / "new", contents)
            if is_new:
                (staged / "new").rename(folder)
            else:
                _move(staged, folder, contents)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write(folder: Path, contents: Mapping[str, str]) -> None:
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def _move(staged: Path, folder: Path, contents: Mapping[str, str]) -> None:
    """Move the files of ``staged / "new"`` to their places; what was there is kept until all are."""
    folders = sorted({folder / parent for name in contents for parent in Path(name).parents})
    made: list[Path] = []
    moved: list[str] = []
    old = staged / "old"
    try:
        for each in folders:
            if not each.is_dir():
                each.mkdir()
                made.append(each)
        for name in contents:
            moved.append(name)
            _exchange(staged / "new" / name, folder / name, old / name)
    except BaseException:  # Ctrl-C too
        for name in moved:
            _take_back(staged / "new" / name, folder / name, old / name)
        for each in reversed(made):
            each.rmdir()
        raise


def _exchange(new: Path, target: Path, old: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        raise IsADirectoryError(0, f"{target.name} is a folder")
    if os.path.lexists(target):
        old.parent.mkdir(parents=True, exist_ok=True)
        target.rename(old)
    new.rename(target)


def _take_back(new: Path, target: Path, old: Path) -> None:
    if not new.exists():
        target.unlink()
    if os.path.lexists(old):
        old.rename(target)


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"the folder {folder} cannot be written: {error.strerror or error}")
