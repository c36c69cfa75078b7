"""White Gaussian noise, and the level of all Gaussian noise."""

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import InputError, UsageError
from mpikit.plugins import parse_options
from mpikit.scan_file import read_background
from mpikit.testing import example_scan
from mpikit_plugins.noise import Gaussian, GaussianOptions, fit_gaussian, mpikit_noise_models

GAUSSIAN = next(iter(mpikit_noise_models()))


def gaussian(**options):
    return Gaussian(GaussianOptions(**options))


def rms(values):
    return np.sqrt(np.mean(values**2, axis=-1))


@pytest.mark.parametrize("snr_db", [15.0, 5.0, -3.0])
def test_snr_of_each_signal_is_exact_by_construction(clean, draw, snr_db):
    unit = draw(gaussian(sigma=1.0), clean)
    sigma = rms(clean)[..., None] * 10 ** (-snr_db / 20)
    np.testing.assert_allclose(draw(gaussian(snr_db=snr_db), clean), sigma * unit, rtol=1e-12)
    np.testing.assert_allclose(rms(unit), 1, atol=0.08)  # 2000 samples: five standard deviations


def test_snr_of_a_peak(clean, draw):
    sigma = np.max(np.abs(clean), axis=-1)[..., None] / 10
    expected = sigma * draw(gaussian(sigma=1.0), clean)
    np.testing.assert_allclose(draw(gaussian(snr_db=20, reference="peak"), clean), expected, rtol=1e-12)


def test_snr_of_a_channel(clean, draw):
    sigma = np.sqrt(np.mean(clean**2, axis=(0, 1, 3))) / 10
    expected = sigma[:, None] * draw(gaussian(sigma=1.0), clean)
    np.testing.assert_allclose(draw(gaussian(snr_db=20, level="channel"), clean), expected, rtol=1e-12)


def test_a_measurement_in_blocks_has_one_level_in_a_channel(clean, draw, begin):
    begun = begin(gaussian(snr_db=20, level="channel"), [4.0, 0.0, 1.0], samples=2000)
    sigma = (
        np.sqrt([4.0, 2.5, 1.0])[:, None] / 10
    )  # the channel that sees nothing: the mean power of the others
    for block in (clean[:1], np.zeros_like(clean[:2]), 100 * clean[2:]):
        expected = sigma * draw(gaussian(sigma=1.0), block)
        np.testing.assert_allclose(draw(begun, block), expected, rtol=1e-12)


@pytest.mark.parametrize(("reference", "factor"), [("rms", 1.0), ("peak", np.sqrt(2))])
def test_an_empty_frame_has_the_level_of_the_measurement(clean, draw, begin, reference, factor):
    begun = begin(gaussian(snr_db=20, reference=reference), [4.0, 9.0, 1.0], samples=2000)
    clean[1] = 0
    unit = draw(gaussian(sigma=1.0), clean)
    sigma = factor * np.array([2.0, 3.0, 1.0])[:, None] / 10
    np.testing.assert_allclose(draw(begun, clean)[1], sigma * unit[1], rtol=1e-12)
    alone = draw(gaussian(snr_db=20, reference=reference), clean)
    np.testing.assert_allclose(draw(begun, clean)[[0, 2, 3]], alone[[0, 2, 3]], rtol=1e-12)


@pytest.mark.parametrize("level", ["signal", "channel"])
def test_empty_frames_get_the_mean_noise_of_their_channel(clean, draw, level):
    clean[[0, 3]] = 0
    noise = draw(gaussian(snr_db=0, level=level), clean)
    expected = np.sqrt(np.mean(clean[1:3] ** 2, axis=(0, 1, 3)))
    np.testing.assert_allclose(rms(noise[[0, 3]]), np.broadcast_to(expected, (2, 2, 3)), rtol=0.1)


def test_a_channel_that_sees_nothing_gets_the_noise_of_the_others(clean, draw):
    clean[:, :, 1] = 0
    expected = np.sqrt(np.mean(clean[:, :, [0, 2]] ** 2))
    np.testing.assert_allclose(rms(draw(gaussian(snr_db=0), clean)[:, :, 1]), expected, rtol=0.1)


