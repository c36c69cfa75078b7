"""Pictures that the commands write: images with axes in mm, the noise of a scan, the choice of λ.

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
from mpikit.made_here import software
from mpikit.signal.noise import line_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mpikit.noise_report import NoiseReport
    from mpikit.noise_report.locked import Background
    from mpikit.reconstruct.choosing import Choice

Values = NDArray[Any]

MOST_PANELS = 9
MOST_IN_ROW = 4
PANEL = 2.6  # inches
DOTS = 100  # per inch
COLOURS = "viridis"
LONGEST = 1000  # letters of a text; a file may hold millions where a unit should be


def plain(text: str) -> str:
    """Return a text from a file so that Matplotlib finds no mathematics in it, and takes no minutes."""
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    shown = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in short)
    return shown.replace("$", r"\$")


def save_images(
    path: Path,
    images: Values,
    grid: Grid,
    *,
    unit: str,
    frames: Sequence[int] = (),
    tracers: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write a picture of some images: one panel each, up to nine that are chosen evenly.

    A plane is shown as it is, a volume as its maximum-intensity projections along z, y and x, a line as a
    curve. Axes are in mm with x to the right and y up; voxel faces end the axes. Several tracers have a row
    each (of volumes one for each image), with up to four images and one colour scale.

    Parameters
    ----------
    path : Path
        PNG file.
    images : shape (Q, z, y, x), or (Q, S, z, y, x) of several tracers, ``unit``
    grid : mdf.Grid
    unit : str
        Written at the colour bar.
    frames : sequence of int
        Number of the frame of each image, for the titles.
    tracers : sequence of S str
        Names of several tracers, for the titles.
    overwrite : bool

    Raises
    ------
    InputError
        When the file exists already or cannot be written.
    """
    chosen = _evenly(len(images), MOST_IN_ROW if tracers else MOST_PANELS)
    channels = [images[:, index] for index in range(len(tracers))] if tracers else [images]
    times = [f"frame {frames[index]}" if len(frames) else "" for index in chosen]
    titles = ["\n".join(filter(None, (name, time))) for name in tracers or [""] for time in times]
    columns = len(chosen) if tracers and len(views_of(grid)) == 1 else _columns(len(chosen), grid)
    panels = [channel[index] for channel in channels for index in chosen]
    save_figure(path, _draw(panels, grid, titles, unit, columns), overwrite)


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
    save_figure(path, _draw(images, grid, titles, unit, columns=len(images)), overwrite)


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def views_of(grid: Grid) -> list[tuple[int, int]]:
    """Axes (right, up) of the projections of one image; for a line, its axis twice."""
    long = [axis for axis in range(3) if grid.size[axis] > 1]
    if len(long) <= 1:
        axis = long[0] if long else 0
        return [(axis, axis)]
    return [(0, 1), (0, 2), (1, 2)] if len(long) == 3 else [(long[0], long[1])]


def _columns(images: int, grid: Grid) -> int:
    """Images in a row: of volumes one, as each has three projections."""
    return 1 if len(views_of(grid)) == 3 else int(np.ceil(np.sqrt(images)))


def _draw(images: Sequence[Values], grid: Grid, titles: Sequence[str], unit: str, columns: int) -> Figure:
    from matplotlib.figure import Figure

    views = views_of(grid)
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
            drawn = draw_view(each, image, grid, view, limits, unit)
        words = (title, "maximum projections") if len(views) == 3 else (title,)
        panel[0].set_title(plain(", ".join(word for word in words if word)), fontsize="medium")
    for panel in panels[len(images) :]:
        for each in panel:
            each.set_axis_off()
    _keep_outer_labels(panels[: len(images)], columns)
    if drawn is not None:
        figure.colorbar(drawn, ax=axes, label=plain(unit), shrink=0.9)
    return figure


