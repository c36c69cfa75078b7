"""A downloader for pooch that goes on where an earlier one stopped."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests

from mpikit.datasets.catalogue import in_bytes
from mpikit.datasets.web import AGAIN, TIMEOUT, Session, check_status, in_words, whole_number
from mpikit.errors import InputError
from mpikit.events import Event, Finding, Step
from mpikit.files import write_atomically

PIECE = 100_000  # bytes that are read at once, and lost at most when a connection breaks
MEGABYTE = 1_000_000
_PART = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
SPARE = 10_000_000  # bytes that a disk keeps
SPAN = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+)")
WHOLE = re.compile(r"bytes \*/([0-9]+)")


@dataclass(frozen=True)
class Version:
    """Which version of a file a part belongs to, kept beside the part as ``FILE.part.json``.

    Parameters
    ----------
    url : str
    validator : str
        Strong ETag or date of the last change (RFC 9110, sections 8.8 and 13.1.5); empty without either.
    total : int, optional
        Bytes of the whole file; None where the server does not say.
    """

    url: str
    validator: str
    total: int | None


@dataclass(frozen=True, kw_only=True)
class Resuming:
    """Fetch a file into a part beside its place, and move it there when it is whole.

    pooch calls it. When it stops early, for whatever reason, the part stays; the next call asks the server
    for the rest, and only if the file there is still the same (``Range`` and ``If-Range``, RFC 9110, section
    14). Otherwise it starts anew.

    Parameters
    ----------
    name : str
        The data set, for errors.
    part : Path
        File for what has come so far, on the disk of the result.
    limit : int
        Bytes that the file may have at most.
    size : int, optional
        Bytes that it has, where that is known.
    tell : callable
        Takes a `Finding` with the size before anything comes, and a `Step` for each megabyte.
    """

    name: str
    part: Path
    limit: int
    size: int | None
    tell: Callable[[Event], None]

    def __call__(self, url: str, output_file: str, _pooch: Any, check_only: bool = False) -> None:
        """Fetch ``url`` to ``output_file``.

        Raises
        ------
        InputError
            When it did not come as a whole.
        """
        if check_only:
            raise NotImplementedError("whether a file can be fetched shows when it is fetched")
        name = self.name
        with in_words(name, url), self._disk(), _held(self.part, name) as file, Session(url) as session:
            self._fetch(session, url, file)
        with self._disk():
            self.part.replace(output_file)
            _version_path(self.part).unlink(missing_ok=True)

    def _fetch(self, session: Session, url: str, file: BinaryIO) -> None:
        done, version = _begun(self.part, url)
        if done:
            wanted = {"Range": f"bytes={done}-", "If-Range": version.validator}
            with session.get(url, headers=wanted, stream=True, timeout=TIMEOUT) as answer:
                if answer.status_code == 416 and _number(WHOLE, answer, 1) == done:
                    return  # all of it had come
                if answer.status_code == 206 and _goes_on(answer, done, version):
                    self._receive(answer, file, done, version)
                    return
                check_status_or_range(answer, self.name)
                text = f"{self.name}: the server cannot go on, or has another file now: it starts anew"
                self.tell(Finding("restart", done, text))
        with session.get(url, stream=True, timeout=TIMEOUT) as answer:
            check_status(answer, self.name)
            self._receive(answer, file, 0, _version(answer, url))

    def _receive(self, answer: requests.Response, file: BinaryIO, done: int, version: Version) -> None:
        self._check_size(version.total, done)
        begun = json.dumps(asdict(version)).encode()
        file.truncate(done)
        file.seek(done)
        write_atomically(_version_path(self.part), begun, overwrite=True)
        most = self.limit if version.total is None else version.total
        before, start = done, time.monotonic()
        for piece in answer.iter_content(PIECE):
            done += len(piece)
            if done > most:
                file.truncate(0)
                raise InputError(f"{self.name} is not fetched: the server sends more than {in_bytes(most)}")
            file.write(piece)
            rate = (done - before) / max(time.monotonic() - start, 1e-3)
            self._tell_step(done - len(piece), done, version.total, rate)
        file.flush()
        os.fsync(file.fileno())
        if version.total is not None and done < version.total:
            come = f"{in_bytes(done)} of {in_bytes(version.total)}"
            raise InputError(f"{self.name} has come in part, {come}: the connection broke", hint=AGAIN)

    def _check_size(self, total: int | None, done: int) -> None:
        """Say what will come, and refuse what is too large."""
        expected = self.size if total is None else total
        free = shutil.disk_usage(self.part.parent).free
        size = "an unknown size" if expected is None else in_bytes(expected)
        begun = f", {in_bytes(done)} of it are here" if done else ""
        place = f"{self.part.parent} ({in_bytes(free)} free)"
        self.tell(Finding("size", expected, f"{self.name}: {size}{begun}, to {place}"))
        if total is not None and self.size is not None and total != self.size:
            found, published = f"{in_bytes(total)} ({total})", f"{in_bytes(self.size)} ({self.size})"
            raise InputError(
                f"{self.name} is not fetched: the server has {found}, expected {published}",
                hint="the file there is not the published one",
            )
        if expected is not None and expected > self.limit:
            raise InputError(
                f"{self.name} is not fetched: the server has {size}, expected {in_bytes(self.limit)} at most",
                hint="the file there is hardly this data set",
            )
        if expected is not None and expected - done > free - SPARE:
            raise InputError(
                f"{self.name} needs {in_bytes(expected - done)}, but {place}",
                hint="make room, or name a folder on another disk with --cache or MPIKIT_DATASETS",
            )

    def _tell_step(self, before: int, done: int, total: int | None, rate: float) -> None:
        if total and (done // MEGABYTE > before // MEGABYTE or done == total):
            self.tell(Step(-(-done // MEGABYTE), -(-total // MEGABYTE), {"MB/s": rate / MEGABYTE}))

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Turn trouble with the disk into an `InputError`."""
        try:
            yield
        except requests.exceptions.RequestException:  # is an OSError too
            raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise InputError(
                    f"{self.name} has come in part: the disk of {self.part.parent} is full",
                    hint="make room, and say the same again: it goes on from what has come",
                ) from error
            raise InputError(f"{self.part} cannot be written: {error.strerror or error}") from error


