"""The induced voltage: two independent forms, held together and to closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.scanner import DriveField, SelectionField
from mpikit.simulate import direct
from mpikit.simulate.particles import langevin, langevin_derivative
from mpikit.simulate.phantoms import Phantom, dots, smile
from mpikit.simulate.presets import preset
from mpikit.simulate.receive import Notch
from mpikit.simulate.scanner_fields import fields_of
from mpikit.simulate.signals import Signals, check_scanner, received


@pytest.fixture
def scanner():
    return preset("openmpi-2d")


def mirrored(signal):
    """s(-n mod V)."""
    return np.roll(signal[..., ::-1], 1, axis=-1)


def largest(values):
    return np.abs(values).max()


def signals(scanner, phantom, form="direct"):
    return Signals(scanner, phantom.grid, images=phantom.count, form=form).of(phantom)[:, 0]


def uneven(scanner, counts=(9, 7, 1), images=2, seed=5):
    """Random tracer on a grid off the centre, with extents that all differ."""
    rng = np.random.default_rng(seed)
    grid = Grid(np.array(counts), np.array([0.018, 0.013, 0.002 * counts[2]]), np.array([1e-3, -2e-3, 3e-4]))
    return Phantom(rng.uniform(0, 0.1, (images, *grid.shape)), grid, "uneven")


def with_fields(scanner, gradient, offset=(0, 0, 0), drive_field=None):
    selection = SelectionField(np.array(gradient, float)[None, None], np.array(offset, float)[None, None])
    return replace(scanner, selection_field=selection, drive_field=drive_field or scanner.drive_field)


TRIANGLE = DriveField(
    base_frequency=2.5e6,
    dividers=np.array([[100], [2000], [250]]),  # a fast, a slow and a middle axis: Cartesian
    amplitudes=np.array([[[9e-3], [7e-3], [3e-3]]]),
    phases=np.array([[[np.pi / 2], [0.4], [1.1]]]),
    waveforms=np.array([["sine"], ["triangle"], ["triangle"]]),
)
TWO_TONES = DriveField(
    base_frequency=2.5e6,
    dividers=np.array([[100, 50], [125, 250]]),
    amplitudes=np.array([[[9e-3, 2e-3], [7e-3, 1e-3]]]),
    phases=np.array([[[0.3, 1.0], [0.9, 0.0]]]),
    waveforms=np.full((2, 2), "sine"),
)
FULL = [[-1.0, 0.2, -0.1], [0.2, -0.7, 0.3], [-0.1, 0.3, 1.7]]
LINE = [[-1.5, 0, 0], [0, 0, 0], [0, 0, 1.5]]  # field-free line along y


@pytest.mark.parametrize(
    ("gradient", "offset", "drive_field"),
    [
        (np.diag([-1, -1, 2]), (0, 0, 0), None),
        (FULL, (2e-3, -1e-3, 4e-3), None),
        (LINE, (0, 0, 0), None),
        (LINE, (1e-3, 0, -3e-3), TWO_TONES),
        (FULL, (0, 0, 1e-3), TRIANGLE),
        (np.diag([-1, -1, 2]), (6e-3, 0, 0), TWO_TONES),
    ],
    ids=["point", "full gradient and focus", "line", "two tones on a line", "Cartesian", "patch"],
)
def test_x_space_and_direct_sum_agree(scanner, gradient, offset, drive_field):
    coils = np.array([[1e-3, 2e-4, 0], [0, 9e-4, -3e-4], [1e-4, 0, 2e-3]])
    chosen = with_fields(scanner, gradient, offset, drive_field)
    chosen = replace(chosen, receiver=replace(scanner.receiver, sensitivity=coils))
    phantom = uneven(chosen, (9, 7, 2))
    first, second = signals(chosen, phantom, "x-space"), signals(chosen, phantom)
    assert first.shape == second.shape == (2, 3, chosen.samples)
    assert largest(first - second) < 1e-5 * largest(second)


@pytest.mark.parametrize("images", [1, 3000])
def test_x_space_agrees_when_sources_are_compressed(images):
    """Far more voxels than sources; and the matrix that many images pay for."""
    chosen = preset("peng2023")
    phantom = smile(chosen.phantom.grid(), concentration=0.1)
    form = Signals(chosen, phantom.grid, images=images, form="x-space")
    form.prepare()
    solved = form._solved[0]
    assert solved.size[1] < 300 < np.count_nonzero(phantom.images)
    assert (solved._matrix is not None) == (images > 1)
    second = signals(chosen, phantom)
    assert largest(form.of(phantom)[:, 0] - second) < 1e-6 * largest(second)


def test_x_space_agrees_for_particles_of_many_sizes(scanner):
    chosen = replace(scanner, particle=replace(scanner.particle, diameter_spread=0.2))
    phantom = uneven(chosen)
    second = signals(chosen, phantom)
    assert largest(signals(chosen, phantom, "x-space") - second) < 1e-4 * largest(second)


def test_the_cheaper_form_is_taken(scanner):
    few = Signals(scanner, scanner.phantom.grid(), filled=10)
    assert few.forms == ["direct"]
    peng = preset("peng2023")
    assert Signals(peng, peng.phantom.grid(), images=100).forms == ["x-space"]
    with pytest.raises(UsageError, match="no form 'fourier'"):
        Signals(scanner, scanner.phantom.grid(), form="fourier")


@pytest.mark.parametrize("form", ["direct", "x-space"])
@pytest.mark.parametrize("x0", [-0.007, 0.0, 0.0125])
def test_a_point_in_one_dimension_is_the_derivative_of_the_langevin_function(x0, form):
    line = preset("openmpi-1d")
    assert line.samples == 102
    angle = 2 * np.pi * np.arange(102) / 102
    beta = 1 / line.particle.saturation_field
    field = -1.0 * x0 + 0.012 * np.cos(angle)
    rate = -0.012 * np.sin(angle) * 2 * np.pi * 2.5e6 / 102
    expected = -1e-3 * beta * langevin_derivative(beta * field) * rate
    grid = Grid(np.ones(3, int), np.full(3, 1e-3), np.array([x0, 0, 0]))
    drop = Phantom(np.full((1, 1, 1, 1), 0.1), grid, "drop")
    found = signals(line, drop, form) / (line.particle.saturated(np.array(0.1)) * 1e-9)
    exact = 1e-11 if form == "direct" else 1e-5
    np.testing.assert_allclose(found[0, 0], expected, atol=exact * largest(expected))
    np.testing.assert_allclose(found[0, 1:], 0, atol=1e-12 * largest(expected))


@pytest.mark.parametrize("form", ["direct", "x-space"])
def test_resolution_of_a_point(form):
    """Signal over speed along a line is the point spread function: FWHM 21.5 mm at 0.4 T/m and 20 nm."""
    peng = preset("peng2023")
    along = replace(peng.drive_field, amplitudes=np.array([[[16e-3], [0.0]]]))
    chosen = replace(peng, drive_field=along)
    grid = Grid(np.ones(3, int), np.full(3, 1e-3), np.zeros(3))
    voltage = signals(chosen, Phantom(np.ones((1, 1, 1, 1)), grid, "point"), form)[0, 0]
    fields = fields_of(chosen)
    half = slice(1, chosen.samples // 2)  # the field falls from one end to the other
    place, speed = fields.drive()[half, 0] / 0.4, fields.rate()[half, 0]
    spread = voltage[half] / speed
    spread = spread / spread[np.abs(place).argmin()]
    rising = place < 0  # from the far end to the centre, for the field falls
    left = np.interp(0.5, spread[rising][::-1], place[rising][::-1])
    assert 2 * abs(left) == pytest.approx(21.5e-3, rel=3e-3)


@pytest.mark.parametrize("form", ["direct", "x-space"])
@pytest.mark.parametrize(
    ("gradient", "spread"),
    [(np.diag([-1.0, -1, 2]), 0), (LINE, 0), (FULL, 0.15)],
    ids=["point", "line", "sizes"],
)
def test_the_voltage_is_the_rate_of_the_moment(scanner, gradient, spread, form):
    """Against a derivative by spectrum, with coils that see several axes and a point beside the plane."""
    coils = np.array([[1e-3, 2e-4, 0], [0, 1e-3, -3e-4], [1e-4, 0, 2e-3]])
    chosen = replace(
        with_fields(scanner, gradient, (1e-3, 0, -2e-3)),
        receiver=replace(scanner.receiver, sensitivity=coils),
        particle=replace(scanner.particle, diameter_spread=spread),
    )
    place = np.array([0.004, -0.003, 0.002])
    samples = 8 * 1632  # so that the spectrum of the moment ends before the Nyquist frequency
    times = np.arange(samples) / 2e7
    field = np.array(gradient) @ place + np.array([1e-3, 0, -2e-3])
    field = field + np.pad(chosen.drive_field.field(times), ((0, 0), (0, 1)))
    strength = np.linalg.norm(field, axis=1, keepdims=True)
    # the diameters by brute force: log-normal numbers, each with its volume
    logs = np.linspace(-8, 8, 4001) * spread if spread else np.zeros(1)
    share = np.exp(-(logs**2) / (2 * spread**2) + 3 * logs) if spread else np.ones(1)
    saturation = chosen.particle.saturation_field / np.exp(3 * logs)
    size = sum(
        part * langevin(strength / each) for part, each in zip(share / share.sum(), saturation, strict=True)
    )
    omega = 2 * np.pi * np.fft.rfftfreq(samples, 5e-8)
    moment = size * field / strength
    rate = np.fft.irfft(1j * omega[:, None] * np.fft.rfft(moment, axis=0), n=samples, axis=0)
    expected = -coils @ rate[::8].T
    grid = Grid(np.ones(3, int), np.full(3, 1e-3), place)
    drop = Phantom(np.full((1, 1, 1, 1), 0.1), grid, "drop")
    found = signals(chosen, drop, form)[0] / (chosen.particle.saturated(np.array(0.1)) * 1e-9)
    exact = 1e-5 if form == "x-space" else 1e-9
    np.testing.assert_allclose(found, expected, atol=(exact if not spread else 5e-5) * largest(expected))


@pytest.mark.parametrize("form", ["direct", "x-space"])
@pytest.mark.parametrize("name", ["openmpi-1d", "openmpi-2d", "peng2023"])
def test_cosine_excitation_gives_an_odd_signal(name, form):
    chosen = preset(name)
    clean = signals(chosen, uneven(chosen), form)
    assert largest(clean + mirrored(clean)) < 1e-10 * largest(clean)


def test_a_sine_excitation_is_not_odd_about_zero(scanner):
    sines = replace(scanner.drive_field, phases=np.zeros((1, 2, 1)))
    chosen = replace(scanner, drive_field=sines)
    clean = signals(chosen, smile(chosen.phantom.grid((20, 20)), concentration=0.1))
    assert largest(clean + mirrored(clean)) > 0.5 * largest(clean)


def test_relaxation_turns_each_line_by_its_own_angle(scanner):
    """It breaks the symmetry about 0 in the way of section 2.4: lines 5, 15, 25 of a 2 ms period, 20 µs."""
    peng = preset("peng2023")
    slow = replace(peng, particle=replace(peng.particle, relaxation_time=20e-6))
    phantom = dots(peng.phantom.grid((15, 15)), concentration=0.1)
    at_once, late = signals(peng, phantom)[0, 0], signals(slow, phantom)[0, 0]
    assert largest(late + mirrored(late)) > 0.1 * largest(late)
    before, after = np.fft.rfft(at_once), np.fft.rfft(late)
    frequency = 500 * np.arange(len(before))
    strong = np.abs(before) > 1e-6 * largest(before)
    ratio = after[strong] / before[strong]
    np.testing.assert_allclose(ratio, 1 / (1 + 2j * np.pi * 20e-6 * frequency[strong]), rtol=1e-6)
    np.testing.assert_allclose(
        np.degrees(np.angle(after / before)[[5, 15, 25]]), [-17.4, -43.3, -57.5], atol=0.1
    )


@given(doses=st.lists(st.floats(0, 1), min_size=6, max_size=6), factor=st.floats(0.1, 10))
@settings(max_examples=10, deadline=None)
def test_linear_in_the_dose(doses, factor):
    chosen = preset("openmpi-2d")
    grid = chosen.phantom.grid((3, 2))
    image = np.array(doses).reshape(1, 1, 2, 3)
    images = np.concatenate([image, factor * image, image + 0.5, np.full_like(image, 0.5)])
    for form in ("direct", "x-space"):
        one, scaled, raised, flat = signals(chosen, Phantom(images, grid, "doses"), form)
        scale = largest(flat)
        np.testing.assert_allclose(scaled, factor * one, atol=1e-11 * scale)
        np.testing.assert_allclose(raised, one + flat, atol=1e-11 * scale)


def test_blocks_change_nothing(scanner, monkeypatch):
    phantom = smile(scanner.phantom.grid((12, 10)), concentration=0.1)
    whole, fast = signals(scanner, phantom), signals(scanner, phantom, "x-space")
    steps = []
    monkeypatch.setattr("mpikit.simulate.direct._HELD", 7 * 2 * 1632)
    monkeypatch.setattr("mpikit.simulate.direct._CACHED", 3 * 1632)
    monkeypatch.setattr("mpikit.simulate.xspace._HELD", 4000)
    monkeypatch.setattr("mpikit.simulate.direct._WORTH_TELLING", 1)
    form = Signals(scanner, phantom.grid, form="direct")
    blocked = form.of(phantom, tell=steps.append)[:, 0]
    np.testing.assert_allclose(blocked, whole, rtol=1e-9, atol=1e-14)
    assert len(steps) == steps[-1].total == -(-np.count_nonzero(phantom.images) // 7)
    np.testing.assert_allclose(signals(scanner, phantom, "x-space"), fast, atol=1e-12 * largest(fast))


def test_amplitude_in_volts(scanner):
    """A drop of 1 µL with 0.1 mol(Fe)/L at the centre: small-signal closed form of a weak drive field."""
    weak = replace(scanner.drive_field, amplitudes=np.array([[[1e-6], [0.0]]]))
    chosen = replace(scanner, drive_field=weak)
    grid = chosen.phantom.grid((1, 1), (0.001, 0.001))
    found = signals(chosen, Phantom(np.full((1, 1, 1, 1), 0.1), grid, "drop"))[0, 0]
    moment = 0.1 * 1000 * 231.533e-3 / 3 / 5170 * 4.74e5 * 1e-9  # A m², all aligned
    peak = 1e-3 * moment * (1e-6 / chosen.particle.saturation_field / 3) * 2 * np.pi * 2.5e6 / 102
    assert largest(found) == pytest.approx(peak, rel=1e-3)


def test_the_empty_scanner_has_the_feed_through_and_the_tracer_has_not(scanner):
    coils = replace(scanner.receiver, feed_through=np.array([[1e-6, 0], [2e-7, 3e-6]]))
    chosen = replace(scanner, receiver=coils)
    phantom = uneven(chosen)
    np.testing.assert_array_equal(signals(chosen, phantom), signals(scanner, phantom))
    rate = chosen.drive_field.rate(np.arange(1632) / 2.5e6).T
    expected = -np.array([1e-6 * rate[0], 2e-7 * rate[0] + 3e-6 * rate[1]])
    np.testing.assert_allclose(
        Signals(chosen, phantom.grid).empty()[0], expected, atol=1e-12 * largest(rate) * 3e-6
    )


def test_the_chain_acts_on_the_tracer_too(scanner):
    notched = replace(scanner, receiver=replace(scanner.receiver, notch=Notch(quality=3.0)))
    clean = np.fft.rfft(signals(notched, uneven(scanner)))
    assert largest(clean[..., [16, 17]]) < 1e-12 * largest(clean)


def test_oversampling_drops_what_lies_above_the_bandwidth(scanner):
    voltages = direct.responses(
        fields_of(replace(scanner, receiver=replace(scanner.receiver, oversampling=3))), np.zeros((1, 3))
    )
    assert voltages.shape == (1, 2, 3 * 1632)
    found = received(replace(scanner, receiver=replace(scanner.receiver, oversampling=3)), voltages)
    spectrum = np.fft.rfft(voltages)[..., :817] / 3
    spectrum[..., 816] = 0
    np.testing.assert_allclose(np.fft.rfft(found), spectrum, atol=1e-9 * largest(spectrum))


def test_each_period_has_its_own_patch(scanner):
    patches = SelectionField(
        np.broadcast_to(np.diag([-1.0, -1.0, 2.0]), (3, 1, 3, 3)).copy(),
        np.array([[[-5e-3, 0, 0]], [[0, 0, 0]], [[5e-3, 2e-3, 0]]]),
    )
    chosen = replace(scanner, selection_field=patches, periods=3)
    phantom = uneven(chosen)
    found = Signals(chosen, phantom.grid, images=2).of(phantom)
    assert found.shape == (2, 3, 2, 1632)
    for period in range(3):
        one = with_fields(scanner, np.diag([-1, -1, 2]), patches.offset[period, 0])
        np.testing.assert_allclose(found[:, period], signals(one, phantom), atol=1e-12 * largest(found))
    moved = Phantom(
        phantom.images,
        Grid(phantom.grid.size, phantom.grid.field_of_view, phantom.grid.center + np.array([5e-3, 0, 0])),
        "moved",
    )
    np.testing.assert_allclose(found[:, 0], signals(scanner, moved), atol=1e-12 * largest(found))


def test_a_slow_receiver_is_refused(scanner):
    grid = scanner.phantom.grid()
    check_scanner(scanner, grid)
    slow = replace(scanner, receiver=replace(scanner.receiver, bandwidth=1.25e6 / 8))
    with pytest.raises(UsageError, match="too low"):
        check_scanner(slow, grid)
    check_scanner(replace(slow, receiver=replace(slow.receiver, oversampling=8)), grid)
