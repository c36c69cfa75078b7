"""Drift of lines, told from their noise."""

import numpy as np
import pytest

from mpikit_plugins.noise.drift_fit import MOST_FRAMES, FittedDrift, fit_drift

WAVES = 200  # many: nearly Gaussian


def process(rng, index, lines, length):
    rates = rng.standard_normal((WAVES, 1, lines)) / length
    waves = np.cos(index[:, None] * rates + rng.uniform(0, 2 * np.pi, rates.shape))
    return np.sqrt(2 / WAVES) * waves.sum(axis=0)


def relative(rng, index, *, lines, noise, drift=0.0, phase_drift=0.0, length=5.0):
    """Lines of amplitude one, (E, M), with a variance of the noise in either part."""
    strength = 1 + drift * process(rng, index, lines, length)
    turned = strength * np.exp(1j * phase_drift * process(rng, index, lines, length))
    parts = rng.normal(size=(2, len(index), lines)) * np.sqrt(noise)
    return turned + parts[0] + 1j * parts[1]


def test_two_frames_say_what_arithmetic_says():
    """Of the change over the root of two, the mean square is noise + drift² · (1 - exp(-1/2))."""
    change = np.array([0.3, -0.2, 0.1 + 0.2j, 0.25j, -0.28, 0.31j])
    found = fit_drift(np.stack([1 - change / 2, 1 + change / 2]), np.array([3, 10]), np.full(6, 1e-4), 1e9)
    for rms, part in ((found.amplitude, change.real), (found.phase, change.imag)):
        expected = (np.mean(part**2) / 2 - 1e-4) / (1 - np.exp(-0.5))
        assert rms == pytest.approx(np.sqrt(expected))
    assert found.frames == pytest.approx(7)


def test_one_frame_says_nothing():
    assert fit_drift(np.ones((1, 4), complex), np.arange(1), np.ones(4), 60) == FittedDrift()


@pytest.mark.parametrize(("frames", "lines"), [(2, 5), (2, 90), (6, 20), (30, 7)])
def test_noise_is_no_drift(rng, frames, lines):
    """One file of a hundred would be too many already."""
    noise = np.geomspace(1e-2, 1e-1, lines)
    index = np.arange(frames)
    found = [fit_drift(relative(rng, index, lines=lines, noise=noise), index, noise, 60) for _ in range(30)]
    assert sum(each != FittedDrift() for each in found) <= 1


@pytest.mark.parametrize(("frames", "freedom"), [(40, 0), (2, 20)])
def test_noise_whose_level_was_measured_too_low_is_no_drift(rng, frames, freedom):
    """By a standard error of the level; where the frames are many they say it better."""
    noise, index = np.full(30, 1e-2), np.arange(frames)
    low = noise * (1 - np.sqrt(2 / (freedom or 3)))
    for _ in range(20):
        drawn = relative(rng, index, lines=30, noise=noise)
        assert fit_drift(drawn, index, low, freedom) == FittedDrift()


@pytest.mark.parametrize(
    ("index", "length", "noise"),
    [
        (np.arange(60), 4.0, 1e-4),
        (np.arange(60), 4.0, 1e-2),  # the noise has the variance of the drift
        (np.arange(60), 15.0, 3e-3),
        (np.arange(0, 300, 5), 20.0, 1e-3),
        (np.arange(400), 30.0, 1e-3),
        (np.r_[0:12, 40:52, 90:102], 10.0, 1e-3),
    ],
)
def test_a_drift_has_its_size_whatever_the_noise(rng, index, length, noise):
    lines = 60
    truth = {"drift": 0.1, "phase_drift": 0.05, "length": length}
    order = rng.permutation(len(index))
    drawn = relative(rng, index, lines=lines, noise=noise, **truth)
    found = fit_drift(drawn[order], index[order], np.full(lines, noise), 60)
    assert found.amplitude == pytest.approx(0.1, rel=0.15)
    assert found.phase == pytest.approx(0.05, rel=0.25)
    assert found.frames == pytest.approx(length, rel=0.3)
    assert len(index) < MOST_FRAMES or len(index) == 400  # both a part and all of the frames


def test_amplitude_and_phase_are_told_apart(rng):
    index = np.arange(40)
    drawn = relative(rng, index, lines=30, noise=1e-4, phase_drift=0.1)
    found = fit_drift(drawn, index, np.full(30, 1e-4), 60)
    assert found.amplitude < 0.02  # of second order: cos(0.1)
    assert found.phase == pytest.approx(0.1, rel=0.25)


def test_a_common_change_along_a_line(rng):
    """No random function at all: the rms is that of one which changes as much from end to end."""
    index = np.arange(16)
    time = np.linspace(-0.5, 0.5, 16)[:, None]
    drawn = 1 + 0.08 * time + 1e-5 * rng.normal(size=(16, 40)) + 0j
    found = fit_drift(drawn, index, np.full(40, 1e-10), 60)
    assert found.phase == 0
    assert 8 < found.frames <= 15
    change = np.sqrt(2 * (1 - np.exp(-((15 / found.frames) ** 2) / 2))) * found.amplitude
    assert change == pytest.approx(0.08, rel=0.35)
