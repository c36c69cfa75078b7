"""Two views of a clean signal from one period."""

from dataclasses import replace

import numpy as np
import pytest

from mpikit.signal import (
    HarmonicFilter,
    LineCoefficients,
    Symmetry,
    both_parts,
    half_period_views,
    mirror_views,
)


def turned(rng, samples, channels=2):
    """A symmetry with any phase on each line, and signals that keep to it."""
    lines = samples // 2 + 1
    symmetry = Symmetry(rng.normal(size=(channels, lines)), np.ones((channels, lines), bool), np.ones(()))
    size = rng.normal(size=(300, channels, lines))
    size[..., 0] = 0
    if samples % 2 == 0:
        size[..., -1] = 0
    return symmetry, 1j * size * np.exp(-1j * symmetry.angle)


@pytest.mark.parametrize("samples", [40, 41])
def test_either_half_is_the_whole_of_a_clean_signal(rng, samples):
    symmetry, clean = turned(rng, samples)
    views = half_period_views(clean, symmetry, samples)
    assert views.shape == (300, 2, 2, samples // 2 + 1)
    for view in (0, 1):
        np.testing.assert_allclose(views[:, view], clean, atol=1e-12)


@pytest.mark.parametrize("samples", [40, 41])
def test_their_mean_is_the_odd_part_and_their_noise_is_independent(rng, samples):
    symmetry, _ = turned(rng, samples)
    noise = np.fft.rfft(rng.normal(size=(4000, 2, samples)))
    views = half_period_views(noise, symmetry, samples)
    inner = slice(1, (samples - 1) // 2 + 1)
    odd = symmetry.project(noise)
    np.testing.assert_allclose(views.mean(axis=1)[..., inner], odd[..., inner], atol=1e-11)
    first, second = (views * np.exp(1j * symmetry.angle)).imag[..., inner].swapaxes(0, 1)
    # one channel at a time: the whole matrix of covariances over the lines
    for channel in (0, 1):
        crossed = first[:, channel].T @ second[:, channel] / 4000
        assert np.abs(crossed).max() < 5 * samples / 4000**0.5
        single = first[:, channel].T @ first[:, channel] / 4000
        np.testing.assert_allclose(np.diag(single), samples, rtol=0.12)  # twice that of the odd part


def test_a_change_of_one_half_leaves_the_other_view_alone(rng):
    symmetry = Symmetry(np.zeros((1, 21)), np.ones((1, 21), bool), np.ones(()))
    signal = rng.normal(size=(1, 1, 40))
    changed = signal.copy()
    changed[..., 3] += 1
    views, other = (half_period_views(np.fft.rfft(each), symmetry, 40) for each in (signal, changed))
    np.testing.assert_allclose(views[:, 1], other[:, 1], atol=1e-12)
    assert np.abs(views[:, 0] - other[:, 0]).max() > 0.5


def lines_with_symmetry(rng):
    shape = (2, 21)
    keep = rng.random(shape) < 0.6
    symmetry = Symmetry(rng.normal(size=shape), keep | (rng.random(shape) < 0.5), np.ones(shape))
    return LineCoefficients(HarmonicFilter(keep, symmetry, 40), rng.uniform(1, 2, shape))


def test_a_period_and_its_mirror_image(rng):
    """The same clean coefficients; noise without correlation, whatever its colour."""
    lines = lines_with_symmetry(rng)
    clean = rng.normal(size=(6, 3, lines.count))
    both = both_parts(lines)
    assert both.count == 2 * lines.count
    views = mirror_views(both.forward(lines.back(clean)))
    assert views.shape == (6, 3, 2, lines.count)
    np.testing.assert_allclose(views, np.stack([clean, clean], axis=-2), atol=1e-5)
    noise = np.fft.rfft(rng.normal(size=(4000, 2, 40))) * np.sqrt(lines.line_power / 40)
    one, other = mirror_views(both.forward(np.fft.irfft(noise, n=40))).swapaxes(0, 1)
    assert np.abs(one.T @ other / 4000).max() < 5 * 2 / 4000**0.5
    np.testing.assert_allclose(np.mean(one**2, axis=0), 2, rtol=0.12)


def test_every_line_must_be_odd(rng):
    lines = lines_with_symmetry(rng)
    with pytest.raises(ValueError, match="must hold on all lines"):
        both_parts(replace(lines, harmonic=replace(lines.harmonic, symmetry=None)))
    symmetry = replace(lines.harmonic.symmetry, holds=np.zeros((2, 21), bool))
    with pytest.raises(ValueError, match="must hold on all lines"):
        both_parts(replace(lines, harmonic=replace(lines.harmonic, symmetry=symmetry)))
