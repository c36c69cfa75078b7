"""Harmonics of the drive field that drift."""

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import InputError, UsageError
from mpikit.scanner import DriveField
from mpikit.testing import example_scan
from mpikit_plugins.noise import Background, BackgroundOptions, fit_background
from mpikit_plugins.noise.background import drive_harmonics

STEADY = {"drift": 0.0, "phase_drift": 0.0}


def background(**options):
    return Background(BackgroundOptions(**options))


def rms(values):
    return np.sqrt(np.mean(values**2, axis=-1))


def field(dividers, amplitudes, periods=2):
    shape = (periods, len(dividers), 1)
    return DriveField(
        base_frequency=1e6,
        dividers=np.array(dividers)[:, None],
        amplitudes=np.broadcast_to(np.array(amplitudes, float)[:, None], shape),
        phases=np.zeros(shape),
        waveforms=np.full((len(dividers), 1), "sine"),
    )


def test_harmonics_of_every_active_frequency():
    drive = field([10, 15, 7], [1, 1, 0])  # 100 kHz and 66.7 kHz repeat after 30 samples; the third is off
    lines, order = drive_harmonics(drive, 30, 1e6, 3)
    assert dict(zip(lines, order, strict=True)) == {2: 1, 3: 1, 4: 2, 6: 2, 9: 3}
    lines, _ = drive_harmonics(drive, 30, 1e6, 99)
    assert lines.max() == 14  # below Nyquist
    assert sorted(drive_harmonics(drive, 10, 1e6, 6)[0]) == [1, 2, 3, 4]  # 66.7 kHz is on every third line
    assert len(drive_harmonics(field([10], [0]), 30, 1e6, 6)[0]) == 0


def test_a_steady_background_is_locked_and_has_the_amplitude(draw, begin):
    begun = begin(background(amplitude=(0.5, 0.2), lines=6, decay_db=6, **STEADY), [0.0, 0.0])
    noise = draw(begun, np.zeros((4, 3, 2, 162)), start=8)
    np.testing.assert_allclose(noise, np.broadcast_to(noise[:1, :1], noise.shape))
    np.testing.assert_allclose(rms(noise[0, 0]), [0.5, 0.2])
    spectra = np.abs(np.fft.rfft(noise[0, 0]))
    np.testing.assert_allclose(spectra[:, 2:7] / spectra[:, 1:6], 10 ** (-6 / 20))
    np.testing.assert_allclose(np.delete(spectra, range(1, 7), axis=-1), 0, atol=1e-10)


def test_one_amplitude_is_for_all_channels(draw, begin):
    begun = begin(background(amplitude=(0.5,), **STEADY), np.zeros(3))
    np.testing.assert_allclose(rms(draw(begun, np.zeros((2, 1, 3, 162)))), 0.5)


def test_the_ratio_refers_to_the_whole_measurement(draw, begin, rng):
    begun = begin(background(sbr_db=20, **STEADY), [4.0, 0.0, 1.0])
    noise = draw(begun, 100 * rng.normal(size=(2, 1, 3, 162)))
    np.testing.assert_allclose(rms(noise), np.broadcast_to(np.sqrt([4, 2.5, 1]) / 10, (2, 1, 3)))


def test_without_begin_the_frames_are_a_measurement(draw, rng):
    clean = rng.normal(size=(5, 2, 3, 162))
    clean[3] = 0
    noise = draw(background(sbr_db=20, **STEADY), clean)
    level = np.sqrt(np.mean(clean[[0, 1, 2, 4]] ** 2, axis=(0, 1, 3))) / 10
    np.testing.assert_allclose(rms(noise), np.broadcast_to(level, (5, 2, 3)))
    other = draw(background(sbr_db=20, **STEADY), clean, seed=3)
    assert not np.any(np.isclose(np.fft.rfft(noise)[..., 1:13], np.fft.rfft(other)[..., 1:13]))


def test_blocks_fit_together_whatever_their_generators(draw, begin):
    begun = begin(background(amplitude=(1.0,), drift_frames=3.0), np.ones(2))
    clean = np.zeros((7, 2, 2, 162))
    whole = draw(begun, clean, seed=1)
    parts = [draw(begun, clean[4:], seed=5, start=4), draw(begun, clean[:4], seed=6)]
    np.testing.assert_allclose(np.concatenate(parts[::-1]), whole, atol=1e-12)
    assert np.max(np.abs(whole[0] - whole[6])) > 1e-3


