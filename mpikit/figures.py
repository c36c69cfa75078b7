"""Pictures that the commands write: images with axes in mm and a colour bar with its unit.

Only figure and canvas objects are used, no global state: it is safe in threads and needs no display.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[Any]

MOST_PANELS = 9
PANEL = 2.6  # inches
DOTS = 100  # per inch
COLOURS = "viridis"


def save_images(
    path: Path, images: Values, grid: Grid, *, unit: str, frames: Sequence[int] = (), overwrite: bool = False
) -> None:
    """Write a picture of some images: one panel each, up to nine that are chosen evenly.

    A plane is shown as it is, a volume as its maximum-intensity projections along z, y and x, a line as a
    curve. Axes are in mm with x to the right and y up; voxel faces end the axes.

    Parameters
    ----------
    path : Path
        PNG file.
    images : shape (Q, z, y, x), ``unit``
    grid : mdf.Grid
    unit : str
        Written at the colour bar.
    frames : sequence of int
        Number of the frame of each image, for the titles.
    overwrite : bool

    Raises
    ------
    InputError
        When the file exists already or cannot be written.
    """
    chosen = _evenly(len(images))
    titles = [f"frame {frames[index]}" if len(frames) else "" for index in chosen]
    columns = _columns(len(chosen), grid)
    _save(path, _draw([images[index] for index in chosen], grid, titles, unit, columns), overwrite)


def side_by_side(
    path: Path,
    images: Sequence[Values],
    grid: Grid,
    *,
    titles: Sequence[str],
    unit: str,
    overwrite: bool = False,
) -> None:
    """Write one row of images with titles and a common colour scale.

    Parameters
    ----------
    path : Path
        PNG file.
    images : sequence of shape (z, y, x), ``unit``
        All on the same grid.
    grid : mdf.Grid
    titles : sequence of str
        One for each image.
    unit : str
    overwrite : bool

    Raises
    ------
    InputError
        When the file exists already or cannot be written.
    """
    _save(path, _draw(images, grid, titles, unit, columns=len(images)), overwrite)


def _evenly(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_PANELS)).round().astype(np.int64))


def _views(grid: Grid) -> list[tuple[int, int]]:
    """Axes (right, up) of the projections of one image; for a line, its axis twice."""
    long = [axis for axis in range(3) if grid.size[axis] > 1]
    if len(long) <= 1:
        axis = long[0] if long else 0
        return [(axis, axis)]
    return [(0, 1), (0, 2), (1, 2)] if len(long) == 3 else [(long[0], long[1])]


def _columns(images: int, grid: Grid) -> int:
    """Images in a row: of volumes one, as each has three projections."""
    return 1 if len(_views(grid)) == 3 else int(np.ceil(np.sqrt(images)))


def _draw(images: Sequence[Values], grid: Grid, titles: Sequence[str], unit: str, columns: int) -> Figure:
    from matplotlib.figure import Figure

    views = _views(grid)
    rows = -(-len(images) // columns)
    width = columns * len(views)
    figure = Figure(figsize=(PANEL * width + 0.8, PANEL * rows + 0.3), dpi=DOTS, layout="constrained")
    axes = figure.subplots(rows, width, squeeze=False)
    panels = axes.reshape(rows, columns, len(views)).reshape(-1, len(views))
    low = min(0.0, *(float(np.min(image)) for image in images))
    high = max(float(np.max(image)) for image in images)
    limits = (low, high if high > low else low + 1.0)
    drawn = None
    for panel, image, title in zip(panels, images, titles, strict=False):
        for each, view in zip(panel, views, strict=True):
            drawn = _draw_view(each, image, grid, view, limits, unit)
        words = (title, "maximum projections") if len(views) == 3 else (title,)
        panel[0].set_title(", ".join(word for word in words if word), fontsize="medium")
    for panel in panels[len(images) :]:
        for each in panel:
            each.set_axis_off()
    if drawn is not None:
        figure.colorbar(drawn, ax=axes, label=unit, shrink=0.9)
    return figure


def _draw_view(
    axes: Axes, image: Values, grid: Grid, view: tuple[int, int], limits: tuple[float, float], unit: str
) -> Any:
    right, up = view
    extent = grid.extent_mm
    axes.set_xlabel(f"{'xyz'[right]} / mm")
    if right == up:
        low, high = extent[right]
        faces = np.linspace(low, high, int(grid.size[right]) + 1)
        axes.plot((faces[1:] + faces[:-1]) / 2, image.ravel(), marker=".")
        axes.set_xlim(low, high)
        axes.set_ylim(limits[0], limits[0] + 1.05 * (limits[1] - limits[0]))
        axes.set_ylabel(unit)
        return None
    across = 3 - right - up
    plane = image.max(axis=2 - across)  # rows run along `up`, columns along `right`
    axes.set_ylabel(f"{'xyz'[up]} / mm")
    return axes.imshow(
        plane,
        origin="lower",
        extent=(*extent[right], *extent[up]),
        vmin=limits[0],
        vmax=limits[1],
        cmap=COLOURS,
        interpolation="nearest",
    )


def _save(path: Path, figure: Figure, overwrite: bool) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png")
    write_atomically(path, buffer.getvalue(), overwrite=overwrite)
