"""Noise models that come with mpikit."""

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import InputError, UsageError
from mpikit.plugins import parse_options
from mpikit.testing import check_noise_model, example_scan
from mpikit_plugins.noise import Gaussian, GaussianOptions, fit_gaussian, mpikit_noise_models

GAUSSIAN = next(iter(mpikit_noise_models()))


@pytest.fixture
def clean(rng):
    """Signals of different strength, (4, 2, 3, 2000)."""
    return rng.normal(size=(4, 2, 3, 2000)) * rng.uniform(0.1, 10, size=(4, 2, 3, 1))


def draw(clean, seed=1, **options):
    return Gaussian(GaussianOptions(**options))(
        clean,
        frame_index=np.arange(len(clean)),
        sampling_rate=1e6,
        drive_field=example_scan().drive_field,
        rng=np.random.default_rng(seed),
    )


def rms(values):
    return np.sqrt(np.mean(values**2, axis=-1))


@pytest.mark.parametrize("model", list(mpikit_noise_models()), ids=lambda model: model.name)
def test_contract(model):
    check_noise_model(model)


def test_contract_with_the_level_of_a_channel():
    check_noise_model(GAUSSIAN, GaussianOptions(level="channel", snr_db=3))


@pytest.mark.parametrize("snr_db", [15.0, 5.0, -3.0])
def test_snr_of_each_signal_is_exact_by_construction(clean, snr_db):
    unit = draw(clean, sigma=1.0)
    sigma = rms(clean)[..., None] * 10 ** (-snr_db / 20)
    np.testing.assert_allclose(draw(clean, snr_db=snr_db), sigma * unit, rtol=1e-12)
    np.testing.assert_allclose(rms(unit), 1, atol=0.08)  # 2000 samples: five standard deviations


def test_snr_of_a_channel(clean):
    sigma = np.sqrt(np.mean(clean**2, axis=(0, 1, 3))) / 10
    expected = sigma[:, None] * draw(clean, sigma=1.0)
    np.testing.assert_allclose(draw(clean, snr_db=20, level="channel"), expected, rtol=1e-12)


@pytest.mark.parametrize("level", ["signal", "channel"])
def test_empty_frames_get_the_mean_noise_of_their_channel(clean, level):
    clean[[0, 3]] = 0
    noise = draw(clean, snr_db=0, level=level)
    expected = np.sqrt(np.mean(clean[1:3] ** 2, axis=(0, 1, 3)))
    np.testing.assert_allclose(rms(noise[[0, 3]]), np.broadcast_to(expected, (2, 2, 3)), rtol=0.1)


def test_a_channel_that_sees_nothing_gets_the_noise_of_the_others(clean):
    clean[:, :, 1] = 0
    expected = np.sqrt(np.mean(clean[:, :, [0, 2]] ** 2))
    np.testing.assert_allclose(rms(draw(clean, snr_db=0)[:, :, 1]), expected, rtol=0.1)


def test_nothing_but_empty_frames():
    empty = np.zeros((2, 1, 3, 50))
    with pytest.raises(UsageError, match="every signal is empty") as caught:
        draw(empty)
    assert "gaussian:sigma" in caught.value.hint
    assert rms(draw(empty, sigma=0.5)).mean() == pytest.approx(0.5, rel=0.2)


def test_the_input_stays_as_it_is(clean):
    before = clean.copy()
    noise = draw(clean)
    np.testing.assert_array_equal(clean, before)
    assert draw(clean.astype(np.float32)).dtype == np.float32
    assert noise.dtype == np.float64


def test_options():
    assert GaussianOptions().snr_db == 15
    assert GaussianOptions(sigma=0.1).snr_db is None
    assert parse_options(GAUSSIAN, ["sigma=2e-6"]) == GaussianOptions(sigma=2e-6)
    for wrong in (["sigma=1", "snr_db=10"], ["sigma=-1"], ["snr_db=nan"], ["snr_db=none"], ["level=all"]):
        with pytest.raises(UsageError):
            parse_options(GAUSSIAN, wrong)


def test_fit_finds_sigma_in_spite_of_a_drifting_background(rng):
    scan = example_scan(background_frames=20)
    drift = np.linspace(5, 5.2, 20)[:, None, None, None] * np.sin(np.arange(162))
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


def test_fit_needs_two_background_frames():
    with pytest.raises(InputError, match="1 background frames"):
        fit_gaussian(example_scan(background_frames=1))
