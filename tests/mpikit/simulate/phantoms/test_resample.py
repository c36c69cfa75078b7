"""Resampling keeps the amount of tracer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.simulate.phantoms.resample import averaging, resample

sizes = st.integers(1, 40)


@given(size=sizes, cells=sizes)
def test_means_and_amounts_are_kept(size, cells):
    matrix = averaging(size, cells)
    assert matrix.shape == (size, cells)
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    np.testing.assert_allclose(matrix.sum(axis=0), size / cells)


@given(size=sizes, cells=sizes, shift=st.floats(-2, 2))
def test_what_moves_out_is_lost(size, cells, shift):
    matrix, whole = averaging(size, cells, shift), averaging(size, cells)
    assert matrix.min() >= 0
    assert np.all(matrix.sum(axis=0) <= whole.sum(axis=0) + 1e-9)
    if abs(shift) >= 1:
        assert not matrix.any()


@given(cells=sizes, steps=st.integers(0, 5))
def test_whole_cells_move_exactly(cells, steps):
    matrix = averaging(cells, cells, steps / cells)
    np.testing.assert_allclose(matrix, np.eye(cells, k=-steps), atol=1e-9)


def test_a_straight_line_stays_one():
    values = averaging(24, 6) @ np.arange(6.0)
    places = (np.arange(24) + 0.5) / 4 - 0.5
    np.testing.assert_allclose(values[3:-3], places[3:-3])
    np.testing.assert_allclose(values[[0, -1]], [0, 5])


def test_an_axis_of_its_own_size_is_not_touched(make_grid, rng):
    images = rng.random((2, 3, 5, 4))
    assert resample(images, make_grid((4, 5, 3), (4, 5, 3)), (0, 0, 0)) is images
    wider = resample(images, make_grid((8, 5, 3), (4, 5, 3)), (0, 0, 0))
    np.testing.assert_allclose(wider.reshape(2, 3, 5, 4, 2).mean(axis=-1).sum(), images.sum())
    np.testing.assert_allclose(wider @ np.ones(8), 2 * images @ np.ones(4))


@pytest.mark.parametrize(("shift", "axis"), [((1, 0, 0), 3), ((0, 1, 0), 2), ((0, 0, 1), 1)])
def test_axes_move_on_their_own(make_grid, rng, shift, axis):
    images = rng.random((2, 3, 5, 4))
    moved = resample(images, make_grid((4, 5, 3), (4000, 5000, 3000)), shift)
    expected = np.roll(images, 1, axis)
    np.moveaxis(expected, axis, 0)[0] = 0
    np.testing.assert_allclose(moved, expected, atol=1e-12)
