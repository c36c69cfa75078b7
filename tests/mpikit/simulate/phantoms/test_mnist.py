"""Files of digits: every form that MNIST comes in, and files that are wrong."""

import gzip
import struct

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.simulate.phantoms.mnist import read_digits


def digits(count, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def idx(pictures, *, magic=0x803, shape=None):
    return struct.pack(">4I", magic, *(shape or pictures.shape)) + pictures.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx(tmp_path, pack):
    (tmp_path / "digits").write_bytes(pack(idx(digits(5))))
    np.testing.assert_array_equal(read_digits(tmp_path / "digits"), digits(5))


def test_a_folder_in_the_order_of_names(tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(digits(4, 1))))
    (tmp_path / "t10k-images.idx3-ubyte").write_bytes(idx(digits(3, 2)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 4) + bytes(4))
    np.testing.assert_array_equal(read_digits(tmp_path), np.concatenate([digits(3, 2), digits(4, 1)]))


def test_npz_in_the_order_of_names(tmp_path):
    labels = np.zeros(3, np.uint8)
    arrays = {"x_train": digits(4, 1), "x_test": digits(3, 2), "y_test": labels}
    np.savez(tmp_path / "mnist.npz", **arrays)
    np.testing.assert_array_equal(
        read_digits(tmp_path / "mnist.npz"), np.concatenate([digits(3, 2), digits(4, 1)])
    )


def test_a_picture_that_is_there_twice_is_taken_once(tmp_path):
    (tmp_path / "images-idx3").write_bytes(idx(digits(4)))
    (tmp_path / "images-idx3.gz").write_bytes(gzip.compress(idx(digits(4))))
    np.testing.assert_array_equal(read_digits(tmp_path), digits(4))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "starts with 0x00000000, expected 0x00000803"),
        (struct.pack(">2I", 0x801, 9) + bytes(9), "starts with 0x00000801, expected 0x00000803"),
        (idx(digits(2), shape=(2, 14, 56)), "14 x 56 pixels, expected 28 x 28"),
        (idx(digits(2), shape=(3, 28, 28)), "1568 bytes of pixels, expected 2352 for 3 pictures"),
        (idx(digits(2), shape=(2**32 - 1, 28, 28)), "1568 bytes of pixels"),
        (idx(digits(2)) + b"x", "1569 bytes of pixels, expected 1568"),
        (idx(digits(0)), "holds no digits"),
        (gzip.compress(idx(digits(2)))[:-30], "damaged gzip"),
        (b"\x1f\x8b" + bytes(40), "damaged gzip"),
        (b"PK" + bytes(40), "no NPZ file"),
    ],
    ids=lambda each: each if isinstance(each, str) else f"{len(each)} bytes",  # gzip holds the time
)
def test_wrong_files(tmp_path, content, words):
    path = tmp_path / "digits"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_digits(path)


def test_wrong_arrays(tmp_path):
    path = tmp_path / "digits.npz"
    np.savez(path, digits(2).astype(float), np.zeros(5, np.uint8))
    with pytest.raises(InputError, match="no array of bytes"):
        read_digits(path)
    np.savez(path, np.array([{"a": 1}], object))
    with pytest.raises(InputError, match="no NPZ file of plain arrays"):
        read_digits(path)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_digits(tmp_path / "digits")
    with pytest.raises(InputError, match=r"has no file \*images\*idx3\*"):
        read_digits(tmp_path)