def test_the_drift_has_its_size_and_its_length(begin):
    options = {"amplitude": (1.0,), "lines": 40, "decay_db": 0.0, "drift_frames": 20.0}
    begun = begin(background(drift=0.1, phase_drift=0.05, **options), np.ones(30))
    steady = begin(background(drift=0.0, phase_drift=0.0, **options), np.ones(30))
    frames = np.array([0, 1, 20, 60, 5000])
    ratio = begun.coefficients(frames) / steady.coefficients(frames)
    amplitude, phase = np.abs(ratio) - 1, np.angle(ratio)
    for process, size in ((amplitude, 0.1), (phase, 0.05)):  # 1200 of them
        np.testing.assert_allclose(np.mean(process, axis=(1, 2)), 0, atol=0.15 * size)
        np.testing.assert_allclose(np.std(process, axis=(1, 2)), size, rtol=0.1)
        correlation = np.corrcoef(process.reshape(5, -1))[0]
        np.testing.assert_allclose(correlation, np.exp(-((frames / 20) ** 2) / 2), atol=0.12)
    assert abs(np.corrcoef(amplitude[0].ravel(), phase[0].ravel())[0, 1]) < 0.12


def test_measurements_differ(begin):
    model = background(amplitude=(1.0,))
    frames = np.arange(3)
    one, other = (begin(model, np.ones(2), seed=seed).coefficients(frames) for seed in (3, 4))
    assert not np.any(np.isclose(one, other))


def test_what_cannot_be_drawn(begin, draw):
    with pytest.raises(InputError, match="no harmonic of the drive field"):
        begin(background(), np.ones(2), drive_field=field([10], [0]))
    with pytest.raises(UsageError, match="2 amplitudes were given, the scan has 3"):
        begin(background(amplitude=(1.0, 2.0)), np.ones(3))
    with pytest.raises(UsageError, match="every signal is empty") as caught:
        draw(background(), np.zeros((2, 1, 3, 162)))
    assert "amplitude" in caught.value.hint


@pytest.mark.parametrize(
    "options", [{"amplitude": (1.0,), "sbr_db": 3}, {"sbr_db": None}, {"amplitude": (-1.0,)}, {"lines": 0}]
)
def test_options_that_make_no_background(options):
    with pytest.raises(ValueError):  # noqa: PT011 - the model says which
        BackgroundOptions(**options)


def test_fit_finds_what_was_drawn(draw, rng):
    scan = example_scan(periods=2, background_frames=300)
    options = {"amplitude": (0.5, 0.2), "lines": 10, "decay_db": 2.0}
    drift = {"drift": 0.08, "phase_drift": 0.03, "drift_frames": 15.0}
    empty = np.zeros((scan.background_index.max() + 1, 2, 2, 162))
    drawn = draw(background(**options, **drift), empty)[scan.background_index]
    measured = (drawn + rng.normal(0, 0.02, drawn.shape)).astype(np.float32)
    fitted = fit_background(replace(scan, background=measured))
    np.testing.assert_allclose(fitted.amplitude, options["amplitude"], rtol=0.06)
    assert fitted.lines in (9, 10)  # 99 % of the power
    assert fitted.decay_db == pytest.approx(2, abs=0.3)
    assert fitted.drift == pytest.approx(0.08, rel=0.35)
    assert fitted.phase_drift == pytest.approx(0.03, rel=0.35)
    assert fitted.drift_frames == pytest.approx(15, rel=0.5)


def consecutive(frames, periods=1):
    """Background frames one after the other, before the others."""
    scan = example_scan(frames=1, periods=periods, background_frames=frames)
    return replace(scan, background_index=np.arange(frames), foreground_index=np.array([frames]))


def measured(draw, rng, scan, options, sigma):
    drawn = draw(
        background(**options), np.zeros((scan.background_index.max() + 1, *scan.background.shape[1:]))
    )
    noisy = drawn[scan.background_index] + rng.normal(0, sigma, scan.background.shape)
    return replace(scan, background=noisy.astype(np.float32))


