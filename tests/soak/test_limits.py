"""A full disk, too little memory, folders that cannot be written or vanish, and two who write one name."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
from commands import ONE_FILE, WRITERS, content, hashes

OLD = b"what was there before"
CLEAR = {2, 3, 4, 5}


def is_clear(done) -> bool:
    return done["code"] in CLEAR and "error: " in done["err"] and "Traceback" not in done["err"]


@pytest.mark.parametrize("replacing", [False, True])
@pytest.mark.parametrize("limit", [0, 1000])
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
    assert not [path for path in folder.iterdir() if "partial" in path.name], "something half written is left"


@pytest.mark.parametrize("megabytes", [8, 64])
@pytest.mark.parametrize("name", WRITERS)
def test_too_little_memory(server, folder, name, megabytes):
    """The process may take little more than it has when the command starts."""
    arguments, out = WRITERS[name]
    before = hashes(folder)
    done = server.run(*arguments, "-o", out, folder=folder, memory=megabytes << 20)
    assert done["code"] == 0 or is_clear(done), done
    after = hashes(folder)
    assert {key: after[key] for key in before} == before
    assert (folder / out).exists() == (done["code"] == 0)
    assert not [path for path in folder.iterdir() if "partial" in path.name]


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


@pytest.mark.parametrize("moment", [0.1, 0.5, 0.9])
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
    assert hashes(folder) == before or (folder / "gone" / "out.mdf").exists()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ONE_FILE)
def test_two_who_write_one_name(server, second_server, folder, name, force):
    command = (*ONE_FILE[name], "-o", "out.mdf", *(["--force"] if force else []))
    with ThreadPoolExecutor(2) as both:
        runs = [both.submit(each.run, *command, folder=folder) for each in (server, second_server)]
        ended = [run.result() for run in runs]
    assert all(done["code"] == 0 or is_clear(done) for done in ended), ended
    assert any(done["code"] == 0 for done in ended)
    if not force:
        assert sorted(done["code"] for done in ended) == [0, 3]
    once = server.run(*ONE_FILE[name], "-o", "once.mdf", folder=folder)
    assert once["code"] == 0
    assert content(folder / "out.mdf") == content(folder / "once.mdf")
    assert not [path for path in folder.iterdir() if "partial" in path.name]
