from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.reconstruct import trajectory, x_space
from mpikit.scanner import DriveField, SelectionField
from mpikit.simulate import Fields, Particle
from mpikit.simulate.direct import responses

BETA = 950.0  # 1/T, argument of the Langevin function per field: magnetite of 25 nm at room temperature
HALF_WIDTH = 2.0805  # the derivative of the Langevin function has fallen to a half there
RATE = 2.5e6


def langevin(field):
    """Mean moment direction for a field (V, 3) in T."""
    size = np.maximum(np.linalg.norm(field, axis=-1, keepdims=True), 1e-12)
    return (1 / np.tanh(BETA * size) - 1 / (BETA * size)) * field / size


def scanner(amplitudes, gradient=(-1.0, -1.0, 2.0), offset=(0, 0, 0), dividers=(102, 96, 99)):
    active = len(amplitudes)
    drive = DriveField(
        base_frequency=RATE,
        dividers=np.array(dividers[:active])[:, None],
        amplitudes=np.array(amplitudes)[None, :, None],
        phases=np.full((1, active, 1), np.pi / 2),
        waveforms=np.full((active, 1), "sine"),
    )
    return drive, SelectionField(np.diag(gradient)[None, None], np.array(offset, float)[None, None])


def point_signal(drive, selection, points, samples, rate=RATE, channels=3):
    """Signal of ideal coils, minus the derivative of the moment, for points (n, 3): shape (n, C, V)."""
    step = 1e-4 / rate
    times = np.arange(samples) / rate

    def moment(at, point):
        field = np.zeros((samples, 3))
        driven = drive.field(at)
        field[:, : driven.shape[1]] = driven
        return langevin(field + selection.offset[0, 0] + selection.gradient[0, 0] @ point)

    return np.stack(
        [
            (-(moment(times + step, point) - moment(times - step, point)) / (2 * step)).T[:channels]
            for point in np.asarray(points, float)
        ]
    )


def width(profile, axis):
    """Full width at half maximum, with linear interpolation."""
    top = int(np.argmax(profile))
    half = profile[top] / 2
    left = np.interp(half, profile[: top + 1], axis[: top + 1])
    right = np.interp(half, profile[top:][::-1], axis[top:][::-1])
    return right - left


def test_trajectory_follows_the_field_free_point():
    drive, selection = scanner((0.012, 0.008), gradient=(-1, -2, 3), offset=(0.001, 0.004, -0.006))
    path = trajectory(drive, selection, samples=1632, sampling_rate=RATE)
    field = np.pad(drive.field(np.arange(1632) / RATE), ((0, 0), (0, 1)))
    total = field + selection.offset[0, 0] + path.positions @ np.diag([-1, -2, 3])
    np.testing.assert_allclose(total, 0, atol=1e-15)
    assert path.axes == (0, 1)
    np.testing.assert_allclose(path.positions[:, 2], 0.002)
    numeric = (np.roll(field, -1, axis=0) - np.roll(field, 1, axis=0)) * RATE / 2
    np.testing.assert_allclose(path.rate, numeric, atol=2e-3 * np.abs(numeric).max())


@pytest.mark.parametrize(("gradient", "place"), [(2.5, 1.3e-3), (-2.5, -2.1e-3)])
def test_a_point_in_1d_shows_the_point_spread_function(gradient, place):
    drive, selection = scanner((0.014,), gradient=(gradient, -1, -1))
    rate = 40 * RATE  # samples close enough to see the width
    path = trajectory(drive, selection, samples=102 * 40, sampling_rate=rate)
    signal = point_signal(drive, selection, [[place, 0, 0]], 102 * 40, rate)
    images, grid = x_space(signal, path)
    assert images.shape == (1, 1, 1, 100)
    x = grid.positions()[:, 0]
    found = images[0, 0, 0]
    assert abs(x[found.argmax()] - place) < grid.spacing[0]
    wanted = 2 * HALF_WIDTH / (BETA * abs(gradient))
    assert width(found, x) == pytest.approx(wanted, rel=0.02)
    argument = BETA * gradient * (x - place)
    shape = BETA * (1 / argument**2 - 1 / np.sinh(argument) ** 2)
    np.testing.assert_allclose(found, shape, atol=0.02 * BETA / 3)


TRACER = Particle(core_diameter=28e-9, saturation_magnetisation=4.74e5, temperature=295)
ALONG = 2 * HALF_WIDTH * TRACER.saturation_field  # FWHM in T
ACROSS = 2 * 4.7333 * TRACER.saturation_field  # there L(x)/x has fallen to a half of its 1/3


def simulated(drive, selection, point, samples, rate):
    """Signal (1, 3, V) of the simulator for a point (3,)."""
    fields = Fields(
        particle=TRACER,
        drive_field=drive,
        period=0,
        gradient=selection.gradient[0, 0],
        offset=selection.offset[0, 0],
        sensitivity=np.eye(3),
        times=np.arange(samples) / rate,
    )
    return responses(fields, np.asarray(point, float)[None])


