"""No command changes a file that it reads, and none takes an input for its output."""

from __future__ import annotations

import pytest
from commands import TINY, WRITERS, hashes

READERS = {
    "info": ("info", "scan.mdf"),
    "validate": ("validate", "scan.mdf", "frame.mdf", "sm.mdf"),
    "noise": ("noise", "scan.mdf", "--json"),
}


def stamps(folder):
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}


@pytest.mark.parametrize("name", WRITERS)
def test_inputs_are_the_same_afterwards(server, folder, name):
    arguments, out = WRITERS[name]
    before, times = hashes(folder), stamps(folder)
    done = server.run(*arguments, "-o", out, folder=folder)
    assert done["code"] == 0, done["err"]
    assert (folder / out).stat().st_size > 0
    after = hashes(folder)
    assert {key: after[key] for key in before} == before
    now = stamps(folder)
    assert {key: now[key] for key in times} == times


@pytest.mark.parametrize("name", READERS)
def test_what_only_looks_writes_nothing(server, folder, name):
    before, times = hashes(folder), stamps(folder)
    done = server.run(*READERS[name], folder=folder)
    assert done["code"] in {0, 3}, done["err"]
    left = {key: value for key, value in hashes(folder).items() if not key.endswith(".png")}
    assert left == before
    assert {key: stamps(folder)[key] for key in times} == times


LINKS = ["itself", "symbolic link", "hard link", "link to a link", "another spelling"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", [name for name, (line, _) in WRITERS.items() if line[0] != "simulate"])
def test_an_output_that_is_an_input_is_refused(server, folder, name, link):
    arguments, out = WRITERS[name]
    source = next(word for word in arguments if word.endswith(".mdf"))
    if link == "itself":
        out = source
    elif link == "another spelling":
        (folder / "sub").mkdir()
        out = f"sub/../{source}"
    elif link == "hard link":
        (folder / out).hardlink_to(folder / source)
    else:
        (folder / "first.mdf").symlink_to(folder / source)
        out = f"x{out}"
        (folder / out).symlink_to(folder / ("first.mdf" if link == "link to a link" else source))
    before = hashes(folder)
    done = server.run(*arguments, "-o", out, "--force", folder=folder)
    assert done["code"] in {2, 3}, done
    assert done["err"].startswith("error: ") or "\nerror: " in done["err"]
    assert hashes(folder) == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("option", ["--save-model", "--model"])
def test_a_model_is_an_input_too(server, folder, option):
    made = server.run("train", "-m", "unet-gd", *TINY, "scan.mdf", "-o", "m.safetensors", folder=folder)
    assert made["code"] == 0, made["err"]
    before = hashes(folder)
    line = {
        "--save-model": ("-m", "low-rank", "--save-model", "scan.mdf", "-o", "new.mdf"),
        "--model": ("--model", "m.safetensors", "-o", "m.safetensors"),
    }[option]
    done = server.run("denoise", "scan.mdf", *line, "--force", folder=folder)
    assert done["code"] in {2, 3}, done
    assert "error: " in done["err"]
    assert hashes(folder) == before
