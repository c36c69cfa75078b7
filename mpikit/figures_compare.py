"""Pictures of methods side by side, and of the course of a training.

As in `mpikit.figures` only figure and canvas objects are used, no global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpikit.figures import DOTS, plain, save_figure
from mpikit.training_log import BOUND, SECONDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mpikit.compare import Comparison, Row

MOST_PANELS = 5


def save_comparison(path: Path, comparison: Comparison, *, overwrite: bool = False) -> None:
    """Write a picture of a comparison: a bar for the gain of each method, with error bars of 95 %.

    With a clean reference the true gain is a diamond beside it. A bar of which only the least height is known
    ends in an arrow.

    Parameters
    ----------
    path : Path
        PNG file.
    comparison : Comparison
    overwrite : bool

    Raises
    ------
    InputError
        When the file exists already or cannot be written.
    """
    save_figure(path, _draw_comparison(comparison), overwrite)


def _draw_comparison(comparison: Comparison) -> Figure:
    from matplotlib.figure import Figure

    rows = [row for row in comparison.rows if not row.error]
    figure = Figure(figsize=(7, 1.4 + 0.4 * max(len(rows), 1)), dpi=DOTS, layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        _draw_bar(axes, place, row)
    labels = [f"{row.method} ({_periods(row.periods_used)})" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize="small")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set_xlabel("gain of SNR over the noisy signal / dB")
    axes.set_title(plain(comparison.name), fontsize="medium")
    axes.margins(x=0.08)
    handles, names = axes.get_legend_handles_labels()
    shown = dict(zip(names, handles, strict=True))
    if shown:
        axes.legend(shown.values(), shown.keys(), fontsize="small", loc="best")
    return figure


def _draw_bar(axes: Axes, place: int, row: Row) -> None:
    if row.gain is not None and np.isfinite(row.gain.db):
        doubt = None if row.gain.error_db is None else 1.96 * row.gain.error_db
        axes.barh(place, row.gain.db, 0.6, color="C0", alpha=0.6, label="without a reference")
        if doubt is not None:
            axes.errorbar(row.gain.db, place, xerr=doubt, color="C0", capsize=3)
        if row.gain.is_bound:
            axes.plot(row.gain.db, place, marker=">", color="C0", markersize=8)
    true = row.true
    if true is not None and np.isfinite(true.gain.mean):
        reach = [true.gain.mean - true.gain.low, true.gain.high - true.gain.mean]
        doubts = None if np.isnan(reach).any() else np.abs(np.array(reach)[:, None])
        axes.errorbar(
            true.gain.mean, place, xerr=doubts, fmt="D", color="C3", markersize=5, label="with the reference"
        )


def _periods(count: int) -> str:
    return "1 period" if count == 1 else f"{count} periods"


def save_training(
    path: Path, rows: Sequence[Mapping[str, Any]], *, title: str, overwrite: bool = False
) -> None:
    """Write a picture of a training: each of its figures over the steps, below each other.

    Parameters
    ----------
    path : Path
        PNG file.
    rows : sequence of mapping
        Of a `mpikit.training_log.TrainingLog`.
    title : str
    overwrite : bool

    Raises
    ------
    InputError
        When the file exists already or cannot be written.
    """
    save_figure(path, _draw_training(rows, title), overwrite)


def _draw_training(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    from matplotlib.figure import Figure

    about = ("step", "total", SECONDS)
    names = list(dict.fromkeys(name for row in rows for name in row if name not in about))
    names = [name for name in names if not name.endswith(BOUND)]
    names = names[:MOST_PANELS] or [SECONDS]
    figure = Figure(figsize=(6, 0.7 + 1.9 * len(names)), dpi=DOTS, layout="constrained")
    panels = figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
        axes.plot(*zip(*points, strict=True), marker=".", markersize=3, linewidth=0.9)
        marked = [row["step"] for row in rows if row.get(f"{name}{BOUND}")]
        bounds = [point for point in points if point[0] in marked]
        if bounds:
            axes.plot(*zip(*bounds, strict=True), "^", markersize=5, label="lower bound")
            axes.legend(fontsize="small")
        axes.set_ylabel(plain(name), fontsize="small")
        axes.grid(alpha=0.3)
    panels[0].set_title(plain(title), fontsize="medium")
    panels[-1].set_xlabel("step")
    return figure
