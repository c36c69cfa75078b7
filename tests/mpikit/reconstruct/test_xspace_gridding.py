"""Spreading of samples to voxels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.reconstruct.gridding import covering_grid, spread_sums, spreading, touched, weighted_mean

GRID = Grid(np.array([7, 5, 3]), np.array([0.014, 0.005, 0.009]), np.array([1e-3, -2e-3, 3e-3]))


def inside(rng, count, grid=GRID):
    """Places between the centres of the outermost voxels."""
    span = grid.field_of_view - grid.spacing
    return grid.center + (rng.uniform(size=(count, 3)) - 0.5) * span


@given(seed=st.integers(0, 2**32 - 1))
def test_shares_add_up_and_keep_the_centre_of_gravity(seed):
    places = inside(np.random.default_rng(seed), 11)
    matrix = spreading(places, GRID, (0, 1, 2))
    assert matrix.shape == (105, 11)
    np.testing.assert_allclose(spread_sums(matrix.T, np.ones(105)), 1, rtol=1e-12)
    np.testing.assert_allclose(spread_sums(matrix.T, GRID.positions().T).T, places, atol=1e-12)
    assert matrix.data.min() >= 0


def test_a_sample_in_the_centre_of_a_voxel_goes_there_alone():
    matrix = spreading(GRID.positions()[[4, 61]], GRID, (0, 1, 2)).toarray()
    wanted = np.zeros((105, 2))
    wanted[4, 0] = wanted[61, 1] = 1
    np.testing.assert_allclose(matrix, wanted, atol=1e-9)


def test_along_other_axes_the_place_does_not_count(rng):
    flat = Grid(np.array([7, 1, 3]), np.array([0.014, 0.001, 0.009]), np.zeros(3))
    places = inside(rng, 9, flat)
    moved = places + np.array([0, 0.5, 0])
    np.testing.assert_array_equal(
        spreading(places, flat, (0, 2)).toarray(), spreading(moved, flat, (0, 2)).toarray()
    )


def test_samples_outside_are_lost():
    matrix = spreading(np.array([[0.1, 0, 0], [1e-3, -2e-3, 3e-3]]), GRID, (0, 1, 2))
    np.testing.assert_allclose(matrix.sum(axis=0), [0, 1])


def test_all_images_are_spread_at_once_as_one_by_one(rng):
    matrix, values = spreading(inside(rng, 40), GRID, (0, 1, 2)), rng.normal(size=(6, 40))
    together = spread_sums(matrix, values)
    assert together.shape == (6, 105)
    for one, value in zip(together, values, strict=True):
        np.testing.assert_allclose(one, matrix.toarray() @ value, atol=1e-12)


def test_the_mean_of_a_constant_is_the_constant(rng):
    places, weights = inside(rng, 4000), rng.uniform(1, 3, 4000)
    matrix = spreading(places, GRID, (0, 1, 2))
    total, weight = spread_sums(matrix, np.stack([weights, -2 * weights])), spread_sums(matrix, weights)
    means = weighted_mean(total, weight, GRID, (0, 1, 2))
    np.testing.assert_allclose(means[0], 1, rtol=1e-10)
    np.testing.assert_allclose(means[1], -2, rtol=1e-10)


def test_holes_on_a_line_are_filled_between_neighbours():
    line = Grid(np.array([6, 1, 1]), np.array([6.0, 1, 1]), np.zeros(3))
    weight = np.array([0, 2.0, 0, 4, 1, 1e-9])
    means = weighted_mean(np.array([[0, 2.0, 9, 12, 5, 1]]), weight, line, (0,))
    np.testing.assert_allclose(means, [[0, 1, 2, 3, 5, 0]])
    assert touched(weight, line).tolist() == [False, True, False, True, True, False]
    with pytest.raises(UsageError, match="no sample falls into the field of view of 6000 x 1000 x 1000 mm"):
        weighted_mean(np.zeros((1, 6)), np.zeros(6), line, (0,))


def test_a_grid_that_is_not_given_covers_the_samples(rng):
    places = rng.uniform(-1, 1, (5000, 3)) * [0.01, 0.02, 0] + [0, 0.005, 0.007]
    places[:2] = [[-0.01, -0.015, 0.007], [0.01, 0.025, 0.007]]
    grid = covering_grid(places, (0, 1))
    assert grid.size.tolist() == [50, 50, 1]
    np.testing.assert_allclose(grid.field_of_view, [0.02, 0.04, 0.0004])
    np.testing.assert_allclose(grid.center, [0, 0.005, 0.007], atol=1e-12)
    with pytest.raises(UsageError, match="3 voxels along z"):
        covering_grid(places, (0, 1), size=(9, 9, 3))
