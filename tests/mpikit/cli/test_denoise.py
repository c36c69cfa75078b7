"""``mpikit denoise``: its words, its JSON, its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

import mdf
from mpikit.cli import main
from mpikit.cli.denoise import show_scores
from mpikit.denoise import Denoised
from mpikit.judging import Score
from mpikit.metrics import ReferenceFree
from mpikit.models import load_model
from mpikit.provenance import read_history
from mpikit.scan_file import read_scan, write_scan
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
UNET = ("--method", "unet-gd", "-p", "steps=4", "-p", "features=3", "-p", "evaluate_every=2")


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command as a shell does: exit code, stdout, stderr."""

    def denoise(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", "denoise", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return denoise


@pytest.fixture
def source(tmp_path):
    scan = example_scan(frames=11, periods=2, repeats="both", background_frames=4)
    write_scan(scan, tmp_path / "scan.mdf", contents=ABOUT)
    return tmp_path / "scan.mdf"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_words(run, source, tmp_path):
    code, out, err = run(source, *UNET)
    assert code == 0
    output = tmp_path / "scan.unet-gd.mdf"
    assert err.splitlines()[0] == "repeats: the same signal was measured again in 11 frames of 2 periods"
    assert any(line.startswith("lines above the noise: ") for line in err.splitlines())
    assert "unet-gd 2/4  reference-free SNR in dB " in err
    assert "best of 4 steps: step " in err
    assert err.splitlines()[-2:] == [
        f"wrote {output}",
        f"to see the image: mpikit reconstruct {output} --system-matrix SM.mdf",
    ]
    table = out.splitlines()
    assert table[0].split() == ["signal", "reference-free", "SNR", "standard", "error", "periods", "used"]
    assert [line.split("  ")[0].strip() for line in table[2:5]] == [
        "before (noisy)",
        "after (unet-gd)",
        table[4].split("  ")[0],
    ]
    assert table[4].startswith("best simple (")


def test_what_to_cite_is_said_once(run, source, tmp_path):
    again = tmp_path / "again.mdf"
    again.write_bytes(source.read_bytes())
    for files in ([source], [source, again]):
        code, _, err = run(*files, "-m", "low-rank", "--force")
        assert code == 0
        said = [line for line in err.splitlines() if line.startswith("please cite")]
        assert said == ["please cite https://doi.org/10.1214/17-AOS1601"]
    assert "please cite" not in run(source, "-m", "low-rank", "--force", "-q")[2]


def test_a_power_that_is_no_power_is_no_signal(capsys):
    lost = Score("net", ReferenceFree(0.1, 0.2, -0.5), 1)
    show_scores(result(lost))
    out = capsys.readouterr().out
    assert "inf" not in out
    assert "no signal found" in out.splitlines()[3]


def test_quiet_prints_nothing(run, source):
    assert run(source, "-m", "harmonic", "-q") == (0, "", "")
    assert names(source.parent) == ["scan.harmonic.mdf", "scan.mdf"]


def test_quiet_json_is_data_alone(run, source, tmp_path):
    code, out, err = run(source, "-m", "harmonic", "-q", "--json", "--save-model", tmp_path / "kept")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {"output", "model", "saved_model", "auto", "scores", "no_score"}
    assert found["auto"] is None
    assert found["output"] == str(tmp_path / "scan.harmonic.mdf")
    assert (found["model"], found["saved_model"]) == (None, str(tmp_path / "kept"))
    assert found["no_score"] is None
    assert [score["method"] for score in found["scores"]] == ["noisy", "harmonic", "low-rank", "average"]
    for score in found["scores"]:
        assert set(score) == {
            "method",
            "snr_db",
            "is_lower_bound",
            "mean_squared_error",
            "standard_error",
            "periods_used",
        }
    assert found["scores"][1]["snr_db"] > found["scores"][0]["snr_db"]
    code, out, _ = run(source, "-m", "harmonic", "--json", "--force")
    assert (code, json.loads(out)["saved_model"]) == (0, None)
    code, out, _ = run(source, "--model", tmp_path / "kept", "--json", "--force")
    found = json.loads(out)
    assert (code, found["model"], found["saved_model"]) == (0, str(tmp_path / "kept"), None)


def test_a_seed_and_a_model_give_the_same_signal(run, source, tmp_path):
    model, again = tmp_path / "kept.model", tmp_path / "again.mdf"
    assert run(source, *UNET, "--seed", 3, "--save-model", model, "-q")[0] == 0
    assert run(source, "-m", "unet-gd", "--model", model, "-o", again, "-q") == (0, "", "")
    first = read_scan(tmp_path / "scan.unet-gd.mdf").signal
    np.testing.assert_array_equal(read_scan(again).signal, first)
    other = tmp_path / "other.mdf"
    assert run(source, *UNET, "--seed", 4, "-o", other, "-q")[0] == 0
    assert not np.array_equal(read_scan(other).signal, first)
    code, _, err = run(source, "-m", "harmonic", "--model", model)
    assert code == 3
    assert err.splitlines() == [
        "error: kept.model is a model of 'unet-gd', not of 'harmonic'",
        " hint: say --method unet-gd, or leave --method out",
    ]
    code, _, err = run(source, "-m", "auto", "--model", model)
    assert code == 2
    assert "kept.model is a model of 'unet-gd', so that there is nothing to choose" in err
    code, _, err = run(source, "-m", "unet-gd", "--model", model, "-p", "steps=2", "--force")
    assert code == 3
    assert "leave out --param" in err


def test_without_a_method_auto_chooses(run, source, tmp_path):
    code, out, err = run(source, "--save-model", tmp_path / "kept")
    assert code == 0
    output = tmp_path / "scan.auto.mdf"
    lines = err.splitlines()
    assert any(line.startswith("auto ") and "/" in line for line in err.splitlines())
    chosen = next(line.split()[2].rstrip(":") for line in lines if line.startswith("auto chose "))
    assert any(line.startswith(f"{chosen} ") and " chosen" in line for line in lines)
    assert f"wrote {output}" in lines[-4:-1]
    assert out.splitlines()[3].startswith(f"after ({chosen})")
    assert load_model(tmp_path / "kept")[0].method == chosen
    again = tmp_path / "again.mdf"
    assert run(source, "--model", tmp_path / "kept", "-o", again, "-q") == (0, "", "")
    np.testing.assert_array_equal(read_scan(again).signal, read_scan(output).signal)
    assert run(source, "-m", chosen, "-o", again, "--force", "-q") == (0, "", "")
    np.testing.assert_array_equal(read_scan(again).signal, read_scan(output).signal)


def test_auto_in_json(run, source):
    code, out, err = run(source, "-m", "auto", "-p", "candidates=harmonic,symmetry", "--json", "-q")
    assert (code, err) == (0, "")
    found = json.loads(out)
    about = found["auto"]
    assert about["chosen_by"] == "auto"
    assert about["judged_by"] == "repeats"
    assert {each["method"] for each in about["candidates"]} == {"unchanged", "harmonic", "symmetry"}
    assert found["scores"][1]["method"] == about["method"]
    with mdf.open(found["output"]) as file:
        [record] = read_history(file.user_value("/_mpikit/history"))
    assert record["options"]["method"] == about["method"]
    assert record["auto"] == about


def test_a_dry_run_of_auto_names_the_candidates(run, source):
    code, out, err = run(source, "--repeats", "none", "-p", "candidates=harmonic,unet-gd", "--dry-run")
    assert (code, err) == (0, "")
    planned = json.loads(out)
    assert planned["method"] == "auto"
    assert planned["output"].endswith("scan.auto.mdf")
    assert [each["method"] for each in planned["candidates"]] == ["harmonic", "unet-gd"]
    assert planned["candidates"][0]["lacks"] is None
    assert planned["candidates"][1]["lacks"] == "frames or periods that repeat"
    assert planned["candidates"][0]["options"]["symmetry"] == "fit"
    assert names(source.parent) == ["scan.mdf"]


def test_the_signal_as_it_is_can_be_asked_for_and_its_model_used(run, tmp_path):
    scan = example_scan(frames=11)
    flat = replace(scan, signal=np.broadcast_to(scan.signal[:1], scan.signal.shape).copy())
    write_scan(flat, tmp_path / "flat.mdf", contents=ABOUT)
    code, out, err = run(tmp_path / "flat.mdf", "--save-model", tmp_path / "kept")
    assert (code, out) == (0, "")
    assert "warning: flat.mdf: the repeats show no noise, so that the signal is left as it is" in err
    assert load_model(tmp_path / "kept")[0].method == "unchanged"
    for arguments in (["--model", tmp_path / "kept"], ["-m", "unchanged"]):
        assert run(tmp_path / "flat.mdf", *arguments, "-q") == (0, "", "")
        output = tmp_path / "flat.unchanged.mdf"
        np.testing.assert_allclose(read_scan(output).signal, flat.signal, atol=1e-6)
        output.unlink()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-m", "unet"], 4, "no method is called 'unet'"),
        (["-p", "symmetry=off"], 2, "'symmetry=off' is no option of auto"),
        (["-p", "candidates=harmonics"], 4, "no method is called 'harmonics'"),
        (["-m", "harmonic", "-p", "symetry=off"], 2, "did you mean 'symmetry'?"),
        (["-m", "harmonic", "-p", "symmetry=maybe"], 2, "option 'symmetry' is 'maybe', expected one of"),
        (["-m", "unet-gd", "-p", "steps=0"], 2, "option 'steps' is '0', expected a whole number, at least 1"),
        (["-m", "unet-gd", "-p", "steps"], 2, "expected name=value"),
        (["-m", "unet-gd", "--repeats", "none"], 3, "lacks frames or periods that repeat"),
        (
            ["-m", "unet-gd", "--repeats", "none", "--dry-run"],
            3,
            "methods that would work: background-subtraction, harmonic",
        ),
        (["-m", "unet-gd", "--repeats", "maybe"], 2, "maybe"),
        (["-m", "harmonic", "--device", "tpu"], 2, "no device is called 'tpu'"),
        (["-m", "harmonic", "--seed", "-1"], 2, "--seed"),
        (["-m", "harmonic", "--model", "none.model"], 3, "none.model cannot be read as a model file"),
        (["-m", "harmonic", "-o", "scan.mdf", "--force"], 3, "the output scan.mdf is an input"),
        (["-m", "harmonic", "-o", "taken.mdf"], 3, "taken.mdf exists already"),
        (["-m", "harmonic", "--save-model", "taken.mdf"], 3, "taken.mdf exists already"),
        (["-m", "harmonic", "-o", "nowhere/out.mdf"], 3, "the folder nowhere does not exist"),
        (["-m", "harmonic", "--width", "3"], 2, "--width"),
        (["--model", "a", "--save-model", "b"], 2, "copy the model file, or leave one of the two out"),
    ],
)
def test_what_goes_wrong_and_its_exit_code(run, source, monkeypatch, arguments, code, words):
    monkeypatch.chdir(source.parent)
    (source.parent / "taken.mdf").write_text("somebody's")
    found, out, err = run("scan.mdf", *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert names(source.parent) == ["scan.mdf", "taken.mdf"]
    assert (source.parent / "taken.mdf").read_text() == "somebody's"


def test_force_replaces(run, source, tmp_path):
    (tmp_path / "taken.mdf").write_text("somebody's")
    assert run(source, "-m", "average", "-o", tmp_path / "taken.mdf", "--force", "-q") == (0, "", "")
    with mdf.open(tmp_path / "taken.mdf") as file:
        assert file.num_frames == 15


def test_files_that_are_no_measurement(run, tmp_path):
    (tmp_path / "text.mdf").write_text("text")
    for name in ("text.mdf", "none.mdf"):
        code, out, err = run(tmp_path / name, "-m", "harmonic")
        assert (code, out) == (3, "")
        assert name in err
        assert err.startswith("error: ")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers(run, source, value):
    with h5py.File(source, "r+") as file:
        file["/measurement/data"][4, 1, 0, 17] = value
    code, out, err = run(source, "-m", "harmonic")
    assert (code, out) == (3, "")
    assert "error: scan.mdf: the signal has a value that is no number, first in frame " in err
    assert names(source.parent) == ["scan.mdf"]


def test_divergence_is_5(run, source):
    wild = ("-p", "learning_rate=1e30", "-p", "clip=1e30", "-p", "schedule=constant")
    code, out, err = run(source, *UNET, *wild)
    assert (code, out) == (5, "")
    assert "error: training diverged at step " in err
    assert "learning_rate" in err
    assert names(source.parent) == ["scan.mdf"]


def test_a_dry_run_writes_nothing(run, source, tmp_path):
    code, out, err = run(source, *UNET, "--dry-run", "-o", tmp_path / "out.mdf")
    assert (code, err) == (0, "")
    planned = json.loads(out)
    assert set(planned) == {
        "source",
        "output",
        "method",
        "distribution",
        "options",
        "repeats",
        "shape",
        "background_frames",
        "removes_background",
    }
    assert planned["output"] == str(tmp_path / "out.mdf")
    assert planned["options"]["steps"] == 4
    assert planned["shape"] == {"N": 11, "J": 2, "C": 2, "V": 162}
    assert names(tmp_path) == ["scan.mdf"]


def test_too_few_repeats_for_a_score(run, tmp_path):
    scan = example_scan(frames=3, background_frames=2)
    write_scan(scan, tmp_path / "few.mdf", contents=ABOUT)
    code, out, err = run(tmp_path / "few.mdf", "-m", "average")
    assert (code, out) == (0, "")
    assert "no reference-free score: too few repeats to hold any back as judges" in err
    assert run(tmp_path / "few.mdf", *UNET, "--save-model", tmp_path / "kept")[0] == 0


def test_quiet_still_warns(run, tmp_path):
    """Three repeats leave none for early stopping: a warning is worth a line even then."""
    scan = example_scan(frames=3, background_frames=2)
    write_scan(scan, tmp_path / "few.mdf", contents=ABOUT)
    code, out, err = run(tmp_path / "few.mdf", *UNET, "-q")
    assert (code, out) == (0, "")
    assert err.startswith("warning: too few repeats to keep any back: trained for 4 steps without")
    assert len(err.splitlines()) == 1


def scored(method, error, uncertainty=0.01, periods=1):
    return Score(method, ReferenceFree(error, uncertainty, 1.0), periods)


def result(after, *simple):
    empty = np.zeros((0, 1, 1, 2), np.float32)
    return Denoised(empty, empty, scored("noisy", 0.5), after, simple, True, None)


@pytest.mark.parametrize(
    ("after", "simple", "words"),
    [
        (0.1, scored("box", 0.2), ""),
        (0.1, scored("box", 0.1), ""),
        (0.2, scored("box", 0.1), "net is worse here than the simple method box: 7.0 dB against 10.0 dB"),
        (
            0.11,
            scored("box", 0.1),
            "net is not better here (within two standard errors) than the simple method box: "
            "9.6 dB against 10.0 dB",
        ),
        (
            0.2,
            scored("box", 0.01),
            "net is worse here than the simple method box: 7.0 dB against > 15.2 dB",
        ),
        (
            0.2,
            scored("mean", 0.1, periods=7),
            "net is worse here than the simple method mean, which uses 7 periods for one: "
            "7.0 dB against 10.0 dB",
        ),
    ],
)
def test_a_result_that_is_worse_than_the_simple_one_is_called_so(capsys, after, simple, words):
    show_scores(result(scored("net", after), simple))
    out, err = capsys.readouterr()
    assert err.strip() == words
    assert [line.split("  ")[0] for line in out.splitlines()[2:]] == [
        "before (noisy)",
        "after (net)",
        f"best simple ({simple.method})",
    ]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (scored("net", 0.5), "; net is worse here than the signal as it was: 3.0 dB"),
        (scored("net", 0.0, 0.0), ""),
        (None, ""),
    ],
)
def test_a_signal_without_noise_can_only_lose(capsys, after, words):
    show_scores(replace(result(after), before=scored("noisy", 0.0, 0.0)))
    assert capsys.readouterr().err.strip() == (
        f"the repeats show no noise, so there is nothing to remove{words}"
    )


