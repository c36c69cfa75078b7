"""``mpikit simulate`` from the command line."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import mdf
from mpikit.cli import app
from mpikit.errors import PluginError, UsageError


def run(*arguments):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_a_scan_and_its_clean_twin(tmp_path):
    scan, clean = tmp_path / "scan.mdf", tmp_path / "clean.mdf"
    done = run(
        *("openmpi-2d", "-o", scan, "--phantom", "smile", "--frames", 3, "--background-frames", 2),
        *("--noise", "gaussian:snr_db=15", "--noise", "gaussian:sigma=1e-9", "--clean", clean, "--seed", 4),
    )
    assert done.exit_code == 0
    assert "frames 3 + 2 empty" in done.stderr
    assert done.stdout == ""
    with mdf.open(scan) as noisy, mdf.open(clean) as free:
        assert (noisy.num_frames, free.num_frames) == (5, 3)
        assert noisy.acquisition.receiver.unit == "V"


def test_a_calibration(tmp_path):
    path = tmp_path / "sm.mdf"
    done = run("openmpi-2d", "--calibration", "--grid", "5x4x3", "--fov", "10x8x6", "-o", path, "-q")
    assert done.exit_code == 0
    assert done.stderr == ""
    with mdf.open(path) as file:
        assert file.grid.shape == (3, 4, 5)
        np.testing.assert_allclose(file.grid.spacing, 0.002)


def test_count_of_phantoms(tmp_path):
    path = tmp_path / "train.mdf"
    assert run("peng2023", "--count", 2, "-o", path, "-q").exit_code == 0
    with mdf.open(path) as file:
        assert (file.num_frames, file.num_periods, file.num_channels, file.num_samples) == (2, 2, 1, 9900)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no preset is named"),
        (["nowhere", "-o", "x.mdf"], "no preset 'nowhere'"),
        (["openmpi-2d"], "no output is named"),
        (["openmpi-2d", "-o", "x.mdf", "--grid", "3x3"], "--grid is for a calibration"),
        (["openmpi-2d", "-o", "x.mdf", "--fov", "3x3"], "--fov is for a calibration"),
        (["openmpi-2d", "-o", "x.mdf", "--count", "3"], "takes no --count"),
        (["peng2023", "-o", "x.mdf", "--frames", "3"], "takes no --frames"),
        (["peng2023", "-o", "x.mdf", "--phantom", "dots", "--count", "3"], "single image"),
        (["openmpi-2d", "-o", "x.mdf", "--phantom", "dotz"], "no phantom 'dotz'"),
        (["openmpi-2d", "-o", "x.mdf", "--calibration", "--clean", "y.mdf"], "--clean says nothing"),
        (["openmpi-2d", "-o", "x.mdf", "--calibration", "--frames", "0"], "--frames says nothing"),
        (["openmpi-2d", "-o", "x.mdf", "--calibration", "--grid", "19"], "--grid is '19'"),
        (["openmpi-2d", "-o", "x.mdf", "--calibration", "--grid", "1.5x2"], "--grid is '1.5x2'"),
        (["openmpi-2d", "-o", "x.mdf", "--calibration", "--fov", "0x2"], "impossible"),
        (["openmpi-2d", "-o", "x.mdf", "--frames", "0"], "make no scan"),
        (["openmpi-2d", "-o", "x.mdf", "--noise", "gaussian:snr=3"], "no option 'snr'"),
    ],
)
def test_wrong_command_lines(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert isinstance(done.exception, UsageError)
    assert words in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_presets_are_listed_when_none_is_named():
    assert run().exception.hint == "choose one of openmpi-2d, peng2023"


def test_unknown_noise(tmp_path):
    done = run("openmpi-2d", "-o", tmp_path / "x.mdf", "--noise", "gausian")
    assert isinstance(done.exception, PluginError)


def test_the_verb_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "h5py", "torch"}
    code = f"import sys, mpikit.cli.simulate; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
