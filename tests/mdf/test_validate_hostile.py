"""Links, storage and damage: whatever the bytes are, the answer is a list of problems."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdf
from mdf.rules.content import _places
from mdf.rules.problem import printable

DATA = "/measurement/data"
GRADIENT = "/acquisition/gradient"


def found(path: Path) -> set[tuple[str, str, str]]:
    return {(problem.rule, problem.severity, problem.path) for problem in mdf.validate(path)}


@pytest.fixture
def changed(made) -> Callable[[Callable[[h5py.File], object]], Path]:
    """Make a file, and change it by a function of the open file."""

    def build(change: Callable[[h5py.File], object]) -> Path:
        path = made({"/tracer/name": np.array(["a"], object)})
        with h5py.File(path, "r+") as hdf:
            change(hdf)
        return path

    return build


def replace(hdf: h5py.File, path: str, value: object) -> None:
    if path in hdf:
        del hdf[path]
    hdf[path] = value


@pytest.mark.parametrize("raw", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\xff" * 500])
def test_no_hdf5(tmp_path, raw):
    path = tmp_path / "a.mdf"
    path.write_bytes(raw)
    assert found(path) == {("F01", "error", "/")}


def test_no_file(tmp_path):
    (missing,) = mdf.validate(tmp_path / "none.mdf")
    (folder,) = mdf.validate(tmp_path)
    assert (missing.rule, missing.message) == ("F01", "there is no such file")
    assert (folder.rule, folder.message) == ("F01", "not a file")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_truncated(made, part):
    path = made({})
    raw = path.read_bytes()
    path.write_bytes(raw[: int(part * len(raw))])
    assert found(path) == {("F01", "error", "/")}


def test_an_external_link_is_not_followed(changed, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["data"] = np.zeros((5, 3, 2, 10), "f4")
    for node in (DATA, "/_own/link"):
        path = changed(lambda hdf, node=node: replace(hdf, node, h5py.ExternalLink("other.h5", "/data")))
        (problem,) = [each for each in mdf.validate(path) if each.path == node and "link" in each.message]
        assert (problem.rule, problem.severity) == ("F01", "error")
        assert "never followed" in problem.message


def test_external_storage_is_not_read(changed, tmp_path):
    (tmp_path / "raw").write_bytes(np.full(27, np.nan).tobytes())

    def change(hdf):
        del hdf[GRADIENT]
        hdf.create_dataset(GRADIENT, (3, 1, 3, 3), "f8", external=[("raw", 0, 216)])

    path = changed(change)
    (problem,) = [each for each in mdf.validate(path) if each.path == GRADIENT]
    assert (problem.rule, problem.severity) == ("F01", "error")
    assert "another file" in problem.message


def test_a_virtual_dataset_needs_its_source(changed, tmp_path):
    def change(hdf):
        del hdf[DATA]
        layout = h5py.VirtualLayout((5, 3, 2, 10), "f4")
        layout[:] = h5py.VirtualSource("source.h5", "x", (5, 3, 2, 10))
        hdf.create_virtual_dataset(DATA, layout)

    path = changed(change)
    assert ("F01", "error", DATA) in found(path)
    with h5py.File(tmp_path / "source.h5", "w") as source:
        source["x"] = np.zeros((5, 3, 2, 10), "f4")
    assert ("F01", "error", DATA) not in found(path)
    assert ("F17", "note", DATA) in found(path)


@pytest.mark.parametrize(
    ("node", "target"), [(DATA, DATA), ("/study", "/nowhere"), ("/study/name", "/acquisition/../study/name")]
)
def test_a_soft_link_that_leads_nowhere(changed, node, target):
    path = changed(lambda hdf: replace(hdf, node, h5py.SoftLink(target)))
    assert ("F01", "error", node) in found(path)


def test_a_soft_link_within_the_file_is_followed(changed):
    def change(hdf):
        hdf["/_own/data"] = hdf[DATA]
        replace(hdf, DATA, h5py.SoftLink("/_own/data"))

    assert {rule for rule, severity, _ in found(changed(change)) if severity == "error"} == set()


@pytest.mark.parametrize("node", ["/study/loop", "/_own/loop"])
def test_a_group_that_contains_itself(changed, node):
    def change(hdf):
        hdf[node] = hdf.require_group(node.rpartition("/")[0])

    problems = [problem for problem in mdf.validate(changed(change)) if "contains itself" in problem.message]
    if node.startswith("/_"):
        assert [(problem.rule, problem.severity) for problem in problems] == [("F01", "error")]
    else:
        assert ("F11", "warning", node) in found(changed(change))


@pytest.mark.parametrize(("node", "value"), [("/study", 1), ("/tracer", 1)])
def test_a_dataset_where_a_group_belongs(changed, node, value):
    problems = found(changed(lambda hdf: replace(hdf, node, value)))
    assert ("F09", "error", node) in problems
    assert ("F04", "error", node) not in problems


def test_a_group_where_a_dataset_belongs(changed):
    for node in (DATA, "/study/name", "/version"):

        def change(hdf, node=node):
            del hdf[node]
            hdf.create_group(node)

        assert ("F09", "error", node) in found(changed(change))


def test_attributes(changed):
    def change(hdf):
        hdf.attrs["a"] = 1
        hdf["/study"].attrs["a"] = 1
        hdf[DATA].attrs["a"] = 1
        hdf["/_own/x"] = 1
        hdf["/_own"].attrs["a"] = 1

    nodes = {
        path for rule, severity, path in found(changed(change)) if (rule, severity) == ("F12", "warning")
    }
    assert nodes == {"/", "/study", DATA}


@pytest.mark.parametrize("options", [{"chunks": True}, {"compression": "gzip"}])
def test_storage_that_julia_cannot_map(changed, options):
    def change(hdf):
        del hdf[DATA]
        hdf.create_dataset(DATA, data=np.zeros((5, 3, 2, 10), "f4"), **options)

    assert ("F17", "note", DATA) in found(changed(change))


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**30), (2**40, 3, 2, 10)])
@pytest.mark.parametrize("chunked", [False, True])
def test_terabytes_that_are_only_declared(changed, shape, chunked):
    chunks = tuple(min(length, 64) for length in shape) if chunked else None

    def change(hdf):
        for node in (DATA, GRADIENT):
            del hdf[node]
            with np.errstate(all="ignore"):
                hdf.create_dataset(node, shape, "f4", chunks=chunks)

    try:
        path = changed(change)
    except (ValueError, OverflowError):
        pytest.skip("this HDF5 does not write such a size")
    problems = found(path)
    assert {("F01", "error", DATA), ("F01", "error", GRADIENT)} <= problems


def test_very_many_texts(changed):
    def change(hdf):
        del hdf["/tracer/name"]
        hdf.create_dataset("/tracer/name", (2**30,), h5py.string_dtype(), chunks=(64,))
        replace(hdf, "/study/name", "x" * 2**25)

    problems = found(changed(change))
    assert {("F01", "error", "/tracer/name"), ("F01", "error", "/study/name")} <= problems


def test_texts_in_a_place_on_which_hdf5_would_run_forever(made):
    path = made({})
    raw = bytearray(path.read_bytes())
    start = raw.index(b"GCOL")
    place, end = start + 16, start + int.from_bytes(raw[start + 8 : start + 16], "little")
    while int.from_bytes(raw[place : place + 2], "little"):  # the free space has the index 0
        place += 16 + (int.from_bytes(raw[place + 8 : place + 16], "little") + 7) // 8 * 8
        assert place < end
    raw[place + 8 : place + 16] = bytes(8)
    path.write_bytes(raw)
    assert ("F01", "error", "/version") in found(path)


def test_a_text_that_claims_to_be_longer_than_the_file(made):
    path = made({})
    with h5py.File(path) as hdf:
        place = hdf["/version"].id.get_offset()
    raw = bytearray(path.read_bytes())
    raw[place : place + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(raw)
    problems = [problem for problem in mdf.validate(path) if problem.path == "/version"]
    assert "longer than the file" in problems[0].message


def test_texts_are_safe_to_show(changed):
    path = changed(lambda hdf: replace(hdf, "/uuid", "\x1b[2J\n\u202e" + "x" * 5000))
    (problem,) = [each for each in mdf.validate(path) if each.path == "/uuid"]
    assert problem.message.isprintable()
    assert len(problem.message) < 700
    assert printable("Prüfung π") == "Prüfung π"


def test_names_are_safe_to_show(changed):
    def change(hdf):
        hdf["/study/\x1b[2J"] = 1
        h5py.h5g.create(hdf.id, b"/study/\xff\xfe")

    problems = [problem for problem in mdf.validate(changed(change)) if problem.rule == "F11"]
    assert len(problems) == 2
    assert all(problem.path.isprintable() and problem.message.isprintable() for problem in problems)


def test_one_thing_over_and_over_is_cut(changed):
    def change(hdf):
        for index in range(200):
            hdf[f"/study/odd{index}"] = 1

    problems = [problem for problem in mdf.validate(changed(change)) if problem.rule == "F11"]
    assert len(problems) == 51
    assert problems[-1].message == "150 more of this kind"


def test_the_native_complex_type(changed):
    if not hasattr(h5py.h5t, "COMPLEX_IEEE_F32LE"):
        pytest.skip("this HDF5 has no native complex type")

    def change(hdf):
        del hdf[DATA]
        space = h5py.h5s.create_simple((5, 3, 2, 10))
        h5py.h5d.create(hdf.id, DATA.encode(), h5py.h5t.COMPLEX_IEEE_F32LE, space)

    assert ("M03", "error", DATA) in found(changed(change))


def test_one_broken_rule_leaves_the_others_their_say(changed, monkeypatch):
    path = changed(lambda hdf: replace(hdf, "/uuid", "x"))

    def fail(*_: object) -> None:
        raise ArithmeticError("odd")

    monkeypatch.setattr("mdf.rules.drivefield.fits_periods", fail)
    problems = mdf.validate(path)
    assert ("F01", "/") in {(problem.rule, problem.path) for problem in problems}
    assert {"F13", "F05"} <= {problem.rule for problem in problems}


@given(shape=st.lists(st.integers(1, 30), min_size=1, max_size=4).map(tuple), most=st.integers(8, 5000))
@settings(max_examples=60, deadline=None)
def test_a_sample_is_bounded_and_reaches_both_ends(shape, most):
    numbers = np.arange(np.prod(shape), dtype="i8").reshape(shape)
    with h5py.File("a", "w", driver="core", backing_store=False) as hdf:
        hdf["x"] = numbers
        read = np.concatenate([hdf["x"][place].reshape(-1) for place in _places(shape, most)])
    assert len(read) <= max(most, 8)
    assert {0, numbers.size - 1} <= set(read.tolist())


def test_version_1(tmp_path):
    path = tmp_path / "v1.mdf"
    with h5py.File(path, "w") as hdf:
        hdf["/version"] = "1.0.5"
        hdf["/uuid"] = "00000000-0000-4000-8000-000000000001"
        hdf["/date"] = "2016-01-01T00:00:00"
        for node in ("/study/name", "/scanner/model", "/acquisition/drivefield/divider"):
            hdf[node] = "x"
        hdf["/acquisition/receiver/bandwidth"] = np.full(2, 1.25e6)
        hdf["/acquisition/receiver/numSamplingPoints"] = 10
        hdf["/measurement/dataFD"] = np.zeros((4, 2, 6, 2))
    assert found(path) == {("F02", "note", "/version")}
    assert "version 1" in mdf.validate(path)[0].message
    faults = [
        ("/acquisition/receiver/bandwidth", None, ("F05", "error")),
        ("/acquisition/receiver/bandwidth", "wide", ("F09", "error")),
        ("/acquisition/receiver/bandwidth", -1.0, ("R01", "error")),
        ("/acquisition/receiver/numSamplingPoints", np.array([10, 12]), ("R01", "error")),
        ("/measurement/dataFD", np.zeros((4, 2, 6, 3)), ("M01", "error")),
        ("/measurement/dataFD", "none", ("M03", "error")),
        ("/measurement/dataFD", np.full((4, 2, 6, 2), np.nan), ("M13", "warning")),
        ("/measurement/dataFD", None, ("F08", "warning")),
        ("/acquisition", None, ("F04", "error")),
        ("/scanner", None, ("F04", "warning")),
        ("/uuid", "x", ("F13", "warning")),
        ("/version", "none", ("F02", "error")),
        ("/_link", h5py.ExternalLink("a", "/b"), ("F01", "error")),
    ]
    raw = path.read_bytes()
    for node, value, expected in faults:
        path.write_bytes(raw)
        with h5py.File(path, "r+") as hdf:
            if node in hdf:
                del hdf[node]
            if value is not None:
                hdf[node] = value
        assert expected in {(rule, severity) for rule, severity, _ in found(path)}, node


@pytest.mark.slow
def test_two_hundred_mutated_files(samples):
    script = Path(__file__).with_name("mutate.py")
    done = subprocess.run(
        [sys.executable, script, "--count", "200", "--seed", "1", "--jobs", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"files": 200' in done.stdout
