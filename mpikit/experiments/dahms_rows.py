"""The rows of the tables of Dahms et al.: methods, and what was found of them in one or several trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.experiments.dahms_pieces import (
    BUDGETS,
    LIMIT,
    NOISY,
    REFERENCE,
    SINGLE,
    SUBTRACTED,
    TOGETHER,
    Trial,
    trial_piece,
)
from mpikit.experiments.experiment import Outcome, Outcomes, Piece, Plan
from mpikit.options import parse_options
from mpikit.plugins import registry

OURS, PENALTY = "wgan-sn", "wgan-gp"
POOLING = "average"
SIMPLE = (POOLING, "harmonic", "low-rank")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of all tables.

    Parameters
    ----------
    label, kind : str
        See `mpikit.experiments.Line`.
    trials : tuple of Trial
        More than one are trainings with other seeds.
    way : {"single", "together"}
        Ten outputs make an image, or ten periods an output.
    printed : bool
        The row whose figures the paper prints.
    """

    label: str
    kind: str
    trials: tuple[Trial, ...]
    way: str = SINGLE
    printed: bool = False


def rows_of(plan: Plan) -> list[Row]:
    """Return all rows of a plan, in order."""
    budget = BUDGETS[plan.scale]
    found = [
        _plain(NOISY, "noisy"),
        replace(_plain(REFERENCE, "pooled"), printed=True),
        *(_plain(method, "simple") for method in (SUBTRACTED, *SIMPLE)),
    ]
    if budget.as_printed:
        found += _network(plan, OURS, "paper", "paper", ("preset=paper", *budget.paper))
    found += _network(plan, OURS, "mpikit", "paper", budget.mpikit)
    found += _network(plan, PENALTY, "mpikit", "paper", budget.mpikit)
    found += [_plain(method, "yours") for method in strangers(plan)]
    return [*found, _plain(LIMIT, "limit")]


def strangers(plan: Plan) -> list[str]:
    """Return the methods that were asked for beside those that every table has."""
    return [method for method in plan.methods if method not in (*SIMPLE, OURS, PENALTY)]


def pieces_of(plan: Plan) -> list[Piece]:
    """Return the pieces of all three figures, what takes seconds first."""
    trials = dict.fromkeys(trial for row in rows_of(plan) for trial in row.trials)
    return [trial_piece(plan, trial) for trial in sorted(trials, key=lambda trial: trial.is_learned)]


def _plain(method: str, kind: str) -> Row:
    return Row(label=method, kind=kind, trials=(Trial(method=method, label=method),))


def _network(plan: Plan, method: str, setting: str, kind: str, parameters: tuple[str, ...]) -> list[Row]:
    """Return two rows of a network: that of single periods as in the paper, and of means of ten."""
    label = f"{method} ({setting})"
    trials = tuple(
        Trial(method=method, label=label, parameters=parameters, training=number)
        for number in range(BUDGETS[plan.scale].seeds)
    )
    single = Row(label=label, kind=kind, trials=trials, printed=method == OURS)
    return [single, Row(label=f"{label}, of the mean", kind="ours", trials=trials, way=TOGETHER)]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was found of a row: the values of each of its trainings.

    Parameters
    ----------
    row : Row
    values : sequence of mapping
        See `mpikit.experiments.dahms_pieces.judged`.
    images : shape (L, P) or None
        Of the first training.
    seconds : float or None
        Mean time that fitting took.
    """

    row: Row
    values: Sequence[Mapping[str, Any]]
    images: NDArray[np.float32] | None
    seconds: float | None

    @property
    def errors_mm(self) -> NDArray[np.float64]:
        """Position error of each sample, mean over images and trainings."""
        errors = np.array([each["errors_mm"] for each in self.values], np.float64)
        return np.asarray(errors.mean(axis=0))

    @property
    def error_mm(self) -> float:
        """Mean position error."""
        return float(self.errors_mm.mean())

    @property
    def deviation_mm(self) -> float:
        """Standard deviation of the error of an image, mean over trainings."""
        return float(np.mean([each["deviation_mm"] for each in self.values]))

    @property
    def each_error_mm(self) -> list[float]:
        """Mean position error of each training."""
        return [float(np.mean(each["errors_mm"])) for each in self.values]

    @property
    def grids_mm(self) -> NDArray[np.float64] | None:
        """Mean position error of each training over λ and sweeps; None of the limit, which makes no image."""
        grids = [each["grid_mm"] for each in self.values if "grid_mm" in each]
        return np.array(grids) if grids else None

    @property
    def spread_mm(self) -> float:
        """Standard deviation of the error over λ and sweeps, mean over trainings."""
        grids = self.grids_mm
        return float("nan") if grids is None else float(grids.std(axis=(1, 2), ddof=1).mean())

    @property
    def has_amplitudes(self) -> bool:
        """Whether the fifth harmonic was looked at."""
        return all("dose" in each for each in self.values)

    def dose(self, name: str) -> float | None:
        """Return a figure of the amplitudes, mean over trainings; None where one has none."""
        found = [each["dose"].get(name) for each in self.values]
        return None if None in found else float(np.mean(found))


def seen_of(plan: Plan, outcomes: Outcomes) -> list[Seen]:
    """Return what was found of each row that has an outcome."""
    found = []
    for row in rows_of(plan):
        known = [outcomes.get(trial_piece(plan, trial).key) for trial in row.trials]
        done = [outcome for outcome in known if outcome is not None]
        if done:
            found.append(_seen(row, done))
    return found


def _seen(row: Row, done: Sequence[Outcome]) -> Seen:
    fits = [outcome.about["fit_seconds"] for outcome in done if "fit_seconds" in outcome.about]
    return Seen(
        row=row,
        values=[outcome.values[row.way] for outcome in done],
        images=done[0].arrays.get(f"{row.way}_images"),
        seconds=float(np.mean(fits)) if fits and row.kind != "noisy" else None,
    )


def steps_of(row: Row) -> int | None:
    """Return the steps of a training at most, None where its options do not tell."""
    trial = row.trials[0]
    if not trial.is_learned:
        return None
    options = parse_options(registry().denoiser(trial.method).record, trial.parameters)
    return getattr(options, "steps", None)


def find(seen: Sequence[Seen], label: str) -> Seen | None:
    """Return what was found of the row of a label."""
    return next((each for each in seen if each.row.label == label), None)
