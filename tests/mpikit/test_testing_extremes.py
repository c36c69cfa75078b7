"""The check of extreme scans accepts what copes with them, and says what does not."""

# ruff: noqa: ARG002, ARG005 - methods that are wrong on purpose

from __future__ import annotations

import numpy as np
import pytest

from mpikit import Denoiser, NoiseModel, StatelessMethod
from mpikit.errors import InputError
from mpikit.plugins import Offer
from mpikit.testing import check_extremes, extreme_scans


def denoiser(work, **more):
    class Method(StatelessMethod):
        def denoise(self, scan, /, *, run):
            return work(scan.signal)

    return Denoiser(name="some", summary="Some", build=lambda options: Method(), **more)


def noise_model(work):
    def build(options):
        def draw(clean, *, frame_index, sampling_rate, drive_field, rng):
            return work(clean)

        return draw

    return NoiseModel(name="some", summary="Some", build=build)


def refuse(signal):
    raise InputError("this is too much")


def refuse_some(signal):
    return refuse(signal) if len(signal) == 1 or not signal.any() else signal.copy()


@pytest.mark.parametrize("work", [np.copy, np.zeros_like, refuse_some])
def test_what_copes(work):
    found = check_extremes(denoiser(work))
    assert found == check_extremes(Offer(denoiser(work), "some", "stranger").record)
    assert found.keys() == extreme_scans().keys()
    assert found["the usual scan"] == found["one channel"] == "numbers"
    assert found["no frame at all"].startswith("example has no frame of an object")
    assert found["zeros"] == ("this is too much" if work is refuse_some else "numbers")


def test_noise_that_copes():
    found = check_extremes(noise_model(lambda clean: 0.1 * clean))
    assert sorted(set(found.values()) - {"numbers"}) == [
        "no simulation has no frame",
        "the signal that noise is added to has values that are no numbers",
    ]


@pytest.mark.parametrize(
    ("is_refused", "case"),
    [
        (lambda signal: True, "the usual scan"),
        (lambda signal: len(signal) == 2, "two frames"),
        (lambda signal: signal.shape[2] == 1, "one channel"),
        (lambda signal: np.ptp(signal[:, :, -1]) == 0 and signal.any(), "a constant channel"),
        (lambda signal: not signal[:, :, -1].any() and signal[:, :, 0].std() > 0.5, "a zero channel"),
        (lambda signal: signal.max() > 100 and (signal == np.round(signal)).all(), "values of type int16"),
    ],
)
def test_scans_of_a_usual_kind_must_not_be_refused(is_refused, case):
    def work(signal):
        return refuse(signal) if signal.shape[-1] > 16 and is_refused(signal) else 0 * signal

    words = f"some and {case}: a scan of a usual kind was refused: this is too much"
    with pytest.raises(AssertionError, match=words):
        check_extremes(denoiser(work))
    if case != "one channel":  # an empty scanner that was measured has as many channels as it has
        with pytest.raises(AssertionError, match=words):
            check_extremes(noise_model(work))


def test_a_method_says_what_it_needs():
    needs_frames = denoiser(
        np.copy, missing=lambda scan, options: "three frames" if len(scan.signal) < 3 else None
    )
    assert check_extremes(needs_frames)["two frames"] == "three frames"
    nothing_will_do = denoiser(np.copy, missing=lambda scan, options: "a selection field")
    with pytest.raises(
        AssertionError, match=r"some refuses every scan \(a selection field\): pass the check"
    ):
        check_extremes(nothing_will_do)
    assert check_extremes(nothing_will_do, scans={"one": extreme_scans()["one frame"]}) == {
        "one": "a selection field"
    }


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda signal: signal / signal.max(), "some and zeros: .*RuntimeWarning: invalid value"),
        (lambda signal: (signal / np.float32(1e-20)) * 1, "1e30 V: .*overflow"),
        (lambda signal: signal[..., 3:4] + 0 * signal, "1 samples"),
        (lambda signal: np.full_like(signal, np.nan), "some and one frame: denoise is not finite|denoise"),
        (lambda signal: [][len(signal)], "IndexError"),
    ],
)
def test_what_does_not_cope(work, words):
    with pytest.raises(AssertionError, match=words):
        check_extremes(denoiser(work))


def test_noise_that_does_not_cope():
    with pytest.raises(AssertionError, match=r"some and 1e30 V: .*overflow"):
        check_extremes(noise_model(lambda clean: 0 * clean + np.sqrt(np.mean(clean.astype(np.float32) ** 2))))


def test_some_scans_alone():
    some = {name: scan for name, scan in extreme_scans().items() if name in ("one frame", "1 samples")}
    assert [scan.signal.shape for scan in some.values()] == [(1, 1, 2, 162), (6, 1, 2, 1)]
    check_extremes(denoiser(np.copy), scans=some)


def test_scans_of_other_types_are_single_precision():
    for name, scan in extreme_scans().items():
        assert (scan.signal.dtype, scan.background.dtype) == (np.float32, np.float32), name
