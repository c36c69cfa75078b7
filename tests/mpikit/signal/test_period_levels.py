"""Levels of the noise of single periods, and whether they are one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.signal import LineCoefficients
from mpikit.signal.harmonics import HarmonicFilter
from mpikit.signal.measured import measure_lines
from mpikit.signal.period_levels import (
    levels_differ,
    levels_of,
    odd_and_even,
    of_equal_noise,
    symmetry_tells,
)
from mpikit.signal.symmetry import Symmetry

SAMPLES, LINES = 402, 202


@pytest.fixture
def lines(rng):
    """Two channels of noise 2 and 6, phases at random, the symmetry on all lines but ten of each."""
    keep = np.zeros((2, LINES), bool)
    keep[:, 1:-1] = True
    holds = np.ones(keep.shape, bool)
    holds[:, 40:50] = False
    symmetry = Symmetry(rng.uniform(-3, 3, size=keep.shape), holds, np.ones(keep.shape))
    power = SAMPLES * np.array([[4.0], [36.0]]) * np.ones(LINES)
    return LineCoefficients(HarmonicFilter(keep, symmetry, SAMPLES), power)


NOWHERE = np.zeros((2, LINES), bool)


def noise(rng, *, frames, levels=1.0):
    return rng.normal(size=(frames, 1, 2, SAMPLES)) * np.array([[2.0], [6.0]]) * levels


def test_odd_and_even_parts(lines, rng):
    signal = noise(rng, frames=3)[:, 0]
    coefficients, even = odd_and_even(lines, signal)
    np.testing.assert_allclose(coefficients, lines.forward(signal), rtol=1e-12)
    assert coefficients.shape == (3, lines.count)
    assert even.shape == (3, 400)
    clean = lines.back(lines.forward(signal))
    held = lines.harmonic.symmetry.holds[lines.places[:400, 0], lines.places[:400, 1]]
    assert np.abs(odd_and_even(lines, clean)[1][:, held]).max() < 1e-5
    assert np.abs(odd_and_even(lines, clean)[1][:, ~held]).max() > 1
    everywhere = replace(lines.harmonic.symmetry, holds=np.ones((2, LINES), bool))
    held = replace(lines, harmonic=replace(lines.harmonic, symmetry=everywhere))
    np.testing.assert_allclose(odd_and_even(held, signal)[0], held.forward(signal), rtol=1e-12)
    with pytest.raises(ValueError, match="without symmetry"):
        odd_and_even(replace(lines, harmonic=replace(lines.harmonic, symmetry=None)), signal)


def test_levels_by_the_median(rng):
    true = np.array([[1.0, 0.2, 1.0], [3.0, 7.0, 1.0]])
    channels = np.repeat([0, 1], 20_000)
    parts = rng.normal(size=(2, 40_000)) * true[:, channels]
    parts[:, ::50] += 1e6  # the few that hold signal are outvoted
    np.testing.assert_allclose(levels_of(parts, channels, 3), true, rtol=0.06)


@pytest.mark.parametrize("symmetric", [True, False])
def test_levels_differ_beyond_chance(lines, make_scan, rng, symmetric):
    if not symmetric:
        lines = replace(lines, harmonic=replace(lines.harmonic, symmetry=None))
    found = {
        spread: [
            levels_differ(
                [make_scan(noise(rng, frames=20, levels=rng.lognormal(0, spread, (20, 1, 1, 1))))],
                lines,
                NOWHERE,
            )
            for _ in range(40)
        ]
        for spread in (0.0, 0.4)
    }
    assert sum(found[0.0]) <= 1
    assert all(found[0.4])
    assert not levels_differ([make_scan(noise(rng, frames=1))], lines, NOWHERE)


def test_strong_lines_do_not_count_where_nothing_is_symmetric(lines, make_scan, rng):
    lines = replace(lines, harmonic=replace(lines.harmonic, symmetry=None))
    detected = NOWHERE.copy()
    detected[:, 1:150] = True
    strength = rng.lognormal(0, 2, size=(20, 1, 1, 1))
    spectra = np.zeros((20, 1, 2, LINES), complex)
    spectra[..., 1:150] = 3e3 * strength
    scan = make_scan(noise(rng, frames=20) + np.fft.irfft(spectra, n=SAMPLES))
    assert not levels_differ([scan], lines, detected)
    assert levels_differ([scan], lines, NOWHERE)


def test_where_the_even_part_is_noise(lines):
    """Ten of two hundred lines may fail, and only those that stand out count."""
    detected = NOWHERE.copy()
    detected[:, 30:60] = True
    assert symmetry_tells(lines, detected)
    holds = lines.harmonic.symmetry.holds.copy()
    holds[1, 50] = False
    worse = replace(lines.harmonic, symmetry=replace(lines.harmonic.symmetry, holds=holds))
    assert not symmetry_tells(replace(lines, harmonic=worse), detected)
    assert symmetry_tells(replace(lines, harmonic=worse), NOWHERE)
    assert not symmetry_tells(replace(lines, harmonic=replace(lines.harmonic, symmetry=None)), NOWHERE)


def test_signals_of_equal_noise(lines, make_scan, rng):
    levels = rng.lognormal(0, 1, size=(30, 1, 1, 1))
    signal = noise(np.random.default_rng(3), frames=30, levels=levels)
    measured = measure_lines([make_scan(signal)])
    measured = replace(measured, share=0.25)  # as if each were a mean of four
    found = of_equal_noise(measured, lines)
    expected = measured.signals / (2 * levels[:, 0])
    error = np.abs(found.signals - expected) / np.abs(expected)
    assert np.sqrt(np.mean(error**2)) < 2 * np.sqrt(1.36 / 200)
    assert found.share == 0.25
