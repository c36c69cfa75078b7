"""Ideal phases where the data allow them, else fitted ones, or an error for those who insist."""

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.signal import fit_harmonic_filter

SAMPLES, LINES = 200, np.arange(1, 31)


def scan_of(make_scan, rng, *, signals=60, level=0.3, angle=0.0):
    """Odd signals of thirty lines that fall off, turned by an angle on each line, in noise."""
    strength = rng.normal(size=(signals, 1, 2, 30)) / LINES**0.5
    spectra = np.zeros((signals, 1, 2, SAMPLES // 2 + 1), complex)
    spectra[..., LINES] = 1j * strength * np.exp(1j * np.broadcast_to(angle, 30)) * SAMPLES / 2
    clean = np.fft.irfft(spectra, n=SAMPLES)
    noisy = clean + level * rng.normal(size=(signals, 2, 2, SAMPLES))
    return make_scan(noisy, repeats="periods"), clean


def lost(scan, clean, mode):
    harmonic = fit_harmonic_filter([scan], symmetry=mode)
    return np.mean((harmonic(clean) - clean) ** 2) / np.mean(clean**2)


def test_an_ideal_scan_keeps_its_phases(make_scan, rng):
    """ "fit" then gives the same as "exact", to the last bit, and nothing of the signal is lost."""
    scan, _ = scan_of(make_scan, rng)
    fitted = fit_harmonic_filter([scan], symmetry="fit").symmetry
    exact = fit_harmonic_filter([scan], symmetry="exact").symmetry
    np.testing.assert_array_equal(fitted.angle, exact.angle)
    assert fitted.holds.all()


@pytest.mark.parametrize("angle", [0.06, 0.1, 0.3, 1.0, np.arctan(2 * np.pi * LINES * 0.01)])
def test_insisting_on_the_wrong_phases_is_refused(make_scan, rng, angle):
    """Even where but a few thousandths of the signal would be lost; fitted phases lose next to nothing."""
    scan, clean = scan_of(make_scan, rng, angle=angle)
    with pytest.raises(InputError, match="the scan is not odd about its turning point") as caught:
        fit_harmonic_filter([scan], symmetry="exact")
    assert "symmetry=fit" in caught.value.hint
    assert lost(scan, clean, "fit") < 1e-3


def test_noise_does_not_speak_against_an_ideal_scan(make_scan):
    """Of 60 ideal scans none is refused, and few get fitted phases."""
    rng = np.random.default_rng(4)
    angles = 0
    for _ in range(60):
        scan, _ = scan_of(make_scan, rng, signals=15, level=1.0)
        fit_harmonic_filter([scan], symmetry="exact")
        angles += bool(fit_harmonic_filter([scan], symmetry="fit").symmetry.angle.any())
    assert angles <= 5


def test_weak_lines_keep_the_symmetry_when_the_noise_follows_the_signal(make_scan, rng):
    """Noise in proportion to each signal, of which only the mean is known: weak lines are still coherent."""
    _, clean = scan_of(make_scan, rng, signals=400, level=0.0, angle=0.2)
    clean *= rng.uniform(0.2, 3, (400, 1, 1, 1))
    rms = np.sqrt(np.mean(clean**2, axis=-1, keepdims=True))
    noisy = clean + 1.5 * rms * rng.normal(size=(400, 2, 2, SAMPLES))
    found = fit_harmonic_filter([make_scan(noisy, repeats="periods")])
    kept = found.keep[:, LINES]
    assert kept.mean() > 0.9
    assert found.symmetry.holds[:, LINES][kept].mean() > 0.95


def test_phases_are_not_asked_of_a_scan_without_signal(make_scan, rng):
    scan = make_scan(rng.normal(size=(5, 3, 2, 60)), repeats="periods")
    for mode in ("fit", "exact"):
        found = fit_harmonic_filter([scan], false_alarm=1e-12, symmetry=mode)
        assert not found.keep.any()
        assert not found(scan.signal).any()
