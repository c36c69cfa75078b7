"""Drive field and its cycle."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.scanner import DriveField


@pytest.fixture
def field():
    """Two channels of three components over four periods; the second channel has one active component."""
    amplitudes = np.arange(1.0, 25).reshape(4, 2, 3) * 1e-3
    amplitudes[:, 1, 1:] = 0
    return DriveField(
        base_frequency=1e6,
        dividers=np.array([[10, 15, 20], [12, 7, 11]]),
        amplitudes=amplitudes,
        phases=np.linspace(-2, 3, 24).reshape(4, 2, 3),
        waveforms=np.array([["sine", "triangle", "sine"], ["triangle", "custom", "custom"]]),
    )


def test_frequencies(field):
    np.testing.assert_allclose(field.frequencies[0], [1e5, 1e6 / 15, 5e4])


def test_a_component_is_active_when_it_is_on_in_any_period(field):
    np.testing.assert_array_equal(field.active, [[True, True, True], [True, False, False]])
    late = field.amplitudes.copy()
    late[3, 1, 2] = 1e-3
    np.testing.assert_array_equal(replace(field, amplitudes=late).active[1], [True, False, True])


def test_the_cycle_is_that_of_the_active_components(field):
    assert field.cycle == pytest.approx(60e-6)  # 7 and 11 are off
    assert replace(field, amplitudes=0 * field.amplitudes).cycle == 0


@pytest.mark.parametrize(
    ("base", "dividers", "cycle"),
    [(2.5e6, [102, 96], 652.8e-6), (2.5e6, [102, 96, 99], 21.5424e-3), (4.95e6, [1980, 9900], 2e-3)],
)
def test_cycles_of_known_scanners(base, dividers, cycle):
    dividers = np.array(dividers)[:, None]
    ones = np.ones((1, *dividers.shape))
    field = DriveField(base, dividers, ones, ones, np.full(dividers.shape, "sine"))
    assert field.cycle == pytest.approx(cycle, rel=1e-12)


def test_field_of_a_period_by_hand(field):
    times = np.array([0.0, 1.3e-6, 7e-6, 5.55e-5, 1e-3])
    found = field.field(times, period=2)
    assert found.shape == (5, 2)
    strength, phase = field.amplitudes[2], field.phases[2]
    sines = [
        strength[0, f] * np.sin(2 * np.pi * field.frequencies[0, f] * times + phase[0, f]) for f in (0, 2)
    ]
    angle = 2 * np.pi * field.frequencies * times[:, None, None] + phase
    np.testing.assert_allclose(
        found[:, 0], sum(sines) + strength[0, 1] * triangle(angle[:, 0, 1]), atol=1e-12
    )
    np.testing.assert_allclose(found[:, 1], strength[1, 0] * triangle(angle[:, 1, 0]), atol=1e-12)


def triangle(angle):
    """Zero at 0 and rising, one at π/2: piecewise linear."""
    turns = (angle / (2 * np.pi) + 0.25) % 1
    return 1 - 4 * np.abs(turns - 0.5)


@given(st.floats(0, 1e-3), st.integers(0, 3))
def test_the_field_repeats_after_a_cycle(time, period):
    dividers = np.array([[10, 16], [12, 15]])
    values = np.linspace(0.5, 2, 16).reshape(4, 2, 2)
    field = DriveField(1e6, dividers, values, values, np.array([["sine", "triangle"], ["sine", "sine"]]))
    times = np.array([time, time + field.cycle])
    first, second = field.field(times, period)
    np.testing.assert_allclose(first, second, atol=1e-8)


def test_a_custom_waveform_has_no_formula(field):
    amplitudes = field.amplitudes.copy()
    amplitudes[1, 1, 1] = 1e-3
    with pytest.raises(ValueError, match="custom waveform"):
        replace(field, amplitudes=amplitudes).field(np.zeros(3))


def test_a_cosine_is_a_sine_with_phase_half_pi(field):
    cosine = DriveField(
        1e3, np.array([[4]]), np.full((1, 1, 1), 0.02), np.full((1, 1, 1), np.pi / 2), np.array([["sine"]])
    )
    times = np.linspace(0, 8e-3, 9)
    np.testing.assert_allclose(cosine.field(times)[:, 0], 0.02 * np.cos(2 * np.pi * 250 * times), atol=1e-15)


def test_rate_of_a_triangle():
    triangle = DriveField(
        base_frequency=1e6,
        dividers=np.array([[40, 20], [25, 50]]),
        amplitudes=np.array([[[2e-3, 0.0], [3e-3, 1e-3]]]),
        phases=np.array([[[0.3, 0.0], [np.pi / 2, 0.1]]]),
        waveforms=np.array([["triangle", "sine"], ["sine", "triangle"]]),
    )
    times = np.array([1.3e-6, 7.1e-6, 31.7e-6])
    step = 1e-11
    slope = (triangle.field(times + step) - triangle.field(times - step)) / (2 * step)
    np.testing.assert_allclose(triangle.rate(times), slope, rtol=1e-5)
