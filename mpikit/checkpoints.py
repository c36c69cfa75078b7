"""Where a training keeps its state on disk, to go on after an interruption; and one training at a time."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, PluginError
from mpikit.events import Event, Warned, silent
from mpikit.files import check_output, write_atomically

FORMAT = "mpikit-checkpoint"
VERSION = 1
_LONGEST_PID = 20  # digits


class FileCheckpoint:
    """A checkpoint in one safetensors file: arrays, and what they belong to as JSON. Nothing is pickled.

    It is the `mpikit.Checkpoint` that a method finds in its run.

    Parameters
    ----------
    path : Path
    about : mapping
        What the training is: method, options, seed, files by hash; ready for JSON. A checkpoint goes on only
        with what it was begun with.
    resume : bool
        Load what is there; otherwise `load` finds nothing, and the first `save` replaces the file.
    made_with : mapping of str to str
        What the digits depend on: versions, the device. It is warned of when a checkpoint goes on with
        others.
    tell : callable
        Takes warnings.

    Raises
    ------
    InputError
        When there is nothing to resume, or it belongs to another training.
    """

    def __init__(
        self,
        path: Path,
        about: Mapping[str, Any],
        *,
        resume: bool,
        made_with: Mapping[str, str] | None = None,
        tell: Callable[[Event], None] = silent,
    ) -> None:
        self.path, self._is_ours = path, resume
        self._tell, self._warned = tell, False
        self._made_with = dict(made_with or {})
        self._about = json.loads(json.dumps(dict(about)))
        self._state: dict[str, NDArray[Any]] | None = None
        if not resume:
            return
        if not path.exists():
            raise InputError(
                f"there is no checkpoint {path} to go on from",
                hint="leave --resume out to start at the start",
            )
        said, before, self._state = _read(path)
        differs = [name for name in self._about if said.get(name) != self._about[name]]
        if differs:
            raise InputError(
                f"{path.name} is of another training: {_difference(differs[0], said, self._about)}",
                hint="give the options, seed and files that it was begun with, or --force to start anew",
            )
        for name, now in self._made_with.items():
            if before.get(name, now) != now:
                tell(
                    Warned(
                        f"{path.name} was made with {name} {before[name]}, it goes on with {name} {now}: not "
                        "bit for bit as without the interruption"
                    )
                )

    @property
    def is_kept(self) -> bool:
        """The file holds a state of this training, not one of a training before."""
        return self._is_ours and self.path.exists()

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Return what was saved last, or None."""
        return None if self._state is None else dict(self._state)

    def save(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Keep this state; the one before is replaced only when this one is complete.

        When it cannot be written, as the disk is full, the training goes on: it is warned of once, and the
        checkpoint before is still there.

        Raises
        ------
        PluginError
            When the state is no flat dict of arrays of numbers.
        """
        from safetensors.numpy import save

        header = {
            "format": FORMAT,
            "format_version": str(VERSION),
            "about": json.dumps(self._about),
            "made_with": json.dumps(self._made_with),
        }
        arrays = {name: np.asarray(value, order="C") for name, value in state.items()}
        wrong = [name for name, value in arrays.items() if value.dtype.kind not in "biufc"]
        if wrong:
            raise PluginError(f"the checkpoint holds {wrong[0]!r}, which is no array of numbers")
        try:
            write_atomically(self.path, save(arrays, metadata=header), overwrite=True)
        except InputError as error:
            self._warn(error)
        else:
            self._is_ours = True

    def _warn(self, error: InputError) -> None:
        if self._warned:
            return
        self._warned = True
        since = "the checkpoint before, which is still there" if self.is_kept else "its start"
        self._tell(
            Warned(
                f"the checkpoint {error}; the training goes on, but an interruption would lose what was "
                f"learnt since {since}: make room on the disk"
            )
        )

    def remove(self) -> None:
        """Remove the file: the training has ended, and its model is safe."""
        self.path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what the checkpoint belongs to, what it was made with, and its arrays."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if header.get("format") != FORMAT or header.get("format_version") != str(VERSION):
            raise ValueError(f"it says {header.get('format')!r}, version {header.get('format_version')!r}")
        about, made_with = json.loads(header["about"]), json.loads(header.get("made_with", "{}"))
        if not (isinstance(about, dict) and isinstance(made_with, dict)):
            raise ValueError("it does not say what it belongs to")
    except (
        SafetensorError, OSError, KeyError, TypeError, AttributeError, ValueError, RecursionError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path.name} cannot be read as a checkpoint of this mpikit: {error}",
            hint="--force starts the training anew",
        ) from error
    return about, made_with, state


def _difference(name: str, said: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Say what differs, down to one entry of a table."""
    before, now = said.get(name), asked[name]
    if isinstance(before, dict) and isinstance(now, dict):
        entry = next(key for key in [*now, *before] if before.get(key, ...) != now.get(key, ...))
        if name == "inputs":
            return f"it was fitted to other files ({entry} was changed, added or left out)"
        return f"its {entry} is {before.get(entry)!r}, now it is {now.get(entry)!r}"
    return f"its {name.replace('_', ' ')} is {before!r}, now it is {now!r}"


@contextmanager
def only_one(path: Path, *, of: str) -> Iterator[None]:
    """Refuse to work on the same thing twice at the same time.

    The system itself lets go of the lock of a process that was killed; the file may stay then, and does no
    harm. On a file system without locks nothing is refused.

    Parameters
    ----------
    path : Path
        File of the lock; gone afterwards.
    of : str
        What is worked on, for the message.

    Raises
    ------
    InputError
        When somebody else works on it, the file cannot be made, or what is there is no lock: a link, or a
        file with something else in it.
    """
    handle = _lock(path, of)
    try:
        yield
    finally:
        if sys.platform == "win32":  # no open file can be removed there
            os.close(handle)
        with suppress(OSError):
            path.unlink()  # while it is locked: what somebody else has made and locked since is not removed
        if sys.platform != "win32":
            os.close(handle)


def _lock(path: Path, of: str) -> int:
    while True:
        handle = _open(path)
        try:
            _hold(handle)
        except (BlockingIOError, PermissionError):
            owner = os.pread(handle, _LONGEST_PID, 0).decode(errors="replace") if hasattr(os, "pread") else ""
            os.close(handle)
            raise InputError(
                f"{of} is being trained by another process{f' ({owner})' if owner else ''}",
                hint="wait until it has ended, stop it, or choose another name with --output",
            ) from None
        except OSError:  # a file system without locks
            return handle
        if _is_file(handle, path):
            with suppress(OSError):  # a full disk: then nobody is told who it is
                os.truncate(handle, 0)
                os.lseek(handle, 0, os.SEEK_SET)
                os.write(handle, str(os.getpid()).encode())
            return handle
        os.close(handle)  # whoever had it before removed the file between opening and locking


def _open(path: Path) -> int:
    """Open or make a file of a lock; nothing is written yet, and what is no lock is refused."""
    if path.is_symlink():  # for the message, and where links cannot be refused while opening
        raise _no_lock(path, "a symbolic link")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        check_output(path, overwrite=True)
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    what = _otherwise(handle)
    if what:
        os.close(handle)
        raise _no_lock(path, what)
    return handle


def _otherwise(handle: int) -> str:
    """Say what an open file is, if it cannot be the file of a lock."""
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        return "no file"
    if state.st_nlink > 1:
        return "a file with a second name"
    content = b""
    with suppress(PermissionError):  # on Windows nobody else reads what is locked
        content = os.read(handle, _LONGEST_PID + 1)
    is_ours = len(content) <= _LONGEST_PID and (not content or content.isdigit())
    return "" if is_ours else "a file with something else in it"


def _no_lock(path: Path, what: str) -> InputError:
    return InputError(
        f"{path} is {what}, expected none or the lock of mpikit",
        hint="move it away, or choose another name with --output",
    )


def _is_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _hold(handle: int) -> None:
    """Lock an open file, or raise `OSError`; the lock ends with the process."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
