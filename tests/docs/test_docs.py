"""The documentation cannot rot: tutorials run, pages are current, hooks and commands are there."""

from __future__ import annotations

import inspect
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from mpikit import hookspecs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))
COMMANDS = (
    "pip install -c constraints.txt . && mpikit demo",
    "pip install -c constraints.txt -e '.[test]' && pytest -n auto",
)


@pytest.mark.slow
@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_runs(script, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPIKIT_FAST", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    runpy.run_path(str(script))
    from matplotlib import pyplot as plt

    plt.close("all")


def test_there_is_a_tutorial():
    assert TUTORIALS


def test_the_page_of_the_command_line_is_current():
    make_cli = runpy.run_path(str(DOCS / "reference" / "make_cli.py"))
    assert make_cli["PAGE"].read_text() == make_cli["page"](), "run python docs/reference/make_cli.py"


def test_every_hook_has_a_section_with_its_signature():
    page = (DOCS / "plugins" / "index.md").read_text().splitlines()
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("mpikit_")}
    assert hooks
    for name, hook in hooks.items():
        assert f"### {name}{inspect.signature(hook)}".replace("'", "") in page


def test_every_file_of_the_example_is_on_the_page():
    page = (DOCS / "plugins" / "index.md").read_text()
    files = [path.name for path in (DOCS / "plugins" / "example").iterdir() if path.is_file()]
    assert len(files) == 3
    for name in files:
        assert f"```{{literalinclude}} example/{name}" in page


def test_the_first_screen_of_the_readme():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert COMMANDS[0] in lines[:24]
    assert any(line.startswith("What it is not: ") for line in lines[:24])
    [picture] = [line for line in lines if line.startswith("![")]
    assert picture in lines[:8]
    path = ROOT / picture.split("](")[1].rstrip(")")
    assert path.stat().st_size < 150_000


def test_the_page_on_self_supervision_shows_what_its_code_prints(capsys):
    page = (DOCS / "explanation" / "self-supervision.md").read_text()
    code, printed = (re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("python", "text"))
    assert len(code) == len(printed) == 3
    exec("\n".join(code), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out == "".join(printed)


def test_the_commands_of_the_readme_are_those_that_are_checked():
    script = (ROOT / ".ci" / "run").read_text()
    assert "README.md" in script
    listed = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run"), "--commands"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MPIKIT_SAMPLES": str(ROOT)},
    )
    assert listed.stdout.splitlines() == [part for command in COMMANDS for part in command.split(" && ")]


def test_the_constraints_pin_what_is_tested():
    from importlib.metadata import version

    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    assert pins["torch"] == "2.13.0"
    for name in ("numpy", "scipy", "h5py", "typer", "pydantic", "pytest", "ruff", "mypy", "sphinx"):
        assert name in pins
    assert "mpikit" not in pins
    assert all("+" not in pin for pin in pins.values())
    assert version("mpikit")
    assert sys.version_info >= (3, 11)
