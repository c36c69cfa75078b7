"""``mpikit reconstruct``: its words, its JSON, its refusals."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from mpikit.cli import app
from mpikit.errors import UsageError


def run(*arguments):
    return CliRunner().invoke(app, ["reconstruct", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def pair(samples):
    return (
        samples / "bruker2d-measurement.mdf",
        "--system-matrix",
        samples / "bruker2d-systemmatrix.mdf",
        "--average-frames",
    )


def test_the_last_lines(pair, tmp_path):
    output = tmp_path / "image.mdf"
    done = run(*pair, "-o", output, "--iterations", 3, "--lambda", 0.05, "--background", "static")
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "reconstruct 3/3" in done.stderr
    assert done.stderr.splitlines()[-5:-1] == [
        f"wrote {output}: 1 image",
        f"wrote {tmp_path / 'image.png'}",
        "lambda 0.05 relative, 2.281e+07 absolute",
        "657 rows",
    ]
    # Two of the five dots are equally strong.
    assert re.fullmatch(r"peak 3\d\.\d\d mmol/L at x (-?6), y \1, z 0 mm", done.stderr.splitlines()[-1])


def test_json_has_stable_keys(pair, tmp_path):
    done = run(
        *pair, "-o", tmp_path / "image.mdf", "--json", "-q", "--snr-threshold", 3, "--max-frequency", 5e5
    )
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert set(found) == {
        "output",
        "picture",
        "method",
        "images",
        "unit",
        "mol_per_litre",
        "peak_mm",
        "peak",
        "lambda",
        "rows",
        "repeated",
    }
    assert found["peak_mm"] in ([-6, -6, 0], [6, 6, 0])
    assert found["lambda"]["relative"] == 0.01
    assert found["mol_per_litre"] == 0.1
    assert (found["method"], found["images"], found["unit"]) == ("kaczmarz", 1, "delta sample")


def test_x_space_takes_its_grid(samples, tmp_path):
    source = samples / "bruker2d-measurement.mdf"
    arguments = [source, "--method", "x-space", "-o", tmp_path / "image.mdf", "--average-frames"]
    found = json.loads(run(*arguments, "--grid", "11x13", "--fov", "22x26", "--json", "-q").stdout)
    assert found["lambda"] is None
    assert found["rows"] is None
    assert all(abs(round(length / 2) - length / 2) < 1e-6 for length in found["peak_mm"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--grid", "11x"], "--grid is '11x'"),
        (["--grid", "11x12"], "kaczmarz has no option 'grid'"),
        (["--method", "x-space"], "x-space uses no system matrix"),
        (["--fov", "11x12"], "kaczmarz has no option 'fov'"),
        (["--lambda", "inf"], "'lambda' is inf, expected a number, at least 0"),
        (["-o", "image.png"], "image.png is the name of a picture"),
        (
            ["--background", "mean"],
            "'background' is 'mean', expected one of auto, static, interpolated, dictionary, none",
        ),
    ],
)
def test_options_that_do_nothing_or_make_no_sense(tmp_path, arguments, words):
    with pytest.raises(UsageError) as caught:
        run("scan.mdf", "--system-matrix", "sm.mdf", "-o", tmp_path / "image.mdf", *arguments)
    assert words in str(caught.value)


def test_a_bad_number_is_a_usage_error():
    done = CliRunner().invoke(app, ["reconstruct", "scan.mdf", "--iterations", "0"])
    assert done.exit_code == 2
