"""Field-free lines: from simulated projections to images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import simpson

from mpikit.errors import InputError, UsageError
from mpikit.reconstruct.projections import (
    Sinogram,
    back_projected,
    filtered_back_projection,
    line_scan,
    sinogram,
)
from mpikit.scanner import DriveField, SelectionField
from mpikit.simulate import Fields, Particle
from mpikit.simulate.direct import summed
from mpikit.simulate.particles import langevin_derivative

TRACER = Particle(core_diameter=30e-9, saturation_magnetisation=4.74e5, temperature=295)
STRENGTH = 2.0  # T/m
SAMPLES = 408
RATE = 2.5e6 * SAMPLES / 102
EVEN = np.arange(24) * np.pi / 24


def turned(angles, plane=(0, 1), amplitude=0.02, shifts=None, height=0.0):
    """Drive and selection field of a line that turns: it is driven across itself in each period."""
    third = 3 - sum(plane)
    across = np.zeros((len(angles), 3))
    across[:, plane[0]], across[:, plane[1]] = np.cos(angles), np.sin(angles)
    up = np.eye(3)[third]
    gradient = STRENGTH * (np.outer(up, up) - np.einsum("ja,jb->jab", across, across))
    offset = -STRENGTH * height * up + (0 if shifts is None else np.array(shifts)[:, None] * across)
    drive = DriveField(
        base_frequency=2.5e6,
        dividers=np.full((3, 1), 102),
        amplitudes=amplitude * np.abs(across)[..., None],
        phases=np.where(across < 0, 1.5 * np.pi, np.pi / 2)[..., None],
        waveforms=np.full((3, 1), "sine"),
    )
    return drive, SelectionField(gradient[:, None], np.broadcast_to(offset, across.shape)[:, None])


def signals(drive, selection, places, moments, samples=SAMPLES):
    """Signals (Q, J, 3, V) of points with moments (Q, points)."""
    return np.stack(
        [
            summed(
                Fields(
                    particle=TRACER,
                    drive_field=drive,
                    period=period,
                    gradient=selection.gradient[period, 0],
                    offset=selection.offset[period, 0],
                    sensitivity=np.eye(3),
                    times=np.arange(samples) * (SAMPLES / samples / RATE),
                ),
                np.asarray(places, float),
                np.asarray(moments, float),
            )
            for period in range(len(selection.gradient))
        ],
        axis=1,
    )


def scan_of(drive, selection, samples=SAMPLES):
    return line_scan(drive, selection, samples=samples, sampling_rate=RATE * samples / SAMPLES)


def disc(center, radius, plane):
    """Places of points in a disc."""
    steps = np.linspace(-1, 1, 9)
    first, second = np.meshgrid(steps, steps)
    places = np.zeros((first.size, 3))
    places[:, plane[0]], places[:, plane[1]] = radius * first.ravel(), radius * second.ravel()
    return places[(first**2 + second**2).ravel() <= 1.001] + center


def at(plane, first, second):
    place = np.zeros(3)
    place[list(plane)] = first, second
    return place


@pytest.mark.parametrize("plane", [(0, 1), (0, 2), (1, 2)])
def test_discs_and_a_point_are_where_they_are(plane):
    drive, selection = turned(EVEN, plane)
    centers = at(plane, 4e-3, 1.5e-3), at(plane, -3e-3, -4e-3)
    place = at(plane, 3e-3, -5e-3)
    discs = [disc(center, 2e-3, plane) for center in centers]
    count = len(discs[0])
    moments = np.zeros((2, 2 * count + 1))
    moments[0, :count], moments[0, count:-1], moments[1, -1] = 1 / count, 0.5 / count, 1
    signal = signals(drive, selection, np.concatenate([*discs, [place]]), moments)
    scan = scan_of(drive, selection)
    images, grid = back_projected(signal, scan, bins=61)
    shape = [61, 61, 61]
    shape[2 - (3 - sum(plane))] = 1
    assert images.shape == (2, *shape)
    np.testing.assert_allclose(grid.field_of_view[list(plane)], 0.02, rtol=1e-9)
    np.testing.assert_allclose(grid.center, 0, atol=1e-12)
    at_peak = grid.positions()[images[1].argmax()]
    np.testing.assert_allclose(at_peak, place, atol=0.51 * grid.spacing.max())
    strong, weak = images[0].ravel()[grid.nearest(np.array(centers))]
    assert strong / weak == pytest.approx(2, rel=0.02)
    assert strong > 0.9 * images[0].max()
    # ∫ E ds of a moment m is 2 m / G: the Langevin function goes from -1 to 1
    area = float(np.prod(grid.spacing[list(plane)]))
    amount = images.sum(axis=(1, 2, 3)) * area
    np.testing.assert_allclose(amount, [2 * 1.5 / STRENGTH, 2 / STRENGTH], rtol=0.06)


def test_a_projection_is_the_point_spread_function_at_the_distance_of_the_point():
    angles = np.array([0.3, 1.2, 2.5])
    drive, selection = turned(angles)
    place = np.array([3e-3, -5e-3, 0])
    signal = signals(drive, selection, [place], [[1.0]])
    found = sinogram(signal, scan_of(drive, selection), bins=101)
    np.testing.assert_allclose(found.angles, angles, rtol=1e-9)
    distance = (np.arange(101) - 50) * found.spacing
    for projection, angle in zip(found.values[0], angles, strict=True):
        away = distance - (place[0] * np.cos(angle) + place[1] * np.sin(angle))
        wanted = langevin_derivative(STRENGTH * away / TRACER.saturation_field) / TRACER.saturation_field
        np.testing.assert_allclose(projection[2:-2], wanted[2:-2], atol=0.02 * wanted.max())


def round_spot(radius):
    """The round function whose projections are L'(x) (inverse Abel transform, by Simpson's rule)."""
    depth = np.linspace(0, 200, 8001)
    reach = np.hypot(radius[:, None], depth)
    step = 1e-4
    slope = (langevin_derivative(reach + step) - langevin_derivative(reach - step)) / (2 * step)
    return -simpson(slope / np.maximum(reach, step), x=depth, axis=1) / np.pi


def test_a_point_keeps_the_blur_of_the_line():
    drive, selection = turned(np.arange(60) * np.pi / 60)
    signal = signals(drive, selection, [[0, 0, 0]], [[1.0]], samples=1632)
    images, grid = back_projected(signal, scan_of(drive, selection, samples=1632), bins=151)
    radius = np.abs(np.arange(151) - 75) * grid.spacing[0]
    unit = STRENGTH / TRACER.saturation_field
    wanted = round_spot(radius * unit) * unit / TRACER.saturation_field
    near = radius < 5e-3
    for line in (images[0, 0, 75], images[0, 0, :, 75]):
        np.testing.assert_allclose(line[near], wanted[near], atol=0.04 * wanted.max())


def test_angles_need_not_be_even_or_in_order(rng):
    angles = np.sort(np.concatenate([EVEN, rng.uniform(0.5, 1.2, 12)]))
    order = rng.permutation(len(angles))
    plain = turned(angles)
    mixed = turned(angles[order] + np.pi * rng.integers(-1, 2, len(angles)))
    place = [[4e-3, 1e-3, 0]]
    even = turned(EVEN)
    wanted, _ = back_projected(signals(*even, place, [[1.0]]), scan_of(*even), bins=61)
    one, two = (
        back_projected(signals(*each, place, [[1.0]]), scan_of(*each), bins=61)[0] for each in (plain, mixed)
    )
    np.testing.assert_allclose(two, one, atol=1e-6 * one.max())
    assert np.abs(one - wanted).max() < 0.05 * wanted.max()


def test_periods_at_the_same_angle_cover_a_projection_together():
    """Half the amplitude and three shifts show as much as the whole."""
    whole = turned(EVEN, height=1e-3)
    pieces = turned(EVEN.repeat(3), amplitude=0.008, shifts=np.tile([-0.012, 0, 0.012], 24), height=1e-3)
    places, moments = [[4e-3, 1e-3, 1e-3], [-2e-3, 5e-3, 1e-3]], [[1.0, 0.5]]
    wanted, grid = back_projected(signals(*whole, places, moments), scan_of(*whole), bins=61)
    signal = signals(*pieces, places, moments)
    found, same = back_projected(signal, scan_of(*pieces), bins=61)
    np.testing.assert_allclose(same.extent_mm, grid.extent_mm, atol=1e-9)
    assert grid.center[2] == pytest.approx(1e-3)
    assert np.abs(found - wanted).max() < 0.03 * wanted.max()
    # what a filter at the drive frequency takes away is found again in the overlaps
    spectra = np.fft.rfft(signal)
    spectra[..., 1] = 0
    lost = np.fft.irfft(spectra, n=SAMPLES)
    bare = back_projected(lost, scan_of(*pieces), bins=61)[0]
    assert min(np.abs(bare - wanted).max(), np.abs(bare + wanted).max()) > 0.05 * wanted.max()
    again = back_projected(lost, scan_of(*pieces), bins=61, recover=True)[0]
    assert np.abs(again - wanted).max() < 0.02 * wanted.max()


@pytest.mark.parametrize("bins", [8, 9])
def test_the_scanner_centre_is_where_the_grid_says(bins):
    drive, selection = turned(EVEN)
    _, grid = back_projected(
        signals(drive, selection, [[0, 0, 0]], [[1.0]]), scan_of(drive, selection), bins=bins
    )
    middle = grid.positions().reshape(*grid.shape, 3)[0, bins // 2, bins // 2]
    np.testing.assert_allclose(middle, 0, atol=1e-12)


def test_back_projection_is_exact_for_a_disc():
    """The projections of a disc of radius a and height 1 are 2 √(a² - s²)."""
    angles, spacing = np.arange(60) * np.pi / 60, 2e-4
    distance = (np.arange(101) - 50) * spacing
    center, radius = (2e-3, -3e-3), 4e-3
    away = distance - (center[0] * np.cos(angles) + center[1] * np.sin(angles))[:, None]
    values = 2 * np.sqrt(np.maximum(radius**2 - away**2, 0))
    image = filtered_back_projection(Sinogram(values[None], angles, spacing))[0]
    x, y = np.meshgrid(distance, distance)
    apart = np.hypot(x - center[0], y - center[1])
    inner = image[apart < 0.8 * radius]
    np.testing.assert_allclose(inner, 1, atol=0.06)
    assert inner.mean() == pytest.approx(1, abs=0.01)
    assert np.abs(image[(apart > 1.2 * radius) & (np.hypot(x, y) < 9e-3)]).mean() < 0.03
    smooth = filtered_back_projection(Sinogram(values[None], angles, spacing), filter_name="hann")[0]
    assert np.ptp(smooth[apart < 0.8 * radius]) < np.ptp(inner)


def test_what_is_refused():
    drive, selection = turned(EVEN)
    signal = np.zeros((1, 24, 3, SAMPLES))
    scan = scan_of(drive, selection)
    with pytest.raises(UsageError, match="projections of 1 bins, expected 2"):
        sinogram(signal, scan, bins=1)
    with pytest.raises(InputError, match="no receive channel for the driven axis y"):
        sinogram(signal[:, :, :1], scan)
    with pytest.raises(UsageError, match="no filter of the back-projection is called 'ram'"):
        filtered_back_projection(Sinogram(np.zeros((1, 2, 9)), EVEN[:2], 1e-3), filter_name="ram")
    with pytest.raises(UsageError, match="same angle, expected two"):
        filtered_back_projection(Sinogram(np.zeros((1, 1, 9)), EVEN[:1], 1e-3))
    point = SelectionField(selection.gradient + np.eye(3), selection.offset)
    with pytest.raises(InputError, match="period 0 has no field-free line"):
        scan_of(drive, point)
    along = replace(drive, amplitudes=np.full_like(drive.amplitudes, 0.01))
    with pytest.raises(InputError, match="period 0 has a part along the field-free line"):
        scan_of(along, selection)
    amplitudes = drive.amplitudes.copy()
    amplitudes[3, 2] = 0.01
    with pytest.raises(InputError, match="moved along z, out of the plane"):
        scan_of(replace(drive, amplitudes=amplitudes), selection)
    still = turned(np.zeros(4))
    with pytest.raises(InputError, match="do not turn in a plane"):
        scan_of(*still)
    with pytest.raises(InputError, match="no gradient"):
        scan_of(drive, None)
