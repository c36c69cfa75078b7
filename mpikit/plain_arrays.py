"""Arrays in files of NumPy, read without trust: nothing is unpickled, and whatever is wrong is one error."""

from __future__ import annotations

import io
import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**31  # bytes of all arrays of an NPZ file: a small one can claim any size
# NumPy reads the header of an array as Python reads an expression, and that has its own errors
_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    SyntaxError,
    OverflowError,
    MemoryError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


@contextmanager
def plainly() -> Iterator[None]:
    """Turn all that NumPy raises for a damaged file, or one with pickles, into a `ValueError`.

    Trouble with the file itself stays an `OSError`.
    """
    try:
        yield
    except _DAMAGE as error:
        raise ValueError(f"it holds no plain arrays: {error}") from error


def map_array(path: Path) -> NDArray[Any]:
    """Return the array of a ``.npy`` file, which is not read before it is used.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it holds something else.
    """
    with path.open("rb") as file:
        if file.read(2) == b"PK":  # NumPy would leave the handle of a damaged one open
            raise ValueError("there are several arrays, expected one")
    with plainly():
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return found


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an NPZ file by their names; members that are no arrays are left out.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is damaged, needs unpickling, or unfolds to more than 2 GiB.
    """
    content = io.BytesIO(path.read_bytes())  # of a damaged file NumPy would leave the handle open
    try:
        with plainly():
            return _unpacked(content)
    except OSError as error:  # bz2 says so of damaged data
        raise ValueError(f"it holds no plain arrays: {error}") from error


def _unpacked(content: io.BytesIO) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(content) as packed:
        size = sum(each.file_size for each in packed.infolist())
    if size > LARGEST:
        raise ValueError(f"it unfolds to {size} bytes")
    with np.load(content, allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
