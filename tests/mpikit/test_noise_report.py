"""The noise of a scan: level, colour, locked lines, drift, fitted models and the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mpikit import figures
from mpikit.errors import InputError, PluginError, UsageError
from mpikit.events import Step, Warned
from mpikit.noise_report import fit_models, locked, measure_noise, moments, noise_spec
from mpikit.noise_report.fits import chosen_models
from mpikit.noise_report.series import Series, noise_alone, series_of
from mpikit.noise_report.spectrum import (
    interval,
    local_median,
    median_freedom,
    noise_beside,
    smoothing_window,
)
from mpikit.plugins import parse_noise, registry
from mpikit.scan import Corrections
from mpikit.scanner import SelectionField
from mpikit.signal import noise_statistics
from mpikit.testing import example_scan

RATE = 1e6
SIGMA = np.array([0.5, 2.0, 3.0])  # one level for each channel


def empty_scan(background, index=None, *, patches=False, **others):
    """Make a scan of background frames (E, J, C, V) alone, one after the other if not said."""
    frames, periods, channels, samples = background.shape
    offset = np.zeros((periods, 1, 3))
    offset[:, 0, 0] = patches * np.arange(periods) * 1e-3
    values = {
        "signal": np.zeros((0, periods, channels, samples), np.float32),
        "background": background.astype(np.float32),
        "foreground_index": np.arange(0),
        "background_index": np.arange(frames) if index is None else np.asarray(index),
        "stored_lines": np.ones(samples // 2 + 1, bool),
        "sampling_rate": RATE,
        "selection_field": SelectionField(np.ones((periods, 1, 3, 3)), offset),
        "repeats": "none",
        "name": "empty.mdf",
    }
    return replace(example_scan(frames=1, periods=periods), **values | others)


def white(rng, *shape):
    return SIGMA[: shape[-2], None] * rng.normal(size=shape)


def cosine(line, samples, phase=0.0):
    return np.cos(2 * np.pi * line * np.arange(samples) / samples + phase)


def told(scan):
    events = []
    return measure_noise(scan, tell=events.append), [each.text for each in events if isinstance(each, Warned)]


@pytest.mark.parametrize(
    ("shape", "patches", "freedom"),
    [
        ((2, 1, 3, 2501), False, 1),
        ((7, 1, 3, 2000), False, 6**2 / 8.5),
        ((5, 4, 3, 700), False, 19**2 / 28),
        ((5, 4, 3, 700), True, 4 * 4**2 / 5.5),
        ((1, 60, 3, 901), False, 59**2 / 88),
        ((6, 20, 2, 250), True, 20 * 5**2 / 7),
    ],
)
def test_white_noise_lies_within_its_intervals(rng, shape, patches, freedom):
    frames, periods, channels, samples = shape
    report = measure_noise(empty_scan(white(rng, *shape), patches=patches))
    assert (report.source, report.frames, report.periods) == ("background frames", frames, periods)
    assert (report.channels, report.samples) == (channels, samples)
    inner = slice(1, (samples + 1) // 2)
    np.testing.assert_allclose(report.spectrum.raw_freedom[inner], 2 * freedom)
    assert report.spectrum.raw_freedom[0] == pytest.approx(freedom)
    assert report.level.interval.shape == (2, channels)
    middle, half = report.level.interval.mean(axis=0), np.ptp(report.level.interval, axis=0) / 2
    assert np.all(np.abs(SIGMA[:channels] - middle) < 2 * half)  # four standard deviations
    assert np.all(half < 0.05 * SIGMA[:channels])
    low, high = report.spectrum.interval() / (samples * SIGMA[:channels, None] ** 2)
    assert np.mean((low < 1) & (high > 1)) == pytest.approx(0.95, abs=0.04)
    low, high = np.array([report.density(band.interval) for band in report.bands]).swapaxes(0, 1)
    density = SIGMA[:channels] * np.sqrt(2 / RATE)
    assert np.mean((low < density) & (high > density)) > 0.8
    assert np.all(np.abs(report.colour.exponent) < 4.5 * report.colour.exponent_error)
    assert np.all((report.colour.ratio_interval[0] < 1.1) & (report.colour.ratio_interval[1] > 0.9))
    assert not report.background.lines
    assert report.background.drift == (None,) * channels


def test_the_level_agrees_with_that_of_the_methods(rng):
    scan = empty_scan(white(rng, 40, 2, 3, 301), patches=True)
    np.testing.assert_allclose(measure_noise(scan).level.sigma, noise_statistics(scan).sigma, rtol=0.01)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 4))
def test_the_freedom_of_steps_is_that_of_their_quadratic_form(neighbours, signals):
    """Satterthwaite: (trace A)² / trace A², for a sum of squares y' A y over independent signals."""
    stack = np.zeros((signals, len(neighbours) + 1, 1, 2), np.float32)
    places = np.cumsum([0, *np.where(neighbours, 1, 3)]).astype(float)
    series = Series(stack, places, np.array(neighbours), "background frames")
    steps = np.diff(np.eye(len(places)), axis=0)[series.compared]
    form = steps.T @ steps / 2
    wanted = signals * np.trace(form) ** 2 / np.trace(form @ form)
    assert series.step_freedom() == pytest.approx(wanted)


