"""What stands in a file, as it is stored: nothing is repaired, nothing outside of its folder is touched."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mdf import spec
from mdf.heap import check_heap
from mdf.nodes import check_chunks, find
from mdf.rules.problem import Problem, error, note
from mdf.sources import check_places, check_sources

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

# All that h5py and numpy are known to raise for damaged files.
DAMAGE = (
    OSError, LookupError, ValueError, TypeError, RuntimeError, MemoryError, ArithmeticError, AttributeError,
    SystemError,
)  # fmt: skip

LARGEST_VALUE = 2**26  # bytes of one value that are read at once
_MOST_TEXTS = 4096
_MOST_TEXT = 2**24  # characters in one dataset
_LARGEST_CHUNK = 2**26  # bytes
_BEST_COMPRESSION = 10_000
_SAMPLE_PLACES = 8

REALS = ("float32", "float64", "int8", "int16", "int32", "int64")
NUMBERS = (*REALS, *(f"complex of {real}" for real in REALS))


class Content:
    """Nodes and values of an open file by the names of the standard; what cannot be read becomes rule F01.

    Parameters
    ----------
    hdf : h5py.File
    """

    def __init__(self, hdf: h5py.File) -> None:
        self.hdf = hdf
        self._bytes = Path(hdf.filename).stat().st_size
        self.problems: list[Problem] = []
        self.not_utf8: list[str] = []
        self._nodes: dict[str, Any] = {}
        self._heaps: set[int] = set()
        self._types: dict[str, str] = {}
        self._values: dict[str, Array | None] = {}

    @contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """Turn all that h5py and numpy raise for a damaged node into a problem."""
        try:
            yield
        except DAMAGE as trouble:
            text = str(trouble) or type(trouble).__name__
            found = error("F01", path, f"cannot be read: {text}")
            if found not in self.problems:
                self.problems.append(found)

    def node(self, path: str) -> Any:
        """Return the h5py object of a standard path, or of an old name for it; None if there is none."""
        if path not in self._nodes:
            self._nodes[path] = None
            for name in (path, *spec.ALIASES.get(path, ())):
                with self.reading(name):
                    self._nodes[path] = self._find(name)
                if self._nodes[path] is not None:
                    break
        return self._nodes[path]

    def _find(self, path: str) -> Any:
        parent, _, name = path.rpartition("/")
        group = self.node(parent) if parent else self.hdf
        link = group.get(name, getlink=True) if name and isinstance(group, h5py.Group) else None
        if isinstance(link, h5py.HardLink):
            return group[name]
        return find(self.hdf, path) if link is not None or not name else None

    def has_end(self, path: str) -> bool:
        """Say whether a soft link leads to something; a loop, or a link out of the file, is a problem."""
        with self.reading(path):
            return find(self.hdf, path) is not None
        return True

    def has_group(self, path: str) -> bool:
        """Say whether there is a group of this name."""
        return isinstance(self.node(path), h5py.Group)

    def has(self, path: str) -> bool:
        """Say whether there is a dataset of this name with values in it."""
        return self.dataset(path) is not None

    def dataset(self, path: str) -> h5py.Dataset | None:
        """Return a dataset; None if it is absent or a null dataspace, or no dataset at all."""
        found = self.node(path)
        if not isinstance(found, h5py.Dataset) or self.type(path) == "" or self.shape(path) is None:
            return None
        return found

    def shape(self, path: str) -> Shape | None:
        """Return the stored shape."""
        with self.reading(path):
            node = self.node(path)
            if isinstance(node, h5py.Dataset):
                check_places(node)  # HDF5 may look into other files for a shape
            shape: Shape | None = node.shape
            return shape
        return None

    def type(self, path: str) -> str:
        """Return the stored type in the words of this package ("int8", "text", "complex of float32")."""
        if path not in self._types:
            self._types[path] = ""
            with self.reading(path):
                self._types[path] = stored_type(self.node(path).id.get_type())
        return self._types[path]

    def value(self, path: str) -> Array | None:
        """Return a whole value as stored; None if it is absent, damaged or not of its kind.

        Text becomes an object array of str, compounds of r and i become complex numbers.
        """
        if path not in self._values:
            self._values[path] = None
            if self.has(path):
                with self.reading(path):
                    self._values[path] = self._read(path)
        return self._values[path]

    def _read(self, path: str) -> Array | None:
        dataset = self._nodes[path]
        is_text = self.type(path) == "text"
        if path in spec.FIELDS and spec.FIELDS[path].is_text != is_text:
            return None
        self.refuse_foreign(dataset)
        self._refuse_unbelievable(dataset)
        if is_text:
            return self._read_text(path, dataset)
        if math.prod(dataset.shape) * dataset.id.get_type().get_size() > LARGEST_VALUE:
            self.problems.append(note("F01", path, "too large to be checked"))
            return None
        check_chunks(dataset, math.prod(dataset.shape) * dataset.dtype.itemsize)
        return as_numbers(np.asarray(dataset[()]), self.type(path))

    def _read_text(self, path: str, dataset: h5py.Dataset) -> Array:
        """Read one text after another: elements may share one huge text of the file."""
        count = math.prod(dataset.shape)
        if count > _MOST_TEXTS or dataset.id.get_type().get_size() > _MOST_TEXT:
            raise ValueError(f"its shape {dataset.shape} is too large for text")
        texts, letters = np.empty(dataset.shape, object), 0
        check_heap(dataset, self._heaps)
        for place in np.ndindex(texts.shape):
            raw = dataset[place]
            raw = raw if isinstance(raw, bytes) else str(raw).encode()
            letters += len(raw)
            if letters > _MOST_TEXT:
                raise ValueError(f"more than {_MOST_TEXT} characters of text")
            try:
                texts[place] = raw.decode()
            except UnicodeDecodeError:
                self.not_utf8.append(path)
                texts[place] = raw.decode("latin-1")
        return texts

    def number(self, path: str) -> float | None:
        """Return a single real number, whatever its rank; None if there is none."""
        value = self.value(path)
        if value is None or value.size != 1 or value.dtype.kind not in "biuf":
            return None
        number: float = value.item()
        return number

    def count(self, path: str) -> int | None:
        """Return a single whole number; None if there is none."""
        number = self.number(path)
        return int(number) if number is not None and math.isfinite(number) else None

    def flag(self, path: str) -> bool:
        """Say whether a flag is set; one that is absent or damaged is not."""
        return self.number(path) == 1

    def text(self, path: str) -> str | None:
        """Return a single text; None if there is none."""
        value = self.value(path)
        return str(value.item()) if value is not None and value.size == 1 and value.dtype == object else None

    def reals(self, path: str) -> Array | None:
        """Return real numbers as float64; None if there are none."""
        value = self.value(path)
        return None if value is None or value.dtype.kind not in "biuf" else value.astype(np.float64)

    def integers(self, path: str) -> Array | None:
        """Return whole numbers as int64; None if there are none."""
        value = self.value(path)
        if value is None or value.dtype.kind not in "biuf":
            return None
        whole = np.all(np.isfinite(value)) and np.all(value == np.floor(value))
        return value.astype(np.int64) if whole else None

    def refuse_foreign(self, dataset: h5py.Dataset) -> None:
        """Refuse external storage, and virtual datasets whose sources are missing or outside its folder."""
        check_sources(dataset, find)

    def _refuse_unbelievable(self, dataset: h5py.Dataset) -> None:
        """Refuse a declared size that the file cannot hold."""
        declared = math.prod(dataset.shape) * dataset.id.get_type().get_size()
        most = self._bytes * (_BEST_COMPRESSION if dataset.chunks else 1)
        if declared > most and not dataset.is_virtual:
            raise ValueError(
                f"its shape {dataset.shape} declares {declared} bytes, the file has {self._bytes}"
            )

    def sample(self, path: str, most: int = 2**18) -> Array | None:
        """Return some of the numbers of a large dataset, spread over it; None if they cannot be read.

        Parameters
        ----------
        path : str
        most : int
            How many numbers are read at most.

        Returns
        -------
        shape (places, ...)
            Slabs of equal shape, each whole along as many of the last axes as fit.
        """
        dataset = self.dataset(path)
        if dataset is None or self.type(path) not in NUMBERS:
            return None
        with self.reading(path):
            self.refuse_foreign(dataset)
            self._refuse_unbelievable(dataset)
            if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > _LARGEST_CHUNK:
                self.problems.append(note("F01", path, "not checked, its chunks are too large"))
                return None
            slabs = [dataset[index] for index in _places(dataset.shape, most)]
            return as_numbers(np.stack(slabs), self.type(path))
        return None


def _places(shape: Shape, most: int) -> list[tuple[slice, ...]]:
    """Return the places of up to eight slabs along the diagonal of a shape."""
    whole = math.prod(shape) <= most
    budget = most if whole else most // _SAMPLE_PLACES
    slab: list[int] = []
    for length in reversed(shape):
        slab.insert(0, min(length, budget))
        budget = max(1, budget // max(1, slab[0]))
    places = []
    for fraction in [0.0] if whole else np.linspace(0, 1, _SAMPLE_PLACES):
        starts = [int(fraction * (length - part)) for length, part in zip(shape, slab, strict=True)]
        places.append(tuple(slice(start, start + part) for start, part in zip(starts, slab, strict=True)))
    return places


def stored_type(kind: h5py.h5t.TypeID) -> str:
    """Name a stored type: as numpy does, or "text", "complex of float32", "bitfield", ..."""
    h5t = h5py.h5t
    names = {
        h5t.STRING: "text", h5t.BITFIELD: "bitfield", h5t.ENUM: "enum", h5t.VLEN: "sequences",
        h5t.REFERENCE: "references", h5t.OPAQUE: "opaque bytes", h5t.ARRAY: "arrays", h5t.TIME: "time",
        getattr(h5t, "COMPLEX", None): "native complex",  # from HDF5 2.0 on
    }  # fmt: skip
    form = kind.get_class()
    if form == h5t.INTEGER:
        return f"{'u' if kind.get_sign() == h5t.SGN_NONE else ''}int{8 * kind.get_size()}"
    if form == h5t.FLOAT:
        return f"float{8 * kind.get_size()}"
    if form != h5t.COMPOUND:
        return names.get(form, "an unknown type")
    members = [kind.get_member_name(place) for place in range(min(3, kind.get_nmembers()))]
    parts = [stored_type(kind.get_member_type(place)) for place in range(len(members))]
    if members == [b"r", b"i"] and parts[0] == parts[1]:
        return f"complex of {parts[0]}"
    listed = ", ".join(f"{name.decode('latin-1')}: {part}" for name, part in zip(members, parts, strict=True))
    return f"compound of {listed}"


def is_big_endian(kind: h5py.h5t.TypeID) -> bool:
    """Say whether any number in this type is stored with its highest byte first."""
    form = kind.get_class()
    if form in {h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.BITFIELD}:
        return kind.get_size() > 1 and bool(kind.get_order() == h5py.h5t.ORDER_BE)
    if form == h5py.h5t.ENUM:
        return is_big_endian(kind.get_super())
    if form == h5py.h5t.COMPOUND:
        return any(is_big_endian(kind.get_member_type(place)) for place in range(kind.get_nmembers()))
    return False


def as_numbers(values: Array, stored: str) -> Array | None:
    """Return integer compounds as complex numbers, numbers as they are, and None for all else."""
    if values.dtype.names == ("r", "i") and stored in NUMBERS:
        parts = np.empty(values.shape, np.complex128)
        parts.real, parts.imag = values["r"], values["i"]
        return parts
    return values if values.dtype.kind in "biufc" else None
