"""Phantoms that are scaled to the field of view in x and y; all slices in z are alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.simulate.phantoms.phantom import Phantom
from mpikit.simulate.phantoms.place import ORIGIN, Vector, check_inside, covered, field_of_view, scaled
from mpikit.simulate.phantoms.resample import resample

Floats = NDArray[np.float64]
Box = tuple[tuple[float, float], tuple[float, float]]

# In units of half the field of view, so that ±1 is its edge: x, y, share of the highest concentration.
# No reflection or rotation maps the five dots on each other.
_DOTS = ((-1 / 2, -1 / 2, 1.0), (1 / 2, -1 / 3, 0.5), (0, 0, 0.8), (1 / 2, 1 / 2, 1.0), (-2 / 3, 1 / 2, 0.25))
_DOT_RADIUS = 1 / 12
_EYES = ((-0.36, 0.36), (0.36, 0.36))
_EYE_RADIUS = 0.15
_MOUTH_CENTRE = (0.0, 0.08)
_MOUTH_RADIUS = 0.60
_MOUTH_ANGLES = (np.radians(205), np.radians(335))
_MOUTH_HALF_WIDTH = 0.11
_SMILE = ((-0.70, -0.63), (0.70, 0.51))

BAR_WIDTHS = (0.12, 0.08, 0.06, 0.04)
_BARS_LEFT, _BARS_HEIGHT, _BARS_GAP = -0.9, 0.45, 0.1

_SHEPP_LOGAN = (0.69, 0.92)  # half axes of the skull


def dots(grid: Grid, *, concentration: float, centre: Vector = ORIGIN) -> Phantom:
    """Five discs of five places and four strengths: 1, 0.5, 0.8, 1 and 0.25 times the concentration."""
    places = np.array(_DOTS)[:, :2]
    _check(grid, "dots", [(places.min(axis=0) - _DOT_RADIUS, places.max(axis=0) + _DOT_RADIUS)], centre)
    image = np.zeros(grid.shape)
    for x, y, share in _DOTS:
        image = np.maximum(image, share * _disc(grid, (x, y), _DOT_RADIUS, centre))
    return Phantom(concentration * image[None], grid, "dots")


def smile(grid: Grid, *, concentration: float, centre: Vector = ORIGIN) -> Phantom:
    """Two eyes and a smiling mouth, with strokes of about a tenth of the field of view."""
    _check(grid, "smile", [_SMILE], centre)
    image = np.maximum(*(_disc(grid, eye, _EYE_RADIUS, centre) for eye in _EYES))
    x, y = _plane(grid, _MOUTH_CENTRE, centre)
    angle = np.clip(np.arctan2(y, x) % (2 * np.pi), *_MOUTH_ANGLES)
    stroke = np.hypot(x - _MOUTH_RADIUS * np.cos(angle), y - _MOUTH_RADIUS * np.sin(angle))
    image = np.maximum(image, _inside(grid, stroke, _MOUTH_HALF_WIDTH))
    return Phantom(concentration * image[None], grid, "smile")


def bars(grid: Grid, *, concentration: float, centre: Vector = ORIGIN) -> Phantom:
    """Return a resolution test: squares of three bars each, from coarse on the left to fine on the right.

    Bars and gaps are 6, 4, 3 and 2 % of the field of view wide. The bars are upright in the upper row, which
    so tests the resolution in x, and level in the lower row.
    """
    boxes = _check(grid, "bars", bar_boxes(), centre)
    image = np.sum([covered(grid, box) for box in boxes], axis=0)
    return Phantom(concentration * image[None], grid, "bars")


def bar_boxes() -> list[Box]:
    """Return lower and upper corners (x, y) of all bars, in units of half the field of view."""
    boxes: list[Box] = []
    left = _BARS_LEFT
    for width in BAR_WIDTHS:
        side = 5 * width
        for bar in (0, 2, 4):
            low, high = bar * width, (bar + 1) * width
            upper, lower = _BARS_HEIGHT - side / 2, -_BARS_HEIGHT - side / 2
            boxes.append(((left + low, upper), (left + high, upper + side)))
            boxes.append(((left, lower + low), (left + side, lower + high)))
        left += side + _BARS_GAP
    return boxes


def shepp_logan(grid: Grid, *, concentration: float, centre: Vector = ORIGIN) -> Phantom:
    """Return the head phantom of Shepp and Logan (1974), as scikit-image has it."""
    from skimage.data import shepp_logan_phantom

    x, y = _SHEPP_LOGAN
    _check(grid, "shepp-logan", [((-x, -y), (x, y))], centre)
    head: Floats = np.array(shepp_logan_phantom())  # type: ignore[no-untyped-call]
    images = resample(np.clip(head, 0, 1)[None, None, ::-1], grid, centre)
    return Phantom(concentration * images, grid, "shepp-logan")


def point(grid: Grid, *, concentration: float, centre: Vector = ORIGIN) -> Phantom:
    """Return tracer in a single voxel, that nearest to a place in the scanner.

    Raises
    ------
    UsageError
        When the place is out of the field of view.
    """
    check_inside("point", np.array([[centre, centre]], float), grid)
    low, high = field_of_view(grid)
    border = 1e-6 * grid.spacing  # a place on the upper face is nearest to the last voxel
    (voxel,) = grid.nearest(np.clip([centre], low + border, high - border))
    image = np.zeros(np.prod(grid.shape))
    image[voxel] = concentration
    return Phantom(image.reshape(1, *grid.shape), grid, "point")


def _check(grid: Grid, name: str, boxes: object, centre: Vector) -> Floats:
    """Return the boxes of a pattern in m, shape (B, 2, 3), if they are in the field of view."""
    placed = scaled(grid, boxes, centre)
    check_inside(name, placed, grid)
    return placed


def _plane(grid: Grid, place: tuple[float, float], centre: Vector) -> tuple[Floats, Floats]:
    """Return x and y of all voxels relative to a place of the pattern, in units of half the field of view."""
    offset = grid.positions() - grid.center - np.asarray(centre)
    x, y, _ = np.moveaxis((offset / (grid.field_of_view / 2)).reshape(*grid.shape, 3), -1, 0)
    return x - place[0], y - place[1]


def _disc(grid: Grid, place: tuple[float, float], radius: float, centre: Vector) -> Floats:
    return _inside(grid, np.hypot(*_plane(grid, place, centre)), radius)


def _inside(grid: Grid, distance: Floats, radius: float) -> Floats:
    """Return 1 inside, 0 outside, and a ramp of one voxel on the border."""
    nx, ny, _ = grid.size
    voxel = 2 / max(nx, ny)
    share: Floats = np.clip(0.5 + (radius - distance) / voxel, 0, 1)
    return share
