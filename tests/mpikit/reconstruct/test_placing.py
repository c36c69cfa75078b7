"""Grids that cover several, or lie inside of several, and what stands where on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mdf
from mpikit.errors import InputError
from mpikit.reconstruct.placing import common_grid, joint_grid, moved_grid, onto, place


@st.composite
def moved_grids(draw):
    size = draw(st.tuples(*[st.integers(1, 5)] * 3))
    spacing = np.array(draw(st.tuples(*[st.sampled_from([1e-3, 1.5e-3, 2e-3])] * 3)))
    own = mdf.Grid(np.array(size), spacing * size, np.zeros(3))
    lengths = st.floats(-8e-3, 8e-3).map(lambda length: round(length, 6))
    shifts = draw(st.lists(st.tuples(lengths, lengths, lengths), min_size=1, max_size=4))
    return [moved_grid(own, np.array(shift)) for shift in shifts]


@given(moved_grids())
def test_the_joint_grid_covers_all_and_is_no_larger_than_it_has_to_be(grids):
    joint = joint_grid(grids)
    np.testing.assert_allclose(joint.spacing, grids[0].spacing)
    low = np.min([grid.center - grid.field_of_view / 2 for grid in grids], axis=0)
    high = np.max([grid.center + grid.field_of_view / 2 for grid in grids], axis=0)
    room = 0.0101 * joint.spacing  # the nodes of a patch may be moved so far
    assert np.all(joint.center - joint.field_of_view / 2 <= low + room)
    assert np.all(joint.center + joint.field_of_view / 2 >= high - room)
    assert np.all(joint.field_of_view < high - low + 2 * joint.spacing)
    first = place(grids[0], joint)
    assert first.regridding is None
    np.testing.assert_allclose(joint.positions()[first.columns], grids[0].positions(), atol=1e-9)


@given(moved_grids())
def test_columns_stand_where_their_voxels_are(grids):
    joint = joint_grid(grids)
    for grid in grids:
        placement = place(grid, joint)
        assert len(set(placement.columns.tolist())) == len(placement.columns)
        there = joint.positions()[placement.columns]
        if placement.regridding is None:
            np.testing.assert_allclose(there, grid.positions() + placement.moved, atol=1e-9)
        else:
            linear = grid.positions() @ np.array([1.0, 10.0, 100.0])
            found = placement.regridding(linear[None] * (1 + 0j))[0]
            single = np.where(grid.size == 1, grid.center, there)
            along = np.where(np.abs(placement.moved) > 0, there - placement.moved, single)
            np.testing.assert_allclose(found, along @ np.array([1.0, 10.0, 100.0]), atol=1e-6)


@given(st.lists(st.tuples(*[st.integers(2, 6)] * 3, *[st.integers(-3, 3)] * 3), min_size=1, max_size=3))
def test_the_common_grid_is_inside_of_all(shapes):
    grids = [
        mdf.Grid(np.array(shape[:3]), 1e-3 * np.array(shape[:3]), 5e-4 * np.array(shape[3:]))
        for shape in shapes
    ]
    low = np.max([grid.center - grid.field_of_view / 2 for grid in grids], axis=0)
    high = np.min([grid.center + grid.field_of_view / 2 for grid in grids], axis=0)
    if np.any(high - low < 1.9e-3):
        return
    common = common_grid(grids)
    np.testing.assert_allclose(common.spacing, 1e-3)
    assert np.all(common.center - common.field_of_view / 2 >= low - 1e-9)
    assert np.all(common.center + common.field_of_view / 2 <= high + 1e-9)
    assert np.all(common.field_of_view > high - low - 1e-3 - 1e-9)
    linear = np.array([1.0, 10.0, 100.0])
    for grid in grids:
        found = onto(grid, common)((grid.positions() @ linear)[None] * (1 + 0j))[0]
        np.testing.assert_allclose(found, common.positions() @ linear, atol=1e-9)
    assert common_grid([grids[0]] * 2).shape == grids[0].shape


def test_a_layer_stays_a_layer():
    plane = mdf.Grid(np.array([3, 2, 1]), np.array([3e-3, 2e-3, 1e-3]), np.zeros(3))
    thick = mdf.Grid(np.array([3, 2, 4]), np.array([3e-3, 2e-3, 8e-3]), np.array([0, 0, 1e-3]))
    common = common_grid([thick, plane])
    assert common.shape == (1, 2, 3)
    assert (common.field_of_view[2], common.center[2]) == (1e-3, 0)
    found = onto(thick, common)((thick.positions()[:, 2] + 0j)[None])[0]
    np.testing.assert_allclose(found, 0, atol=1e-12)
    beside = mdf.Grid(plane.size, plane.field_of_view, np.array([0, 0, 5e-3]))
    with pytest.raises(InputError, match="nothing in common along z"):
        common_grid([plane, beside])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e12])
def test_grids_that_cannot_be_joined_are_refused(wrong):
    one = mdf.Grid(np.array([5, 3, 2]), np.array([5e-3, 3e-3, 2e-3]), np.zeros(3))
    other = mdf.Grid(np.array([5, 3, 2]), np.array([5e-3, 3e-3, 2e-3]), np.array([0, wrong, 0]))
    with pytest.raises(InputError, match="cannot be joined along y"):
        joint_grid([one, other])
