"""A branching tree of vessels that taper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.simulate.phantoms.bodies import filled
from mpikit.simulate.phantoms.phantom import Phantom
from mpikit.simulate.phantoms.place import ORIGIN, Vector, check_inside, field_of_view

Floats = NDArray[np.float64]

_GENERATIONS = 5
_STEPS = 3  # straight pieces of a branch
_BEND = 0.12  # of a piece, rad
_ANGLES = (0.35, 0.75)  # between a branch and the one it comes from, rad
_SHORTER = (0.68, 0.85)  # a branch to the one it comes from
_SHARES = (0.35, 0.65)  # of the flow that one of two branches takes
_ROOT_RADIUS = 0.07  # of half the shorter side of the field of view in x and y
_DEEPEST = 0.25  # of half its side in z, which may be far shorter
_FILLS = 0.9  # of the field of view


@dataclass(frozen=True)
class Vessel:
    """One straight piece: a frustum with round ends.

    Parameters
    ----------
    start, end : shape (3,)
    radii : tuple of two float
        At start and end.
    """

    start: Floats
    end: Floats
    radii: tuple[float, float]

    @property
    def box(self) -> Floats:
        """Lower and upper corner, shape (2, 3)."""
        ends, radii = np.stack([self.start, self.end]), np.array(self.radii)[:, None]
        return np.stack([(ends - radii).min(axis=0), (ends + radii).max(axis=0)])


def vessels(
    grid: Grid, *, concentration: float, rng: np.random.Generator, centre: Vector = ORIGIN
) -> Phantom:
    """Return a tree of vessels that fills nine tenths of the field of view.

    A trunk branches into two again and again. Every branch tapers by a tenth, and two branches share the flow
    of the one they come from, with radii that follow the cubes of Murray (1926): r³ = r₁³ + r₂³. On a grid of
    one slice the tree is flat, and a cut through its middle plane; with more slices it spreads in z as well.

    Parameters
    ----------
    grid : mdf.Grid
    concentration : float, mol(Fe)/L
    rng : numpy.random.Generator
        Draws angles, lengths and shares.
    centre : shape (3,), m
        Shift from the centre of the field of view.
    """
    flat = int(grid.size[2]) == 1
    pieces = _fitted(_tree(rng, flat=flat), grid, centre, flat=flat)
    boxes = np.stack([piece.box for piece in pieces])
    if flat:
        boxes[:, :, 2] = field_of_view(grid)[:, 2] + centre[2]
    check_inside("vessels", boxes, grid)
    image = np.zeros(grid.shape)
    for piece, box in zip(pieces, boxes, strict=True):
        share = filled(grid, _Depth(piece, flat), box, finest=2 * min(piece.radii))
        image = np.maximum(image, share)
    return Phantom(concentration * image[None], grid, "vessels")


@dataclass(frozen=True)
class _Depth:
    """How deep points lie in a piece, m; in a flat tree it is as high as the slice."""

    piece: Vessel
    flat: bool

    def __call__(self, x: Floats, y: Floats, z: float) -> Floats:
        start = self.piece.start
        along = self.piece.end - start
        offset = x - start[0], y - start[1], 0.0 if self.flat else z - start[2]
        share = np.clip(sum(o * a for o, a in zip(offset, along, strict=True)) / (along @ along), 0, 1)
        square = sum((o - share * a) ** 2 for o, a in zip(offset, along, strict=True))
        first, last = self.piece.radii
        depth: Floats = first + share * (last - first) - np.sqrt(square)
        return depth


def _tree(rng: np.random.Generator, *, flat: bool) -> list[Vessel]:
    """Grow a tree along +y from the origin, with a trunk of length 1 and radius 1."""
    pieces: list[Vessel] = []
    tips = [(np.zeros(3), np.array([0.0, 1.0, 0.0]), 1.0, 1.0)]
    for _ in range(_GENERATIONS):
        grown = []
        for start, direction, length, radius in tips:
            branch = _branch(rng, start, direction, length, radius, flat=flat)
            pieces += branch
            grown += _fork(rng, branch[-1], length, flat=flat)
        tips = grown
    return pieces


def _branch(
    rng: np.random.Generator, start: Floats, direction: Floats, length: float, radius: float, *, flat: bool
) -> list[Vessel]:
    radii = radius * np.linspace(1, 0.9, _STEPS + 1)
    pieces = []
    for step in range(_STEPS):
        direction = _turned(direction, rng.uniform(-_BEND, _BEND), _side(rng, direction, flat=flat))
        end = start + direction * length / _STEPS
        pieces.append(Vessel(start, end, (float(radii[step]), float(radii[step + 1]))))
        start = end
    return pieces


def _fork(
    rng: np.random.Generator, parent: Vessel, length: float, *, flat: bool
) -> list[tuple[Floats, Floats, float, float]]:
    """Return start, direction, length and radius of two branches, one to either side."""
    along = parent.end - parent.start
    along = along / np.linalg.norm(along)
    side = _side(rng, along, flat=flat)
    share = rng.uniform(*_SHARES)
    return [
        (
            parent.end,
            _turned(along, sign * rng.uniform(*_ANGLES), side),
            length * rng.uniform(*_SHORTER),
            parent.radii[1] * float(np.cbrt(flow)),
        )
        for sign, flow in ((1, share), (-1, 1 - share))
    ]


def _side(rng: np.random.Generator, direction: Floats, *, flat: bool) -> Floats:
    """Return a unit vector across a direction; in a flat tree there is one, but for its sign."""
    across = np.array([0.0, 0.0, 1.0]) if flat else rng.standard_normal(3)
    side = np.cross(direction, across)
    unit: Floats = side / np.linalg.norm(side)
    return unit


def _turned(direction: Floats, angle: float, side: Floats) -> Floats:
    turned: Floats = np.cos(angle) * direction + np.sin(angle) * side
    return turned


def _fitted(pieces: list[Vessel], grid: Grid, centre: Vector, *, flat: bool) -> list[Vessel]:
    """Stretch the lines of a tree over the field of view; its radii follow the shorter side."""
    sides = grid.field_of_view / 2
    thickness = _ROOT_RADIUS * float(min(sides[:2]))
    if not flat:
        thickness = min(thickness, _DEEPEST * float(sides[2]))
    ends = np.stack([[piece.start, piece.end] for piece in pieces])
    low, high = ends.min(axis=(0, 1)), ends.max(axis=(0, 1))
    room = np.maximum(_FILLS * sides - thickness, 0)
    stretch = np.divide(2 * room, high - low, out=np.zeros(3), where=high > low)
    place = grid.center + np.asarray(centre) + (ends - (low + high) / 2) * stretch
    return [
        Vessel(start, end, (thickness * piece.radii[0], thickness * piece.radii[1]))
        for piece, (start, end) in zip(pieces, place, strict=True)
    ]
