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


def draw_amplitudes(
    panels: Sequence[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]], levels: NDArray[Any]
) -> Figure:
    """Draw amplitudes over concentration: projection with its deviation, and magnitude.

    Parameters
    ----------
    panels : sequence of (str, ndarray, ndarray, ndarray)
        Label of a method, and at each concentration projected amplitude, its deviation and the magnitude, V.
    levels : shape (L,), µg/mL
        Ascending.
    """
    from matplotlib.figure import Figure

    size = (2.3 * len(panels) + 0.8, 3.2)
    figure = Figure(figsize=size, dpi=DOTS, layout="constrained")
    every = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    top = max(float(projected[-1]) for _, projected, _, _ in panels)
    bottom = top * float(levels[0] / levels[-1]) / 10
    for axes, (label, projected, spread, magnitude) in zip(every, panels, strict=True):
        low, high = (np.maximum(each, bottom / 10) for each in (projected - spread, projected + spread))
        axes.loglog(levels, top * levels / levels[-1], color="0.7", linewidth=0.8, label="proportional")
        axes.fill_between(levels, low, high, color="C0", alpha=0.2, linewidth=0)
        axes.loglog(levels, np.maximum(projected, bottom / 10), "o-", markersize=3, label="projection")
        axes.loglog(levels, magnitude, "--", linewidth=0.9, label="magnitude")
        axes.set_ylim(bottom, 3 * top)
        axes.set_title(_broken(label), fontsize="small")
        axes.set_xlabel("concentration / µg/mL", fontsize="small")
        axes.tick_params(labelsize="x-small")
    every[0].set_ylabel("5th harmonic / V", fontsize="small")
    every[0].legend(fontsize="x-small")
    return figure


def draw_profiles(
    columns: Sequence[tuple[str, NDArray[Any]]], rows: Sequence[str], *, place: NDArray[Any], true: float
) -> Figure:
    """Draw one-dimensional images of point samples, each with a scale of its own.

    Parameters
    ----------
    columns : sequence of (str, ndarray)
        Label of a method, and its images (L, P).
    rows : sequence of str
        L labels.
    place : shape (P,), mm
    true : float, mm
        Where the sample is.
    """
    from matplotlib.figure import Figure

    size = (2.1 * len(columns) + 0.6, 1.1 * len(rows) + 0.6)
    figure = Figure(figsize=size, dpi=DOTS, layout="constrained")
    panels = figure.subplots(len(rows), len(columns), sharex=True, squeeze=False)
    for column, (label, images) in enumerate(columns):
        panels[0, column].set_title(_broken(label), fontsize="small")
        for axes, image in zip(panels[:, column], images, strict=True):
            axes.axvline(true, color="C3", linewidth=0.8, linestyle=":")
            axes.plot(place, image, drawstyle="steps-mid", linewidth=0.9)
            axes.tick_params(labelsize="x-small")
            axes.locator_params(axis="y", nbins=3)
        panels[-1, column].set_xlabel("x / mm", fontsize="small")
    for axes, words in zip(panels[:, 0], rows, strict=True):
        axes.set_ylabel(words, fontsize="x-small")
    return figure


def draw_maps(
    tables: Sequence[tuple[str, NDArray[Any]]], sweeps: Sequence[int], lambdas: Sequence[float]
) -> Figure:
    """Draw the position error over the settings of a reconstruction, one scale for all.

    Parameters
    ----------
    tables : sequence of (str, ndarray)
        Label of a method, and errors in mm (λ, sweeps).
    sweeps : sequence of int
    lambdas : sequence of float
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.0 * len(tables) + 1.2, 2.9), dpi=DOTS, layout="constrained")
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    low, high = (pick([pick(table) for _, table in tables]) for pick in (np.min, np.max))
    for axes, (label, table) in zip(panels, tables, strict=True):
        shown = axes.imshow(table, vmin=low, vmax=high, origin="lower", aspect="auto", cmap=COLOURS)
        axes.set_xticks(range(len(sweeps)), [str(count) for count in sweeps], fontsize="x-small")
        axes.set_yticks(range(len(lambdas)), [f"{weight:g}" for weight in lambdas], fontsize="x-small")
        axes.set_title(_broken(label), fontsize="small")
        axes.set_xlabel("sweeps", fontsize="small")
    panels[0].set_ylabel("λ", fontsize="small")
    figure.colorbar(shown, ax=panels, label="position error / mm")
    return figure


def _broken(label: str) -> str:
    """Return a label in lines that fit above a narrow panel."""
    return label.replace(", ", ",\n")


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
