"""Values of one's own, whose names start with an underscore."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import mdf


def test_they_come_back(tmp_path, contents, signal):
    own = {
        "/_mpikit/history": "[]",
        "/_names": ["ä", "b"],
        "/measurement/_monitoring/temperature": np.arange(3.0),
        "/_flag": True,
        "/_complex": np.complex64(1 + 2j),
    }
    mdf.write(tmp_path / "a.mdf", contents, signal, user=own)
    with mdf.open(tmp_path / "a.mdf") as file:
        for path, value in own.items():
            np.testing.assert_array_equal(file.user_value(path), value)


def test_copies_are_complete_and_the_new_ones_win(tmp_path, contents, signal):
    old = {"/_mpikit/history": "old", "/_truth/_positions": np.ones((2, 3)), "/scanner/_serial": 7,
           "/tracer/_diameters": [1.0]}  # fmt: skip
    tracer = {f"/tracer/{name}": ["a"] for name in ("name", "batch", "vendor", "solute")}
    tracer |= {"/tracer/concentration": [0.1], "/tracer/volume": [1e-6]}
    mdf.write(tmp_path / "a.mdf", contents | tracer, signal, user=old)
    with h5py.File(tmp_path / "a.mdf", "r+") as hdf:
        hdf["/_away"] = h5py.ExternalLink("other.h5", "/")
    with mdf.open(tmp_path / "a.mdf") as source:
        mdf.write(
            tmp_path / "b.mdf", contents, signal, copy_user_from=source, user={"/_mpikit/history": "new"}
        )
    with mdf.open(tmp_path / "b.mdf") as file:
        assert file.user_nodes() == ["/_mpikit", "/_truth", "/scanner/_serial"]
        assert file.user_value("/_mpikit/history") == "new"
        assert file.user_value("/_truth/_positions").shape == (2, 3)
        assert file.tracer is None


@pytest.mark.parametrize("path", ["/mine", "_mine", "/study/mine", "/", "/_a/", "/_a//b", "", "/phantom/_a"])
def test_names_that_are_not_free(tmp_path, contents, signal, path):
    with pytest.raises(mdf.MdfError, match="of your own"):
        mdf.write(tmp_path / "a.mdf", contents, signal, user={path: 1})


@pytest.mark.parametrize("value", [object(), {"a": 1}, [b"bytes"], np.datetime64("2026-01-01")])
def test_values_that_are_neither_text_nor_numbers(tmp_path, contents, signal, value):
    with pytest.raises(mdf.MdfError, match="/_a"):
        mdf.write(tmp_path / "a.mdf", contents, signal, user={"/_a": value})


def test_a_value_below_a_value(tmp_path, contents, signal):
    with pytest.raises(mdf.MdfError, match="cannot be written"):
        mdf.write(tmp_path / "a.mdf", contents, signal, user={"/_a": 1, "/_a/b": 2})
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_gaps_can_be_copied_and_says_what_was_taken(tmp_path, made):
    gaps = ("/study/number", "/experiment/number", "/experiment/isSimulation", "/acquisition/startTime")
    with mdf.open(made(dict.fromkeys(gaps))) as file:
        mdf.write(tmp_path / "copy.mdf", file.contents(), file.read_signal(order="stored"))
        assert {repair.path for repair in file.repairs} == set(gaps)
        made_at = file.time
    with mdf.open(tmp_path / "copy.mdf") as copy:
        assert (copy.study.number, copy.experiment.number, copy.experiment.is_simulation) == (0, 0, False)
        assert copy.acquisition.start_time == made_at


def test_a_start_that_nothing_stands_for_is_missing(tmp_path, made):
    with mdf.open(made({"/acquisition/startTime": None, "/time": None})) as file:
        contents = file.contents()
        signal = file.read_signal(order="stored")
    with pytest.raises(mdf.MdfError, match="startTime"):
        mdf.write(tmp_path / "copy.mdf", contents, signal)
