"""The phantoms of OpenMPIData, in their true size.

Source: Knopp, Szwargulski, Griese, Gräser, OpenMPIData: An initiative for freely accessible magnetic particle
imaging data, Data in Brief 28 (2020) 104971, and the page "Phantoms" of the documentation of OpenMPIData.jl.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.simulate.phantoms.bodies import filled
from mpikit.simulate.phantoms.phantom import Phantom
from mpikit.simulate.phantoms.place import ORIGIN, Vector, check_inside, covered

Floats = NDArray[np.float64]

# Chambers 1 to 8 of the concentration phantom: side of the centre in x, y and z, mol(Fe)/L.
CHAMBERS = (
    ((1, 1, 1), 44.4e-3),
    ((1, -1, 1), 100e-3),
    ((-1, -1, 1), 29.6e-3),
    ((-1, 1, 1), 8.77e-3),
    ((1, 1, -1), 19.7e-3),
    ((1, -1, -1), 66.6e-3),
    ((-1, -1, -1), 13.1e-3),
    ((-1, 1, -1), 5.85e-3),
)
CHAMBER_EDGE = 2e-3
CHAMBER_DISTANCE = (12e-3, 12e-3, 6e-3)

DOSE = 50e-3  # of the resolution and of the shape phantom, mol(Fe)/L

TUBE_RADIUS = 0.5e-3
TUBE_REACH = 20e-3
TUBE_ANGLES = ((0, 0), (20, 0), (-30, 0), (0, 15), (0, -10))  # towards x and z, degrees

CONE_TIP = 1e-3
CONE_HEIGHT = 22e-3
CONE_ANGLE = 10


def concentration_phantom(
    grid: Grid, *, concentration: float | None = None, centre: Vector = ORIGIN
) -> Phantom:
    """Return eight cubes of 8 µL with concentrations that fall by a factor of 1.5.

    Documented: an edge of 2 mm; 12 mm between centres in x and y and 6 mm in z; the concentration of each
    chamber; chambers 1 to 4 in the top layer and 5 to 8 in the lower one, each from the front left (+x, +y)
    clockwise. Chosen: top is +z, and clockwise is as seen from there.

    Parameters
    ----------
    grid : mdf.Grid
    concentration : float or None, mol(Fe)/L
        The highest one; None is that of the documentation, 0.1 mol/L.
    centre : shape (3,), m
        Place of the middle of the eight. A single slice through the scanner centre passes between the layers.

    Raises
    ------
    UsageError
        When it reaches out of the field of view.
    """
    middles = np.array([side for side, _ in CHAMBERS]) * np.array(CHAMBER_DISTANCE) / 2 + np.asarray(centre)
    half = CHAMBER_EDGE / 2
    boxes = np.stack([middles - half, middles + half], axis=1)
    check_inside("concentration", boxes, grid, cut=True)
    doses = np.array([dose for _, dose in CHAMBERS])
    if concentration is not None:
        doses = doses * concentration / doses.max()
    image = np.sum([dose * covered(grid, box) for dose, box in zip(doses, boxes, strict=True)], axis=0)
    return Phantom(image[None], grid, "concentration")


def resolution_phantom(grid: Grid, *, concentration: float | None = None, centre: Vector = ORIGIN) -> Phantom:
    """Return five tubes that spread from a common origin.

    Documented: five tubes with a common origin on one side; angles of 20° and 30° in the xy plane and of 10°
    and 15° in the yz plane; 50 mmol/L. Taken from that: the axis that both planes share, y, is the direction
    of the fifth tube, from which the angles of the other four are measured. Chosen, roughly after the
    published construction file: tubes of 1 mm diameter that reach 20 mm in y, 20° towards +x and 30° towards
    -x, 15° towards +z and 10° towards -z. Both ends are cut at right angles to y.

    Parameters
    ----------
    grid : mdf.Grid
    concentration : float or None, mol(Fe)/L
        None is that of the documentation, 0.05 mol/L.
    centre : shape (3,), m
        Place of the middle of the tubes in x and y, and of the plane of three of them in z.

    Raises
    ------
    UsageError
        When it reaches out of the field of view.
    """
    slopes, aslant = _tubes()
    ends = TUBE_REACH * slopes
    low, high = np.minimum(ends, 0), np.maximum(ends, 0)
    origin = np.asarray(centre) - (low.min(axis=0) + high.max(axis=0)) / 2 * (1, 1, 0)
    width = TUBE_RADIUS * np.where(slopes == 0, 1, aslant) * (1, 0, 1)  # a slanting tube is cut to an ellipse
    box = origin + np.stack([(low - width).min(axis=0), (high + width).max(axis=0)])
    check_inside("resolution", box[None], grid, cut=True)

    def depth(x: Floats, y: Floats, z: float) -> Floats:
        x, y, z = x - origin[0], y - origin[1], z - origin[2]
        square = x**2 + y**2 + z**2
        along = [(x * sx + y + z * sz) / length for (sx, _, sz), length in zip(slopes, aslant, strict=True)]
        nearest = square - np.max(np.square(along), axis=0)  # of the axes of all tubes
        across = TUBE_RADIUS - np.sqrt(np.maximum(nearest, 0))
        deep: Floats = np.minimum(across, np.minimum(y, TUBE_REACH - y))
        return deep

    dose = DOSE if concentration is None else concentration
    image = dose * filled(grid, depth, box, finest=2 * TUBE_RADIUS)
    return Phantom(image[None], grid, "resolution")


def shape_phantom(grid: Grid, *, concentration: float | None = None, centre: Vector = ORIGIN) -> Phantom:
    """Return a cone with a flattened tip.

    Documented: a tip of 1 mm radius, an apex angle of 10°, a height of 22 mm, a volume of 683.9 µL, round in
    the yz plane, 50 mmol/L. Only a frustum whose side is inclined by 10° to its axis has that volume, so the
    angle is taken for that. Chosen, as in the published construction file: the tip points to +x.

    Parameters
    ----------
    grid : mdf.Grid
    concentration : float or None, mol(Fe)/L
        None is that of the documentation, 0.05 mol/L.
    centre : shape (3,), m
        Place of the middle of its axis.

    Raises
    ------
    UsageError
        When it reaches out of the field of view.
    """
    slope = float(np.tan(np.radians(CONE_ANGLE)))
    half = np.array([CONE_HEIGHT / 2, *[CONE_TIP + CONE_HEIGHT * slope] * 2])
    box = np.asarray(centre) + np.stack([-half, half])
    check_inside("shape", box[None], grid, cut=True)

    def depth(x: Floats, y: Floats, z: float) -> Floats:
        from_tip = CONE_HEIGHT / 2 - (x - centre[0])
        from_axis = np.hypot(y - centre[1], z - centre[2])
        below_side = (CONE_TIP + slope * from_tip - from_axis) * np.cos(np.radians(CONE_ANGLE))
        deep: Floats = np.minimum(below_side, np.minimum(from_tip, CONE_HEIGHT - from_tip))
        return deep

    dose = DOSE if concentration is None else concentration
    image = dose * filled(grid, depth, box, finest=2 * CONE_TIP)
    return Phantom(image[None], grid, "shape")


def _tubes() -> tuple[Floats, Floats]:
    """Return where the axes of the tubes are for y = 1, shape (5, 3), and their length to there, (5, 1)."""
    tangents = np.tan(np.radians(TUBE_ANGLES))
    slopes = np.stack([tangents[:, 0], np.ones(len(tangents)), tangents[:, 1]], axis=1)
    return slopes, np.linalg.norm(slopes, axis=1, keepdims=True)
