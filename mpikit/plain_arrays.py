"""Arrays in files of NumPy, read without trust: nothing is unpickled, and whatever is wrong is one error."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

# Bytes of all arrays of an NPZ file, for a small one can claim any size. MNIST has 55 MB and the 280,000
# digits of EMNIST 220 MB; and who puts arrays together has them twice.
LARGEST = 400_000_000
# In a chunk that is packed otherwise (bz2, LZMA) gigabytes unfold at once
_WAYS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
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


def read_arrays(
    path: Path, *, only: Collection[str] | None = None, largest: int = LARGEST
) -> dict[str, NDArray[Any]]:
    """Return the arrays of an NPZ file by their names; members that are no arrays are left out.

    Parameters
    ----------
    path : Path
    only : collection of str, optional
        Names of those that are wanted, all if not given. The others are not read.
    largest : int
        Bytes that they may have together.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is damaged, needs unpickling, unfolds to more than ``largest`` bytes, or is packed in another
        way than NumPy does.
    """
    with path.open("rb") as file, plainly():
        try:
            return _unpacked(file, only, largest)
        except OSError as error:
            raise ValueError(str(error)) from error


def _unpacked(file: BinaryIO, only: Collection[str] | None, largest: int) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(file) as packed:
        members = [
            each for each in packed.infolist() if only is None or each.filename.removesuffix(".npy") in only
        ]
    size = sum(each.file_size for each in members)
    if size > largest:
        raise ValueError(f"it unfolds to {size} bytes, expected {largest} at most")
    if any(each.compress_type not in _WAYS for each in members):
        raise ValueError("it is packed in another way than NumPy does")
    names = {each.filename.removesuffix(".npy") for each in members}
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files if name in names}
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
