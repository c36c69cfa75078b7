"""Correlated noise of neighbouring repeats: closed forms, false alarms, what cannot be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run, Warned
from mpikit.denoise import denoise_scan
from mpikit.independence import neighbour_correlation, warn_of_correlation
from mpikit.plugins import registry
from mpikit.testing import example_scan

EMPTY, PERIODS = 24, 3


def scan_with(background, repeats):
    scan = example_scan(
        frames=6, periods=background.shape[1], repeats=repeats, background_frames=len(background)
    )
    return replace(scan, background=background.astype(np.float32))


def noise(rng, *, remembers=0.0, frames=EMPTY, repeats="both"):
    """Empty frames, each repeat with a part of the noise of the one before: correlation a / (1 + a²)."""
    axis = (frames, PERIODS) if repeats == "frames" else (frames * PERIODS, 1)
    fresh = rng.normal(size=(axis[0] + 1, axis[1], 2, 162))
    return (fresh[1:] + remembers * fresh[:-1]).reshape(frames, PERIODS, 2, 162)


@pytest.mark.parametrize("repeats", ["frames", "periods", "both"])
@pytest.mark.parametrize("remembers", [0.0, 0.3, 1.0])
def test_the_correlation_is_found(repeats, remembers):
    found = [
        neighbour_correlation(
            scan_with(noise(np.random.default_rng(seed), remembers=remembers, repeats=repeats), repeats)
        )
        for seed in range(20)
    ]
    values = np.array([each.value for each in found])
    expected = remembers / (1 + remembers**2)
    assert values.mean() == pytest.approx(
        expected, abs=4 * values.std(ddof=1) / np.sqrt(20) + 0.03 * expected
    )
    assert np.mean([each.error for each in found]) == pytest.approx(values.std(ddof=1), rel=0.6)
    assert all(each.matters for each in found) == (remembers > 0)


def test_a_phase_locked_background_is_no_correlation(rng):
    locked = 100 * np.sin(2 * np.pi * 5 * np.arange(162) / 162)
    assert not neighbour_correlation(scan_with(locked + noise(rng), "both")).matters


def test_a_drift_on_a_few_lines_does_not_decide_and_one_on_all_does(rng):
    empty = noise(rng, repeats="frames")
    course = np.linspace(0, 30, EMPTY)[:, None, None, None]
    few = np.sin(2 * np.pi * 5 * np.arange(162) / 162)
    assert not neighbour_correlation(scan_with(empty + course * few, "frames")).matters
    all_lines = rng.normal(size=(1, PERIODS, 2, 162))
    assert neighbour_correlation(scan_with(empty + course * all_lines, "frames")).matters


def test_what_cannot_be_told(rng):
    assert neighbour_correlation(scan_with(noise(rng), "none")) is None
    assert neighbour_correlation(example_scan(background_frames=0)) is None
    assert neighbour_correlation(example_scan(background_frames=4)) is None  # two blocks of two frames
    assert neighbour_correlation(scan_with(np.zeros((EMPTY, PERIODS, 2, 162)), "both")) is None
    few = scan_with(noise(rng, frames=3), "both")
    assert neighbour_correlation(replace(few, stored_lines=np.arange(82) < 7)) is None
    assert neighbour_correlation(few, lines=np.zeros((2, 82), bool)) is None


LINES = np.zeros((2, 82), bool)
LINES[0, 3:40] = LINES[1, 5:30] = True


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_what_all_periods_of_a_frame_have_in_common(rng, share):
    """A part that is drawn once for a frame: pairs of its periods share it."""
    common = rng.normal(size=(60, 1, 2, 162))
    own = rng.normal(size=(60, 4, 2, 162))
    locked = 3 * rng.normal(size=(4, 2, 162))  # the empty scanner is no noise
    scan = scan_with(locked + np.sqrt(share) * common + np.sqrt(1 - share) * own, "periods")
    for lines in (None, LINES):
        found = neighbour_correlation(scan, lines=lines)
        assert found.value == pytest.approx(share, abs=4 * found.error + 0.02)
        assert found.matters == (share > 0)


@pytest.mark.parametrize("repeats", ["frames", "periods"])
@pytest.mark.parametrize("lines", [None, LINES])
def test_independent_noise(repeats, lines):
    """Zero on average, scatter as it is said to be; hardly any is taken to matter."""
    scans = [
        scan_with(noise(np.random.default_rng(seed), frames=7, repeats=repeats), repeats)
        for seed in range(200)
    ]
    found = [neighbour_correlation(scan, lines=lines) for scan in scans]
    values = np.array([each.value for each in found])
    assert abs(values.mean()) < 3.5 * values.std() / np.sqrt(200)
    assert values.std() == pytest.approx(np.mean([each.error for each in found]), rel=0.25)
    assert not any(each.matters for each in found)


def test_on_lines_that_carry_signal_the_strong_ones_count(rng):
    """A drift of one line: little among all, much on those of the signal; the words are the same."""
    course = np.linspace(0, 30, EMPTY)[:, None, None, None]
    scan = scan_with(
        noise(rng, repeats="frames") + course * np.sin(2 * np.pi * 5 * np.arange(162) / 162), "frames"
    )
    told = []
    warn_of_correlation(scan, told.append)
    assert not told
    warn_of_correlation(scan, told.append, lines=LINES)
    (event,) = told
    assert "is correlated (0." in event.text
    assert "on the lines that carry signal" in event.text


def test_what_was_said_of_all_lines_is_not_said_again(rng):
    scan, told = scan_with(noise(rng, remembers=1.0), "both"), []
    warn_of_correlation(scan, told.append)
    warn_of_correlation(scan, told.append, lines=LINES)
    assert len(told) == 1


def test_blocks_are_taken_by_themselves(rng):
    """A step between two blocks of empty frames is no correlation within them."""
    empty = noise(rng)
    empty[14:] += 50 * rng.normal(size=(1, 1, 2, 162))
    for repeats in ("frames", "periods"):
        scan = scan_with(empty, repeats)
        apart = replace(scan, background_index=np.r_[100:114, 200:210])
        assert not neighbour_correlation(apart).matters
        together = replace(scan, background_index=np.arange(100, 124))
        assert neighbour_correlation(together).matters


@pytest.mark.parametrize("remembers", [0.0, 0.5])
def test_it_is_warned_of(remembers):
    scan = scan_with(noise(np.random.default_rng(1), remembers=remembers), "both")
    told, offer = [], registry().denoiser("average")
    denoise_scan(scan, offer, offer.record.options(), run=Run(rng=np.random.default_rng(0), tell=told.append))
    words = [event.text for event in told if isinstance(event, Warned)]
    assert any("is correlated (0.4" in text for text in words) == (remembers > 0)
    assert len(words) == (remembers > 0)
