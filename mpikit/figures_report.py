"""Drawings of a report: signals and images before and after on one scale, and what was taken away.

As in `mpikit.figures` only figure and canvas objects are used, no global state. All figures are narrow, so
that they can be read on a small screen.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.figures import COLOURS, DOTS, draw_view, plain, views_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[Any]

WIDTH = 5.2  # inches
BEFORE, AFTER, NOISE = "0.6", "C0", "C1"
DIFFERENCES = "RdBu_r"
MOST_POINTS = 500  # of a curve, pairs of lowest and highest value
MOST_CHANNELS = 4


def thinned(at: Values, values: Values) -> tuple[Values, Values]:
    """Return a curve of shape (n,) that looks the same with fewer points: the ends of each short stretch."""
    size = len(values) // MOST_POINTS
    if size < 3:  # two of three points are hardly fewer
        return at, values
    rows = len(values) // size
    cut = values[: rows * size].reshape(rows, size)
    ends = np.sort(np.stack([cut.argmin(axis=1), cut.argmax(axis=1)], axis=1), axis=1)
    index = (ends + size * np.arange(rows)[:, None]).ravel()
    index = np.unique(np.concatenate([index, np.arange(rows * size, len(values))]))
    return at[index], values[index]


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 0.7 + height * count), dpi=DOTS, layout="constrained")
    panels = list(figure.subplots(count, 1, squeeze=False, sharex=True, sharey=True)[:, 0])
    return figure, panels


def _channel_title(axes: Axes, channel: int, channels: int) -> None:
    if channels > 1:
        axes.set_title(f"receive channel {channel}", fontsize="small", loc="left")


def _legend_below(figure: Figure, axes: Axes) -> None:
    """Say what is what outside of the panels, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, fontsize="small", loc="outside lower center", ncols=len(labels))


def draw_spectra(
    frequencies: Values,
    amplitudes: Sequence[tuple[str, Values]],
    *,
    unit: str,
    marked: Values | None = None,
) -> Figure:
    """Draw amplitude spectra over each other, a panel for each channel, all on one scale.

    Parameters
    ----------
    frequencies : shape (K,), Hz
    amplitudes : sequence of (str, shape (C, K))
        What it is called, and the amplitude of each line, ``unit``; at most two.
    unit : str
    marked : shape (C, K), optional
        Lines to mark: those that stand out of the noise.
    """
    channels = min(len(amplitudes[0][1]), MOST_CHANNELS)
    figure, panels = _panels(channels, 1.9)
    colours = (BEFORE, AFTER) if len(amplitudes) > 1 else (AFTER,)
    for channel, axes in enumerate(panels):
        for colour, (label, each) in zip(colours, amplitudes, strict=True):
            at, level = thinned(frequencies / 1e3, each[channel])
            axes.plot(at, level, color=colour, linewidth=0.7, label=label)
        if marked is not None and marked[channel].any():
            at = frequencies[marked[channel]] / 1e3
            axes.plot(
                *thinned(at, amplitudes[-1][1][channel][marked[channel]]),
                ".",
                color="C3",
                markersize=3,
                label="stand out of the noise",
            )
        _channel_title(axes, channel, channels)
        axes.set_ylabel(f"amplitude / {plain(unit)}")
        axes.grid(alpha=0.3)
    log_scale(panels[0], [each for _, each in amplitudes])
    panels[0].margins(x=0.01)
    panels[-1].set_xlabel("frequency / kHz")
    _legend_below(figure, panels[0])
    return figure


def log_scale(axes: Axes, values: Sequence[Values], *, most: float = 1e7) -> None:
    """Make a logarithmic scale of all positive values; a curve falls to its lower end where it is zero.

    ``most`` is the largest ratio of its ends: what is smaller yet is rounding.
    """
    positive = [each[each > 0] for each in values if np.any(each > 0)]
    if not positive:  # nothing but zero has no place on such a scale
        return
    axes.set_yscale("log", nonpositive="clip")
    high = max(float(each.max()) for each in positive)
    low = max(min(float(each.min()) for each in positive), high / most)
    room = max(high / low, 10.0) ** 0.07
    axes.set_ylim(low / room, high * room)


