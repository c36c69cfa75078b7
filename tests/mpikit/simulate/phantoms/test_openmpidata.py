"""The phantoms of OpenMPIData: sizes, places and concentrations of the documentation."""

import numpy as np
import pytest

from mpikit.errors import UsageError
from mpikit.simulate.phantoms import concentration_phantom, resolution_phantom, shape_phantom

MICROLITRE = 1e-6


def test_each_chamber_holds_its_concentration(volume, at):
    phantom = concentration_phantom(volume)
    doses = {
        (6, 6, 3): 44.4e-3,
        (6, -6, 3): 100e-3,
        (-6, -6, 3): 29.6e-3,
        (-6, 6, 3): 8.77e-3,
        (6, 6, -3): 19.7e-3,
        (6, -6, -3): 66.6e-3,
        (-6, -6, -3): 13.1e-3,
        (-6, 6, -3): 5.85e-3,
    }
    for place, dose in doses.items():
        assert at(phantom, *(np.array(place) + 0.1)) == pytest.approx(dose)


@pytest.mark.parametrize("size", [(48, 40, 18), (19, 23, 11), (7, 5, 3)])
def test_chambers_have_eight_microlitres_on_every_grid(size, make_grid, amount):
    phantom = concentration_phantom(make_grid(size, (24, 24, 12)))
    assert amount(phantom) == pytest.approx(8 * MICROLITRE * 288.02e-3, rel=1e-9)


def test_the_highest_concentration_can_be_chosen(volume):
    plain, strong = concentration_phantom(volume), concentration_phantom(volume, concentration=0.5)
    np.testing.assert_allclose(strong.images, 5 * plain.images)


def test_chambers_sit_on_the_voxels_of_the_calibration(make_grid):
    image = concentration_phantom(make_grid((19, 19, 19), (38, 38, 19))).images[0]
    z, y, x = (set(places.tolist()) for places in np.nonzero(image > 1e-9))
    assert x == y == {6, 12}
    assert z == {5, 6, 7, 11, 12, 13}  # 2 mm are three voxels of 1 mm, two of them half full
    np.testing.assert_allclose(
        image[np.ix_([6, 12], [6, 12], [6, 12])].reshape(-1) * 1e3,
        [13.1, 66.6, 5.85, 19.7, 29.6, 100, 8.77, 44.4],
    )


def test_a_slice_between_the_layers_is_empty(grid, at):
    with pytest.raises(UsageError) as caught:
        concentration_phantom(grid)
    assert str(caught.value) == (
        "phantom 'concentration' is out of the field of view: its tracer lies at z -4 to -2 and 2 to 4 mm, "
        "the slice at z -0.5 to 0.5 mm"
    )
    assert caught.value.hint == "shift it with --at, or take a larger field of view with --fov"
    top = concentration_phantom(grid, centre=(0, 0, -3e-3))
    assert at(top, 6.1, -6.1) == pytest.approx(0.1)
    bottom = concentration_phantom(grid, centre=(0, 0, 3e-3))
    assert at(bottom, 6.1, -6.1) == pytest.approx(0.0666)


@pytest.mark.parametrize("make", [concentration_phantom, resolution_phantom, shape_phantom])
@pytest.mark.parametrize("centre", [(8e-3, 0, 0), (0, 8.5e-3, 0), (0, 0, 3e-3)])
def test_what_lies_partly_outside_is_refused(make, centre, volume):
    with pytest.raises(
        UsageError, match=r"reaches over x .* the field of view over x -12 to 12, y -12 to 12"
    ):
        make(volume, centre=centre)


@pytest.mark.parametrize("size", [(150, 70, 60), (48, 40, 18), (24, 24, 24), (12, 10, 9)])
def test_the_cone_has_its_documented_volume(size, make_grid, amount):
    phantom = shape_phantom(make_grid(size, (24, 12, 12)))
    assert amount(phantom) == pytest.approx(683.9 * MICROLITRE * 50e-3, rel=0.01)


def test_the_cone_narrows_towards_positive_x(make_grid):
    grid = make_grid((110, 60, 66), (22, 12, 13.2))
    image = shape_phantom(grid, concentration=1.0).images[0]
    voxel = 0.2**2  # mm²
    areas = image.sum(axis=(0, 1)) * voxel
    radii = 1 + (22 - 0.2 * (np.arange(110) + 0.5)) * np.tan(np.radians(10))
    np.testing.assert_allclose(areas[1:-1], np.pi * radii[1:-1] ** 2, rtol=0.02)


def test_a_slice_cuts_the_cone(make_grid, amount):
    slab = shape_phantom(make_grid((110, 60, 1), (22, 12, 1)), concentration=1.0)
    radii = 1 + np.linspace(0, 22, 2001) * np.tan(np.radians(10))
    # Area of the part of a disc that is at most 0.5 mm from its diameter, summed along the axis.
    areas = 2 * (0.5 * np.sqrt(radii**2 - 0.25) + radii**2 * np.arcsin(0.5 / radii))
    assert amount(slab) == pytest.approx(np.trapezoid(areas, dx=22 / 2000) * MICROLITRE, rel=0.01)


def test_the_tubes_end_in_five_ellipses(make_grid):
    grid = make_grid((120, 40, 60), (24, 24, 12))
    image = resolution_phantom(grid, concentration=1.0).images[0]
    x, z = grid.positions()[:120, 0], grid.positions()[:: 120 * 40, 2]
    row = 35  # from 9 to 9.6 mm, where the origin is at -10 mm
    reach = 0.0193
    plane = image[:, row] * 0.2**2  # mm²
    # A tube of 1 mm, cut aslant, is as large as its circle over the cosine.
    slanted = np.pi / 4 / np.cos(np.radians([0, 20, 30, 15, 10]))
    assert plane.sum() == pytest.approx(slanted.sum(), rel=0.02)
    tangents = np.tan(np.radians([20, -30]))
    origin = -tangents.sum() / 2 * 0.020
    for tangent, area in zip(tangents, slanted[1:3], strict=True):
        near = np.abs(x - origin - tangent * reach) < 1e-3
        assert plane[:, near].sum() == pytest.approx(area, rel=0.03)
    for angle, area in ((15, slanted[3]), (-10, slanted[4])):
        near = np.abs(z - np.tan(np.radians(angle)) * reach) < 1e-3
        assert plane[near].sum() == pytest.approx(area, rel=0.03)


@pytest.mark.parametrize("size", [(48, 40, 18), (19, 23, 11), (90, 100, 70)])
def test_the_tubes_have_the_same_volume_on_every_grid(size, make_grid, amount):
    phantom = resolution_phantom(make_grid(size, (24, 24, 12)))
    assert amount(phantom) == pytest.approx(77.7 * MICROLITRE * 50e-3, rel=0.01)


def test_three_tubes_lie_in_the_middle_plane(grid, at):
    phantom = resolution_phantom(grid)
    tangents = np.tan(np.radians([-30, 0, 20]))
    origin = -10 * (tangents[0] + tangents[2])
    for tangent in tangents:
        assert at(phantom, origin + 18 * tangent, 8) > 0.03
    assert at(phantom, origin + 18 * tangents.mean() * 2.1, 8) == 0
    assert np.count_nonzero(phantom.images[0, 0, 44] > 1e-3) <= 12
