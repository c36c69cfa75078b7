"""PSNR and SSIM: the range is that of the reference, planes and volumes, what is refused."""

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.metrics import psnr, ssim

SHAPE = (3, 1, 14, 17)  # images, z, y, x


def images(rng):
    reference = rng.random(SHAPE) * np.array([1.0, 5.0, 0.2])[:, None, None, None] + 2
    return reference, reference + 0.05 * rng.normal(size=SHAPE)


def gaussian_window():
    place = np.arange(-5, 6)
    weights = np.exp(-(place**2) / (2 * 1.5**2))
    return np.outer(weights, weights) / weights.sum() ** 2


def ssim_by_hand(found, wanted):
    """Wang et al. 2004, equation 13, over the windows that lie in the image."""
    window, span = gaussian_window(), np.ptp(wanted)
    one, two = (0.01 * span) ** 2, (0.03 * span) ** 2
    values = []
    for row in range(found.shape[0] - 10):
        for column in range(found.shape[1] - 10):
            x, y = (each[row : row + 11, column : column + 11] for each in (found, wanted))
            mx, my = np.sum(window * x), np.sum(window * y)
            vx, vy = np.sum(window * x * x) - mx**2, np.sum(window * y * y) - my**2
            cov = np.sum(window * x * y) - mx * my
            values.append((2 * mx * my + one) * (2 * cov + two) / ((mx**2 + my**2 + one) * (vx + vy + two)))
    return np.mean(values)


def test_psnr_by_hand(rng):
    reference, estimate = images(rng)
    expected = [
        10 * np.log10((one.max() - one.min()) ** 2 / np.mean((other - one) ** 2))
        for one, other in zip(reference, estimate, strict=True)
    ]
    np.testing.assert_allclose(psnr(estimate, reference), expected)


def test_psnr_of_images_whose_largest_value_is_one(rng):
    reference, estimate = images(rng)
    largest = reference.max(axis=(1, 2, 3))
    expected = -10 * np.log10(np.mean((estimate - reference) ** 2, axis=(1, 2, 3)) / largest**2)
    np.testing.assert_allclose(psnr(estimate, reference, data_range=1), expected)
    assert np.all(np.abs(psnr(estimate, reference) - expected) > 1)  # these images do not reach 0
    above = reference - reference.min(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(psnr(above + 0.1, above, data_range=1), psnr(above + 0.1, above))
    assert np.isnan(psnr(estimate, -reference, data_range=1)).all()


def test_ssim_by_hand(rng):
    reference, estimate = images(rng)
    expected = [ssim_by_hand(other[0], one[0]) for one, other in zip(reference, estimate, strict=True)]
    np.testing.assert_allclose(ssim(estimate, reference), expected, rtol=1e-10)


def test_the_range_is_that_of_the_reference_not_of_the_estimate(rng):
    """A common factor changes nothing; an estimate that is scaled alone is not forgiven."""
    reference, estimate = images(rng)
    for figure in (psnr, ssim):
        np.testing.assert_allclose(figure(7 * estimate, 7 * reference), figure(estimate, reference))
        assert np.all(figure(1.5 * estimate, reference) < figure(estimate, reference))


def test_perfect_and_constant():
    image = np.arange(11 * 12.0).reshape(1, 11, 12)
    assert psnr(image, image) == np.inf
    assert ssim(image, image) == pytest.approx(1)
    flat = np.ones((1, 11, 12))
    assert np.isnan(psnr(image, flat))
    assert np.isnan(ssim(image, flat))


def test_leading_axes_and_volumes(rng):
    reference = rng.random((2, 3, 11, 12, 13))
    estimate = reference + 0.1
    assert psnr(estimate, reference).shape == ssim(estimate, reference).shape == (2, 3)
    plane = reference[:, :, :1]
    assert ssim(plane, plane).shape == (2, 3)


def test_what_is_refused(rng):
    small = rng.random((1, 9, 20))
    with pytest.raises(InputError, match="an image of 9 x 20 voxels, SSIM needs 11") as caught:
        ssim(small, small)
    assert "PSNR" in caught.value.hint
    with pytest.raises(ValueError, match=r"must both be \(\.\.\., z, y, x\)"):
        psnr(small, small[:, :8])
    with pytest.raises(ValueError, match="must both be"):
        psnr(small[0], small[0])