def test_the_best_simple_method_of_one_period_has_its_own_row(capsys):
    pooled, single = scored("mean", 0.05, periods=7), scored("box", 0.2)
    show_scores(result(scored("net", 0.01, 0.02), pooled, single))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows[0] == ["before", "(noisy)", "3.0", "dB", "0.1", "dB", "1"]
    assert rows[1] == ["after", "(net)", ">", "13.0", "dB", "1"]  # a bound has no standard error
    assert rows[2] == ["best", "simple", "(mean)", "13.0", "dB", "0.9", "dB", "7"]
    assert rows[3] == ["best", "simple", "from", "one", "period", "(box)", "7.0", "dB", "0.2", "dB", "1"]


def test_the_sample_without_repeats(run, samples, tmp_path):
    code, _, err = run(
        samples / "openmpi3d-small-measurement.mdf", "-m", "unet-gd", "-o", tmp_path / "out.mdf"
    )
    assert code == 3
    assert "lacks frames or periods that repeat, which unet-gd needs" in err
    assert "methods that would work: background-subtraction, harmonic" in err
    assert names(tmp_path) == []


def test_the_verb_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "h5py", "torch"}
    code = f"import sys, mpikit.cli.denoise, mpikit.cli.demo; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_simple_method_does_not_load_torch(source):
    code = (
        "import sys; from pathlib import Path; from mpikit.denoise_file import denoise_file; "
        f"denoise_file(Path({str(source)!r}), method='harmonic'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child process")
