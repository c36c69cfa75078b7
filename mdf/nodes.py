"""Careful access to the nodes of an HDF5 file: whatever is wrong becomes an `MdfError`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mdf.errors import MdfError
from mdf.heap import check_heap
from mdf.sources import OutsideError, check_sources
from mdf.spec import Field

LARGEST_VALUE = 2**30  # bytes; metadata that claims to be larger is not believed
_MUCH, _MOST_COMPRESSED = 2**24, 1500  # bytes; as much as any filter reaches
_MOST_TEXTS = 4096
_MOST_LETTERS = 2**24  # of all texts of a dataset
_MOST_CHUNKS, _SMALL_CHUNK = 2**17, 1024  # bytes of a chunk; HDF5 takes 4 KB and 8 µs for each
_SOFT_LINKS = 8  # more in a row are taken for a loop


@contextmanager
def reading(path: Path, node: str) -> Iterator[None]:
    """Turn all that h5py and numpy raise for a bad file into an `MdfError` that names file and node."""
    try:
        yield
    except OutsideError as error:
        raise MdfError(f"{path}: {node} cannot be read: {error}", hint=error.hint) from error
    except MdfError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError, ArithmeticError) as error:
        raise MdfError(
            f"{path}: {node} cannot be read: {error}", hint="the file is damaged or is no MDF file"
        ) from error


def find(root: h5py.Group, node: str, hops: int = _SOFT_LINKS) -> h5py.Group | h5py.Dataset | None:
    """Return the node at a path from the root, or None; a link to another file is refused."""
    place = root
    names = [name for name in node.split("/") if name]
    for index, name in enumerate(names):
        if not isinstance(place, h5py.Group):
            return None
        link = place.get(name, getlink=True)
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise ValueError("it is a link to another file, which is never followed")
        if isinstance(link, h5py.SoftLink):
            if hops == 0:
                raise ValueError("it is a loop of links")
            target = link.path if link.path.startswith("/") else f"{place.name}/{link.path}"
            return find(root, "/".join([target, *names[index + 1 :]]), hops - 1)
        place = place[name]
    return place


def find_group(root: h5py.Group, node: str) -> h5py.Group | None:
    """Return a group, or None if there is nothing; anything else there is refused."""
    found = find(root, node)
    if found is None or isinstance(found, h5py.Group):
        return found
    raise TypeError("expected a group, found a dataset")


def find_dataset(root: h5py.Group, node: str) -> h5py.Dataset | None:
    """Return a dataset, or None if there is nothing (or an empty dataspace)."""
    found = find(root, node)
    if found is None:
        return None
    if not isinstance(found, h5py.Dataset):
        raise TypeError(f"expected a dataset, found a {type(found).__name__.lower()}")
    check_sources(found, find)
    return None if found.shape is None else found


def check_filters(dataset: h5py.Dataset) -> None:
    """Make sure that a compressed dataset can be read, with `hdf5plugin` where it is needed."""
    created = dataset.id.get_create_plist()
    for number, _, _, name in map(created.get_filter, range(created.get_nfilters())):
        if not h5py.h5z.filter_avail(number) and find_spec("hdf5plugin"):
            import_module("hdf5plugin")  # it registers its filters
        if not h5py.h5z.filter_avail(number):
            called = name.decode(errors="replace").partition(" ")[0].rstrip("\0;")
            raise ValueError(
                f"it is compressed with the HDF5 filter {number} ({called}), install hdf5plugin to read it"
            )


def read_text(dataset: h5py.Dataset) -> tuple[Any, bool]:
    """Return one str, or an array of str, and whether all of it was UTF-8."""
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise TypeError(f"expected text, found {dataset.dtype}")
    _check_size(dataset)
    check_filters(dataset)
    check_heap(dataset, set())
    texts = [_decode(raw) for raw in _raw_texts(dataset)]
    is_utf8 = all(good for _, good in texts)
    if dataset.shape == ():
        return texts[0][0], is_utf8
    return np.array([text for text, _ in texts], dtype=np.str_).reshape(dataset.shape), is_utf8


def _raw_texts(dataset: h5py.Dataset) -> list[bytes]:
    """Return one text after another: all of them may be one and the same huge text of the file."""
    found: list[bytes] = []
    longest = 0
    for place in np.ndindex(dataset.shape):
        found.append(dataset[place])
        longest = max(longest, len(found[-1]))
        if longest * dataset.size > _MOST_LETTERS:  # an array of text has room for the longest everywhere
            raise ValueError(f"its {dataset.size} texts are too long to be believed")
    return found


def _decode(value: bytes) -> tuple[str, bool]:
    try:
        return value.decode("utf-8"), True
    except UnicodeDecodeError:
        return value.decode("latin-1"), False


def read_numbers(dataset: h5py.Dataset) -> np.ndarray[Any, Any]:
    """Return the numbers of a dataset; integer compounds become complex numbers."""
    check_numbers(dataset)
    _check_size(dataset)
    check_filters(dataset)
    return as_complex(np.asarray(dataset[()]))


def check_numbers(dataset: h5py.Dataset) -> None:
    """Refuse a type that is no number of MDF."""
    if dataset.id.get_type().get_class() == getattr(h5py.h5t, "COMPLEX", -2):
        raise TypeError(
            "the native complex type of HDF5 is not allowed in MDF, expected a compound of r and i"
        )
    dtype = dataset.dtype
    compound = dtype.names == ("r", "i") and all(dtype[name].kind in "iuf" for name in ("r", "i"))
    if dtype.kind not in "biufc" and not compound:
        raise TypeError(f"expected numbers, found {dtype}")


def as_complex(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return complex numbers for a compound of r and i; other numbers are left alone."""
    if values.dtype.names is None:
        return values
    return (values["r"] + 1j * values["i"]).astype(signal_dtype(values.dtype))


