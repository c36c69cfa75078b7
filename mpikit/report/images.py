"""Reconstructed images, by themselves or before and after denoising."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mdf import Grid
from mpikit.errors import InputError
from mpikit.figures import draw_choice
from mpikit.figures_report import draw_difference, draw_images
from mpikit.reconstruct.choosing import Choice
from mpikit.reconstruct.stored import AS_STORED, read_images
from mpikit.report.blocks import Block, Facts, Picture, Section, Words

MOST_IMAGES = 4


@dataclass(frozen=True)
class Pictured:
    """The images of a file.

    Parameters
    ----------
    name : str
        Of the file.
    values : shape (Q, S, z, y, x)
    grid : mdf.Grid
    tracers : tuple of S str
    unit : str
        Of the values.
    scale : tuple of S float
        What the values of the file were multiplied with; empty for 1.
    """

    name: str
    values: NDArray[Any]
    grid: Grid
    tracers: tuple[str, ...]
    unit: str = AS_STORED
    scale: tuple[float, ...] = ()

    def as_stored(self) -> Pictured:
        """Return the values as they are in the file, beside those of a file that says no unit."""
        factors = np.array(self.scale or (1.0,) * len(self.tracers))
        return replace(self, values=self.values / factors[:, None, None, None], unit=AS_STORED, scale=())


def read_pictured(path: Path) -> Pictured:
    """Read the images of an MDF file.

    Raises
    ------
    InputError
        When it has none.
    mdf.MdfError
        When it is damaged, or its voxels fill no grid.
    """
    with mdf.open(path) as file:
        images = read_images(file)
    shown, unit = images.shown
    values = np.asarray(shown if images.tracers else shown[:, None], np.float64)
    known = images.concentration
    scale = () if known is None else tuple((1e3 * np.atleast_1d(known)).tolist())
    return Pictured(path.name, values, images.grid, images.tracers or ("",), unit, scale)


def image_sections(after: Pictured, before: Pictured | None = None) -> list[Section]:
    """Return the sections on images, beside those before on one scale, with their difference.

    Raises
    ------
    InputError
        When the images before are on another grid, or of another number of tracers.
    """
    if before is not None:
        _check_alike(after, before)
        if before.unit != after.unit:
            before, after = before.as_stored(), after.as_stored()
    given = [each for each in (before, after) if each is not None]
    if not all(each.values.size and np.isfinite(each.values).all() for each in given):
        words = "There are no images, or they have values that are no numbers: there is nothing to draw."
        return [Section("Images", [Words(words)])]
    blocks: list[Block] = []
    for index, tracer in enumerate(after.tracers):
        images = after.values[:, index]
        if before is None:
            blocks += _alone(images, after.grid, tracer, after.unit)
        else:
            blocks += _pair(before.values[:, index], images, after.grid, tracer, after.unit)
    return [Section("Images" if before is None else "Images before and after", [*blocks, _peaks(given)])]


def _check_alike(after: Pictured, before: Pictured) -> None:
    one, other = before.grid, after.grid
    same = before.values.shape[1:] == after.values.shape[1:]
    same = same and np.allclose(one.field_of_view, other.field_of_view, rtol=1e-6)
    if not same or not np.allclose(one.center, other.center, atol=1e-9):
        raise InputError(
            f"the images of {before.name} and {after.name} are on different grids, or of different tracers",
            hint="reconstruct both with the same grid, or report them apart",
        )


def _pair(before: NDArray[Any], after: NDArray[Any], grid: Grid, tracer: str, unit: str) -> list[Block]:
    """Draw the first image of each, on one scale, and their difference."""
    rows = [("before", before[0]), ("after", after[0])]
    shown = "" if len(before) == len(after) == 1 else f", image 1 of {len(after)}"
    of = f" of {tracer}" if tracer else ""
    volume = ", maximum projections" if min(grid.size) > 1 else ""
    change = after[0] - before[0]
    largest = ", where it is largest along each axis" if min(grid.size) > 1 else ""
    return [
        Picture(f"Before and after{of} on one scale{shown}{volume}.", draw_images(rows, grid, unit=unit)),
        Picture(
            f"Difference{of}, after minus before{shown}{largest}.",
            draw_difference("after - before", change, grid, unit=unit),
        ),
        Facts(_change(before[0], change, of)),
    ]


def _change(before: NDArray[Any], change: NDArray[Any], of: str) -> list[tuple[str, str]]:
    norm = float(np.linalg.norm(before))
    relative = (
        f"{100 * float(np.linalg.norm(change)) / norm:.3g} % of the norm before"
        if norm
        else "not known: the image before is zero"
    )
    return [(f"difference{of}", f"{relative}; largest {float(np.abs(change).max()):.3g}")]


def _alone(images: NDArray[Any], grid: Grid, tracer: str, unit: str) -> list[Block]:
    """Draw some images evenly, and of several the change from the first to the last."""
    count = len(images)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_IMAGES)).round().astype(int))
    rows = [(f"image {index + 1}" if count > 1 else "", images[index]) for index in chosen]
    of = f" of {tracer}" if tracer else ""
    volume = "; maximum projections" if min(grid.size) > 1 else ""
    several = f"{len(rows)} of {count} images{of} on one scale" if count > 1 else f"The image{of}"
    drawn: list[Block] = [Picture(f"{several}{volume}.", draw_images(rows, grid, unit=unit))]
    if count > 1:
        change = images[-1] - images[0]
        title = f"image {count} - image 1"
        drawn.append(
            Picture(
                f"Difference{of}, the last minus the first image.",
                draw_difference(title, change, grid, unit=unit),
            )
        )
    return drawn


def _peaks(given: Sequence[Pictured]) -> Facts:
    """Say where the mean images are highest."""
    rows = []
    labels = ("",) if len(given) == 1 else (" before", " after")
    for label, each in zip(labels, given, strict=True):
        unit = "" if each.unit == AS_STORED else f" {each.unit}"
        for index, tracer in enumerate(each.tracers):
            mean = each.values[:, index].mean(axis=0).ravel()
            highest = int(np.argmax(mean))
            x, y, z = (f"{round(1e3 * place, 6) + 0:.3g}" for place in each.grid.positions()[highest])
            of = f" of {tracer}" if tracer else ""
            rows.append((f"peak{of}{label}", f"{mean[highest]:.4g}{unit} at x {x}, y {y}, z {z} mm"))
    return Facts(rows)


def lambda_section(history: Sequence[Mapping[str, Any]]) -> Section | None:
    """Say which λ was used, and show how it was chosen.

    Parameters
    ----------
    history : sequence of mapping
        Of the reconstruction; its last run is shown.
    """
    made = [record for record in history if record.get("command") == "reconstruct"]
    weight = made[-1].get("lambda") if made else None
    if not isinstance(weight, Mapping):
        return None
    rows = [
        (f"{name} λ", f"{weight[name]:.4g}")
        for name in ("relative", "absolute")
        if _is_number(weight.get(name))
    ]
    choice = _choice(weight.get("choice"))
    if choice is None:
        return Section("Choice of λ", [Facts(rows)])
    facts = Facts([*rows, ("chosen by", choice.reason)])
    return Section("Choice of λ", [facts, Picture("How λ was chosen.", draw_choice(choice))])


def _choice(kept: object) -> Choice | None:
    """Return how λ was chosen; None when it was not, or the file says it in a way that is not ours."""
    if not isinstance(kept, Mapping):
        return None
    try:
        return Choice.from_json(kept)
    except ValueError:
        return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
