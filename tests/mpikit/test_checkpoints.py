"""Checkpoints: bit for bit, atomic, bound to one training, never pickled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from mpikit.checkpoints import FORMAT, VERSION, FileCheckpoint
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


def test_a_full_disk_leaves_the_checkpoint_before(path):
    checkpoint = FileCheckpoint(path, ABOUT, resume=False)
    checkpoint.save(STATE)
    before = path.read_bytes()
    resource = pytest.importorskip("resource", reason="no limit on the size of a file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"the checkpoint .* cannot be written") as caught:
            checkpoint.save({"weight": np.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "--resume goes on from it" in caught.value.hint
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_gone(path, monkeypatch):
    checkpoint = FileCheckpoint(path.parent / "gone" / path.name, ABOUT, resume=False)
    with pytest.raises(InputError, match=r"the folder .* does not exist") as caught:
        checkpoint.save(STATE)
    assert caught.value.hint == "make room on the disk"  # nothing was saved before
    assert not Path(checkpoint.path).exists()
