from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.reconstruct import kaczmarz, uncertainty
from mpikit.reconstruct.solvers import cgls, tikhonov, tikhonov_operator
from mpikit.reconstruct.uncertainty import bootstrap_deviation, linear_deviation, simulated_deviation


def spectra(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def sweeps(matrix, *, positive, real=True, iterations=3, lambda_=0.1):
    def solve(data):
        return kaczmarz(
            matrix,
            data,
            lambda_=lambda_,
            iterations=iterations,
            enforce_real=real,
            enforce_positive=positive,
        )

    return solve


def test_the_identity_passes_the_noise_on(rng):
    noise = np.array([0.5, 2.0, 0.0, 1.0])
    np.testing.assert_allclose(linear_deviation(lambda data: data, noise, rng=rng), noise)
    real = linear_deviation(lambda data: data.real, noise, rng=rng)
    np.testing.assert_allclose(real, noise / 2**0.5)


@pytest.mark.parametrize("real", [True, False])
def test_orthogonal_columns_have_a_closed_form(rng, real):
    """R = A^H / (a² + λ): every voxel has sigma a / (a² + λ), over the root of 2 for real images."""
    stacked = np.linalg.qr(rng.normal(size=(14, 5)))[0]
    matrix = 3 * ((stacked[:7] + 1j * stacked[7:]) if real else np.linalg.qr(spectra(rng, 7, 5))[0])

    def solve(data):
        return tikhonov(matrix, data, lambda_=2.0, relative=False, enforce_real=real)

    expected = 0.4 * 3 / (9 + 2) / (2 if real else 1) ** 0.5
    np.testing.assert_allclose(linear_deviation(solve, np.full(7, 0.4), rng=rng), expected)


@pytest.mark.parametrize("block", [3, 256])
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("shape", [(11, 6), (5, 8)])
def test_it_is_that_of_the_closed_operator(rng, shape, real, block, monkeypatch):
    monkeypatch.setattr(uncertainty, "BLOCK", block)
    matrix, noise = spectra(rng, *shape), rng.uniform(0.1, 2, shape[0])
    options = {"lambda_": 0.05, "weights": rng.uniform(0.5, 2, shape[0]), "enforce_real": real}
    found = linear_deviation(lambda data: tikhonov(matrix, data, **options), noise, rng=rng)
    operator = tikhonov_operator(matrix, **options)
    np.testing.assert_allclose(found, operator.standard_deviation(noise), rtol=1e-9)


@pytest.mark.parametrize("real", [True, False])
def test_a_few_sweeps_against_many_draws(rng, real):
    matrix, noise = spectra(rng, 9, 6), rng.uniform(0.1, 2, 9)
    solve = sweeps(matrix, positive=False, real=real)
    drawn = noise[:, None] * spectra(rng, 9, 20000) / 2**0.5
    images = solve(3 * spectra(rng, 9, 1) + drawn)
    np.testing.assert_allclose(linear_deviation(solve, noise, rng=rng), images.std(axis=1, ddof=1), rtol=0.03)


def test_many_sweeps_come_to_the_closed_form(rng):
    matrix, noise = spectra(rng, 9, 6), rng.uniform(0.1, 2, 9)
    many = sweeps(matrix, positive=False, iterations=60, lambda_=1.0)
    expected = tikhonov_operator(matrix, lambda_=1.0).standard_deviation(noise)
    np.testing.assert_allclose(linear_deviation(many, noise, rng=rng), expected, rtol=1e-5)
    few = sweeps(matrix, positive=False, iterations=1, lambda_=1.0)
    # few sweeps are another operator
    assert np.abs(linear_deviation(few, noise, rng=rng) / expected - 1).max() > 0.05


def test_single_precision(rng):
    matrix, noise = spectra(rng, 9, 6), rng.uniform(0.1, 2, 9)
    double = linear_deviation(sweeps(matrix, positive=False), noise, rng=rng)
    single = linear_deviation(sweeps(matrix.astype(np.complex64), positive=False), noise, rng=rng)
    np.testing.assert_allclose(single, double, rtol=1e-5)


def test_solvers_that_are_not_linear_are_refused(rng):
    matrix, noise = spectra(rng, 9, 6), rng.uniform(0.1, 2, 9)

    def few_steps(data):
        return cgls(matrix, data, lambda_=0.1, iterations=2, tolerance=0)

    for solve in (sweeps(matrix, positive=True), few_steps, lambda data: data.real + 1):
        with pytest.raises(UsageError, match="not linear"):
            linear_deviation(solve, noise, rng=rng)


@settings(max_examples=20, deadline=None)
@given(st.floats(-6, 6), st.integers(0, 2**32 - 1))
def test_noise_has_no_scale(power, seed):
    rng = np.random.default_rng(seed)
    matrix, noise = spectra(rng, 7, 5), rng.uniform(0.1, 2, 7)
    solve = sweeps(matrix, positive=False)
    once = linear_deviation(solve, noise, rng=rng)
    np.testing.assert_allclose(linear_deviation(solve, 10**power * noise, rng=rng), 10**power * once)


@pytest.mark.parametrize("frames", [2, 3, 12])
def test_bootstrap_of_the_mean_has_a_closed_form(rng, frames):
    """The standard deviation of a mean: s / sqrt(N), with s² of denominator N - 1."""
    data = rng.uniform(0.1, 5, (7, 1)) * spectra(rng, 7, frames) + 3
    found = bootstrap_deviation(lambda data: data, data, rng=rng, resamples=8000)
    np.testing.assert_allclose(found, data.std(axis=1, ddof=1) / frames**0.5, rtol=0.04)
    real = bootstrap_deviation(lambda data: data.real, data, rng=rng, resamples=8000)
    np.testing.assert_allclose(real, data.real.std(axis=1, ddof=1) / frames**0.5, rtol=0.04)


def test_bootstrap_of_a_linear_solver_is_the_noise_of_the_mean(rng):
    matrix, noise = spectra(rng, 9, 6), rng.uniform(0.1, 2, 9)
    solve = sweeps(matrix, positive=False)
    data = 5 + noise[:, None] * spectra(rng, 9, 400) / 2**0.5
    found = bootstrap_deviation(solve, data, rng=rng, resamples=2000)
    np.testing.assert_allclose(found, linear_deviation(solve, noise / 20, rng=rng), rtol=0.12)


def test_bootstrap_of_positive_images_against_repeated_measurements(rng):
    matrix = spectra(rng, 9, 6)
    clean = matrix @ np.array([2.0, 0.0, 1.0, 0.0, 3.0, 1.0])
    solve = sweeps(matrix, positive=True)

    def frames(*count):
        return clean.reshape(-1, *[1] * len(count)) + spectra(rng, 9, *count)

    expected = solve(frames(2000, 50).mean(axis=-1)).std(axis=1)
    found = [bootstrap_deviation(solve, frames(50), rng=rng) for _ in range(30)]
    bright = [0, 2, 4, 5]
    np.testing.assert_allclose(np.mean(found, axis=0)[bright], expected[bright], rtol=0.1)


def test_what_all_frames_share_is_drawn(rng):
    """Equal frames have the shared noise alone; beside noise of their own the squares add."""
    shared = np.array([0.5, 2.0, 0.0])
    equal = np.repeat(spectra(rng, 3, 1), 4, axis=1)
    found = bootstrap_deviation(lambda data: data, equal, rng=rng, resamples=8000, shared_noise=shared)
    np.testing.assert_allclose(found, shared, rtol=0.04, atol=1e-12)
    data = spectra(rng, 3, 4)
    own = data.std(axis=1, ddof=1) / 2
    found = bootstrap_deviation(lambda data: data, data, rng=rng, resamples=8000, shared_noise=shared)
    np.testing.assert_allclose(found, np.hypot(own, shared), rtol=0.04)
    for wrong in (shared[:2], -shared):
        with pytest.raises(InputError, match="noise"):
            bootstrap_deviation(lambda data: data, data, rng=rng, shared_noise=wrong)


def test_equal_frames_have_no_spread(rng):
    data = np.repeat(spectra(rng, 9, 1), 4, axis=1)
    found = bootstrap_deviation(sweeps(spectra(rng, 9, 6), positive=True), data, rng=rng)
    np.testing.assert_allclose(found, 0, atol=1e-12)


def test_a_seed_repeats_and_blocks_change_nothing(rng, monkeypatch):
    solve = sweeps(spectra(rng, 9, 6), positive=True)
    data = spectra(rng, 9, 5).astype(np.complex64)

    def again(seed=1):
        return bootstrap_deviation(solve, data, rng=np.random.default_rng(seed), resamples=50)

    first = again()
    np.testing.assert_array_equal(again(), first)
    assert not np.array_equal(again(2), first)
    monkeypatch.setattr(uncertainty, "BLOCK", 7)
    np.testing.assert_allclose(again(), first, rtol=1e-5)


@pytest.mark.parametrize("real", [True, False])
def test_drawn_noise_of_a_linear_solver(rng, real):
    matrix, noise = spectra(rng, 9, 6), rng.uniform(0.1, 2, 9)
    solve = sweeps(matrix, positive=False, real=real)
    found = simulated_deviation(solve, 7 * spectra(rng, 9), noise, rng=rng, draws=8000)
    np.testing.assert_allclose(found, linear_deviation(solve, noise, rng=rng), rtol=0.04)


def test_drawn_noise_of_positive_images_is_cut(rng):
    """A voxel far below 0 never shows, one far above has its whole noise, one at 0 half of a normal's."""
    data, noise = np.array([-50.0, 50.0, 0.0]).astype(complex), np.full(3, 2**0.5)
    found = simulated_deviation(lambda data: np.maximum(data.real, 0), data, noise, rng=rng, draws=20000)
    np.testing.assert_allclose(found, [0, 1, np.sqrt(1 / 2 - 1 / (2 * np.pi))], rtol=0.03)


def test_mistakes(rng):
    def nan(data):
        return np.full((3, data.shape[1]), np.nan)

    def same(data):
        return data

    with pytest.raises(InputError, match="1 frames to resample"):
        bootstrap_deviation(same, spectra(rng, 9, 1), rng=rng)
    with pytest.raises(InputError, match="0 frames to resample"):
        bootstrap_deviation(same, spectra(rng, 9), rng=rng)
    with pytest.raises(UsageError, match="two draws"):
        bootstrap_deviation(same, spectra(rng, 9, 3), rng=rng, resamples=1)
    with pytest.raises(UsageError, match="two draws"):
        simulated_deviation(same, spectra(rng, 9), np.ones(9), rng=rng, draws=1)
    with pytest.raises(InputError, match="do not fit"):
        simulated_deviation(same, spectra(rng, 9), np.ones(8), rng=rng)
    for noise in (-np.ones(9), np.full(9, np.inf), np.ones((9, 1)), np.zeros(0)):
        with pytest.raises(InputError, match="noise of the rows"):
            linear_deviation(same, noise, rng=rng)
    for call in (
        lambda: linear_deviation(nan, np.ones(9), rng=rng),
        lambda: bootstrap_deviation(nan, spectra(rng, 9, 3), rng=rng),
        lambda: simulated_deviation(nan, spectra(rng, 9), np.ones(9), rng=rng),
    ):
        with pytest.raises(NumericalError, match="not finite"):
            call()
