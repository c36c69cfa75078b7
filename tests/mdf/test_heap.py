"""Where HDF5 keeps its texts: files with other sizes of addresses, and damage to the places of texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import mdf

NAME = "/study/name"
REFERENCE = 16  # bytes of a text's length, address and index
HEADER = 16  # bytes of a collection, and of each object in it


@pytest.fixture
def damaged(made) -> Callable[[Callable[[bytearray, int], None]], Path]:
    """Make a file, and change its bytes by a function of them and of where the study's name stands."""

    def build(change: Callable[[bytearray, int], None]) -> Path:
        path = made({NAME: np.array(["Prüfung"], object)})
        with h5py.File(path) as hdf:
            place = hdf[NAME].id.get_offset()
        raw = bytearray(path.read_bytes())
        change(raw, place)
        path.write_bytes(raw)
        return path

    return build


def number(raw: bytearray, place: int, length: int = 8) -> int:
    return int.from_bytes(raw[place : place + length], "little")


def put(raw: bytearray, place: int, value: int, length: int = 8) -> None:
    raw[place : place + length] = value.to_bytes(length, "little")


def check_found_and_refused(path: Path) -> None:
    """The study's name is a problem to `validate` and an error to the reader; the rest can be read."""
    problems = {(problem.rule, problem.severity, problem.path) for problem in mdf.validate(path)}
    assert ("F01", "error", NAME) in problems
    with mdf.open(path) as file:
        with pytest.raises(mdf.MdfError, match=f"{NAME} cannot be read"):
            _ = file.study.name
        assert file.acquisition.gradient.shape == (3, 1, 3, 3)


def test_files_with_short_addresses(by_hand, tmp_path):
    """A writer may choose 4 bytes for lengths and addresses: such a text is read, and nothing is found."""
    source = by_hand(tmp_path / "wide.mdf", {})
    created = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    created.set_sizes(4, 4)
    path = tmp_path / "short.mdf"
    with (
        h5py.File(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, created)) as short,
        h5py.File(source) as wide,
    ):
        for name in wide:
            wide.copy(name, short)
    with mdf.open(path) as file:
        assert file.study.name == "Prüfung"
        assert file.repairs == ()
    assert mdf.validate(path) == mdf.validate(source)


@pytest.mark.parametrize("address", [2**62, 2**64 - 1])
def test_an_address_that_no_file_has(damaged, address):
    check_found_and_refused(damaged(lambda raw, place: put(raw, place + 4, address)))


def test_an_address_where_no_texts_are(damaged):
    check_found_and_refused(damaged(lambda raw, place: put(raw, place + 4, place)))


def test_an_address_behind_the_end_of_the_file(damaged):
    check_found_and_refused(damaged(lambda raw, place: put(raw, place + 4, len(raw) + 8)))


def test_a_collection_that_goes_on_behind_the_end_of_the_file(damaged):
    def change(raw: bytearray, place: int) -> None:
        start = number(raw, place + 4)
        end = start + number(raw, start + 8)
        put(raw, start + 8, 2**20)
        entry = start + HEADER
        while number(raw, entry, 2):  # the free space has the index 0
            entry += HEADER + (number(raw, entry + 8) + 7) // 8 * 8
            assert entry < end
        put(raw, entry + 8, 2**19)  # beyond the file, within what the collection claims
        assert len(raw) < entry + 2**19

    path = damaged(change)
    problems = {(problem.rule, problem.severity, problem.path) for problem in mdf.validate(path)}
    assert ("F01", "error", NAME) in problems
    with pytest.raises(mdf.MdfError, match="/version cannot be read"):
        mdf.open(path)
