"""Few directions that hold the clean signals, found in noisy ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.signal import LowRankFilter, fit_line_gains, fit_low_rank, fit_noise2noise, shrink_matrix
from mpikit.signal.lowrank import (
    clean_power,
    largest_of_noise,
    noise_of_singular_values,
    principal_directions,
    shrink_singular_values,
)


def low_rank_signals(rng, count, size=40, powers=(300.0, 40.0, 6.0)):
    """Clean vectors, and the covariance that they are drawn from."""
    directions = np.linalg.qr(rng.normal(size=(size, len(powers))))[0]
    clean = rng.normal(size=(count, len(powers))) * np.sqrt(powers) @ directions.T
    return clean, (directions * powers) @ directions.T


def error(estimate, clean):
    return np.mean((estimate - clean) ** 2)


@given(count=st.integers(1, 30), size=st.integers(1, 30), seed=st.integers(0, 50))
def test_principal_directions_of_any_shape(count, size, seed):
    samples = np.random.default_rng(seed).normal(size=(count, size))
    directions, values = principal_directions(samples)
    assert directions.shape == (size, len(values))
    np.testing.assert_allclose(directions.T @ directions, np.eye(len(values)), atol=1e-8)
    np.testing.assert_allclose((directions * values) @ directions.T, samples.T @ samples / count, atol=1e-8)
    assert np.all(np.diff(values) <= 1e-9)


@pytest.mark.parametrize("shrinkage", ["optimal", "edge"])
def test_the_best_linear_filter_is_found_in_noisy_vectors(rng, shrinkage):
    """Within 2 % of the filter that knows the covariance; gains are between 0 and 1."""
    clean, covariance = low_rank_signals(rng, 3000)
    found = fit_low_rank(clean + rng.normal(size=clean.shape) / 2**0.5, 0.5, shrinkage=shrinkage)
    assert found.rank == 3
    gains = np.linalg.norm(found.left, axis=0)
    assert np.all((gains > 0) & (gains < 1))
    np.testing.assert_allclose(gains, [300 / 301, 40 / 41, 6 / 7], atol=0.02)
    noisy = clean + rng.normal(size=clean.shape)
    best = np.linalg.solve(covariance + np.eye(40), covariance)
    assert error(found(noisy), clean) < 1.02 * error(noisy @ best, clean)


@pytest.mark.parametrize(("count", "size"), [(1, 50), (50, 1), (20, 60), (60, 20)])
def test_the_largest_eigenvalue_of_noise(rng, count, size):
    """One of a hundred is larger than the limit, about."""
    noise = rng.normal(size=(3000, count, size))
    largest = np.linalg.norm(noise, ord=2, axis=(1, 2)) ** 2 / count
    assert 0.003 < np.mean(largest > largest_of_noise(count, size)) < 0.025


@pytest.mark.parametrize(("count", "size"), [(400, 60), (60, 400)])
def test_noise_has_no_component(rng, count, size):
    found = fit_low_rank(0.3 * rng.normal(size=(count, size)), 0.09)
    assert found.rank <= 1
    assert np.abs(found(rng.normal(size=(5, size)))).max() < 0.2


def test_the_power_that_lies_in_the_direction_found(rng):
    """For few vectors, the spiked model tells the clean power along the direction, the edge too much."""
    truth, guesses, naive = [], [], []
    for _ in range(200):
        direction = np.zeros(80)
        direction[0] = 1
        clean = rng.normal(size=(100, 1)) * 2 * direction
        directions, values = principal_directions(clean + rng.normal(size=(100, 80)))
        truth.append(4 * directions[0, 0] ** 2)
        guesses.append(clean_power(values, 1.0, shape=(100, 80))[0])
        naive.append(clean_power(values, 1.0, shape=(100, 80), shrinkage="edge")[0])
    assert np.mean(guesses) == pytest.approx(np.mean(truth), rel=0.05)
    assert np.mean(naive) > 1.5 * np.mean(truth)


def test_principal_components_beat_lines_on_low_rank_data(rng):
    clean, _ = low_rank_signals(rng, 500)
    means = clean + rng.normal(size=clean.shape) / 2**0.5
    noisy = clean + rng.normal(size=clean.shape)
    lines, components = fit_line_gains(means, 0.5), fit_low_rank(means, 0.5)
    assert np.all((lines.gains >= 0) & (lines.gains <= 1))
    assert error(components(noisy), clean) < 0.5 * error(lines(noisy), clean)


def test_gains_of_lines():
    """Power 3 and 0 over noise 1: three quarters pass, and nothing."""
    means = np.array([[np.sqrt(3.5), 0.5], [-np.sqrt(3.5), -0.5]])
    np.testing.assert_allclose(fit_line_gains(means, 0.5).gains, [3 / 4, 0])


# --- Noise2Noise -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [2, 3])
def test_noise2noise_is_the_wiener_filter(rng, repeats):
    """A linear-Gaussian toy: W = Cs (Cs + Cn)^-1 to a hundredth, with other noise on each line."""
    clean, covariance = low_rank_signals(rng, 100_000, size=6, powers=(3.0, 1.0))
    level = np.array([1, 0.5, 2, 1, 0.7, 1.5])
    views = clean[:, None] + rng.normal(size=(100_000, repeats, 6)) * np.sqrt(level)
    found = fit_noise2noise([views])
    expected = np.linalg.solve(covariance + np.diag(level), covariance)  # acts from the right
    np.testing.assert_allclose(found(np.eye(6)), expected, atol=0.01)
    # views that are twice as noisy as what will be filtered
    half = fit_noise2noise([views], variance=2.0)
    expected = np.linalg.solve(covariance + np.diag(level) / 2, covariance)
    np.testing.assert_allclose(half(np.eye(6)), expected, atol=0.01)


def test_noise2noise_of_groups_with_other_numbers_of_views(rng):
    clean, covariance = low_rank_signals(rng, 60_000, size=6, powers=(3.0, 1.0))
    first = clean[:40_000, None] + rng.normal(size=(40_000, 2, 6))
    second = clean[40_000:, None] + rng.normal(size=(20_000, 5, 6))
    found = fit_noise2noise([first, second])
    expected = np.linalg.solve(covariance + np.eye(6), covariance)
    np.testing.assert_allclose(found(np.eye(6)), expected, atol=0.02)


def test_noise2noise_with_fewer_views_than_coefficients(rng):
    clean, _ = low_rank_signals(rng, 30, size=500, powers=(3e3, 8e2))
    noisy = clean + rng.normal(size=clean.shape)
    found = fit_noise2noise([clean[:, None] + rng.normal(size=(30, 2, 500))])
    assert 1 <= found.rank <= 4
    assert error(found(noisy), clean) < 0.15


def test_noise2noise_of_many_views_of_few_signals(rng):
    clean, _ = low_rank_signals(rng, 40, size=1300, powers=(3e4,))
    views = clean[:, None] + rng.normal(size=(40, 20, 1300))
    found = fit_noise2noise([views])
    assert found.rank == 1
    assert error(found(views[:, 0]), clean) < 0.01


def test_nothing_to_learn_from(rng):
    assert fit_noise2noise([np.zeros((4, 2, 0))])(np.zeros((3, 0))).shape == (3, 0)
    assert fit_low_rank(np.zeros((4, 0)), 1.0)(np.zeros((3, 0))).shape == (3, 0)
    assert fit_noise2noise([np.zeros((4, 2, 3))]).rank == 0
    assert fit_low_rank(np.zeros((4, 3)), 1.0).rank == 0


def test_state_round_trip(rng):
    found = LowRankFilter(rng.normal(size=(3, 7)).T, rng.normal(size=(7, 3)))
    back = LowRankFilter.restore(found.state())
    x = rng.normal(size=(2, 5, 7))
    np.testing.assert_array_equal(back(x), found(x))
    np.testing.assert_allclose(found(x), x @ found.right @ found.left.T)


# --- singular values -------------------------------------------------------------------------------------


def test_the_shrinkage_of_singular_values():
    """A square matrix: sqrt(y^2 - 4) for y in units of the square root of its side."""
    values = 100**0.5 * np.array([5, 3, 2.0001, 1.9, 0])
    expected = 100**0.5 * np.array([21**0.5, 5**0.5, (2.0001**2 - 4) ** 0.5, 0, 0])
    np.testing.assert_allclose(shrink_singular_values(values, rows=100, columns=100), expected, rtol=1e-6)
    wide = shrink_singular_values(values, rows=20, columns=100)
    np.testing.assert_array_equal(wide, shrink_singular_values(values, rows=100, columns=20))


@pytest.mark.parametrize("shape", [(60, 200), (200, 60), (90, 90)])
@pytest.mark.parametrize("rank", [0, 3])
def test_the_level_of_the_noise_of_a_matrix(rng, shape, rank):
    signal = 4 * rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))
    values = np.linalg.svd(signal + 0.7 * rng.normal(size=shape), compute_uv=False)
    found = noise_of_singular_values(values, rows=shape[0], columns=shape[1])
    assert found == pytest.approx(0.7, rel=0.04)


@pytest.mark.parametrize("shape", [(60, 200), (200, 60)])
@pytest.mark.parametrize("noise", [0.7, None])
def test_a_matrix_of_low_rank_in_noise(rng, shape, noise):
    signal = 4 * rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1]))
    found, rank = shrink_matrix(signal + 0.7 * rng.normal(size=shape), noise)
    assert rank == 2
    freedom = 2 * (sum(shape) - 2) / np.prod(shape)
    assert error(found, signal) == pytest.approx(0.49 * freedom, rel=0.2)
    same, rank = shrink_matrix(signal, 0.0)
    assert rank == 2
    np.testing.assert_array_equal(same, signal)
