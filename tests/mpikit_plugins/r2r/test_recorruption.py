"""Recorruption: two noisy versions of one period, with independent noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mpikit_plugins.r2r.recorruption import Recorruption

CHANNELS, SAMPLES, PERIODS = 2, 11, 40_000
POWER = SAMPLES * np.array([[1.0, 3, 2, 0.5, 1, 4], [2.0, 0.3, 1, 1, 0, 0.2]])


def coloured(rng, periods, power=POWER, shared=0.0):
    white = rng.normal(size=(periods, CHANNELS, SAMPLES))
    white[:, 1] = shared * white[:, 0] + np.sqrt(1 - shared**2) * white[:, 1]
    white = np.fft.rfft(white)
    return np.fft.irfft(white * np.sqrt(power / SAMPLES), n=SAMPLES)


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(6)
        yield


@pytest.mark.parametrize(("alpha", "shared"), [(0.3, 0.0), (0.5, 0.0), (1.0, 0.0), (0.5, 0.8), (1.0, -0.6)])
def test_the_two_have_independent_noise(rng, alpha, shared):
    clean = rng.normal(size=(1, CHANNELS, SAMPLES))
    noise = coloured(rng, PERIODS, shared=shared)
    made = Recorruption(POWER, alpha, correlation=np.array([[1, shared], [shared, 1]]))
    pair = made.pair(torch.from_numpy(clean + noise))
    first, second = (part.numpy() - clean for part in pair)
    before, one, other = (np.mean(part**2, axis=(0, 2)) for part in (noise, first, second))
    np.testing.assert_allclose(one / before, 1 + alpha**2, rtol=0.02)
    np.testing.assert_allclose(other / before, 1 + alpha**-2, rtol=0.02)
    # all pairs of samples, so also at any lag and between channels
    flat = [part.reshape(PERIODS, -1) for part in (first, second)]
    covariance = flat[0].T @ flat[1] / PERIODS
    size = np.sqrt(np.outer(np.mean(flat[0] ** 2, axis=0), np.mean(flat[1] ** 2, axis=0)))
    assert np.abs(covariance / size).max() < 5 / np.sqrt(PERIODS)


def test_the_noise_that_is_drawn_has_the_colour_that_is_asked_for():
    drawn = Recorruption(POWER, 0.5).draw(torch.zeros(PERIODS, CHANNELS, SAMPLES)).numpy()
    found = np.mean(np.abs(np.fft.rfft(drawn)) ** 2, axis=0)
    np.testing.assert_allclose(found, POWER, rtol=0.04, atol=1e-9)
    assert not np.any(found[1, 4] > 1e-9)


def test_the_other_parametrisation(rng):
    """GR2R with a: the target is (y - (1 - a) input) / a, for alpha = sqrt(a / (1 - a)); 0.2 is 0.5."""
    noisy = torch.from_numpy(rng.normal(size=(7, CHANNELS, SAMPLES)))
    for a, alpha in ((0.2, 0.5), (0.5, 1.0)):
        first, second = Recorruption(POWER, alpha).pair(noisy)
        torch.testing.assert_close(second, (noisy - (1 - a) * first) / a)


def test_the_level_of_a_period_by_its_empty_lines(rng):
    """Periods of other noise get noise as strong as theirs, whatever their signal."""
    empty = np.zeros(POWER.shape, bool)
    empty[:, 2:5] = True
    level = np.array([0.3, 1.0, 5.0])[:, None, None, None] * np.array([1.0, 2.0])[:, None]
    noise = level * coloured(rng, 3 * 5000).reshape(3, 5000, CHANNELS, SAMPLES)
    signal = 100 * np.cos(2 * np.pi * np.arange(SAMPLES) / SAMPLES)
    made = Recorruption(POWER, 0.5, empty=empty)
    noisy = torch.from_numpy((noise + signal).reshape(-1, CHANNELS, SAMPLES))
    found = made.level_of(noisy).reshape(3, 5000, CHANNELS)
    np.testing.assert_allclose(np.mean(found.numpy() ** 2, axis=1), level[:, 0, :, 0] ** 2, rtol=0.05)
    drawn = made.draw(noisy).reshape(noise.shape).numpy()
    np.testing.assert_allclose(np.mean(drawn**2, axis=(1, 3)), np.mean(noise**2, axis=(1, 3)), rtol=0.05)
    scaled = made.level_of(3 * noisy).reshape(found.shape)
    torch.testing.assert_close(scaled, 3 * found)
    assert Recorruption(POWER, 0.5).level_of(noisy) == 1
