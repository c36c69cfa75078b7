"""One good figure for each kind of file: spectrum, frames over time, rows of a system matrix, SNR, slices.

As in `mpikit.figures` only figure and canvas objects are used, no global state.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.figures import COLOURS, DOTS, PANEL, draw_view, plain, views_of
from mpikit.figures_report import DIFFERENCES, log_scale, thinned
from mpikit.made_here import software

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[Any]

MOST_SLICES = 12
IN_ROW = 4


@dataclass(frozen=True)
class RowShown:
    """One row of a system matrix.

    Parameters
    ----------
    title : str
    image : shape (z, y, x)
        Its real part, once the phase is turned to where it is largest.
    """

    title: str
    image: Values


def draw_rows(rows: Sequence[RowShown], grid: Grid, *, title: str = "") -> Figure:
    """Draw rows of a system matrix, each on its own scale, zero in white; of volumes the strongest layer.

    Parameters
    ----------
    rows : sequence of RowShown
    grid : mdf.Grid
    title : str
    """
    from matplotlib.figure import Figure

    columns = min(len(rows), IN_ROW)
    lines = -(-len(rows) // columns)
    right, up = views_of(grid)[0]
    sides = grid.field_of_view
    ratio = 0.7 if right == up else float(np.clip(sides[up] / max(sides[right], 1e-9), 0.3, 1.6))
    width = PANEL * 0.75
    figure = Figure(
        figsize=(width * columns + 0.4, (width * ratio + 0.5) * lines + 0.5), dpi=DOTS, layout="constrained"
    )
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=right != up)
    for axes, row in zip(panels.ravel(), rows, strict=False):
        most = float(np.abs(row.image).max()) or 1.0
        image = _layer(row.image / most, grid)
        drawn = draw_view(axes, image, grid, (right, up), (-1.0, 1.0), "")
        if drawn is not None:
            drawn.set_cmap(DIFFERENCES)
        axes.set_title(plain(row.title), fontsize="small")
        axes.tick_params(labelsize="x-small")
        axes.label_outer()
    for axes in panels.ravel()[len(rows) :]:
        axes.set_axis_off()
    if title:
        figure.suptitle(plain(title), fontsize="medium")
    return figure


def _layer(image: Values, grid: Grid) -> Values:
    """Return the layer of a volume with the most energy, anything else as it is."""
    if min(grid.size) == 1:
        return image
    strongest = int(np.argmax(np.sum(image**2, axis=(1, 2))))
    layer: Values = image[strongest : strongest + 1]
    return layer


def draw_matrix_snr(
    frequencies: Values, snr: Values, orders: Values | None = None, *, title: str = ""
) -> Figure:
    """Draw the SNR of all rows of a system matrix over frequency, and as a map of mixing factors.

    Parameters
    ----------
    frequencies : shape (K,), Hz
    snr : shape (C, K)
        0 where it is not known.
    orders : shape (K, 2), optional
        Mixing factors of two drive frequencies; the map is left out without them.
    title : str
    """
    from matplotlib.figure import Figure

    channels = len(snr)
    figure = Figure(figsize=(7, 2.9 if orders is None else 5.6), dpi=DOTS, layout="constrained")
    parts: Any = None if orders is None else figure.subfigures(2, 1, height_ratios=(1, 1.15))
    axes = figure.subplots() if parts is None else parts[0].subplots()
    for channel in range(channels):
        shown = snr[channel] > 0
        axes.plot(
            frequencies[shown] / 1e3,
            snr[channel][shown],
            ".",
            color=f"C{channel}",
            markersize=3,
            label=f"receive channel {channel}",
        )
    if np.any(snr > 0):
        axes.set_yscale("log")
    axes.set_xlabel("frequency / kHz")
    axes.set_ylabel("SNR of a row")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="upper right")
    if orders is not None:
        _draw_maps(parts[1], snr, orders)
    if title:
        figure.suptitle(plain(title), fontsize="medium")
    return figure


def _draw_maps(part: Any, snr: Values, orders: Values) -> None:
    """Draw the largest SNR of each pair of mixing factors, a panel for each channel."""
    channels = len(snr)
    panels = part.subplots(1, channels, squeeze=False, sharey=True)[0]
    most = np.abs(orders).max(axis=0)
    largest = max(float(snr.max()), 1.0)
    drawn = None
    for channel, axes in enumerate(panels):
        table = np.full((2 * most[1] + 1, most[0] + 1), np.nan)
        for (first, second), value in zip(orders, snr[channel], strict=True):
            sign = -1 if first < 0 else 1
            place = (sign * second + most[1], abs(first))
            if value > 0:
                table[place] = np.nanmax([table[place], np.log10(value)])
        extent = (-0.5, most[0] + 0.5, -most[1] - 0.5, most[1] + 0.5)
        drawn = axes.imshow(
            table,
            origin="lower",
            extent=extent,
            cmap=COLOURS,
            vmin=0,
            vmax=max(np.log10(largest), 0.1),
            aspect="auto",
            interpolation="nearest",
        )
        axes.set_title(f"receive channel {channel}", fontsize="small")
        axes.set_xlabel("factor of drive frequency 1")
        found = np.flatnonzero(np.isfinite(table).any(axis=1)) - most[1]
        if found.size:
            axes.set_ylim(found[0] - 0.5, found[-1] + 0.5)
    panels[0].set_ylabel("factor of drive frequency 2")
    if drawn is not None:
        part.colorbar(drawn, ax=panels, label="log10 of the SNR")


@dataclass(frozen=True)
class FrameCourse:
    """How frames change over an acquisition.

    Parameters
    ----------
    foreground, background : shapes (N,) and (E,)
        Places in the order of acquisition.
    level : shape (N, C)
        Root mean square of each foreground frame.
    empty_level : shape (E, C)
    lines : sequence of (str, shape (N,))
        Amplitudes of some lines.
    unit : str
    """

    foreground: Values
    background: Values
    level: Values
    empty_level: Values
    lines: Sequence[tuple[str, Values]]
    unit: str


def draw_frames(course: FrameCourse, *, title: str = "") -> Figure:
    """Draw how frames change over an acquisition: their level, and the strongest lines.

    Parameters
    ----------
    course : FrameCourse
    title : str
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), dpi=DOTS, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    marker = "." if len(course.foreground) < 200 else ""
    for channel in range(course.level.shape[1]):
        colour = f"C{channel}"
        label = f"receive channel {channel}"
        upper.plot(
            course.foreground,
            course.level[:, channel],
            marker=marker,
            color=colour,
            linewidth=0.8,
            label=label,
        )
        if len(course.background):
            empty = course.empty_level[:, channel]
            upper.plot(course.background, empty, "x", color=colour, markersize=4)
    if len(course.background):
        upper.plot([], [], "x", color="0.5", label="background frames")
    upper.set_ylabel(f"rms of a frame / {plain(course.unit)}")
    upper.set_ylim(bottom=0)
    for label, amplitude in course.lines:
        lower.plot(course.foreground, amplitude, marker=marker, linewidth=0.8, label=label)
    lower.set_ylim(bottom=0)
    lower.set_ylabel(f"amplitude / {plain(course.unit)}")
    lower.set_xlabel("frame, in the order of acquisition")
    lower.xaxis.get_major_locator().set_params(integer=True)
    lower.set_title("strongest lines", fontsize="small")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="best")
    if title:
        figure.suptitle(plain(title), fontsize="medium")
    return figure


