"""Relaxation of 20 µs on the scan of Peng et al.: fitted phases lose nothing, ideal ones are refused."""

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.metrics import snr
from mpikit.signal import fit_harmonic_filter, symmetry_center
from mpikit.signal.symmetry import exact_symmetry
from mpikit.simulate import Phantom, Signals, preset
from mpikit.simulate.scans import simulate_scan


class White:
    """Noise of 5 dB, relative to each signal."""

    def __call__(self, clean, /, *, frame_index, sampling_rate, drive_field, rng):  # noqa: ARG002
        rms = np.sqrt(np.mean(clean**2, axis=-1, keepdims=True))
        return rms * 10 ** (-5 / 20) * rng.normal(size=clean.shape)


@pytest.fixture(scope="module")
def scans():
    """Noisy and clean scans of the same 150 phantoms, without relaxation and with 20 µs."""
    base, rng = preset("peng2023"), np.random.default_rng(5)
    images = rng.random((150, 1, 9, 8)) ** 4
    phantom = Phantom(images, base.phantom.grid((8, 9)), "random")
    found = {}
    for time in (0.0, 20e-6):
        scanner = replace(base, particle=replace(base.particle, relaxation_time=time))
        made = simulate_scan(
            scanner, phantom, frames=150, periods=2, noise=[White()], rng=np.random.default_rng(6)
        )
        found[time] = made
    return found


def output_snr(scan, clean, mode):
    found = fit_harmonic_filter([scan], symmetry=mode)
    return float(snr(found(scan.signal)[:, 0, 0], clean[:, 0, 0]).mean())


def test_fitted_phases_lose_less_than_half_a_decibel(scans):
    """Beside the same scan without relaxation; and they are worth what the ideal ones are there, 3 dB."""
    ideal, relaxed = (output_snr(*scans[time], "fit") for time in (0.0, 20e-6))
    assert relaxed > ideal - 0.5
    assert relaxed > output_snr(*scans[20e-6], "off") + 2


def test_ideal_phases_are_refused_and_not_silently_wrong(scans):
    scan, clean = scans[20e-6]
    with pytest.raises(InputError, match="the scan is not odd about its turning point") as caught:
        fit_harmonic_filter([scan], symmetry="exact")
    assert "symmetry=fit" in caught.value.hint
    blind = fit_harmonic_filter([scans[0.0][0]], symmetry="exact")  # what they would have made of it
    assert np.mean(snr(blind(clean)[:, 0, 0], clean[:, 0, 0])) < 15


def test_without_relaxation_they_are_taken(scans):
    assert output_snr(*scans[0.0], "exact") == pytest.approx(output_snr(*scans[0.0], "fit"), abs=0.3)


@pytest.mark.parametrize("shift", [1, 813, 0.37])
def test_a_scan_that_starts_later_gives_the_same_result_moved(scans, shift):
    """Oracle of the centre c = -φ / (2π f), also between samples: projecting and moving commute."""
    scan, _ = scans[0.0]
    samples = scan.signal.shape[-1]
    turn = np.exp(-2j * np.pi * np.arange(samples // 2 + 1) * shift / samples)

    def moved(signal):
        spectra = np.fft.rfft(signal.astype(float))
        spectra[..., -1] = 0
        return np.fft.irfft(spectra * turn, n=samples)

    field = scan.drive_field
    delay = shift / scan.sampling_rate
    late = replace(field, phases=field.phases - 2 * np.pi * field.frequencies * delay)
    later = replace(scan, signal=moved(scan.signal).astype(np.float32), drive_field=late)
    here, there = (fit_harmonic_filter([each], symmetry="exact") for each in (scan, later))
    np.testing.assert_array_equal(here.keep, there.keep)
    expected = moved(here(scan.signal))
    np.testing.assert_allclose(there(later.signal), expected, atol=2e-6 * np.abs(expected).max())


def test_a_clean_scan_of_any_phantom_is_not_changed_by_the_projection():
    """To 1e-10 of its largest sample, in double precision."""
    base = preset("peng2023")
    images = np.random.default_rng(8).random((3, 1, 6, 7)) ** 2
    clean = Signals(base, base.phantom.grid((7, 6)), images=3).of(
        Phantom(images, base.phantom.grid((7, 6)), "random")
    )[:, 0]
    frequencies = np.fft.rfftfreq(base.samples, 1 / base.receiver.sampling_rate)
    symmetry = exact_symmetry(symmetry_center(base.drive_field), frequencies, clean.shape[1])
    projected = np.fft.irfft(symmetry.project(np.fft.rfft(clean)), n=base.samples)
    np.testing.assert_allclose(projected, clean, atol=1e-10 * np.abs(clean).max(), rtol=0)
