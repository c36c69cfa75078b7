"""Values that stand in other files: virtual datasets, external storage, and their copies."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

import mdf

DATA, SHAPE = "/measurement/data", (5, 3, 2, 10)
PLACES = {
    "absolute": "{folder}/secret/other.h5",
    "dots": "../secret/other.h5",
    "through a link to a folder": "link/other.h5",
    "a link to a file": "file.h5",
    "dots behind a folder": "below/../../secret/other.h5",
}


@pytest.fixture
def folder(tmp_path, rng) -> Path:
    """Return the folder of a stranger's file, beside one with other files of the user."""
    for name in ("secret", "theirs", "theirs/below"):
        (tmp_path / name).mkdir()
    values = rng.normal(size=SHAPE).astype("f4")
    for place in ("secret/other.h5", "theirs/beside.h5", "theirs/below/part.h5", "theirs/a%b.h5"):
        with h5py.File(tmp_path / place, "w") as hdf:
            hdf["x"] = values
    (tmp_path / "theirs/link").symlink_to(tmp_path / "secret")
    (tmp_path / "theirs/file.h5").symlink_to(tmp_path / "secret/other.h5")
    return tmp_path / "theirs"


def virtual(hdf: h5py.File, node: str, source: str, name: str = "x") -> None:
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:] = h5py.VirtualSource(source, name, SHAPE)
    if node in hdf:
        del hdf[node]
    hdf.create_virtual_dataset(node, layout)


@pytest.fixture
def stranger(made, folder):
    def make(source: str, node: str = DATA) -> Path:
        path = folder / "scan.mdf"
        path.write_bytes(made({}).read_bytes())
        with h5py.File(path, "r+") as hdf:
            virtual(hdf, node, source)
        return path

    return make


@pytest.mark.parametrize("place", PLACES)
def test_sources_outside_of_the_folder(stranger, folder, place, tmp_path):
    source = PLACES[place].format(folder=tmp_path)
    path = stranger(source)
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match=f"{DATA} .*outside of the folder") as told:
        file.read_signal()
    assert source in str(told.value)
    assert "copy the source beside it" in told.value.hint
    found = [each for each in mdf.validate(path) if each.rule == "F01" and each.path == DATA]
    assert [each.severity for each in found] == ["error"]
    assert "outside of the folder" in found[0].message
    with pytest.raises(mdf.MdfError):
        mdf.convert(path, folder / "out.mdf")
    assert not (folder / "out.mdf").exists()


@pytest.mark.parametrize("source", ["beside.h5", "below/part.h5", "below/../beside.h5", "{folder}/beside.h5"])
@pytest.mark.parametrize("how", ["as it is", "by a link to the file", "relative"])
def test_sources_inside_of_the_folder(stranger, folder, tmp_path, monkeypatch, source, how):
    path = stranger(source.format(folder=folder))
    if how == "by a link to the file":
        away = tmp_path / "away"
        away.mkdir()
        (away / "scan.mdf").symlink_to(path)
        for name in ("beside.h5", "below"):
            (away / name).symlink_to(folder / name)
        path = away / "scan.mdf"
    if how == "relative":
        monkeypatch.chdir(folder)
        path = Path("scan.mdf")
    with mdf.open(path) as file, h5py.File(folder / "beside.h5") as other:
        np.testing.assert_array_equal(file.read_signal(), other["x"][()])
    assert "error" not in {each.severity for each in mdf.validate(path)}


def test_the_source_of_a_source_is_held_to_the_folder_too(stranger, folder):
    path = stranger("below/middle.h5")
    with h5py.File(folder / "below" / "middle.h5", "w") as hdf:
        virtual(hdf, "/x", "../beside.h5")
    with mdf.open(path) as file:
        assert file.read_signal().shape == SHAPE
    with h5py.File(folder / "below" / "middle.h5", "w") as hdf:
        virtual(hdf, "/x", "../../secret/other.h5")
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="outside of the folder"):
        file.read_signal()
    assert any("outside" in each.message for each in mdf.validate(path))


