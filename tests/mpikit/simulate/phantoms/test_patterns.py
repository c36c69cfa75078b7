"""Patterns scaled to the field of view: what they show, and where."""

import numpy as np
import pytest
from scipy.ndimage import label

from mpikit.simulate.phantoms import bars, dots, point, shepp_logan, smile, vessels


def test_dots_are_where_they_are_said_to_be(grid, at):
    phantom = dots(grid, concentration=0.2)
    assert phantom.images.shape == (1, 1, 48, 60)
    for x, y, share in ((-6, -6, 1), (6, -4, 0.5), (0, 0, 0.8), (6, 6, 1), (-8, 6, 0.25)):
        assert at(phantom, x + 0.1, y + 0.1) == pytest.approx(0.2 * share)
    assert at(phantom, 3, 3) == 0


@pytest.mark.parametrize("count", [48, 96])
def test_amount_of_tracer_does_not_depend_on_the_voxels(count, make_grid, amount):
    phantom = dots(make_grid((count, count, 1), (24, 24, 1)), concentration=1.0)
    disc = np.pi * 0.001**2 * 0.001 * 1e3  # 1 mm radius, 1 mm thick
    assert amount(phantom) == pytest.approx(disc * (1 + 0.5 + 0.8 + 1 + 0.25), rel=0.03)


def test_smile_has_two_eyes_above_a_mouth(grid, at):
    phantom = smile(grid, concentration=0.1)
    for x, y in ((-4.3, 4.3), (4.3, 4.3), (0, -6.2), (-5.5, -3.5), (5.5, -3.5)):
        assert at(phantom, x, y) == pytest.approx(0.1)
    for x, y in ((0, 0), (0, 4.3), (0, 8), (0, -10)):
        assert at(phantom, x, y) == 0
    np.testing.assert_allclose(phantom.images, phantom.images[..., ::-1], atol=1e-12)


@pytest.mark.parametrize("pattern", [dots, smile])
def test_patterns_follow_a_grid_that_is_elsewhere(pattern, make_grid, amount):
    here, there = make_grid((30, 40, 1), (24, 20, 1)), make_grid((30, 40, 1), (24, 20, 1), (5, -3, 2))
    images = [pattern(grid, concentration=0.1).images for grid in (here, there)]
    np.testing.assert_allclose(*images, atol=1e-12)


@pytest.mark.parametrize("size", [(60, 48, 1), (31, 47, 5), (200, 200, 1)])
def test_the_bars_have_their_area_on_every_grid(size, make_grid, amount):
    phantom = bars(make_grid(size, (24, 20, 3)), concentration=0.5)
    # Each of 4 widths: two squares with a side of 5 widths, 3/5 of which is filled; ±1 is 24 and 20 mm.
    area = sum(2 * 3 / 5 * (5 * width) ** 2 for width in (0.12, 0.08, 0.06, 0.04)) / 4
    assert amount(phantom) == pytest.approx(0.5 * area * 24 * 20 * 3e-6, rel=1e-9)


def test_upright_bars_are_above_level_ones(make_grid, at):
    phantom = bars(make_grid((240, 240, 1), (24, 24, 1)), concentration=0.1)
    row = [at(phantom, x, 5.45) for x in np.arange(-10.75, 11, 0.1)]
    column = [at(phantom, -9, y) for y in np.arange(-11.95, 0, 0.1)]
    assert label(np.array(row) > 0.05)[1] == 12
    assert label(np.array(column) > 0.05)[1] == 3
    assert at(phantom, -10, 5) == pytest.approx(0.1)  # 1.44 mm wide
    assert at(phantom, -8.64, 5) == 0


def test_the_head_of_shepp_and_logan_is_upright(grid, amount, at):
    phantom = shepp_logan(grid, concentration=0.1)
    assert at(phantom, 0, 10.9) > 0.09  # the skull
    assert at(phantom, 0, 4.2) == pytest.approx(0.03, abs=1e-3)  # the upper one of the large ellipses
    assert at(phantom, -2.8, 0) == pytest.approx(0, abs=1e-3)  # a ventricle
    assert at(phantom, 11, 11) == 0
    fine = shepp_logan(
        phantom.grid.__class__(np.array([400, 400, 1]), grid.field_of_view, grid.center), concentration=0.1
    )
    assert amount(phantom) == pytest.approx(amount(fine), rel=1e-9)


def test_a_point_is_one_voxel(make_grid):
    grid = make_grid((5, 4, 3), (10, 8, 6))
    image = point(grid, concentration=0.2, centre=(2.4e-3, -0.9e-3, 2.2e-3)).images[0]
    assert image[2, 1, 3] == 0.2
    assert np.count_nonzero(image) == 1
    corner = point(grid, concentration=0.2, centre=(5e-3, 4e-3, -3e-3)).images[0]
    assert corner[0, 3, 4] == 0.2


def test_flat_vessels_are_one_tree_as_high_as_the_slice(grid, make_grid):
    image = vessels(grid, concentration=1.0, rng=np.random.default_rng(4)).images[0]
    _, parts = label(image[0] > 0, np.ones((3, 3)))
    assert parts == 1
    assert image.max() == 1
    thick = make_grid((60, 48, 1), (24, 24, 5))
    np.testing.assert_allclose(
        vessels(thick, concentration=1.0, rng=np.random.default_rng(4)).images[0], image, atol=0.02
    )


def test_vessels_differ_with_the_seed_and_fill_the_field_of_view(grid):
    images = [
        vessels(grid, concentration=1.0, rng=np.random.default_rng(seed)).images[0, 0] for seed in (1, 2)
    ]
    assert not np.array_equal(*images)
    for image in images:
        columns, rows = np.flatnonzero(image.any(axis=0)), np.flatnonzero(image.any(axis=1))
        assert np.ptp(columns) > 0.8 * 60
        assert np.ptp(rows) > 0.8 * 48


def test_vessels_spread_in_a_volume(volume):
    image = vessels(volume, concentration=1.0, rng=np.random.default_rng(1)).images[0]
    _, parts = label(image > 0, np.ones((3, 3, 3)))
    assert parts == 1
    heights = np.flatnonzero(image.any(axis=(1, 2)))
    assert np.ptp(heights) > 0.75 * 18
    assert np.count_nonzero(image) < 0.1 * image.size


def test_vessels_taper_towards_their_tips(make_grid):
    grid = make_grid((200, 200, 1), (24, 24, 1))
    image = vessels(grid, concentration=1.0, rng=np.random.default_rng(2)).images[0, 0]
    rows = np.flatnonzero(image.any(axis=1))
    trunk = image[rows[0] + 15].sum()  # voxels
    assert trunk == pytest.approx(2 * 0.07 * 100, rel=0.15)
    labels, _ = label(image[rows[-1] - 6] > 0)
    assert np.max(np.bincount(labels)[1:]) < 0.75 * trunk
