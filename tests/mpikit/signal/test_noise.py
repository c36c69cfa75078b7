"""Level and colour of the noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mpikit.signal import noise_statistics
from mpikit.signal.noise import ENOUGH, line_weights, median_of_mean, running_median

SIGMA = np.array([0.5, 2.0, 3.0])  # one level for each channel


def white(rng, *shape):
    return SIGMA[:, None] * rng.normal(size=shape)


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3)))
def test_line_weights_are_those_of_parseval(signal):
    power = np.abs(np.fft.rfft(signal)) ** 2 @ line_weights(len(signal))
    assert power == pytest.approx(len(signal) * np.sum(signal**2), rel=1e-9, abs=1e-9)


def test_median_of_mean():
    assert median_of_mean(1) == pytest.approx(np.log(2))
    assert median_of_mean(10_000) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("freedom", [1, 3, 12, 29])
def test_running_median_keeps_the_mean_level(rng, freedom):
    power = rng.gamma(freedom, 1 / freedom, size=(3, 8000)) * SIGMA[:, None]
    smooth = running_median(power, freedom)
    np.testing.assert_allclose(smooth.mean(axis=-1), SIGMA, rtol=0.04)
    assert np.all(smooth.std(axis=-1) < 0.3 * SIGMA)


def test_running_median_is_not_fooled_by_strong_lines():
    power = np.ones((2, 101))
    power[1, 10::25] = 1e9
    np.testing.assert_allclose(running_median(power, 29), 1 / median_of_mean(29))


@pytest.mark.parametrize("lines", [3, 9, 40])
def test_running_median_smooths_the_first_and_the_last_line(lines):
    power = np.ones((2, lines))
    power[0, 0] = power[1, -1] = 1e6
    np.testing.assert_allclose(running_median(power, 1), 1 / np.log(2))


@pytest.mark.parametrize("repeats", ["frames", "periods", "both"])
def test_white_noise_from_repeats(make_scan, rng, repeats):
    clean = 40 * np.sin(2 * np.pi * 3 * np.arange(2000) / 2000)
    noise = noise_statistics(make_scan(clean + white(rng, 7, 6, 3, 2000), repeats=repeats))
    assert noise.source == "repeats"
    assert noise.freedom == {"frames": 36, "periods": 35, "both": 41}[repeats]
    assert noise.line_power.shape == (3, 1001)
    np.testing.assert_allclose(noise.sigma, SIGMA, rtol=0.02)
    np.testing.assert_allclose(noise.line_power.mean(axis=-1), 2000 * SIGMA**2, rtol=0.03)


def test_few_repeats_are_smoothed_over_lines(make_scan, rng):
    noise = noise_statistics(make_scan(white(rng, 2, 1, 3, 4001), repeats="frames"))
    assert noise.freedom == ENOUGH
    np.testing.assert_allclose(noise.sigma, SIGMA, rtol=0.05)
    relative = noise.line_power / (4001 * SIGMA[:, None] ** 2)
    assert relative.std() < 0.35  # 1 without


def test_background_frames_where_nothing_repeats(make_scan, rng):
    """The mean of a block drifts from block to block, which is no noise."""
    empty = white(rng, 40, 2, 3, 1500)
    empty[20:] += 1000 * np.sin(np.arange(1500))
    noise = noise_statistics(make_scan(100 * rng.normal(size=(5, 2, 3, 1500)), empty))
    assert noise.source == "background frames"
    assert noise.freedom == 2 * (40 - 2)
    np.testing.assert_allclose(noise.sigma, SIGMA, rtol=0.02)


def test_spectrum_when_there_is_nothing_else(make_scan, rng):
    """One frame, two single empty ones, a few strong lines, a band that is not stored."""
    samples = 3000
    spectra = np.fft.rfft(white(rng, 4, 1, 3, samples))
    spectra[..., 10:300:10] += 1e6
    stored = np.arange(samples // 2 + 1) < 1000
    spectra[..., ~stored] = 0
    noise = noise_statistics(
        make_scan(np.fft.irfft(spectra, n=samples), white(rng, 2, 1, 3, samples), stored_lines=stored)
    )
    assert noise.source == "spectrum"
    np.testing.assert_allclose(
        noise.line_power[:, stored], samples * SIGMA[:, None] ** 2 * np.ones(1000), rtol=0.1
    )
    np.testing.assert_array_equal(noise.line_power[:, ~stored], 0)
    np.testing.assert_allclose(noise.sigma, SIGMA * np.sqrt(2 / 3), rtol=0.05)


def test_colour(make_scan, rng):
    samples = 600
    colour = 1 / (1 + (np.arange(samples // 2 + 1) / 40) ** 2)
    noise = np.fft.irfft(np.fft.rfft(white(rng, 200, 2, 3, samples)) * colour, n=samples)
    found = noise_statistics(make_scan(noise, repeats="frames")).line_power
    np.testing.assert_allclose(found, samples * SIGMA[:, None] ** 2 * colour**2, rtol=0.4)
    relative = found / (samples * SIGMA[:, None] ** 2 * colour**2)
    np.testing.assert_allclose(relative.mean(axis=-1), 1, atol=0.02)


def test_what_repeats_is_no_noise(make_scan, rng):
    same = np.broadcast_to(rng.normal(size=(1, 2, 3, 31)), (5, 2, 3, 31))
    noise = noise_statistics(make_scan(same, repeats="frames"))
    np.testing.assert_allclose(noise.line_power, 0, atol=1e-20)


def test_two_empty_frames_on_either_side_are_enough(make_scan, rng):
    scan = make_scan(white(rng, 6, 1, 3, 2000), white(rng, 4, 1, 3, 2000), repeats="none")
    found = noise_statistics(scan)
    assert found.source == "background frames"
    np.testing.assert_allclose(found.sigma, SIGMA, rtol=0.1)
