"""Signals of the empty scanner: their times, what is subtracted, and the noise that is left."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.events import Finding
from mpikit.reconstruct import Kaczmarz, read_system
from mpikit.reconstruct.empty import Empty

ROWS = 3000


def noise(rng, *shape):
    """Complex noise of standard deviation 1."""
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / 2**0.5


def level(deviation):
    return float(np.sqrt(np.mean(deviation**2)))


@pytest.mark.parametrize(
    "index",
    [
        [0, 1, 2, 10, 11, 12],  # two groups
        [0, 1, 8, 9, 16, 17],
        [0, 5, 10, 15, 20, 25],  # single frames: each beside its neighbours
        [-0.25, 0.25, 9.75, 10.25, 19.75, 20.25],  # halves of frames
    ],
)
def test_drift_that_is_interpolated_is_no_noise(rng, index):
    index = np.array(index)
    drift = noise(rng, ROWS, 1) * index * 0.2 + 7
    empty = Empty(drift + noise(rng, ROWS, len(index)), index)
    left = empty.deviation(averages=1, subtracted=True, interpolated=True, shared=0.0)
    assert level(left) == pytest.approx(1, rel=0.06)
    assert level(empty.deviation(averages=1, subtracted=True)) > 1.5
    assert level(
        empty.deviation(averages=4, subtracted=True, interpolated=True, shared=0.75)
    ) == pytest.approx(level(left), rel=1e-9)


def test_white_noise_is_found_with_and_without_interpolation(rng):
    empty = Empty(noise(rng, ROWS, 6), np.array([0, 1, 2, 10, 11, 12]))
    for how in ({"subtracted": False}, {"subtracted": True, "interpolated": True, "shared": 0.0}):
        assert level(empty.deviation(averages=9, **how)) == pytest.approx(1 / 3, rel=0.03)
    static = empty.deviation(averages=3, subtracted=True)
    assert level(static) == pytest.approx((1 / 3 + 1 / 6) ** 0.5, rel=0.03)


def test_two_single_frames_say_nothing_when_the_line_goes_through_both(rng):
    empty = Empty(noise(rng, 5, 2), np.array([0, 9]))
    assert empty.deviation(averages=1, subtracted=True, interpolated=True) is None
    assert (
        Empty(noise(rng, 5, 2), np.array([0, 9]), drifts=True).deviation(averages=1, subtracted=True) is None
    )
    assert empty.deviation(averages=1, subtracted=True) is not None
    assert empty.deviation(averages=1, subtracted=False, interpolated=True) is not None


def test_the_noise_of_what_is_subtracted(rng):
    """Of images of three, three and one columns, against the background itself."""
    index, times = np.array([0, 1, 20, 21, 22]), np.array([2.0, 4.5, 7.0, 10.0, 12.0, 13.5, 18.0])
    empty, sizes = Empty(noise(rng, ROWS, 5), index), np.array([3, 3, 1])
    drawn = empty.at(times, interpolated=True)
    means = [drawn[:, :3].mean(axis=1), drawn[:, 3:6].mean(axis=1), drawn[:, 6]]
    shared = empty.shared_noise(times, sizes, interpolated=True)
    assert shared == pytest.approx(np.mean(np.abs(means) ** 2), rel=0.05)
    assert empty.shared_noise(times, sizes, interpolated=False) == 1 / 5
    drifting = Empty(empty.spectra, index, drifts=True)
    assert drifting.shared_noise(times, sizes, interpolated=False) == shared


def said(pair, empty=(), background="static", **options):
    events = []
    files = [mdf.open(path) for path in (pair.measurement(**options), pair.calibration(), *empty)]
    how = Kaczmarz(min_frequency=0.0, snr_threshold=0.0, background=background)
    read_system(files[0], files[1], how, empty=files[2:], tell=events.append)
    for file in files:
        file.close()
    return next(e.text for e in events if isinstance(e, Finding) and e.name == "background")


def test_what_is_subtracted_is_what_is_said(pair):
    measurement, system = "measurement measurement.mdf", "system matrix system.mdf"
    empty = [pair.measurement(name, background=2) for name in ("before.mdf", "after.mdf")]
    mean = "(mean of the background frames)"
    one_group = "(mean of the background frames, which are one group with nothing to interpolate between)"
    assert said(pair) == f"background subtracted {mean}: {measurement}, {system}"
    assert said(pair, background="interpolated") == (
        f"background subtracted (interpolated between the background frames): {measurement}; "
        f"{one_group}: {system}"
    )
    assert said(pair, empty[:1]) == (
        f"background subtracted (mean of before.mdf): {measurement}; {mean}: {system}"
    )
    assert said(pair, empty[:1], background="interpolated") == (
        f"background subtracted (mean of before.mdf, with nothing to interpolate between): {measurement}; "
        f"{one_group}: {system}"
    )
    for background, of_matrix in (("static", mean), ("interpolated", one_group)):
        assert said(pair, empty, background=background) == (
            "background subtracted (linear in time between the means of before.mdf and after.mdf): "
            f"{measurement}; {of_matrix}: {system}"
        )
    assert said(pair, background="none").endswith(": from no file")
