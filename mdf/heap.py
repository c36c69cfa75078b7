"""Where HDF5 keeps texts of variable length: damage there makes it run forever, or take all memory."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

_REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
_OBJECT = np.dtype([("index", "<u2"), ("uses", "<u2"), ("reserved", "<u4"), ("size", "<u8")])
_HEADER = 16  # bytes, of a collection and of each object in it
_MOST_TEXTS = 4096


def check_heap(dataset: h5py.Dataset, checked: set[int]) -> None:
    """Refuse texts whose place in the file is damaged so that HDF5 would never come back.

    The library walks from object to object through a collection of texts, and does not notice one that is of
    length 0 (HDF5 2.0, File Format Specification, III.E); it also takes memory for whatever length a text
    claims. Only contiguous datasets can be checked.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of texts of variable length; others are left alone.
    checked : set of int
        Addresses of collections that are known to be good; new ones are added.

    Raises
    ------
    ValueError
        If a collection is damaged.
    """
    kind, offset = dataset.id.get_type(), dataset.id.get_offset()
    if kind.get_class() != h5py.h5t.STRING or not kind.is_variable_str() or offset is None:
        return
    hdf = dataset.file
    if hdf.id.get_create_plist().get_sizes() != (8, 8):
        return
    if not Path(hdf.filename).is_file():
        return  # it was open already when its name was taken away
    with Path(hdf.filename).open("rb") as raw:
        raw.seek(offset)
        found = raw.read(_REFERENCE.itemsize * min(math.prod(dataset.shape), _MOST_TEXTS))
        whole = len(found) // _REFERENCE.itemsize * _REFERENCE.itemsize
        references = np.frombuffer(found[:whole], _REFERENCE)
        if np.any(references["length"] > raw.seek(0, os.SEEK_END)):
            raise ValueError("its text claims to be longer than the file")
        for address in set(references["address"].tolist()) - checked:
            _check_collection(raw, int(hdf.userblock_size) + address)
            checked.add(address)


def _check_collection(raw: BinaryIO, start: int) -> None:
    if start >= 2**62:
        return  # HDF5 sees that this is no place in a file
    raw.seek(start)
    header = raw.read(_HEADER)
    if len(header) < _HEADER or header[:4] != b"GCOL":
        return  # HDF5 sees this too
    place, end = start + _HEADER, start + int.from_bytes(header[8:], "little")
    while place + _HEADER <= end:
        raw.seek(place)
        found = raw.read(_HEADER)
        if len(found) < _HEADER:
            return
        entry = np.frombuffer(found, _OBJECT)[0]
        size = int(entry["size"])
        step = size if entry["index"] == 0 else _HEADER + (size + 7) // 8 * 8
        if step < _HEADER or place + step > end:
            raise ValueError("the place of its text in the file is damaged")
        place += step
