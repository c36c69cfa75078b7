"""``average``: the mean over what repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run
from mpikit.testing import example_scan
from mpikit_plugins.background import BackgroundOptions
from mpikit_plugins.classic import Average, mpikit_denoisers

[RECORD] = list(mpikit_denoisers())
AXES = {"frames": 0, "periods": 1, "both": (0, 1)}


def average(scan, background="keep"):
    method = Average(BackgroundOptions(background=background))
    return method.denoise(scan, run=Run(rng=np.random.default_rng(0)))


@pytest.mark.parametrize("repeats", AXES)
def test_the_mean_along_the_axis_that_repeats(repeats):
    scan = example_scan(frames=5, periods=3, repeats=repeats)
    expected = scan.signal.mean(axis=AXES[repeats], keepdims=True, dtype=float)
    found = average(scan)
    np.testing.assert_allclose(found, np.broadcast_to(expected, scan.signal.shape), rtol=1e-6, atol=1e-8)
    assert found.dtype == np.float32
    assert found.flags.writeable
    np.testing.assert_array_equal(average(replace(scan, signal=found)), found)  # a projection


def test_noise_falls_with_the_number_of_repeats():
    scan = example_scan(frames=2, periods=100, repeats="periods")
    rng = np.random.default_rng(6)
    found = average(replace(scan, signal=rng.normal(size=scan.signal.shape).astype(np.float32)))
    assert found.var() == pytest.approx(1 / 100, rel=0.15)


def test_the_background_goes_first():
    scan = example_scan(frames=5, periods=2, background_frames=4)
    offset = np.array([3, -1], np.float32)[:, None]
    shifted = replace(scan, signal=scan.signal + offset, background=scan.background * 0 + offset)
    np.testing.assert_allclose(average(shifted, "subtract"), average(scan), atol=1e-6)
    np.testing.assert_allclose(average(shifted, "keep"), average(scan) + offset, atol=1e-6)


def test_without_repeats_there_is_no_mean():
    options = BackgroundOptions()
    assert RECORD.missing(example_scan(repeats="none"), options) == "frames or periods that repeat"
    for repeats in AXES:
        assert RECORD.missing(example_scan(repeats=repeats), options) is None


def test_nothing_is_learnt():
    method = RECORD.build(BackgroundOptions(background="keep"))
    scan = example_scan()
    method.fit([scan], run=Run(rng=np.random.default_rng(0)))
    assert method.state() == {}
    method.restore({})
    np.testing.assert_array_equal(method.denoise(scan, run=Run(rng=np.random.default_rng(0))), average(scan))
