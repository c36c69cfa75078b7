"""Gaussian noise with a spectrum and a covariance."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.errors import InputError, UsageError
from mpikit.testing import example_scan
from mpikit_plugins.noise import Coloured, ColouredOptions, fit_coloured
from mpikit_plugins.noise.coloured import line_density

RATE = 25e3 * 162


def coloured(**options):
    return Coloured(ColouredOptions(**options))


def all_lines(density, samples):
    return np.r_[density, density[(samples - 1) // 2 : 0 : -1]]


@given(
    samples=st.integers(1, 60),
    exponent=st.floats(0, 4),
    corner=st.floats(0, 1e5),
    levels=st.lists(st.floats(1e-3, 1e3), max_size=4),
)
def test_the_mean_density_of_all_lines_is_one(samples, exponent, corner, levels):
    table = {"frequencies": tuple(np.arange(1, len(levels) + 1) * 1e4), "levels": tuple(levels)}
    options = ColouredOptions(exponent=exponent, corner=corner, **table)
    density = line_density(options, samples, 1e6)
    assert density.shape == (samples // 2 + 1,)
    full = all_lines(density, samples)
    assert len(full) == samples
    assert np.mean(full) == pytest.approx(1)


def test_the_formula_of_the_density():
    options = ColouredOptions(exponent=2, corner=30e3)
    density = line_density(options, 100, 1e6)  # lines every 10 kHz
    frequencies = np.r_[10e3, np.arange(1, 51) * 10e3]  # DC has the power of the first line
    np.testing.assert_allclose(density / density[-1], (1 + (3e4 / frequencies) ** 2) / (1 + 0.06**2))


def test_a_table_is_interpolated_on_logarithmic_axes():
    options = ColouredOptions(frequencies=(20e3, 320e3), levels=(64.0, 4.0))
    assert options.corner == 0
    density = line_density(options, 100, 1e6)
    ratio = density[[0, 1, 2, 4, 8, 16, 32, 50]] / density[50]
    np.testing.assert_allclose(ratio, [16, 16, 16, 8, 4, 2, 1, 1])


@pytest.mark.parametrize("samples", [20, 21])
def test_each_line_has_its_power(draw, samples):
    options = {"exponent": 1.5, "corner": 200e3}
    noise = draw(coloured(sigma=2.0, **options), np.zeros((4000, 3, 2, samples)), sampling_rate=1e6)
    found = np.mean(np.abs(np.fft.rfft(noise)) ** 2, axis=(0, 1, 2)) / samples
    density = line_density(ColouredOptions(**options), samples, 1e6)
    np.testing.assert_allclose(found, 4 * density, rtol=0.05)  # 24 000 draws: five standard deviations
    assert np.mean(noise**2) == pytest.approx(4, rel=0.02)


def test_frames_periods_and_channels_are_independent(draw):
    noise = draw(coloured(sigma=1.0, corner=1e6), np.zeros((2, 3, 2, 4001)))
    correlation = np.corrcoef(noise.reshape(12, -1)) - np.eye(12)
    assert np.max(np.abs(correlation)) < 0.5  # the spectrum leaves few independent samples
    white = draw(coloured(sigma=1.0, corner=0), np.zeros((2, 3, 2, 4001)))
    assert np.max(np.abs(np.corrcoef(white.reshape(12, -1)) - np.eye(12))) < 0.08


def test_the_level_follows_each_signal(clean, draw):
    unit = draw(coloured(sigma=1.0), clean)
    sigma = np.sqrt(np.mean(clean**2, axis=-1, keepdims=True)) / 10
    np.testing.assert_allclose(draw(coloured(snr_db=20), clean), sigma * unit, rtol=1e-10)


def test_the_level_of_a_begun_measurement(clean, draw, begin):
    begun = begin(coloured(snr_db=20, level="channel"), [4.0, 1.0, 9.0], samples=2000)
    expected = np.array([0.2, 0.1, 0.3])[:, None] * draw(coloured(sigma=1.0), clean)
    np.testing.assert_allclose(draw(begun, clean), expected, rtol=1e-10)


@pytest.mark.parametrize("correlation", [0.8, -0.45, 1.0])
def test_correlation_of_the_channels(draw, correlation):
    noise = draw(coloured(sigma=3.0, correlation=correlation), np.zeros((60, 5, 3, 200)))
    found = np.einsum("njav,njbv->ab", noise, noise) / (60 * 5 * 200)
    wanted = 9 * np.where(np.eye(3) == 1, 1, correlation)
    np.testing.assert_allclose(found, wanted, atol=0.4)
    if correlation == 1:
        np.testing.assert_allclose(noise[:, :, 0], noise[:, :, 2], atol=1e-6)


def test_covariance_of_the_channels(draw):
    wanted = np.array([[4.0, 1.0, 0.0], [1.0, 1.0, -0.5], [0.0, -0.5, 2.0]])
    noise = draw(coloured(sigma=2.0, covariance=tuple(wanted.ravel()), corner=0), np.zeros((60, 5, 3, 200)))
    found = np.einsum("njav,njbv->ab", noise, noise) / (60 * 5 * 200)
    np.testing.assert_allclose(found, 4 * wanted, atol=0.35)  # five standard deviations of the largest


def test_a_covariance_that_does_not_fit(clean, draw, begin):
    pair = coloured(sigma=1.0, covariance=(1, 0.5, 0.5, 1))
    with pytest.raises(UsageError, match="of 2 receive channels, the scan has 3") as caught:
        draw(pair, clean)
    assert "9 values" in caught.value.hint
    with pytest.raises(UsageError, match="2 receive channels"):
        begin(pair, np.ones(3))
    with pytest.raises(UsageError, match="3 receive channels cannot all") as caught:
        begin(coloured(correlation=-0.6), np.ones(3))
    assert "-0.5" in caught.value.hint
    begin(coloured(correlation=-1), np.ones(2))


def test_one_channel_has_no_correlation(draw, begin):
    one = coloured(sigma=1.0, correlation=0.5)
    for wrong in (lambda: begin(one, np.ones(1)), lambda: draw(one, np.zeros((2, 1, 1, 30)))):
        with pytest.raises(UsageError, match="is between receive channels, and the scan has one"):
            wrong()
    begin(coloured(correlation=0), np.ones(1))
    begin(coloured(covariance=(1,)), np.ones(1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frequencies": (1e3, 2e3), "levels": (1.0,)}, "2 frequencies and 1 levels"),
        ({"frequencies": (2e3, 1e3), "levels": (1.0, 1.0)}, "increase"),
        ({"frequencies": (0.0, 1e3), "levels": (1.0, 1.0)}, "above 0"),
        ({"frequencies": (1e3,), "levels": (0.0,)}, "levels must be above 0"),
        ({"sigma": 1, "covariance": (1.0, 0.0, 0.0)}, "C · C"),
        ({"sigma": 1, "covariance": (1.0, 0.2, 0.3, 1.0)}, "symmetric"),
        ({"sigma": 1, "covariance": (1.0, 2.0, 2.0, 1.0)}, "eigenvalue"),
        ({"covariance": (2.0, 0.0, 0.0, 1.0)}, "diagonal"),
        ({"covariance": (1.0,), "correlation": 0.1}, "either correlation"),
        ({"sigma": 1, "snr_db": 1}, "either snr_db"),
    ],
)
def test_options_that_make_no_noise(options, words):
    with pytest.raises(ValueError, match=words):
        ColouredOptions(**options)


def test_fit_finds_what_was_drawn(draw):
    mixed = (1.6, 0.5, 0.5, 0.4)
    options = ColouredOptions(sigma=0.3, exponent=1.5, corner=500e3, covariance=mixed)
    scan = example_scan(periods=3, background_frames=200)
    steady = 5 * np.sin(np.arange(162))
    noise = draw(Coloured(options), np.zeros(scan.background.shape))
    fitted = fit_coloured(replace(scan, background=(steady + noise).astype(np.float32)))
    assert fitted.sigma == pytest.approx(0.3, rel=0.03)
    np.testing.assert_allclose(fitted.covariance, mixed, atol=0.06)
    found, wanted = (line_density(each, 162, RATE) for each in (fitted, options))
    np.testing.assert_allclose(found[1:], wanted[1:], rtol=0.15)


def test_fit_of_frames_that_are_all_apart_counts_no_drift(draw):
    mixed = (1.5, 0.6, 0.6, 0.5)
    options = ColouredOptions(sigma=0.3, exponent=1.0, corner=500e3, covariance=mixed)
    scan = example_scan(background_frames=40)
    locked = 5 * np.cos(np.outer(range(6, 50, 4), 2 * np.pi * np.arange(162) / 162)).sum(axis=0)
    grown = (1 + 0.1 * np.sin(np.arange(40.0)))[:, None, None, None] * locked
    noise = draw(Coloured(options), np.zeros(scan.background.shape))
    measured = (grown + noise).astype(np.float32)
    fitted = fit_coloured(replace(scan, background=measured, background_index=3 * np.arange(40)))
    assert fitted.sigma == pytest.approx(0.3, rel=0.06)
    np.testing.assert_allclose(fitted.covariance, mixed, atol=0.15)
    found, wanted = (line_density(each, 162, RATE) for each in (fitted, options))
    np.testing.assert_allclose(found[1:], wanted[1:], rtol=0.4)


def test_a_fitted_covariance_can_be_used(draw, rng):
    """Channels that are the same, and one that is dead: no eigenvalue is negative after rounding."""
    scan = example_scan(background_frames=30)
    background = np.repeat(rng.normal(size=(30, 1, 1, 162)), 5, axis=2) * [[1], [-2], [0.3], [7], [0]]
    signal = np.zeros((len(scan.signal), 1, 5, 162), np.float32)
    fitted = fit_coloured(replace(scan, signal=signal, background=background.astype(np.float32)))
    assert np.all(np.isfinite(fitted.covariance))
    noise = draw(Coloured(fitted), np.zeros((50, 1, 5, 162)))
    np.testing.assert_allclose(noise.std(axis=(0, 1, 3)), [1, 2, 0.3, 7, 0], atol=0.3)
    np.testing.assert_allclose(
        np.corrcoef(noise[:, 0, 1].ravel(), noise[:, 0, 3].ravel())[0, 1], -1, atol=1e-3
    )


def test_fit_fills_the_lines_that_are_not_stored(rng):
    scan = example_scan(background_frames=100)
    stored = np.arange(82) >= 41
    spectra = np.fft.rfft(rng.normal(0, 0.3, scan.background.shape), axis=-1) * stored
    background = np.fft.irfft(spectra, n=162, axis=-1).astype(np.float32)
    fitted = fit_coloured(replace(scan, background=background, stored_lines=stored))
    assert fitted.sigma == pytest.approx(0.3, rel=0.05)
    np.testing.assert_allclose(line_density(fitted, 162, RATE), 1, rtol=0.2)


def test_fit_needs_noise():
    scan = example_scan(background_frames=4)
    with pytest.raises(InputError, match="are all equal"):
        fit_coloured(replace(scan, background=np.zeros_like(scan.background)))
    offset = np.arange(4.0)[:, None, None, None] + np.zeros_like(scan.background)
    with pytest.raises(InputError, match="no noise above 0 Hz"):
        fit_coloured(replace(scan, background=np.square(offset).astype(np.float32)))
    with pytest.raises(InputError, match="1 background frames"):
        fit_coloured(example_scan(background_frames=1))
