"""Frames, periods, empty frames and noise of a simulated scan."""

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import NumericalError, UsageError
from mpikit.scanner import SelectionField
from mpikit.simulate.phantoms import Phantom, dots
from mpikit.simulate.presets import preset
from mpikit.simulate.receive import Adc
from mpikit.simulate.scans import Simulation, simulate_scan
from mpikit.simulate.signals import Signals


@pytest.fixture
def scanner():
    return preset("openmpi-2d")


@pytest.fixture
def phantom(scanner):
    return dots(scanner.phantom.grid((12, 10)), concentration=0.1)


def ones(clean, *, frame_index, sampling_rate, drive_field, rng):
    """Noise that says which frame it is for."""
    assert drive_field.amplitudes.shape[0] == clean.shape[1]
    return np.broadcast_to(frame_index[:, None, None, None], clean.shape).astype(float)


def test_shapes_order_and_symmetry(scanner, phantom, rng):
    scan, clean = simulate_scan(scanner, phantom, frames=4, periods=3, background_frames=5, rng=rng)
    assert clean.shape == scan.signal.shape == (4, 3, 2, 1632)
    assert scan.signal.dtype == np.float32
    np.testing.assert_array_equal(scan.background_index, [0, 1, 2, 7, 8])
    np.testing.assert_array_equal(scan.foreground_index, [3, 4, 5, 6])
    assert scan.drive_field.amplitudes.shape == (3, 2, 1)
    assert scan.selection_field.gradient.shape == (3, 1, 3, 3)
    assert (scan.repeats, scan.unit, scan.sampling_rate) == ("both", "V", 2.5e6)
    np.testing.assert_array_equal(scan.background, 0)
    one = Signals(scanner, phantom.grid).of(phantom)[0, 0].astype(np.float32)
    np.testing.assert_array_equal(clean, np.broadcast_to(one, clean.shape))
    np.testing.assert_allclose(scan.signal, clean, rtol=1e-6, atol=1e-12)


def test_noise_is_added_in_the_order_of_acquisition(scanner, phantom, rng):
    scan, clean = simulate_scan(scanner, phantom, frames=3, background_frames=2, noise=[ones, ones], rng=rng)
    np.testing.assert_allclose(scan.signal[:, 0, 0, 5] - clean[:, 0, 0, 5], [2, 4, 6], atol=1e-5)
    np.testing.assert_array_equal(scan.background[:, 0, 1, 7], [0, 8])


def test_noise_must_be_numbers(scanner, phantom, rng):
    def broken(clean, **_):
        return np.full(clean.shape, np.nan)

    with pytest.raises(NumericalError):
        simulate_scan(scanner, phantom, frames=2, noise=[broken], rng=rng)


@pytest.mark.parametrize(
    ("images", "frames", "periods", "repeats"),
    [(1, 5, 1, "frames"), (3, 3, 2, "periods"), (1, 1, 2, "periods"), (1, 4, 2, "both"), (3, 3, 1, "none")],
)
def test_what_repeats(scanner, rng, images, frames, periods, repeats):
    grid = scanner.phantom.grid((3, 2))
    several = Phantom(np.arange(images * 6.0).reshape(images, 1, 2, 3), grid, "several")
    scan, clean = simulate_scan(scanner, several, frames=frames, periods=periods, rng=rng)
    assert scan.repeats == repeats
    assert np.array_equal(clean[0], clean[-1]) == (images == 1)


@pytest.mark.parametrize(("frames", "periods", "empty"), [(0, 1, 0), (2, 0, 0), (2, 1, -1), (-1, 1, 3)])
def test_impossible_counts(scanner, phantom, rng, frames, periods, empty):
    with pytest.raises(UsageError):
        simulate_scan(scanner, phantom, frames=frames, periods=periods, background_frames=empty, rng=rng)


def test_images_must_fill_the_frames(scanner, phantom, rng):
    two = replace(phantom, images=np.repeat(phantom.images, 2, axis=0))
    with pytest.raises(UsageError, match="2 images do not fill 3 frames"):
        simulate_scan(scanner, two, frames=3, rng=rng)


class Session:
    """Noise that says what it was told at the beginning."""

    def __init__(self, begun=None):
        self.begun = begun

    def begin(self, *, power, samples, sampling_rate, rng, **_):
        assert samples == 1632
        assert sampling_rate == 2.5e6
        return Session((power, rng.random()))

    def __call__(self, clean, *, rng, **_):
        power, number = self.begun
        return np.broadcast_to(power[:, None] + number + rng.normal(size=(len(clean), 1, 1, 1)), clean.shape)


