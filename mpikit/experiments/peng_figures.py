"""Figures 3 and 4 of Peng et al.: one phantom, noisy, clean and denoised."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from mpikit.experiments.drawings import gallery
from mpikit.experiments.experiment import (
    Drawing,
    Experiment,
    Findings,
    Line,
    Metric,
    Outcome,
    Outcomes,
    Piece,
    Plan,
    Table,
    mean_cell,
)
from mpikit.experiments.notes import PENG_CHOICES, PENG_MISPRINTS
from mpikit.experiments.peng_concentration import DATASET, cached_measurement, real_piece
from mpikit.experiments.peng_pieces import BUDGETS, NOISY, Trial, known, trial_piece
from mpikit.experiments.peng_tables import LEARNED, is_as_printed, our_trial, paper_trial, strangers
from mpikit.experiments.published_peng import FIVE_DB, PAPER, TABLE_III, NoiseType
from mpikit.figures_experiments import ImageShown, Shown, SignalShown
from mpikit.plugins import registry

BEST_SIMPLE = "low-rank"  # shown beside the networks


def shown_trials(plan: Plan, noise: NoiseType) -> list[Trial]:
    """Return the rows of a figure: noisy, the methods of the paper, a simple one, and the user's own."""
    make = partial(paper_trial, plan, noise) if is_as_printed(plan, noise) else partial(our_trial, plan)
    return [
        Trial(method=NOISY, label=NOISY, kind="noisy"),
        *(make(method) for method in LEARNED),
        *([our_trial(plan, "unet-gd")] if is_as_printed(plan, noise) else []),
        Trial(method=BEST_SIMPLE, label=BEST_SIMPLE, kind="simple"),
        *(Trial(method=method, label=method, kind="yours") for method in strangers(plan)),
    ]


def figure_pieces(plan: Plan, noise: NoiseType) -> list[Piece]:
    """Return the pieces of a figure; they are those of the table with the same noise."""
    return [trial_piece(plan, noise, trial) for trial in shown_trials(plan, noise)]


def figure4_pieces(plan: Plan) -> list[Piece]:
    """Return the pieces of figure 4, with those of the real measurement when it is there."""
    return [*figure_pieces(plan, TABLE_III), *_real_pieces(plan)]


def _real_pieces(plan: Plan) -> list[Piece]:
    path = cached_measurement()
    if path is None:
        return []
    more = BUDGETS[plan.scale].mpikit if plan.scale == "smoke" else ()
    found = []
    for method in (*LEARNED, BEST_SIMPLE, *strangers(plan)):
        learned = registry().denoiser(method).record.learned and method in LEARNED
        found.append(real_piece(plan, path, method, more if learned else ()))
    return found


def join_figure3(plan: Plan, outcomes: Outcomes) -> Findings:
    """Return figure 3: signal and image of one test phantom."""
    found = _found(plan, outcomes, FIVE_DB)
    rows = _rows(found, ("signal", "image"))
    caption = f"One test phantom, {FIVE_DB.name}: signal of one period and x-space image."
    return Findings(drawings=_gallery("peng-figure3", caption, rows, ("signal", "x-space image")))


def join_figure4(plan: Plan, outcomes: Outcomes) -> Findings:
    """Return figure 4: signal and image of one phantom, and the concentration phantom, simulated and real."""
    found = _found(plan, outcomes, TABLE_III)
    rows = _rows(found, ("signal", "image", "concentration"))
    caption = (
        "One test phantom in the scanner of OpenMPIData, and the concentration phantom, simulated there and "
        "denoised by what was learned from digits; receive channel x."
    )
    headings = ("signal", "x-space image", "concentration phantom")
    lines = [
        Line(
            group="concentration phantom, simulated",
            label=trial.label,
            kind=trial.kind,
            cells={"SNR": mean_cell(known(outcome.values["concentration_snr"]))},
            seconds=None if trial.method == NOISY else outcome.about["fit_seconds"],
        )
        for trial, outcome in found
    ]
    real, drawings, remarks = _real(plan, outcomes)
    table = Table(
        name="peng-figure4",
        title="Concentration phantom of OpenMPIData",
        group="measurement",
        metrics=(Metric("SNR", "dB"),),
        lines=(*lines, *real),
    )
    return Findings(
        tables=(table,),
        drawings=(*_gallery("peng-figure4", caption, rows, headings), *drawings),
        remarks=tuple(remarks),
    )


