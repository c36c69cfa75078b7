"""Calibrations: the path, the matrix and its signal-to-noise ratio."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.simulate.calibrations import CalibrationRun, SignalToNoise, calibrate, robot_path, system_matrix
from mpikit.simulate.phantoms import dots
from mpikit.simulate.presets import preset
from mpikit.simulate.signals import Signals


@pytest.fixture
def scanner():
    return preset("openmpi-2d")


def white(clean, *, frame_index, sampling_rate, drive_field, rng):
    return rng.normal(0, 1e-6, clean.shape)


def test_a_phantom_on_the_grid_is_a_combination_of_the_matrix(scanner):
    grid = scanner.calibration.grid((19, 17))
    phantom = dots(grid, concentration=0.07)
    matrix = system_matrix(scanner, grid, concentration=0.1)
    assert matrix.shape == (19 * 17, 1, 2, 1632)
    combined = np.tensordot(phantom.images.reshape(-1) / 0.1, matrix, 1)
    clean = Signals(scanner, grid).of(phantom)[0]
    np.testing.assert_allclose(combined, clean, atol=1e-6 * np.abs(clean).max())


def snr(places, empty, at_once=3):
    """In pieces of some frames."""
    ratio = SignalToNoise()
    for start in range(0, len(empty), at_once):
        ratio.add_background(empty[start : start + at_once])
    ratio.check()
    for start in range(0, len(places), at_once):
        ratio.add_places(places[start : start + at_once])
    return ratio.ratio()


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
    assert np.std(scan.signal - matrix) == pytest.approx(1e-6, rel=0.01)
    assert np.std(scan.background) == pytest.approx(1e-6, rel=0.02)
    assert [step.index for step in steps] == [1, 2]
    assert steps[-1].total == 2


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


def test_noise_of_a_calibration_refers_to_all_its_places(scanner, rng, monkeypatch):
    """The mean power is that of the whole grid, whatever block is drawn."""
    told = []

    class Noise:
        def begin(self, *, power, **_):
            told.append(power)
            return white

        def __call__(self, *_, **__):
            raise AssertionError("the noise that was begun is drawn")

    monkeypatch.setattr("mpikit.simulate.calibrations._BLOCK", 3 * 2 * 1632)
    grid = scanner.calibration.grid((5, 4))
    run = CalibrationRun(scanner, grid, concentration=0.1, noise=[Noise()], rng=rng)
    run.prepare()
    matrix = system_matrix(scanner, grid, concentration=0.1)
    np.testing.assert_allclose(told[0], np.mean(matrix**2, axis=(0, 1, 3)), rtol=1e-9)
    assert (run.filled_blocks, run.blocks) == (7, 7 + 2)
    assert len(run.draw(6).volts) == 2
    assert len(run.draw(8).volts) == 2


@pytest.mark.parametrize("name", ["openmpi-1d", "openmpi-3d"])
def test_one_and_three_dimensions(name, rng):
    chosen = preset(name)
    grid = chosen.calibration.grid((3, 1, 1) if name == "openmpi-1d" else (3, 2, 2), (0.012, 0.008, 0.006))
    made = calibrate(chosen, grid, concentration=0.1, noise=[white], rng=rng)
    assert made.scan.signal.shape == (int(np.prod(grid.size)), 1, 3, chosen.samples)
    assert len(made.scan.background) == int(np.prod(grid.size[1:])) + 1
