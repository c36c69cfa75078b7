"""``wavelet``: shrinkage of periodic wavelet coefficients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import pywt
from pydantic import ValidationError

from mpikit.errors import InputError
from mpikit.testing import check_denoiser, example_scan
from mpikit_plugins.classic import mpikit_denoisers
from mpikit_plugins.classic.wavelet import WaveletOptions, WaveletShrinkage, _levels, padded_length, resample

RECORD = next(record for record in mpikit_denoisers() if record.name == "wavelet")


@pytest.mark.parametrize(("samples", "finer"), [(162, 168), (161, 200), (99, 99)])
def test_another_grid_holds_the_same_lines(rng, samples, finer):
    signal = rng.normal(size=(3, samples)).astype(np.float32)
    spectra = np.fft.rfft(signal)
    if samples % 2 == 0:
        spectra[:, -1] = 0
    band = np.fft.irfft(spectra, n=samples)
    between = resample(signal, finer)
    assert between.shape == (3, finer)
    np.testing.assert_allclose(resample(between, samples), band, atol=1e-5)


@pytest.mark.parametrize(("samples", "levels", "length"), [(9900, 9, 10240), (162, 3, 168), (160, 4, 160)])
def test_a_length_that_can_be_halved(samples, levels, length):
    assert padded_length(samples, levels) == length


@pytest.mark.parametrize("symmetry", ["off", "exact"])
def test_the_noise_of_each_level_is_known_whatever_its_colour(make_known, rng, symmetry):
    """Predicted from the spectrum of the noise, against coefficients of drawn noise."""
    known = make_known(objects=300)
    colour = np.linspace(0.3, 2, 82) ** 2
    drawn = rng.normal(size=(300, 2, 2, 162)) * np.array([1, 3])[:, None]
    noise = np.fft.irfft(np.fft.rfft(drawn) * colour, n=162).astype(np.float32)
    scan = replace(known.scan, signal=noise)
    method = WaveletShrinkage(WaveletOptions(symmetry=symmetry, background="keep", wavelet="db3", level=4))
    from mpikit import Run

    method.fit([scan], run=Run(rng=rng))
    assert method.deviations.shape == (2, 4)
    padded = resample(method.filter(noise), 176)
    _, *details = pywt.wavedec(padded, "db3", mode="periodization", level=4)
    found = np.stack([detail.std(axis=(0, 1, 3)) for detail in details], axis=1)
    np.testing.assert_allclose(method.deviations, found, rtol=0.05)


def test_noise_goes_and_bumps_stay(make_known, denoise):
    known = make_known(objects=40, level=0.3)
    time = np.arange(162) / 162
    bump = np.exp(-(((time - 0.3) / 0.03) ** 2)) - np.exp(-(((0.7 - time) / 0.03) ** 2))  # odd about 0
    scan = replace(known.scan, signal=(known.scan.signal - known.clean + 5 * bump).astype(np.float32))
    for options in ({}, {"shifts": 4}, {"rule": "hard"}, {"wavelet": "db4", "level": 2}):
        found = denoise(RECORD, scan, background="keep", **options)
        assert np.mean((found - 5 * bump) ** 2) < 0.45 * 0.09, options
    one, many = (denoise(RECORD, scan, background="keep", shifts=count) for count in (1, 8))
    assert np.mean((many - 5 * bump) ** 2) < np.mean((one - 5 * bump) ** 2)


def test_without_noise_nothing_changes(make_known, denoise):
    known = make_known(objects=5)
    clean = replace(known.scan, signal=known.clean.astype(np.float32))
    for symmetry in ("off", "fit"):
        found = denoise(RECORD, clean, background="keep", symmetry=symmetry)
        np.testing.assert_allclose(found, known.clean, atol=1e-3)


def test_soft_and_hard(make_known, denoise):
    """A huge threshold leaves the coarsest level alone, whatever the rule."""
    known = make_known(objects=10)
    one, other = (denoise(RECORD, known.scan, threshold=1e9, rule=rule) for rule in ("soft", "hard"))
    np.testing.assert_array_equal(one, other)
    assert np.abs(np.fft.rfft(one)[..., 50:]).max() < 0.01 * np.abs(np.fft.rfft(one)).max()


@pytest.mark.parametrize("name", ["bior2.2", "gaus1", "nonsense"])
def test_the_wavelet_must_be_orthogonal(name):
    with pytest.raises(ValidationError, match="an orthogonal wavelet of PyWavelets was expected"):
        WaveletOptions(wavelet=name)


def test_too_many_levels(denoise):
    with pytest.raises(
        InputError, match="162 samples in a period are too few for 4 levels of sym8"
    ) as caught:
        denoise(RECORD, example_scan(), level=4)
    assert caught.value.hint == "take level=3 or less"


@pytest.mark.parametrize(
    ("samples", "hint"),
    [(15, "as wavelet=db4"), (9, "as wavelet=db2"), (4, "as wavelet=haar"), (1, "use another method")],
)
def test_the_wavelet_of_the_hint_fits(samples, hint):
    with pytest.raises(
        InputError, match=f"{samples} samples in a period are too few for a level of sym8"
    ) as caught:
        _levels(samples, WaveletOptions())
    assert caught.value.hint.endswith(hint)
    if "=" in hint:
        assert _levels(samples, WaveletOptions(wavelet=hint.split("=")[1])) == 1


def test_contract_of_the_variants():
    check_denoiser(RECORD, RECORD.options(symmetry="off", rule="hard", shifts=3, wavelet="haar"))
    check_denoiser(RECORD, scan=example_scan(frames=1, repeats="none", background_frames=0))