def draw_times(
    sampling_rate: float, signals: Sequence[tuple[str, Values]], *, unit: str, title: str = ""
) -> Figure:
    """Draw one period of signals over each other, a panel for each channel, all on one scale.

    Parameters
    ----------
    sampling_rate : float, Hz
    signals : sequence of (str, shape (C, V))
        At most two.
    unit, title : str
    """
    channels = min(len(signals[0][1]), MOST_CHANNELS)
    figure, panels = _panels(channels, 1.9)
    colours = (BEFORE, AFTER) if len(signals) > 1 else (AFTER,)
    for channel, axes in enumerate(panels):
        for colour, (label, each) in zip(colours, signals, strict=True):
            times = 1e3 * np.arange(each.shape[-1]) / sampling_rate
            at, level = thinned(times, each[channel])
            axes.plot(at, level, color=colour, linewidth=0.8, label=label)
        _channel_title(axes, channel, channels)
        axes.set_ylabel(f"signal / {plain(unit)}")
        axes.grid(alpha=0.3)
    if title:
        figure.suptitle(plain(title), fontsize="medium")
    panels[0].margins(x=0.01)
    panels[-1].set_xlabel("time / ms")
    _legend_below(figure, panels[0])
    return figure


def draw_residual(
    frequencies: Values, residual: Values, noise: Values | None, *, unit: str, whence: str = ""
) -> Figure:
    """Draw the spectrum of what was taken away, beside the noise: they agree where nothing else was taken.

    Parameters
    ----------
    frequencies : shape (K,), Hz
    residual : shape (C, K), ``unit``
        Root of the mean squared amplitude.
    noise : shape (C, K), optional, ``unit``
    unit : str
    whence : str
        What the noise was measured from.
    """
    channels = min(len(residual), MOST_CHANNELS)
    figure, panels = _panels(channels, 1.9)
    for channel, axes in enumerate(panels):
        at, level = thinned(frequencies / 1e3, residual[channel])
        axes.plot(at, level, color=AFTER, linewidth=0.7, label="taken away")
        if noise is not None:
            at, level = thinned(frequencies / 1e3, noise[channel])
            axes.plot(at, level, color=NOISE, linewidth=0.9, label=f"noise, from {whence}")
        _channel_title(axes, channel, channels)
        axes.set_ylabel(f"amplitude / {plain(unit)}")
        axes.grid(alpha=0.3)
    log_scale(panels[0], [residual] if noise is None else [residual, noise], most=1e3)
    panels[0].margins(x=0.01)
    panels[-1].set_xlabel("frequency / kHz")
    _legend_below(figure, panels[0])
    return figure


def draw_harmonics(frequencies: Values, decibels: Sequence[tuple[str, Values]]) -> Figure:
    """Draw the SNR of each line that stands out of the noise, a panel for each channel.

    Parameters
    ----------
    frequencies : shape (K,), Hz
    decibels : sequence of (str, shape (C, K))
        NaN where there is nothing to say; at most two, of which the second one is after.
    """
    channels = min(len(decibels[0][1]), MOST_CHANNELS)
    figure, panels = _panels(channels, 1.7)
    looks = ((BEFORE, "o"), (AFTER, "D")) if len(decibels) > 1 else ((AFTER, "o"),)
    for channel, axes in enumerate(panels):
        for (colour, marker), (label, each) in zip(looks, decibels, strict=True):
            axes.plot(
                frequencies / 1e3,
                each[channel],
                marker,
                color=colour,
                markersize=3.5,
                label=label,
            )
        if len(decibels) > 1:
            low, high = decibels[0][1][channel], decibels[1][1][channel]
            both = np.isfinite(low) & np.isfinite(high)
            axes.vlines(frequencies[both] / 1e3, low[both], high[both], color=AFTER, linewidth=0.6, alpha=0.5)
        _channel_title(axes, channel, channels)
        axes.set_ylabel("SNR / dB")
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("frequency / kHz")
    _legend_below(figure, panels[0])
    return figure


def draw_images(rows: Sequence[tuple[str, Values]], grid: Grid, *, unit: str) -> Figure:
    """Draw images on one scale, beside each other; volumes as columns of three maximum projections.

    Parameters
    ----------
    rows : sequence of (str, shape (z, y, x))
        Title and image.
    grid : mdf.Grid
    unit : str
    """
    low = min(0.0, *(float(np.nanmin(image)) for _, image in rows))
    high = max(float(np.nanmax(image)) for _, image in rows)
    limits = (low, high if high > low else low + 1.0)
    return _image_panels(rows, grid, unit=unit, limits=limits, colours=COLOURS)


