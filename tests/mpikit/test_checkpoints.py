"""Checkpoints: bit for bit, atomic, bound to one training, never pickled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from safetensors.numpy import save

from mpikit import checkpoints
from mpikit.checkpoints import FORMAT, VERSION, FileCheckpoint, only_one
from mpikit.errors import InputError, PluginError

ABOUT = {
    "method": "net",
    "options": {"steps": 4, "alpha": 0.5},
    "seed": 3,
    "inputs": {"a.mdf": "11", "b.mdf": "22"},
}
STATE = {
    "weight": np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
    "step": np.array(7),
    "rng": np.arange(200, dtype=np.uint8),
    "flags": np.array([True, False]),
    "spectrum": np.array([1 + 2j], np.complex64),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors.checkpoint"


def test_what_is_saved_comes_back_bit_for_bit(path):
    begun = FileCheckpoint(path, ABOUT, resume=False)
    assert begun.load() is None
    begun.save({"old": np.zeros(2)})
    begun.save(STATE)
    back = FileCheckpoint(path, ABOUT, resume=True).load()
    assert back.keys() == STATE.keys()
    for name, value in STATE.items():
        assert back[name].dtype == value.dtype
        np.testing.assert_array_equal(back[name], value)
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name]


def test_a_training_that_starts_anew_does_not_see_the_old_state(path):
    FileCheckpoint(path, ABOUT, resume=False).save(STATE)
    assert FileCheckpoint(path, ABOUT, resume=False).load() is None
    FileCheckpoint(path, ABOUT, resume=False).remove()
    assert not path.exists()
    FileCheckpoint(path, ABOUT, resume=False).remove()  # nothing to remove is no error


def test_nothing_to_resume(path):
    with pytest.raises(InputError, match="there is no checkpoint") as caught:
        FileCheckpoint(path, ABOUT, resume=True)
    assert "leave --resume out" in caught.value.hint


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"method": "box"}, "its method is 'net', now it is 'box'"),
        ({"seed": 4}, "its seed is 3, now it is 4"),
        ({"options": {"steps": 5, "alpha": 0.5}}, "its steps is 4, now it is 5"),
        ({"inputs": {"a.mdf": "11"}}, r"other files \(b.mdf was changed, added or left out\)"),
        ({"inputs": {"a.mdf": "11", "b.mdf": "23"}}, "other files"),
        ({"repeats": ["frames"]}, "its repeats is None"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(path, other, words):
    FileCheckpoint(path, ABOUT, resume=False).save(STATE)
    with pytest.raises(InputError, match=words) as caught:
        FileCheckpoint(path, ABOUT | other, resume=True)
    assert "--force" in caught.value.hint
    assert FileCheckpoint(path, ABOUT, resume=True).load() is not None


GOOD = {"format": FORMAT, "format_version": str(VERSION), "about": json.dumps(ABOUT)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01x\x94.",
        save(STATE),
        save(STATE, metadata=GOOD)[:-3],
        save(STATE, metadata=GOOD | {"format": "mpikit-model"}),
        save(STATE, metadata=GOOD | {"format_version": "2"}),
        save(STATE, metadata=GOOD | {"about": "[1]"}),
        save(STATE, metadata=GOOD | {"about": "{"}),
    ],
    ids=range(9),
)
def test_files_that_are_no_checkpoint(path, content):
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors\.checkpoint cannot be read") as caught:
        FileCheckpoint(path, ABOUT, resume=True)
    assert caught.value.hint == "--force starts the training anew"
    assert path.read_bytes() == content


def test_a_good_file_made_by_hand_is_read(path):
    """Those that are refused above differ from it in one thing each."""
    path.write_bytes(save({"step": np.array(7)}, metadata=GOOD))
    assert FileCheckpoint(path, ABOUT, resume=True).load() == {"step": 7}


@pytest.mark.parametrize("value", [np.array([object()]), "text", {"a": 1}, None])
def test_only_arrays_of_numbers_are_kept(path, value):
    checkpoint = FileCheckpoint(path, ABOUT, resume=False)
    checkpoint.save(STATE)
    before = path.read_bytes()
    with pytest.raises(PluginError, match="holds 'odd', which is no array of numbers"):
        checkpoint.save({"fine": np.zeros(2), "odd": value})
    assert path.read_bytes() == before


@contextmanager
def full_disk(size):
    resource = pytest.importorskip("resource", reason="no limit on the size of a file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_checkpoint_before_and_is_warned_of_once(path):
    told = []
    checkpoint = FileCheckpoint(path, ABOUT, resume=False, tell=told.append)
    with full_disk(50_000):
        checkpoint.save({"weight": np.zeros(100_000)})
    assert not checkpoint.is_kept
    checkpoint.save(STATE)
    before = path.read_bytes()
    with full_disk(50_000):
        checkpoint.save({"weight": np.zeros(100_000)})
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    (event,) = told
    assert (
        "the training goes on, but an interruption would lose what was learnt since its start" in event.text
    )
    told.clear()
    with full_disk(50_000):
        FileCheckpoint(path, ABOUT, resume=True, tell=told.append).save({"weight": np.zeros(100_000)})
    assert "since the checkpoint before, which is still there" in told[0].text
    assert FileCheckpoint(path, ABOUT, resume=True).load().keys() == STATE.keys()


def test_a_folder_that_is_gone(path):
    told = []
    checkpoint = FileCheckpoint(path.parent / "gone" / path.name, ABOUT, resume=False, tell=told.append)
    checkpoint.save(STATE)
    assert not checkpoint.is_kept
    assert "does not exist; the training goes on" in told[0].text


def test_what_the_digits_depend_on_is_warned_of(path):
    made = {"mpikit": "1.0", "torch": "2.9", "device": "cpu"}
    FileCheckpoint(path, ABOUT, resume=False, made_with=made).save(STATE)
    told = []
    FileCheckpoint(path, ABOUT, resume=True, made_with=made, tell=told.append)
    assert told == []
    other = made | {"mpikit": "1.1", "device": "cuda"}
    found = FileCheckpoint(path, ABOUT, resume=True, made_with=other, tell=told.append)
    name = path.name
    assert [event.text for event in told] == [
        f"{name} was made with {words}: not bit for bit as without the interruption"
        for words in (
            "mpikit 1.0, it goes on with mpikit 1.1",
            "device cpu, it goes on with device cuda",
        )
    ]
    assert found.load().keys() == STATE.keys()
    path.write_bytes(save({"step": np.array(7)}, metadata=GOOD))  # one that does not say
    FileCheckpoint(path, ABOUT, resume=True, made_with=made, tell=told.append)
    assert len(told) == 2


# --- one at a time ---------------------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from mpikit.checkpoints import only_one
with only_one(Path(sys.argv[1]), of="m"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_and_a_killed_one_leaves_the_place(tmp_path):
    lock = tmp_path / ".m.lock"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="m is being trained by another process") as caught, held(lock):
            pass
        assert "--output" in caught.value.hint
        assert lock.exists()  # it is that of the other one
    finally:
        other.kill()
        other.communicate()
    assert lock.exists()
    with held(lock):
        assert lock.exists()
    assert not lock.exists()


def held(lock):
    return only_one(lock, of="m")


def hold_and_break(lock):
    with pytest.raises(InputError, match="by another process"), held(lock):
        pass
    raise ValueError("it broke")


def test_the_place_is_left_after_an_error_too(tmp_path):
    lock = tmp_path / ".m.lock"
    for _ in range(2):
        with pytest.raises(ValueError, match="it broke"), held(lock):
            hold_and_break(lock)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["symbolic link", "dangling link", "hard link", "long", "text", "folder", "pipe"]
)
def test_what_is_no_lock_is_left_alone(tmp_path, kind):
    lock, other = tmp_path / ".m.lock", tmp_path / "scan.mdf"
    content = {"long": b"1" * 21, "text": b"12 34"}.get(kind, b"123")
    other.write_bytes(content)
    if kind == "symbolic link":
        lock.symlink_to(other)
    elif kind == "dangling link":
        lock.symlink_to(tmp_path / "absent.mdf")
    elif kind == "hard link":
        lock.hardlink_to(other)
    elif kind == "folder":
        lock.mkdir()
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.write_bytes(content)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match=r"\.m\.lock") as caught, held(lock):
        pass
    assert caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert other.read_bytes() == content
    if lock.is_file():
        assert lock.read_bytes() == content


def test_a_link_that_appears_before_opening_is_not_followed(tmp_path, monkeypatch):
    lock, other = tmp_path / ".m.lock", tmp_path / "scan.mdf"
    other.write_bytes(b"123")
    lock.symlink_to(other)
    monkeypatch.setattr(type(lock), "is_symlink", lambda _: False)
    with pytest.raises(InputError, match="cannot be written"), held(lock):
        pass
    assert other.read_bytes() == b"123"


def test_the_lock_says_who_holds_it(tmp_path):
    lock = tmp_path / ".m.lock"
    lock.write_bytes(b"4194304000")  # of a process that was killed
    with held(lock):
        assert lock.read_bytes() == str(os.getpid()).encode()


def test_a_file_that_is_removed_between_opening_and_locking(tmp_path, monkeypatch):
    """The lock of a removed file holds nobody back: it is tried again."""
    lock, hold, tries = tmp_path / ".m.lock", checkpoints._hold, []

    def late(handle):
        tries.append(handle)
        if len(tries) == 1:
            lock.unlink()
        hold(handle)

    monkeypatch.setattr(checkpoints, "_hold", late)
    with held(lock):
        assert len(tries) == 2
        assert lock.exists()


def test_without_locks_nothing_is_refused(tmp_path, monkeypatch):
    def no_locks(handle):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(checkpoints, "_hold", no_locks)
    with held(tmp_path / ".m.lock"):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="does not exist"), held(tmp_path / "gone" / ".m.lock"):
        pass
