"""The receive chain against closed forms: every filter on single sinusoids, decimation, ADC, feed-through."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mpikit.errors import NumericalError, UsageError
from mpikit.scanner import DriveField
from mpikit.simulate.receive import (
    Adc,
    HighPass,
    Notch,
    Receiver,
    TransferFunction,
    chain_response,
    check_sampling,
    empty_signal,
    receive,
    steps,
)

CYCLE = 1e-4  # s
LINES = (5, 4)  # of the drive field
SENSITIVITY = np.array([[1e-3, 0, 0], [0, 1e-3, 0], [1e-4, 2e-4, 3e-4]])


@pytest.fixture
def drive_field():
    """Two axes, two periods of different strength, and a second component that is never used."""
    return DriveField(
        base_frequency=1e6,
        dividers=np.array([[20, 10], [25, 10]]),
        amplitudes=np.array([[[0.012, 0], [0.010, 0]], [[0.006, 0], [0.004, 0]]]),
        phases=np.array([[[0.3, 0], [1.1, 0]], [[-0.4, 0], [2.0, 0]]]),
        waveforms=np.full((2, 2), "sine"),
    )


def receiver_of(samples, **parts):
    return Receiver(sensitivity=SENSITIVITY, bandwidth=samples / CYCLE / 2, **parts)


def wave(line, samples, *, phase=0.0):
    return np.cos(2 * np.pi * line * np.arange(samples) / samples + phase)


def table(rng, *, rows=()):
    """Frequencies from 30 to 250 kHz."""
    return TransferFunction(
        frequencies=np.array([30e3, 90e3, 250e3]),
        gain=rng.uniform(0.5, 2, (*rows, 3)),
        phase=rng.uniform(-1, 1, (*rows, 3)),
    )


def every_step(rng):
    return {
        "oversampling": 3,
        "feed_through": rng.normal(size=(3, 2)) * 1e-4,
        "transfer_function": table(rng, rows=(3,)),
        "high_pass": HighPass(frequency=60e3, order=3),
        "notch": Notch(quality=5.0),
    }


# One sinusoid through each filter


def sent_through(drive_field, line, *, samples=64, **parts):
    """Return gain and phase that a sinusoid of this line gets, for each channel."""
    oversampling = parts.get("oversampling", 1)
    sine = wave(line, samples * oversampling, phase=0.7)
    received = receive(receiver_of(samples, **parts), drive_field, np.tile(sine, (3, 1)), samples=samples)
    gain = np.fft.rfft(received)[:, line] / np.fft.rfft(wave(line, samples, phase=0.7))[line]
    expected = np.abs(gain)[:, None] * np.cos(
        2 * np.pi * line * np.arange(samples) / samples + 0.7 + np.angle(gain)[:, None]
    )
    np.testing.assert_allclose(received, expected, atol=1e-12)  # still a sinusoid of this line
    return np.abs(gain), np.angle(gain)


@pytest.mark.parametrize("oversampling", [1, 3])
@pytest.mark.parametrize("line", [1, 6, 29])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_high_pass_is_butterworth(drive_field, order, line, oversampling):
    """Closed forms of the magnitude for every order, of the phase for the orders 1 and 2."""
    high_pass = HighPass(frequency=75e3, order=order)
    gain, phase = sent_through(drive_field, line, high_pass=high_pass, oversampling=oversampling)
    x = line * 1e4 / 75e3
    np.testing.assert_allclose(gain, x**order / np.sqrt(1 + x ** (2 * order)), rtol=1e-11)
    if order == 1:
        np.testing.assert_allclose(phase, np.pi / 2 - np.arctan(x), atol=1e-11)
    if order == 2:
        np.testing.assert_allclose(phase, np.pi - np.arctan2(np.sqrt(2) * x, 1 - x**2), atol=1e-11)


def test_high_pass_has_the_phase_of_scipy():
    from scipy.signal import butter, freqs

    zeros_and_poles = butter(5, 2 * np.pi * 75e3, btype="highpass", analog=True)
    frequencies = np.array([2e4, 7e4, 3e5])
    _, expected = freqs(*zeros_and_poles, worN=2 * np.pi * frequencies)
    found = HighPass(frequency=75e3, order=5).response(frequencies)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_high_pass_stops_dc(drive_field):
    high_pass = receiver_of(9, high_pass=HighPass(frequency=1.0, order=1))
    received = receive(high_pass, drive_field, np.ones((3, 9)), samples=9)
    np.testing.assert_allclose(received, 0, atol=1e-15)


@pytest.mark.parametrize("line", [1, 3, 6, 29])
@pytest.mark.parametrize("quality", [0.7, 30.0])
def test_notch_is_of_second_order(drive_field, line, quality):
    gain, phase = sent_through(drive_field, line, notch=Notch(quality=quality))
    expected = 1.0
    for centre in LINES:
        expected *= (centre**2 - line**2) / (centre**2 - line**2 + 1j * line * centre / quality)
    np.testing.assert_allclose(gain, np.abs(expected), rtol=1e-11)
    np.testing.assert_allclose(phase, np.angle(expected), atol=1e-11)


@pytest.mark.parametrize("line", LINES)
def test_notch_takes_the_excitation_away_and_nothing_unused(drive_field, line):
    notch = Notch(quality=30.0)
    gain, _ = sent_through(drive_field, line, notch=notch)
    assert gain.max() < 1e-12
    unused, _ = sent_through(drive_field, 10, notch=notch)  # the component of 100 kHz has no amplitude
    assert unused.min() > 0.99


def test_a_frequency_on_two_axes_has_one_notch(drive_field):
    same = replace(drive_field, dividers=np.array([[20, 10], [20, 10]]))
    gain, _ = sent_through(same, 6, notch=Notch(quality=2.0))
    np.testing.assert_allclose(gain, abs(11 / (11 + 1j * 15)), rtol=1e-12)  # (36 - 25), 6 · 5 / 2


@pytest.mark.parametrize(("line", "place"), [(6, 0.5), (17, 1.5), (25, 2.0), (29, 2.0), (1, 0.0)])
@pytest.mark.parametrize("rows", [(), (3,)])
def test_transfer_function_is_linear_between_entries_and_constant_outside(drive_field, rows, line, place):
    chosen = table(np.random.default_rng(4), rows=rows)
    gain, phase = sent_through(drive_field, line, transfer_function=chosen)

    def at(entries):
        left = min(int(place), 1)
        return entries[..., left] + (place - left) * (entries[..., left + 1] - entries[..., left])

    np.testing.assert_allclose(gain, at(chosen.gain), rtol=1e-11)
    np.testing.assert_allclose(phase, at(chosen.phase), atol=1e-11)


def test_gain_for_each_channel_and_one_phase(drive_field):
    rng = np.random.default_rng(5)
    gains = table(rng, rows=(3,)).gain
    chosen = replace(table(rng), gain=gains)
    gain, phase = sent_through(drive_field, 9, transfer_function=chosen)
    np.testing.assert_allclose(gain, gains[:, 1], rtol=1e-11)
    np.testing.assert_allclose(phase, chosen.phase[1], atol=1e-11)


# The chain as a whole


@pytest.mark.parametrize("high_pass", [None, HighPass(frequency=60e3, order=3)])
@pytest.mark.parametrize("samples", [46, 47])
def test_the_response_is_stored_over_coil_spectrum_on_every_line(drive_field, samples, high_pass):
    rng = np.random.default_rng(6)
    parts = every_step(rng) | {"oversampling": 1, "feed_through": None, "high_pass": high_pass}
    chosen = receiver_of(samples, **parts)
    voltage = rng.normal(size=(2, 4, 3, samples))
    before = voltage.copy()
    received = receive(chosen, drive_field, voltage, samples=samples)
    response = chain_response(chosen, drive_field, samples)
    assert response.shape == (3, 24)
    np.testing.assert_allclose(np.fft.rfft(received), response * np.fft.rfft(voltage), atol=1e-12)
    np.testing.assert_array_equal(voltage, before)


def test_the_response_is_the_product_of_the_steps(drive_field):
    parts = every_step(np.random.default_rng(7))
    frequencies = np.arange(24) * 1e4
    expected = (
        parts["transfer_function"].response(frequencies)
        * parts["high_pass"].response(frequencies)
        * parts["notch"].response(frequencies, np.array([4e4, 5e4]))
    )
    found = chain_response(receiver_of(47, **parts), drive_field, 47)
    np.testing.assert_allclose(found[:, 1:], expected[:, 1:], rtol=1e-9)


@given(first=st.integers(0, 99), factor=st.floats(-3, 3), shift=st.integers(0, 19))
def test_linear_and_the_same_at_any_time(first, factor, shift):
    """Without feed-through; a shift by one stored sample is one by `oversampling` formed samples."""
    rng = np.random.default_rng(first)
    chosen = receiver_of(20, **every_step(rng) | {"feed_through": None})
    drive_field = DriveField(
        1e6, np.array([[25]]), np.ones((1, 1, 1)), np.zeros((1, 1, 1)), np.full((1, 1), "sine")
    )
    one, two = rng.normal(size=(2, 3, 60))

    def sent(voltage):
        return receive(chosen, drive_field, voltage, samples=20)

    np.testing.assert_allclose(sent(one + factor * two), sent(one) + factor * sent(two), atol=1e-12)
    moved = np.roll(one, 3 * shift, axis=-1)
    np.testing.assert_allclose(sent(moved), np.roll(sent(one), shift, axis=-1), atol=1e-12)


def test_nothing_to_do_returns_the_voltage_itself(drive_field):
    voltage = np.random.default_rng(8).normal(size=(2, 3, 46))
    plain = receiver_of(46, adc=Adc(bits=8, full_scale=1.0), averages=4)  # both come after the chain
    assert receive(plain, drive_field, voltage, samples=46) is voltage
    assert chain_response(plain, drive_field, 46) is None
    np.testing.assert_array_equal(empty_signal(plain, drive_field, samples=46), np.zeros((3, 46)))


def test_a_voltage_of_another_shape_is_a_bug(drive_field):
    with pytest.raises(ValueError, match=r"\(3, 92\)"):
        receive(receiver_of(46, oversampling=2), drive_field, np.zeros((3, 46)), samples=46)


# Decimation


@given(
    samples=st.integers(5, 41), oversampling=st.integers(2, 5), line=st.integers(0, 99), phase=st.floats(0, 6)
)
@example(samples=6, oversampling=2, line=3, phase=0.5)  # on the Nyquist frequency
@example(samples=7, oversampling=3, line=3, phase=0.5)  # the last line below it
def test_decimation_keeps_what_is_below_the_nyquist_frequency_alone(samples, oversampling, line, phase):
    drive_field = DriveField(
        1e6, np.ones((0, 1), int), np.ones((1, 0, 1)), np.ones((1, 0, 1)), np.array([[]])
    )
    line %= samples * oversampling // 2 + 1
    voltage = np.tile(wave(line, samples * oversampling, phase=phase), (3, 1))
    found = receive(receiver_of(samples, oversampling=oversampling), drive_field, voltage, samples=samples)
    expected = wave(line, samples, phase=phase) if 2 * line < samples else np.zeros(samples)
    np.testing.assert_allclose(found, np.tile(expected, (3, 1)), atol=1e-12)


# Feed-through


@pytest.mark.parametrize("oversampling", [1, 3])
@pytest.mark.parametrize("period", [0, 1])
def test_feed_through_is_minus_area_times_rate(drive_field, oversampling, period):
    areas = np.array([[2e-4, 0], [0, 3e-4], [1e-5, -4e-5]])
    chosen = receiver_of(46, feed_through=areas, oversampling=oversampling)
    found = empty_signal(chosen, drive_field, samples=46, period=period)
    angle = 2 * np.pi * np.outer(LINES, np.arange(46)) / 46 + drive_field.phases[period, :, :1]
    speed = 2 * np.pi * np.array(LINES) * 1e4 * drive_field.amplitudes[period, :, 0]
    expected = -areas @ (speed[:, None] * np.cos(angle))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.abs(expected).max() == pytest.approx(
        (2 / (period + 1)) * 1e-4 * 2 * np.pi * 5e4 * 0.012, rel=0.2
    )


def test_feed_through_is_in_every_frame_and_passes_the_chain(drive_field):
    rng = np.random.default_rng(9)
    parts = every_step(rng) | {"notch": None}
    chosen = receiver_of(46, **parts)
    voltage = rng.normal(size=(5, 3, 138))
    tracer = receive(replace(chosen, feed_through=None), drive_field, voltage, samples=46, period=1)
    empty = empty_signal(chosen, drive_field, samples=46, period=1)
    assert np.abs(empty).max() > 0.1
    found = receive(chosen, drive_field, voltage, samples=46, period=1)
    np.testing.assert_allclose(found, tracer + empty, atol=1e-11)
    unfiltered = receiver_of(46, feed_through=parts["feed_through"])
    direct = np.fft.rfft(empty_signal(unfiltered, drive_field, samples=46, period=1))
    response = chain_response(chosen, drive_field, 46)
    np.testing.assert_allclose(np.fft.rfft(empty), response * direct, atol=1e-10)


def test_the_notch_removes_the_feed_through(drive_field):
    noisy = receiver_of(46, feed_through=np.full((3, 2), 1e-4))
    notched = replace(noisy, notch=Notch(quality=10.0))
    left, before = (
        np.abs(empty_signal(chosen, drive_field, samples=46)).max() for chosen in (notched, noisy)
    )
    assert left < 1e-12 * before


def test_feed_through_for_other_drive_channels(drive_field):
    chosen = receiver_of(46, feed_through=np.ones((3, 1)))
    with pytest.raises(UsageError, match="for 1 drive channels, expected 2"):
        receive(chosen, drive_field, np.zeros((3, 46)), samples=46)
    with pytest.raises(UsageError, match="for 1 drive channels, expected 2"):
        check_sampling(chosen, drive_field, np.zeros((3, 92)), samples=46)


# ADC


@given(
    bits=st.integers(1, 32),
    full_scale=st.floats(1e-3, 1e3),
    volts=st.lists(st.floats(-2, 2), min_size=1, max_size=9),
)
def test_adc_rounds_to_the_nearest_level_and_clips(bits, full_scale, volts):
    adc = Adc(bits=bits, full_scale=full_scale)
    volts = full_scale * np.array(volts)
    counts = adc.count(volts)
    assert counts.dtype == (np.int16 if bits <= 16 else np.int32)
    assert counts.min() >= -(2 ** (bits - 1))
    assert counts.max() <= 2 ** (bits - 1) - 1
    inside = np.abs(volts) <= full_scale - adc.step
    error = np.abs(counts * adc.step - volts)[inside]
    assert np.all(error <= adc.step / 2 * (1 + 1e-6))
    nearest = np.clip(volts, -full_scale, full_scale - adc.step)
    np.testing.assert_allclose(counts * adc.step, nearest, atol=adc.step * 0.501)
    np.testing.assert_array_equal(adc.count(counts * adc.step), counts)  # a level is kept


def test_all_levels_of_three_bits():
    adc = Adc(bits=3, full_scale=2.0)
    assert adc.step == 0.5
    ramp = np.linspace(-3, 3, 601)
    assert sorted(set(adc.count(ramp).tolist())) == [-4, -3, -2, -1, 0, 1, 2, 3]
    np.testing.assert_array_equal(adc.count(np.array([[-9.0, -0.3], [0.2, 1.74]])), [[-4, -1], [0, 3]])


def test_share_of_clipped_samples():
    adc = Adc(bits=3, full_scale=2.0)
    volts = np.array([[-2.3, -2.2, 0, 1.0], [1.7, 1.8, 2.0, 1.5]])
    assert adc.clipped(volts) == 3 / 8
    assert adc.clipped(np.zeros((0, 4))) == 0


@pytest.mark.parametrize("bits", [16, 32])
def test_adc_clips_single_precision_without_overflow(bits):
    volts = np.array([np.inf, 7.0, -7.0], np.float32)
    top = 2 ** (bits - 1) - 1
    assert Adc(bits=bits, full_scale=1.0).count(volts).tolist() == [top, top, -top - 1]


def test_adc_refuses_what_is_no_number():
    with pytest.raises(NumericalError):
        Adc(bits=8, full_scale=1.0).count(np.array([0.0, np.nan]))


# Sampling that is too slow


def strongest(lines, samples):
    """Three channels, each with the given lines and rms."""
    return np.array([sum(size * wave(line, samples, phase=line) for line, size in lines.items())] * 3)


def test_enough_sampling(drive_field):
    for share in (0.0, 0.9e-3):
        voltage = strongest({7: 1.0, 22: 0.5, 30: share}, 47 * 3)
        check_sampling(receiver_of(47), drive_field, voltage, samples=47)


def test_a_signal_beyond_the_nyquist_frequency(drive_field):
    voltage = strongest({7: 1.0, 30: 1.5e-3, 64: 0.5e-3}, 47 * 3)
    with pytest.raises(UsageError, match=r"rate of 470000 Hz .* reaches up to 300000 Hz") as caught:
        check_sampling(receiver_of(47), drive_field, voltage, samples=47)
    assert "bandwidth to 310000 Hz" in caught.value.hint
    assert "receiver.oversampling=2 " in caught.value.hint
    check_sampling(receiver_of(47, oversampling=2), drive_field, voltage, samples=47)
    again = strongest({7: 1.0, 30: 1.5e-3, 64: 0.5e-3}, 62 * 3)
    check_sampling(receiver_of(62), drive_field, again, samples=62)  # the bandwidth of the hint


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_every_channel_counts(drive_field, channel):
    voltage = strongest({7: 1.0}, 47 * 3)
    weak = 1e-4 * strongest({7: 1.0, 30: 0.01}, 47 * 3)
    voltage[channel] = weak[channel]
    with pytest.raises(UsageError, match="300000 Hz"):
        check_sampling(receiver_of(47), drive_field, voltage, samples=47)


def test_rounding_errors_in_a_silent_channel_do_not_count(drive_field):
    voltage = strongest({7: 1.0}, 47 * 3)
    voltage[1] = 1e-15 * np.random.default_rng(3).normal(size=141)
    check_sampling(receiver_of(47), drive_field, voltage, samples=47)
    check_sampling(receiver_of(47), drive_field, np.zeros((3, 141)), samples=47)


@pytest.mark.parametrize("oversampling", [1, 4])
@pytest.mark.parametrize("samples", [29, 30])
def test_the_third_harmonic_has_to_fit(drive_field, samples, oversampling):
    """Line 15: 30 samples put it on the Nyquist frequency, 31 hold it."""
    voltage = strongest({1: 1.0}, 4 * samples)
    with pytest.raises(UsageError, match="third harmonic of the drive field, 150000 Hz") as caught:
        check_sampling(receiver_of(samples, oversampling=oversampling), drive_field, voltage, samples=samples)
    assert "160000 Hz" in caught.value.hint
    check_sampling(receiver_of(31), drive_field, strongest({1: 1.0}, 62), samples=31)
    check_sampling(receiver_of(32), drive_field, strongest({1: 1.0}, 64), samples=32)


@pytest.mark.parametrize("shape", [(3, 47), (3, 140), (2, 141)])
def test_a_voltage_that_shows_nothing_is_a_bug(drive_field, shape):
    with pytest.raises(ValueError, match="does not show 47 samples"):
        check_sampling(receiver_of(47), drive_field, np.zeros(shape), samples=47)


# Description and validation


def test_steps_name_what_is_in_use_in_words_of_json():
    assert steps(receiver_of(46)) == {}
    parts = every_step(np.random.default_rng(2))
    full = receiver_of(46, **parts, adc=Adc(bits=14, full_scale=0.5), averages=7)
    found = steps(full)
    assert json.loads(json.dumps(found)) == found
    assert found["feed_through"] == {"area": parts["feed_through"].tolist()}
    assert found["transfer_function"]["frequencies"] == [30e3, 250e3]
    assert found["high_pass"] == {"frequency": 60e3, "order": 3}
    assert found["notch"] == {"quality": 5.0}
    assert found["decimation"] == {"oversampling": 3}
    assert found["adc"] == {"bits": 14, "full_scale": 0.5}
    assert found["averages"] == {"periods": 7}
    for name in parts:
        default = 1 if name == "oversampling" else None
        missing = "decimation" if name == "oversampling" else name
        assert set(found) - set(steps(replace(full, **{name: default}))) == {missing}


def test_lists_and_whole_numbers_will_do():
    chosen = Receiver(sensitivity=[[1, 0, 0]], bandwidth=1000, feed_through=[[1, 2]])
    assert chosen.sensitivity.dtype == chosen.feed_through.dtype == float
    assert chosen.sampling_rate == 2000
    assert chosen.channels == 1


ROW = np.ones(3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: receiver_of(46, oversampling=0), "oversampling .* is 0, expected a whole number, 1 or more"),
        (lambda: receiver_of(46, oversampling=2.0), "oversampling"),
        (lambda: receiver_of(46, averages=True), "averages"),
        (lambda: receiver_of(np.nan), "bandwidth .* expected a number above 0 in Hz"),
        (lambda: receiver_of(-46), "bandwidth"),
        (lambda: Receiver(sensitivity=np.ones((3, 2)), bandwidth=1.0), r"\(3, 2\), expected three numbers"),
        (lambda: Receiver(sensitivity=np.ones((0, 3)), bandwidth=1.0), "sensitivity"),
        (lambda: Receiver(sensitivity=[[1, np.nan, 0]], bandwidth=1.0), "finite numbers"),
        (lambda: Receiver(sensitivity=[[1, 0, 0], [1]], bandwidth=1.0), "regular array"),
        (lambda: receiver_of(46, feed_through=np.ones((2, 2))), r"\(2, 2\), expected 3 rows"),
        (lambda: receiver_of(46, feed_through=np.ones(3)), "feed-through"),
        (
            lambda: receiver_of(
                46,
                transfer_function=TransferFunction(frequencies=np.arange(3), gain=np.ones((2, 3)), phase=ROW),
            ),
            "gain of the transfer function is for 2 receive channels, expected 3",
        ),
        (lambda: TransferFunction(frequencies=[1, 3, 2], gain=ROW, phase=ROW), "rising order"),
        (lambda: TransferFunction(frequencies=[-1, 3, 4], gain=ROW, phase=ROW), "from 0 Hz on"),
        (lambda: TransferFunction(frequencies=[], gain=[], phase=[]), "rising order"),
        (lambda: TransferFunction(frequencies=[1, 2], gain=ROW, phase=ROW), r"gain .* \(3,\), expected 2"),
        (lambda: TransferFunction(frequencies=[1, 2, 3], gain=ROW, phase=0.0), "phase"),
        (lambda: TransferFunction(frequencies=[1, 2, 3], gain=-ROW, phase=ROW), "negative gain"),
        (lambda: TransferFunction(frequencies=[1, 2, 3], gain=1j * ROW, phase=ROW), "real"),
        (lambda: HighPass(frequency=0.0, order=2), "frequency of the high-pass is 0.0"),
        (lambda: HighPass(frequency=1.0, order=0), "order"),
        (lambda: Notch(quality="high"), "quality factor of the notch is 'high', expected a number above 0$"),
        (lambda: Adc(bits=33, full_scale=1.0), "bits of the ADC is 33, expected a whole number, 1 to 32"),
        (lambda: Adc(bits=8, full_scale=np.inf), "full scale of the ADC is inf, expected"),
    ],
)
def test_bad_values_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
