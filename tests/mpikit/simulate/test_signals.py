"""The induced voltage against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpikit.simulate.particles import langevin, langevin_derivative
from mpikit.simulate.phantoms import Phantom, dots, smile
from mpikit.simulate.presets import preset
from mpikit.simulate.signals import responses, signals


@pytest.fixture
def scanner():
    return preset("openmpi-2d")


def mirrored(signal):
    """s(-n mod V)."""
    return np.roll(signal[..., ::-1], 1, axis=-1)


@pytest.mark.parametrize("x0", [-0.007, 0.0, 0.0125])
def test_a_point_in_one_dimension_is_the_derivative_of_the_langevin_function(scanner, x0):
    amplitudes = np.array([[[0.012], [0.0]]])
    line = replace(scanner, drive_field=replace(scanner.drive_field, amplitudes=amplitudes))
    assert line.samples == 102
    angle = 2 * np.pi * np.arange(102) / 102
    beta = 1 / line.particle.saturation_field
    field = -1.0 * x0 + 0.012 * np.cos(angle)
    rate = -0.012 * np.sin(angle) * 2 * np.pi * 2.5e6 / 102
    expected = -1e-3 * beta * langevin_derivative(beta * field) * rate
    found = responses(line, np.array([[x0, 0, 0]]))
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-11 * np.abs(expected).max())
    np.testing.assert_allclose(found[0, 1], 0, atol=1e-12 * np.abs(expected).max())


def test_the_voltage_is_the_rate_of_the_moment(scanner):
    """Against a derivative by spectrum, with coils that see several axes and a point beside the plane."""
    coils = np.array([[1e-3, 2e-4, 0], [0, 1e-3, -3e-4], [1e-4, 0, 2e-3]])
    chosen = replace(scanner, receiver=replace(scanner.receiver, sensitivity=coils))
    place = np.array([0.004, -0.003, 0.002])
    samples = 4 * 1632  # so that the spectrum of the moment ends before the Nyquist frequency
    times = np.arange(samples) / 1e7
    field = np.diag([-1, -1, 2]) @ place + np.pad(chosen.drive_field.field(times), ((0, 0), (0, 1)))
    strength = np.linalg.norm(field, axis=1, keepdims=True)
    moment = langevin(strength / chosen.particle.saturation_field) * field / strength
    omega = 2 * np.pi * np.fft.rfftfreq(samples, 1e-7)
    rate = np.fft.irfft(1j * omega[:, None] * np.fft.rfft(moment, axis=0), n=samples, axis=0)
    expected = -coils @ rate[::4].T
    found = responses(chosen, place[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["openmpi-2d", "peng2023"])
def test_cosine_excitation_gives_an_odd_signal(name):
    chosen = preset(name)
    clean = signals(chosen, dots(chosen.phantom.grid((20, 20)), concentration=0.1))
    assert np.abs(clean + mirrored(clean)).max() < 1e-10 * np.abs(clean).max()


def test_a_sine_excitation_is_not_odd_about_zero(scanner):
    sines = replace(scanner.drive_field, phases=np.zeros((1, 2, 1)))
    chosen = replace(scanner, drive_field=sines)
    clean = signals(chosen, smile(chosen.phantom.grid((20, 20)), concentration=0.1))
    assert np.abs(clean + mirrored(clean)).max() > 0.5 * np.abs(clean).max()


@given(doses=st.lists(st.floats(0, 1), min_size=6, max_size=6), factor=st.floats(0.1, 10))
@settings(max_examples=10, deadline=None)
def test_linear_in_the_dose(doses, factor):
    chosen = preset("openmpi-2d")
    grid = chosen.phantom.grid((3, 2))
    image = np.array(doses).reshape(1, 1, 2, 3)
    images = np.concatenate([image, factor * image, image + 0.5, np.full_like(image, 0.5)])
    one, scaled, raised, flat = signals(chosen, Phantom(images, grid, "doses"))
    scale = np.abs(flat).max()
    np.testing.assert_allclose(scaled, factor * one, atol=1e-11 * scale)
    np.testing.assert_allclose(raised, one + flat, atol=1e-11 * scale)


def test_blocks_change_nothing(scanner, monkeypatch):
    phantom = smile(scanner.phantom.grid((12, 10)), concentration=0.1)
    whole = signals(scanner, phantom)
    steps = []
    monkeypatch.setattr("mpikit.simulate.signals._HELD", 7 * 2 * 1632)
    monkeypatch.setattr("mpikit.simulate.signals._CACHED", 3 * 1632)
    blocked = signals(scanner, phantom, tell=steps.append)
    np.testing.assert_allclose(blocked, whole, rtol=1e-9, atol=1e-14)
    assert len(steps) == steps[-1].total == -(-np.count_nonzero(phantom.images) // 7)


def test_amplitude_in_volts(scanner):
    """A drop of 1 µL with 0.1 mol(Fe)/L at the centre: small-signal closed form of a weak drive field."""
    weak = replace(scanner.drive_field, amplitudes=np.array([[[1e-6], [0.0]]]))
    chosen = replace(scanner, drive_field=weak)
    grid = chosen.phantom.grid((1, 1), (0.001, 0.001))
    found = signals(chosen, Phantom(np.full((1, 1, 1, 1), 0.1), grid, "drop"))[0, 0]
    moment = 0.1 * 1000 * 231.533e-3 / 3 / 5170 * 4.74e5 * 1e-9  # A m², all aligned
    peak = 1e-3 * moment * (1e-6 / chosen.particle.saturation_field / 3) * 2 * np.pi * 2.5e6 / 102
    assert np.abs(found).max() == pytest.approx(peak, rel=1e-3)
