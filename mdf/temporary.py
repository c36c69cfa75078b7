"""Files that are complete or absent: written under a hidden name beside their place, then renamed."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from mdf.errors import MdfError

_LONGEST_LABEL = 150  # of a hidden name; file systems allow 255 bytes in all
_BINARY = getattr(os, "O_BINARY", 0)
_ours: set[str] = set()  # hidden names that this process is writing


class Sink(io.RawIOBase):
    """A new file for h5py, which takes what no longer fits on the disk and keeps the error.

    HDF5 cannot close a file whose last bytes it could not write: the whole process ends with a crash. So it
    is told that all is well; `check` raises the error, and the file is thrown away.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666), "r+")
        self._error: BaseException | None = None

    def check(self) -> None:
        """Raise the first thing that went wrong: an OSError, or an interruption."""
        if self._error is not None:
            raise self._error

    def seekable(self) -> bool:
        """Say yes: HDF5 jumps."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Read; what was lost is zeros, for a file that is thrown away."""
        found = self._file.readinto(buffer) or 0
        if self._error is not None and found < len(buffer):
            buffer[found:] = bytes(len(buffer) - found)
            found = len(buffer)
        return found

    def write(self, data: Any) -> int:
        """Write all of it, or keep the error."""
        size = memoryview(data).nbytes
        try:
            done = 0
            while done < size and self._error is None:  # Linux writes at most 2 GiB at once
                done += self._file.write(memoryview(data).cast("B")[done:]) or 0
        except BaseException as error:  # noqa: BLE001 - an interruption too must not surface inside HDF5
            self._error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length, or keep the error."""
        try:
            if self._error is None:
                self._file.truncate(size)
        except OSError as error:
            self._error = error
        return size or 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def claim(path: Path) -> Path:
    """Return a hidden name beside a place, after removing what killed processes left for that place.

    The name says machine and process, so that whoever writes the same file later can tell what is stale from
    what another process is still writing.
    """
    remove_stale(path)
    hidden = path.with_name(f"{_start(path)}{_machine()}-{os.getpid()}-{uuid4().hex[:8]}.part")
    _ours.add(hidden.name)
    return hidden


def release(hidden: Path) -> None:
    """Remove a hidden file, if it still has its hidden name."""
    hidden.unlink(missing_ok=True)
    _ours.discard(hidden.name)


def remove_stale(path: Path) -> None:
    """Remove the hidden files for a place whose processes are gone; those of other machines are left."""
    form = re.compile(rf"{re.escape(_start(path) + _machine())}-(\d+)-[0-9a-f]{{8}}\.part")
    with suppress(OSError):  # a folder that cannot be listed or changed is none of the writer's business
        for other in os.listdir(path.parent):  # noqa: PTH208 - the names alone are needed
            found = form.fullmatch(other)
            if found is not None and other not in _ours and not _is_another_alive(int(found[1])):
                path.with_name(other).unlink(missing_ok=True)


def _start(path: Path) -> str:
    label = path.name
    if len(os.fsencode(label)) > _LONGEST_LABEL:
        label = hashlib.sha256(os.fsencode(label)).hexdigest()[:32]
    return f".{label}."


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_another_alive(process: int) -> bool:
    """Say whether this is a living process other than this one, which knows its own hidden names."""
    if process == os.getpid():
        return False
    if os.name == "nt":
        return True  # os.kill would end it there; a file in use cannot be removed anyway
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to somebody else
        return True
    return True


def publish(hidden: Path, path: Path, *, overwrite: bool) -> None:
    """Put a finished file on the disk and give it its name; one that appeared meanwhile stays.

    Raises
    ------
    MdfError
        If there is a file of that name, unless `overwrite`.
    OSError
    """
    _sync(hidden)
    if overwrite:
        hidden.replace(path)
    else:
        _link(hidden, path)
    _sync_folder(path.parent)


def _link(hidden: Path, path: Path) -> None:
    try:
        os.link(hidden, path)  # unlike a rename it fails if there is something
    except FileExistsError:
        raise exists(path) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise exists(path) from None
        hidden.replace(path)


def exists(path: Path) -> MdfError:
    """Return the error for a place that is taken."""
    return MdfError(f"{path}: the file exists", hint="choose another name, or ask for it to be overwritten")


def _sync(path: Path) -> None:
    """Have the system put a file on the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Have the system put the names in a folder on the disk, where it can: the file is in its place anyway.

    On Windows, in a folder that must not be listed and on some file systems it cannot.
    """
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
