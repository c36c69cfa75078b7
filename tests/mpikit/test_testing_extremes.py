"""The check of extreme scans accepts what copes with them, and says what does not."""

# ruff: noqa: ARG002, ARG005 - methods that are wrong on purpose

from __future__ import annotations

import numpy as np
import pytest

from mpikit import Denoiser, NoiseModel, StatelessMethod
from mpikit.errors import InputError
from mpikit.plugins import Offer
from mpikit.testing import check_extremes, extreme_scans


def denoiser(work):
    class Method(StatelessMethod):
        def denoise(self, scan, /, *, run):
            return work(scan.signal)

    return Denoiser(name="some", summary="Some", build=lambda options: Method())


def noise_model(work):
    def build(options):
        def draw(clean, *, frame_index, sampling_rate, drive_field, rng):
            return work(clean)

        return draw

    return NoiseModel(name="some", summary="Some", build=build)


def refuse(signal):
    raise InputError("this is too much")


@pytest.mark.parametrize("work", [np.copy, np.zeros_like, refuse])
def test_what_copes(work):
    check_extremes(denoiser(work))
    check_extremes(Offer(denoiser(work), "some", "stranger").record)


def test_noise_that_copes():
    check_extremes(noise_model(lambda clean: 0.1 * clean))


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
