"""Compressed calibrations; scipy's transforms are the judge."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn, idctn

import mdf
from mdf import spec
from mdf.sparsity import cosines, transform

SIZE = [4, 3, 2]


@pytest.mark.parametrize(("kind", "name"), list(enumerate(spec.TRANSFORMATIONS, start=1)))
def test_all_four_are_scipy_orthonormal_transforms(rng, kind, name):
    values = rng.normal(size=(2, 24)) + 1j * rng.normal(size=(2, 24))
    grid = values.reshape(2, 2, 3, 4)
    for inverse, judge in ((False, dctn), (True, idctn)):
        expected = judge(grid, kind, axes=(1, 2, 3), norm="ortho").reshape(2, 24)
        np.testing.assert_allclose(transform(values, name, (2, 3, 4), inverse=inverse), expected, atol=1e-12)
    matrix = cosines(name, 7)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(7), atol=1e-12)


def test_axes_of_length_one_are_left_out(rng):
    values = rng.normal(size=24)
    expected = dctn(values.reshape(6, 4), 1, norm="ortho").reshape(-1)
    np.testing.assert_allclose(transform(values, "DCT-I", (6, 1, 4)), expected, atol=1e-12)


@given(name=st.sampled_from(spec.TRANSFORMATIONS), length=st.integers(1, 40))
def test_every_matrix_is_orthonormal(name, length):
    matrix = cosines(name, length)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(length), atol=1e-12)


@pytest.mark.parametrize("name", ["DCT-V", "dct-ii", ""])
def test_a_transformation_that_the_standard_does_not_have(rng, name):
    with pytest.raises(ValueError, match=f"the transformation is '{name}', expected one of DCT-I, DCT-II"):
        transform(rng.normal(size=24), name, (4, 6))


def compressed(rng, *, order="xyz", kept=5, **changes):
    """A calibration with 24 positions and 2 empty frames, of which 5 coefficients are kept."""
    lengths = [SIZE["xyz".index(letter)] for letter in reversed(order)]
    places = np.stack([rng.permutation(24)[:kept] for _ in range(12)]).reshape(1, 2, 6, kept)
    coefficients = np.zeros((1, 2, 6, 24), complex)
    values = rng.normal(size=places.shape) + 1j * rng.normal(size=places.shape)
    np.put_along_axis(coefficients, places, values, axis=-1)
    grid = idctn(coefficients.reshape(1, 2, 6, *lengths), 4, axes=(3, 4, 5), norm="ortho")
    empty = rng.normal(size=(1, 2, 6, 2)) + 0j
    frames = np.concatenate([grid.reshape(1, 2, 6, 24), empty], axis=-1)
    nodes = {
        "/measurement/data": np.concatenate([values, empty], axis=-1),
        "/measurement/isFourierTransformed": np.int8(1),
        "/measurement/isFastFrameAxis": np.int8(1),
        "/measurement/isSparsityTransformed": np.int8(1),
        "/measurement/sparsityTransformation": "DCT-IV",
        "/measurement/subsamplingIndices": (places + 1).astype(np.int32),
        "/measurement/isBackgroundFrame": np.array([0] * 24 + [1] * 2, np.int8),
        "/acquisition/numFrames": 26,
        "/acquisition/gradient": None,
        "/acquisition/offsetField": None,
        "/calibration/method": "robot",
        "/calibration/size": SIZE,
        "/calibration/order": order,
        **changes,
    }
    return nodes, np.moveaxis(frames, -1, 0)


@pytest.mark.parametrize("order", ["xyz", "zxy"])
def test_a_compressed_file(made, rng, order):
    nodes, frames = compressed(rng, order=order)
    with mdf.open(made(nodes)) as file:
        np.testing.assert_allclose(file.read_signal(), frames, atol=1e-12)
        np.testing.assert_allclose(file.read_signal([25, 3]), frames[[25, 3]], atol=1e-12)
        rows = file.system_matrix.rows([[0, 1, 4], [0, 0, 2]], order="stored")
        np.testing.assert_allclose(rows, [frames[:24, 0, 1, 4], frames[:24, 0, 0, 2]], atol=1e-12)
        contents = file.contents()
    assert contents["/measurement/isSparsityTransformed"] is False
    assert "/measurement/subsamplingIndices" not in contents


def test_frames_that_are_counted_as_coefficients(made, rng):
    """Converted files have numFrames and isBackgroundFrame of B + E, and a permutation of O + E."""
    sigma = rng.permutation(26)
    nodes, frames = compressed(rng)
    nodes |= {
        "/acquisition/numFrames": 7,
        "/measurement/isBackgroundFrame": np.array([0] * 5 + [1] * 2, np.int8),
        "/measurement/isFramePermutation": np.int8(1),
        "/measurement/framePermutation": sigma + 1,
        "/version": "2.0.1",
    }
    with mdf.open(made(nodes)) as file:
        assert file.num_frames == 26
        np.testing.assert_allclose(file.read_signal()[sigma], frames, atol=1e-12)
        np.testing.assert_array_equal(np.flatnonzero(file.is_background), np.sort(sigma[24:]))
        found = {(repair.rule, repair.path) for repair in file.repairs}
        assert ("M04", "/measurement/isBackgroundFrame") in found
        assert ("M05", "/acquisition/numFrames") in found


def test_the_flag_as_a_bit_field(made, rng):
    nodes, frames = compressed(rng)
    path = made(nodes)
    with h5py.File(path, "r+") as hdf:
        del hdf["/measurement/isSparsityTransformed"]
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        flag = h5py.h5d.create(hdf["measurement"].id, b"isSparsityTransformed", h5py.h5t.STD_B8LE, space)
        flag.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(1, np.uint8), h5py.h5t.NATIVE_B8)
    with mdf.open(path) as file:
        np.testing.assert_allclose(file.read_signal(), frames, atol=1e-12)
        assert ("F09", "/measurement/isSparsityTransformed") in {(r.rule, r.path) for r in file.repairs}


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ("sparsityTransformation", "DCT-V"),
        ("sparsityTransformation", None),
        ("subsamplingIndices", None),
        ("subsamplingIndices", np.zeros((1, 2, 6, 5), np.int32)),
        ("subsamplingIndices", np.full((1, 2, 6, 5), 25)),
        ("subsamplingIndices", np.full((1, 2, 6, 5), 3)),
        ("subsamplingIndices", np.ones((1, 2, 5, 5), np.int32)),
        ("subsamplingIndices", np.ones((1, 2, 6, 5))),
        ("isFastFrameAxis", np.int8(0)),
        ("isBackgroundFrame", np.array([1] * 2 + [0] * 24, np.int8)),
    ],
)
def test_what_cannot_be_restored(made, rng, node, value):
    nodes, _ = compressed(rng, **{f"/measurement/{node}": value})
    with mdf.open(made(nodes)) as file, pytest.raises(mdf.MdfError, match="/measurement"):
        file.read_signal()


def test_a_compressed_file_needs_its_grid(made, rng):
    nodes, _ = compressed(rng, **{"/calibration/size": None})
    with mdf.open(made(nodes)) as file, pytest.raises(mdf.MdfError, match="/calibration/size"):
        file.read_signal()


def test_a_compressed_file_needs_an_order_of_axes(made, rng):
    nodes, _ = compressed(rng, **{"/calibration/order": "xyy"})
    with (
        mdf.open(made(nodes)) as file,
        pytest.raises(mdf.MdfError, match=r"/calibration/order .*it is 'xyy', expected the letters"),
    ):
        file.read_signal()
