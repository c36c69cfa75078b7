"""``mpikit noise``: its words, its JSON, its picture, its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mpikit.cli import main
from mpikit.cli.noise import _shortened, _with_error
from mpikit.errors import InputError
from mpikit.noise_report import Fitted
from mpikit.plugins import parse_noise
from mpikit.records import Options
from mpikit.scan import Corrections
from mpikit.scan_file import read_background, read_scan, write_scan
from mpikit.testing import example_scan

ABOUT = {
    **dict.fromkeys(("/study/name", "/study/description", "/experiment/name"), "test"),
    **dict.fromkeys(("/experiment/description", "/experiment/subject", "/scanner/name"), "test"),
    **dict.fromkeys(("/scanner/facility", "/scanner/manufacturer", "/scanner/operator"), "test"),
    "/scanner/topology": "FFP",
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/isSimulation": True,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}
FAULTY = """
from mpikit import NoiseModel, hookimpl

def fail(scan):
    raise ValueError("nothing fits")

@hookimpl
def mpikit_noise_models():
    yield NoiseModel(name="faulty", summary="Fails", build=print, fit=fail)
    yield NoiseModel(name="fixed", summary="Has no fit", build=print)
"""


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command as a shell does: exit code, stdout, stderr."""

    def noise(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", "noise", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return noise


def hum(scan, amplitude=0.5, line=7):
    """Add a phase-locked line to the second channel of the background."""
    samples = scan.background.shape[-1]
    background = scan.background.copy()
    background[..., 1, :] += amplitude * np.cos(2 * np.pi * line * np.arange(samples) / samples)
    return replace(scan, background=background)


@pytest.fixture
def source(tmp_path):
    scan = hum(example_scan(frames=3, periods=2, repeats="both", background_frames=8))
    write_scan(scan, tmp_path / "scan.mdf", contents=ABOUT)
    return tmp_path / "scan.mdf"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_words(run, source, tmp_path):
    code, out, err = run(source, "--model", "gaussian")
    assert (code, err) == (0, f"wrote {tmp_path / 'scan.noise.png'}\n")
    lines = out.splitlines()
    assert lines[:2] == ["file          scan.mdf", "measured from 8 background frames of 2 periods"]
    # two blocks of 8 acquisitions: 2 · 14² / 20
    assert lines[2].startswith("spectrum      19.6 degrees of freedom on each line; median over 5 lines; ")
    heads = [line for line in lines if line.startswith(("channel", "noise at kHz", "correlation"))]
    assert heads[0].startswith("channel   sigma of a sample / V")
    assert "channel 1 / (V/√Hz)" in heads[1]
    assert " ".join(heads[3].split()) == "channel kHz amplitude / V phase / rad drift / % drift / rad"
    assert "phase-locked: 1 of 164 lines (probability of any false one 1 %)" in lines
    assert "drift of channel 0, first to last: no line is locked" in lines
    row = next(line for line in lines if "175.00" in line).split()
    assert row[:2] == ["1", "175.00"]
    assert float(row[2]) == pytest.approx(0.5, abs=0.1)
    assert lines[-1].startswith("--noise gaussian:sigma=")
    parse_noise(lines[-1].removeprefix("--noise "))
    with Image.open(tmp_path / "scan.noise.png") as picture:
        assert picture.format == "PNG"


def with_averages(tmp_path, averages):
    scan = replace(example_scan(periods=2), corrections=Corrections(averages=averages))
    write_scan(scan, tmp_path / "scan.mdf", contents=ABOUT)
    return tmp_path / "scan.mdf"


def test_levels_of_averages_are_called_so(run, tmp_path):
    code, out, _ = run(with_averages(tmp_path, 25), "--model", "gaussian")
    assert code == 0
    assert out.splitlines()[1].endswith("each the mean of 25 averages")
    words, spec = out.split("The models below are of ")[1].split("--noise ")
    assert " ".join(words.split()) == (
        "stored samples, each the mean of 25 averages: simulate with -p receiver.averages=1, or, with as "
        "many averages, multiply the level of random noise by 5; a background that is locked in phase keeps "
        "its own."
    )
    parse_noise(spec.strip())


def test_nothing_is_said_of_averages_without_any(run, tmp_path):
    _, out, _ = run(with_averages(tmp_path, 1), "--model", "gaussian")
    assert "averages" not in out


def test_what_is_cut_is_whole_in_the_json(run, source, tmp_path):
    _, out, _ = run(source, "--model", "coloured")
    shown = out.splitlines()[-1].removeprefix("--noise ")
    assert shown.startswith("coloured:sigma=")
    assert "values (whole with --json)" in shown
    _, out, _ = run(source, "--model", "coloured", "--json", "--force")
    (model,) = json.loads(out)["models"]
    assert model["noise"].startswith(shown.split("...")[0])
    assert len(parse_noise(model["noise"]).drawn_from.options.levels) > 20


def test_lines_with_the_noise_of_those_beside_are_told(run, tmp_path):
    scan = hum(example_scan(frames=1, background_frames=4))
    apart = replace(scan, background_index=np.arange(0, 8, 2), foreground_index=np.array([1]))
    spread = replace(apart, signal=np.repeat(scan.signal, 3, 0), foreground_index=np.array([1, 3, 5]))
    write_scan(spread, tmp_path / "scan.mdf", contents=ABOUT)
    code, out, err = run(tmp_path / "scan.mdf", "--model", "gaussian")
    assert code == 0
    assert "lines that drift (1) have the noise of those beside them" in out.splitlines()[2]
    assert "no two background frames were acquired one after the other" in err
    _, out, _ = run(tmp_path / "scan.mdf", "--json", "--force")
    assert np.argwhere(json.loads(out)["spectrum"]["from_beside"]).tolist() == [[1, 7]]


def test_quiet_writes_the_picture_alone(run, source, tmp_path):
    assert run(source, "-q") == (0, "", "")
    assert names(tmp_path) == ["scan.mdf", "scan.noise.png"]


def test_json_has_everything(run, source, tmp_path):
    code, out, err = run(source, "-q", "--json", "-o", tmp_path / "other.png")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {
        *("file", "picture", "source", "frames", "periods", "samples", "averages", "sampling_rate", "unit"),
        *("channels", "correlation", "correlation_error", "spectrum", "phase_locked", "models"),
    }
    assert found["picture"] == str(tmp_path / "other.png")
    assert (found["frames"], found["periods"], found["samples"]) == (8, 2, 162)
    deviation = read_scan(source).background[..., 0, :].std()
    assert found["channels"][0]["sigma"] == pytest.approx(deviation, rel=0.05)
    assert found["channels"][0]["drift"] is None
    assert set(found["channels"][1]["drift"]) == {
        *("amplitude_change", "phase_change", "change_error", "relative_to_noise"),
    }
    spectrum = found["spectrum"]
    assert spectrum["unit"] == "V/sqrt(Hz)"
    assert np.shape(spectrum["frequency"]) == np.shape(spectrum["freedom"]) == (82,)
    low, level, high = (np.array(spectrum[name]) for name in ("low", "density", "high"))
    assert level.shape == (2, 82)
    assert np.all((low < level) & (level < high))
    assert [line["frequency"] for line in found["phase_locked"]] == [pytest.approx(175e3)]
    gaussian = next(model for model in found["models"] if model["name"] == "gaussian")
    assert parse_noise(gaussian["noise"]).drawn_from.options.model_dump(mode="json") == gaussian["options"]


def test_a_picture_that_exists_is_kept(run, source, tmp_path):
    picture = tmp_path / "scan.noise.png"
    picture.write_text("somebody's")
    code, out, err = run(source)
    assert (code, out) == (3, "")
    assert "scan.noise.png exists already" in err
    assert picture.read_text() == "somebody's"
    assert run(source, "--force", "-q") == (0, "", "")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-o", "noise.pdf"], 2, "the output noise.pdf is no name of a picture"),
        (["-o", "nowhere/noise.png"], 3, "the folder nowhere does not exist"),
        (["--model", "gausian"], 4, "did you mean 'gaussian'?"),
        (["--model", "fixed"], 2, "the noise model 'fixed' cannot be fitted to a scan"),
        (["--modle", "gaussian"], 2, "--modle"),
    ],
)
def test_what_goes_wrong_and_its_exit_code(run, source, installed, monkeypatch, arguments, code, words):
    installed("faulty", FAULTY)
    monkeypatch.chdir(source.parent)
    before = names(source.parent)
    found, out, err = run("scan.mdf", *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert names(source.parent) == before


def test_a_model_that_fails_is_a_warning(run, source, installed):
    installed("faulty", FAULTY)
    code, out, err = run(source, "--model", "faulty", "--model", "gaussian", "-q", "--json")
    assert code == 0
    assert err.startswith("warning: the noise model 'faulty' was not fitted: 'faulty' of faulty 0.1 failed: ")
    faulty, gaussian = json.loads(out)["models"]
    assert set(faulty) == {"name", "error"}
    assert gaussian["noise"].startswith("gaussian:sigma=")


def test_a_file_of_background_frames_alone(run, tmp_path):
    scan = hum(example_scan(frames=1, background_frames=9))
    empty = replace(
        scan,
        signal=scan.signal[:0],
        foreground_index=np.arange(0),
        background_index=np.arange(9),
        repeats="none",
    )
    write_scan(empty, tmp_path / "empty.mdf", contents=ABOUT)
    with pytest.raises(InputError, match="all 9 frames are background frames"):
        read_scan(tmp_path / "empty.mdf")
    back = read_background(tmp_path / "empty.mdf")
    assert back.signal.shape == (0, 1, 2, 162)
    np.testing.assert_array_equal(back.background, empty.background)
    np.testing.assert_array_equal(back.background_index, np.arange(9))
    code, out, _ = run(tmp_path / "empty.mdf", "--json")
    assert code == 0
    assert json.loads(out)["frames"] == 9
    assert len(json.loads(out)["phase_locked"]) == 1


def test_without_background_frames_the_repeats_stand_in(run, tmp_path):
    write_scan(example_scan(frames=12, background_frames=0), tmp_path / "scan.mdf", contents=ABOUT)
    code, out, err = run(tmp_path / "scan.mdf", "--model", "gaussian")
    assert code == 0
    assert out.splitlines()[1] == "measured from 12 repeats"
    assert "phase-locked:" not in out
    assert "--noise gaussian:sigma=" in out
    assert err.startswith("warning: too few background frames: the noise is that of the repeats")


@pytest.mark.parametrize("empty", [0, 1])
def test_without_either_it_says_what_to_do(run, tmp_path, empty):
    scan = example_scan(repeats="none", background_frames=empty)
    write_scan(scan, tmp_path / "scan.mdf", contents=ABOUT)
    code, out, err = run(tmp_path / "scan.mdf")
    assert (code, out) == (3, "")
    assert f"scan.mdf has {empty or 'no'} background frame" in err
    assert " hint: name a file with an empty measurement" in err
    assert names(tmp_path) == ["scan.mdf"]


def test_files_that_are_no_measurement(run, tmp_path):
    (tmp_path / "text.mdf").write_text("text")
    for name in ("text.mdf", "none.mdf"):
        code, out, err = run(tmp_path / name)
        assert (code, out) == (3, "")
        assert err.startswith("error: ")
        assert name in err


class Table(Options):
    """Options with a table."""

    levels: tuple[float, ...] = ()
    order: int = 2


def test_a_table_is_shown_shortened():
    options = Table(levels=tuple(0.5 + np.arange(100)))
    spec = f"table:levels={','.join(map(str, options.levels))},order=2"
    shown = _shortened(Fitted("table", options, spec))
    assert shown.startswith("table:levels=0.5,1.5,2.5,")
    assert shown.endswith("... 100 values (whole with --json),order=2")
    assert len(shown) < 160
    short = Fitted("table", Table(levels=(1.0, 2.0)), "table:levels=1.0,2.0")
    assert _shortened(short) == "table:levels=1.0,2.0"


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (84.69458, 0.01621, "84.695 ± 0.016"),
        (-0.03246, 0.0523, "-0.032 ± 0.052"),
        (634.2, 12.3, "634 ± 12"),
        (0.01794275, 8.8e-7, "0.01794275 ± 8.8e-07"),
        (1.5, 0.0, "1.5 ± 0"),
        (float("nan"), float("nan"), "nan ± nan"),
    ],
)
def test_values_have_the_digits_of_their_errors(value, error, words):
    assert _with_error(value, error) == words


@pytest.mark.parametrize(
    ("name", "frames", "channels", "drifts"),
    [("openmpi3d-small-measurement", 2, 3, 0.068), ("bruker1d-measurement", 5, 3, 0.065)],
)
def test_the_samples(run, samples, tmp_path, name, frames, channels, drifts):
    code, out, _ = run(samples / f"{name}.mdf", "--model", "gaussian", "--json", "-o", tmp_path / "noise.png")
    found = json.loads(out)
    assert (code, found["frames"], len(found["channels"])) == (0, frames, channels)
    for channel in found["channels"]:
        assert channel["drift"]["amplitude_change"] == pytest.approx(drifts, abs=0.008)
        assert channel["drift"]["phase_change"] == pytest.approx(0.03, abs=0.004)
    assert found["phase_locked"][0]["frequency"] == pytest.approx(25e3, rel=0.05)


def test_the_verb_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "h5py", "torch", "matplotlib"}
    code = f"import sys, mpikit.cli.noise; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
