"""A full disk, too little memory, folders that cannot be written or vanish, and two who write one name."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
from commands import ONE_FILE, WRITERS, content, hashes, hidden

from mpikit.models import load_model

OLD = b"what was there before"
LONGER = ("-p", "steps=40", "-p", "features=4", "-p", "batch=4", "-p", "evaluate_every=10")
CLEAR = {2, 3, 4, 5}


def is_clear(done) -> bool:
    return done["code"] in CLEAR and "error: " in done["err"] and "Traceback" not in done["err"]


@pytest.mark.parametrize("replacing", [False, True])
@pytest.mark.parametrize("limit", [pytest.param(0, marks=pytest.mark.soak), 1000])
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk(server, folder, name, limit, replacing):
    """No file may grow beyond some bytes, so that writing fails where a full disk would let it fail."""
    arguments, out = WRITERS[name]
    if replacing:
        (folder / out).write_bytes(OLD)
    before = hashes(folder)
    done = server.run(*arguments, "-o", out, "--force", folder=folder, file_size=limit)
    assert is_clear(done), done
    after = hashes(folder)
    assert {key: after[key] for key in before} == before
    assert replacing or not (folder / out).exists()
    assert hidden(folder) == []


@pytest.mark.parametrize("megabytes", [8, pytest.param(64, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", WRITERS)
def test_too_little_memory(server, folder, name, megabytes):
    """The process may take little more than it has when the command starts."""
    arguments, out = WRITERS[name]
    before = hashes(folder)
    done = server.run(*arguments, "-o", out, folder=folder, memory=megabytes << 20)
    assert done["code"] == 0 or is_clear(done), done
    if name in ("train", "denoise with a network") and megabytes == 8:
        assert done["code"] == 5
    after = hashes(folder)
    assert {key: after[key] for key in before} == before
    assert (folder / out).exists() == (done["code"] == 0)
    assert hidden(folder) == []


@pytest.mark.soak
def test_a_scan_that_does_not_fit(server, folder):
    many = ("simulate", "peng2023", "--phantom", "digits", "--count", "700", "-o", "many.mdf")
    assert server.run(*many, folder=folder)["code"] == 0
    before = hashes(folder)
    command = ("denoise", "-m", "low-rank", "many.mdf", "-o", "out.mdf")
    done = server.run(*command, folder=folder, memory=64 << 20)
    assert done["code"] == 5
    assert is_clear(done), done
    assert "memory" in done["err"]
    assert hashes(folder) == before
    assert hidden(folder) == []


@pytest.fixture
def sealed(tmp_path) -> Path:
    """Return a folder that nobody may write into, not even root."""
    if os.geteuid() == 0:
        return Path("/sys")
    made = tmp_path / "sealed"
    made.mkdir(mode=0o555)
    return made


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_is_read_only(server, folder, sealed, name):
    arguments, out = WRITERS[name]
    before = hashes(folder)
    done = server.run(*arguments, "-o", sealed / out, folder=folder)
    assert is_clear(done), done
    assert hashes(folder) == before
    assert out in done["err"]


@pytest.mark.parametrize("moment", [0.1, pytest.param(0.5, marks=pytest.mark.soak), 0.9])
@pytest.mark.parametrize("name", ONE_FILE)
def test_a_folder_that_vanishes(server, folder, name, moment):
    command = (*ONE_FILE[name], "-o", "gone/out.mdf")
    (folder / "gone").mkdir()
    whole = server.run(*command, folder=folder)
    assert whole["code"] == 0, whole["err"]
    shutil.rmtree(folder / "gone")
    before = hashes(folder)
    (folder / "gone").mkdir()

    def vanish():
        sleep(moment * whole["seconds"])
        shutil.rmtree(folder / "gone", ignore_errors=True)

    with ThreadPoolExecutor(1) as other:
        vanished = other.submit(vanish)
        done = server.run(*command, folder=folder)
        vanished.result()
    assert done["code"] == 0 or is_clear(done), done
    if moment == 0.1:  # long before there is a result to write
        assert done["code"] != 0
    assert hashes(folder) == before


# pairs of commands with different results
PAIRS = {
    "simulate": ((*ONE_FILE["simulate"], "--seed", "1"), (*ONE_FILE["simulate"], "--seed", "2")),
    "convert": (ONE_FILE["convert"], ("convert", "scan.mdf", "--frames", "1:9")),
    "denoise": (ONE_FILE["denoise"], ("denoise", "-m", "wiener", "scan.mdf")),
    "reconstruct": (ONE_FILE["reconstruct"], (*ONE_FILE["reconstruct"], "--lambda", "0.5")),
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_two_who_write_one_name(server, second_server, folder, name, force):
    """The name holds the whole output of one of them."""
    either = []
    for number, command in enumerate(PAIRS[name]):
        done = server.run(*command, "-o", f"alone{number}.mdf", folder=folder)
        assert done["code"] == 0, done["err"]
        either.append(content(folder / f"alone{number}.mdf"))
    assert either[0] != either[1]
    end = ("-o", "out.mdf", *(["--force"] if force else []))
    with ThreadPoolExecutor(2) as both:
        runs = [
            both.submit(each.run, *command, *end, folder=folder)
            for each, command in zip((server, second_server), PAIRS[name], strict=True)
        ]
        ended = [run.result() for run in runs]
    assert all(done["code"] == 0 or is_clear(done) for done in ended), ended
    assert any(done["code"] == 0 for done in ended)
    if not force:
        assert sorted(done["code"] for done in ended) == [0, 3]
    assert content(folder / "out.mdf") in either
    assert hidden(folder) == []


def test_two_who_train_one_model(server, second_server, folder):
    """The second is refused: both would write the same checkpoint."""
    command = ("train", "-m", "unet-gd", *LONGER, "scan.mdf", "-o", "out.safetensors")
    with ThreadPoolExecutor(2) as both:
        runs = [both.submit(each.run, *command, folder=folder) for each in (server, second_server)]
        ended = [run.result() for run in runs]
    assert sorted(done["code"] == 0 for done in ended) == [False, True], ended
    assert all(done["code"] == 0 or is_clear(done) for done in ended), ended
    load_model(folder / "out.safetensors")
    assert hidden(folder) == []