def _found(plan: Plan, outcomes: Outcomes, noise: NoiseType) -> list[tuple[Trial, Outcome]]:
    pairs = [
        (trial, outcomes.get(trial_piece(plan, noise, trial).key)) for trial in shown_trials(plan, noise)
    ]
    return [(trial, outcome) for trial, outcome in pairs if outcome is not None]


def _rows(found: Sequence[tuple[Trial, Outcome]], columns: Sequence[str]) -> list[tuple[str, list[Shown]]]:
    """Return the rows of a figure: first the clean signal, which the noisy piece keeps."""
    rows = []
    for trial, outcome in found:
        if trial.method == NOISY:
            rows.append(("clean", [_shown(outcome, f"clean_{name}", name) for name in columns]))
        rows.append((trial.label, [_shown(outcome, name, name) for name in columns]))
    return rows


def _shown(outcome: Outcome, name: str, column: str) -> Shown:
    if column == "image":
        return ImageShown(outcome.arrays[name], outcome.arrays["extent_mm"])
    return SignalShown(outcome.arrays[name][0])


def _gallery(
    name: str, caption: str, rows: Sequence[tuple[str, Sequence[Shown]]], headings: Sequence[str]
) -> tuple[Drawing, ...]:
    return (gallery(name, caption, rows, headings),) if rows else ()


def _real(plan: Plan, outcomes: Outcomes) -> tuple[list[Line], list[Drawing], list[str]]:
    """Return lines, drawing and remarks of the real measurement; a remark when it is not there."""
    pieces = _real_pieces(plan)
    if not pieces:
        return (
            [],
            [],
            [
                f"The real measurement of the concentration phantom is not on this machine: mpikit "
                f"datasets fetch {DATASET} gets it, and the same command shows it then."
            ],
        )
    found = [(piece, outcomes[piece.key]) for piece in pieces if piece.key in outcomes]
    lines = []
    rows: list[tuple[str, list[Shown]]] = []
    for piece, outcome in found:
        method = str(piece.settings["method"])
        if not rows:
            rows.append(("mean of all frames", [_real_signal(outcome, "mean")]))
            rows.append(("one frame", [_real_signal(outcome, "noisy")]))
            lines.append(_real_line(NOISY, "noisy", outcome.values["before_snr_db"]))
        rows.append((method, [_real_signal(outcome, "signal")]))
        kind = "yours" if method in strangers(plan) else "paper" if method in LEARNED else "simple"
        lines.append(_real_line(method, kind, outcome.values["after_snr_db"]))
    caption = (
        f"{DATASET}: one measured frame, denoised by methods that were fitted to this file alone; channel x."
    )
    remark = (
        "On the real measurement there is no clean signal: its SNR is measured by repeats that took no "
        "part. The paper does not say which sequence of the concentration phantom its third column shows."
    )
    return lines, list(_gallery("peng-figure4-measured", caption, rows, ("signal",))), [remark]


def _real_line(label: str, kind: str, value: float | None) -> Line:
    known_value = None if value is None or not np.isfinite(value) else float(value)
    cell: Any = {"SNR": mean_cell([known_value])} if known_value is not None else {"SNR": mean_cell([])}
    return Line(group="concentration phantom, measured", label=label, kind=kind, cells=cell)


def _real_signal(outcome: Outcome, name: str) -> SignalShown:
    return SignalShown(outcome.arrays[name][0])


FIGURE3 = Experiment(
    name="peng-figure3",
    title="One phantom: signals and images, noisy, clean and denoised",
    paper=PAPER,
    source="Figure 3",
    pieces=partial(figure_pieces, noise=FIVE_DB),
    join=join_figure3,
    open_choices=PENG_CHOICES,
    misprints=PENG_MISPRINTS,
)
FIGURE4 = Experiment(
    name="peng-figure4",
    title="One phantom in the scanner of OpenMPIData, and the concentration phantom",
    paper=PAPER,
    source="Figure 4",
    pieces=figure4_pieces,
    join=join_figure4,
    open_choices=PENG_CHOICES,
    misprints=PENG_MISPRINTS,
)
