from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.reconstruct.weights import by_channel, by_row_norm, row_weights, whitening


@pytest.fixture
def oracle():
    """Background (4, 24) of a closed form, with a known spread."""
    g, k = np.arange(4)[:, None], np.arange(24)
    return 0.5 + 0.25j + 0.05 * (1 + 0.1 * k) * np.exp(1j * (1.3 * g + 0.5 * k))


@pytest.mark.parametrize("shape", [(4, 24), (4, 1, 24), (4, 2, 3, 4)])
def test_whitening_of_the_oracle(oracle, shape):
    background = oracle.reshape(shape)
    assert whitening(background).shape == shape[1:]
    weights = whitening(background).ravel()
    np.testing.assert_allclose(weights[[0, 1, 23]], [1, 0.9090909091, 0.3030303030], rtol=0, atol=1e-10)
    sigma = 1 / whitening(background, scaled=False).ravel()
    expected = [0.0564107456, 0.0620518202, 0.1861554605]
    np.testing.assert_allclose(sigma[[0, 1, 23]], expected, rtol=0, atol=1e-10)


def test_whitening_in_single_precision_on_a_large_background(oracle):
    background = (oracle - 0.5 - 0.25j + 1e3).astype(np.complex64)
    np.testing.assert_allclose(whitening(background), whitening(oracle), rtol=2e-3)


def test_whitened_noise_has_the_energy_of_the_number_of_rows(rng):
    """The weights for statistics, of data in which 4 frames are averaged."""
    sigma = np.geomspace(1e-3, 10, 50)

    def noise(frames):
        return sigma * (rng.normal(size=(frames, 50)) + 1j * rng.normal(size=(frames, 50))) / 2**0.5

    weights = whitening(noise(4000), averages=4, scaled=False)
    data = noise(4 * 1500).reshape(1500, 4, 50).mean(axis=1)
    energy = np.sum(np.abs(weights * data) ** 2, axis=1)
    assert np.mean(energy) == pytest.approx(50, rel=0.02)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-12, 1e12), st.complex_numbers(max_magnitude=1e3))
def test_whitening_has_no_scale_and_no_offset(scale, offset):
    rng = np.random.default_rng(3)
    background = rng.normal(size=(5, 7)) + 1j * rng.normal(size=(5, 7))
    np.testing.assert_allclose(whitening(scale * (background + offset)), whitening(background), rtol=1e-6)


@pytest.mark.parametrize("frames", [0, 1])
def test_whitening_needs_two_frames(oracle, frames):
    with pytest.raises(InputError, match=f"{frames} background frames, whitening needs two"):
        whitening(oracle[:frames])


@pytest.mark.parametrize("level", [0.0, 0.1 + 0.7j])
def test_rows_without_noise_are_counted(oracle, level):
    background = np.concatenate([oracle[:3], oracle[:3], oracle[:1]])  # a mean of 7 is rounded
    background[:, [3, 8]] = level
    with pytest.raises(InputError, match="2 of 24 rows have no noise"):
        whitening(background)


def test_a_background_that_is_no_number(oracle):
    oracle[2, 5] = np.nan
    with pytest.raises(InputError, match="NaN"):
        whitening(oracle)


def test_each_row_has_the_weight_of_its_channel():
    channels = np.array([0, 0, 2, 1, 2])
    np.testing.assert_array_equal(by_channel(channels, (1.0, 0.5, 0.0)), [1, 1, 0, 0.5, 0])


@pytest.mark.parametrize("weights", [(1, -1, 1), (1, np.nan, 1), (1, np.inf, 1), (1, 1)])
def test_channel_weights_that_are_not_allowed(weights):
    with pytest.raises(UsageError, match="channel weights"):
        by_channel(np.array([0, 2]), weights)


@pytest.mark.parametrize("kind", [np.complex64, np.complex128, np.float32, np.float64])
def test_rows_have_norm_one_and_zero_rows_stay_zero(rng, kind):
    drawn = rng.normal(size=(5, 7)) + 1j * rng.normal(size=(5, 7))
    matrix = (drawn if np.issubdtype(kind, np.complexfloating) else drawn.real).astype(kind)
    matrix *= np.array([1e-3, 1, 1e3, 2, 5], matrix.real.dtype)[:, None]
    matrix[3] = 0
    weights = by_row_norm(matrix)
    norms = np.linalg.norm(weights[:, None] * matrix, axis=1)
    np.testing.assert_allclose(norms, [1, 1, 1, 0, 1], rtol=1e-6)
    assert weights[3] == 0


def test_squares_below_single_precision_do_not_vanish():
    matrix = np.array([[1e-25] * 4, [1e-25j] * 4], np.complex64)
    np.testing.assert_allclose(by_row_norm(matrix), 0.5e25, rtol=1e-6)


def test_rows_that_are_no_numbers():
    with pytest.raises(NumericalError, match="1 rows"):
        by_row_norm(np.array([[1, 2j], [np.nan, 1]]))


def test_several_weightings_are_multiplied(rng, oracle):
    channels = np.repeat([0, 1, 2], 8)
    matrix = rng.normal(size=(24, 5)) + 1j * rng.normal(size=(24, 5))
    given = {"matrix": matrix, "background": oracle, "channel_weights": (1.0, 3.0, 0.5)}
    together = row_weights(["channel", "whitening", "row-norm"], channels, **given)
    one_by_one = np.prod(
        [row_weights([k], channels, **given) for k in ("channel", "whitening", "row-norm")], 0
    )
    np.testing.assert_allclose(together, one_by_one, rtol=1e-12)
    np.testing.assert_allclose(row_weights(["whitening"], channels, **given), whitening(oracle))
    np.testing.assert_array_equal(row_weights([], channels), np.ones(24))
    np.testing.assert_array_equal(row_weights(["none"], channels, **given), np.ones(24))


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("channel", UsageError, "needs a weight"),
        ("whitening", InputError, "needs background frames"),
        ("row-norm", ValueError, "needs the matrix"),
        ("snr", UsageError, "no weighting is called 'snr'"),
    ],
)
def test_a_weighting_without_what_it_needs(kind, error, message):
    with pytest.raises(error, match=message):
        row_weights([kind], np.zeros(3, int))


def test_weights_that_leave_no_row():
    with pytest.raises(InputError, match="all rows are 0"):
        row_weights(["channel"], np.array([1, 1]), channel_weights=(1.0, 0.0))
