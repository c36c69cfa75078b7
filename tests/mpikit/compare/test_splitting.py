"""Two views of one period: independent, of known noise, judges without bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.compare.splitting import SHARE, KnownNoise, known_noise, split_noise
from mpikit.judging import Trial, score_trial
from mpikit.plugins import registry
from mpikit.signal import subtract_background
from mpikit.testing import example_scan

CHANNELS, SAMPLES = 2, 162


def made(rng, *, frames=1, empty=0, mixing=None, colour=None, even=0.0):
    """A scan of odd signals, or with an even part, in coloured noise that the channels share."""
    base = example_scan(frames=frames, repeats="none", background_frames=empty)
    time = 2 * np.pi * np.arange(SAMPLES) / SAMPLES
    clean = rng.normal(size=(frames, 1, CHANNELS, 5)) @ np.sin(np.outer(np.arange(1, 6), time))
    clean += even * np.cos(3 * time)
    power = np.full((CHANNELS, SAMPLES // 2 + 1), 0.04 * SAMPLES) if colour is None else colour
    noise = KnownNoise(power, np.eye(CHANNELS) if mixing is None else mixing, "symmetry")
    signal, background = (noise.draw(count, SAMPLES, rng)[:, None] for count in (frames, max(empty, 1)))
    scan = replace(
        base,
        signal=(clean + signal).astype(np.float32),
        background=background[:empty].astype(np.float32),
    )
    return scan, clean, noise


def test_drawn_noise_has_the_power_and_the_correlation(rng):
    power = np.linspace(1, 9, CHANNELS * 41).reshape(CHANNELS, 41)
    root = np.linalg.cholesky(np.array([[1, 0.6], [0.6, 1]]))
    for samples in (80, 81):
        spectra = np.fft.rfft(KnownNoise(power, root, "symmetry").draw(4000, samples, rng), axis=-1)
        assert np.mean(np.abs(spectra) ** 2, axis=0) == pytest.approx(power, rel=0.12)
        white = spectra / np.sqrt(power)
        assert np.mean((white[:, 0] * white[:, 1].conj()).real) == pytest.approx(0.6, abs=0.01)


def test_the_views_are_independent(rng):
    scan, clean, noise = made(rng, frames=400, empty=6)
    parts = split_noise(scan, noise, rng)
    first, second = (each.signal - clean for each in (parts.inputs, parts.judging))
    variance = 0.04
    assert np.mean(first**2) == pytest.approx(variance * (1 + SHARE**2), rel=0.02)
    assert np.mean(second**2) == pytest.approx(variance * (1 + SHARE**-2), rel=0.02)
    assert abs(np.mean(first * second)) < 4 * variance * np.sqrt(1.25 * 5 / first.size)
    assert not np.array_equal(parts.inputs.background, parts.judging.background)
    assert parts.view.noise == pytest.approx(noise.line_power * 5)
    assert parts.shared


@pytest.mark.parametrize("empty", [0, 6])
def test_the_error_of_any_method_is_unbiased(rng, empty):
    """Of one that adds the noise of its input to itself in no linear way: half of it, the largest half."""
    denoiser = registry().denoiser("harmonic").record
    errors, told, doubts = [], [], []
    for _ in range(60):
        scan, clean, noise = made(rng, frames=2, empty=empty)
        parts = split_noise(scan, noise, rng)
        inputs = subtract_background(parts.inputs) if empty else parts.inputs
        output = np.where(np.abs(inputs.signal) > 0.5, inputs.signal, 0).astype(np.float32)
        trial = Trial(parts.inputs, output, parts.judging, parts.view)
        figures = score_trial(denoiser, trial, without_background=bool(empty)).figures
        told.append(figures.error)
        doubts.append(figures.uncertainty)
        errors.append(np.mean((output - clean) ** 2))
    difference = np.array(told) - errors
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))
    assert 0.7 < np.sqrt(np.mean(np.square(doubts))) / difference.std() < 1.6


def test_noise_is_known_from_few_repeats_background_frames_and_the_even_part(rng):
    root = np.linalg.cholesky(np.array([[1, 0.6], [0.6, 1]]))
    colour = 0.04 * SAMPLES * np.stack([np.linspace(0.5, 2, 82), np.linspace(3, 1, 82)])
    for frames, empty, source in (
        (3, 40, "background frames"),
        (1, 2, "background frames"),
        (40, 0, "symmetry"),
    ):
        scan, _, _ = made(rng, frames=frames, empty=empty, mixing=root, colour=colour)
        found = known_noise(scan)
        assert found.source == source
        assert np.mean(found.line_power / colour, axis=1) == pytest.approx(np.ones(2), rel=0.2)
        assert (found.mixing @ found.mixing.T)[0, 1] == pytest.approx(0.6, abs=0.12)
    repeated = replace(made(rng, frames=3)[0], repeats="frames")
    assert known_noise(repeated).source == "few repeats"


def test_one_period_with_its_even_part(rng):
    """A single period of white noise: its level within a few percent, whatever the signal."""
    found = [known_noise(made(rng)[0]) for _ in range(60)]
    levels = [each.line_power.mean() / (0.04 * SAMPLES) for each in found if each is not None]
    assert len(levels) >= 57  # an odd scan is refused by chance, once in a hundred
    assert np.mean(levels) == pytest.approx(1, abs=0.06)


def test_a_scan_that_is_not_odd_does_not_show_its_noise(rng):
    for _ in range(10):
        assert known_noise(made(rng, even=0.4)[0]) is None
    scan = made(rng)[0]
    field = replace(scan.drive_field, waveforms=np.array([["custom"]]))
    assert known_noise(replace(scan, drive_field=field)) is None


def test_periods_with_noise_of_different_levels(rng):
    scan, clean, _ = made(rng, frames=30)
    assert known_noise(scan).levels is None
    factors = np.linspace(0.2, 2, 30)[:, None, None, None]
    loud = replace(scan, signal=(clean + factors * (scan.signal - clean)).astype(np.float32))
    noise = known_noise(loud)
    assert noise.source == "symmetry"
    assert np.corrcoef(noise.levels[:, 0], factors[:, 0, 0, 0] ** 2)[0, 1] > 0.9
    parts = split_noise(loud, noise, rng)
    first, second = (each.signal - clean for each in (parts.inputs, parts.judging))
    # independent frame by frame, the quiet ones and the loud ones
    products = np.mean(first * second, axis=(1, 2, 3)) / (0.04 * factors[:, 0, 0, 0] ** 2)
    assert abs(np.mean(products[:10])) < 0.3
    assert abs(np.mean(products[20:])) < 0.3