def draw_spectrum(
    frequencies: Values,
    amplitude: Values,
    harmonics: Values,
    *,
    unit: str,
    marks: str = "stand out of the noise",
    drive: Sequence[float] = (),
    title: str = "",
) -> Figure:
    """Draw the spectrum of a measurement, with the harmonics that stand out of the noise marked.

    Parameters
    ----------
    frequencies : shape (K,), Hz
    amplitude : shape (C, K), ``unit``
    harmonics : shape (C, K)
        Lines to mark.
    unit : str
    marks : str
        What is said of these lines.
    drive : sequence of float, Hz
        Drive frequencies, each a dotted line.
    title : str
    """
    from matplotlib.figure import Figure

    channels = len(amplitude)
    figure = Figure(figsize=(8, 0.8 + 2.3 * channels), dpi=DOTS, layout="constrained")
    panels = figure.subplots(channels, 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for channel, axes in enumerate(panels):
        _draw_channel(axes, frequencies / 1e3, amplitude[channel], harmonics[channel], channel, marks)
        for frequency in drive:
            axes.axvline(frequency / 1e3, color="0.5", linestyle=":", linewidth=0.8)
        axes.set_ylabel(f"amplitude / {plain(unit)}")
        if channels > 1:
            axes.set_title(f"receive channel {channel}", fontsize="small", loc="left")
    log_scale(panels[0], [amplitude])
    panels[0].margins(x=0.01)
    panels[-1].set_xlabel("frequency / kHz; dotted: drive frequencies" if drive else "frequency / kHz")
    if title:
        figure.suptitle(plain(title), fontsize="medium")
    return figure


def _draw_channel(
    axes: Axes, at: Values, amplitude: Values, marked: Values, channel: int, marks: str
) -> None:
    axes.plot(*thinned(at, amplitude), color=f"C{channel}", linewidth=0.7)
    label = f"{int(marked.sum()) or 'no'} lines that {marks}"
    axes.plot(at[marked], amplitude[marked], "o", color="C3", markersize=3, fillstyle="none", label=label)
    axes.legend(fontsize="small", loc="upper right")
    axes.grid(alpha=0.3)


def draw_slices(image: Values, grid: Grid, *, unit: str, title: str = "") -> Figure:
    """Draw the layers of an image along z, up to twelve that are chosen evenly; a plane or line as it is.

    Parameters
    ----------
    image : shape (z, y, x)
    grid : mdf.Grid
    unit, title : str
    """
    from matplotlib.figure import Figure

    volume = min(grid.size) > 1
    heights = 1e3 * grid.positions()[:, 2].reshape(grid.shape)[:, 0, 0]
    count = len(image) if volume else 1
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_SLICES)).round().astype(int))
    view = (0, 1) if volume else views_of(grid)[0]
    columns = min(len(chosen), IN_ROW)
    lines = -(-len(chosen) // columns)
    panel = PANEL * (0.8 if volume else 1.6)
    size = (panel * columns + 1.2, panel * lines + 0.6)
    figure = Figure(figsize=size, dpi=DOTS, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False)
    low, high = min(0.0, float(image.min())), float(image.max())
    limits = (low, high if high > low else low + 1.0)
    drawn = None
    for axes, layer in zip(panels.ravel(), chosen, strict=False):
        shown = image[layer][None] if volume else image
        drawn = draw_view(axes, shown, grid, view, limits, plain(unit))
        if volume:
            axes.set_title(f"z = {heights[layer] + 0:.3g} mm", fontsize="small")
            axes.label_outer()
    for axes in panels.ravel()[len(chosen) :]:
        axes.set_axis_off()
    if drawn is not None:
        figure.colorbar(drawn, ax=panels, label=plain(unit), shrink=0.9)
    if title:
        figure.suptitle(plain(title), fontsize="medium")
    return figure


def as_file(figure: Figure, kind: str) -> bytes:
    """Return a figure as the bytes of a file, the same for the same figure.

    Parameters
    ----------
    figure : Figure
    kind : {"png", "svg", "pdf"}
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from mpikit.figures_experiments import as_svg

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        if kind == "svg":
            return as_svg(figure)
        buffer = io.BytesIO()
        if kind == "png":
            FigureCanvasAgg(figure).print_figure(buffer, format="png", metadata={"Software": software()})
            return buffer.getvalue()
        from matplotlib.backends.backend_pdf import FigureCanvasPdf

        FigureCanvasPdf(figure).print_figure(buffer, format="pdf", metadata={"CreationDate": None})
        return buffer.getvalue()
