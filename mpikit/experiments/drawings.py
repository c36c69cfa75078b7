"""Drawings of experiments, made when they are asked for: this module needs no Matplotlib until then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

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


def amplitude_panels(
    name: str,
    caption: str,
    panels: Sequence[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]],
    levels: NDArray[Any],
) -> Drawing:
    """Return a drawing of amplitudes over concentration, a panel for each method.

    Parameters
    ----------
    name, caption : str
    panels : sequence of (str, ndarray, ndarray, ndarray)
        Label of a method, and at each concentration projected amplitude, its deviation and the magnitude, V.
    levels : shape (L,), µg/mL
    """

    def draw() -> Figure:
        from mpikit.figures_experiments import draw_amplitudes

        return draw_amplitudes(panels, levels)

    return Drawing(name=name, caption=caption, draw=draw)


def profiles(
    name: str,
    caption: str,
    columns: Sequence[tuple[str, NDArray[Any]]],
    rows: Sequence[str],
    *,
    place: NDArray[Any],
    true: float,
) -> Drawing:
    """Return a drawing of one-dimensional images, a column for each method and a row for each sample.

    Parameters
    ----------
    name, caption : str
    columns : sequence of (str, ndarray)
        Label of a method, and its images (L, P).
    rows : sequence of str
        L labels.
    place : shape (P,), mm
    true : float, mm
        Where the sample is.
    """

    def draw() -> Figure:
        from mpikit.figures_experiments import draw_profiles

        return draw_profiles(columns, rows, place=place, true=true)

    return Drawing(name=name, caption=caption, draw=draw)


def maps(
    name: str,
    caption: str,
    tables: Sequence[tuple[str, NDArray[Any]]],
    sweeps: Sequence[int],
    lambdas: Sequence[float],
) -> Drawing:
    """Return a drawing of the position error over settings, a map for each method, all with one scale.

    Parameters
    ----------
    name, caption : str
    tables : sequence of (str, ndarray)
        Label of a method, and errors in mm (λ, sweeps).
    sweeps : sequence of int
    lambdas : sequence of float
    """

    def draw() -> Figure:
        from mpikit.figures_experiments import draw_maps

        return draw_maps(tables, sweeps, lambdas)

    return Drawing(name=name, caption=caption, draw=draw)
