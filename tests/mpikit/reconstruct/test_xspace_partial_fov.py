"""What a notch takes away is recovered from overlapping partial fields of view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.reconstruct.gridding import covering_grid
from mpikit.reconstruct.partial_fov import outer_edge, x_space_patches
from mpikit.reconstruct.xspace import trajectory, x_space
from mpikit.scanner import DriveField, SelectionField
from mpikit.simulate import HighPass, Notch, Phantom, Receiver, Signals, preset
from mpikit.simulate.receive import chain_response

SHIFTS = (-0.016, -0.008, 0.0, 0.008, 0.016)  # T


def scanner(
    offsets, amplitudes, dividers, *, gradient=(-2.0, -2.0, 4.0), bandwidth=1.25e6, core=25e-9, **chain
):
    axes = len(dividers)
    drive = DriveField(
        base_frequency=2.5e6,
        dividers=np.array(dividers)[:, None],
        amplitudes=np.array(amplitudes)[None, :, None],
        phases=np.full((1, axes, 1), np.pi / 2),
        waveforms=np.full((axes, 1), "sine"),
    )
    offset = np.array(offsets, float)[:, None]
    selection = SelectionField(np.tile(np.diag(gradient), (len(offset), 1, 1, 1)), offset)
    receiver = Receiver(sensitivity=1e-3 * np.eye(3)[:axes], bandwidth=bandwidth, **chain)
    return replace(
        preset("openmpi-2d", [f"particle.core_diameter={core}"]),
        drive_field=drive,
        selection_field=selection,
        receiver=receiver,
        periods=len(offset),
    )


def paths(made):
    count = made.patches
    drive = replace(
        made.drive_field,
        amplitudes=made.drive_field.amplitudes.repeat(count, axis=0),
        phases=made.drive_field.phases.repeat(count, axis=0),
    )
    rate = made.receiver.sampling_rate
    return [
        trajectory(drive, made.selection_field, samples=made.samples, sampling_rate=rate, period=period)
        for period in range(count)
    ]


def received(made, phantom, lowest=1e-2):
    """Signals with the transfer function divided out; what it had almost taken away is gone."""
    spectra = np.fft.rfft(Signals(made, phantom.grid, images=phantom.count).of(phantom))
    response = chain_response(made.receiver, made.drive_field, made.samples)
    kept = np.abs(response) > lowest
    spectra = np.where(kept, spectra / np.where(kept, response, 1), 0)
    return np.fft.irfft(spectra, n=made.samples)


def complete(made, phantom):
    plain = replace(made, receiver=replace(made.receiver, notch=None, high_pass=None))
    return Signals(plain, phantom.grid, images=phantom.count).of(phantom)


def along_x(*amounts):
    """Phantoms from (first, last, amount) blocks of 80 voxels of 0.25 mm."""
    images = np.zeros((len(amounts), 1, 1, 80))
    for image, blocks in zip(images, amounts, strict=True):
        for first, last, amount in blocks:
            image[..., first:last] += amount
    return Phantom(images, Grid(np.array([80, 1, 1]), np.array([0.02, 1e-3, 1e-3]), np.zeros(3)), "blocks")


def error(found, wanted):
    """Largest deviation of each image as a fraction of its peak."""
    return np.abs(found - wanted).max(axis=(1, 2, 3)) / wanted.max(axis=(1, 2, 3))


@pytest.fixture(scope="module")
def line():
    """A 1-D scan in five patches, with a notch: paths, complete and received signals."""
    made = scanner([(x, 0, 0) for x in SHIFTS], (0.006,), (102,), notch=Notch(quality=5.0))
    phantom = along_x([(36, 37, 0.1)], [(20, 30, 0.05), (45, 60, 0.1)], [(28, 52, 0.1)])
    return paths(made), complete(made, phantom), received(made, phantom)


def test_a_notch_takes_a_constant_from_each_patch(line):
    ways, whole, part = line
    for period, path in enumerate(ways):
        full, _ = x_space(whole[:, period], path)
        rest, _ = x_space(part[:, period], path)
        lost = min(full - rest, full + rest, key=np.ptp)  # x_space chooses the sign
        assert np.all(np.ptp(lost, axis=-1) < 1e-9 * full.max())
    assert lost.mean(axis=-1).max() > 0.05 * full.max()


def test_the_image_without_a_notch_is_recovered(line):
    ways, whole, part = line
    wanted, grid = x_space_patches(whole, ways, lost="nothing")
    assert grid.size.tolist() == [100, 1, 1]
    missing = x_space_patches(part, ways, lost="nothing")[0]
    assert np.all(np.minimum(error(missing, wanted), error(-missing, wanted)) > 0.3)
    found, same = x_space_patches(part, ways)
    assert np.all(error(found, wanted) < 0.03)
    np.testing.assert_array_equal(same.center, grid.center)
    # beside the constant that the edge has to give, almost nothing is wrong
    shape = found - wanted
    assert np.all(np.ptp(shape, axis=(1, 2, 3)) < 0.015 * wanted.max(axis=(1, 2, 3)))
    assert np.all(error(x_space_patches(part, ways, boundary="non-negative")[0], wanted) < 0.03)
    np.testing.assert_allclose(x_space_patches(part, ways, lost="line")[0], found, atol=1e-12)


def test_without_the_edge_that_is_zero_a_constant_is_left():
    """Tracer at one end: the lowest voxel knows the constant better than the edge does."""
    made = scanner([(x, 0, 0) for x in SHIFTS], (0.006,), (102,), notch=Notch(quality=5.0))
    phantom = along_x([(0, 8, 0.1)])
    ways = paths(made)
    wanted, grid = x_space_patches(
        complete(made, phantom), ways, lost="nothing", size=(90,), field_of_view=(0.02,)
    )
    assert wanted[0, 0, 0, 0] > 0.3 * wanted.max()
    part, same = received(made, phantom), {"size": (90,), "field_of_view": (0.02,)}
    zero = x_space_patches(part, ways, **same)[0]
    lowest = x_space_patches(part, ways, boundary="non-negative", **same)[0]
    assert error(zero, wanted) > 0.1
    assert error(lowest, wanted) < 0.02
    assert lowest.min() == pytest.approx(0, abs=1e-12 * wanted.max())
    assert grid.size[0] == 90


def test_recovery_is_linear_and_keeps_images_apart(line):
    ways, _, part = line
    found = x_space_patches(part, ways)[0]
    for index, image in enumerate(found):
        alone = x_space_patches(-2 * part[[index]], ways)[0][0]
        np.testing.assert_allclose(alone, 2 * image, rtol=1e-9, atol=1e-12 * image.max())


def test_noise_is_at_most_doubled(line, rng):
    """One constant for each patch, from samples that are noisy too."""
    ways, whole, part = line
    noise = rng.normal(size=(8, *part.shape[1:])) * 0.02 * np.abs(part).max()
    plain = x_space_patches(whole[:1] + noise, ways, lost="nothing")[0]
    found = x_space_patches(part[:1] + noise, ways)[0]
    assert np.std(found, axis=0).mean() < 2.5 * np.std(plain, axis=0).mean()


def test_complete_signals_are_joined_as_one_long_trajectory(line):
    ways, whole, _ = line
    joined, grid = x_space_patches(whole, ways, lost="nothing", size=(60,))
    one = replace(
        ways[0],
        positions=np.concatenate([path.positions for path in ways]),
        rate=np.concatenate([path.rate for path in ways]),
    )
    long, same = x_space(np.concatenate(list(whole.transpose(1, 0, 2, 3)), axis=-1), one, size=(60,))
    np.testing.assert_allclose(joined, long, rtol=1e-10, atol=1e-12 * long.max())
    np.testing.assert_array_equal(grid.center, same.center)


def test_patches_that_do_not_overlap_are_refused(line):
    ways, _, part = line
    with pytest.raises(UsageError, match="2 of 4 partial fields of view share less than 5%"):
        x_space_patches(part[:, [0, 1, 3, 4]], [ways[index] for index in (0, 1, 3, 4)])
    apart = x_space_patches(part[:, [0, 4]], [ways[0], ways[4]], lost="nothing")[0]
    assert apart.shape == (3, 1, 1, 100)
    with pytest.raises(UsageError, match="1 of 5 partial fields of view share less than 90%"):
        x_space_patches(part, ways, min_overlap=0.9)


def test_what_else_is_refused(line):
    ways, _, part = line
    turned = replace(ways[1], axes=(1,), positions=ways[1].positions[:, [1, 0, 2]])
    with pytest.raises(UsageError, match="driven along different axes, x and y"):
        x_space_patches(part[:, :2].repeat(2, axis=2), [ways[0], turned])
    made = scanner([(0, 0, 0)], (0.01, 0.01), (100, 125))
    with pytest.raises(UsageError, match="equally fast along x and y, expected one fast axis"):
        x_space_patches(np.zeros((1, 1, 2, made.samples)), paths(made), lost="line")


def test_the_edge_is_where_lines_begin_and_end():
    met = np.zeros((2, 3, 5), bool)
    met[0, 0] = [0, 1, 0, 1, 1]
    met[1, 2] = [0, 0, 1, 0, 0]
    grid = Grid(np.array([5, 3, 2]), np.array([5.0, 3.0, 2.0]), np.zeros(3))
    ends = np.zeros_like(met)
    ends[0, 0, [1, 4]] = ends[1, 2, 2] = True
    np.testing.assert_array_equal(outer_edge(met.ravel(), grid, (0,)), ends.ravel())
    np.testing.assert_array_equal(outer_edge(met.ravel(), grid, (2,)), met.ravel())


def square(first, last, *, size=(20, 10), voxel=6e-4):
    """A block between two voxels (x, y), on a grid of square voxels."""
    images = np.zeros((1, 1, size[1], size[0]))
    images[0, 0, first[1] : last[1], first[0] : last[0]] = 0.1
    extent = np.array([*size, 1]) * voxel
    return Phantom(images, Grid(np.array([*size, 1]), extent, np.zeros(3)), "square")


def test_cartesian_patches_in_2d():
    made = scanner(
        [(x, 0, 0) for x in SHIFTS],
        (0.006, 0.012),
        (100, 2000),
        bandwidth=5e6,
        core=30e-9,
        notch=Notch(quality=1e4),
    )
    phantom = square((11, 4), (13, 7))
    wanted, grid = x_space_patches(complete(made, phantom), paths(made), lost="nothing", size=(60, 30))
    part = received(made, phantom)
    found = x_space_patches(part, paths(made), size=(60, 30))[0]
    raw = x_space_patches(part, paths(made), size=(60, 30), lost="nothing")[0]
    assert min(error(raw, wanted), error(-raw, wanted)) > 0.2
    assert error(found, wanted) < 0.05
    peak = grid.positions()[found.argmax()]
    np.testing.assert_allclose(peak, [1.2e-3, 3e-4, 0], atol=0.7 * grid.spacing.max())


def test_lines_of_a_cartesian_scan_lose_a_constant_each():
    """A high-pass above the drive frequency takes its side bands too: another constant on each line."""
    made = scanner(
        [(x, 0, 0) for x in SHIFTS],
        (0.006, 0.012),
        (100, 10000),
        bandwidth=5e6,
        core=30e-9,
        high_pass=HighPass(frequency=45e3, order=20),
    )
    phantom = square((11, 4), (13, 7))
    wanted, _ = x_space_patches(complete(made, phantom), paths(made), lost="nothing", size=(60, 30))
    part = received(made, phantom)
    each = x_space_patches(part, paths(made), size=(60, 30), lost="line")[0]
    one = x_space_patches(part, paths(made), size=(60, 30))[0]
    assert error(each, wanted) < 0.1
    assert error(one, wanted) > 2 * error(each, wanted)


def test_one_drive_axis_and_a_focus_field_in_two_make_an_image():
    offsets = [(x, y, 0) for y in np.linspace(-0.01, 0.01, 11) for x in (-0.016, -0.008, 0, 0.008, 0.016)]
    made = scanner(offsets, (0.006,), (102,), notch=Notch(quality=5.0))
    phantom = square((12, 6), (14, 8))
    wanted, grid = x_space_patches(complete(made, phantom), paths(made), lost="nothing")
    assert grid.size[2] == 1
    assert grid.size[0] == grid.size[1]
    found = x_space_patches(received(made, phantom), paths(made))[0]
    assert error(found, wanted) < 0.05
    np.testing.assert_allclose(grid.positions()[found.argmax(), :2], [1.8e-3, 1.2e-3], atol=4e-4)


def test_a_grid_around_all_patches():
    made = scanner([(x, 0, 0) for x in SHIFTS], (0.006,), (102,))
    every = np.concatenate([path.positions for path in paths(made)])
    grid = covering_grid(every, (0,))
    np.testing.assert_allclose(grid.extent_mm[0], [-11, 11])
