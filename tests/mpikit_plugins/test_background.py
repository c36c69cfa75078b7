"""What shipped methods do about the empty-scanner signal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.scan import Corrections
from mpikit.testing import example_scan
from mpikit_plugins.background import BackgroundOptions, clear, removes_background


@pytest.fixture
def scan():
    """Signals on a background that grows by one unit from frame to frame."""
    scan = example_scan(frames=5, periods=3, background_frames=4)
    drift = np.array([1, -2], np.float32)[:, None]
    return replace(
        scan,
        signal=scan.signal * 0 + scan.foreground_index[:, None, None, None] * drift,
        background=scan.background * 0 + scan.background_index[:, None, None, None] * drift,
    )


def test_what_is_asked_for_is_subtracted_at_the_true_times(scan):
    cleared = clear(scan, BackgroundOptions())
    np.testing.assert_allclose(cleared.signal, 0, atol=1e-6)
    assert cleared.corrections.background
    assert clear(scan, BackgroundOptions(background="keep")) is scan


def test_nothing_is_subtracted_twice(scan):
    cleared = clear(scan, BackgroundOptions())
    assert clear(cleared, BackgroundOptions()) is cleared


@pytest.mark.parametrize(
    ("frames", "corrected", "mode", "free"),
    [
        (4, False, "subtract", True),
        (4, False, "keep", False),
        (0, False, "subtract", False),
        (0, True, "subtract", True),
        (4, True, "keep", True),
        (0, True, "keep", True),
    ],
)
def test_the_record_says_whether_the_output_is_free_of_it(frames, corrected, mode, free):
    scan = example_scan(background_frames=frames)
    scan = replace(scan, corrections=Corrections(background=corrected))
    options = BackgroundOptions(background=mode)
    assert removes_background(scan, options) is free
    assert clear(scan, options).corrections.background is free
