"""``average``: the mean over what repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run
from mpikit.testing import example_scan
from mpikit_plugins.classic import mpikit_denoisers
from mpikit_plugins.classic.average import Average, AverageOptions

RECORD = next(record for record in mpikit_denoisers() if record.name == "average")
AXES = {"frames": 0, "periods": 1, "both": (0, 1)}


def average(scan, background="keep", trim=0.0):
    method = Average(AverageOptions(background=background, trim=trim))
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


@pytest.mark.parametrize("repeats", AXES)
@pytest.mark.parametrize(("trim", "left"), [(0.2, slice(1, -1)), (0.34, slice(1, -1)), (0.4, slice(2, -2))])
def test_the_smallest_and_the_largest_are_left_out(repeats, trim, left):
    scan = example_scan(frames=5 if repeats == "frames" else 1, periods=5, repeats=repeats)
    axis = 0 if repeats == "frames" else 1
    expected = np.sort(scan.signal, axis=axis).swapaxes(0, axis)[left].swapaxes(0, axis).mean(axis)
    np.testing.assert_allclose(average(scan, trim=trim).take(0, axis), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("frames", [1, 2, 5, 6])
def test_half_is_the_median(frames):
    scan = example_scan(frames=frames)
    expected = np.broadcast_to(np.median(scan.signal, axis=0), scan.signal.shape)
    np.testing.assert_allclose(average(scan, trim=0.5), expected, rtol=1e-6, atol=1e-8)


def test_a_spike_does_not_reach_the_median():
    scan = example_scan(frames=5)
    spoilt = scan.signal.copy()
    spoilt[3, :, :, 7] += 1e6
    size = np.abs(scan.signal).max()
    assert np.abs(average(replace(scan, signal=spoilt), trim=0.5)).max() <= size
    assert np.abs(average(replace(scan, signal=spoilt), trim=0.2)).max() <= size
    assert np.abs(average(replace(scan, signal=spoilt))).max() > 1e5


def test_without_repeats_there_is_no_mean():
    options = AverageOptions()
    assert RECORD.missing(example_scan(repeats="none"), options) == "frames or periods that repeat"
    for repeats in AXES:
        assert RECORD.missing(example_scan(repeats=repeats), options) is None


def test_nothing_is_learnt():
    method = RECORD.build(AverageOptions(background="keep"))
    scan = example_scan()
    method.fit([scan], run=Run(rng=np.random.default_rng(0)))
    assert method.state() == {}
    method.restore({})
    np.testing.assert_array_equal(method.denoise(scan, run=Run(rng=np.random.default_rng(0))), average(scan))