def draw_difference(title: str, difference: Values, grid: Grid, *, unit: str) -> Figure:
    """Draw the difference of two images (z, y, x), zero in white; of a volume the layers where it is largest.

    Parameters
    ----------
    title : str
    difference : shape (z, y, x)
    grid : mdf.Grid
    unit : str
    """
    most = float(np.nanmax(np.abs(difference))) or 1.0
    rows = [(title, difference)]
    return _image_panels(rows, grid, unit=unit, limits=(-most, most), colours=DIFFERENCES)


def _image_panels(
    rows: Sequence[tuple[str, Values]],
    grid: Grid,
    *,
    unit: str,
    limits: tuple[float, float],
    colours: str,
) -> Figure:
    from matplotlib.figure import Figure

    views = views_of(grid)
    volume = len(views) > 1
    columns = len(rows) if volume else min(len(rows), 2)
    lines = len(views) if volume else -(-len(rows) // columns)
    width = WIDTH if columns > 1 else 0.65 * WIDTH
    panel = (width - 1.0) / columns - 0.6
    heights = [_height(grid, view) for view in views] if volume else [_height(grid, views[0])] * lines
    size = (width, 0.3 + sum(0.5 + height * panel for height in heights))
    figure = Figure(figsize=size, dpi=DOTS, layout="compressed")
    panels = figure.subplots(lines, columns, squeeze=False, height_ratios=heights)
    groups = panels.T if volume else panels.reshape(-1, 1)
    drawn = None
    for group, (title, image) in zip(groups, rows, strict=False):
        for axes, view in zip(group, views, strict=True):
            drawn = _draw_one(axes, image, grid, view, limits, unit, colours)
            axes.tick_params(labelsize="x-small")
        group[0].set_title(plain(title), fontsize="medium", loc="left")
    for axes in groups[len(rows) :].ravel():
        axes.set_axis_off()
    if drawn is not None:
        figure.colorbar(drawn, ax=panels, label=plain(unit), shrink=0.9)
    return figure


def _height(grid: Grid, view: tuple[int, int]) -> float:
    """Height of a panel over its width; of a line that of a curve."""
    right, up = view
    sides = 1e3 * grid.field_of_view
    if right == up or not sides[right] > 0:
        return 0.7
    return float(np.clip(sides[up] / sides[right], 0.2, 2.0))


def _draw_one(
    axes: Axes,
    image: Values,
    grid: Grid,
    view: tuple[int, int],
    limits: tuple[float, float],
    unit: str,
    colours: str,
) -> Any:
    right, up = view
    if right == up:
        return draw_view(axes, image, grid, view, limits, plain(unit))
    shown = image
    if colours == DIFFERENCES:  # a maximum would hide what became less
        axis = 2 - (3 - right - up)
        place = np.expand_dims(np.abs(image).argmax(axis=axis), axis)
        shown = np.take_along_axis(image, place, axis=axis)
    drawn = draw_view(axes, shown, grid, view, limits, unit)
    drawn.set_cmap(colours)
    return drawn


def draw_training(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw the course of a training, see `mpikit.figures_compare.save_training`."""
    from mpikit.figures_compare import _draw_training

    return _draw_training(rows, plain(title))


def embedded_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element for a page, in the colours of the page.

    What is black takes the colour of the text, what is white that of the paper. Names inside start with
    ``name``, for several figures stand on one page.

    Parameters
    ----------
    figure : Figure
    name : str
        Letters, digits and dashes.
    """
    from mpikit.figures_experiments import as_svg

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        text = as_svg(figure).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"\b(id=\"|xlink:href=\"#|url\(#)", rf"\g<1>{name}-", text)
    for black in ("#000000", "black"):
        text = text.replace(f"stroke: {black}", "stroke: currentColor")
        text = text.replace(f"fill: {black}", "fill: currentColor")
    text = text.replace("fill: #ffffff", "fill: var(--paper)")
    return re.sub(r"\n\s*", "\n", text).strip()
