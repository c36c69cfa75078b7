"""Where an engineer runs it: no terminal, no display, no network, no home, odd names of files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mpikit.cli import app

OFFLINE = """
import socket, sys
def refused(*arguments, **more):
    raise OSError("there is no network here")
socket.socket.connect = refused
socket.create_connection = refused
from mpikit.cli import main
main()
"""
NAME = "mit Leerzeichen und µ — 磁.mdf"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for words in (
        [
            "openmpi-1d",
            "--frames",
            "4",
            "--background-frames",
            "6",
            "--noise",
            "gaussian:snr_db=10",
            "-o",
            "scan.mdf",
        ],
        ["openmpi-1d", "--calibration", "--grid", "5x1x1", "-o", "sm.mdf"],
    ):
        words[-1] = str(folder / words[-1])
        done = CliRunner().invoke(app, ["simulate", *words, "-q"])
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def run(tmp_path, files):
    """Run in a folder with an odd name, with a home that cannot be made, without display and network."""
    work = tmp_path / "Ordner mit Ümlaut"
    shutil.copytree(files, work)
    (work / "scan.mdf").rename(work / NAME)
    (tmp_path / "no-home").write_text("a file, so that not even root can write below it")
    kept = {
        name: value for name, value in os.environ.items() if name in {"PATH", "OMP_NUM_THREADS", "SYSTEMROOT"}
    }
    environment = kept | {"HOME": str(tmp_path / "no-home"), "PYTHONUTF8": "1"}

    def mpikit(*words):
        return subprocess.run(
            [sys.executable, "-c", OFFLINE, *words],
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
        )

    mpikit.work = work
    return mpikit


COMMANDS = [  # with --json, and the file that is written
    (["info", NAME], None),
    (["validate", NAME], None),
    (["noise", NAME], "mit Leerzeichen und µ — 磁.noise.png"),
    (["plot", NAME], "mit Leerzeichen und µ — 磁.plot.png"),
    (["denoise", NAME, "-m", "harmonic"], "mit Leerzeichen und µ — 磁.harmonic.mdf"),
    (["compare", NAME, "--methods", "average", "-o", "Tabelle 1.csv"], "Tabelle 1.csv"),
    (["convert", NAME, "-o", "neu ü.mdf"], "neu ü.mdf"),
    (["train", NAME, "-m", "harmonic", "-o", "Modell ü.safetensors"], "Modell ü.safetensors"),
    (["report", NAME], "mit Leerzeichen und µ — 磁.report.html"),
    (
        ["reconstruct", NAME, "--system-matrix", "sm.mdf", "--iterations", "1", "--average-frames"],
        "mit Leerzeichen und µ — 磁.reconstruction.mdf",
    ),
]


@pytest.mark.parametrize(("words", "written"), COMMANDS, ids=[words[0] for words, _ in COMMANDS])
def test_headless_offline_without_a_home(run, words, written):
    done = run(*words, "--json", "-q") if words[0] not in {"info", "validate"} else run(*words, "--json")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert written is None or (run.work / written).stat().st_size > 100


def test_in_a_pipe_words_are_few_and_on_stderr(run):
    done = run(
        "denoise", NAME, "-m", "unet-gd", "-p", "steps=40", "-p", "features=2", "-p", "evaluate_every=10"
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) < 30
    assert done.stdout.splitlines()[0].startswith("signal")


def test_several_files_end_with_a_summary(run):
    shutil.copy(run.work / NAME, run.work / "zweite Datei.mdf")
    done = run("denoise", NAME, "zweite Datei.mdf", "fehlt.mdf", "-m", "average", "-o", "Ergebnisse ü")
    assert done.returncode == 6
    assert "3 files: 2 denoised, 1 failed" in done.stderr
    assert "fehlt.mdf" in done.stderr
    assert len(list((run.work / "Ergebnisse ü").iterdir())) == 2
    done = run("validate", NAME, "zweite Datei.mdf")
    assert done.stderr.splitlines()[-1].startswith("2 files: ")


def test_offline_a_download_says_so(run):
    done = run("datasets", "fetch", "mdf-example-measurement", "--cache", "cache")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[0].startswith("error: ")


def test_nothing_heavy_is_imported_for_the_name_alone():
    heavy = "numpy scipy torch matplotlib h5py skimage PIL pydantic pluggy typer rich"
    code = f"import sys, mpikit; print(sorted(set({heavy.split()!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
