"""Handwritten digits as phantoms: as many as are asked for, drawn when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.simulate.phantoms.mnist import SIDE, Pictures, read_digits
from mpikit.simulate.phantoms.phantom import Ints, Phantom, check_concentration
from mpikit.simulate.phantoms.place import ORIGIN, Vector, check_inside, field_of_view
from mpikit.simulate.phantoms.resample import averaging

Floats = NDArray[np.float64]

_TURN = np.radians(12)
_SCALE = (0.9, 1.1)
_SHEAR = 0.1
_MOVE = 1.5  # pixels
_MIDDLE = (SIDE - 1) / 2
_UNCHANGED = np.eye(2, 3)


@dataclass(frozen=True)
class Digits:
    """Images of handwritten digits, which are made in `part` and never all held.

    However a set is cut into parts, its images are the same.

    Parameters
    ----------
    pictures : shape (n, 28, 28)
        The digits to choose from, row 0 at the top.
    sources : shape (Q,)
        Number of the picture that each image is made from. Images of one picture are copies of each other:
        for a fair judgement they stay in one split.
    changes : shape (Q, 2, 3)
        For each image the map from a place (row, column, 1) to that in its picture, in pixels.
    grid : mdf.Grid
        The pictures fill its field of view in x and y; all slices in z are alike.
    concentration : float, mol(Fe)/L
        Of white.
    centre : shape (3,), m
        Shift from the centre of the field of view.
    name : str
    """

    pictures: Pictures
    sources: Ints
    changes: Floats
    grid: Grid
    concentration: float
    centre: Vector = ORIGIN
    name: str = "digits"

    def __post_init__(self) -> None:
        if any(self.centre):
            check_inside(self.name, _extent(self)[None], self.grid)

    @property
    def count(self) -> int:
        """Number of images Q."""
        return len(self.sources)

    @property
    def images(self) -> NDArray[np.floating[Any]]:
        """All images at once, shape (Q, z, y, x), mol(Fe)/L: for a set that fits into the memory."""
        return self.part(slice(None)).images

    def part(self, part: slice) -> Phantom:
        """Return some of the images, changed and up-sampled by cubic splines."""
        from scipy.ndimage import affine_transform

        sources, changes = self.sources[part], self.changes[part]
        small = self.pictures[sources] / np.float32(255)
        for index in np.flatnonzero(np.any(changes != _UNCHANGED, axis=(1, 2))):
            change = changes[index]
            small[index] = affine_transform(small[index], change[:, :2], change[:, 2], order=3)
        shift = np.asarray(self.centre) / self.grid.field_of_view
        _, height, width = self.grid.shape
        # Row 0 of a picture is its top, row 0 of an image is at the lowest y.
        rows, columns = _upsampling(height, shift[1])[:, ::-1], _upsampling(width, shift[0])
        plane = rows @ small @ columns.T
        np.clip(plane, 0, 1, out=plane)
        plane *= np.float32(self.concentration)
        images = np.broadcast_to(plane[:, None], (len(plane), *self.grid.shape))
        return Phantom(images, self.grid, self.name, sources)


def draw_digits(
    grid: Grid,
    *,
    concentration: float,
    count: int,
    rng: np.random.Generator,
    centre: Vector = ORIGIN,
    mnist: Path | None = None,
) -> Digits:
    """Return handwritten digits of MNIST, in random order.

    All pictures are used up before one comes again. From then on each gets a small random change of its own:
    a rotation of up to 12°, a scale of 0.9 to 1.1, a shear of up to 0.1 and a shift of up to 1.5 pixels.

    Parameters
    ----------
    grid : mdf.Grid
    concentration : float, mol(Fe)/L
        Of white.
    count : int
        Number of images Q.
    rng : numpy.random.Generator
    centre : shape (3,), m
        Shift from the centre of the field of view.
    mnist : Path or None
        See `read_digits`.

    Raises
    ------
    UsageError
        When the count or the concentration is impossible, or the shift brings tracer out of the field of
        view.
    PluginError, InputError
        When there are no digits to choose from.
    """
    (digits,) = digit_splits([count], grid, concentration=concentration, rng=rng, centre=centre, mnist=mnist)
    return digits


def digit_splits(
    counts: Sequence[int],
    grid: Grid,
    *,
    concentration: float,
    rng: np.random.Generator,
    centre: Vector = ORIGIN,
    mnist: Path | None = None,
) -> list[Digits]:
    """Return several sets of digits, to train, validate and test, with no picture in common.

    The pictures are shared out at random, in proportion to the counts.

    Parameters
    ----------
    counts : sequence of int
        Number of images of each set.
    grid, concentration, rng, centre, mnist
        As in `draw_digits`.

    Raises
    ------
    UsageError
        When a count or the concentration is impossible, there are more sets than pictures, or the shift
        brings tracer out of the field of view.
    PluginError, InputError
        When there are no digits to choose from.
    """
    if min(counts, default=0) < 1:
        raise UsageError(f"cannot make {list(counts)} digits", hint="give counts of 1 or more")
    check_concentration("digits", concentration)
    pictures = read_digits(mnist)
    if len(counts) > len(pictures):
        raise UsageError(f"{len(pictures)} digits do not make {len(counts)} sets with none in common")
    order = rng.permutation(len(pictures))
    pools = np.split(order, np.cumsum(_shares(counts, len(pictures)))[:-1])
    return [
        Digits(pictures, *_copies(pool, count, rng), grid, concentration, centre)
        for pool, count in zip(pools, counts, strict=True)
    ]


def _shares(counts: Sequence[int], pictures: int) -> Ints:
    """Share out the pictures in proportion to the counts, at least one for each.

    >>> _shares([30, 10, 1], 9)
    array([6, 2, 1])
    """
    wanted = np.array(counts) * pictures
    shares: Ints = np.maximum(wanted // sum(counts), 1)
    missing = pictures - int(shares.sum())
    if missing > 0:
        largest_rest = np.argsort(-(wanted % sum(counts)), kind="stable")
        shares[largest_rest[:missing]] += 1
    for _ in range(-missing):  # the least shares were rounded up
        shares[np.argmax(shares)] -= 1
    return shares


def _copies(pool: Ints, count: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Go through a pool, each time in another order, until there are enough; unchanged the first time."""
    rounds = -(-count // len(pool))
    sources = np.concatenate([pool, *(rng.permutation(pool) for _ in range(rounds - 1))])[:count]
    changes = np.tile(_UNCHANGED, (count, 1, 1))
    if rounds > 1:
        changes[len(pool) :] = _changes(rng, count - len(pool))
    return sources, changes


def _changes(rng: np.random.Generator, count: int) -> Floats:
    """Draw small affine maps about the middle of a picture, shape (count, 2, 3)."""
    angle = rng.uniform(-_TURN, _TURN, count)
    shear = rng.uniform(-_SHEAR, _SHEAR, count)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(count, 2, 2)
    slant = np.tile(np.eye(2), (count, 1, 1))
    slant[:, 1, 0] = shear  # columns move with the row
    matrix = turn @ slant / rng.uniform(*_SCALE, (count, 1, 1))
    middle = np.full((2, 1), _MIDDLE)
    offset = middle - matrix @ (middle + rng.uniform(-_MOVE, _MOVE, (count, 2, 1)))
    return np.concatenate([matrix, offset], axis=2)


def _extent(digits: Digits) -> Floats:
    """Return lower and upper corner of a box that holds the tracer of all images, shape (2, 3), m."""
    used, which = np.unique(digits.sources, return_inverse=True)
    lit = digits.pictures[used] > 0
    edges = []
    for axis in (2, 1):  # first the rows that have any light, then the columns
        line = np.any(lit, axis=axis)
        edges.append([np.argmax(line, axis=1) - 0.5, SIDE - np.argmax(line[:, ::-1], axis=1) - 0.5])
    (top, bottom), (left, right) = edges
    corners = np.array([[top, top, bottom, bottom], [left, right, left, right]]).transpose(2, 0, 1)[which]
    matrix, offset = digits.changes[:, :, :2], digits.changes[:, :, 2:]
    rows, columns = np.linalg.solve(matrix, corners - offset).transpose(1, 0, 2)
    share = np.array([[columns.min(), -rows.max()], [columns.max(), -rows.min()]])
    share = (share + np.array([0.5, -0.5])) / SIDE + np.array([-0.5, 0.5])
    low, high = field_of_view(digits.grid)
    place = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    place[:, :2] = np.clip(share + 0.5, 0, 1)
    box: Floats = low + place * (high - low) + np.asarray(digits.centre)
    return box


def _upsampling(size: int, shift: float) -> NDArray[np.float32]:
    """Return the matrix (size, 28) of cubic spline interpolation between pixel centres, then a shift.

    The shift is in units of the whole length.
    """
    from scipy.ndimage import zoom

    matrix = zoom(np.eye(SIDE), (size / SIDE, 1), order=3, mode="grid-constant", grid_mode=True)
    if shift:
        matrix = averaging(size, size, float(shift)) @ matrix
    return matrix.astype(np.float32)
