"""Reconstructed images as layers, at their place in the scanner."""

from __future__ import annotations

import numpy as np

import mdf
from mdf import Grid
from mpikit.errors import InputError
from mpikit.figures import COLOURS
from mpikit.viewer.layer import Layer, limits_of

TRACERS = "/_mpikit/tracers"
MIXED = ("green", "magenta", "cyan", "yellow", "blue", "red")  # of several tracers, their colours added


def image_layers(file: mdf.File) -> list[Layer]:
    """Return one layer for each channel (tracer) of a reconstruction, (z, y, x), or (Q, z, y, x) of several.

    Raises
    ------
    InputError
        When the images have no grid.
    mdf.MdfError
        When they are damaged.
    """
    images, grid = file.images, None if file.reconstruction is None else file.reconstruction.grid
    if images is None or not images.size:
        return []
    if grid is None:
        raise InputError(
            f"the images of {file.path.name} have no grid: /reconstruction/fieldOfView is missing"
        )
    count, contrasts = len(images), images.shape[-1]
    scale, translate = placed(grid)
    many = (1.0,) if count > 1 else ()
    layers = []
    for index, tracer in enumerate(_tracers(file, contrasts)):
        values = images[..., index] if count > 1 else images[0, ..., index]
        layers.append(
            Layer(
                name=f"{file.path.stem} {tracer}".rstrip(),
                kind="image",
                data=values,
                axes=("image", "z", "y", "x") if many else ("z", "y", "x"),
                scale=(*many, *scale),
                translate=(*(0.0 for _ in many), *translate),
                limits=limits_of(values),
                colours=COLOURS if contrasts == 1 else MIXED[index % len(MIXED)],
                in_mm=True,
                adds=contrasts > 1 and index > 0,
                about={"file": file.path.name, "tracer": tracer, "unit": "value as stored"},
            )
        )
    return layers


def placed(grid: Grid) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the size of a voxel and the centre of the first one, each (z, y, x) in mm.

    A grid without thickness gets that of the thinnest other side, 1 mm if there is none: a viewer must be
    able to invert it, and the centre is the same.
    """
    step = 1e3 * grid.spacing
    thick = step > 0
    step = np.where(thick, step, step[thick].min() if thick.any() else 1.0)
    x, y, z = (float(value) for value in step)
    first_x, first_y, first_z = (float(value) for value in 1e3 * grid.positions()[0])
    return (z, y, x), (first_z, first_y, first_x)


def _tracers(file: mdf.File, count: int) -> list[str]:
    """Return the names of the channels; none is needed for one."""
    if count == 1:
        return [""]
    stored = file.user_value(TRACERS)
    names = [] if stored is None else [str(name) for name in np.atleast_1d(stored)]
    return names if len(names) == count else [f"channel {index}" for index in range(count)]
