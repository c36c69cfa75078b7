"""``mpikit denoise`` with several files and folders, and with a model that brings its method."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mpikit.cli import main
from mpikit.models import Card, load_model, save_model
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
def work(tmp_path, monkeypatch):
    for name, seed in (("a.mdf", 3), ("b.mdf", 4)):
        write_scan(example_scan(frames=12, seed=seed), tmp_path / name, contents=ABOUT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_several_files_into_a_folder(run, work):
    code, out, err = run("-m", "harmonic", "a.mdf", "b.mdf", "-o", "out")
    assert code == 0
    assert names(work / "out") == ["a.harmonic.mdf", "b.harmonic.mdf"]
    assert out.splitlines()[0].split() == ["file", "written", "SNR", "before", "SNR", "after"]
    assert [line.split()[:2] for line in out.splitlines()[2:]] == [
        ["a.mdf", "out/a.harmonic.mdf"],
        ["b.mdf", "out/b.harmonic.mdf"],
    ]
    assert "== 2/2 b.mdf" in err
    assert err.splitlines()[-1] == "2 files: 2 denoised, 0 failed"
    assert run("-m", "harmonic", "a.mdf", "-o", "one.mdf", "-q") == (0, "", "")
    one, other = (read_scan(path).signal for path in ("one.mdf", "out/a.harmonic.mdf"))
    assert (one == other).all()


def test_auto_chooses_for_each_file(run, work):
    scan = example_scan(frames=12, seed=4)
    flat = replace(scan, signal=scan.signal - scan.signal.mean(axis=0))
    write_scan(flat, work / "c.mdf", contents=ABOUT, user={"/_mpikit/repeats": "frames"})
    code, out, _ = run("a.mdf", "c.mdf", "-o", "out", "--json")
    assert code == 0
    assert names(work / "out") == ["a.auto.mdf", "c.auto.mdf"]
    first, second = (each["auto"]["method"] for each in json.loads(out)["files"])
    assert (first == "unchanged", second) == (False, "unchanged")
    code, out, _ = run("a.mdf", "b.mdf", "--dry-run")
    assert [each["method"] for each in json.loads(out)["files"]] == ["auto", "auto"]
    code, _, err = run("a.mdf", "b.mdf", "-p", "steps=3")
    assert (code, err.count("'steps=3' is no option of auto")) == (2, 1)


def test_a_folder_is_its_measurements_and_a_second_run_denoises_nothing_twice(run, work):
    assert run("-m", "average", ".", "-q") == (0, "", "")
    assert names(work) == ["a.average.mdf", "a.mdf", "b.average.mdf", "b.mdf"]
    code, _, err = run("-m", "average", ".", "--force")
    assert code == 0
    assert "passed over a.average.mdf: denoised before" in err
    assert names(work) == ["a.average.mdf", "a.mdf", "b.average.mdf", "b.mdf"]


def test_some_of_several_failed(run, work):
    (work / "c.mdf").write_text("text")
    code, out, err = run("-m", "average", "a.mdf", "c.mdf", "gone.mdf", "b.mdf", "-o", "out")
    assert code == 6
    assert names(work / "out") == ["a.average.mdf", "b.average.mdf"]
    assert [line.split()[1] for line in out.splitlines()[2:]] == [
        "out/a.average.mdf",
        "failed",
        "failed",
        "out/b.average.mdf",
    ]
    assert [line.split(":")[1].strip() for line in err.splitlines() if line.startswith("error: ")] == [
        "c.mdf",
        "gone.mdf",
    ]
    assert "gone.mdf: gone.mdf" not in err
    assert err.splitlines()[-1] == "4 files: 2 denoised, 2 failed"
    assert "Traceback" not in err
    code, out, err = run("-m", "average", "a.mdf", "c.mdf", "-o", "out", "--json", "--force", "-q")
    found = json.loads(out)
    assert (code, found["failed"]) == (6, 1)
    assert [set(each) for each in found["files"]] == [
        {"source", "output", "kept", "auto", "scores", "no_score", "error", "hint"}
    ] * 2
    assert found["files"][0]["error"] is None
    assert [score["method"] for score in found["files"][0]["scores"]][:2] == ["noisy", "average"]
    assert found["files"][1]["output"] is None
    assert "c.mdf" in found["files"][1]["error"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-m", "avrage", "a.mdf", "b.mdf"], 4, "no method is called 'avrage'"),
        (["-m", "harmonic", "-p", "width=3", "a.mdf", "b.mdf"], 2, "harmonic has no option 'width'"),
        (["-m", "average", "a.mdf", "b.mdf", "-o", "a.mdf"], 2, "--output a.mdf is a file"),
        (["-m", "average", "a.mdf", "b.mdf", "-o", "no/where"], 3, "the folder no does not exist"),
        (["-m", "average", "a.mdf", "sub/a.mdf", "-o", "out"], 2, "would both become out/a.average.mdf"),
        (["-m", "average", "a.mdf", "b.mdf", "--save-model", "m"], 2, "mpikit train fits one model"),
        (["--model", "gone", "a.mdf", "b.mdf"], 3, "gone cannot be read as a model file"),
        (["-m", "average", "empty"], 3, "the folder empty has no MDF file"),
    ],
)
def test_what_is_wrong_for_all_is_said_once_and_nothing_is_made(run, work, arguments, code, words):
    (work / "empty").mkdir()
    (work / "sub").mkdir()
    (work / "sub" / "a.mdf").write_bytes((work / "a.mdf").read_bytes())
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert err.count("error: ") == 1
    assert names(work) == ["a.mdf", "b.mdf", "empty", "sub"]
    assert names(work / "sub") == ["a.mdf"]


def test_a_dry_run_makes_no_folder(run, work):
    (work / "c.mdf").write_text("text")
    code, out, err = run("-m", "average", "a.mdf", "c.mdf", "-o", "out", "--dry-run")
    assert (code, err) == (0, "")
    first, second = json.loads(out)["files"]
    assert (first["output"], first["shape"]["N"]) == ("out/a.average.mdf", 12)
    assert "c.mdf" in second["error"]
    assert names(work) == ["a.mdf", "b.mdf", "c.mdf"]


# --- models ----------------------------------------------------------------------------------------------


@pytest.fixture
def model(run, work):
    assert run("-m", "harmonic", "a.mdf", "-o", "first.mdf", "--save-model", "m", "-q") == (0, "", "")
    return work / "m"


def test_a_model_brings_its_method(run, work, model):
    assert run("--model", "m", "b.mdf", "-q") == (0, "", "")
    assert run("--model", "m", "a.mdf", "b.mdf", "-o", "out", "-q") == (0, "", "")
    one, other = (read_scan(path).signal for path in ("b.harmonic.mdf", "out/b.harmonic.mdf"))
    assert (one == other).all()
    assert names(work / "out") == ["a.harmonic.mdf", "b.harmonic.mdf"]


def test_a_scan_of_another_shape_is_refused_before_any_work(run, work, model):
    scan = example_scan(frames=12)
    short = replace(
        scan,
        signal=scan.signal[..., :160],
        background=scan.background[..., :160],
        stored_lines=scan.stored_lines[:81],
    )
    single = replace(scan, signal=scan.signal[:, :, :1], background=scan.background[:, :, :1])
    for name, other, words in (
        ("short.mdf", short, "2 receive channels and 160 samples in a period, m was fitted to 2 and 162"),
        ("single.mdf", single, "1 receive channels and 162 samples in a period, m was fitted to 2 and 162"),
    ):
        write_scan(other, work / name, contents=ABOUT)
        code, out, err = run("--model", "m", name)
        assert (code, out) == (3, "")
        assert f"error: {name} has {words}" in err
        assert "mpikit train" in err
        assert "repeats:" not in err
        code, _, err = run("--model", "m", name, "--dry-run")
        assert (code, words in err) == (3, True)


def test_another_sampling_rate_is_warned_of(run, work, model):
    write_scan(replace(example_scan(frames=12), sampling_rate=2e6), work / "slow.mdf", contents=ABOUT)
    code, _, err = run("--model", "m", "slow.mdf", "-q")
    assert code == 0
    assert "warning: slow.mdf has the sampling rate 2000000.0, m was fitted to 4050000.0" in err


def test_models_that_are_damaged_or_foreign(run, work, model):
    card, state = load_model(model)
    save_model(work / "hollow", card, {name: value for name, value in state.items() if "keep" not in name})
    save_model(work / "other", Card("gone-method", "stranger", {}), {})
    save_model(work / "options", replace(card, options={"width": 3}), state)
    cut = {name: value[..., :-1] if value.ndim else value for name, value in state.items()}
    save_model(work / "cut", card, cut)
    (work / "short").write_bytes(model.read_bytes()[:-9])
    (work / "text").write_text("text")
    before = names(work)
    for name, code, words, hint in (
        ("hollow", 3, "hollow holds no state of harmonic with these options", "fit it again"),
        ("other", 4, "no method is called 'gone-method'", "there are"),
        ("options", 3, "the options in the model file options are not those of harmonic", "fit it again"),
        ("short", 3, "short cannot be read as a model file", "mpikit train"),
        ("text", 3, "text cannot be read as a model file", "mpikit train"),
        ("b.mdf", 3, "b.mdf cannot be read as a model file", "mpikit train"),
        (".", 3, "error: . cannot be read as a model file", "mpikit train"),
        ("cut", 3, "cut cannot be applied: ", "fit it again"),
    ):
        found, out, err = run("--model", name, "b.mdf")
        assert (found, out) == (code, "")
        assert words in err
        assert hint in err.split(" hint: ")[1]
        assert "Traceback" not in err
    found, _, err = run("-m", "average", "--model", "m", "b.mdf")
    assert found == 3
    assert "m is a model of 'harmonic', not of 'average'" in err
    assert names(work) == before
    found, _, err = run("--model", "cut", "a.mdf", "b.mdf", "-o", "out")
    assert (found, err.count("cut cannot be applied"), "Traceback" in err) == (6, 2, False)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("unet-gd", {"both": "", "frames": "fitted to this file with the repeats 'both'"}),
        ("harmonic", dict.fromkeys(("both", "frames"), "fitted to all of this file")),
    ],
)
def test_a_model_is_not_judged_by_what_it_has_seen(run, work, model, method, words):
    """A network is, with the repeats it was fitted with: the same part is held out."""
    write_scan(
        example_scan(frames=12, periods=3, repeats="both"),
        work / "c.mdf",
        contents=ABOUT,
        user={"/_mpikit/repeats": "both"},
    )
    write_scan(example_scan(frames=12, periods=3, repeats="both", seed=8), work / "d.mdf", contents=ABOUT)
    quick = ("-p", "steps=2", "-p", "features=3") if method == "unet-gd" else ()
    assert run("-m", method, "c.mdf", *quick, "--save-model", "of-c", "-q")[0] == 0
    for source, repeats, said in (*(("c.mdf", *each) for each in words.items()), ("d.mdf", "frames", "")):
        code, out, _ = run("--model", "of-c", source, "--repeats", repeats, "--json", "--force")
        found = json.loads(out)
        assert code == 0
        assert bool(found["scores"]) == (not said)
        assert said in str(found["no_score"])


# --- several at scale ------------------------------------------------------------------------------------


def test_an_interrupted_folder_goes_on(run, work):
    assert run("-m", "average", "a.mdf", "-o", "out", "--resume", "-q") == (0, "", "")
    before = (work / "out" / "a.average.mdf").stat().st_mtime_ns
    code, out, err = run("-m", "average", "a.mdf", "b.mdf", "-o", "out", "--resume")
    assert code == 0
    assert out.splitlines()[2].split()[:3] == ["a.mdf", "out/a.average.mdf", "(kept)"]
    assert err.splitlines()[-1] == "2 files: 1 denoised, 1 kept, 0 failed"
    assert (work / "out" / "a.average.mdf").stat().st_mtime_ns == before
    code, out, _ = run("-m", "average", "a.mdf", "b.mdf", "-o", "out", "--resume", "--dry-run")
    assert [each["kept"] for each in json.loads(out)["files"]] == [True, True]
    code, out, err = run("-m", "average", "a.mdf", "b.mdf", "-o", "out", "--resume", "--seed", "2", "--json")
    assert (code, json.loads(out)["failed"]) == (6, 2)
    assert err.count("its seed is 0") == 2
    code, _, err = run("-m", "average", "a.mdf", "b.mdf", "-o", "out")
    assert (code, err.count("exists already, ")) == (6, 0)


def test_one_file_and_what_is_for_several(run, work):
    code, out, err = run("-m", "average", "a.mdf", "-o", "a.average.mdf", "--resume")
    assert (code, out) == (2, "")
    assert "is the name of a file, expected a folder" in err
    code, _, err = run("-m", "average", "a.mdf", "--resume", "--save-model", "m")
    assert (code, "goes with none of --resume" in err) == (2, True)
    code, _, err = run("-m", "average", "a.mdf", "b.mdf", "--workers", "2", "--scheduler", "tcp://h:1")
    assert (code, "exclude each other" in err) == (2, True)
    code, _, err = run("-m", "average", "a.mdf", "--scheduler", "tcp://127.0.0.1:1")
    assert (code, "does not answer" in err) == (3, True)
    assert names(work) == ["a.mdf", "b.mdf"]


@pytest.mark.slow
def test_processes_make_files_as_this_one_does(run, work):
    assert run("-m", "harmonic", "a.mdf", "b.mdf", "-o", "one", "-q") == (0, "", "")
    code, out, _ = run("-m", "harmonic", "a.mdf", "b.mdf", "-o", "two", "--workers", "2", "--json")
    assert (code, [each["error"] for each in json.loads(out)["files"]]) == (0, [None, None])
    for name in "ab":
        one, two = (read_scan(f"{folder}/{name}.harmonic.mdf") for folder in ("one", "two"))
        assert (one.signal == two.signal).all()
        assert (one.background == two.background).all()
