"""Files that an MDF file takes values from: those behind its virtual datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import h5py

from mdf import spec
from mdf.nodes import find

_MOST = 10_000  # datasets of a group, and pieces of a dataset, that are looked at
_HOPS = 2  # a source may be virtual too; more are refused when the values are read


def sources_of(path: Path) -> list[Path]:
    """Return the files that hold values of a file: the sources of virtual datasets in groups of the standard.

    Nothing is checked: sources may be missing.

    Parameters
    ----------
    path : Path
        Any file, or none; one that is not HDF5, or is damaged, has no sources.

    Returns
    -------
    list of Path
        Each once, as the file names them, in its own folder if they are relative.
    """
    found: dict[Path, None] = {}
    _gather(path, found, _HOPS)
    return list(found)


def _gather(path: Path, found: dict[Path, None], hops: int) -> None:
    fresh = [place for place in _named(path) if place not in found]
    found.update(dict.fromkeys(fresh))
    for place in fresh if hops > 1 else ():
        _gather(place, found, hops - 1)


def _named(path: Path) -> list[Path]:
    """Return the files that one file names as sources, as far as it can be read."""
    places: dict[Path, None] = {}
    with _of_a_damaged_file():
        if not path.is_file() or not h5py.is_hdf5(path):
            return []
        folder = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 - links in it stay
        with h5py.File(path, "r") as hdf:
            for dataset in _virtual(hdf):
                names = (source.file_name for source in islice(dataset.virtual_sources(), _MOST))
                places.update((Path(folder, name), None) for name in names if name != ".")
    return list(places)


def _virtual(hdf: h5py.File) -> Iterator[h5py.Dataset]:
    """Yield the virtual datasets in groups of the standard."""
    for group in spec.GROUPS:
        names: list[str] = []
        with _of_a_damaged_file():
            names = list(islice(find(hdf, group) or (), _MOST))
        for name in names:
            node = None
            with _of_a_damaged_file():  # a link to another file too
                node = find(hdf, f"{group}/{name}")
            if isinstance(node, h5py.Dataset) and node.is_virtual:
                yield node


def _of_a_damaged_file() -> suppress:
    return suppress(OSError, KeyError, ValueError, TypeError, RuntimeError)
