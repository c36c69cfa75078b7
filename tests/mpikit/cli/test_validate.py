from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import mdf
from mpikit.cli import app
from mpikit.errors import InputError


def run(*arguments):
    return CliRunner().invoke(app, ["validate", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.mdf"
    contents = {
        **{f"/study/{name}": "s" for name in ("name", "description")},
        **{f"/experiment/{name}": "e" for name in ("name", "description", "subject")},
        **{f"/scanner/{name}": "x" for name in ("name", "facility", "manufacturer", "operator", "topology")},
        **{f"/tracer/{name}": ["t"] for name in ("name", "batch", "vendor", "solute")},
        "/tracer/concentration": [0.05], "/tracer/volume": [1e-6],
        "/study/number": 1, "/experiment/number": 1, "/experiment/isSimulation": 0,
        "/acquisition/startTime": "2026-03-02T10:15:30",
        "/acquisition/drivefield/baseFrequency": 2.5e6, "/acquisition/drivefield/divider": [[10]],
        "/acquisition/drivefield/strength": [[[0.012]]], "/acquisition/drivefield/phase": [[[0.0]]],
        "/acquisition/receiver/bandwidth": 1.25e6, "/acquisition/receiver/unit": "V",
        "/measurement/isBackgroundFrame": [0, 1],
    }  # fmt: skip
    mdf.write(path, contents, np.zeros((2, 1, 3, 10), np.float32))
    return path


@pytest.fixture
def odd(good, tmp_path):
    """A file with a warning, in which stands what a terminal must not see."""
    path = tmp_path / "odd.mdf"
    path.write_bytes(good.read_bytes())
    with h5py.File(path, "r+") as hdf:
        hdf["/uuid"][()] = "\x1b[2J"
    return path


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.mdf"
    path.write_bytes(b"no HDF5")
    return path


def test_valid(good):
    done = run(good)
    assert done.exit_code == 0
    assert done.stdout == f"{good}: valid\n"
    assert done.stderr == "1 file: 1 valid, 0 with warnings only, 0 with errors\n"


def test_warnings_do_not_fail(odd):
    done = run(odd)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"{odd}: 1 warning"
    assert lines[1].split() == ["severity", "rule", "path", "message"]
    assert lines[3].split()[:3] == ["warning", "F13", "/uuid"]
    assert "\x1b" not in done.output
    assert "0 valid, 1 with warnings only" in done.stderr


def test_several_files_and_an_error(good, odd, bad, tmp_path):
    done = run(good, bad, odd, good, tmp_path / "none.mdf")
    assert done.exit_code == 3
    heads = [line for line in done.stdout.splitlines() if line.startswith(str(tmp_path))]
    verdicts = ["valid", "1 error", "1 warning", "valid", "1 error"]
    assert [line.rpartition(": ")[2] for line in heads] == verdicts
    assert done.stderr == "5 files: 2 valid, 1 with warnings only, 2 with errors\n"


def test_json(good, odd, bad):
    done = run(good, odd, bad, "--json")
    assert done.exit_code == 3
    assert done.stderr == ""
    first, second, third = json.loads(done.stdout)["files"]
    assert first == {
        "file": str(good), "valid": True, "errors": 0, "warnings": 0, "notes": 0, "problems": [],
    }  # fmt: skip
    assert (second["valid"], second["warnings"]) == (False, 1)
    (problem,) = third["problems"]
    assert set(problem) == {"rule", "severity", "path", "found", "expected", "message"}
    assert (problem["rule"], problem["severity"], problem["path"]) == ("F01", "error", "/")


def test_no_file_is_a_mistake():
    assert run().exit_code == 2


def test_of_a_folder_every_mdf_file_is_checked(good, odd, tmp_path):
    folder = tmp_path / "scans"
    (folder / "inner.mdf").mkdir(parents=True)
    for name, source in (("b.MDF", odd), ("a.mdf", good), ("notes.txt", good)):
        (folder / name).write_bytes(source.read_bytes())
    done = run(folder, good, "--json")
    assert done.exit_code == 0
    files = [each["file"] for each in json.loads(done.stdout)["files"]]
    assert files == [str(folder / "a.mdf"), str(folder / "b.MDF"), str(good)]
    with pytest.raises(InputError, match="has no MDF file"):
        run(folder / "inner.mdf")
