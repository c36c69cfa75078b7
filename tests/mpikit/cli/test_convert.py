"""``mpikit convert`` from the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import mdf
from mpikit.cli import app
from mpikit.errors import InputError, UsageError
from mpikit.provenance import HISTORY, read_history
from mpikit.scan_file import EMPTY_LINES, STORED_LINES, read_scan


def run(*arguments):
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    """A simulated calibration of 5 x 4 x 3 positions."""
    path = tmp_path_factory.mktemp("matrix") / "matrix.mdf"
    arguments = [
        "simulate",
        "openmpi-2d",
        "--calibration",
        "--grid",
        "5x4x3",
        "--fov",
        "10x8x6",
        "-o",
        path,
        "-q",
    ]
    assert CliRunner().invoke(app, [*map(str, arguments)]).exit_code == 0
    return path


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A simulated scan of 6 frames and 2 empty ones."""
    path = tmp_path_factory.mktemp("scan") / "scan.mdf"
    arguments = ["simulate", "openmpi-2d", "--frames", 6, "--background-frames", 2, "-o", path, "-q"]
    assert CliRunner().invoke(app, [*map(str, arguments)]).exit_code == 0
    return path


def test_every_option_of_a_scan(tmp_path, scan):
    output = tmp_path / "b.mdf"
    done = run(
        *(scan, "-o", output, "--domain", "frequency", "--order", "acquisition", "--frames", "foreground"),
        *("--channels", "1", "--band", "80:625", "--average-frames", 3, "--fast-frame-axis"),
        *("--compression", "lzf"),
    )
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "warning: the data are compressed: Julia readers" in done.stderr
    assert "time to frequency domain" in done.stderr
    assert "wrote" in done.stderr
    with mdf.open(scan) as before, mdf.open(output) as after:
        assert after.num_frames == 2
        assert after.measurement.is_fast_frame_axis
        known = np.arange(before.num_samples // 2 + 1) * before.sampling_rate / before.num_samples
        chosen = (known >= 80e3) & (known <= 625e3)
        np.testing.assert_array_equal(after.stored_lines, chosen)
        signal = before.read_signal("foreground", domain="frequency", channels=[1])[..., chosen]
        mean = signal.astype(complex).reshape(2, 3, *signal.shape[1:]).mean(axis=1)
        np.testing.assert_allclose(after.read_signal(), mean, rtol=1e-6)


def test_every_option_of_a_calibration(tmp_path, matrix):
    first, second = tmp_path / "b.mdf", tmp_path / "c.mdf"
    done = run(
        matrix, "-o", first, "--snr-threshold", 3, "--best", 30, "--sparsity", "DCT-IV", "--kept", "50%", "-q"
    )
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    with mdf.open(first) as file:
        assert file.measurement.is_sparsity_transformed
        assert file.value("/measurement/subsamplingIndices").shape[-1] == 30
        assert len(file.frequencies) == 30
    assert (
        run(first, "-o", second, "--sparsity", "none", "--no-fast-frame-axis", "--order", "grid").exit_code
        == 0
    )
    with mdf.open(second) as file:
        assert not file.measurement.is_sparsity_transformed
        assert not file.measurement.is_fast_frame_axis


def test_the_history_and_json(tmp_path, scan):
    output = tmp_path / "b.mdf"
    done = run(scan, "-o", output, "--frames", "0:4", "--json")
    shown = json.loads(done.stdout)
    assert shown["written"] is True
    assert shown["steps"] == ["4 of 8 frames"]
    assert shown["shape"][0] == 4
    with mdf.open(scan) as before, mdf.open(output) as after:
        records = read_history(after.user_value(HISTORY))
        assert records[:-1] == read_history(before.user_value(HISTORY))
        assert records[-1]["command"] == "convert"
        assert records[-1]["steps"] == shown["steps"]
        assert records[-1]["options"] == {"frames": [0, 4, None]}


def test_a_dry_run(tmp_path, scan):
    output = tmp_path / "b.mdf"
    done = run(scan, "-o", output, "--domain", "frequency", "--dry-run")
    assert "would write" in done.stderr
    assert "time to frequency domain" in done.stderr
    assert json.loads(run(scan, "-o", output, "--dry-run", "--json").stdout)["written"] is False
    assert list(tmp_path.iterdir()) == []


def test_overwriting(tmp_path, scan):
    output = tmp_path / "b.mdf"
    output.write_bytes(b"old")
    refused = run(scan, "-o", output)
    assert isinstance(refused.exception, InputError)
    assert output.read_bytes() == b"old"
    assert run(scan, "-o", output, "--force").exit_code == 0
    assert isinstance(run(output, "-o", output, "--force").exception, InputError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frames", "first"], "--frames is 'first'"),
        (["--frames", "1:2:0"], "--frames is '1:2:0'"),
        (["--channels", "x"], "--channels is 'x'"),
        (["--band", "80"], "--band is '80'"),
        (["--band", "a:b"], "--band is 'a:b'"),
        (["--kept", "many"], "--kept is 'many'"),
        (["--kept", "10%"], "sparsity transformation only"),
        (["--compression", "12"], "--compression is '12'"),
        (["--compression", "zip"], "--compression is 'zip'"),
        (["--best", "3"], "it is no calibration"),
        (["--order", "grid"], "no calibration"),
        (["--average-frames", "3"], "no blocks of 3"),
    ],
)
def test_what_makes_no_sense(tmp_path, scan, arguments, message):
    done = run(scan, "-o", tmp_path / "b.mdf", *arguments)
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_no_output_and_no_input(tmp_path, scan):
    assert isinstance(run(scan).exception, UsageError)
    assert isinstance(run(tmp_path / "none.mdf", "-o", tmp_path / "b.mdf").exception, InputError)


