"""The model of few directions and uncorrelated noise: closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.signal import FactorModel, fit_factors

COEFFICIENTS, RANK = 11, 3


def model_of(seed):
    rng = np.random.default_rng(seed)
    return FactorModel(rng.normal(size=(COEFFICIENTS, RANK)), rng.uniform(0.2, 3, COEFFICIENTS))


@given(st.integers(0, 1000))
def test_the_filter_is_that_of_wiener(seed):
    model = model_of(seed)
    covariance = model.loadings @ model.loadings.T
    wiener = covariance @ np.linalg.inv(covariance + np.diag(model.noise))
    np.testing.assert_allclose(model.filter.left @ model.filter.right.T, wiener, atol=1e-9)


@given(st.integers(0, 1000), st.integers(1, COEFFICIENTS - 1))
def test_hidden_coefficients_are_predicted_from_the_others(seed, hidden):
    """The conditional mean of a Gaussian; nothing is seen of what is hidden."""
    model = model_of(seed)
    seen = np.arange(COEFFICIENTS) >= hidden
    covariance = model.loadings @ model.loadings.T
    noisy = covariance + np.diag(model.noise)
    expected = covariance[:, seen] @ np.linalg.inv(noisy[np.ix_(seen, seen)])
    encoder = model.encoder(seen)
    assert not encoder[~seen].any()
    np.testing.assert_allclose((model.loadings @ encoder.T)[:, seen], expected, atol=1e-8)


def test_the_fit_finds_the_directions():
    rng = np.random.default_rng(4)
    model = model_of(7)
    latent = rng.normal(size=(20_000, RANK))
    means = latent @ model.loadings.T + np.sqrt(model.noise / 2) * rng.normal(size=(20_000, COEFFICIENTS))
    found = fit_factors(means, model.noise, 0.5)
    assert found.loadings.shape == (COEFFICIENTS, RANK)
    covariance = model.loadings @ model.loadings.T
    np.testing.assert_allclose(found.loadings @ found.loadings.T, covariance, atol=0.05 * covariance.max())


def test_noise_alone_has_no_direction():
    noise = np.linspace(0.1, 4, COEFFICIENTS)
    means = np.sqrt(noise) * np.random.default_rng(1).normal(size=(300, COEFFICIENTS))
    found = fit_factors(means, noise)
    assert found.loadings.shape[1] == 0
    assert not found.filter(means).any()
    assert found.noise == pytest.approx(noise)
