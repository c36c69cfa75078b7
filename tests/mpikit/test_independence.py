"""Correlated noise of neighbouring repeats: closed forms, false alarms, what cannot be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run, Warned
from mpikit.denoise import denoise_scan
from mpikit.independence import neighbour_correlation
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
    few = replace(scan_with(noise(rng), "both"), stored_lines=np.arange(82) < 8)
    assert neighbour_correlation(few) is None


@pytest.mark.parametrize("remembers", [0.0, 0.5])
def test_it_is_warned_of(remembers):
    scan = scan_with(noise(np.random.default_rng(1), remembers=remembers), "both")
    told, offer = [], registry().denoiser("average")
    denoise_scan(scan, offer, offer.record.options(), run=Run(rng=np.random.default_rng(0), tell=told.append))
    words = [event.text for event in told if isinstance(event, Warned)]
    assert any("is correlated (0.4" in text for text in words) == (remembers > 0)
    assert len(words) == (remembers > 0)