def _keep_outer_labels(panels: NDArray[Any], columns: int) -> None:
    """Label the lowest panel of each column, and the first of each row: the others have the same axes.

    Texts take most of the time of a picture.
    """
    for index, panel in enumerate(panels):
        for each in panel:
            if index + columns < len(panels):
                each.tick_params(labelbottom=False)
                each.set_xlabel("")
            if index % columns:
                each.tick_params(labelleft=False)
                each.set_ylabel("")


def draw_view(
    axes: Axes, image: Values, grid: Grid, view: tuple[int, int], limits: tuple[float, float], unit: str
) -> Any:
    """Draw the maximum projection of an image (z, y, x) onto two axes, or a line; return what has colours."""
    right, up = view
    extent = grid.extent_mm
    axes.set_xlabel(f"{'xyz'[right]} / mm")
    if right == up:
        low, high = extent[right]
        faces = np.linspace(low, high, int(grid.size[right]) + 1)
        axes.plot((faces[1:] + faces[:-1]) / 2, image.ravel(), marker=".")
        axes.set_xlim(low, high)
        axes.set_ylim(limits[0], limits[0] + 1.05 * (limits[1] - limits[0]))
        axes.set_ylabel(plain(unit))
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


def save_figure(path: Path, figure: Figure, overwrite: bool) -> None:
    """Write a figure as a PNG file that is complete or absent."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", metadata={"Software": software()})
    write_atomically(path, buffer.getvalue(), overwrite=overwrite)


def save_noise(path: Path, report: NoiseReport, *, overwrite: bool = False) -> None:
    """Write a picture of the noise of a scan: its spectrum, the phase-locked lines and their drift.

    The first panel has the random part with its 95 % confidence band in each channel, and a mark for each
    phase-locked line. Without any the other two are left out.

    Parameters
    ----------
    path : Path
        PNG file.
    report : NoiseReport
    overwrite : bool

    Raises
    ------
    InputError
        When the file exists already or cannot be written.
    """
    save_figure(path, _draw_noise(report), overwrite)


def _draw_noise(report: NoiseReport) -> Figure:
    from matplotlib.figure import Figure

    background = report.background if report.background and report.background.lines else None
    rows = 1 if background is None else 3
    figure = Figure(figsize=(9, 0.4 + 3 * rows), dpi=DOTS, layout="constrained")
    panels = figure.subplots(rows, 1, squeeze=False)[:, 0]
    figure.suptitle(plain(f"noise of {report.name}, from {report.frames} {report.source}"), fontsize="medium")
    _draw_spectrum(panels[0], report)
    if background is not None:
        _draw_courses(panels[1], background)
        _draw_lines(panels[2], report, background)
        panels[0].sharex(panels[2])
    return figure


def _draw_spectrum(axes: Axes, report: NoiseReport) -> None:
    spectrum = report.spectrum
    shown = report.stored_lines & (line_weights(report.samples) == 2)
    at = report.frequencies[shown] / 1e3
    level = report.density(spectrum.power)
    low, high = report.density(spectrum.interval())
    for channel in range(report.channels):
        colour = f"C{channel}"
        axes.fill_between(
            at, low[channel, shown], high[channel, shown], color=colour, alpha=0.25, linewidth=0
        )
        axes.plot(at, level[channel, shown], color=colour, linewidth=0.8, label=f"channel {channel}")
        if report.background is not None:
            locked = report.frequencies[report.background.mask[channel]] / 1e3
            height = np.full(len(locked), 0.98 - 0.04 * channel)
            axes.plot(locked, height, "|", color=colour, markersize=6, transform=axes.get_xaxis_transform())
    few = f"running median over {spectrum.window} lines" if spectrum.window > 1 else "each line by itself"
    marks = ""
    if report.background is not None:
        marks = "; marks: phase-locked lines" if report.background.lines else "; no line is locked in phase"
    axes.set_title(f"random part with 95 % confidence band, {few}{marks}", fontsize="small")
    axes.set_yscale("log")
    axes.margins(x=0.01, y=0.25)
    axes.set_xlabel("frequency / kHz")
    axes.set_ylabel(f"noise / ({plain(report.unit)}/√Hz)")
    axes.legend(fontsize="small", ncols=report.channels, loc="lower right")


def _draw_courses(axes: Axes, background: Background) -> None:
    for course in background.courses:
        axes.errorbar(
            course.places,
            100 * (course.amplitude - 1),
            yerr=100 * course.error,
            marker=".",
            linewidth=0.8,
            label=f"channel {course.channel}, {course.frequency / 1e3:.4g} kHz",
        )
    axes.set_title(
        "strongest phase-locked lines over time; bars: what noise alone explains (95 %)", fontsize="small"
    )
    axes.set_xlabel("frame, in the order of acquisition")
    axes.set_ylabel("change of amplitude / %")
    axes.legend(fontsize="small")


def _draw_lines(axes: Axes, report: NoiseReport, background: Background) -> None:
    axes.set_title("amplitude of the phase-locked lines", fontsize="small")
    axes.set_xlabel("frequency / kHz")
    axes.set_ylabel(f"amplitude / {plain(report.unit)}")
    amplitudes = np.array([line.amplitude for line in background.lines])
    floor = amplitudes.min() / 2
    for channel in range(report.channels):
        lines = [line for line in background.lines if line.channel == channel]
        at = [line.frequency / 1e3 for line in lines]
        heights = [line.amplitude for line in lines]
        axes.vlines(at, floor, heights, color=f"C{channel}", linewidth=0.8, alpha=0.6)
        axes.plot(at, heights, ".", color=f"C{channel}", markersize=4, label=f"channel {channel}")
    axes.set_yscale("log")
    axes.set_ylim(bottom=floor)
    axes.legend(fontsize="small", ncols=report.channels, loc="upper right")


def save_choice(path: Path, choice: Choice, *, overwrite: bool = False) -> None:
    """Write a picture of how λ was chosen: the curve of the criterion over all candidates, and the chosen λ.

    The L-curve has solution norm over residual norm, the other criteria what they look at over relative λ.
    All axes are logarithmic.

    Parameters
    ----------
    path : Path
        PNG file.
    choice : Choice
    overwrite : bool

    Raises
    ------
    InputError
        When the file exists already or cannot be written.
    """
    save_figure(path, draw_choice(choice), overwrite)


def draw_choice(choice: Choice) -> Figure:
    """Draw how λ was chosen, see `save_choice`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=DOTS, layout="constrained")
    axes = figure.subplots()
    curve = choice.curve
    at: Values = curve.lambdas
    place = choice.relative
    if choice.criterion == "gcv":
        heights, label = curve.cross_validation, "cross-validation n ||W (S c - u)||² / freedom²"
    elif choice.criterion == "discrepancy":
        heights, label = curve.residuals, "residual norm ||W (S c - u)||"
        if choice.target is not None:
            axes.axhline(choice.target, color="C1", linestyle="--", label="norm of the noise")
    else:
        at, place = curve.residuals, _along(curve.lambdas, curve.residuals, choice.relative)
        heights, label = curve.solutions, "solution norm ||c||"
    height = _along(curve.lambdas, heights, choice.relative)
    axes.loglog(at, heights, marker=".", markersize=4, linewidth=0.8, color="C0")
    marked = f"relative lambda {choice.relative:.3g}"
    axes.loglog([place], [height], "o", markersize=9, fillstyle="none", color="C3", label=marked)
    across = "residual norm ||W (S c - u)||" if choice.criterion == "l-curve" else "relative lambda"
    axes.set_xlabel(across)
    axes.set_ylabel(label)
    axes.set_title(f"lambda by {choice.criterion}", fontsize="medium")
    axes.tick_params(axis="x", which="both", labelsize="small", labelrotation=30)
    axes.legend(fontsize="small")
    return figure


def _along(lambdas: Values, values: Values, relative: float) -> float:
    """Value at the chosen λ, on the straight line that is drawn between two candidates."""
    return float(np.exp(np.interp(np.log(relative), np.log(lambdas), np.log(values))))
