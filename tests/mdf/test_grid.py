from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from mdf.grid import Grid, stored_index


def grid(order: str = "xyz") -> Grid:
    size = np.array([4, 3, 2])
    return Grid(size, np.array([0.04, 0.06, 0.01]), np.array([0.001, -0.002, 0.003]), order)


def test_centres_lie_half_a_voxel_inside_the_field_of_view():
    square = Grid(np.array([44, 44, 1]), np.array([0.044, 0.044, 0.001]), np.zeros(3))
    positions = square.positions()
    np.testing.assert_allclose(positions[0], [-0.0215, -0.0215, 0])
    np.testing.assert_allclose(positions[43], [0.0215, -0.0215, 0])
    np.testing.assert_allclose(positions[-1], [0.0215, 0.0215, 0])


def test_positions_are_x_fastest_and_reshape_to_z_y_x():
    positions = grid().positions().reshape(*grid().shape, 3)
    assert grid().shape == (2, 3, 4)
    np.testing.assert_allclose(np.diff(positions[..., 0], axis=2), 0.01)
    np.testing.assert_allclose(np.diff(positions[..., 1], axis=1), 0.02)
    np.testing.assert_allclose(np.diff(positions[..., 2], axis=0), 0.005)
    np.testing.assert_allclose(positions.mean((0, 1, 2)), grid().center)


@pytest.mark.parametrize("order", ["".join(letters) for letters in permutations("xyz")])
def test_every_order_of_the_axes(order):
    size = {"x": 4, "y": 3, "z": 2}
    slow_to_fast = order[::-1]
    stored = [  # what a scanner writes that moves the first axis of `order` fastest
        dict(zip(slow_to_fast, place, strict=True))
        for place in product(*(range(size[axis]) for axis in slow_to_fast))
    ]
    index = stored_index([4, 3, 2], order)
    x_fastest = [(z, y, x) for z in range(2) for y in range(3) for x in range(4)]
    assert [(stored[i]["z"], stored[i]["y"], stored[i]["x"]) for i in index] == x_fastest
    np.testing.assert_array_equal(grid(order).stored_index(), index)


def test_nearest_finds_every_voxel_and_nothing_outside():
    positions = grid().positions()
    jitter = 0.4 * grid().spacing * np.array([1, -1, 1])
    np.testing.assert_array_equal(grid().nearest(positions + jitter), np.arange(24))
    np.testing.assert_array_equal(grid().nearest(np.array([[1.0, 0, 0], [0, -1.0, 0]])), [-1, -1])


def test_extent_in_millimetres():
    np.testing.assert_allclose(grid().extent_mm, [[-19, 21], [-32, 28], [-2, 8]])
