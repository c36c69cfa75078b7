"""Interference that repeats in every period is found in the background frames, and noise is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Warned
from mpikit.locked import locked_background, warn_of_locked_lines
from mpikit.signal import subtract_background
from mpikit.testing import example_scan

SAMPLES = 162


def empty(rng, *, frames=8, periods=1, repeats="frames", feed=0.0, only=None):
    """A scan whose background frames hold white noise and two harmonics of the drive field."""
    base = example_scan(frames=5, periods=periods, repeats=repeats, background_frames=frames)
    time = 2 * np.pi * np.arange(SAMPLES) / SAMPLES
    locked = feed * (np.cos(time) + 0.6 * np.cos(3 * time + 1))
    noise = rng.normal(size=base.background.shape)
    noise[slice(None) if only is None else only, ...] += locked * np.array([[1.0], [0.0]])
    return replace(base, background=noise.astype(np.float32))


@pytest.mark.parametrize(
    ("frames", "periods", "repeats"), [(8, 1, "frames"), (4, 3, "both"), (6, 2, "frames"), (2, 5, "periods")]
)
def test_locked_lines_are_found(rng, frames, periods, repeats):
    scan = empty(rng, frames=frames, periods=periods, repeats=repeats, feed=3.0)
    found = locked_background(scan, subtracted=False)
    assert found.lines == 2
    assert found.strongest == pytest.approx(25e3)
    # power of the two lines over that of the noise, over both channels
    assert found.to_noise == pytest.approx(9 / 2 * (1 + 0.36) / 2, rel=0.25)
    assert "hold 2 lines that repeat in every period, and are not subtracted" in found.text
    assert "the strongest at 25 kHz" in found.text
    told = []
    warn_of_locked_lines(scan, told.append, subtracted=False)
    assert told == [Warned(f"example: {found.text}")]


@pytest.mark.parametrize("subtracted", [False, True])
def test_noise_is_not_taken_for_locked_lines(rng, subtracted):
    """A false alarm in a thousand scans at most: none is expected in four hundred."""
    alarms = 0
    for frames, periods, repeats in ((4, 1, "frames"), (8, 1, "none"), (4, 3, "both"), (40, 2, "periods")):
        for _ in range(100):
            scan = empty(rng, frames=frames, periods=periods, repeats=repeats)
            found = locked_background(scan, subtracted=subtracted)
            alarms += found.lines > 0
            assert found.text == "" or found.lines
    assert alarms <= 1


def test_a_background_that_is_subtracted_is_gone(rng):
    scan = empty(rng, feed=3.0)
    assert locked_background(scan, subtracted=True).lines == 0
    assert locked_background(subtract_background(scan), subtracted=True).lines == 0


def test_what_is_left_after_the_subtraction_is_found(rng):
    """A feed-through that jumps up in the middle of each block."""
    scan = empty(rng, frames=40, feed=3.0, only=np.r_[10:20, 30:40])
    found = locked_background(scan, subtracted=True)
    assert found.lines == 2
    assert "also after the subtraction" in found.text
    came_so = replace(empty(rng, feed=3.0), corrections=replace(scan.corrections, background=True))
    assert locked_background(came_so, subtracted=True).lines == 2


def test_too_few_background_frames_say_nothing(rng):
    assert locked_background(empty(rng, frames=0), subtracted=False) is None
    assert locked_background(empty(rng, frames=1), subtracted=False) is None
    assert locked_background(empty(rng, frames=2), subtracted=True) is None


def test_frames_without_any_noise(rng):
    scan = empty(rng, feed=3.0)
    same = replace(scan, background=np.broadcast_to(scan.background[:1], scan.background.shape).copy())
    assert locked_background(same, subtracted=False).lines > 2
    assert locked_background(replace(scan, background=0 * scan.background), subtracted=False).lines == 0
