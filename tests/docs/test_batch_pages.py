"""The pages of many files and of a cluster: their commands run, and options of other programs exist."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mdf
from mpikit.cli import app
from mpikit.denoise_outcome import Outcome
from mpikit.scan_file import read_scan, unsaid, write_scan

HERE = Path(__file__).parent
HOWTO = HERE.parents[1] / "docs" / "howto"
BATCH, CLUSTER = HOWTO / "batch.md", HOWTO / "cluster.md"
commands = runpy.run_path(str(HERE / "test_which_denoiser.py"))["commands"]


def run(*arguments):
    """Run a command, and give what it printed on stdout."""
    done = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two scans, an empty measurement, and a calibration."""
    folder = tmp_path_factory.mktemp("batch")
    (folder / "scans").mkdir()
    for seed, name in enumerate("ab"):
        noise = ("--noise", "gaussian:snr_db=10", "--seed", seed)
        run("simulate", "openmpi-1d", "--frames", 5, *noise, "-o", folder / "scans" / f"{name}.mdf")
    run("simulate", "openmpi-1d", "--calibration", "--grid", "9", "-o", folder / "sm.mdf")
    scan = read_scan(folder / "scans" / "a.mdf")
    empty = replace(scan, signal=0.01 * scan.signal[:3], foreground_index=scan.foreground_index[:3])
    write_scan(empty, folder / "empty.mdf", contents=unsaid(empty))
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """The same files in a folder where we are."""
    for path in made.rglob("*.mdf"):
        copy = tmp_path / path.relative_to(made)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path


@pytest.mark.slow
def test_the_commands_on_many_files_run(folder):
    names = set()
    for arguments in commands(BATCH):
        line = " ".join(arguments)
        if "$scan" in line or "--workers" in line:
            continue
        out = run(*arguments)
        names |= {arguments[arguments.index("-o") + 1]} if "-o" in arguments else set()
        if "--json" in arguments:
            (folder / "summary.json").write_text(out)
    assert {"denoised/", "images/", "cleared/", "cleared-images/", "by-model/", "summary/"} <= names
    with mdf.open("cleared/a.background-subtraction.mdf") as file:
        assert file.value("/measurement/isBackgroundCorrected")
    [block] = re.findall(r"```python\n(.*?)```", BATCH.read_text(), re.DOTALL)
    exec(block, {})  # noqa: S102 - lines of our own
    assert Path("images/a.harmonic.reconstruction.mdf").exists()
    again = json.loads(
        run("denoise", "--method", "harmonic", "scans/", "-o", "denoised/", "--resume", "--json")
    )
    assert [file["kept"] for file in again["files"]] == [True, True]


def test_the_lines_of_python_read_a_summary(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = [
        Outcome(Path("a.mdf"), Path("out/a.mdf")),
        Outcome(Path("b.mdf"), error="b.mdf is no MDF file", hint="look"),
    ]
    Path("summary.json").write_text(json.dumps({"files": [file.as_json() for file in files]}))
    [block] = re.findall(r"```python\n(.*?)```", BATCH.read_text(), re.DOTALL)
    exec(block, {})  # noqa: S102 - lines of our own
    assert capsys.readouterr().out.splitlines() == ["a.mdf out/a.mdf", "b.mdf b.mdf is no MDF file"]
    [keys] = re.findall(r"Each entry has (.*?)\. Words", BATCH.read_text(), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", keys)) == set(files[0].as_json())


@pytest.mark.slow
def test_the_loop_runs_and_notes_what_failed(folder):
    (folder / "scans" / "c.mdf").write_text("no file")
    [loop] = [
        block for block in re.findall(r"```sh\n(.*?)```", BATCH.read_text(), re.DOTALL) if "for " in block
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-eu"], input=loop, text=True, check=True, env={**os.environ, "PATH": path})  # noqa: S607
    assert sorted(path.name for path in (folder / "loop").iterdir()) == ["a.mdf", "b.mdf"]
    assert (folder / "failed.txt").read_text() == "scans/c.mdf\n"
    assert "error: " in (folder / "denoise.log").read_text()


@pytest.mark.slow
def test_the_commands_of_a_cluster_run(folder):
    import distributed

    (folder / "scans" / "a.mdf").rename(folder / "long.mdf")
    how = {"threads_per_worker": 1, "processes": False, "protocol": "tcp://", "host": "127.0.0.1"}
    count = 0
    with distributed.LocalCluster(n_workers=1, **how, dashboard_address="127.0.0.1:0") as cluster:
        for arguments in commands(CLUSTER):
            known = [
                cluster.scheduler_address if "://" in each or "$" in each else each for each in arguments
            ]
            run(*known)
            count += 1
    assert count == 4
    assert Path("long.reconstruction.mdf").exists()
    assert Path("images/b.harmonic.reconstruction.mdf").exists()


@pytest.mark.slow
@pytest.mark.parametrize("program", ["scheduler", "worker"])
def test_options_of_dask_exist(program):
    known = subprocess.run(
        [sys.executable, "-m", "dask", program, "--help"], capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in CLUSTER.read_text().splitlines() if re.match(rf"(\S+ )?dask {program}", line)]
    assert len(lines) == 2
    for option in {word for line in lines for word in re.findall(r"--[a-z-]+", line)}:
        assert option in known
