"""The page of the viewer: its commands that need no window run, its numbers are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from mpikit.cli import app
from mpikit.cli.view import view
from mpikit.viewer.matrices import MOST_ROWS

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "view.md"
COMMAND = re.compile(r"^(?: {4})?mpikit (view .*)$", re.MULTILINE)


def test_its_commands_run(image, matrix, scan, monkeypatch):
    monkeypatch.chdir(image.parent)
    matrix.rename(matrix.with_name("systemmatrix.mdf"))
    (image.parent / "sm.mdf").symlink_to("systemmatrix.mdf")
    lines = COMMAND.findall(PAGE.read_text() + view.__doc__)
    without_window = [line for line in lines if "--" in line]
    assert len(without_window) == 3
    assert len(lines) > len(without_window)
    for line in without_window:
        done = CliRunner().invoke(app, shlex.split(line), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert "z" in done.output


def test_its_numbers():
    assert f"you see the {MOST_ROWS} frequencies" in PAGE.read_text()
