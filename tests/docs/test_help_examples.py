"""Every command has an example in its help, and every example runs as it is written."""

# ruff: noqa: E501 - examples are as long as they are
from __future__ import annotations

import re
import shlex
import shutil

import pytest
import typer
from typer.testing import CliRunner

from mpikit.cli import app

SECONDS = {  # examples that compute long, with what makes them short: options that a user may add
    "mpikit denoise scan.mdf": "-p candidates=harmonic,low-rank",
    "mpikit denoise scan.mdf -p candidates=harmonic,low-rank,unet-gd": "-p unet-gd.steps=3 -p unet-gd.features=2",
    "mpikit denoise --method unet-gd scan.mdf": "-p steps=3 -p features=2",
    "mpikit train --method unet-gd scan1.mdf scan2.mdf -o unet-gd.safetensors": "-p steps=3 -p features=2",
    "mpikit compare scan.mdf --methods average,harmonic,unet-gd": "-p unet-gd.steps=3 -p unet-gd.features=2",
    "mpikit simulate peng2023 --count 10000 --noise gaussian:snr_db=5 -o set.mdf --clean set.clean.mdf": "--count 2",
    "mpikit reproduce peng-table2 --scale quick --output results": "--dry-run",
    "mpikit reconstruct scans/ --system-matrix sm.mdf -o images/ --workers 4": "--dry-run",  # tested elsewhere
    "mpikit demo": "--dry-run",
    "mpikit datasets fetch openmpi-concentration-1d openmpi-calibration-1": "--help",  # needs the network
    "mpikit view": "--help",
}
ADDED = {  # for every example of a command
    "mpikit view": "--help",  # opens a window
    "mpikit compare scan.mdf --reference": "--methods average,unet-gd",
}


def commands(group, names=("mpikit",)):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*names, name))
        else:
            yield " ".join((*names, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def examples(command):
    text = COMMANDS[command].help or ""
    return [line.strip() for line in text.splitlines() if re.match(r"\s*mpikit ", line)]


def prepared(folder):
    """Files of the names that examples use."""
    run = CliRunner()
    noisy = "--noise gaussian:snr_db=10"
    for words in (
        f"openmpi-2d --frames 6 --background-frames 8 {noisy} -o scan.mdf --clean scan.clean.mdf",
        "openmpi-2d --calibration --grid 4x5 -o sm.mdf",
    ):
        done = run.invoke(app, ["simulate", *words.split(), "-q"])
        assert done.exit_code == 0, done.output
    for name in ("scan1.mdf", "scan2.mdf", "scan.denoised.mdf"):
        shutil.copy("scan.mdf", name)
    shutil.copy("sm.mdf", "systemmatrix.mdf")
    (folder / "scans").mkdir()
    shutil.copy("scan.mdf", "scans/first.mdf")
    for words in (
        "reconstruct scan.mdf --system-matrix sm.mdf --iterations 2 -o image.mdf",
        "train scan.mdf -m unet-gd -p steps=2 -p features=2 -o unet-gd.safetensors",
    ):
        done = run.invoke(app, [*words.split(), "-q"])
        assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepared(folder)
    return folder


@pytest.fixture
def work(files, tmp_path, monkeypatch):
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(command):
    found = examples(command)
    assert found
    assert any(each == command or each.startswith(f"{command} ") or command in each for each in found)


def added(example):
    if example in SECONDS:
        return SECONDS[example]
    return next((more for start, more in ADDED.items() if example.startswith(start)), "")


ALL = list(dict.fromkeys(each for command in COMMANDS for each in examples(command)))


@pytest.mark.parametrize("example", ALL)
def test_an_example_runs(example, work, monkeypatch):
    if "$(" in example:
        from mpikit.datasets.places import place

        monkeypatch.setenv("MPIKIT_DATASETS", str(work / "cache"))
        inner = re.search(r"\$\(mpikit ([^)]*)\)", example)
        target = place(shlex.split(inner[1])[-1], work / "cache")
        target.parent.mkdir(parents=True)
        shutil.copy("scan.mdf", target)
        found = CliRunner().invoke(app, shlex.split(inner[1]))
        assert found.exit_code == 0, found.output
        example = example.replace(inner[0], found.stdout.strip())
    for output in re.findall(r"(?:-o|--output) (\S+)", example):
        path = work / output
        if path.is_file():
            for each in work.glob(f"{path.stem}.*"):
                each.unlink()
    short = example.replace("steps=1000", "steps=3 -p unet-gd.features=2")
    program, *words = shlex.split(f"{short} {added(example)}")
    assert program == "mpikit"
    done = CliRunner().invoke(app, words)
    allowed = {0, 3} if words[0] == "validate" else {0}
    assert done.exit_code in allowed, f"{done.output}\n{done.exception!r}"


def test_what_is_made_short_is_still_an_example():
    assert set(SECONDS) - {"mpikit view"} <= set(ALL)
