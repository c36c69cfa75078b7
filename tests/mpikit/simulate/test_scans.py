"""Frames, periods, empty frames and noise of a simulated scan."""

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import NumericalError, UsageError
from mpikit.simulate.phantoms import Phantom, dots
from mpikit.simulate.presets import preset
from mpikit.simulate.scans import simulate_scan
from mpikit.simulate.signals import signals


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
    one = signals(scanner, phantom)[0]
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


@pytest.mark.parametrize(("frames", "periods", "empty"), [(0, 1, 0), (2, 0, 0), (2, 1, -1)])
def test_impossible_counts(scanner, phantom, rng, frames, periods, empty):
    with pytest.raises(UsageError):
        simulate_scan(scanner, phantom, frames=frames, periods=periods, background_frames=empty, rng=rng)


def test_images_must_fill_the_frames(scanner, phantom, rng):
    two = replace(phantom, images=np.repeat(phantom.images, 2, axis=0))
    with pytest.raises(UsageError, match="2 images do not fill 3 frames"):
        simulate_scan(scanner, two, frames=3, rng=rng)
