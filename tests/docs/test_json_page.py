"""The page of the JSON keys: every command with ``--json`` prints what the page says, no less, no more."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mpikit.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
SECTION = re.compile(r"^## (mpikit .*?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)

QUICK = "-m unet-gd -p steps=2 -p features=2 -p evaluate_every=1"
MATRIX = "--system-matrix sm.mdf --iterations 2"
RUNS = {  # heading of the page: command lines, whose keys are taken together
    "mpikit compare": [
        "compare scan.mdf --methods average,harmonic --reference clean.mdf -o table.csv",
        "compare scan.mdf --methods background-subtraction,symmetry",
    ],
    "mpikit compare --dry-run": ["compare scan.mdf --methods harmonic --dry-run -o new.csv"],
    "mpikit convert": ["convert scan.mdf -o spectra.mdf --domain frequency"],
    "mpikit datasets list": ["datasets list --cache cache"],
    "mpikit datasets fetch": ["datasets fetch openmpi-calibration-1 --cache cache"],
    "mpikit datasets fetch --dry-run": ["datasets fetch openmpi-calibration-1 --cache cache --dry-run"],
    "mpikit datasets path": ["datasets path openmpi-calibration-1 --cache cache"],
    "mpikit demo": ["demo -o made"],
    "mpikit demo --dry-run": ["demo -o later --dry-run"],
    "mpikit denoise": [
        "denoise scan.mdf -m harmonic -o d1.mdf",
        "denoise scan.mdf -o d2.mdf -p candidates=harmonic",
    ],
    "mpikit denoise, several files": ["denoise a.mdf b.mdf none.mdf -m average -o several"],
    "mpikit denoise --dry-run": ["denoise a.mdf -m harmonic --dry-run", "denoise a.mdf --dry-run"],
    "mpikit doctor": ["doctor"],
    "mpikit info": ["info scan.mdf", "info sm.mdf", "info image.mdf"],
    "mpikit info, several files": ["info scan.mdf sm.mdf image.mdf none.mdf"],
    "mpikit noise": ["noise scan.mdf"],
    "mpikit noise --dry-run": ["noise a.mdf --dry-run"],
    "mpikit plot": ["plot scan.mdf"],
    "mpikit plot, several files": ["plot a.mdf b.mdf none.mdf -o figures"],
    "mpikit plot --dry-run": ["plot a.mdf --dry-run"],
    "mpikit plugins list": ["plugins list"],
    "mpikit plugins show": ["plugins show harmonic"],
    "mpikit plugins check": ["plugins check gaussian"],
    "mpikit plugins new": ["plugins new mine mine"],
    "mpikit plugins new --dry-run": ["plugins new mine other --dry-run"],
    "mpikit reconstruct": [f"reconstruct scan.mdf {MATRIX} --average-frames --uncertainty -o i.mdf"],
    "mpikit reconstruct, several files": [f"reconstruct a.mdf b.mdf none.mdf {MATRIX} -o images"],
    "mpikit reconstruct --dry-run": [f"reconstruct a.mdf {MATRIX} --dry-run"],
    "mpikit reconstruct --list-options": ["reconstruct --list-options"],
    "mpikit report": ["report scan.mdf", "report a.mdf none.mdf -o two.html"],
    "mpikit reproduce": ["reproduce peng-figure3 --scale smoke -o results"],
    "mpikit reproduce list": ["reproduce list"],
    "mpikit reproduce --dry-run": ["reproduce peng-table2 --scale smoke -o planned --dry-run"],
    "mpikit simulate": ["simulate openmpi-1d -o new.mdf --frames 2"],
    "mpikit train": [f"train scan.mdf {QUICK} -o model.safetensors"],
    "mpikit train --dry-run": ["train scan.mdf -m harmonic -o other.safetensors --dry-run"],
    "mpikit validate": ["validate scan.mdf"],
    "mpikit view": ["view scan.mdf"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small files of all kinds."""
    work = tmp_path_factory.mktemp("json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        run = "simulate openmpi-2d --noise gaussian:snr_db=10 --frames 6 --background-frames 8"
        for command in (
            f"{run} -o scan.mdf --clean clean.mdf",
            "simulate openmpi-2d --calibration --grid 3x4 -o sm.mdf",
            f"reconstruct scan.mdf {MATRIX} -o image.mdf --average-frames",
        ):
            done = CliRunner().invoke(app, [*command.split(), "-q"])
            assert done.exit_code == 0, done.output
        for name in ("a.mdf", "b.mdf"):
            shutil.copy("scan.mdf", name)
        from mpikit.datasets.places import place

        target = place("openmpi-calibration-1", Path("cache").absolute())
        target.parent.mkdir(parents=True)
        target.write_bytes(b"put there by hand")
        yield work


def flat(value, known, path=""):
    """Names of all keys: those of inner objects behind a dot, ``[]`` for each of a list, ``*`` for any."""
    if isinstance(value, dict) and f"{path}.*" in known:
        return {f"{path}.*"} if value else set()
    found = set()
    if isinstance(value, dict):
        for name, each in value.items():
            inner = f"{path}.{name}" if path else name
            found |= {inner} | flat(each, known, inner)
    elif isinstance(value, list):
        for each in value:
            found |= flat(each, known, f"{path}[]")
    return found


def documented():
    text = PAGE.read_text()
    return {title: set(ROW.findall(body)) for title, body in SECTION.findall(text)}


def test_every_command_that_prints_json_is_on_the_page():
    import typer

    def commands(group, names=()):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from commands(command, (*names, name))
            else:
                yield " ".join((*names, name)), command

    takes = {
        f"mpikit {name}"
        for name, command in commands(typer.main.get_command(app))
        if any("--json" in each.opts for each in command.params)
    }
    assert takes <= set(RUNS)
    assert set(documented()) == set(RUNS)


SLOW = {"mpikit reproduce", "mpikit demo"}


@pytest.mark.parametrize(
    "title", [pytest.param(each, marks=pytest.mark.slow) if each in SLOW else each for each in RUNS]
)
def test_the_keys_are_those_of_the_page(title, folder, monkeypatch):
    monkeypatch.setattr("mpikit.demo.METHOD", "harmonic")
    monkeypatch.setattr("mpikit.demo.GRID", (3, 3))
    known = documented()[title]
    found = set()
    for command in RUNS[title]:
        done = CliRunner().invoke(app, [*command.split(), "--json"])
        assert done.exit_code == (6 if "none.mdf" in command else 0), done.output
        found |= flat(json.loads(done.stdout), known)
    assert found == known
