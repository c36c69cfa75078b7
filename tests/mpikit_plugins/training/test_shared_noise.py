"""Noise that consecutive repeats share, measured on background frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.testing import example_scan
from mpikit_plugins.training.shared_noise import shared_noise

FRAMES, PERIODS = 60, 4
LINES = np.zeros((2, 82), bool)
LINES[0, 3:40] = LINES[1, 5:30] = True


def scan_with(background, repeats):
    scan = example_scan(frames=3, periods=PERIODS, repeats=repeats, background_frames=0)
    return replace(
        scan, background=background.astype(np.float32), background_index=np.arange(100, 100 + len(background))
    )


def white(rng, frames=FRAMES):
    return rng.normal(size=(frames, PERIODS, 2, 162))


@pytest.mark.parametrize("repeats", ["frames", "periods", "both"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_share_is_found(rng, repeats, share):
    """Frames that average a part of the frame before; periods with a part that all of a frame have."""
    signal = 3 * rng.normal(size=(PERIODS, 2, 162))  # the empty scanner is no noise
    if repeats == "periods":
        noise = np.sqrt(share) * rng.normal(size=(FRAMES, 1, 2, 162)) + np.sqrt(1 - share) * white(rng)
        wanted = share
    else:
        drawn = white(rng, FRAMES + 1)
        weight = (
            (1 - np.sqrt(1 - share**2)) / share if share else 0.0
        )  # corr of x_k + w x_{k-1}: w / (1 + w²)
        noise, wanted = drawn[1:] + weight * drawn[:-1], share / 2
    found, doubt = shared_noise(scan_with(signal + noise, repeats), LINES)
    assert abs(found - wanted) < 4 * doubt + 0.02
    assert doubt < 0.02


def test_independent_noise_has_no_share_on_average(rng):
    for repeats in ("frames", "periods"):
        found = [shared_noise(scan_with(white(rng, 5), repeats), LINES) for _ in range(200)]
        shares = np.array([share for share, _ in found])
        assert abs(shares.mean()) < 3 * shares.std() / np.sqrt(200)
        assert shares.std() < 1.3 * found[0][1]


def test_blocks_are_taken_by_themselves(rng):
    """A step between two blocks of background frames is no correlation within them."""
    noise = white(rng)
    noise[30:] += 50 * rng.normal(size=(1, PERIODS, 2, 162))
    scan = scan_with(noise, "frames")
    index = np.r_[0:30, 200:230]
    found, doubt = shared_noise(replace(scan, background_index=index), LINES)
    assert abs(found) < 4 * doubt


def test_where_nothing_can_be_said(rng):
    assert shared_noise(scan_with(white(rng, 2), "frames"), LINES) is None
    assert shared_noise(scan_with(white(rng, 0), "frames"), LINES) is None
    assert shared_noise(scan_with(white(rng), "none"), LINES) is None
    assert shared_noise(scan_with(white(rng), "frames"), np.zeros_like(LINES)) is None
    assert shared_noise(scan_with(np.zeros((5, PERIODS, 2, 162)), "frames"), LINES) is None
