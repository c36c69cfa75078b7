"""``mpikit reconstruct``: its words, its JSON, its refusals."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

import mdf
from mpikit.cli import app
from mpikit.errors import InputError, NumericalError, UsageError


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
        "tracers",
        "lambda",
        "rows",
        "repeated",
        "uncertainty",
        "uncertainty_picture",
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
        (["--min-speed", "0.2"], "kaczmarz has no option 'min-speed'"),
        (["--method", "x-space"], "x-space uses no system matrix"),
        (["--method", "fbp", "--fov", "11x12"], "fbp has no option 'fov'"),
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


@pytest.mark.parametrize("grid", [["-p", "grid=11x13"], ["-p", "grid=11,13"]])
@pytest.mark.parametrize("fov", ["--fov 22x26", "-p fov=0.022x0.026", "-p field-of-view=0.022,0.026"])
def test_sizes_by_param(samples, tmp_path, grid, fov):
    arguments = [samples / "bruker2d-measurement.mdf", "--method", "x-space", "-o", tmp_path / "image.npz"]
    run(*arguments, "--average-frames", *grid, *fov.split(), "-q")
    with np.load(tmp_path / "image.npz") as arrays:
        assert arrays["images"].shape == (1, 1, 13, 11)
        np.testing.assert_allclose(arrays["field_of_view"][:2], [0.022, 0.026])


def test_a_size_that_is_none_shows_an_example():
    for option, words in (("grid=8x", "'grid' is"), ("fov=30x30", "'fov' is")):
        with pytest.raises(UsageError) as caught:
            run("scan.mdf", "--method", "x-space", "-p", option)
        assert words in str(caught.value)
        assert "for instance" in caught.value.hint


def test_the_uncertainty_is_said_and_drawn(pair, tmp_path):
    done = run(*pair, "-o", tmp_path / "image.nii.gz", "--iterations", 2, "--uncertainty", "--json")
    found = json.loads(done.stdout)
    assert found["uncertainty"] == "bootstrap"
    assert found["uncertainty_picture"] == str(tmp_path / "image.nii.gz.uncertainty.png")
    assert "standard deviation: bootstrap over 20 frames, 200 resamples; one map" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        "image.nii.gz",
        "image.nii.gz.png",
        "image.uncertainty.nii.gz",
        "image.nii.gz.uncertainty.png",
    }
    with pytest.raises(UsageError, match="x-space has no option 'uncertainty'"):
        run(pair[0], "--method", "x-space", "--uncertainty")
    with pytest.raises(UsageError, match="said twice"):
        run(*pair, "--uncertainty", "-p", "uncertainty=drawn")


def test_a_repeat_with_other_images_ends_with_an_error(pair, tmp_path, monkeypatch):
    made = tmp_path / "image.npz"
    run(*pair, "-o", made, "--iterations", 1, "-q")
    again = [pair[0].parent, "--rerun", made, "-o", tmp_path / "again.npz", "--json", "-q"]
    assert json.loads(run(*again).stdout)["repeated"] is True
    monkeypatch.setattr("mpikit.reconstruct.rerun.images_digest", lambda images: f"{images.unit}")
    done = CliRunner().invoke(app, ["reconstruct", *map(str, again), "--force"])
    assert json.loads(done.stdout)["repeated"] is False
    assert isinstance(done.exception, NumericalError)
    assert done.exception.exit_code == 5
    assert "is not repeated" in str(done.exception)
    assert "compare them" in done.exception.hint
    assert (tmp_path / "again.npz").exists()


def test_x_space_hints_at_nothing_that_it_lacks(samples, tmp_path):
    source = samples / "multipatch-measurement.mdf"
    with mdf.open(source) as file:
        contents = {k: v for k, v in file.contents().items() if k not in {"/version", "/uuid", "/time"}}
        data = file.read_signal("foreground", "stored")
    contents["/experiment/isSimulation"] = False
    contents["/measurement/isBackgroundFrame"] = np.zeros(len(data), bool)
    contents["/acquisition/numFrames"] = len(data)
    mdf.write(tmp_path / "scan.mdf", contents, data)
    with pytest.raises(InputError, match="has no background frames") as caught:
        run(tmp_path / "scan.mdf", "--method", "x-space", "--background", "static")
    assert "--background none" in caught.value.hint
    assert "--background-file" not in caught.value.hint
    assert "--min-frequency" not in caught.value.hint