def test_what_we_know_of_components_stays(tmp_path, scan):
    """Time data of selected spectra say which lines are real; emptied lines follow the channels."""
    some, timed, one = (tmp_path / f"{name}.mdf" for name in "abc")
    assert run(scan, "-o", some, "--band", "80:").exit_code == 0
    assert run(some, "-o", timed, "--domain", "time").exit_code == 0
    with mdf.open(some) as file:
        lines, contents, signal = file.stored_lines, file.contents(), file.read_signal()
    np.testing.assert_array_equal(read_scan(timed).stored_lines, lines)
    with mdf.open(timed) as file:
        assert file.user_value(STORED_LINES).sum() == lines.sum()
    empty = np.zeros((signal.shape[2], len(lines)), np.int8)
    empty[1, 3] = 1
    mdf.write(tmp_path / "e.mdf", contents, signal, user={EMPTY_LINES: empty})
    assert run(tmp_path / "e.mdf", "-o", one, "--channels", "1").exit_code == 0
    with mdf.open(one) as file:
        np.testing.assert_array_equal(file.user_value(EMPTY_LINES), empty[[1]])


def test_exit_codes(tmp_path, scan):
    def code(*arguments):
        command = [
            sys.executable,
            "-c",
            "from mpikit.cli import main; main()",
            "convert",
            *map(str, arguments),
        ]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert code(scan, "-o", tmp_path / "b.mdf", "-q") == 0
    assert code(scan, "-o", tmp_path / "c.mdf", "--domain", "time", "--band", "80:") == 2
    assert code(scan, "-o", tmp_path / "b.mdf") == 3


def test_a_file_without_a_signal(tmp_path, scan):
    images = tmp_path / "images.mdf"
    with mdf.open(scan) as file:
        told = {path: value for path, value in file.contents().items() if not path.startswith("/measurement")}
    mdf.write(images, told | {"/reconstruction/data": np.ones((2, 6, 1))})
    result = run(images, "-o", tmp_path / "copy.mdf")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1].endswith("copy.mdf: no signal in it")
    with mdf.open(tmp_path / "copy.mdf") as copy:
        assert copy.reconstruction.data.shape == (2, 6, 1)


def test_a_folder_is_no_input(tmp_path):
    result = run(tmp_path, "-o", tmp_path / "b.mdf")
    assert isinstance(result.exception, mdf.MdfError)
    assert "it is a folder" in str(result.exception)