@pytest.mark.parametrize(("frames", "periods", "sigma"), [(40, 1, 0.01), (20, 1, 1.0), (5, 30, 2.0)])
def test_fit_of_a_steady_background_has_no_drift(draw, rng, frames, periods, sigma):
    """However weak: each line is 0.6 to 0.1, its noise in one frame up to 0.16."""
    for _ in range(6):
        scan = measured(draw, rng, consecutive(frames, periods), {"amplitude": (0.5,), **STEADY}, sigma)
        fitted = fit_background(scan)
        np.testing.assert_allclose(fitted.amplitude, 0.5, rtol=0.01 + 0.3 * sigma)
        assert (fitted.drift, fitted.phase_drift) == (0, 0)
        assert fitted.drift_frames == BackgroundOptions().drift_frames
        assert fitted.lines <= 12


def test_noise_is_taken_off_a_drift(draw, rng):
    """The noise of a line in one frame is half of the drift, or more."""
    truth = {"amplitude": (0.5,), "drift": 0.1, "phase_drift": 0.1, "drift_frames": 4.0}
    fitted = fit_background(measured(draw, rng, consecutive(60), truth, 0.15))
    assert fitted.drift == pytest.approx(0.1, rel=0.2)
    assert fitted.phase_drift == pytest.approx(0.1, rel=0.2)
    assert fitted.drift_frames == pytest.approx(4, rel=0.3)


def test_drift_without_noise(draw, rng):
    scan = measured(draw, rng, consecutive(40), {"amplitude": (0.5,), "drift_frames": 6.0}, 0.0)
    fitted = fit_background(scan)
    assert fitted.drift == pytest.approx(0.05, rel=0.3)
    assert fitted.phase_drift == pytest.approx(0.03, rel=0.3)


def test_a_drift_that_the_noise_hides_is_none(draw, rng):
    """Twenty frames of the length of the drift; unknown, rather than twice as large and a tenth as long."""
    truth = {"amplitude": (0.027,), "lines": 20, "decay_db": 1.0, "drift": 0.05, "drift_frames": 20.0}
    for _ in range(3):
        fitted = fit_background(measured(draw, rng, consecutive(20, periods=200), truth, 0.28))
        assert max(fitted.amplitude) == pytest.approx(0.027, rel=0.15)
        assert (fitted.drift, fitted.phase_drift, fitted.drift_frames) == (0, 0, 100)


@pytest.mark.parametrize("index", [[0, 30], [0, 1, 2, 30, 31]])
def test_drift_between_frames_that_are_apart(draw, rng, index):
    scan = replace(
        example_scan(frames=1, background_frames=len(index)),
        background_index=np.array(index),
        foreground_index=np.array([15]),
    )
    fitted = fit_background(
        measured(draw, rng, scan, {"amplitude": (0.5, 0.2), "drift_frames": 25.0, "decay_db": 1.0}, 1e-4)
    )
    assert fitted.drift == pytest.approx(0.05, rel=0.5)
    assert fitted.phase_drift == pytest.approx(0.03, rel=0.5)
    assert 8 < fitted.drift_frames <= 31
    if len(index) == 2:
        assert fitted.drift_frames == 30  # of two frames any length will do, and the span is said


def test_one_frame_of_many_periods_shows_a_level_alone(draw, rng):
    scan = measured(draw, rng, consecutive(1, periods=30), {"amplitude": (0.5, 0.2)}, 0.02)
    fitted = fit_background(scan)
    np.testing.assert_allclose(fitted.amplitude, (0.5, 0.2), rtol=0.1)
    assert (fitted.drift, fitted.phase_drift) == (0, 0)


def test_harmonics_beneath_the_noise_are_not_counted(draw, rng):
    """Of 12 harmonics, 3 dB weaker each, few are seen; the noise of 80 lines is no background."""
    scan = measured(draw, rng, consecutive(20), {"amplitude": (0.02,), **STEADY}, 0.1)
    fitted = fit_background(scan)
    assert fitted.lines <= 8
    assert fitted.decay_db > 1
    assert max(fitted.amplitude) < 0.025


def test_fit_where_there_is_none():
    fitted = fit_background(example_scan(background_frames=20))
    assert fitted.amplitude == (0.0, 0.0)
    with pytest.raises(InputError, match="1 background frames"):
        fit_background(example_scan(background_frames=1))
    with pytest.raises(InputError, match="no harmonic of the drive field"):
        fit_background(replace(example_scan(), drive_field=field([10], [0])))
