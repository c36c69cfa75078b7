"""``background-subtraction``: the mean, the interpolated signal, and the dictionary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run
from mpikit.errors import InputError, PluginError
from mpikit.scan import Corrections
from mpikit.signal import subtract_background
from mpikit.testing import check_denoiser, example_scan
from mpikit_plugins.classic import mpikit_denoisers

RECORD = next(record for record in mpikit_denoisers() if record.name == "background-subtraction")


def lack(scan, mode="interpolated"):
    return RECORD.missing(scan, RECORD.options(mode=mode))


def test_the_mean_and_the_interpolated_background(denoise):
    scan = example_scan(frames=5, periods=3, background_frames=4)
    drift = (np.array([1, -2], np.float32) * 3)[:, None]
    scan = replace(scan, background=scan.background + scan.background_index[:, None, None, None] * drift)
    static = denoise(RECORD, scan, mode="static")
    np.testing.assert_allclose(static, scan.signal - scan.background.mean(axis=0), atol=1e-5)
    np.testing.assert_array_equal(denoise(RECORD, scan), subtract_background(scan).signal)


@pytest.fixture
def fluctuating(make_known):
    """Two ways to fluctuate, on the lines of the signal and on others, that no interpolation can follow."""

    def make(angle=0.0, empty=30):
        known = make_known(objects=120, periods=1, repeats="none", level=0.3, angle=angle, empty=empty)
        rng = np.random.default_rng(8)
        lines = np.exp(-np.arange(82) / 20) * (np.arange(82) > 0)  # DC is no line, and left to others
        modes = np.fft.irfft(np.fft.rfft(rng.normal(size=(2, 2, 162))) * lines, n=162)
        amounts = 8 * rng.normal(size=(120 + empty, 1, 2))
        added = np.tensordot(amounts, modes, axes=1)
        scan = replace(
            known.scan,
            signal=(known.scan.signal + added[:120]).astype(np.float32),
            background=(known.scan.background + added[120:]).astype(np.float32),
        )
        return replace(known, scan=scan)

    return make


@pytest.mark.parametrize("angle", [0.0, 0.7])
@pytest.mark.parametrize("symmetry", ["fit", "off"])
def test_the_dictionary_follows_a_background_that_fluctuates(fluctuating, denoise, angle, symmetry):
    """What is left is the noise; no particle signal is taken for background."""
    known, told = fluctuating(angle), []
    plain = known.error(denoise(RECORD, known.scan))
    found = denoise(RECORD, known.scan, told=told, mode="dictionary", symmetry=symmetry)
    assert plain > 10 * known.level**2
    assert known.error(found) < 1.25 * known.level**2
    assert told[0].value == 2


def test_the_particle_signal_is_not_eaten(fluctuating, denoise):
    """Clean signals pass a fitted dictionary, though projecting its components out would cost more."""
    known = fluctuating()
    empty = replace(known.scan, background=np.zeros_like(known.scan.background))
    method = RECORD.build(RECORD.options(mode="dictionary"))
    run = Run(rng=np.random.default_rng(0))
    method.fit([known.scan], run=run)
    clean = replace(empty, signal=known.clean.astype(np.float32))
    assert known.error(method.denoise(clean, run=run)) < 2e-3 * np.mean(known.clean**2)
    atoms = method.filter.left
    coefficients = method.lines.forward(known.clean)
    eaten = method.lines.back(coefficients @ atoms @ atoms.T)
    assert np.mean(eaten**2) > 4e-3 * np.mean(known.clean**2)


def test_a_background_that_does_not_fluctuate_needs_no_dictionary(make_known, denoise):
    known = make_known(objects=50, empty=20)
    found = denoise(RECORD, known.scan, mode="dictionary")
    np.testing.assert_allclose(found, denoise(RECORD, known.scan), atol=1e-6)


def test_what_is_missing():
    assert lack(example_scan()) is None
    assert lack(example_scan(background_frames=0)) == "background frames"
    done = replace(example_scan(), corrections=Corrections(background=True))
    assert lack(done) == "a background that has not been subtracted yet"
    assert lack(example_scan(background_frames=1)) is None
    words = "4 background frames for a dictionary"
    assert lack(example_scan(background_frames=3), "dictionary") == words
    assert lack(example_scan(background_frames=4), "dictionary") is None
    assert RECORD.frees_from_background(example_scan(), RECORD.options())


def test_equal_background_frames_show_no_noise(denoise):
    scan = example_scan()
    same = replace(scan, background=np.repeat(scan.background[:1], len(scan.background), axis=0))
    with pytest.raises(InputError, match="show no noise"):
        denoise(RECORD, same, mode="dictionary")


def test_a_dictionary_must_be_fitted(fluctuating):
    scan = fluctuating().scan
    run = Run(rng=np.random.default_rng(0))
    method = RECORD.build(RECORD.options(mode="dictionary"))
    with pytest.raises(PluginError, match="has not been fitted"):
        method.denoise(scan, run=run)
    method.fit([scan], run=run)
    other = RECORD.build(method.options)
    other.restore(method.state())
    np.testing.assert_array_equal(other.denoise(scan, run=run), method.denoise(scan, run=run))
    other.restore({})
    assert other.state() == {}


@pytest.mark.parametrize("mode", ["static", "interpolated", "dictionary"])
def test_contract(mode, fluctuating):
    check_denoiser(RECORD, RECORD.options(mode=mode))
    check_denoiser(RECORD, RECORD.options(mode=mode), fluctuating().scan)