def test_nothing_but_empty_frames(draw, begin):
    empty = np.zeros((2, 1, 3, 50))
    for wrong in (lambda: draw(gaussian(), empty), lambda: begin(gaussian(), np.zeros(3))):
        with pytest.raises(UsageError, match="every signal is empty") as caught:
            wrong()
        assert "sigma" in caught.value.hint
    begun = begin(gaussian(sigma=0.5), np.zeros(3))
    np.testing.assert_array_equal(draw(begun, empty), draw(gaussian(sigma=0.5), empty))


def test_single_precision_has_the_same_level(clean, draw):
    before = clean.copy()
    noise = draw(gaussian(snr_db=5, level="channel"), clean.astype(np.float32))
    np.testing.assert_array_equal(clean, before)
    sigma = np.sqrt(np.mean(clean**2, axis=(0, 1, 3))) * 10 ** (-5 / 20)
    np.testing.assert_allclose(rms(noise), np.broadcast_to(sigma, (4, 2, 3)), rtol=0.08)


def test_options():
    assert GaussianOptions().snr_db == 15
    assert GaussianOptions(sigma=0.1).snr_db is None
    assert parse_options(GAUSSIAN, ["sigma=2e-6"]) == GaussianOptions(sigma=2e-6)
    for wrong in (
        ["sigma=1", "snr_db=10"],
        ["sigma=-1"],
        ["snr_db=nan"],
        ["snr_db=none"],
        ["level=all"],
        ["reference=peak", "level=channel"],
    ):
        with pytest.raises(UsageError):
            parse_options(GAUSSIAN, wrong)


def test_fit_finds_sigma_in_spite_of_a_drifting_background(rng):
    scan = example_scan(background_frames=20)
    drift = np.linspace(5, 5.2, 20)[:, None, None, None] * np.sin(np.arange(162))
    drift[10:] += 3  # what happens while the object is measured
    background = drift + rng.normal(0, 0.3, scan.background.shape)
    shuffled = rng.permutation(20)
    scan = replace(
        scan,
        background=background[shuffled].astype(np.float32),
        background_index=np.sort(scan.background_index)[shuffled],
    )
    fitted = fit_gaussian(scan)
    assert fitted.sigma == pytest.approx(0.3, rel=0.05)
    assert fitted.snr_db is None


@pytest.mark.parametrize("index", [[0, 9], [0, 5, 11, 14, 30, 40, 60]])
def test_fit_of_frames_that_are_all_apart_counts_no_drift(rng, index):
    scan = example_scan(periods=3, background_frames=len(index))
    lines = 4 * np.cos(np.outer(range(2, 9), 2 * np.pi * np.arange(162) / 162)).sum(axis=0)
    drift = np.sin(np.array(index))[:, None, None, None] / 10
    fields = replace(scan.drive_field, amplitudes=np.arange(1, 4).reshape(3, 1, 1) * 1e-3)  # patches
    measured = (1 + drift) * lines + rng.normal(0, 0.3, scan.background.shape)
    scan = replace(
        scan,
        drive_field=fields,
        background=measured.astype(np.float32),
        background_index=np.array(index),
    )
    assert fit_gaussian(scan).sigma == pytest.approx(0.3, rel=0.08)


def test_fit_of_the_samples(samples):
    """Sigma is 3 in the first, with 100 averages 6e-5 in the second."""
    for name, sigma in (("openmpi3d-small", 3.0), ("multipatch", 6.04e-5)):
        fitted = fit_gaussian(read_background(samples / f"{name}-measurement.mdf"))
        assert fitted.sigma == pytest.approx(sigma, rel=0.01)


def test_periods_of_one_frame_are_enough(rng):
    scan = example_scan(periods=40, background_frames=1)
    background = 5 + rng.normal(0, 0.3, scan.background.shape)
    fitted = fit_gaussian(replace(scan, background=background.astype(np.float32)))
    assert fitted.sigma == pytest.approx(0.3, rel=0.05)


def test_fit_counts_the_lines_that_are_not_stored(rng):
    scan = example_scan(background_frames=30)
    stored = np.arange(82) >= 41
    spectra = np.fft.rfft(rng.normal(0, 0.3, scan.background.shape), axis=-1) * stored
    background = np.fft.irfft(spectra, n=162, axis=-1).astype(np.float32)
    fitted = fit_gaussian(replace(scan, background=background, stored_lines=stored))
    assert fitted.sigma == pytest.approx(0.3, rel=0.05)


def test_fit_needs_two_background_frames():
    with pytest.raises(InputError, match="1 background frames"):
        fit_gaussian(example_scan(background_frames=1))
