"""Residual whiteness: what noise gives, in closed form, and what it finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.metrics import residual_whiteness

SIGNALS, CHANNELS, SAMPLES = 7, 2, 61
CLEAN = np.sin(2 * np.pi * 3 * np.arange(SAMPLES) / SAMPLES)


def by_hand(residual):
    """Mean squared autocorrelation over the lags but 0, of one channel, from its definition."""
    lags = np.mean([[row @ np.roll(row, lag) for lag in range(SAMPLES)] for row in residual], axis=0)
    lags = lags / lags[0]
    return np.sqrt(np.sum(lags[1:] ** 2) / SAMPLES)


def test_the_autocorrelation_is_what_it_says(rng):
    """An odd number of samples and no mean: then the lines that are looked at are all there are."""
    residual = rng.normal(size=(SIGNALS, 1, SAMPLES)) + np.sin(np.arange(SAMPLES))
    residual -= residual.mean(axis=-1, keepdims=True)
    found = residual_whiteness(residual, np.zeros_like(residual))
    # without its mean a residual has the autocorrelation -1 / (V - 1) at every lag, which is left out here
    lines = SAMPLES // 2
    power = np.mean(np.abs(np.fft.rfft(residual[:, 0])[:, 1:]) ** 2, axis=0)
    full = np.fft.irfft(np.r_[power.mean(), power], n=SAMPLES)
    wanted = np.sqrt(np.sum((full[1:] / full[0]) ** 2) / SAMPLES) * SAMPLES / (2 * lines)
    assert found.autocorrelation == pytest.approx(wanted)
    assert found.autocorrelation == pytest.approx(by_hand(residual[:, 0]), rel=0.05)


def test_white_noise_gives_the_expected_value_and_spread():
    rng = np.random.default_rng(4)
    found = [
        residual_whiteness(
            CLEAN + rng.normal(size=(SIGNALS, CHANNELS, SAMPLES)), CLEAN + np.zeros((SIGNALS, CHANNELS, 1))
        )
        for _ in range(400)
    ]
    first, values = found[0], np.array([each.autocorrelation for each in found])
    error = values.std(ddof=1) / np.sqrt(400)
    assert np.mean(values**2) == pytest.approx(first.expected**2, abs=4 * (values**2).std() / np.sqrt(400))
    assert abs(values.mean() - first.expected) < 0.02 * first.expected + 4 * error
    assert first.spread == pytest.approx(values.std(ddof=1), rel=0.15)
    correlations = [each.correlation for each in found]
    assert abs(np.mean(correlations)) < 4 * np.std(correlations) / np.sqrt(400)
    assert first.correlation_spread == pytest.approx(np.std(correlations), rel=0.15)
    assert np.mean([each.is_noise for each in found]) > 0.97


@given(st.integers(2, 40), st.integers(1, 50))
def test_expected_value_in_closed_form(lines, signals):
    samples = 2 * lines + 1
    noise = np.random.default_rng(0).normal(size=(signals, 1, samples))
    found = residual_whiteness(noise, np.zeros_like(noise))
    assert found.expected**2 == pytest.approx((lines - 1) / (2 * lines * (lines * signals + 1)))


def test_coloured_noise_is_noise_once_its_colour_is_known():
    rng = np.random.default_rng(5)
    colour = 1 / (1 + np.arange(SAMPLES // 2 + 1))
    drawn = np.fft.irfft(np.fft.rfft(rng.normal(size=(SIGNALS, CHANNELS, SAMPLES))) * colour, n=SAMPLES)
    estimate = np.broadcast_to(CLEAN, drawn.shape)
    power = np.tile(SAMPLES * colour**2, (CHANNELS, 1))
    assert residual_whiteness(estimate + drawn, estimate, noise_power=power).is_noise
    assert not residual_whiteness(estimate + drawn, estimate).is_noise


@pytest.mark.parametrize(
    ("what", "estimate"),
    [
        ("a method that shrinks leaves signal in the residual", lambda noisy: 0.7 * noisy),
        ("a filter keeps the noise of some lines", lambda noisy: lines_kept(noisy, 12)),
        ("the mean takes all signal", lambda noisy: np.zeros_like(noisy) + noisy.mean()),
    ],
)
def test_residuals_that_are_not_noise(rng, what, estimate):
    noisy = CLEAN + 0.3 * rng.normal(size=(40, CHANNELS, SAMPLES))
    found = residual_whiteness(noisy, estimate(noisy))
    assert not found.is_noise, what


def lines_kept(noisy, count):
    spectra = np.fft.rfft(noisy)
    spectra[..., count:] = 0
    return np.fft.irfft(spectra, n=SAMPLES)


def test_measured_noise_adds_its_own_scatter():
    rng = np.random.default_rng(6)
    values = []
    for _ in range(200):
        power = np.mean(np.abs(np.fft.rfft(rng.normal(size=(50, 1, SAMPLES)))) ** 2, axis=0)
        noise = rng.normal(size=(SIGNALS, 1, SAMPLES))
        values.append(residual_whiteness(noise, 0 * noise, noise_power=power, freedom=50))
    squares = [each.autocorrelation**2 for each in values]
    assert np.mean(squares) == pytest.approx(values[0].expected ** 2, rel=0.05)
    assert np.mean([each.is_noise for each in values]) > 0.97


def test_lines_without_noise_are_left_out(rng):
    noise = rng.normal(size=(SIGNALS, CHANNELS, SAMPLES))
    power = np.ones((CHANNELS, SAMPLES // 2 + 1))
    power[:, 10:] = 0
    spectra = np.fft.rfft(noise)
    spectra[..., 10:] *= 100
    loud = np.fft.irfft(spectra, n=SAMPLES)
    one, other = (residual_whiteness(each, 0 * each, noise_power=power) for each in (noise, loud))
    assert one.autocorrelation == pytest.approx(other.autocorrelation)
    power[0, 2:] = 0
    with pytest.raises(ValueError, match="fewer than two lines"):
        residual_whiteness(noise, 0 * noise, noise_power=power)


def test_nothing_taken_away():
    same = np.tile(CLEAN, (SIGNALS, CHANNELS, 1))
    found = residual_whiteness(same, same)
    assert (found.autocorrelation, found.correlation) == (0, 0)
    assert not found.is_noise  # noise would have left more
