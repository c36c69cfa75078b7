"""Point samples and dilution series: where they are seen, how bright, and what averaging would do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdf import Grid
from mpikit.errors import InputError
from mpikit.metrics import averages_to_reach, dose_linearity, locate, nrmse, position_errors

GRID = Grid(np.array([6, 4, 1]), np.array([12e-3, 4e-3, 1e-3]), np.array([1e-3, 0.0, 0.0]))


def images(count):
    return np.zeros((count, *GRID.shape))


# --- positions -------------------------------------------------------------------------------------------


def test_every_voxel_is_found_at_its_place():
    each = np.eye(24).reshape(24, *GRID.shape)
    for place in ("maximum", "centroid"):
        np.testing.assert_allclose(locate(each, GRID, place=place), GRID.positions())


def test_the_centroid_is_finer_than_a_voxel():
    """Two voxels of 3 : 2; a third below half of the maximum does not count."""
    image = images(1)
    image[0, 0, 2, 1:4] = 3.0, 2.0, 1.4
    x = GRID.positions().reshape(*GRID.shape, 3)[0, 2, :, 0]
    np.testing.assert_allclose(locate(image, GRID, place="centroid")[0, 0], (3 * x[1] + 2 * x[2]) / 5)
    assert locate(image, GRID)[0, 0] == pytest.approx(x[1])


def test_errors_in_the_plane_only():
    """A wrong z of a flat grid does not count; the leading axes broadcast."""
    image = images(2)
    image[:, 0, 1, 2] = 1
    true = GRID.positions().reshape(*GRID.shape, 3)[0, 1, 2] + [3e-3, -4e-3, 7e-3]
    found = position_errors(np.stack([image, image, image]), true, GRID)
    assert found.errors.shape == (3, 2)
    np.testing.assert_allclose(found.errors, 5e-3)
    np.testing.assert_allclose(found.spacing, [2e-3, 1e-3, 1e-3])
    assert (found.mean, found.deviation) == (pytest.approx(5e-3), pytest.approx(0, abs=1e-12))


def test_what_shows_nothing_counts_as_half_the_field_of_view():
    shown = images(5)
    shown[1] = 2.0
    shown[2] = -1.0
    shown[2, 0, 0, 0] = -0.5
    shown[3, 0, 0, 0] = np.nan
    shown[4, 0, 0, 0] = 1
    found = position_errors(shown, GRID.positions()[0], GRID)
    np.testing.assert_array_equal(found.failed, [True, True, True, True, False])
    np.testing.assert_allclose(found.errors, [6e-3, 6e-3, 6e-3, 6e-3, 0])
    assert np.isnan(locate(shown, GRID)[:4]).all()


def test_images_of_another_grid():
    with pytest.raises(ValueError, match="on a grid of"):
        locate(np.zeros((1, 6, 4)), GRID)


# --- images ----------------------------------------------------------------------------------------------


def test_normalised_error_by_hand(rng):
    wanted = rng.random((3, 2, 5, 4))
    np.testing.assert_allclose(nrmse(0 * wanted, wanted), 1)
    np.testing.assert_allclose(nrmse(0.7 * wanted, wanted), 0.3)
    assert np.isnan(nrmse(wanted, 0 * wanted)).all()
    with pytest.raises(ValueError, match="must both be"):
        nrmse(wanted[0], wanted)


# --- dose ------------------------------------------------------------------------------------------------

SERIES = np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.3])


def test_proportional_figures():
    found = dose_linearity(SERIES, 7 * SERIES)
    assert (found.slope, found.gain) == (pytest.approx(1), pytest.approx(7))
    assert (found.r2_log, found.r2_origin) == (pytest.approx(1), pytest.approx(1))
    np.testing.assert_array_equal(found.decades, [-3, -2, -1])
    np.testing.assert_allclose(found.deviations, 0, atol=1e-12)


def test_a_power_of_the_dose():
    """A straight line in the logarithms that is not proportional: the weak ones are lost."""
    found = dose_linearity(SERIES, SERIES**1.5)
    assert (found.slope, found.r2_log) == (pytest.approx(1.5), pytest.approx(1))
    assert found.r2_origin < 0.98
    assert np.all(np.diff(found.deviations) > 0.1)
    assert found.deviations[0] < -0.8


def test_emptied_samples_have_no_logarithm():
    values = np.where(SERIES < 0.005, 0, 2 * SERIES)
    found = dose_linearity(SERIES, values)
    assert found.left_out == 2
    assert (found.slope, found.deviations[0]) == (pytest.approx(1), -1)
    nothing = dose_linearity(SERIES, 0 * SERIES)
    assert np.isnan([nothing.slope, nothing.r2_log, nothing.r2_origin]).all()


def test_series_that_are_none():
    with pytest.raises(InputError, match="2 values of 3 concentrations"):
        dose_linearity([1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="not above 0"):
        dose_linearity([0, 2], [1, 2])
    with pytest.raises(InputError, match="two different concentrations"):
        dose_linearity([2, 2], [1, 2])


# --- averages --------------------------------------------------------------------------------------------


@given(st.floats(1, 250))
def test_averaging_of_white_noise(count):
    """An error that falls with the root of the count is met at that count, between the measured ones too."""
    counts = np.array([1, 2, 5, 16, 40, 256])
    assert averages_to_reach(3 * count**-0.5, counts, 3 * counts**-0.5) == pytest.approx(count)


def test_the_first_crossing_and_the_ends():
    assert averages_to_reach(0.5, [1, 2, 4, 8], [1, 0.5, 0.9, 0.1]) == 2
    assert averages_to_reach(2.0, [4, 8], [1, 0.5]) == 4
    assert averages_to_reach(0.3, [1, 8], [1, 0.5]) == np.inf


@pytest.mark.parametrize("counts", [[1, 2], [2, 1, 3], [0, 1, 2], []])
def test_counts_that_make_no_curve(counts):
    with pytest.raises(ValueError, match=r"expected as many|must ascend"):
        averages_to_reach(0.1, counts, [0.3, 0.2, 0.1])