def check_status_or_range(answer: requests.Response, name: str) -> None:
    """Refuse an answer that holds no file, unless it says that there is no such part."""
    if answer.status_code != 416:
        check_status(answer, name)


def _version(answer: requests.Response, url: str) -> Version:
    return Version(url, _validator(answer), whole_number(answer.headers.get("Content-Length", "")))


def _validator(answer: requests.Response) -> str:
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")


def _goes_on(answer: requests.Response, done: int, version: Version) -> bool:
    """Tell whether an answer is the rest of this version of the file."""
    validator = _validator(answer)
    return (
        _number(SPAN, answer, 1) == done
        and _number(SPAN, answer, 2) == version.total
        and validator in ("", version.validator)
    )


def _number(pattern: re.Pattern[str], answer: requests.Response, group: int) -> int | None:
    found = pattern.fullmatch(answer.headers.get("Content-Range", ""))
    return whole_number(found[group]) if found else None


def _version_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _begun(part: Path, url: str) -> tuple[int, Version]:
    """Return how many bytes can be kept, and of which version they are."""
    try:
        version = Version(**json.loads(_version_path(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return 0, Version(url, "", None)
    done = part.stat().st_size
    whole = isinstance(version.total, int) and done <= version.total
    usable = whole and version.url == url and isinstance(version.validator, str) and version.validator
    return (done if usable else 0), version


@contextmanager
def _held(part: Path, name: str) -> Iterator[BinaryIO]:
    """Open a part for this process alone; the lock ends with the process."""
    if part.is_symlink():  # for the message, and where links cannot be refused while opening
        raise _no_part(part, "a symbolic link")
    handle = os.open(part, _PART, 0o666)
    with os.fdopen(handle, "r+b") as file:
        if os.fstat(handle).st_nlink > 1:
            raise _no_part(part, "a file with a second name")
        try:
            _lock(handle)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise InputError(
                    f"{name} is being fetched by another process", hint="wait until it has ended"
                ) from error
        try:
            yield file
        except BaseException:
            file.flush()
            if not os.fstat(handle).st_size:  # nothing has come
                with suppress(OSError):
                    part.unlink()
                    _version_path(part).unlink(missing_ok=True)
            raise


def _no_part(part: Path, what: str) -> InputError:
    return InputError(f"{part} is {what}, expected none or what has come of a file", hint="move it away")


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
