"""``--dry-run``: what would be done, as JSON; the errors of the real thing; and no file is touched."""

from __future__ import annotations

import json
import shutil

import pytest
import typer
from typer.testing import CliRunner

from mpikit.cli import app, main

WRITES_NOTHING = {"info", "validate", "doctor", "plugins list", "plugins show", "plugins check"}
WRITES_NOTHING |= {"datasets list", "datasets path"}


def commands(group, names=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*names, name))
        else:
            yield " ".join((*names, name)), command


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    run = CliRunner()
    noise = ["--noise", "gaussian:snr_db=10", "-q", "-o"]
    for words in (
        ["openmpi-2d", "--frames", "4", "--background-frames", "4", *noise, str(folder / "scan.mdf")],
        ["openmpi-2d", "--calibration", "--grid", "3x4", "-q", "-o", str(folder / "sm.mdf")],
        ["openmpi-1d", "--calibration", "--grid", "5x1x1", "-q", "-o", str(folder / "other.mdf")],
    ):
        done = run.invoke(app, ["simulate", *words])
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def work(files, tmp_path, monkeypatch):
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys, monkeypatch):
    def mpikit(line):
        monkeypatch.setattr("sys.argv", ["mpikit", *line.split()])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return mpikit


def state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_every_command_that_writes_has_it():
    for name, command in commands(typer.main.get_command(app)):
        has = any("--dry-run" in each.opts for each in command.params)
        assert has or name in WRITES_NOTHING, name


@pytest.mark.parametrize(
    ("line", "outputs"),
    [
        ("compare scan.mdf --methods harmonic -o new.csv -o new.png", ["new.csv", "new.png"]),
        (
            "demo -o there",
            ["there/scan.mdf", "there/scan.clean.mdf", "there/systemmatrix.mdf", "there/demo.png"],
        ),
        ("demo -o later", ["later/scan.mdf"]),
        ("noise scan.mdf", ["scan.noise.png"]),
        ("plot scan.mdf", ["scan.plot.png"]),
        ("plugins new mine mine", ["mine/pyproject.toml"]),
        (
            "reconstruct scan.mdf --system-matrix sm.mdf",
            ["scan.reconstruction.mdf", "scan.reconstruction.png"],
        ),
        (
            "reconstruct scan.mdf --method x-space --grid 4x4 --background none -o i.npz",
            ["i.npz", "i.npz.png"],
        ),
    ],
)
def test_nothing_is_touched(run, work, line, outputs):
    before = state(work)
    code, out, err = run(f"{line} --dry-run")
    assert (code, err) == (0, "")
    planned = json.loads(out)["outputs"]
    assert [each["path"] for each in planned][: len(outputs)] == outputs
    assert not any(each["exists"] for each in planned)
    assert state(work) == before


def test_what_exists_is_said(run, work):
    for name in ("new.csv", "scan.noise.png", "scan.plot.png", "scan.reconstruction.mdf"):
        (work / name).touch()
    for line in (
        "compare scan.mdf --methods harmonic -o new.csv",
        "noise scan.mdf",
        "plot scan.mdf",
        "reconstruct scan.mdf --system-matrix sm.mdf",
    ):
        code, out, err = run(f"{line} --dry-run")
        assert code == 0
        assert "exists already: --force replaces it" in err
        assert json.loads(out)["outputs"][0]["exists"] is True
        assert run(line)[0] == 3
        assert json.loads(run(f"{line} --dry-run --force")[1])["outputs"][0]["exists"] is True


def test_of_an_experiment_the_pieces_are_named(run, work):
    before = state(work)
    code, out, _ = run("reproduce peng-table2 --scale smoke --methods wiener --dry-run -o later")
    planned = json.loads(out)
    assert (code, planned["scale"], planned["exists"]) == (0, "smoke", False)
    assert any("wiener" in each["label"] for each in planned["pieces"])
    assert not any(each["done"] for each in planned["pieces"])
    assert state(work) == before


def test_of_several_files_each_is_said(run, work):
    shutil.copy("scan.mdf", "b.mdf")
    before = state(work)
    code, out, _ = run("reconstruct scan.mdf b.mdf none.mdf --system-matrix sm.mdf -o images --dry-run")
    first, second, third = json.loads(out)["files"]
    assert code == 0
    assert [first["outputs"][0]["path"], second["outputs"][0]["path"]] == [
        "images/scan.reconstruction.mdf",
        "images/b.reconstruction.mdf",
    ]
    assert "none.mdf" in third["error"]["message"]
    assert state(work) == before


def test_a_rerun_is_planned_from_the_history(run, work):
    assert (
        run("reconstruct scan.mdf --system-matrix sm.mdf --iterations 2 --lambda 0.5 -o image.mdf -q")[0] == 0
    )
    planned = json.loads(run("reconstruct --rerun image.mdf --dry-run")[1])
    assert (planned["options"]["iterations"], planned["options"]["lambda"]) == (2, 0.5)
    assert planned["outputs"][0]["path"] == "image.rerun.mdf"


@pytest.mark.parametrize(
    "line",
    [
        "compare none.mdf",
        "compare sm.mdf",
        "compare scan.mdf --methods harmonik",
        "compare scan.mdf --methods harmonic -p harmonic.symetry=fit",
        "compare scan.mdf --methods harmonic -o x.txt",
        "compare scan.mdf --methods harmonic --repeats none",
        "demo -o scan.mdf",
        "noise none.mdf",
        "noise scan.mdf --model nothing",
        "noise scan.mdf -o x.pdf",
        "plot none.mdf",
        "plot scan.mdf --kind rows",
        "plot scan.mdf -o x.doc",
        "plugins new harmonic mine",
        "plugins new mine there",
        "reconstruct scan.mdf",
        "reconstruct none.mdf --system-matrix sm.mdf",
        "reconstruct scan.mdf --system-matrix scan.mdf",
        "reconstruct scan.mdf --system-matrix other.mdf",
        "reconstruct sm.mdf --system-matrix sm.mdf",
        "reconstruct scan.mdf --system-matrix sm.mdf -p nothing=1",
        "reconstruct scan.mdf --system-matrix sm.mdf -o scan.mdf",
        "reconstruct scan.mdf --system-matrix sm.mdf -o x.png",
        "reconstruct --rerun scan.mdf",
        "reproduce nothing",
        "reproduce peng-table2 --methods nothing -o new",
        "reproduce peng-table2 -o there",
    ],
)
def test_the_errors_are_those_of_the_real_thing(run, work, line):
    before = state(work)
    planned = run(f"{line} --dry-run")
    assert planned[0] in {2, 3, 4}
    real = run(line)
    assert (planned[0], planned[2].splitlines()[-2:]) == (real[0], real[2].splitlines()[-2:])
    assert state(work) == before
