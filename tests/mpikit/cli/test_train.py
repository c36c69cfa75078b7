"""``mpikit train``: its words, its JSON, its exit codes, Ctrl-C and going on."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest

from mpikit.cli import main
from mpikit.models import load_model
from mpikit.plugins import registry
from mpikit.scan_file import write_scan
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


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command as a shell does: exit code, stdout, stderr."""

    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return command


@pytest.fixture
def work(tmp_path, learner, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    for name, seed in (("a.mdf", 3), ("b.mdf", 4)):
        write_scan(example_scan(frames=12, seed=seed), folder / name, contents=ABOUT)
    monkeypatch.chdir(folder)
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_words(run, work):
    code, out, err = run("train", "-m", "learner", "a.mdf", "b.mdf", "-o", "m.safetensors")
    assert code == 0
    lines = err.splitlines()
    assert lines[0] == "repeats of a.mdf: the same signal was measured again in 12 frames"
    assert any(line.startswith("learner 6/6  loss ") for line in lines)
    assert lines[-6:] == [
        "wrote m.safetensors",
        "wrote m.log.jsonl",
        "wrote m.log.csv",
        "wrote m.png",
        "please cite https://doi.org/10.1000/learner",
        "to use it: mpikit denoise --model m.safetensors scan.mdf",
    ]
    rows = [line.split("  ")[0].strip() for line in out.splitlines()[2:]]
    assert rows[:2] == ["before (noisy)", "after (learner)"]


def test_json_is_data_alone(run, work):
    code, out, err = run("train", "-m", "harmonic", ".", "-o", "m.safetensors", "--json", "-q")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {"model", "log", "picture", "scores", "noise", "signal"}
    assert (found["model"], found["picture"]) == ("m.safetensors", None)
    assert found["log"] == ["m.log.jsonl", "m.log.csv"]
    assert [score["method"] for score in found["scores"]] == ["noisy", "harmonic", "low-rank", "average"]
    assert found["signal"] == {"channels": 2, "samples": 162, "sampling_rate": 4050000.0, "unit": "V"}
    assert len(found["noise"]["sigma"]) == 2


def test_a_dry_run_writes_nothing(run, work):
    code, out, err = run("train", "-m", "learner", ".", "-o", "m", "-p", "steps=9", "--dry-run")
    assert (code, err) == (0, "")
    planned = json.loads(out)
    assert planned["sources"] == ["a.mdf", "b.mdf"]
    assert planned["options"]["steps"] == 9
    assert names(work) == ["a.mdf", "b.mdf"]


def test_ctrl_c_keeps_the_checkpoint_and_says_how_to_go_on(run, work):
    """The command that it names is run: the model is that of a training without an interruption."""
    begun = [
        "train",
        "-m",
        "learner",
        "a.mdf",
        "b.mdf",
        "-o",
        "my model",
        "--seed",
        "5",
        "-p",
        "stop_after=3",
    ]
    code, out, err = run(*begun)
    assert (code, out) == (130, "")
    assert "Traceback" not in err
    *_, kept, again, last = err.splitlines()
    assert kept == "the training so far is kept in my model.checkpoint; to go on:"
    assert last == "error: interrupted; no file was left half written"
    assert names(work) == ["a.mdf", "b.mdf", "my model.checkpoint", "my model.log.csv", "my model.log.jsonl"]
    assert shlex.split(again) == ["mpikit", *begun, "--resume"]
    code, _, err = run(*begun)
    assert code == 3
    assert "--resume goes on from it, --force starts anew" in err
    code, _, err = run(*shlex.split(again)[1:])
    assert code == 0
    assert "learner 4/6" in err
    assert "learner 3/6" not in err
    assert run(*begun[:-2], "-o", "whole", "-p", "stop_after=0", "-q") == (0, "", "")
    one, other = (load_model(work / name)[1]["gain"] for name in ("my model", "whole"))
    assert (one == other).all()
    assert "my model.checkpoint" not in names(work)


def test_a_second_interruption_names_the_same_command(run, work, monkeypatch):
    arguments = ["train", "-m", "learner", "a.mdf", "-o", "m", "-p", "stop_after=3"]
    assert run(*arguments)[0] == 130

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mpikit.train.fit_scans", interrupt)
    code, _, err = run(*arguments, "--resume")
    assert code == 130
    assert err.splitlines()[-2] == f"  mpikit {shlex.join(arguments)} --resume"
    assert "m.checkpoint" in names(work)


def test_ctrl_c_before_the_first_checkpoint(run, work):
    code, _, err = run(
        "train", "-m", "learner", "a.mdf", "-o", "m", "-p", "stop_after=1", "-p", "save_every=5"
    )
    assert code == 130
    assert "before its first checkpoint: it has to start anew" in err
    assert names(work) == ["a.mdf", "b.mdf"]


def test_ctrl_c_before_the_first_checkpoint_beside_an_older_one(run, work):
    begun = ["train", "-m", "learner", "a.mdf", "-o", "m"]
    assert run(*begun, "-p", "stop_after=3")[0] == 130
    kept = (work / "m.checkpoint").read_bytes()
    code, _, err = run(*begun, "-p", "stop_after=1", "-p", "save_every=5", "--force")
    assert code == 130
    assert "before its first checkpoint: it has to start anew" in err
    assert (work / "m.checkpoint").read_bytes() == kept
    assert run(*begun, "-p", "stop_after=3", "--resume", "-q")[0] == 0


def test_a_full_disk_in_the_middle(run, work):
    """No checkpoint can be written, which is warned of, and no model in the end: an error, no traceback."""
    resource = pytest.importorskip("resource", reason="no limit on the size of a file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, limits[1]))
    try:
        code, out, err = run("train", "-m", "learner", "a.mdf", "-o", "m")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (code, out) == (3, "")
    assert err.count("warning: the checkpoint m.checkpoint cannot be written") == 1
    assert "error: m cannot be written" in err
    assert "make room on the disk" in err
    assert "Traceback" not in err
    assert names(work) == ["a.mdf", "b.mdf"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a.mdf", "-o", "m"], 2, "which method? expected --method NAME"),
        (["a.mdf", "-m", "learner"], 2, "mpikit train --method learner scan.mdf -o learner.safetensors"),
        (["-m", "learner", "-o", "m"], 2, "FILE"),
        (["a.mdf", "-m", "lerner", "-o", "m"], 4, "no method is called 'lerner'"),
        (["a.mdf", "-m", "auto", "-o", "m"], 2, "mpikit compare scan.mdf shows which is best"),
        (["a.mdf", "-m", "learner", "-o", "m", "-p", "steps=0"], 2, "expected a whole number, at least 1"),
        (
            ["a.mdf", "-m", "learner", "-o", "m", "--repeats", "none"],
            3,
            "methods that would work: background-subtraction, harmonic",
        ),
        (["a.mdf", "-m", "learner", "-o", "m", "--resume"], 3, "there is no checkpoint m.checkpoint"),
        (["a.mdf", "-m", "learner", "-o", "m", "--device", "tpu"], 2, "no device is called 'tpu'"),
        (["a.mdf", "-m", "learner", "-o", "b.mdf"], 3, "b.mdf exists already"),
        (["gone.mdf", "-m", "learner", "-o", "m"], 3, "gone.mdf"),
        (["a.mdf", "-m", "learner", "-o", ""], 2, "the output '.' names no file"),
        (["a.mdf", "-m", "learner", "-o", "."], 2, "the output '.' names no file"),
        (["a.mdf", "-m", "learner", "-o", "/", "--dry-run"], 2, "the output '/' names no file"),
        (["a.mdf", "-m", "learner", "-o", ".."], 3, "the output .. is a folder"),
        (["a.mdf", "-m", "unchanged", "-o", "m"], 2, "unchanged leaves the signal as it is"),
    ],
)
def test_what_goes_wrong_and_its_exit_code(run, work, arguments, code, words):
    found, out, err = run("train", *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert names(work) == ["a.mdf", "b.mdf"]


def test_without_a_method_they_are_listed(run, work):
    err = run("train", "a.mdf", "-o", "m")[2]
    assert f"there are {', '.join(sorted(registry().denoisers))}" in err


def test_the_verb_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "h5py", "torch"}
    code = f"import sys, mpikit.cli.train, mpikit.cli.compare; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"
