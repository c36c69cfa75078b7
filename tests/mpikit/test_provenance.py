"""How a file was made."""

import hashlib
import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.provenance import append_history, hashes, read_history, run_record, sha256

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
records = st.dictionaries(st.text(), plain, max_size=4)


@pytest.mark.parametrize("size", [0, 5, 1 << 20])
def test_sha256(tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    assert sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_sha256_of_nothing(tmp_path):
    (path := tmp_path / "empty").touch()
    assert sha256(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_record(tmp_path):
    first, second = tmp_path / "a.mdf", tmp_path / "b.mdf"
    first.write_bytes(b"a")
    second.write_bytes(b"b")
    record = run_record(
        "denoise", inputs=[first, second], options={"method": "box", "size": 3}, seed=4, scores=[1.5]
    )
    assert record["command"] == "denoise"
    assert record["inputs"] == {"a.mdf": sha256(first), "b.mdf": sha256(second)}
    assert record["options"] == {"method": "box", "size": 3}
    assert (record["seed"], record["scores"]) == (4, [1.5])
    assert {"numpy", "scipy", "h5py", "torch"} == record["packages"].keys()
    assert str(tmp_path) not in json.dumps(record)  # files are shared, folders are private
    at = datetime.fromisoformat(record["at"])
    assert at.utcoffset() == timedelta(0)
    assert abs(datetime.now(at.tzinfo) - at) < timedelta(minutes=5)


def test_the_options_are_a_copy():
    options = {"a": 1}
    record = run_record("simulate", inputs=[], options=options)
    options["a"] = 2
    assert record["options"] == {"a": 1}
    assert record["seed"] is None


@given(st.lists(records, max_size=4))
def test_history_round_trip(steps):
    history = None
    for step in steps:
        history = append_history(history, step)
    assert read_history(history) == steps


@pytest.mark.parametrize("text", [None, "", "no JSON", "{", "5", '"words"', "null", '{"command": "x"}'])
def test_a_text_that_is_no_history_gives_none(text):
    assert read_history(text) == []
    assert read_history(append_history(text, {"command": "y"})) == [{"command": "y"}]


def test_what_is_no_record_is_dropped():
    assert read_history('[1, {"command": "x"}, null]') == [{"command": "x"}]


@given(st.text())
def test_no_text_breaks_the_reader(text):
    assert all(isinstance(record, dict) for record in read_history(text))


def test_files_of_one_name_keep_their_hashes(tmp_path):
    paths = [tmp_path / folder / "scan.mdf" for folder in "abc"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(str(path))
    found = hashes(paths)
    assert list(found) == ["scan.mdf", "scan.mdf (2)", "scan.mdf (3)"]
    assert list(found.values()) == [sha256(path) for path in paths]


def test_a_history_that_is_deeper_than_any_program():
    assert read_history("[" * 100_000) == []