def profile(image, grid, axis):
    """Values and places along an axis through the largest voxel."""
    at = list(np.unravel_index(image.argmax(), image.shape))
    at[2 - axis] = slice(None)
    return image[tuple(at)], grid.positions().reshape(*grid.shape, 3)[*at, axis]


@pytest.mark.parametrize("fast", [0, 1])
def test_a_point_in_2d_shows_the_point_spread_function_along_and_across_the_motion(fast):
    """One axis is 100 times as fast as the other, so that the direction of motion is known."""
    slow = 1 - fast
    strength, size = np.array([1.5, 2.0]), np.array([121, 121])
    size[slow] = 61
    dividers = (100, 10000) if fast == 0 else (10000, 100)
    drive, selection = scanner((0.016, 0.016), gradient=(-1.5, -2.0, 3.5), dividers=dividers)
    path = trajectory(drive, selection, samples=80000, sampling_rate=8 * RATE)
    place = 2 * 0.016 / strength / size * [6, -4]  # the centre of a voxel
    signal = simulated(drive, selection, (*place, 0), 80000, 8 * RATE)
    images, grid = x_space(signal, path, size=tuple(size), min_speed=0.5)
    np.testing.assert_allclose(grid.positions()[images.argmax(), :2], place, atol=1e-7)
    assert width(*profile(images[0], grid, fast)) == pytest.approx(ALONG / strength[fast], rel=0.02)
    assert width(*profile(images[0], grid, slow)) == pytest.approx(ACROSS / strength[slow], rel=0.02)


def test_a_point_in_3d_shows_the_point_spread_function_along_the_motion():
    drive, selection = scanner((0.001, 0.0012, 0.016), dividers=(5000, 1000, 100))
    path = trajectory(drive, selection, samples=20000, sampling_rate=4 * RATE)
    signal = simulated(drive, selection, (0.02e-3, -0.03e-3, 0.4e-3), 20000, 4 * RATE)
    images, grid = x_space(signal, path, size=(7, 9, 161), min_speed=0.5)
    assert images.shape == (1, 161, 9, 7)
    assert width(*profile(images[0], grid, 2)) == pytest.approx(ALONG / 2, rel=0.02)


def test_points_in_2d_are_found_where_they_are():
    drive, selection = scanner((0.012, 0.012), offset=(0.001, -0.002, 0))
    points = np.array([[4e-3, -3e-3, 0], [-5e-3, 2e-3, 0]])
    path = trajectory(drive, selection, samples=1632, sampling_rate=RATE)
    signal = point_signal(drive, selection, points, 1632)
    images, grid = x_space(signal, path)
    assert images.shape == (2, 1, 29, 29)
    np.testing.assert_allclose(grid.center, [1e-3, -2e-3, 0], atol=1e-5)
    for image, point in zip(images, points, strict=True):
        peak = grid.positions()[image.argmax()]
        assert np.all(np.abs(peak - point)[:2] < grid.spacing[:2])
        assert image.max() == pytest.approx(BETA / 3, rel=0.08)  # a voxel averages over the peak
        profile = image[0, :, np.unravel_index(image.argmax(), image.shape)[2]]
        narrow = 2 * HALF_WIDTH / BETA  # along the motion; across it the function is about twice as wide
        assert narrow < width(profile, grid.positions().reshape(29, 29, 3)[:, 0, 1]) < 2.2 * narrow


def test_one_channel_for_two_driven_axes_sees_the_point_too():
    """The ratio of signal and velocity along x is the point spread function where the motion is along x."""
    drive, selection = scanner((0.012, 0.012), dividers=(100, 3000))
    path = trajectory(drive, selection, samples=30000, sampling_rate=10 * RATE)
    point = np.array([3e-3, -4e-3, 0])
    signal = point_signal(drive, selection, [point], 30000, 10 * RATE, channels=1)
    images, grid = x_space(signal, path, size=(21, 17), min_speed=0.5)
    peak = grid.positions()[images.argmax()]
    assert np.all(np.abs(peak - point)[:2] < 2 * grid.spacing[:2])
    assert images.max() == pytest.approx(BETA / 3, rel=0.2)


def test_a_point_in_3d_is_found_where_it_is():
    drive, selection = scanner((0.012, 0.012, 0.012))
    point = np.array([3e-3, -4e-3, 1e-3])
    path = trajectory(drive, selection, samples=53856, sampling_rate=RATE)
    images, grid = x_space(point_signal(drive, selection, [point], 53856), path, size=(13, 11, 9))
    assert images.shape == (1, 9, 11, 13)
    assert np.all(np.abs(grid.positions()[images.argmax()] - point) <= grid.spacing)


def test_images_are_linear_and_positive_whatever_the_polarity():
    drive, selection = scanner((0.012, 0.01))
    path = trajectory(drive, selection, samples=1632, sampling_rate=RATE)
    signal = point_signal(drive, selection, [[1e-3, 2e-3, 0], [0, -1e-3, 0]], 1632)
    images, grid = x_space(signal, path, size=(15, 17))
    np.testing.assert_allclose(x_space(-3 * signal, path, size=(15, 17))[0], 3 * images, rtol=1e-12)
    summed = x_space(signal.sum(axis=0, keepdims=True), path, size=(15, 17))[0]
    np.testing.assert_allclose(summed[0], images.sum(axis=0), atol=1e-12 * images.max())
    assert grid.size.tolist() == [15, 17, 1]


