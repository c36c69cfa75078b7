"""The files behind the virtual datasets of a file are known before anything is read."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from mdf.virtual import sources_of


def write_virtual(path, sources, node="/measurement/data", inside="data"):
    """Write a dataset (n, 3) of one row of each source."""
    layout = h5py.VirtualLayout((len(sources), 3), "f4")
    for row, source in enumerate(sources):
        layout[row] = h5py.VirtualSource(source, inside, (3,), "f4")
    with h5py.File(path, "a") as hdf:
        hdf.create_virtual_dataset(node, layout)


def write_plain(path):
    with h5py.File(path, "w") as hdf:
        hdf["data"] = np.arange(3, dtype="f4")


def test_all_sources_each_once(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("b.h5", "below/c.h5"):
        write_plain(tmp_path / name)
    path = tmp_path / "v.mdf"
    write_virtual(path, ["b.h5", "below/c.h5", "b.h5", "absent.h5"])
    write_virtual(path, [".", str(tmp_path / "d.h5")], node="/calibration/snr")
    expected = [tmp_path / name for name in ("b.h5", "below/c.h5", "absent.h5", "d.h5")]
    assert sorted(sources_of(path)) == sorted(expected)


def test_a_relative_name_of_the_file(tmp_path, monkeypatch):
    write_virtual(tmp_path / "v.mdf", ["b.h5"])
    monkeypatch.chdir(tmp_path)
    (found,) = sources_of(type(tmp_path)("v.mdf"))
    assert found == tmp_path / "b.h5"


def test_the_source_of_a_source(tmp_path):
    write_plain(tmp_path / "c.h5")
    write_virtual(tmp_path / "b.h5", ["c.h5"])
    write_virtual(tmp_path / "a.mdf", ["b.h5"])
    assert sources_of(tmp_path / "a.mdf") == [tmp_path / "b.h5", tmp_path / "c.h5"]


def test_a_file_of_itself_ends(tmp_path):
    write_virtual(tmp_path / "a.mdf", ["b.h5"])
    write_virtual(tmp_path / "b.h5", ["a.mdf"])
    assert set(sources_of(tmp_path / "a.mdf")) == {tmp_path / "a.mdf", tmp_path / "b.h5"}


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_hdf5_has_none(tmp_path, content):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    assert sources_of(path) == []
    assert sources_of(tmp_path) == []


def test_links_to_other_files_are_not_followed(tmp_path):
    write_virtual(tmp_path / "b.h5", ["c.h5"])
    with h5py.File(tmp_path / "a.mdf", "w") as hdf:
        hdf["measurement/data"] = h5py.ExternalLink("b.h5", "/measurement/data")
    write_virtual(tmp_path / "a.mdf", ["d.h5"], node="/measurement/other")
    assert sources_of(tmp_path / "a.mdf") == [tmp_path / "d.h5"]
