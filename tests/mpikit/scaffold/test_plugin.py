"""The project of a plugin: its name is checked, and it is complete or absent."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mpikit.errors import InputError, UsageError
from mpikit.scaffold import PluginProject, new_plugin

KINDS = ("denoiser", "noise")
TAKEN = """
from mpikit import Denoiser, StatelessMethod, hookimpl

@hookimpl
def mpikit_denoisers():
    yield Denoiser(name="mine", summary="Nothing", build=lambda options: StatelessMethod())
"""


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def place(tmp_path):
    """A folder with nothing else in it, and a name that is not plain."""
    path = tmp_path / "Übung 1"
    path.mkdir()
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_the_files(place, kind):
    project = new_plugin("two-words", place / "new", kind=kind)
    assert project == PluginProject("two-words", kind, place / "new")
    assert (project.distribution, project.package) == ("mpikit-two-words", "mpikit_two_words")
    assert set(files_of(place)) == {
        f"new/{name}"
        for name in (
            "pyproject.toml",
            "README.md",
            "src/mpikit_two_words/__init__.py",
            f"src/mpikit_two_words/{kind}.py",
            "tests/test_mpikit_two_words.py",
        )
    }
    assert files_of(place / "new") == dict(sorted(project.contents().items()))
    assert {path.name for path in place.iterdir()} == {"new"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_of_the_project(kind):
    contents = PluginProject("two-words", kind, Path("new")).contents()
    told = tomllib.loads(contents["pyproject.toml"])
    assert told["project"]["name"] == "mpikit-two-words"
    assert told["project"]["entry-points"] == {"mpikit": {"two-words": "mpikit_two_words"}}
    assert told["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/mpikit_two_words"]
    assert told["project"]["readme"] in contents
    for name, text in contents.items():
        assert "$" not in text, f"{name} has a placeholder left"
        assert text.endswith("\n")


@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_names_files_and_options_that_there_are(kind):
    contents = PluginProject("two-words", kind, Path("new")).contents()
    cells = [line.split("`")[1] for line in contents["README.md"].splitlines() if line.startswith("| `")]
    assert len(cells) == 4
    assert set(cells) <= set(contents)
    tree = ast.parse(contents[f"src/mpikit_two_words/{kind}.py"])
    options = {each.target.id for each in ast.walk(tree) if isinstance(each, ast.AnnAssign)}
    assert ("cutoff" if kind == "denoiser" else "probability") in options
    assert ("-p cutoff=" if kind == "denoiser" else "two-words:probability=") in contents["README.md"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_formatted_and_without_complaints(place, kind):
    new_plugin("two-words", place / "new", kind=kind)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=place / "new",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("Low_Pass", "try low-pass"),
        ("low pass", "try low-pass"),
        ("-low-", "try low"),
        ("../up", "try up"),
        ("ä", "for instance running-mean"),
        ("3d", "for instance running-mean"),
        ("", "for instance running-mean"),
    ],
)
def test_a_name_that_is_none(place, name, proposal):
    with pytest.raises(UsageError, match="expected lower-case words joined by hyphens") as caught:
        new_plugin(name, place / "new")
    assert caught.value.hint == proposal
    assert not (place / "new").exists()


def test_a_name_that_is_too_long(place):
    with pytest.raises(UsageError, match="has 61 characters, expected 60 at most"):
        new_plugin("a" * 61, place / "new")
    new_plugin("a" * 60, place / "new")


def test_a_name_with_the_prefix_of_the_package(place):
    with pytest.raises(UsageError, match="'mpikit-box' starts with 'mpikit-'") as caught:
        new_plugin("mpikit-box", place / "new")
    assert caught.value.hint == "say box: the package is then called mpikit-box"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("average", "denoiser", "the denoiser 'average' is of mpikit already"),
        ("gaussian", "noise", "the noise model 'gaussian' is of mpikit already"),
        ("auto", "noise", "the name 'auto' is reserved"),
        ("unchanged", "denoiser", "the name 'unchanged' is reserved"),
        ("plugins", "denoiser", "the package would be called 'mpikit_plugins'"),
        ("class", "noise", "'class' is a word of Python itself"),
        ("mpikit", "denoiser", "'mpikit' is a package of mpikit"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_name_that_is_taken(place, name, kind, message, overwrite):
    with pytest.raises(UsageError, match=message):
        new_plugin(name, place / "new", kind=kind, overwrite=overwrite)
    assert not list(place.iterdir())


def test_a_name_is_taken_by_methods_of_its_kind_alone(place):
    new_plugin("average", place / "new", kind="noise")
    new_plugin("gaussian", place / "other", kind="denoiser")


def test_a_name_that_a_stranger_has(place, installed):
    installed("stranger", TAKEN)
    with pytest.raises(UsageError, match="the denoiser 'mine' is of stranger already"):
        new_plugin("mine", place / "new", overwrite=True)


def test_its_own_name_is_free_for_writing_it_again(place, tmp_path, installed):
    installed("mpikit_mine", TAKEN)
    info = tmp_path / "mpikit_mine-0.1.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mpikit-mine\nVersion: 0.1\n")
    with pytest.raises(UsageError, match="the denoiser 'mine' is of mpikit-mine already"):
        new_plugin("mine", place / "new")
    with pytest.raises(UsageError, match="a distribution 'mpikit-mine' is installed already"):
        new_plugin("mine", place / "new", kind="noise")
    new_plugin("mine", place / "new", overwrite=True)


def test_an_empty_folder_stays_the_same_folder(place, monkeypatch):
    monkeypatch.chdir(place)  # a shell stands in it
    before = place.stat().st_ino
    project = new_plugin("mine", Path())
    assert place.stat().st_ino == before
    assert files_of(place) == dict(sorted(project.contents().items()))


def test_a_folder_with_something_in_it(place):
    (place / ".hidden").write_text("mine")
    with pytest.raises(InputError, match="is not empty") as caught:
        new_plugin("mine", place)
    assert "--force" in caught.value.hint
    assert files_of(place) == {".hidden": "mine"}


def test_force_replaces_files_and_keeps_others(place):
    (place / "tests").mkdir()
    (place / "tests" / "data.txt").write_text("kept")
    (place / "README.md").write_text("replaced")
    project = new_plugin("mine", place, overwrite=True)
    assert files_of(place) == dict(sorted({**project.contents(), "tests/data.txt": "kept"}.items()))


def test_places_where_nothing_can_be_written(place):
    (place / "file").write_text("")
    with pytest.raises(InputError, match="is a file, expected a folder"):
        new_plugin("mine", place / "file", overwrite=True)
    with pytest.raises(InputError, match=r"absent does not exist"):
        new_plugin("mine", place / "absent" / "new")
    with pytest.raises(InputError, match=r"file does not exist"):
        new_plugin("mine", place / "file" / "new")
    with pytest.raises(InputError):
        new_plugin("mine", place / ("n" * 300))
    assert [path.name for path in place.iterdir()] == ["file"]


def test_a_read_only_folder(place, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == place and mode == os.W_OK))
    for folder in (place, place / "new"):
        with pytest.raises(InputError, match="is read-only"):
            new_plugin("mine", folder)
    assert list(place.iterdir()) == []


def test_a_folder_where_a_file_belongs(place):
    (place / "README.md").mkdir()
    (place / "README.md" / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match=r"README\.md is a folder"):
        new_plugin("mine", place, overwrite=True)
    assert files_of(place) == {"README.md/thesis.txt": "years"}
    assert [path.name for path in place.iterdir()] == ["README.md"]


@pytest.mark.parametrize("failing", range(1, 8))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_move_that_fails_leaves_all_as_it_was(place, monkeypatch, failing, error):
    old = {"README.md": "mine", "pyproject.toml": "mine too", "notes/a.txt": "a"}
    for name, text in old.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    rename, count = Path.rename, 0

    def once(self, target):
        nonlocal count
        count += 1
        if count == failing:
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else InputError):
        new_plugin("mine", place, overwrite=True)
    assert files_of(place) == old
    assert {path.name for path in place.iterdir()} == {"README.md", "pyproject.toml", "notes"}


def test_a_new_folder_is_absent_when_a_write_fails(place, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        new_plugin("mine", place / "new")
    assert list(place.iterdir()) == []
