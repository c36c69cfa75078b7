"""Where the drive field is retraced, the particle signal is odd."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.scanner import DriveField, SelectionField
from mpikit.signal import Symmetry, fit_harmonic_filter, fit_symmetry, symmetry_center
from mpikit.signal.symmetry import exact_symmetry
from mpikit.simulate import Phantom, Signals, preset

SAMPLES = 240
FREQUENCIES = np.fft.rfftfreq(SAMPLES, 1e-6)


def signals(scanner, phantom):
    return Signals(scanner, phantom.grid, images=phantom.count).of(phantom)[:, 0]


@pytest.fixture(scope="module")
def small():
    """A 1-D scanner of 240 samples and three coils: hardly any line is aliased."""
    base = preset("openmpi-2d")
    drive = replace(
        base.drive_field,
        dividers=np.array([[120]]),
        amplitudes=np.full((1, 1, 1), 0.014),
        phases=np.full((1, 1, 1), np.pi / 2),
        waveforms=np.full((1, 1), "sine"),
    )
    coils = 1e-3 * np.array([[1, 0, 0], [0.3, 1, 0], [0, 0.2, 1]])
    return replace(
        base,
        name="small",
        drive_field=drive,
        receiver=replace(base.receiver, sensitivity=coils, bandwidth=2.5e6),
    )


def random_phantom(scanner, count=1, size=(7, 5)):
    grid = scanner.phantom.grid(size)
    images = 0.1 * np.random.default_rng(5).random((count, *grid.shape)) ** 2
    return Phantom(images, grid, "random")


def project(symmetry, signal):
    spectra = symmetry.project(np.fft.rfft(signal))
    return np.fft.irfft(spectra, n=signal.shape[-1])


# --- the turning point -----------------------------------------------------------------------------------


@given(st.floats(-7, 7), st.integers(3, 5000))
def test_one_sine_turns_at_its_first_peak(phase, divider):
    field = one_channel(divider, phase)
    center = symmetry_center(field)
    half = divider / 2e6
    assert 0 <= center <= half
    # a cosine of start phase p turns at -p / (2π f), every half period
    turns = (center + (phase - np.pi / 2) / (2 * np.pi) * 2 * half) / half
    assert turns == pytest.approx(round(turns), abs=1e-6)


def one_channel(divider, phase):
    return DriveField(
        1e6, np.array([[divider]]), np.ones((1, 1, 1)), np.full((1, 1, 1), phase), np.array([["sine"]])
    )


@pytest.mark.parametrize("dividers", [[102], [16, 17], [102, 96, 99], [3, 5, 7]])
def test_cosines_turn_at_zero(make_field, dividers):
    assert symmetry_center(make_field(dividers)) == 0


def test_sines_of_16_to_17_never_turn_together(make_field):
    assert symmetry_center(make_field([16, 17], [0, 0])) is None


def test_sines_of_5_to_1_turn_after_a_quarter(make_field):
    """The sequence of Peng et al. with sines: both frequencies are odd multiples of the common one."""
    field = make_field([1980, 9900], [0, 0], base_frequency=4.95e6)
    assert symmetry_center(field) == pytest.approx(2e-3 / 4)


@given(shift=st.floats(0, 1), dividers=st.sampled_from([[16, 17], [1980, 9900], [12, 10, 15]]))
def test_a_later_start_moves_the_turning_point(shift, dividers):
    """Cosines that start late by any fraction of a cycle: all phases move along, and the centre with them."""
    dividers = np.array(dividers)[:, None]
    cycle = np.lcm.reduce(dividers.ravel()) / 1e6
    delay = shift * cycle
    phases = np.pi / 2 - 2 * np.pi * 1e6 / dividers * delay
    field = DriveField(
        1e6, dividers, np.ones((1, *dividers.shape)), phases[None], np.full(dividers.shape, "sine")
    )
    center = symmetry_center(field)
    away = (center - delay) / (cycle / 2)
    assert away == pytest.approx(round(away), abs=1e-5)


@pytest.mark.parametrize("waveform", ["sine", "triangle"])
def test_the_field_is_even_about_the_centre(make_field, waveform):
    field = make_field([24, 40, 60], [0.3 + np.pi / 2, 0.18 + np.pi / 2, 0.12 + np.pi / 2], waveform=waveform)
    center = symmetry_center(field)
    times = np.linspace(0, 2e-4, 301)
    np.testing.assert_allclose(field.field(center + times), field.field(center - times), atol=1e-9)
    assert 0 < center < field.cycle / 2


def test_no_centre_without_a_known_field(make_field):
    field = make_field([12, 20])
    assert symmetry_center(replace(field, amplitudes=0 * field.amplitudes)) is None
    assert symmetry_center(replace(field, waveforms=np.array([["sine"], ["custom"]]))) is None


def test_inactive_components_do_not_matter(make_field):
    field = make_field([16, 17], [np.pi / 2, 0])
    assert symmetry_center(field) is None
    quiet = make_field([16, 17], [0, 0])
    quiet = replace(quiet, amplitudes=np.array([[[0.01], [0]]]), waveforms=np.array([["sine"], ["custom"]]))
    assert symmetry_center(quiet) == pytest.approx(16e-6 / 4)


def test_each_period_has_its_own_centre(make_field):
    field = make_field([20], periods=2)
    field = replace(field, phases=np.array([np.pi / 2, 0]).reshape(2, 1, 1))
    assert [symmetry_center(field, period) for period in (0, 1)] == pytest.approx([0, 5e-6])


# --- the projection --------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES + 1])
@pytest.mark.parametrize("center", [0.0, 13e-6, 17.37e-6])
def test_a_projection_is_idempotent_and_symmetric(rng, center, samples):
    symmetry = exact_symmetry(center, np.fft.rfftfreq(samples, 1e-6), 3)
    x, y = np.fft.irfft(np.fft.rfft(rng.normal(size=(2, 3, samples)))[..., : samples // 2], n=samples)
    once = project(symmetry, x)
    np.testing.assert_allclose(project(symmetry, once), once, atol=1e-12)
    assert np.sum(once * y) == pytest.approx(np.sum(x * project(symmetry, y)), abs=1e-9)
    assert np.sum(once * (x - once)) == pytest.approx(0, abs=1e-9)


def test_the_projection_is_the_odd_part(rng):
    """For a turning point on a sample: (s(t) - s(2c - t)) / 2."""
    x = rng.normal(size=(3, SAMPLES))
    mirrored = x[:, (2 * 13 - np.arange(SAMPLES)) % SAMPLES]
    symmetry = exact_symmetry(13e-6, FREQUENCIES, 3)
    np.testing.assert_allclose(project(symmetry, x), (x - mirrored) / 2, atol=1e-12)


def test_half_of_white_noise_remains(rng):
    noise = rng.normal(size=(400, 3, SAMPLES))
    left = project(exact_symmetry(7.7e-6, FREQUENCIES, 3), noise)
    assert np.mean(left**2) / np.mean(noise**2) == pytest.approx(0.5, abs=0.005)


def test_it_holds_line_by_line(rng):
    holds = rng.random((2, SAMPLES // 2 + 1)) < 0.5
    angle = rng.normal(size=holds.shape)
    spectra = rng.normal(size=(4, *holds.shape)) + 1j * rng.normal(size=(4, *holds.shape))
    out = Symmetry(angle, holds, holds.astype(float)).project(spectra)
    np.testing.assert_array_equal(out[:, ~holds], spectra[:, ~holds])
    assert np.abs((out * np.exp(1j * angle)).real[:, holds]).max() < 1e-12


@pytest.mark.parametrize("which", ["openmpi-2d", "small"])
def test_cosine_scans_pass_untouched(small, which):
    scanner = small if which == "small" else preset(which)
    one = signals(scanner, random_phantom(scanner, count=2))
    assert one.shape == (2, len(scanner.receiver.sensitivity), scanner.samples)
    frequencies = np.fft.rfftfreq(scanner.samples, 1 / scanner.receiver.sampling_rate)
    symmetry = exact_symmetry(symmetry_center(scanner.drive_field), frequencies, one.shape[1])
    np.testing.assert_allclose(project(symmetry, one), one, atol=1e-10 * np.abs(one).max(), rtol=0)


@pytest.mark.parametrize("phase", [0.0, 1.1, -2.345])
def test_scans_of_any_start_phase_pass_untouched(small, phase):
    """With the fractional centre of the phase; with the wrong centre they do not."""
    late = replace(small, drive_field=replace(small.drive_field, phases=np.full((1, 1, 1), phase)))
    one = signals(late, random_phantom(late))
    frequencies = np.fft.rfftfreq(late.samples, 1 / late.receiver.sampling_rate)
    center = symmetry_center(late.drive_field)
    size = np.abs(one).max()
    right = project(exact_symmetry(center, frequencies, 3), one)
    np.testing.assert_allclose(right, one, atol=1e-9 * size, rtol=0)
    wrong = project(exact_symmetry(center + 3e-6, frequencies, 3), one)
    assert np.abs(wrong - one).max() > 0.05 * size


def test_a_moved_selection_field_does_not_break_it(small):
    offset = np.array([2e-3, -1e-3, 5e-4]).reshape(1, 1, 3)
    gradient = small.selection_field.gradient + 0.1 * np.ones((3, 3))
    moved = replace(small, selection_field=SelectionField(gradient, offset))
    one = signals(moved, random_phantom(moved))
    symmetry = exact_symmetry(0.0, np.fft.rfftfreq(240, 2e-7), 3)
    np.testing.assert_allclose(project(symmetry, one), one, atol=1e-10 * np.abs(one).max(), rtol=0)


# --- fitted phases ---------------------------------------------------------------------------------------


def test_fitted_phases_of_a_receive_chain(rng):
    """Odd signals times any phase for each line: θ comes back modulo π, for any centre."""
    theta = rng.uniform(-np.pi / 2, np.pi / 2, size=(3, FREQUENCIES.size))
    amplitudes = rng.normal(size=(50, 3, FREQUENCIES.size))
    center = 11.3e-6
    turn = 2 * np.pi * FREQUENCIES * center
    clean = 1j * amplitudes * np.exp(1j * (theta - turn))
    detected = np.ones(theta.shape, bool)
    found = fit_symmetry(
        clean, np.zeros(theta.shape), center=center, frequencies=FREQUENCIES, detected=detected
    )
    assert found.holds.all()
    np.testing.assert_allclose(found.coherence, 1)
    off = (turn - found.angle - theta) / np.pi
    np.testing.assert_allclose(off, np.round(off), atol=1e-9)
    np.testing.assert_allclose(found.project(clean), clean, atol=1e-9)


def test_lines_of_random_phase_are_left_alone(rng):
    shape = (200, 2, FREQUENCIES.size)
    spectra = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    spectra[:, 1] = 1j * rng.normal(size=shape[::2])
    detected = np.ones(shape[1:], bool)
    detected[1, 50:] = False
    found = fit_symmetry(spectra, np.zeros(shape[1:]), center=0.0, frequencies=FREQUENCIES, detected=detected)
    assert found.holds[1, :50].all()
    assert not found.holds[0].any()
    assert not found.holds[1, 50:].any()
    np.testing.assert_array_equal(found.coherence[1, 50:], 0)
    np.testing.assert_array_equal(found.project(spectra)[:, 0], spectra[:, 0])


def test_relaxation_is_found_in_noisy_signals(make_scan):
    """Debye relaxation of 20 µs: lines 5, 15, 25 of 500 Hz lag by 17.4, 43.3 and 57.5 degrees."""
    rng = np.random.default_rng(11)
    base = preset("peng2023")
    wide = replace(
        base.drive_field, amplitudes=6 * base.drive_field.amplitudes
    )  # ±60 mm, for strong harmonics
    scanner = replace(base, drive_field=wide)
    images = rng.random((200, 1, 9, 8)) ** 4
    clean = signals(scanner, Phantom(images, scanner.phantom.grid((8, 9), (0.12, 0.12)), "random"))
    frequencies = np.fft.rfftfreq(9900, 1 / scanner.receiver.sampling_rate)
    relaxed = np.fft.irfft(np.fft.rfft(clean) / (1 + 2j * np.pi * frequencies * 20e-6), n=9900)
    sigma = np.sqrt(np.mean(relaxed**2, axis=-1, keepdims=True)) * 10 ** (-5 / 20)
    noisy = relaxed[:, None] + sigma[:, None] * rng.normal(size=(200, 2, 1, 9900))
    field = replace(
        wide, amplitudes=np.repeat(wide.amplitudes, 2, axis=0), phases=np.repeat(wide.phases, 2, axis=0)
    )
    rate = scanner.receiver.sampling_rate
    scan = make_scan(noisy, repeats="periods", field=field, sampling_rate=rate)
    fitted = fit_harmonic_filter([scan]).symmetry
    lines = [5, 15, 25]
    theta = np.degrees(-fitted.angle[0, lines])  # the centre is 0
    expected = -np.degrees(np.arctan(2 * np.pi * 500 * np.array(lines) * 20e-6))
    np.testing.assert_allclose(expected, [-17.4, -43.3, -57.5], atol=0.05)
    np.testing.assert_allclose((theta - expected + 90) % 180 - 90, 0, atol=3)
    assert fitted.holds[0, lines].all()