def test_noise_is_begun_once_and_drawn_in_blocks(scanner, phantom, monkeypatch):
    """Blocks differ in what they draw, share what was begun, and depend on the seed alone."""
    monkeypatch.setattr("mpikit.simulate.scans._BLOCK", 2 * 2 * 1632)
    scans = []
    for _ in range(2):
        rng = np.random.default_rng(3)
        scan, clean = simulate_scan(
            scanner, phantom, frames=5, background_frames=1, noise=[Session()], rng=rng
        )
        scans.append(scan)
    np.testing.assert_array_equal(scans[0].signal, scans[1].signal)
    noise = (scans[0].signal - clean)[:, 0, :, 7].astype(float)
    power = np.mean(clean[0, 0].astype(float) ** 2, axis=-1)
    np.testing.assert_allclose(noise[:, 1] - noise[:, 0], power[1] - power[0], atol=1e-6)
    assert len(np.unique(noise[:, 0].round(5))) == 5


def test_frames_of_patches(scanner, phantom, rng):
    offsets = np.array([[[-2e-3, 0, 0]], [[3e-3, 1e-3, 0]]])
    gradient = np.repeat(scanner.selection_field.gradient, 2, axis=0)
    patches = replace(scanner, selection_field=SelectionField(gradient, offsets))
    scan, clean = simulate_scan(patches, phantom, frames=3, periods=4, rng=rng)
    np.testing.assert_array_equal(scan.selection_field.offset[:, 0, 0], [-2e-3, -2e-3, 3e-3, 3e-3])
    assert scan.repeats == "frames"
    np.testing.assert_array_equal(clean[:, 0], clean[:, 1])
    assert np.abs(clean[0, 1] - clean[0, 2]).max() > 0.1 * np.abs(clean).max()
    with pytest.raises(UsageError, match="do not fit 2 patches"):
        simulate_scan(patches, phantom, frames=3, periods=3, rng=rng)


def test_averages_lower_the_noise_and_keep_the_signal(scanner, phantom):
    def white(clean, *, rng, drive_field, **_):
        assert clean.shape[1] == drive_field.amplitudes.shape[0] == 2 * 25
        return rng.normal(0, 1e-4, clean.shape)

    averaged = replace(scanner, receiver=replace(scanner.receiver, averages=25))
    scan, clean = simulate_scan(
        averaged, phantom, frames=2, periods=2, noise=[white], rng=np.random.default_rng(1)
    )
    assert scan.signal.shape == (2, 2, 2, 1632)
    assert scan.corrections.averages == 25
    assert np.std(scan.signal - clean) == pytest.approx(1e-4 / 5, rel=0.03)


def test_the_converter_rounds_after_the_noise(scanner, phantom, rng):
    step = 2 * 4e-3 / 2**10
    chosen = replace(scanner, receiver=replace(scanner.receiver, adc=Adc(bits=10, full_scale=4e-3)))

    def white(clean, *, rng, **_):
        return rng.normal(0, 3 * step, clean.shape)

    scan, clean = simulate_scan(chosen, phantom, frames=3, noise=[white], rng=rng)
    assert np.abs(clean).max() < 4e-3 - 15 * step
    np.testing.assert_allclose(scan.signal / step, np.rint(scan.signal / step), atol=1e-3)
    assert np.var(scan.signal - clean) == pytest.approx((9 + 1 / 12) * step**2, rel=0.05)


def test_an_empty_measurement(scanner, rng):
    grid = scanner.phantom.grid((4, 3))
    nothing = Phantom(np.zeros((1, *grid.shape)), grid, "nothing")
    plan = Simulation(scanner, nothing, frames=0, background_frames=3, noise=[ones], rng=rng)
    block = plan.draw(0)
    assert plan.blocks == 1
    np.testing.assert_array_equal(block.acquired.volts[:, 0, 1, 5], [0, 1, 2])
    assert block.clean.shape == (0, 1, 2, 1632)
    assert block.signal_power == block.noise_power == 0


class Stored:
    """Noise of a file whose frames are averages of five."""

    averages = 5

    def __call__(self, clean, *, drive_field, rng, **_):
        assert clean.shape[1] == drive_field.amplitudes.shape[0] == 2
        return rng.normal(0, 1e-4, clean.shape)


def test_noise_that_is_averaged_already_is_not_averaged_again(scanner, phantom):
    averaged = replace(scanner, receiver=replace(scanner.receiver, averages=5))
    scan, clean = simulate_scan(
        averaged, phantom, frames=3, periods=2, noise=[Stored()], rng=np.random.default_rng(1)
    )
    assert np.std(scan.signal - clean) == pytest.approx(1e-4, rel=0.03)
    with pytest.raises(UsageError, match="measured with 5 averages, the scan has 1"):
        simulate_scan(scanner, phantom, frames=3, noise=[Stored()], rng=np.random.default_rng(1))