def signal_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the floating-point type that holds numbers of this stored type without loss where it can."""
    if dtype.names is not None:
        return np.result_type(signal_dtype(dtype["r"]), np.complex64)
    if dtype.kind == "c":
        return dtype.newbyteorder("=")
    small = dtype.itemsize <= 4 if dtype.kind == "f" else dtype.itemsize <= 2
    return np.dtype(np.float32 if small else np.float64)


def _check_size(dataset: h5py.Dataset) -> None:
    is_text, declared = dataset.dtype.kind in "OS", dataset.size * dataset.dtype.itemsize
    if declared > LARGEST_VALUE or (is_text and dataset.size > _MOST_TEXTS):
        raise ValueError(f"its shape {dataset.shape} is too large to be believed")
    most = max(_MUCH, _MOST_COMPRESSED * dataset.id.get_storage_size())
    if declared > most and not dataset.is_virtual:
        raise ValueError(f"it declares the shape {dataset.shape} and holds next to nothing")
    check_chunks(dataset, declared)


def check_chunks(dataset: h5py.Dataset, wanted: int) -> None:
    """Refuse to read bytes in so many tiny chunks that HDF5 takes gigabytes and minutes for their list."""
    if not dataset.chunks:
        return
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if size < _SMALL_CHUNK and wanted > _MOST_CHUNKS * size:
        raise ValueError(f"it is cut into too many chunks, of the shape {dataset.chunks} only")


def read_value(dataset: h5py.Dataset, field: Field) -> tuple[Any, bool]:
    """Return a value in the Python type of its field, in the stored shape, and whether it was stored so.

    Text gives str, flags bool, integers int64, "float" float64, "complex" complex128, "number" any number.
    """
    if field.is_text:
        return read_text(dataset)
    values = read_numbers(dataset)
    if field.kind == "flag":
        if not np.all((values == 0) | (values == 1)):
            raise ValueError("expected 0 or 1")
        return values.astype(bool), dataset.dtype == np.int8
    if field.kind == "int":
        if not np.all(np.isfinite(values) & (values == np.floor(values.real))):
            raise ValueError("expected whole numbers")
        return values.real.astype(np.int64), dataset.dtype.kind == "i"
    if field.kind == "float":
        if values.dtype.kind == "c":
            raise TypeError("expected real numbers, found complex ones")
        return values.astype(np.float64), dataset.dtype.kind == "f"
    if field.kind == "complex":
        return values.astype(np.complex128), values.dtype.kind == "c"
    return values, True