def test_ctrl_c_while_training_leaves_no_file(source):
    arguments = ["denoise", str(source), "-m", "unet-gd", "-v", "--save-model", str(source.parent / "kept")]
    options = ["-p", "steps=1000000", "-p", "patience=1000000", "-p", "features=3", "-p", "evaluate_every=1"]
    child = subprocess.Popen(
        [sys.executable, "-c", "from mpikit.cli import main; main()", *arguments, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in child.stderr:
        if line.startswith("unet-gd 3/"):
            break
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "error: interrupted; no file was left half written"
    assert "Traceback" not in err
    assert names(source.parent) == ["scan.mdf"]


def test_repeats_are_found_or_said(run, source):
    scan = read_scan(source)
    write_scan(
        replace(scan, repeats="frames"), source.parent / "frames.mdf", contents=ABOUT
    )  # the file says so
    for name, said, words in (
        ("scan.mdf", [], "11 frames of 2 periods"),
        ("frames.mdf", [], "in 11 frames"),
        ("scan.mdf", ["--repeats", "periods"], "in 2 periods of each frame (as asked)"),
    ):
        _, out, err = run(source.parent / name, "-m", "average", "--dry-run", *said)
        assert err == ""
        _, _, err = run(
            source.parent / name, "-m", "average", "--force", "-o", source.parent / "o.mdf", *said
        )
        assert err.splitlines()[0].endswith(words)
        assert json.loads(out)["repeats"] in ("both", "frames", "periods")
