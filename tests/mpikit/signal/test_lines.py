"""Whitened real coefficients of the lines that hold signal, and back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.errors import InputError
from mpikit.signal import (
    HarmonicFilter,
    LineCoefficients,
    Symmetry,
    fit_line_coefficients,
    measure_lines,
    noise_statistics,
)


def make_lines(rng, samples=90, channels=3, symmetric=True, power=None):
    """Random lines, phases, noise and holds; DC and Nyquist among the lines that are asked for."""
    shape = (channels, samples // 2 + 1)
    keep = rng.random(shape) < 0.6
    keep[0, [0, -1]] = True
    symmetry = None
    if symmetric:
        symmetry = Symmetry(rng.normal(size=shape), rng.random(shape) < 0.5, np.ones(shape))
    if power is None:
        power = rng.uniform(0.1, 5, shape)
    return LineCoefficients(HarmonicFilter(keep, symmetry, samples), power)


@given(
    seed=st.integers(0, 99), samples=st.integers(8, 61), channels=st.integers(1, 4), symmetric=st.booleans()
)
def test_there_and_back(seed, samples, channels, symmetric):
    """Back and forward is the identity; forward and back is idempotent."""
    rng = np.random.default_rng(seed)
    lines = make_lines(rng, samples, channels, symmetric)
    coefficients = rng.normal(size=(2, 5, lines.count))
    signal = lines.back(coefficients)
    assert signal.shape == (2, 5, channels, samples)
    assert signal.dtype == np.float32
    np.testing.assert_allclose(lines.forward(signal), coefficients, atol=1e-4)
    other = rng.normal(size=(3, channels, samples))
    once = lines.back(lines.forward(other))
    np.testing.assert_allclose(lines.back(lines.forward(once)), once, atol=1e-5)


def test_it_is_the_projection_of_the_filter(rng):
    lines = make_lines(rng, samples=91)
    harmonic = lines.harmonic
    keep = harmonic.keep.copy()
    keep[:, 0] = False
    signal = rng.normal(size=(4, 2, 3, 91))
    expected = replace(harmonic, keep=keep)(signal)
    np.testing.assert_allclose(lines.back(lines.forward(signal)), expected, atol=1e-5)


@pytest.mark.parametrize("samples", [90, 91])
def test_with_white_noise_lengths_are_kept(rng, samples):
    """Orthogonal up to the factor: the energy of what is kept is the sum of squares times the variance."""
    lines = make_lines(rng, samples, power=np.full((3, samples // 2 + 1), 0.49 * samples))
    x, y = lines.back(rng.normal(size=(2, lines.count))).astype(float)
    a, b = lines.forward(np.stack([x, y]))
    assert np.sum(a * b) * 0.49 == pytest.approx(np.sum(x * y), abs=1e-4)
    assert np.sum(a**2) * 0.49 == pytest.approx(np.sum(x**2), rel=1e-5)


def test_whitened_noise_has_unit_variance(rng):
    """Stationary noise of any colour, through the way it is measured."""
    lines = make_lines(rng)
    colour = np.sqrt(lines.line_power / 90)
    white = np.fft.rfft(rng.normal(size=(4000, 3, 90)))
    found = lines.forward(np.fft.irfft(white * colour, n=90))
    covariance = found.T @ found / len(found)
    np.testing.assert_allclose(np.diag(covariance), 1, atol=0.12)
    assert np.mean(np.diag(covariance)) == pytest.approx(1, abs=0.01)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 5 / np.sqrt(4000) * 1.2


def test_one_coefficient_where_the_symmetry_holds_and_two_elsewhere(rng):
    lines = make_lines(rng)
    keep = lines.harmonic.keep.copy()
    keep[:, [0, -1]] = False
    holds = lines.harmonic.symmetry.holds
    assert lines.count == (keep & holds).sum() + 2 * (keep & ~holds).sum()
    places = lines.places
    assert places.shape == (lines.count, 2)
    counts = np.zeros(keep.shape, int)
    np.add.at(counts, tuple(places.T), 1)
    np.testing.assert_array_equal(counts, np.where(keep, np.where(holds, 1, 2), 0))
    for one in (0, lines.count - 1):  # a coefficient is a sine on its own line and channel
        spectra = np.fft.rfft(lines.back(np.eye(lines.count)[one]))
        strongest = np.unravel_index(np.argmax(np.abs(spectra)), spectra.shape)
        assert tuple(places[one]) == strongest


def test_signals_of_another_shape_are_refused(rng):
    lines = make_lines(rng)
    with pytest.raises(InputError, match="fitted to 3 and 90"):
        lines.forward(np.zeros((2, 3, 91)))


@pytest.mark.parametrize("symmetric", [True, False])
def test_state_round_trip(rng, symmetric):
    lines = make_lines(rng, symmetric=symmetric)
    back = LineCoefficients.restore(lines.state())
    signal = rng.normal(size=(2, 3, 90))
    np.testing.assert_array_equal(back.forward(signal), lines.forward(signal))


# --- fitted ----------------------------------------------------------------------------------------------


def odd(rng, *shape, lines, samples=120):
    waves = np.sin(2 * np.pi * np.outer(lines, np.arange(samples)) / samples)
    return rng.normal(size=(*shape, len(lines))) @ waves


def test_means_and_noise_of_the_fit(make_scan, rng):
    clean = odd(rng, 25, 1, 3, lines=[3, 4, 9])
    noisy = clean + 0.3 * rng.normal(size=(25, 4, 3, 120))
    scan = make_scan(noisy, repeats="periods")
    lines, found = fit_line_coefficients([scan], symmetry="exact")
    assert found.noise == 1 / 4
    np.testing.assert_allclose(found.means, lines.forward(scan.signal.mean(axis=1)), atol=1e-4)
    left = found.means - lines.forward(clean[:, 0])
    assert np.mean(left**2) == pytest.approx(1 / 4, rel=0.15)
    np.testing.assert_allclose(lines.line_power, noise_statistics(scan).line_power)


def test_several_scans(make_scan, rng):
    scans = [
        make_scan(rng.normal(size=(count, repeats, 3, 40)), repeats="periods")
        for count, repeats in [(4, 3), (6, 5)]
    ]
    measured = measure_lines(scans)
    assert measured.signals.shape == (10, 3, 21)
    assert measured.share == pytest.approx((1 / 3 + 1 / 5) / 2)
    both = [noise_statistics(scan).line_power for scan in scans]
    np.testing.assert_allclose(measured.period_noise, np.mean(both, axis=0))
    np.testing.assert_allclose(measured.noise, measured.share * measured.period_noise)
    assert measured.freedom == sum(noise_statistics(scan).freedom for scan in scans)


def test_neighbours_of_a_line_that_stands_out(make_scan, make_field, rng):
    """In steps of the grid: three cycles in a period leave every third line."""
    clean = odd(rng, 40, 1, 3, lines=[12, 30], samples=120)
    noisy = clean + 0.05 * rng.normal(size=(40, 3, 3, 120))
    scan = make_scan(noisy, repeats="periods", field=make_field([40], periods=3))
    lines, _ = fit_line_coefficients([scan], false_alarm=1e-9, band=2)
    expected = [6, 9, 12, 15, 18, 24, 27, 30, 33, 36]
    for keep in lines.harmonic.keep:
        np.testing.assert_array_equal(np.flatnonzero(keep), expected)


def test_signals_without_noise_and_no_signal_at_all(make_scan, rng):
    clean = np.repeat(odd(rng, 5, 1, 3, lines=[3, 4, 9]), 2, axis=1)
    scan = make_scan(clean, repeats="periods")
    lines, found = fit_line_coefficients([scan])
    assert np.isfinite(found.means).all()
    back = lines.back(lines.forward(scan.signal))
    np.testing.assert_allclose(back, scan.signal, atol=1e-5 * np.abs(clean).max())
    lines, found = fit_line_coefficients([make_scan(np.zeros((4, 2, 3, 20)), repeats="periods")])
    assert lines.count == 0
    assert lines.back(lines.forward(np.ones((2, 3, 20)))).shape == (2, 3, 20)
