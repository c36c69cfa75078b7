"""Figures of experiments: signals and images side by side, and the columns of tables.

As in `mpikit.figures` only figure and canvas objects are used, no global state.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpikit.figures import COLOURS, DOTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mpikit.experiments.experiment import Line, Table

KINDS = {
    "noisy": "0.6",
    "paper": "C0",
    "simple": "C2",
    "pooled": "C8",
    "ours": "C1",
    "yours": "C4",
    "limit": "0.25",
}


@dataclass(frozen=True)
class SignalShown:
    """One period of a signal.

    Parameters
    ----------
    signal : shape (V,)
    """

    signal: NDArray[Any]


@dataclass(frozen=True)
class ImageShown:
    """One image.

    Parameters
    ----------
    image : shape (y, x)
    extent_mm : shape (2, 2)
        Low and high end along x and y.
    """

    image: NDArray[Any]
    extent_mm: NDArray[Any]


Shown = SignalShown | ImageShown


def draw_gallery(rows: Sequence[tuple[str, Sequence[Shown]]], headings: Sequence[str]) -> Figure:
    """Draw signals and images, a row for each method, with one scale for each column: that of its first row.

    Parameters
    ----------
    rows : sequence of (str, sequence of Shown)
    headings : sequence of str
    """
    from matplotlib.figure import Figure

    columns = len(headings)
    widths = [1.0 if isinstance(shown, ImageShown) else 2.2 for shown in rows[0][1]]
    size = (1.9 * sum(widths) + 0.8, 1.55 * len(rows) + 0.5)
    figure = Figure(figsize=size, dpi=DOTS, layout="constrained")
    panels = figure.subplots(len(rows), columns, squeeze=False, width_ratios=widths)
    for row, (label, several) in enumerate(rows):
        for column, shown in enumerate(several):
            axes, first = panels[row, column], rows[0][1][column]
            _draw(axes, shown, first)
            if row == 0:
                axes.set_title(headings[column], fontsize="medium")
            axes.tick_params(labelsize="x-small", labelbottom=row == len(rows) - 1)
        panels[row, 0].set_ylabel(label, fontsize="small")
    return figure


def _draw(axes: Axes, shown: Shown, first: Shown) -> None:
    if isinstance(shown, ImageShown) and isinstance(first, ImageShown):
        left, right, bottom, top = map(float, shown.extent_mm.ravel())
        extent = (left, right, bottom, top)
        low, high = min(float(first.image.min()), 0.0), float(first.image.max())
        axes.imshow(shown.image, origin="lower", extent=extent, cmap=COLOURS, vmin=low, vmax=high)
    elif isinstance(shown, SignalShown) and isinstance(first, SignalShown):
        phase = np.arange(shown.signal.size) / shown.signal.size
        axes.plot(phase, shown.signal, linewidth=0.6)
        reach = 1.3 * float(np.abs(first.signal).max()) or 1.0
        axes.set_ylim(-reach, reach)
        axes.set_xlim(0, 1)
        axes.set_yticks([])


def draw_table(table: Table, metric: str) -> Figure:
    """Draw one column of a table: a bar for each line with its interval, and a cross where the paper is.

    Parameters
    ----------
    table : Table
    metric : str
        Name of the column.
    """
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys(line.group for line in table.lines))
    counts = [sum(line.group == group for line in table.lines) for group in groups]
    size = (7.0, 0.9 + 0.24 * sum(counts) + 0.3 * len(groups))
    figure = Figure(figsize=size, dpi=DOTS, layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, sharex=True, height_ratios=counts)[:, 0]
    for axes, group in zip(panels, groups, strict=True):
        lines = [line for line in table.lines if line.group == group]
        _draw_group(axes, lines, metric)
        axes.set_title(group, fontsize="small")
    heading = next((each.heading for each in table.metrics if each.name == metric), metric)
    panels[-1].set_xlabel(heading)
    return figure


def _draw_group(axes: Axes, lines: Sequence[Line], metric: str) -> None:
    for place, line in enumerate(lines):
        cell = line.cells.get(metric)
        if cell is None:
            continue
        if cell.value is not None:
            axes.barh(place, cell.value, 0.7, color=KINDS.get(line.kind, "C5"), alpha=0.75)
            if cell.low is not None and cell.high is not None:
                reach = [[max(cell.value - cell.low, 0)], [max(cell.high - cell.value, 0)]]
                axes.errorbar(cell.value, place, xerr=reach, color="k", linewidth=0.8, capsize=2)
        if cell.paper is not None:
            axes.plot(cell.paper, place, "x", color="C3", markersize=6)
    axes.set_yticks(range(len(lines)), [line.label for line in lines], fontsize="x-small")
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize="x-small")
    axes.grid(axis="x", alpha=0.3)


def as_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png")
    return buffer.getvalue()


def as_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG file, the same for the same figure."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "mpikit"}):
        FigureCanvasSVG(figure).print_figure(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
