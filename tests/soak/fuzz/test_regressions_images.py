"""What fuzzing has found in pictures, arrays and images, each as small as it gets."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from fuzz.test_regressions import npy

from mpikit.errors import InputError


def test_only_the_wanted_arrays_are_read(tmp_path):
    """A reconstruction of 7 MB held a gigabyte of zeros, of which only the history was wanted."""
    from mpikit.plain_arrays import read_arrays

    path = tmp_path / "a.npz"
    np.savez_compressed(path, history=np.array("[]"), images=np.zeros(10**6))
    assert set(read_arrays(path, only=("history",), largest=10**4)) == {"history"}
    with pytest.raises(ValueError, match="unfolds to"):
        read_arrays(path, largest=10**4)


@pytest.mark.parametrize("text", [np.array(3.0), np.array(["a", "b"]), np.zeros((3, 4)), None])
def test_a_history_that_is_no_text(tmp_path, text):
    from mpikit.reconstruct.outputs import stored_history

    path = tmp_path / "a.npz"
    np.savez(path, **({} if text is None else {"history": text}))
    with pytest.raises(InputError, match="damaged"):
        stored_history(path)


@pytest.mark.parametrize("count", [1, 3])
def test_sets_of_digits_that_are_too_large_together(tmp_path, monkeypatch, count):
    from mpikit.simulate.phantoms import mnist

    for index in range(count):
        raw = struct.pack(">4I", 0x803, 2, 28, 28) + bytes([index]) * 784 + bytes([index + 9]) * 784
        (tmp_path / f"{index}-images-idx3-ubyte").write_bytes(raw)
    monkeypatch.setattr(mnist, "LARGEST", 784)
    with pytest.raises(InputError, match="has 2 pictures, expected 1 at most"):
        mnist.read_digits(tmp_path / "0-images-idx3-ubyte")
    monkeypatch.setattr(mnist, "LARGEST", 4 * 784)
    if count == 1:
        assert len(mnist.read_digits(tmp_path)) == 2
        return
    with pytest.raises(InputError, match="expected 4 at most"):
        mnist.read_digits(tmp_path)


def test_an_array_that_is_next_to_nothing_on_the_disk(tmp_path):
    from mpikit.simulate.phantoms.pictures import LARGEST, file_size

    path = tmp_path / "a.npy"
    shape = (1024, LARGEST // 1024 + 1)
    header = npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}")
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(len(header) + LARGEST + 1024)
    with pytest.raises(InputError, match="million values"):
        file_size(path)


@pytest.mark.parametrize("ending", ["npy", "png"])
def test_one_row_without_end(tmp_path, ending):
    """To bring it to a grid took gigabytes: a weight for each of its values and each of the grid."""
    from PIL import Image

    from mpikit.simulate.phantoms.pictures import LONGEST, file_size

    path = tmp_path / f"a.{ending}"
    row = np.ones((1, LONGEST + 1), np.uint8)
    if ending == "npy":
        np.save(path, row)
    else:
        Image.fromarray(row).save(path)
    with pytest.raises(InputError, match="along one side"):
        file_size(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".gif", ".npz"])
@pytest.mark.filterwarnings("error")
def test_images_with_damaged_headers(tmp_path, capfd, suffix):
    """nibabel and Pillow have errors of their own, and nibabel says some on stderr."""
    import logging

    from fuzz.images import made

    from mpikit.reconstruct.outputs import stored_history

    path, refused = tmp_path / f"a{suffix}", 0
    for place in range(60):
        raw = bytearray(made(suffix))
        raw[place] ^= 0xFF
        path.write_bytes(raw)
        try:
            stored_history(path)
        except InputError:
            refused += 1
    assert refused > 0
    assert capfd.readouterr().err == ""
    assert logging.getLogger("nibabel.global").level != logging.CRITICAL


def test_a_picture_of_images_with_too_many_dots(tmp_path):
    """Pillow raised DecompressionBombError."""
    from fuzz.images import made

    from mpikit.reconstruct.outputs import stored_history

    path = tmp_path / "a.gif"
    raw = bytearray(made(".gif"))
    raw[6:10] = b"\xff" * 4
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged"):
        stored_history(path)