def test_a_shape_does_not_open_the_source(stranger, folder, monkeypatch, tmp_path):
    """HDF5 opens the source of a dataset without an end to know its shape: a pipe would never answer."""
    path = stranger("beside.h5")
    os.mkfifo(tmp_path / "secret" / "pipe")
    with h5py.File(path, "r+") as hdf:
        del hdf["/acquisition/gradient"]
        layout = h5py.VirtualLayout((3, 1, 3, 3), "f8", maxshape=(None, 1, 3, 3))
        source = h5py.VirtualSource(tmp_path / "secret/pipe", "x", (3, 1, 3, 3), maxshape=(None, 1, 3, 3))
        whole = h5py.h5s.UNLIMITED
        layout[:whole] = source[:whole]
        hdf.create_virtual_dataset("/acquisition/gradient", layout)
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="outside of the folder"):
        _ = file.acquisition.gradient
    assert any("outside" in each.message for each in mdf.validate(path))


def test_a_pattern_of_names_is_refused(stranger, folder):
    """HDF5 opens a0.h5, a1.h5, ... in place of the file of that name."""
    path = stranger("beside.h5")
    with h5py.File(path, "r+") as hdf:
        del hdf["/acquisition/gradient"]
        layout = h5py.VirtualLayout((3, 1, 3, 3), "f8", maxshape=(None, 1, 3, 3))
        source = h5py.VirtualSource("a%b.h5", "x", (1, 1, 3, 3))
        layout[0 : h5py.h5s.UNLIMITED : 1] = source
        hdf.create_virtual_dataset("/acquisition/gradient", layout)
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match=r"a%b\.h5"):
        _ = file.acquisition.gradient


class TestCopies:
    """What a conversion takes along of the user's own nodes."""

    @pytest.fixture
    def path(self, made, folder):
        path = folder / "scan.mdf"
        path.write_bytes(made({}).read_bytes())
        with h5py.File(path, "r+") as hdf:
            hdf["/_kept"] = 1
            hdf["/_group/kept"] = np.arange(3)
            hdf["/_group/inner/kept"] = 2
            hdf["/_group/inner/again"] = hdf["/_group"]
            virtual(hdf, "/_virtual", "../secret/other.h5")
            virtual(hdf, "/_group/inner/virtual", "beside.h5")
            for name in ("/_storage", "/_group/storage", "/tracer/_storage"):
                hdf.create_dataset(name, (4,), "f8", external=[(str(folder / "raw"), 0, 32)])
            hdf["/_group/inner/link"] = h5py.ExternalLink("beside.h5", "/x")
            hdf["/_away"] = h5py.ExternalLink("beside.h5", "/x")
            hdf["/_soft"] = h5py.SoftLink("/_kept")
        return path

    def test_what_stands_elsewhere_is_left_out(self, path, folder):
        done = mdf.convert(path, folder / "out.mdf")
        with h5py.File(folder / "out.mdf") as hdf:
            assert {name for name in hdf if name.startswith("_")} == {"_kept", "_group"}
            assert set(hdf["_group"]) == {"kept", "inner"}
            assert set(hdf["_group/inner"]) == {"kept", "again"}
            assert hdf["_group/inner/kept"][()] == 2
        [told] = [remark for remark in done.remarks if "not copied" in remark]
        assert told.endswith(" and 4 more")
        assert "/_away" in told
        assert [*done.remarks] == [*mdf.plan_conversion(path).remarks]
        assert not [each for each in mdf.validate(folder / "out.mdf") if "file" in each.message]

    def test_all_of_them_are_told(self, path):
        with mdf.open(path) as file:
            assert file.user_nodes() == ["/_group", "/_kept"]
            assert sorted(file.left_out()) == [
                *("/_away", "/_group/inner/link", "/_group/inner/virtual", "/_group/storage", "/_storage"),
                *("/_virtual", "/tracer/_storage"),
            ]

    def test_files_without_such_nodes_have_no_remark(self, made):
        assert mdf.plan_conversion(made({"/_kept": 1})).remarks == ()
