"""Where R2R is at its limits, and that it says so: level unknown, in doubt, or noise that is not Gaussian."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run
from mpikit.signal.noise import line_weights
from mpikit.testing import example_scan
from mpikit_plugins.r2r.limits import excess_kurtosis, noise_samples, warn_of_limits
from mpikit_plugins.r2r.noise import noise_correlation, noise_power
from mpikit_plugins.r2r.options import RecorruptedOptions

LINES = np.zeros((2, 82), bool)
LINES[:, 1:13] = True


def scan_with(noise, *, repeats="frames", background=None):
    scan = example_scan(frames=len(noise), periods=noise.shape[1], repeats=repeats, background_frames=0)
    waves = np.sin(2 * np.pi * np.arange(162) / 162)
    empty = np.zeros((0, *noise.shape[1:])) if background is None else background
    return replace(
        scan,
        signal=(3 * waves + noise).astype(np.float32),
        background=empty.astype(np.float32),
        background_index=np.arange(1000, 1000 + len(empty)),
    )


def white(rng, frames=40, sigma=1.0):
    return sigma * rng.normal(size=(frames, 1, 2, 162))


def warnings(scan, **options):
    told = []
    run = Run(rng=np.random.default_rng(0), tell=told.append)
    warn_of_limits([scan], LINES, RecorruptedOptions(**options), run=run)
    return [event.text for event in told]


def test_gaussian_noise_of_known_level_is_no_reason_to_warn(rng):
    assert warnings(scan_with(white(rng), background=white(rng, 12))) == []
    assert warnings(scan_with(white(rng), repeats="none", background=white(rng, 12))) == []
    assert warnings(scan_with(white(rng)), sigma=1.1) == []


def test_a_level_that_is_only_assumed(rng):
    scan = scan_with(white(rng), repeats="none")
    (text,) = warnings(scan)
    assert text.startswith(
        "example has neither repeats nor background frames: its noise is taken to be white"
    )
    assert warnings(scan, sigma=1.0) == []
    (text,) = warnings(scan, level="period")  # the level is measured, and sigma would do nothing
    assert text.endswith("taken to be white; if it is not, r2r takes noise for signal or signal for noise")


def test_levels_that_disagree(rng):
    louder = scan_with(white(rng), background=white(rng, 12, sigma=2.0))
    (text,) = warnings(louder)
    assert re.match(
        r"example: the noise level from background frames is (1.9|2.0)\d times that from repeats", text
    )
    assert warnings(louder, level="period") == []
    (text,) = warnings(scan_with(white(rng)), sigma=0.5)
    assert re.match(
        r"example: the noise level from repeats is (1.9|2.0)\d times that from sigma as given", text
    )


def test_tails(rng):
    (text,) = warnings(scan_with(rng.laplace(size=(40, 1, 2, 162))))
    assert text.startswith("example: the noise is not Gaussian (excess kurtosis ")
    assert "of its samples" in text
    (text,) = warnings(scan_with(white(rng), repeats="none", background=rng.laplace(size=(40, 1, 2, 162))))
    assert "not Gaussian" in text


def test_tails_of_the_lines_that_count(rng):
    """Interference whose strength differs from frame to frame, on few lines: in time nearly Gaussian."""
    angle = 2 * np.pi * np.outer(np.arange(1, 13), np.arange(162)) / 162
    strength = 0.09 * rng.choice([0.2, 2.0], size=(600, 1, 2, 1))
    cosines, sines = rng.normal(size=(2, 600, 1, 2, 12))
    noise = white(rng, 600) + strength * (cosines @ np.cos(angle) + sines @ np.sin(angle))
    (text,) = warnings(scan_with(noise))
    assert "of the lines that carry signal" in text


def test_levels_that_differ_from_period_to_period(rng):
    level = rng.choice([0.3, 2.0], size=(80, 1, 1, 1))
    signals = scan_with(np.repeat(level, 2, axis=1) * rng.normal(size=(80, 2, 2, 162)), repeats="periods")
    (text,) = warnings(signals)
    assert "not Gaussian" not in text
    assert "its level differs from period to period" in text
    assert "-p level=period" in text
    assert warnings(signals, level="period") == []
    tails = level * rng.choice([-1, 0.1, 0.1, 1], size=(80, 2, 2, 162))  # of either level, and no Gaussian
    for how in ("scan", "period"):
        (text,) = warnings(scan_with(tails, repeats="periods"), level=how)
        assert "the noise is not Gaussian" in text


@pytest.mark.parametrize("count", [4, 7, 40])
def test_the_kurtosis_of_gaussian_noise_is_zero_on_average(rng, count):
    scale = rng.uniform(0.1, 10, 30_000)
    found, doubt = excess_kurtosis(scale * rng.normal(size=(count, 30_000)))
    assert abs(found) < 4 * doubt


def test_the_kurtosis_of_others(rng):
    assert excess_kurtosis(rng.laplace(size=(4000, 50)))[0] == pytest.approx(3, abs=0.2)
    assert excess_kurtosis(rng.uniform(-1, 1, (4000, 50)))[0] == pytest.approx(-1.2, abs=0.02)
    assert excess_kurtosis(rng.normal(size=(3, 50))) == (0.0, 1.0)
    assert excess_kurtosis(np.zeros((9, 50))) == (0.0, 1.0)


def test_differences_have_half_the_excess_and_no_signal(rng):
    residuals, share = noise_samples(scan_with(rng.laplace(size=(400, 1, 2, 162))))
    assert share == 0.5
    assert np.mean(residuals**2) == pytest.approx(2 * 2, rel=0.05)  # a Laplace variate has variance two
    assert excess_kurtosis(residuals)[0] / share == pytest.approx(3, abs=0.3)
    assert noise_samples(scan_with(white(rng), repeats="none")) is None


@pytest.mark.parametrize("source", ["repeats", "background", "nothing"])
def test_noise_that_channels_share(rng, source):
    """Of channels that are coloured differently; measured where there are differences without signal."""
    noise = white(rng, 60)
    noise[:, :, 1] = 0.8 * noise[:, :, 0] + 0.6 * noise[:, :, 1]
    colour = np.stack([1 + 8 * (np.arange(82) < 40), np.ones(82)])
    noise = np.fft.irfft(np.fft.rfft(noise) * np.sqrt(colour), n=162)
    scan = scan_with(
        noise[:40],
        repeats="frames" if source == "repeats" else "none",
        background=noise[40:] if source == "background" else None,
    )
    found = noise_correlation([scan, scan])
    np.testing.assert_array_equal(np.diag(found), 1)
    assert found[0, 1] == found[1, 0] == pytest.approx(0 if source == "nothing" else 0.8, abs=0.05)
    copies = replace(scan, signal=np.repeat(scan.signal[:, :, :1], 2, axis=2))
    np.linalg.cholesky(noise_correlation([copies]))


def test_the_noise_that_is_assumed(rng):
    colour = 1 + 2 * (np.arange(82) < 30)
    noise = np.fft.irfft(np.fft.rfft(white(rng, 400)) * np.sqrt(colour), n=162)
    scan = scan_with(noise)
    options = [
        RecorruptedOptions(noise="coloured"),
        RecorruptedOptions(noise="white"),
        RecorruptedOptions(sigma=0.5),
    ]
    coloured, level, given = (noise_power([scan], each) for each in options)
    assert coloured.shape == level.shape == given.shape == (2, 82)
    np.testing.assert_allclose(coloured[:, 1:-1], 162 * np.tile(colour, (2, 1))[:, 1:-1], rtol=0.3)
    np.testing.assert_allclose(level, 162 * np.mean(colour), rtol=0.03)
    np.testing.assert_allclose(given, 0.25 * 162)
    half = replace(scan, stored_lines=np.arange(82) < 41)
    assert not noise_power([half], options[1])[:, 41:].any()
    partly = noise_power([half], options[2])
    assert not partly[:, 41:].any()
    np.testing.assert_allclose(partly @ line_weights(162) / 162**2, 0.25)  # of one sample, as was asked for