def test_voxels_without_a_sample_are_filled_linearly():
    drive, selection = scanner((0.012, 0.012))
    path = trajectory(drive, selection, samples=1632, sampling_rate=RATE)
    slope = np.array([20.0, -30.0, 0])  # 1/m
    values = 1 + path.positions @ slope
    signal = np.stack([path.rate.T, values * path.rate.T])
    images, grid = x_space(signal, path, size=(75, 75))  # three voxels for each sample
    at = grid.positions()
    inside = (np.abs(at[:, :2]) < 11e-3).all(axis=1)
    constant, linear = images.reshape(2, -1)[:, inside]
    np.testing.assert_allclose(constant, 1, rtol=1e-12)
    np.testing.assert_allclose(linear, (1 + at @ slope)[inside], atol=50 * grid.spacing[0])


def test_each_period_has_its_own_drive_and_focus_field():
    first, selection = scanner((0.012, 0.008), offset=(0.001, 0, 0))
    drive = DriveField(
        first.base_frequency,
        first.dividers,
        np.concatenate([first.amplitudes, [[[0.004], [0.0]]]]),
        np.concatenate([first.phases, [[[0.0], [0.0]]]]),
        first.waveforms,
    )
    both = SelectionField(
        np.concatenate([selection.gradient, 2 * selection.gradient]),
        np.concatenate([selection.offset, [[[0, 0.006, 0]]]]),
    )
    one = trajectory(first, selection, samples=1632, sampling_rate=RATE)
    np.testing.assert_array_equal(
        trajectory(drive, both, samples=1632, sampling_rate=RATE).positions, one.positions
    )
    other = trajectory(drive, both, samples=1632, sampling_rate=RATE, period=1)
    np.testing.assert_allclose(np.ptp(other.positions, axis=0), [0.004, 0, 0], atol=1e-15, rtol=1e-3)
    np.testing.assert_allclose(other.positions[:, 1], 0.003)


def test_motion_is_the_mean_direction():
    drive, selection = scanner((0.012, 0.006), dividers=(96, 96 * 17))
    path = trajectory(drive, selection, samples=1632, sampling_rate=RATE)
    ratio = (0.006 / 17 / 0.012) ** 2
    np.testing.assert_allclose(np.diag(path.motion), np.array([1, ratio, 0]) / (1 + ratio), rtol=1e-10)
    np.testing.assert_allclose(path.motion, path.motion.T)


def test_field_of_view_and_what_is_refused():
    drive, selection = scanner((0.012, 0.012))
    path = trajectory(drive, selection, samples=1632, sampling_rate=RATE)
    signal = point_signal(drive, selection, [[0, 0, 0]], 1632)
    images, grid = x_space(signal, path, size=(10, 12), field_of_view=(0.03, 0.036))
    np.testing.assert_allclose(grid.field_of_view, [0.03, 0.036, 0.003])
    assert images[0, 0, 0, 0] == 0  # outside the trajectory
    with pytest.raises(UsageError, match="4 voxels along z"):
        x_space(signal, path, size=(10, 12, 4))
    with pytest.raises(UsageError, match=r"10 x 0 x 1 voxels over .*above 0"):
        x_space(signal, path, size=(10, 0))
    for extent in (np.nan, np.inf, -0.01, 0.0):
        with pytest.raises(UsageError, match=r"over .* x 30 mm, expected numbers above 0"):
            x_space(signal, path, field_of_view=(extent, 0.03))
    with pytest.raises(UsageError, match="no sample falls into the field of view of 1e-06 x 1e-06"):
        x_space(signal, path, field_of_view=(1e-9, 1e-9))
    across, selection = scanner((0, 0.012))
    lonely = trajectory(across, selection, samples=1632, sampling_rate=RATE)
    with pytest.raises(InputError, match="no receive channel for the driven axis y"):
        x_space(signal[:, :1], lonely)
    with pytest.raises(NumericalError, match="not finite"):
        x_space(signal * np.nan, path)
    with pytest.raises(InputError, match="no gradient"):
        trajectory(drive, None, samples=1632, sampling_rate=RATE)
    two = SelectionField(selection.gradient.repeat(2, axis=1), selection.offset.repeat(2, axis=1))
    with pytest.raises(InputError, match="2 parts in a period, expected one"):
        trajectory(drive, two, samples=1632, sampling_rate=RATE)
    odd = replace(drive, waveforms=np.full((2, 1), "custom"))
    with pytest.raises(InputError, match="custom waveform, x-space expects"):
        trajectory(odd, selection, samples=1632, sampling_rate=RATE)
    flat = SelectionField(np.diag([-1.0, 1, 0])[None, None], np.zeros((1, 1, 3)))
    with pytest.raises(InputError, match="no single field-free point"):
        trajectory(drive, flat, samples=1632, sampling_rate=RATE)
