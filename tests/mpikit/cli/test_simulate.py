"""``mpikit simulate`` from the command line."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import mdf
from mpikit.cli import app
from mpikit.scan_file import read_scan
from mpikit.simulate.presets import preset_names, preset_text

SMALL = ("openmpi-1d", "-o", "x.mdf")
OUT = ("-o", "x.mdf")


def run(*arguments):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder that the commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_digits(path, count):
    pictures = np.random.default_rng(1).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    path.write_bytes(struct.pack(">4I", 0x803, *pictures.shape) + pictures.tobytes())


def changed(old, new, name="openmpi-1d"):
    text = preset_text(name)
    assert old in text
    return text.replace(old, new)


def test_a_scan_and_its_clean_twin(tmp_path):
    scan, clean = tmp_path / "scan.mdf", tmp_path / "clean.mdf"
    done = run(
        *("openmpi-2d", "-o", scan, "--phantom", "smile", "--frames", 3, "--background-frames", 2),
        *("--noise", "gaussian:snr_db=15", "--noise", "gaussian:sigma=1e-9", "--clean", clean, "--seed", 4),
        *("--grid", "16x12", "--at", "1,-0.5", "--concentration", 0.05),
    )
    assert done.exit_code == 0
    assert "frames 3 + 2 empty" in done.stderr
    assert done.stdout == ""
    with mdf.open(scan) as noisy, mdf.open(clean) as free:
        assert (noisy.num_frames, free.num_frames) == (5, 3)
        assert noisy.acquisition.receiver.unit == "V"
        assert noisy.tracer.concentration[0] == pytest.approx(0.05)
        assert free.user_value("/_truth/_concentrations").shape == (1, 1, 12, 16)


def test_a_calibration(tmp_path):
    path = tmp_path / "sm.mdf"
    done = run("openmpi-2d", "--calibration", "--grid", "5x4x3", "--fov", "10x8x6", "-o", path, "-q")
    assert done.exit_code == 0
    assert done.stderr == ""
    with mdf.open(path) as file:
        assert file.grid.shape == (3, 4, 5)
        np.testing.assert_allclose(file.grid.spacing, 0.002)


def test_digits_of_a_file(folder):
    write_digits(folder / "digits", 3)
    done = run("peng2023", "--mnist", "digits", "--count", 2, "--grid", "31x33", *OUT, "-q")
    assert done.exit_code == 0
    with mdf.open("x.mdf") as file:
        assert (file.num_frames, file.num_periods, file.num_channels, file.num_samples) == (2, 2, 1, 9900)
        assert len(set(file.user_value("/_mpikit/sources").tolist())) == 2
        periods = file.read_signal("foreground", domain="time")
    assert not np.array_equal(periods[:, 0], periods[:, 1])  # with the noise of the preset


@pytest.mark.parametrize(
    ("counts", "names"),
    [("2,1", ["test", "train"]), ("3,1,2", ["test", "train", "validation"])],
)
def test_splits(folder, counts, names):
    write_digits(folder / "digits", 6)
    done = run("peng2023", "--mnist", "digits", "--split", counts, "--grid", "9x9", "-o", "set")
    assert done.exit_code == 0
    assert sorted(path.stem for path in (folder / "set").iterdir()) == names
    seen = []
    for name in names:
        with mdf.open(f"set/{name}.mdf") as file:
            seen.extend(set(file.user_value("/_mpikit/sources").tolist()))
        assert f"wrote set/{name}.mdf" in done.stderr
    assert len(seen) == len(set(seen)) == sum(map(int, counts.split(",")))


def test_param_and_preset_file(folder):
    (folder / "mine.toml").write_text(changed('name = "openmpi-1d"', 'name = "mine"'))
    arguments = (
        "-p",
        "receiver.adc={bits=12, full_scale=1e-5}",
        "-p",
        "frames=2",
        "-p",
        "phantom.name=point",
    )
    assert run("mine.toml", *OUT, *arguments, "--periods", 3, "-q").exit_code == 0
    with mdf.open("x.mdf") as file:
        assert file.study.name == "Simulation mine"
        assert (file.num_frames, file.num_periods) == (2 + 10, 3)
        assert file.measurement.data.dtype == np.int16


def test_patches(folder):
    offsets = "[[0.0, 0.0, 0.0], [0.002, 0.0, 0.0], [0.004, 0.0, 0.0]]"
    arguments = ("-p", f"selection_field.offset={offsets}", "--frames", 2, "--background-frames", 0)
    assert run(*SMALL, *arguments, "-q").exit_code == 0
    scan = read_scan("x.mdf")
    assert scan.signal.shape == (2, 3, 3, 102)
    np.testing.assert_allclose(scan.selection_field.offset[:, 0, 0], [0, 0.002, 0.004])
    assert scan.repeats == "frames"
    assert not np.allclose(scan.signal[0, 0, 0], scan.signal[0, 1, 0], atol=1e-3 * scan.signal.max())


def test_noise_of_the_preset_or_none(folder):
    spec = 'noise = ["gaussian:sigma=1e-5"]\n[scanner]'
    (folder / "mine.toml").write_text(changed("[scanner]", spec))
    assert "signal-to-noise ratio" in run("mine.toml", "-o", "noisy.mdf").stderr
    assert "no noise" in run("mine.toml", "-o", "clean.mdf", "--noise", "none").stderr
    scans = [read_scan(name) for name in ("noisy.mdf", "clean.mdf")]
    assert np.std(scans[0].background) == pytest.approx(1e-5, rel=0.05)
    np.testing.assert_array_equal(scans[1].background, 0)


@pytest.mark.parametrize("name", preset_names())
def test_show_is_a_preset_file(folder, name):
    done = run(name, "--show")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == preset_text(name)
    (folder / "copy.toml").write_text(done.stdout)
    assert run("copy.toml", "--show").stdout == done.stdout
    assert [path.name for path in folder.iterdir()] == ["copy.toml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (SMALL, "would write x.mdf: frames 20 + 10 empty, periods 1, channels 3, samples 102"),
        ((*SMALL, "--calibration", "--grid", "4"), "would write x.mdf: frames 4 + 2 empty"),
        ((*SMALL, "--clean", "y.mdf", "--noise", "gaussian", "--frames", "2"), "frames 2 + 10 empty"),
        (("openmpi-3d", *OUT, "-p", "phantom.name=point"), "channels 3, samples 53856, about 12.9 MB"),
    ],
)
def test_a_dry_run_writes_nothing(folder, arguments, words):
    done = run(*arguments, "--dry-run")
    assert done.exit_code == 0
    assert words in done.stderr
    assert list(folder.iterdir()) == []


def test_force(folder):
    (folder / "x.mdf").write_bytes(b"old")
    assert run(*SMALL, "--frames", 1, "--force", "-q").exit_code == 0
    assert len(read_scan("x.mdf").signal) == 1


def test_the_verb_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "h5py", "torch"}
    code = f"import sys, mpikit.cli.simulate; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
