"""Datasets whose values stand elsewhere: what a file may take from others, and what never.

A file of a stranger shall not show the values of other files of the user. So links to other files and
external storage are never followed, and the sources of a virtual dataset have to lie in the folder of the
file, or below it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py

from mdf.errors import MdfError

Find = Callable[[h5py.Group, str], Any]

STANDS_ELSEWHERE = "its values stand in another file, which is never followed"
_HOPS = 2  # virtual datasets of virtual datasets
_PATTERNS = ("%b", "%%")  # HDF5 makes other names of these


class OutsideError(MdfError, ValueError):
    """A virtual dataset has a source that lies outside of the folder of its file."""


def check_places(dataset: h5py.Dataset) -> None:
    """Refuse sources of a virtual dataset outside of the folder of its file; no other file is opened.

    Raises
    ------
    OutsideError
    """
    if dataset.is_virtual:
        for source in dataset.virtual_sources():
            if source.file_name != ".":
                _place(source.file_name, dataset.file.filename, _folders(dataset.file.filename))


def check_sources(dataset: h5py.Dataset, find: Find) -> None:
    """Refuse external storage, and virtual datasets with sources outside of the folder, missing or too small.

    For those that are missing HDF5 would give fill values.

    Parameters
    ----------
    dataset : h5py.Dataset
    find : callable
        Takes an open file and the path of a node in it.

    Raises
    ------
    ValueError
    """
    if dataset.external:
        raise ValueError(STANDS_ELSEWHERE)
    check_places(dataset)
    if dataset.is_virtual:
        _check(dataset, find, _folders(dataset.file.filename), _HOPS)


def is_elsewhere(dataset: h5py.Dataset) -> bool:
    """Say whether any values of a dataset stand in other files, or in other datasets."""
    return bool(dataset.external) or bool(dataset.is_virtual)


def links_elsewhere(group: h5py.Group) -> Iterator[tuple[h5py.Group, str | bytes]]:
    """Yield the groups and names, in a group and below, of what leads to other files or is virtual."""
    waiting: list[h5py.Group] = [group]
    seen: set[int] = set()
    while waiting:
        place = waiting.pop()
        address = h5py.h5o.get_info(place.id).addr
        if address in seen:
            continue
        seen.add(address)
        for name in place:
            link = place.get(name, getlink=True)
            node = place[name] if isinstance(link, h5py.HardLink) else None
            if isinstance(node, h5py.Group):
                waiting.append(node)
            elif isinstance(link, h5py.ExternalLink) or (
                isinstance(node, h5py.Dataset) and is_elsewhere(node)
            ):
                yield place, name


def _folders(file: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Return the folder of a file, and the one where it lies if its name is a link."""
    path = Path(os.path.abspath(file))  # noqa: PTH100 - the name of a link as it is
    return path.parent.resolve(), path.resolve().parent


def _place(name: str, file: str | os.PathLike[str], folders: tuple[Path, ...]) -> Path:
    """Return where HDF5 looks for a source, if it may be there."""
    path = Path(os.path.dirname(file), name)  # noqa: PTH120 - as HDF5 puts it together
    real = path.resolve()
    if any(pattern in name for pattern in _PATTERNS) or not any(map(real.is_relative_to, folders)):
        raise OutsideError(
            f"its source {name!r} lies outside of the folder of the file, expected one beside it or below",
            hint="a file could show any other file of yours in this way: if you trust it, copy the source "
            "beside it, or make a file of it that holds its values",
        )
    return path


def _check(dataset: h5py.Dataset, find: Find, folders: tuple[Path, ...], hops: int) -> None:
    if hops == 0:
        raise ValueError("its source is virtual, and so is the source of that")
    mapped = 0
    for source in dataset.virtual_sources():
        if source.file_name == ".":
            shape = _source_shape(dataset.file, source.dset_name, find, folders, hops)
        else:
            path = _place(source.file_name, dataset.file.filename, folders)
            if not path.is_file():
                raise ValueError(f"its source {source.file_name!r} is missing")
            with h5py.File(path, "r") as hdf:
                shape = _source_shape(hdf, source.dset_name, find, folders, hops)
        if not _holds(shape, source):
            raise ValueError(f"its source {source.dset_name!r} is smaller than it should be")
        mapped += source.vspace.get_select_npoints()
    if dataset.shape is not None and mapped < dataset.size:
        raise ValueError(f"it is virtual and only {mapped} of its {dataset.size} values have a source")


def _holds(shape: tuple[int, ...], source: Any) -> bool:
    """Say whether a dataset of this shape has all that a virtual one takes from it."""
    if source.src_space.get_select_type() == h5py.h5s.SEL_ALL:
        return bool(math.prod(shape) == source.vspace.get_select_npoints())
    last = source.src_space.get_select_bounds()[1]
    return len(last) == len(shape) and all(place < size for place, size in zip(last, shape, strict=True))


def _source_shape(
    hdf: h5py.File, node: str, find: Find, folders: tuple[Path, ...], hops: int
) -> tuple[int, ...]:
    source = find(hdf, node)
    if not isinstance(source, h5py.Dataset):
        raise ValueError(f"its source {node!r} is missing")
    if source.external:
        raise ValueError(STANDS_ELSEWHERE)
    if source.is_virtual:
        _check(source, find, folders, hops - 1)
    if source.shape is None:
        raise ValueError(f"its source {node!r} is missing")
    return tuple(source.shape)
