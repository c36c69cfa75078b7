"""Calibrations: the path, the matrix and its signal-to-noise ratio."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.simulate.calibrations import calibrate, robot_path, snr, system_matrix
from mpikit.simulate.phantoms import dots
from mpikit.simulate.presets import preset
from mpikit.simulate.signals import signals


@pytest.fixture
def scanner():
    return preset("openmpi-2d")


def white(clean, *, frame_index, sampling_rate, drive_field, rng):
    return rng.normal(0, 1e-6, clean.shape)


def test_a_phantom_on_the_grid_is_a_combination_of_the_matrix(scanner):
    grid = scanner.calibration.grid((19, 17))
    phantom = dots(grid, concentration=0.07)
    matrix = system_matrix(scanner, grid, concentration=0.1)
    assert matrix.shape == (19 * 17, 2, 1632)
    combined = np.tensordot(phantom.images.reshape(-1) / 0.1, matrix, 1)
    clean = signals(scanner, phantom)[0]
    np.testing.assert_allclose(combined, clean, atol=1e-6 * np.abs(clean).max())


def test_path_of_a_small_grid():
    grid = Grid(np.array([3, 2, 1]), np.ones(3), np.zeros(3))
    foreground, background = robot_path(grid)
    np.testing.assert_array_equal(background, [0, 4, 8])
    np.testing.assert_array_equal(foreground, [1, 2, 3, 7, 6, 5])


@given(st.tuples(*[st.integers(1, 5)] * 3))
def test_path_moves_by_one_voxel(size):
    grid = Grid(np.array(size), np.array(size, float), np.zeros(3))
    foreground, background = robot_path(grid)
    order = np.concatenate([foreground, background])
    np.testing.assert_array_equal(np.sort(order), np.arange(len(order)))
    assert len(background) == size[1] * size[2] + 1
    assert (background[0], background[-1]) == (0, len(order) - 1)
    visited = grid.positions()[np.argsort(foreground)]
    np.testing.assert_allclose(np.abs(np.diff(visited, axis=0)).sum(axis=1), 1)


def test_calibration_is_in_grid_order_with_its_noise(scanner, rng):
    grid = scanner.calibration.grid((5, 4))
    steps = []
    made = calibrate(scanner, grid, concentration=0.1, noise=[white], rng=rng, tell=steps.append)
    matrix = system_matrix(scanner, grid, concentration=0.1)
    scan = made.scan
    assert scan.signal.shape == (20, 1, 2, 1632)
    assert scan.background.shape == (5, 1, 2, 1632)
    assert np.std(scan.signal[:, 0] - matrix) == pytest.approx(1e-6, rel=0.01)
    assert np.std(scan.background) == pytest.approx(1e-6, rel=0.02)
    assert steps[-1].index == steps[-1].total == 20


def test_a_calibration_needs_noise(scanner, rng):
    grid = scanner.calibration.grid((3, 2))
    with pytest.raises(UsageError, match="no signal-to-noise ratio"):
        calibrate(scanner, grid, concentration=0.1, noise=[], rng=rng)


def test_snr_of_known_frames():
    empty = np.array([1, 3, 1, 3, 1, 3, 1, 3], complex).reshape(8, 1, 1, 1) * np.array([1, 2j])
    filled = np.array([2 + 6, 2 - 6j], complex).reshape(2, 1, 1, 1) * np.array([1, 2j])
    # The mean background is 2, steps are 2: places differ by 6 and by abs(-6j).
    np.testing.assert_allclose(snr(filled, empty), np.full((1, 1, 2), 3.0))


def test_snr_of_noise_alone(rng):
    noise = rng.normal(size=(600, 2, 3, 40, 2)) @ [1, 1j]
    ratio = snr(noise[:300], noise[300:])
    assert ratio.shape == (2, 3, 40)
    assert np.mean(ratio) == pytest.approx(1 / np.sqrt(2), rel=0.01)


def test_snr_without_noise_is_refused():
    with pytest.raises(UsageError, match="infinite"):
        snr(np.ones((3, 1, 1, 4), complex), np.zeros((2, 1, 1, 4), complex))
