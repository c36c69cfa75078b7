"""Requests to servers of data: https alone, and errors in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import requests

from mpikit.errors import InputError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
TIMEOUT = (15, 60)  # s to connect, s without a byte
LARGEST_RECORD = 4_000_000  # bytes
HASH = re.compile(r"(md5|sha1|sha256|sha512):[0-9a-fA-F]{32,128}")
WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
AGAIN = "look at the network connection, and say the same again: it goes on from what has come"


class Session(requests.Session):
    """Requests of which each one, also after a redirection, goes to an allowed address.

    Parameters
    ----------
    start : str
        The first address. Allowed is https; only from this very machine to itself (127.0.0.1, ::1 and
        localhost), where nobody listens between, also http.

    Raises
    ------
    InputError
        When a request goes elsewhere.
    """

    def __init__(self, start: str) -> None:
        super().__init__()
        self._local = urlsplit(start).hostname in LOOPBACK
        self.headers["User-Agent"] = f"mpikit/{version('mpikit')}"
        self.headers["Accept-Encoding"] = "identity"  # sizes and parts are those of the file itself

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        """Send one request, if its address is allowed."""
        address = urlsplit(request.url or "")
        is_safe = address.scheme == "https" and bool(address.hostname)
        if not is_safe and not (self._local and address.scheme == "http" and address.hostname in LOOPBACK):
            raise InputError(
                f"{request.url} is not fetched: its address is not https",
                hint="http is for this very machine alone (127.0.0.1 or localhost)",
            )
        return super().send(request, **how)


@contextmanager
def in_words(name: str, url: str) -> Iterator[None]:
    """Turn what goes wrong on the way to a server into an `InputError`."""
    try:
        host = urlsplit(url).netloc.rpartition("@")[2]
        yield
    except requests.exceptions.SSLError as error:
        raise InputError(
            f"{name} cannot be fetched: {host} has no certificate that is trusted",
            hint="is there a proxy between, or is the clock wrong?",
        ) from error
    except requests.exceptions.Timeout as error:
        raise InputError(f"{name} cannot be fetched: {host} does not answer", hint=AGAIN) from error
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
        raise InputError(f"{name} has come in part: the connection to {host} broke", hint=AGAIN) from error
    except requests.exceptions.ConnectionError as error:
        raise InputError(f"{name} cannot be fetched: no connection to {host}", hint=AGAIN) from error
    except requests.exceptions.RequestException as error:
        raise InputError(f"{name} cannot be fetched from {url}: {error}") from error
    except ValueError as error:  # of an address that is none, the first one or that of a redirection
        raise InputError(f"{name} cannot be fetched from {url}: {error}") from error


def whole_number(text: str) -> int | None:
    """Return what a server says as a number, None if it says none.

    At most 18 ASCII digits: Python refuses to read more than 4300, and other digits are no HTTP.

    >>> whole_number("12"), whole_number("-1"), whole_number("1" * 19)
    (12, None, None)
    """
    return int(text) if WHOLE_NUMBER.fullmatch(text) else None


def check_status(answer: requests.Response, name: str) -> None:
    """Refuse an answer that holds no file.

    Raises
    ------
    InputError
    """
    status = answer.status_code
    if status in (200, 206):
        return
    said = f"{name} cannot be fetched: {answer.url} answers {status} {answer.reason}".rstrip()
    if status in (404, 410):
        raise InputError(
            said,
            hint="the file was moved or removed by its makers; MPIKIT_DATASETS_MIRROR names another place",
        )
    raise InputError(said, hint="say the same again later")


@dataclass(frozen=True)
class Official:
    """What a record says of a file: ``"algorithm:digits"``, and bytes."""

    hash: str
    size: int


def official(name: str, record: str, file: str) -> Official:
    """Read size and hash of a file from a Zenodo record.

    Parameters
    ----------
    name : str
        The data set, for errors.
    record : str
        Address of the record in JSON: ``files``, each with ``key``, ``size`` and ``checksum``.
    file : str
        Name of the file in the record.

    Raises
    ------
    InputError
        When the record cannot be read, or knows no such file.
    """
    with in_words(name, record), Session(record) as session:
        answer = session.get(record, stream=True, timeout=TIMEOUT)
        check_status(answer, name)
        content = _read(answer, LARGEST_RECORD)
    return known_file(name, record, file, content)


def known_file(name: str, record: str, file: str, content: bytes) -> Official:
    """Return what a Zenodo record, ``content`` in JSON, says of a file; for the rest see `official`."""
    try:
        [found] = [each for each in json.loads(content)["files"] if each["key"] == file]
        known = Official(hash=str(found["checksum"]).lower(), size=int(found["size"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{name} cannot be checked: {record} does not know the file {file}") from error
    if not HASH.fullmatch(known.hash) or known.size < 0:
        raise InputError(f"{name} cannot be checked: {record} has no hash of the file {file}")
    return known


def _read(answer: requests.Response, limit: int) -> bytes:
    """Return the content, at most a little more than ``limit`` bytes of it: what is cut is no JSON."""
    content = b""
    for piece in answer.iter_content(100_000):
        content += piece
        if len(content) > limit:
            break
    return content


def announced_size(name: str, url: str) -> int | None:
    """Ask a server how many bytes a file has; None where it does not say.

    Raises
    ------
    InputError
        When the server has no such file, or cannot be reached.
    """
    with in_words(name, url), Session(url) as session:
        answer = session.head(url, allow_redirects=True, timeout=TIMEOUT)
        check_status(answer, name)
        return whole_number(answer.headers.get("Content-Length", ""))
