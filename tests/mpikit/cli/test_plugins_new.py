"""``mpikit plugins new``: what it says, its keys, its exit codes."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from typer.testing import CliRunner

from mpikit.cli import app, main


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """Work in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["plugins", "new", *arguments], catch_exceptions=False)


def test_the_examples_of_its_help(work):
    shown = CliRunner().invoke(app, ["plugins", "new", "--help"], env={"COLUMNS": "100"}).output
    examples = re.findall(r"^ *(mpikit plugins new .*\S) *$", shown, re.MULTILINE)
    assert len(examples) == 2
    for example in examples:
        assert run(*shlex.split(example)[3:]).exit_code == 0
    assert {path.name for path in work.iterdir()} == {"mpikit-low-pass", "mpikit-spikes"}
    assert (work / "mpikit-spikes" / "src" / "mpikit_spikes" / "noise.py").exists()


def test_it_says_what_was_written_and_what_comes_next():
    done = run("low-pass", "my plugin")
    assert (done.exit_code, done.stdout) == (0, "")
    first, _, last = done.stderr.splitlines()
    assert first.startswith("wrote mpikit-low-pass into my plugin: pyproject.toml, README.md, src/")
    assert last == "  pip install -e 'my plugin[test]' && pytest 'my plugin'"


def test_quiet(work):
    done = run("low-pass", "new", "-q")
    assert (done.exit_code, done.output) == (0, "")
    assert (work / "new" / "pyproject.toml").exists()


def test_the_keys(work):
    done = run("two-words", "new", "--kind", "noise", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "folder": "new",
        "name": "two-words",
        "kind": "noise",
        "distribution": "mpikit-two-words",
        "package": "mpikit_two_words",
        "files": [
            "pyproject.toml",
            "README.md",
            "src/mpikit_two_words/__init__.py",
            "src/mpikit_two_words/noise.py",
            "tests/test_mpikit_two_words.py",
        ],
    }
    assert all((work / "new" / name).is_file() for name in json.loads(done.stdout)["files"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("Low_Pass new", 2, "error: 'Low_Pass' is no name of a method"),
        ("average new", 2, "error: the denoiser 'average' is of mpikit already"),
        ("low-pass full", 3, "error: the folder full is not empty"),
        ("low-pass full/file", 3, "error: full/file is a file, expected a folder"),
        ("low-pass absent/new", 3, "error: the folder absent does not exist"),
        ("low-pass new --kind filter", 2, "filter"),
    ],
)
def test_mistakes(work, monkeypatch, capsys, arguments, code, message):
    (work / "full").mkdir()
    (work / "full" / "file").write_text("")
    monkeypatch.setattr("sys.argv", ["mpikit", "plugins", "new", *arguments.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code
    assert message in capsys.readouterr().err
    assert not (work / "new").exists()


def test_force(work):
    (work / "full").mkdir()
    (work / "full" / "notes").write_text("mine")
    assert run("low-pass", "full", "--force").exit_code == 0
    assert (work / "full" / "notes").read_text() == "mine"
    assert (work / "full" / "README.md").exists()
