"""Noise samples of background frames, and amplitudes of clean signals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Warned
from mpikit.errors import InputError
from mpikit.signal import subtract_background
from mpikit.testing import example_scan
from mpikit_plugins.wgan.amplitude import clean_amplitudes, strata
from mpikit_plugins.wgan.noise import mean_sample, noise_samples
from mpikit_plugins.wgan.options import SpectralOptions

LEARN, SUBTRACT, KEEP = (SpectralOptions(background=mode) for mode in ("learn", "subtract", "keep"))


def scan_of(frames=6, periods=7, empty=10, seed=1):
    base = example_scan(frames=frames, periods=periods, repeats="both", background_frames=empty)
    rng = np.random.default_rng(seed)
    locked = 5 * np.cos(np.arange(162) / 20)
    draw = [
        (locked + rng.normal(0, 2, array.shape)).astype(np.float32)
        for array in (base.signal, base.background)
    ]
    return replace(base, signal=draw[0], background=draw[1]), locked


def test_they_are_the_frames_as_they_are(run):
    scan, locked = scan_of()
    pool = noise_samples([scan], LEARN, run=run())
    np.testing.assert_array_equal(pool, scan.background.reshape(70, 2, 162))
    np.testing.assert_allclose(mean_sample(pool, LEARN).mean(axis=0), locked, atol=5 * 2 / np.sqrt(140))


@pytest.mark.parametrize(("options", "power"), [(SUBTRACT, 4 * (1 + 1 / 10)), (KEEP, 4.0)])
def test_without_their_mean_they_have_the_noise_of_a_period(run, options, power):
    """A period loses the mean of ten frames, interpolated between two blocks of five; or nothing."""
    scan, _ = scan_of(frames=1)
    pool = noise_samples([scan], options, run=run())
    values = pool.size * 0.8  # degrees of freedom: each block loses one frame of five
    assert np.mean(pool.astype(float) ** 2) == pytest.approx(power, rel=5 * np.sqrt(2 / values))
    assert not mean_sample(pool, options).any()
    if options is SUBTRACT:
        left = subtract_background(scan).signal
        assert np.mean(left.astype(float) ** 2) == pytest.approx(power, rel=5 * np.sqrt(2 / left.size))


def test_frames_that_scans_share_count_once(run):
    scan, _ = scan_of()
    other, _ = scan_of(seed=2)
    shared = replace(other, background=scan.background)
    assert len(noise_samples([scan, shared], LEARN, run=run())) == 70
    assert len(noise_samples([scan, other], LEARN, run=run())) == 140
    bare = replace(other, background=other.background[:0], background_index=other.background_index[:0])
    assert len(noise_samples([bare, scan], LEARN, run=run())) == 70


def test_no_noise_samples(run):
    scan = example_scan(background_frames=0)
    with pytest.raises(InputError, match="example has no background frames") as caught:
        noise_samples([scan], LEARN, run=run())
    assert "--background-file" in caught.value.hint


def test_a_single_noise_sample(run):
    with pytest.raises(InputError, match="example has a single noise sample"):
        noise_samples([example_scan(background_frames=1)], LEARN, run=run())


def test_few_noise_samples_are_warned_of(run):
    told = []
    noise_samples([example_scan(background_frames=5)], LEARN, run=run(tell=told.append))
    [warning] = told
    assert isinstance(warning, Warned)
    assert "5 noise samples alone" in warning.text


def test_single_frames_have_no_residuals(run):
    scan = example_scan(background_frames=2)  # one before, one after
    for options in (SUBTRACT, KEEP):
        with pytest.raises(InputError, match="has one frame alone") as caught:
            noise_samples([scan], options, run=run())
        assert "background=learn" in caught.value.hint


def test_amplitudes_are_those_of_the_clean_signals(rng):
    clean = rng.normal(size=(4, 1, 3, 40))
    clean *= np.array([0.05, 1, 3, 10])[:, None, None, None] / np.sqrt(
        np.mean(clean**2, (2, 3), keepdims=True)
    )
    noisy = clean + rng.normal(0, 2, (4, 500, 3, 40))
    found, floor = clean_amplitudes(noisy.astype(np.float32), 4.0)
    assert floor == pytest.approx(np.sqrt(4 / 500 * np.sqrt(2 / 120)))
    np.testing.assert_allclose(found[1:], [1, 3, 10], atol=4 * 2 / np.sqrt(500 * 120))
    assert found[0] < 0.05 + 2 * floor


def test_without_repeats_all_have_one_amplitude(rng):
    """That of a single period would tell which noise it has."""
    noisy = 3 + rng.normal(0, 2, (200, 1, 3, 40))
    found, _ = clean_amplitudes(noisy.astype(np.float32), 4.0)
    assert len(set(found.tolist())) == 1
    assert found[0] == pytest.approx(3, rel=0.02)


def test_noise_alone_has_the_floor(rng):
    found, floor = clean_amplitudes(np.zeros((3, 5, 2, 9), np.float32), 1.0)
    assert (found == floor).all()
    assert floor > 0


def test_ranges_of_a_logarithm():
    assert strata(np.array([1, 2, 9, 11, 99, 1000.0]), 3).tolist() == [0, 0, 0, 1, 1, 2]
    assert strata(np.array([1, 2, 1000.0]), 3).tolist() == [0, 0, 1]  # nothing is in the middle
    assert strata(np.full(4, 2.0), 5).tolist() == [0, 0, 0, 0]
