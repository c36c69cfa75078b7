"""Drawings of experiments, made when they are asked for: this module needs no Matplotlib until then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpikit.experiments.experiment import Drawing, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mpikit.figures_experiments import Shown


def bars(table: Table, metric: str) -> Drawing:
    """Return a drawing of one column of a table: a bar for each line, with a mark where the paper is.

    Parameters
    ----------
    table : Table
    metric : str
    """

    def draw() -> Figure:
        from mpikit.figures_experiments import draw_table

        return draw_table(table, metric)

    caption = f"{metric} of each method with 95 % intervals; crosses are what the paper prints."
    return Drawing(name=f"{table.name}-{metric.lower()}", caption=caption, draw=draw)


def gallery(
    name: str, caption: str, rows: Sequence[tuple[str, Sequence[Shown]]], headings: Sequence[str]
) -> Drawing:
    """Return a drawing of signals and images side by side, a row for each method.

    Parameters
    ----------
    name, caption : str
    rows : sequence of (str, sequence of Shown)
        Label of a row, and what it shows: signals or images; empty places are None.
    headings : sequence of str
        One for each column.
    """

    def draw() -> Figure:
        from mpikit.figures_experiments import draw_gallery

        return draw_gallery(rows, headings)

    return Drawing(name=name, caption=caption, draw=draw)