@pytest.mark.parametrize("shape", [(6, 1, 2, 33), (3, 5, 2, 32)])
@pytest.mark.parametrize("patches", [False, True])
@pytest.mark.parametrize("largest", [1, 150, 2**21])
def test_moments_are_those_of_numpy_in_any_pieces(rng, monkeypatch, shape, patches, largest):
    monkeypatch.setattr(moments, "LARGEST", largest)
    index = np.array([0, 1, 2, 7, 8, 12])[: shape[0]]
    series = series_of(empty_scan(white(rng, *shape) + 1e3, index, patches=patches))
    events = []
    found = moments.moments(series, events.append)
    spectra = np.fft.rfft(series.stack.astype(float), axis=-1)
    steps = np.diff(spectra, axis=1)[:, series.neighbours]
    trend = np.einsum("r,brck->ck", series.times, spectra) / len(spectra) / np.sum(series.times**2)
    signals, taken = spectra.shape[:2]
    spread = np.var(spectra, axis=1, ddof=1).mean(axis=0)
    cross = np.einsum("brak,brck->ack", steps, steps.conj()).real / (2 * signals * steps.shape[1])
    np.testing.assert_allclose(found.mean, spectra.mean(axis=(0, 1)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.slope, trend, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.spread, spread, rtol=1e-6)
    np.testing.assert_allclose(found.cross, cross, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.power, np.mean(np.abs(steps) ** 2, axis=(0, 1)) / 2, rtol=1e-6)
    assert (signals, taken) == ((shape[1], shape[0]) if patches else (1, shape[0] * shape[1]))
    assert (
        events == []
        if largest == 2**21
        else [event.index for event in events] == list(range(1, len(events) + 1))
    )
    assert all(isinstance(event, Step) and event.total == len(events) >= moments.MANY for event in events)
    assert largest > 1 or len(events) == (signals * taken if signals * taken >= moments.MANY else 0)


@pytest.mark.parametrize("freedom", [1.0, 2.7, 40.0])
def test_intervals_hold_the_power_with_their_confidence(rng, freedom):
    draws = rng.gamma(freedom, 1 / freedom, 20_000)
    low, high = interval(draws, 2 * freedom)
    assert np.mean(low > 1) == pytest.approx(0.025, abs=0.005)
    assert np.mean(high < 1) == pytest.approx(0.025, abs=0.005)


@pytest.mark.parametrize("freedom", [1.0, 2.7, 11.0])
def test_the_freedom_of_a_running_median(rng, freedom):
    window = smoothing_window(freedom, 10_000)
    assert window % 2 == 1
    assert median_freedom(freedom, window) >= 30 > median_freedom(freedom, window - 2)
    draws = rng.gamma(freedom, 1 / freedom, (3000, window))
    medians = np.median(draws, axis=1) * local_median(np.ones((1, window)), freedom, window)[0, 0]
    assert medians.mean() == pytest.approx(1, abs=0.02)
    assert medians.var() == pytest.approx(1 / median_freedom(freedom, window), rel=0.15)
    assert smoothing_window(1.0, 8) == 7
    ramp = local_median(np.arange(9.0)[None], 1000, 5)[0]
    np.testing.assert_allclose(ramp, [2, 2, 2, 3, 4, 5, 6, 6, 6], rtol=1e-3)


@pytest.mark.parametrize(
    ("shape", "index"), [((2, 1, 2, 1501), [0, 9]), ((8, 1, 2, 500), None), ((4, 15, 2, 200), [0, 1, 6, 7])]
)
def test_a_locked_line_is_found_and_no_other(rng, shape, index):
    samples = shape[-1]
    background = white(rng, *shape)
    background[..., 1, :] += 7 * cosine(11, samples, 0.4)
    background[..., 0, :] -= 1.3
    report = measure_noise(empty_scan(background, index))
    mask = np.zeros((2, samples // 2 + 1), bool)
    mask[1, 11] = True
    found = report.background
    if shape[0] > 2:  # an offset has no neighbours: a single difference says too little about its spread
        mask[0, 0] = True
        assert found.lines[1].amplitude == pytest.approx(1.3, abs=4 * found.lines[1].amplitude_error)
        assert abs(found.lines[1].phase) == pytest.approx(np.pi)
    np.testing.assert_array_equal(found.mask, mask)
    line = found.lines[0]
    assert (line.channel, line.frequency) == (1, pytest.approx(11 * RATE / samples))
    error = SIGMA[1] * np.sqrt(2 / (samples * np.prod(shape[:2])))
    assert line.amplitude_error == pytest.approx(error, rel=0.4)
    assert line.amplitude == pytest.approx(7, abs=4 * error)
    assert line.phase == pytest.approx(0.4, abs=4 * error / 7)
    assert abs(line.amplitude_change) < 4 * line.change_error
    assert abs(line.phase_change) < 4 * line.change_error
    assert found.drift[1].relative_to_noise < 2


def test_false_alarms_are_as_rare_as_said(rng, monkeypatch):
    """With a probability of one half for the file there are 0.5 false lines on average, or fewer."""
    monkeypatch.setattr(locked, "FALSE_ALARM", 0.5)

    def false_lines(*shape, runs):
        return np.mean(
            [len(measure_noise(empty_scan(white(rng, *shape))).background.lines) for _ in range(runs)]
        )

    assert false_lines(40, 1, 2, 120, runs=150) == pytest.approx(0.45, abs=0.25)
    assert false_lines(3, 1, 2, 300, runs=150) < 0.6


def test_interference_without_a_fixed_phase_is_not_locked(rng):
    background = white(rng, 12, 1, 2, 400)
    for frame in background:
        frame[0, 1] += 40 * cosine(17, 400, rng.uniform(0, 2 * np.pi))
    assert not measure_noise(empty_scan(background)).background.mask.any()


@pytest.mark.parametrize("index", [[0, 1, 2, 3, 24, 25, 26, 27], [0, 3, 6, 9, 12, 15, 18, 21]])
def test_drift_is_measured_and_is_no_noise(rng, index):
    """An amplitude that grows by a tenth of its mean, and a phase by 0.06, from first to last."""
    samples, lines = 801, (20, 40, 60)
    background = white(rng, 8, 1, 2, samples)
    for frame, time in zip(background, np.array(index) / index[-1] - 0.5, strict=True):
        for line in lines:
            wave = cosine(line, samples, 0.3 * line + 0.06 * time)
            frame[0, 0] += 900 / line * (1 + 0.1 * time) * wave
    report, warned = told(empty_scan(background, index))
    assert len(report.background.lines) == 3
    for line in report.background.lines:
        assert line.amplitude_change == pytest.approx(0.1, abs=4 * line.change_error)
        assert line.phase_change == pytest.approx(0.06, abs=4 * line.change_error)
    drift = report.background.drift[0]
    assert report.background.drift[1] is None
    assert drift.amplitude_change == pytest.approx(0.1, abs=5 * drift.change_error)
    assert drift.change_error < min(line.change_error for line in report.background.lines)
    assert drift.relative_to_noise > 3
    np.testing.assert_allclose(report.level.sigma, SIGMA[:2], rtol=0.05)
    assert abs(report.colour.exponent[0]) < 4 * report.colour.exponent_error[0]
    course = report.background.courses[0]
    assert (course.channel, course.frequency) == (0, pytest.approx(20 * RATE / samples))
    np.testing.assert_array_equal(course.places, index)
    expected = 1 + 0.1 * (np.array(index) / index[-1] - 0.5)
    expected /= np.mean(expected)
    assert np.all(np.abs(course.amplitude - expected) < 2.5 * course.error)
    assert len(warned) == (index[1] == 3)


@pytest.mark.parametrize("frames", [2, 9, 80])
@pytest.mark.parametrize("lines", [(30, 31, 32, 33, 34, 35, 36), (1, 2, 3, 4, 5, 6, 7)])
def test_between_frames_that_are_apart_a_locked_line_has_the_noise_of_those_beside(rng, frames, lines):
    """Whatever the drift, and however many lines in a row are locked."""
    background = white(rng, frames, 1, 3, 800)
    drift = 1 + 0.1 * np.sin(np.arange(frames))
    for line in lines:
        background[:, 0, 0] += 30 * drift[:, None] * cosine(line, 800, line)
    report = measure_noise(empty_scan(background, 4 * np.arange(frames)))
    mask = np.zeros((3, 401), bool)
    mask[0, list(lines)] = True
    np.testing.assert_array_equal(report.drifting, mask)
    np.testing.assert_array_equal(report.background.mask, mask)
    np.testing.assert_allclose(report.level.sigma, SIGMA, rtol=0.12 / np.sqrt(frames - 1))
    assert np.all(report.level.interval[0] < report.level.interval[1])
    np.testing.assert_allclose(report.spectrum.power[0, list(lines)], 800 * SIGMA[0] ** 2, rtol=0.6)
    assert abs(report.colour.exponent[0]) < 4.5 * report.colour.exponent_error[0]


def test_the_noise_beside_a_line():
    power = np.repeat([[1.0, 1, 1, 9e9, 1, 3, 3, 9e9, 3, 3, 9e9]], 2, axis=0)
    usable = power < 10
    usable[1] = False
    beside = noise_beside(power, 1e4, usable, 20)
    np.testing.assert_array_equal(beside[1], power[1])
    # the median of the seven lines that are left: neither DC nor Nyquist is one
    np.testing.assert_allclose(beside[0], 3, rtol=1e-3)
    wide = np.r_[np.ones(30), np.full(30, 3.0)][None]
    beside = noise_beside(wide, 1e4, np.arange(60)[None] % 30 != 29, 119)
    np.testing.assert_allclose(beside[0, :20], 1, rtol=1e-3)
    assert 1 < beside[0, 29] < 3
    np.testing.assert_allclose(beside[0, -20:], 3, rtol=1e-3)


def test_a_course_of_many_acquisitions_is_drawn_from_means(rng):
    background = white(rng, 3, 50, 1, 60) + 30 * cosine(5, 60)
    report = measure_noise(empty_scan(background, [0, 1, 5]))
    (course,) = report.background.courses
    assert len(course.places) == 24
    assert course.places[0] < 0.1
    assert course.places[-1] > 5.9
    single = 1.96 * SIGMA[0] * np.sqrt(2 / 60) / 30
    np.testing.assert_allclose(course.error, single / np.sqrt(150 / 24), rtol=0.3)
    assert np.mean(np.abs(course.amplitude - 1) < course.error) > 0.8


def test_correlated_channels(rng):
    common = rng.normal(size=(9, 2, 1, 400))
    background = rng.normal(size=(9, 2, 3, 400))
    background[:, :, 1:] = 0.6 * common + 0.8 * background[:, :, 1:]
    background[:, :, 2] *= -5
    report = measure_noise(empty_scan(background))
    wanted = np.eye(3)
    wanted[1, 2] = wanted[2, 1] = -0.36
    assert np.all(np.abs(report.correlation - wanted) <= 4.5 * report.correlation_error + 1e-12)
    assert 0.005 < report.correlation_error[0, 1] < 0.03
    assert report.correlation_error[1, 2] < report.correlation_error[0, 1]


@pytest.mark.parametrize("exponent", [-1.0, 0.5, 2.0])
def test_the_exponent_of_coloured_noise(rng, exponent):
    samples = 1200
    lines = np.arange(samples // 2 + 1)
    shape = np.maximum(lines, 1.0) ** (-exponent / 2)
    background = np.fft.irfft(np.fft.rfft(rng.normal(size=(8, 2, 2, samples))) * shape, n=samples)
    report = measure_noise(empty_scan(background))
    np.testing.assert_array_less(
        np.abs(report.colour.exponent - exponent), 4.5 * report.colour.exponent_error
    )
    expected = np.sqrt(np.mean(lines[1:60] ** -exponent) / np.mean(lines[541:600] ** -exponent))
    np.testing.assert_allclose(report.colour.ratio, expected, rtol=0.2)
    edges = [(band.low, band.high) for band in report.bands]
    assert edges[0][0] == pytest.approx(RATE / samples)
    assert edges[-1][1] == pytest.approx(599 * RATE / samples)
    assert sum(band.lines[0] for band in report.bands) == 599


def test_lines_that_are_not_stored_say_nothing(rng):
    stored = np.zeros(251, bool)
    stored[40:140] = True
    background = np.fft.irfft(np.fft.rfft(white(rng, 6, 1, 3, 500)) * stored, n=500)
    report = measure_noise(empty_scan(background, stored_lines=stored))
    assert np.all(np.isnan(report.spectrum.power[:, ~stored]))
    np.testing.assert_allclose(report.spectrum.power[:, stored].mean(axis=1), 500 * SIGMA**2, rtol=0.25)
    np.testing.assert_allclose(report.level.sigma, SIGMA * np.sqrt(200 / 500), rtol=0.1)
    assert not report.background.mask.any()


@pytest.mark.parametrize("repeats", ["frames", "periods", "both"])
@pytest.mark.parametrize("empty", [0, 1])
def test_repeats_stand_in_for_background_frames(rng, repeats, empty):
    clean = 50 * cosine(3, 300) + (repeats == "frames") * np.arange(4)[:, None, None]
    background = white(rng, empty, 4, 3, 300)
    scan = empty_scan(
        background,
        patches=True,
        signal=(clean + white(rng, 6, 4, 3, 300)).astype(np.float32),
        foreground_index=np.arange(6),
        background_index=np.arange(6, 6 + empty),
        repeats=repeats,
    )
    report, (warning,) = told(scan)
    assert (report.source, report.frames, report.background) == ("repeats", 6, None)
    np.testing.assert_allclose(report.level.sigma, SIGMA, rtol=0.08)
    assert "cannot be told from the signal" in warning
    alone = noise_alone(scan)
    count = {"frames": 4 * 3, "periods": 6 * 2, "both": 12}[repeats]
    assert alone.background.shape == (count, 1, 3, 300)
    np.testing.assert_allclose(alone.background.std(axis=(0, 1, 3)), SIGMA, rtol=0.06)
    assert not measure_noise(alone).background.mask.any()


def test_what_cannot_be_measured(rng):
    one = white(rng, 1, 3, 2, 50)
    with pytest.raises(
        InputError, match=r"empty.mdf has 1 background frame and no repeats, expected at least"
    ):
        measure_noise(empty_scan(one, patches=True))
    with pytest.raises(InputError, match="has no background frames and no repeats"):
        measure_noise(empty_scan(one[:0]))
    with pytest.raises(InputError, match="the background frames are all equal, expected noise"):
        measure_noise(empty_scan(np.ones((3, 1, 2, 50))))
    one[0, 1, 1, 7] = np.nan
    with pytest.raises(InputError, match=r"empty.mdf: the background frames have values that are no numbers"):
        measure_noise(empty_scan(one))


def test_what_the_figures_cannot_show_is_told(rng):
    background = white(rng, 4, 1, 2, 90)
    _, warned = told(empty_scan(background))
    assert warned == []
    _, warned = told(empty_scan(background, corrections=Corrections(background=True)))
    assert warned == ["the background has been subtracted already: its phase-locked lines do not show"]
    _, warned = told(empty_scan(background, [0, 3, 5, 9]))
    assert warned == []  # nothing is locked that could drift
    locked = background + 50 * cosine(7, 90)
    _, warned = told(empty_scan(locked, [0, 3, 5, 9]))
    assert warned == [
        "no two background frames were acquired one after the other, and between them phase-locked lines "
        "drift: their noise is taken from the lines beside them, as far as there are any"
    ]
    _, warned = told(empty_scan(locked, [0, 3, 4, 9]))
    assert warned == []


def test_the_order_in_the_array_does_not_matter(rng):
    background = white(rng, 5, 1, 2, 64) + np.linspace(0, 9, 5)[:, None, None, None]
    order = rng.permutation(5)
    one, other = (
        measure_noise(scan) for scan in (empty_scan(background), empty_scan(background[order], order))
    )
    np.testing.assert_array_equal(one.spectrum.raw, other.spectrum.raw)


def test_a_dead_channel_is_no_error(rng, tmp_path):
    background = white(rng, 5, 2, 2, 64)
    background[:, :, 0] = 0
    report = measure_noise(empty_scan(background))
    assert report.level.sigma[0] == 0
    assert np.isnan(report.colour.exponent[0])
    assert np.isnan(report.correlation[0, 1])
    assert report.level.sigma[1] == pytest.approx(SIGMA[1], rel=0.2)
    figures.save_noise(tmp_path / "dead.png", report)


FAULTY = """
from mpikit import NoiseModel, NoOptions, hookimpl

def fail(scan):
    raise ValueError("nothing fits")

@hookimpl
def mpikit_noise_models():
    yield NoiseModel(name="faulty", summary="Fails", build=print, fit=fail)
    yield NoiseModel(name="liar", summary="Gives a number", build=print, fit=lambda scan: 3)
    yield NoiseModel(name="fixed", summary="Has no fit", build=print)
"""


def test_a_model_that_fails_does_not_stop_the_others(rng, installed):
    installed("faulty", FAULTY)
    scan = empty_scan(white(rng, 6, 1, 1, 200))
    events = []
    faulty, gaussian, liar = fit_models(scan, ["faulty", "gaussian", "liar"], events.append)
    assert [event.text.split(": ")[0] for event in events] == [
        "the noise model 'faulty' was not fitted",
        "the noise model 'liar' was not fitted",
    ]
    assert (faulty.options, faulty.spec) == (None, "")
    assert "ValueError: nothing fits" in faulty.error
    assert "answered with a int, expected NoOptions" in liar.error
    assert gaussian.options.sigma == pytest.approx(SIGMA[0], rel=0.1)
    assert gaussian.spec == f"gaussian:sigma={gaussian.options.sigma}"
    assert parse_noise(gaussian.spec).drawn_from.options == gaussian.options
    assert {"faulty", "gaussian", "liar"} <= set(chosen_models([]))
    assert "fixed" not in chosen_models([])
    assert chosen_models(["liar", "gaussian", "liar"]) == ["liar", "gaussian"]
    with pytest.raises(UsageError, match="'fixed' cannot be fitted to a scan"):
        chosen_models(["fixed"])
    with pytest.raises(PluginError, match="no noise model is called 'gausian'"):
        chosen_models(["gausian"])


def test_options_that_go_without_saying_are_left_out():
    gaussian = registry().noise_model("gaussian").record
    assert noise_spec(gaussian, gaussian.options()) == "gaussian"
    assert noise_spec(gaussian, gaussian.options(snr_db=3.0)) == "gaussian:snr_db=3.0"
    assert noise_spec(gaussian, gaussian.options(sigma=2.0, level="channel")) == (
        "gaussian:sigma=2.0,level=channel"
    )


def drawn(scan):
    return figures._draw_noise(measure_noise(scan))


def test_the_picture_shows_what_was_measured(rng):
    background = white(rng, 6, 1, 3, 300)
    for line, channel, height in ((9, 0, 4), (21, 2, 30)):
        background[..., channel, :] += height * cosine(line, 300)
    scan = empty_scan(background, [0, 1, 2, 10, 11, 12])
    report = measure_noise(scan)
    spectrum, courses, lines = drawn(scan).axes
    assert spectrum.get_ylabel() == "noise / (V/√Hz)"
    curves = [curve for curve in spectrum.lines if curve.get_label().startswith("channel")]
    np.testing.assert_allclose(curves[2].get_xdata(), np.fft.rfftfreq(300, 1 / RATE)[1:-1] / 1e3)
    np.testing.assert_allclose(curves[2].get_ydata(), report.density(report.spectrum.power[2, 1:-1]))
    marks = [curve.get_xdata().tolist() for curve in spectrum.lines if curve not in curves]
    assert marks == [[30.0], [], [70.0]]
    assert len(spectrum.collections) == 3  # confidence bands
    assert courses.get_xlabel() == "frame, in the order of acquisition"
    assert [text.get_text() for text in courses.get_legend().get_texts()] == [
        "channel 2, 70 kHz",
        "channel 0, 30 kHz",
    ]
    assert lines.get_ylabel() == "amplitude / V"
    heights = {curve.get_label(): curve.get_ydata() for curve in lines.lines}
    assert heights["channel 2"][0] == pytest.approx(30, abs=0.6)
    assert len(heights["channel 1"]) == 0


def test_without_locked_lines_there_is_one_panel(rng, tmp_path):
    scan = empty_scan(white(rng, 6, 1, 2, 300))
    (panel,) = drawn(scan).axes
    assert panel.get_title().endswith("no line is locked in phase")
    path = tmp_path / "noise.png"
    figures.save_noise(path, measure_noise(scan))
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width == 900
    with pytest.raises(InputError, match="exists already"):
        figures.save_noise(path, measure_noise(scan))
