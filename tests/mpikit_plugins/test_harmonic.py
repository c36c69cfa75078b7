"""``harmonic``: the lines that stand out of the noise, projected on the symmetry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run
from mpikit.errors import InputError, PluginError
from mpikit.events import silent
from mpikit.models import Card, load_model, save_model
from mpikit.plugins import registry
from mpikit.scan_file import read_scan
from mpikit.testing import example_scan
from mpikit_plugins.harmonic import Harmonic, HarmonicOptions

SIGNAL_LINES = slice(1, 13)  # of `example_scan`


def run(tell=silent):
    return Run(rng=np.random.default_rng(0), tell=tell)


def fitted(scan, **options):
    method = Harmonic(HarmonicOptions(**options))
    method.fit([scan], run=run())
    return method


def spectra(signal):
    return np.fft.rfft(signal.astype(float), axis=-1)


@pytest.fixture
def scan():
    """Twelve sines of like strength in white noise."""
    scan = example_scan(frames=9, periods=5, repeats="both", background_frames=3)
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.5, 1, (2, 12)) * rng.choice([-1, 1], (2, 12))
    waves = np.sin(2 * np.pi * np.outer(np.arange(1, 13), np.arange(162)) / 162)
    noisy = weights @ waves + rng.normal(0, 0.3, scan.signal.shape)
    return replace(scan, signal=noisy.astype(np.float32))


def test_it_keeps_the_lines_of_the_signal_and_their_odd_part(scan):
    method = fitted(scan, background="keep")
    assert method.filter.keep[:, SIGNAL_LINES].all()
    assert method.filter.keep.sum() <= 24 + 2
    given, found = spectra(scan.signal), spectra(method.denoise(scan, run=run()))
    size = np.abs(given).max()
    holds = method.filter.symmetry.holds & method.filter.keep
    assert holds[:, SIGNAL_LINES].all()
    # sines are imaginary, but for the noise in the fitted phases
    np.testing.assert_allclose(found[..., holds].imag, given[..., holds].imag, atol=0.02 * size)
    np.testing.assert_allclose(found[..., holds].real, 0, atol=0.02 * size)
    np.testing.assert_allclose(found[..., ~method.filter.keep], 0, atol=1e-5 * size)


def test_exact_symmetry_is_exact(scan):
    """s(-t) = -s(t) after projection, and twice is once."""
    method = fitted(scan, background="keep", symmetry="exact")
    once = method.denoise(scan, run=run())
    mirrored = once[..., -np.arange(162) % 162]
    np.testing.assert_allclose(mirrored, -once, atol=1e-6)
    np.testing.assert_allclose(method.denoise(replace(scan, signal=once), run=run()), once, rtol=0, atol=1e-6)


def test_noise_that_is_left():
    """Keeping 12 of 81 lines and one of two phases leaves 12 / 162 of white noise."""
    scan = example_scan(frames=40, periods=7, background_frames=0)
    clean = fitted(scan, symmetry="exact")
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(60, 7, 2, 162)).astype(np.float32)
    left = clean.denoise(replace(scan, signal=noise, foreground_index=np.arange(60)), run=run())
    assert left.var() == pytest.approx(clean.filter.keep.sum() / 2 / 162, rel=0.05)
    unprojected = fitted(scan, symmetry="off")
    twice = unprojected.denoise(replace(scan, signal=noise, foreground_index=np.arange(60)), run=run())
    assert twice.var() == pytest.approx(2 * left.var(), rel=0.05)


@pytest.mark.parametrize("symmetry", ["fit", "exact", "off"])
def test_it_is_linear(scan, symmetry):
    method = fitted(scan, background="keep", symmetry=symmetry)
    other = replace(scan, signal=scan.signal[::-1, ::-1].copy())
    both = replace(scan, signal=3 * scan.signal - other.signal)
    expected = 3 * method.denoise(scan, run=run()) - method.denoise(other, run=run())
    np.testing.assert_allclose(method.denoise(both, run=run()), expected, atol=1e-5)
    zero = replace(scan, signal=0 * scan.signal)
    assert not method.denoise(zero, run=run()).any()


def test_pure_noise_leaves_next_to_nothing(scan):
    rng = np.random.default_rng(3)
    noise = replace(scan, signal=rng.normal(size=scan.signal.shape).astype(np.float32))
    method = fitted(noise, background="keep", false_alarm=1e-4)
    assert method.filter.keep.sum() <= 2
    many = fitted(noise, background="keep", false_alarm=0.3).filter.keep.mean()
    assert many == pytest.approx(0.3, abs=0.12)


def test_a_phase_of_each_line_is_found(scan):
    """Relaxation turns the lines; "fit" keeps the signal, "exact" refuses to lose it."""
    turn = np.ones(82, complex)
    turn[SIGNAL_LINES] = np.exp(-1j * np.linspace(0.1, 1.3, 12))
    relaxed = np.fft.irfft(spectra(scan.signal) * turn, n=162).astype(np.float32)
    other = replace(scan, signal=relaxed)
    turned = fitted(other, background="keep").denoise(other, run=run())
    plain = fitted(scan, background="keep").denoise(scan, run=run())
    back = np.fft.irfft(spectra(turned) / turn, n=162)
    np.testing.assert_allclose(back, plain, atol=0.02 * np.abs(plain).max())
    with pytest.raises(InputError, match="the scan is not odd about its turning point") as caught:
        fitted(other, symmetry="exact")
    assert "symmetry=fit" in caught.value.hint


def test_a_trajectory_that_is_not_retraced_has_no_symmetry(scan):
    drive = replace(
        scan.drive_field,
        dividers=np.array([[100], [50]]),
        amplitudes=np.full((5, 2, 1), 0.012),
        phases=np.tile([[0.3], [0.0]], (5, 1, 1)),
        waveforms=np.array([["sine"], ["sine"]]),
    )
    other = replace(scan, drive_field=drive)
    told = []
    method = Harmonic(HarmonicOptions())
    method.fit([other], run=run(told.append))
    assert method.filter.symmetry is None
    assert told[0].text.endswith("; no symmetry is used")
    with pytest.raises(InputError, match="not retraced"):
        fitted(other, symmetry="exact")


def test_the_finding_counts_the_lines(scan):
    told = []
    method = Harmonic(HarmonicOptions())
    method.fit([scan], run=run(told.append))
    kept = int(method.filter.keep.sum())
    assert (told[0].name, told[0].value) == ("harmonics", kept)
    assert told[0].text.startswith(f"lines above the noise: {kept} of 164; the scan symmetry holds on ")


@pytest.mark.parametrize("symmetry", ["fit", "off"])
def test_a_model_file_holds_all_that_was_learnt(scan, tmp_path, symmetry):
    method = fitted(scan, symmetry=symmetry)
    path = tmp_path / "model.safetensors"
    save_model(path, Card("harmonic", "mpikit", method.options.model_dump(mode="json")), method.state())
    card, state = load_model(path)
    other = Harmonic(HarmonicOptions(**card.options))
    other.restore(state)
    np.testing.assert_array_equal(other.denoise(scan, run=run()), method.denoise(scan, run=run()))


def test_what_was_not_fitted_and_what_does_not_fit(scan):
    method = Harmonic(HarmonicOptions())
    with pytest.raises(PluginError, match="harmonic has not been fitted"):
        method.denoise(scan, run=run())
    method.restore({})
    assert method.state() == {}
    method = fitted(scan)
    one = replace(scan, signal=scan.signal[:, :, :1], background=scan.background[:, :, :1])
    with pytest.raises(InputError, match=r"1 receive channels and 162 samples in a period.*2 and 162"):
        method.denoise(one, run=run())
    with pytest.raises(InputError, match="differ in receive channels"):
        method.fit([scan, one], run=run())


def test_a_scan_of_twenty_frames(samples):
    """The reference-free SNR of single frames rises by more than 4 dB."""
    from mpikit.denoise import denoise_scan

    scan = read_scan(samples / "bruker2d-measurement.mdf")
    result = denoise_scan(scan, registry().denoiser("harmonic"), HarmonicOptions(), run=run())
    assert (scan.repeats, result.before.periods_used, result.after.periods_used) == ("frames", 1, 1)
    assert result.after.figures.snr_db > result.before.figures.snr_db + 4
    assert result.without_background
