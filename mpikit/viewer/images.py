"""Reconstructed images as layers, at their place in the scanner."""

from __future__ import annotations

import numpy as np

import mdf
from mdf import Grid
from mpikit.figures import COLOURS
from mpikit.reconstruct.stored import read_images
from mpikit.viewer.layer import Layer, limits_of

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
    if file.images is None or not file.images.size:
        return []
    found = read_images(file)
    shown, unit = found.shown
    images = shown if found.tracers else shown[:, None]
    count, contrasts = images.shape[:2]
    scale, translate = placed(found.grid)
    many = (1.0,) if count > 1 else ()
    layers = []
    for index, tracer in enumerate(found.tracers or ("",)):
        values = images[:, index] if count > 1 else images[0, index]
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
                about={"file": file.path.name, "tracer": tracer, "unit": unit},
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
