"""Grids that every test of phantoms may use."""

from __future__ import annotations

import numpy as np
import pytest

from mdf import Grid


def make_grid(size, extent_mm, centre_mm=(0, 0, 0)):
    return Grid(np.array(size), np.array(extent_mm, float) / 1e3, np.array(centre_mm, float) / 1e3)


@pytest.fixture
def grid():
    """One slice of the field of view of the scanner of OpenMPIData."""
    return make_grid((60, 48, 1), (24, 24, 1))


@pytest.fixture
def volume():
    """All of that field of view; 1 mm and less to a voxel."""
    return make_grid((48, 40, 18), (24, 24, 12))


@pytest.fixture(name="make_grid")
def _make_grid():
    """Make a grid from voxels and mm."""
    return make_grid


@pytest.fixture
def amount():
    """Amount of tracer in an image, in litres times its unit."""
    return lambda phantom: float(phantom.images.sum() * np.prod(phantom.grid.spacing) * 1e3)


@pytest.fixture
def at():
    """Value of an image next to a place in mm."""

    def value(phantom, x, y, z=0.0):
        (voxel,) = phantom.grid.nearest(np.array([[x, y, z]]) / 1e3)
        assert voxel >= 0
        return phantom.images[0].reshape(-1)[voxel]

    return value
