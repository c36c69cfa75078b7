"""Before and behind the network: lines, symmetry, and a coarser grid that loses nothing of what is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mpikit import Run
from mpikit.errors import InputError
from mpikit.signal import HarmonicFilter, Symmetry, fit_harmonic_filter, noise_statistics
from mpikit.testing import example_scan
from mpikit_plugins.training import LearnedOptions, Preparation
from mpikit_plugins.training.preparation import fit_preparation

CHANNELS, SAMPLES = 3, 120
LINES = SAMPLES // 2 + 1


def about(center):
    """Odd about a time, counted in samples."""
    angle = np.tile(2 * np.pi * np.arange(LINES) * center / SAMPLES, (CHANNELS, 1))
    return Symmetry(angle, np.ones(angle.shape, bool), np.ones(angle.shape))


def prepared(keep, *, grid=SAMPLES, center=7.3, project=True):
    harmonic = HarmonicFilter(keep, about(center), SAMPLES)
    return Preparation(harmonic, np.array([0.5, 2, 1], np.float32), grid, project=project)


def fit(scan, lengths=(1, 8), **options):
    run = Run(rng=np.random.default_rng(0))
    return fit_preparation([scan], LearnedOptions(**options), lengths=lambda _: lengths, run=run)


@pytest.mark.parametrize("center", [0, 7.3])
def test_projecting_is_the_harmonic_filter(center, rng):
    keep = rng.random((CHANNELS, LINES)) < 0.5
    signal = rng.normal(size=(5, CHANNELS, SAMPLES))
    made = prepared(keep, center=center)
    once = made.project(torch.from_numpy(signal))
    np.testing.assert_allclose(once.numpy(), HarmonicFilter(keep, about(center), SAMPLES)(signal), atol=2e-6)
    torch.testing.assert_close(made.project(once), once, rtol=0, atol=1e-6)  # a projection
    bare = prepared(keep, center=center, project=False).project(torch.from_numpy(signal))
    np.testing.assert_allclose(bare.numpy(), HarmonicFilter(keep, None, SAMPLES)(signal), atol=2e-6)


@given(grid=st.integers(30, 119), seed=st.integers(0, 99), project=st.booleans())
def test_on_a_coarser_grid_it_is_the_same_filter(grid, seed, project):
    """To the grid, through the filter and back: what the filter does at all samples."""
    rng = np.random.default_rng(seed)
    keep = (rng.random((CHANNELS, LINES)) < 0.6) & (np.arange(LINES) <= (grid - 1) // 2)
    signal = rng.normal(size=(2, 5, CHANNELS, SAMPLES)).astype(np.float32)
    made = prepared(keep, grid=grid, project=project)
    there = made.reduce(signal)
    assert there.shape == (2, 5, CHANNELS, grid)
    back = made.expand(made.project(torch.from_numpy(there)).numpy())
    np.testing.assert_allclose(back, made.seen(signal), atol=2e-5)


def test_the_grid_keeps_time_and_size():
    times = np.arange(SAMPLES) / SAMPLES
    wave = np.sin(2 * np.pi * 3 * (times - 0.17))
    made = prepared(np.ones((CHANNELS, LINES), bool), grid=50)
    coarse = made.reduce(np.tile(wave, (CHANNELS, 1)))
    wanted = np.sin(2 * np.pi * 3 * (np.arange(50) / 50 - 0.17))
    np.testing.assert_allclose(coarse, np.tile(wanted, (CHANNELS, 1)), atol=1e-6)
    assert coarse.dtype == np.float32


@pytest.mark.parametrize("grid", [49, 50])
def test_noise_on_the_grid(grid, rng):
    """Lines of the grid have the noise that is said."""
    power = rng.uniform(1, 3, (CHANNELS, LINES)) * SAMPLES
    white = np.fft.rfft(rng.normal(size=(20_000, CHANNELS, SAMPLES)))
    noise = np.fft.irfft(white * np.sqrt(power / SAMPLES), n=SAMPLES)
    made = prepared(np.ones((CHANNELS, LINES), bool), grid=grid)
    found = np.mean(np.abs(np.fft.rfft(made.reduce(noise))) ** 2, axis=0)
    np.testing.assert_allclose(found, made.line_power(power), rtol=0.06, atol=1e-6)
    np.testing.assert_array_equal(prepared(np.ones((CHANNELS, LINES), bool)).line_power(power), power)


def long_scan(lines=12, samples=900, **how):
    """Signal on the first lines of a long period."""
    scan = example_scan(frames=9, periods=2, repeats="both", background_frames=0)
    rng = np.random.default_rng(3)
    waves = np.sin(2 * np.pi * np.outer(np.arange(1, lines + 1), np.arange(samples)) / samples)
    clean = rng.normal(size=(1, 1, 2, lines)) @ waves
    signal = clean + rng.normal(0, 0.2, (9, 2, 2, samples))
    return replace(
        scan,
        signal=signal.astype(np.float32),
        background=np.zeros((0, 2, 2, samples), np.float32),
        sampling_rate=25e3 * samples,
        stored_lines=np.ones(samples // 2 + 1, bool),
    )


def test_the_grid_is_as_coarse_as_the_lines_allow():
    scan = long_scan()
    assert np.flatnonzero(fit_harmonic_filter([scan], false_alarm=1e-9).keep.any(axis=0))[-1] == 12
    made = fit(scan)
    assert made.grid == 29  # the fewest samples for line 12, 25, and a margin
    assert fit(scan, lengths=(7, 8)).grid == 35
    assert fit(scan, lengths=(7, 300)).grid == 300
    assert fit(scan, lengths=(800, 8)).grid == 900  # hardly coarser
    assert fit(scan, decimate="off").grid == fit(scan, lines="all").grid == 900
    assert fit(long_scan(lines=400)).grid == 900


def test_false_alarms_above_the_grid_are_dropped():
    """With a false-alarm rate of a tenth much noise is kept, but does not say how fine the grid is."""
    scan = long_scan()
    keep = fit_harmonic_filter([scan], false_alarm=0.1).keep
    made = fit(scan, false_alarm=0.1)
    assert made.grid < 60
    assert keep[:, made.grid :].any()
    np.testing.assert_array_equal(made.harmonic.keep[:, : made.grid // 2], keep[:, : made.grid // 2])
    assert not made.harmonic.keep[:, made.grid // 2 + 1 :].any()


def test_the_state_is_all_of_it(rng):
    made = fit(long_scan())
    other = Preparation.restore(made.state(), project=True)
    signal = rng.normal(size=(4, 2, made.grid)).astype(np.float32)
    assert torch.equal(made.project(torch.from_numpy(signal)), other.project(torch.from_numpy(signal)))
    assert (other.grid, other.samples) == (made.grid, 900)
    np.testing.assert_array_equal(other.level, made.level)


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("grid", 1, "a grid of 1 samples for periods of 900"),
        ("grid", 901, "a grid of 901 samples"),
        ("filter.keep", np.ones((2, 5), bool), r"keep has the shape \(2, 5\), expected \(2, 451\)"),
        ("filter.keep", np.ones((2, 451)), "keep is no array of truth values"),
        ("filter.angle", np.ones((451, 2)), "angle has the shape"),
        ("filter.angle", np.full((2, 451), np.nan), "angle has values that are no numbers"),
        ("level", [1.0, 0.0], "must be a positive number"),
        ("level", [1.0, np.inf], "must be a positive number"),
        ("level", [1.0], "keep has the shape"),
    ],
)
def test_a_damaged_state_is_refused(name, wrong, words):
    state = fit(long_scan()).state()
    assert name in state
    with pytest.raises(InputError, match=words) as caught:
        Preparation.restore({**state, name: np.array(wrong)}, project=True)
    assert caught.value.hint == "train anew"


def test_the_level_is_the_noise():
    scan = long_scan()
    np.testing.assert_allclose(fit(scan).level[:, 0], noise_statistics(scan).sigma, rtol=1e-6)
    assert fit(scan).level[0] == pytest.approx(0.2, rel=0.05)


def test_signals_of_another_shape_are_refused(rng):
    made = fit(long_scan())
    with pytest.raises(InputError, match="3 receive channels and 900 samples"):
        made.reduce(rng.normal(size=(4, 3, 900)))
