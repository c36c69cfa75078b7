"""Tables II, III and IV of Peng et al."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mpikit.experiments.experiment import (
    Cell,
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
from mpikit.experiments.peng_pieces import (
    AUTO,
    BUDGETS,
    NOISY,
    ORACLE,
    Trial,
    is_learned,
    known,
    level_piece,
    trial_piece,
    with_alpha,
)
from mpikit.experiments.peng_remarks import (
    ablation_remarks,
    below_the_paper,
    comparison_remarks,
    prior_remarks,
)
from mpikit.experiments.published_peng import (
    ABLATION,
    ALPHA,
    BETA,
    FIVE_DB,
    PAPER,
    TABLE_II,
    TABLE_III,
    NoiseType,
    Printed,
)
from mpikit.options import parse_options
from mpikit.plugins import registry

LEARNED = ("n2n", "r2r", "unet-gd")
SIMPLE = ("symmetry", "savgol", "wavelet", "harmonic", "wiener", "low-rank", "sure")
OURS = ("harmonic-n2n", AUTO)
POOLED = "average"  # of both periods of a signal: what the second one is worth
PAPER_NETWORK, OUR_NETWORK = "paper", "mpikit"


def paper_trial(plan: Plan, noise: NoiseType, method: str, label: str = "", *more: str) -> Trial:
    """Return a method of the paper as printed, in the time of a scale."""
    budget = BUDGETS[plan.scale]
    parameters = ("preset=paper", *budget.paper, *more)
    if method == "unet-gd" and not more:
        parameters = with_alpha(noise, parameters)
    if method == "r2r" and budget.draws is not None:
        parameters = (*parameters, f"draws={budget.draws}")
    return Trial(method=method, label=label or f"{method} (paper)", kind="paper", parameters=parameters)


def our_trial(plan: Plan, method: str, label: str = "", *more: str) -> Trial:
    """Return a method of the paper in our setting, in the time of a scale."""
    parameters = (*BUDGETS[plan.scale].mpikit, *more)
    return Trial(method=method, label=label or f"{method} (mpikit)", kind="paper", parameters=parameters)


def trials(plan: Plan, noise: NoiseType, *, as_printed: bool) -> list[Trial]:
    """Return all lines of Table II or III for one type of noise.

    Parameters
    ----------
    plan : Plan
    noise : NoiseType
    as_printed : bool
        Train the networks of the paper as printed, too.
    """
    found = [Trial(method=NOISY, label=NOISY, kind="noisy")]
    if as_printed:
        found += [paper_trial(plan, noise, method) for method in LEARNED]
    found += [our_trial(plan, method) for method in LEARNED]
    # the noise of these signals goes with the size of each, and r2r takes it for one unless it is told
    found += [our_trial(plan, "r2r", "r2r (mpikit, level=period)", "level=period")]
    found += [Trial(method=method, label=method, kind="simple") for method in SIMPLE]
    found += [Trial(method=POOLED, label="average of both periods", kind="pooled")]
    found += [Trial(method=method, label=method, kind="ours") for method in OURS]
    found += [Trial(method=method, label=method, kind="yours") for method in strangers(plan)]
    return [*found, Trial(method=ORACLE, label="oracle linear", kind="limit")]


def strangers(plan: Plan) -> list[str]:
    """Return the methods that were asked for beside those that every table has."""
    return [method for method in plan.methods if method not in (*LEARNED, *SIMPLE, POOLED, *OURS)]


def is_as_printed(plan: Plan, noise: NoiseType) -> bool:
    """Whether the networks of the paper are trained as printed: what takes longest."""
    return plan.scale == "full" or noise is FIVE_DB


def comparison_pieces(plan: Plan, types: Sequence[NoiseType]) -> list[Piece]:
    """Return the pieces of Table II or III."""
    found = [level_piece(plan, types[0].preset)]
    for noise in types:
        lines = trials(plan, noise, as_printed=is_as_printed(plan, noise))
        found += [trial_piece(plan, noise, trial) for trial in _simple_first(lines)]
    return found


def _simple_first(lines: Sequence[Trial]) -> list[Trial]:
    """Do what takes seconds before what takes minutes."""
    return sorted(lines, key=is_learned)


def metrics(power: int) -> tuple[Metric, ...]:
    """Return the columns of the tables; the RMSE is in units of 10^-power."""
    return (
        Metric("SNR", "dB"),
        Metric(f"RMSE (1e-{power})", better="low"),
        Metric("SSIM", digits=3),
        Metric("PSNR", "dB"),
    )


def cells(outcome: Outcome, largest: float, power: int, printed: Printed | None) -> Mapping[str, Cell]:
    """Return the figures of one line.

    Parameters
    ----------
    outcome : Outcome
        Of a piece of `trial_piece`.
    largest : float, V
        Unit of the RMSE.
    power : int
    printed : Printed or None
    """
    names = [metric.name for metric in metrics(power)]
    factors = {"rmse": 10**power / largest}
    papers: dict[str, float | None] = dict.fromkeys(("snr", "rmse", "ssim", "psnr"))
    if printed is not None:
        papers = {"snr": printed.snr, "rmse": printed.rmse * 10**power}
        papers |= {"ssim": printed.ssim, "psnr": printed.psnr}
    return {
        name: mean_cell(known(outcome.values[key]), factor=factors.get(key, 1.0), paper=paper)
        for name, (key, paper) in zip(names, papers.items(), strict=True)
    }


def line_of(
    group: str, trial: Trial, outcome: Outcome, *, largest: float, power: int, printed: Printed | None
) -> Line:
    """Return a line of a table."""
    about = outcome.about
    notes = [training_words(trial)] if is_learned(trial) else []
    if "chosen" in about:
        notes.append(f"chose {about['chosen']}")
    if about.get("periods_used", 1) > 1:
        notes.append("uses both periods")
    if "knows" in about:
        notes.append(f"knows {about['knows']}")
    return Line(
        group=group,
        label=trial.label,
        kind=trial.kind,
        cells=cells(outcome, largest, power, printed),
        seconds=None if trial.kind in {"noisy", "limit"} else about["fit_seconds"],
        note="; ".join(note for note in notes if note),
    )


def training_words(trial: Trial) -> str:
    """Say how long a network was trained at most, where its options tell."""
    options = parse_options(registry().denoiser(trial.method).record, trial.parameters)
    epochs, steps, batch = (getattr(options, name, None) for name in ("epochs", "steps", "batch"))
    if epochs:
        return f"{epochs} epochs"
    if not steps:
        return ""
    return f"{steps} steps of {batch}" if batch else f"{steps} steps"


def _comparison_table(
    plan: Plan, outcomes: Outcomes, types: Sequence[NoiseType], *, name: str, title: str, power: int
) -> Table:
    lines = []
    level = outcomes.get(level_piece(plan, types[0].preset).key)
    largest = level.values["largest"] if level else float("nan")
    for noise in types:
        for trial in trials(plan, noise, as_printed=is_as_printed(plan, noise)):
            outcome = outcomes.get(trial_piece(plan, noise, trial).key)
            if outcome is not None:
                printed = noise.lines.get(trial.method)
                lines.append(
                    line_of(noise.name, trial, outcome, largest=largest, power=power, printed=printed)
                )
    return Table(name=name, title=title, group="noise", metrics=metrics(power), lines=tuple(lines))


def _join_comparison(
    plan: Plan, outcomes: Outcomes, *, types: Sequence[NoiseType], name: str, title: str, power: int
) -> Findings:
    from mpikit.experiments.drawings import bars

    table = _comparison_table(plan, outcomes, types, name=name, title=title, power=power)
    level = outcomes.get(level_piece(plan, types[0].preset).key)
    values = {}
    for noise in types:
        for trial in trials(plan, noise, as_printed=is_as_printed(plan, noise)):
            outcome = outcomes.get(trial_piece(plan, noise, trial).key)
            if outcome is not None and is_learned(trial):
                values[noise.name, trial.label] = known(outcome.values["snr"])
    remarks = [*prior_remarks(values, types), *comparison_remarks(table, plan, level)]
    drawings = (bars(table, "SNR"),) if table.lines else ()
    return Findings(tables=(table,), drawings=drawings, remarks=tuple(remarks))


def _comparison(name: str, source: str, title: str, types: Sequence[NoiseType], power: int) -> Experiment:
    return Experiment(
        name=name,
        title=title,
        paper=PAPER,
        source=source,
        pieces=partial(comparison_pieces, types=types),
        join=partial(_join_comparison, types=types, name=name, title=title, power=power),
        open_choices=PENG_CHOICES,
        misprints=PENG_MISPRINTS,
    )


TABLE2 = _comparison(
    "peng-table2", "Table II", "Methods by type of noise, simulated digits", TABLE_II, power=3
)
TABLE3 = _comparison(
    "peng-table3", "Table III", "Methods on digits in the scanner of OpenMPIData", (TABLE_III,), power=4
)


def ablation_trials(plan: Plan) -> list[tuple[str, Trial, Printed | None]]:
    """Return the lines of Table IV: group, trial, what is printed."""
    found: list[tuple[str, Trial, Printed | None]] = []
    weights = {
        "L1": (0.0, 0.0),
        "L1 + GD": (ALPHA, 0.0),
        "L1 + TV": (0.0, BETA),
        "L1 + GD + TV": (ALPHA, BETA),
    }
    for network in (PAPER_NETWORK, OUR_NETWORK):
        for label, (alpha, beta) in weights.items():
            for projected in (False, True):
                if projected and label not in {"L1", "L1 + GD + TV"}:
                    continue
                words = f"{label}, projected" if projected else label
                more = (f"alpha={alpha}", f"beta={beta}", f"project={str(projected).lower()}")
                make: Any = partial(paper_trial, plan, FIVE_DB) if network == PAPER_NETWORK else None
                make = make or partial(our_trial, plan)
                trial = make("unet-gd", words, *more)
                printed = ABLATION[label] if network == PAPER_NETWORK and not projected else None
                found.append((f"{network} network", trial, printed))
    return found


def ablation_pieces(plan: Plan) -> list[Piece]:
    """Return the pieces of Table IV."""
    trials_ = [trial for _, trial, _ in ablation_trials(plan)]
    first = [level_piece(plan, FIVE_DB.preset), trial_piece(plan, FIVE_DB, _NOISY)]
    return [*first, *(trial_piece(plan, FIVE_DB, trial) for trial in trials_)]


_NOISY = Trial(method=NOISY, label=NOISY, kind="noisy")


def join_ablation(plan: Plan, outcomes: Outcomes) -> Findings:
    """Return Table IV, and what the terms and the projection are worth, signal by signal."""
    from mpikit.experiments.drawings import bars

    level = outcomes.get(level_piece(plan, FIVE_DB.preset).key)
    largest = level.values["largest"] if level else float("nan")
    lines, found = [], {}
    noisy = outcomes.get(trial_piece(plan, FIVE_DB, _NOISY).key)
    if noisy is not None:
        lines.append(line_of("", _NOISY, noisy, largest=largest, power=3, printed=FIVE_DB.lines[NOISY]))
    for group, trial, printed in ablation_trials(plan):
        outcome = outcomes.get(trial_piece(plan, FIVE_DB, trial).key)
        if outcome is not None:
            found[group, trial.label] = known(outcome.values["snr"])
            lines.append(line_of(group, trial, outcome, largest=largest, power=3, printed=printed))
    title = "The terms of the loss, and the projection on the symmetry in their place; Gaussian noise, 5 dB"
    table = Table(name="peng-table4", title=title, group="network", metrics=metrics(3), lines=tuple(lines))
    drawings = (bars(table, "SNR"),) if lines else ()
    remarks = [*ablation_remarks(found), *below_the_paper(table, plan)]
    return Findings(tables=(table,), drawings=drawings, remarks=tuple(remarks))


TABLE4 = Experiment(
    name="peng-table4",
    title="The terms of the loss, and the projection on the symmetry in their place",
    paper=PAPER,
    source="Table IV",
    pieces=ablation_pieces,
    join=join_ablation,
    open_choices=PENG_CHOICES,
    misprints=PENG_MISPRINTS,
)
