"""Deconvolution with the known point spread function."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve

from mdf import Grid
from mpikit.errors import NumericalError, UsageError
from mpikit.reconstruct.deconvolution import point_spread_function, richardson_lucy, wiener
from mpikit.reconstruct.xspace import trajectory, x_space
from mpikit.simulate import Particle, Phantom, Signals, preset
from mpikit.simulate.particles import langevin_derivative

TRACER = Particle(core_diameter=25e-9, saturation_magnetisation=4.74e5, temperature=295)
GRADIENT = np.diag([-1.0, -2.0, 3.0])
ALONG_X = np.diag([1.0, 0, 0])
LINE = Grid(np.array([81, 1, 1]), np.array([0.024, 1e-3, 1e-3]), np.array([3e-3, 0, 0]))
PLANE = Grid(np.array([41, 31, 1]), np.array([0.024, 0.018, 1e-3]), np.zeros(3))
BOTH = pytest.mark.parametrize("sharpen", [wiener, richardson_lucy])


def blurred(images, psf):
    """Convolution with tracer in the images alone, by the definition."""
    out = np.zeros_like(images, float)
    reach = np.array(psf.shape) // 2
    for image, *at in np.argwhere(images):
        window = tuple(
            slice(middle - place, middle - place + size)
            for middle, place, size in zip(reach, at, images.shape[1:], strict=True)
        )
        out[image] += images[(image, *at)] * psf[window]
    return out


def test_along_a_gradient_it_is_the_derivative_of_the_langevin_function():
    psf = point_spread_function(TRACER, GRADIENT, LINE, motion=ALONG_X)
    assert psf.shape == (1, 1, 161)
    assert psf.sum() == pytest.approx(1, rel=1e-12)
    distance = np.arange(-80, 81) * LINE.spacing[0]
    wanted = langevin_derivative(distance / TRACER.saturation_field)
    np.testing.assert_allclose(psf[0, 0], wanted / wanted.sum(), rtol=1e-9)


def test_axes_are_z_y_x_and_the_saturation_field_is_enough():
    grid = Grid(np.array([7, 5, 3]), np.array([0.007, 0.005, 0.003]), np.zeros(3))
    motion = np.array([[0.5, 0.1, 0], [0.1, 0.3, 0], [0, 0, 0.2]])
    psf = point_spread_function(TRACER, GRADIENT, grid, motion=motion)
    assert psf.shape == (5, 9, 13)
    assert psf.argmax() == psf.size // 2
    np.testing.assert_allclose(psf, psf[::-1, ::-1, ::-1])
    one_size = point_spread_function(TRACER.saturation_field, GRADIENT, grid, motion=motion)
    np.testing.assert_allclose(psf, one_size, rtol=1e-12)
    # a step of 1 mm along y meets twice the field of one along x
    across = point_spread_function(TRACER, GRADIENT, grid, motion=np.eye(3) / 3)
    np.testing.assert_allclose(across[2, 5, 6], across[2, 4, 8], rtol=1e-12)


def test_it_is_the_image_that_x_space_makes_of_a_point():
    made = preset("openmpi-1d", ["receiver.bandwidth=12.5e6"])
    grid = Grid(np.array([161, 1, 1]), np.array([0.024, 1e-3, 1e-3]), np.zeros(3))
    images = np.zeros((1, *grid.shape))
    images[..., 80] = 0.1
    path = trajectory(
        made.drive_field,
        made.selection_field,
        samples=made.samples,
        sampling_rate=made.receiver.sampling_rate,
    )
    signal = Signals(made, grid).of(Phantom(images, grid, "point"))[:, 0]
    image, same = x_space(signal, path, size=(161,), min_speed=0.05)
    np.testing.assert_allclose(same.center, grid.center, atol=1e-6)
    gradient = made.selection_field.gradient[0, 0]
    psf = point_spread_function(made.particle, gradient, grid, motion=path.motion)[0, 0, 80:-80]
    found = image[0, 0, 0] / image.sum()
    np.testing.assert_allclose(found[8:-8], (psf / psf.sum())[8:-8], atol=0.01 * found.max())


@pytest.mark.parametrize(
    ("sharpen", "options"), [(wiener, {"noise_to_signal": 1e-4}), (richardson_lucy, {"iterations": 1000})]
)
def test_points_closer_than_the_width_are_resolved(sharpen, options):
    psf = point_spread_function(TRACER, GRADIENT, LINE, motion=ALONG_X)
    images = np.zeros((2, *LINE.shape))
    images[0, ..., [35, 45]] = 1
    images[1, 0, 0, [20, 30]] = [2, 1]
    assert 10 * LINE.spacing[0] < 0.7 * TRACER.resolution(1.0)
    seen = blurred(images, psf)
    assert seen[0, 0, 0, 40] > seen[0, 0, 0, 35]  # one hump
    found = sharpen(seen, psf, **options)
    assert found.shape == images.shape
    assert found[0, 0, 0, 40] < 0.5 * found[0, 0, 0, [35, 45]].min()
    assert found[1, 0, 0, 25] < 0.5 * found[1, 0, 0, [20, 30]].min()
    assert abs(int(found[1, 0, 0].argmax()) - 20) <= 1
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), [2, 3], rtol=0.025)


@BOTH
@pytest.mark.parametrize("motion", [ALONG_X, np.diag([0.5, 0.5, 0])])
def test_the_total_amount_is_kept_in_a_plane(sharpen, motion):
    """Across the motion the tails are long: half of the amount is seen outside the image, and guessed."""
    psf = point_spread_function(TRACER, np.diag([-1.0, -1.0, 2.0]), PLANE, motion=motion)
    images = np.zeros((2, *PLANE.shape))
    images[0, 0, 15, 20] = 1
    images[1, 0, 8:16, 10:14] = 1
    images[1, 0, 20:22, 30:35] = 2
    seen = blurred(images, psf)
    assert np.all(seen.sum(axis=(1, 2, 3)) < 0.6 * images.sum(axis=(1, 2, 3)))
    found = sharpen(seen, psf)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), images.sum(axis=(1, 2, 3)), rtol=0.25)
    assert np.all(found.max(axis=(1, 2, 3)) > 1.5 * seen.max(axis=(1, 2, 3)))


@BOTH
def test_the_total_amount_is_kept_where_all_of_it_is_seen(sharpen, rng):
    psf = np.zeros((3, 5, 7))
    psf[1, 1:4, 2:5] = rng.uniform(0.5, 1, (3, 3))
    images = np.zeros((2, 9, 15, 21))
    images[:, 3:6, 6:9, 8:13] = rng.uniform(1, 2, (2, 3, 3, 5))
    seen = np.stack([convolve(image, psf / psf.sum(), mode="constant") for image in images])
    found = sharpen(seen, 3 * psf)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), images.sum(axis=(1, 2, 3)), rtol=0.01)


@BOTH
def test_a_single_voxel_changes_nothing(sharpen, rng):
    images = rng.uniform(1, 2, (2, 3, 4, 5))
    np.testing.assert_allclose(sharpen(images, np.full((1, 1, 1), 7.0)), images, rtol=1e-9)


@BOTH
def test_images_are_scaled_and_stay_apart(sharpen):
    psf = point_spread_function(TRACER, GRADIENT, LINE, motion=ALONG_X)
    images = np.zeros((3, *LINE.shape))
    images[0, ..., 30] = images[1, ..., 50:60] = 1
    seen = blurred(images, psf)  # the last one is empty
    found = sharpen(seen, psf)
    np.testing.assert_allclose(sharpen(1e-9 * seen[:1], psf)[0], 1e-9 * found[0], rtol=1e-6, atol=1e-18)
    assert not found[2].any()


@pytest.mark.parametrize("ratio", [1e-3, 0.1])
def test_wiener_raises_noise_by_no_more_than_it_says(ratio, rng):
    psf = point_spread_function(TRACER, GRADIENT, PLANE, motion=np.diag([0.5, 0.5, 0]))
    noise = rng.normal(size=(4, *PLANE.shape))
    found = wiener(noise, psf, noise_to_signal=ratio)
    padded = np.pad(noise, [(0, 0), (0, 0), (30, 30), (40, 40)], mode="linear_ramp")
    limit = (1 + ratio) / (2 * np.sqrt(ratio))
    assert np.linalg.norm(found) <= limit * np.linalg.norm(padded)


def test_richardson_lucy_of_noise_is_finite_and_has_its_amount(rng):
    psf = point_spread_function(TRACER, GRADIENT, PLANE, motion=np.diag([0.5, 0.5, 0]))
    noise = rng.normal(size=(2, *PLANE.shape))
    found = richardson_lucy(noise, psf, iterations=100)
    assert found.min() >= 0
    assert np.isfinite(found).all()
    padded = np.pad(np.maximum(noise, 0), [(0, 0), (0, 0), (30, 30), (40, 40)], mode="linear_ramp")
    assert np.all(found.sum(axis=(1, 2, 3)) <= 1.02 * padded.sum(axis=(1, 2, 3)))


def test_what_is_refused():
    psf, images = np.ones((1, 1, 3)), np.ones((1, 1, 1, 9))
    with pytest.raises(UsageError, match="ratio is 0, expected a number above 0"):
        wiener(images, psf, noise_to_signal=0)
    with pytest.raises(UsageError, match="0 iterations, expected 1"):
        richardson_lucy(images, psf, iterations=0)
    with pytest.raises(UsageError, match=r"shape \(1, 1, 4\)"):
        wiener(images, np.ones((1, 1, 4)))
    with pytest.raises(UsageError, match="sum 0, expected"):
        richardson_lucy(images, np.zeros((1, 1, 3)))
    with pytest.raises(UsageError, match="negative values"):
        richardson_lucy(images, np.array([[[-1.0, 3, -1]]]))
    with pytest.raises(NumericalError, match="not finite"):
        wiener(images * np.nan, psf)
    with pytest.raises(UsageError, match="saturation field of the particles is -1 T"):
        point_spread_function(-1.0, GRADIENT, LINE, motion=ALONG_X)
