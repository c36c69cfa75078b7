"""Figures 1 to 3 of Dahms et al., with their figures as tables, and the position errors of the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mpikit.experiments.dahms_data import LADDER, LIMIT_LEVELS, PLACE, PLACES, micrograms, sample_levels
from mpikit.experiments.dahms_imaging import LAMBDAS, SWEEP_COUNTS
from mpikit.experiments.dahms_pieces import NOISY, REFERENCE, TOGETHER
from mpikit.experiments.dahms_remarks import amplitude_remarks, grid_remarks, position_remarks
from mpikit.experiments.dahms_rows import OURS, POOLING, Seen, find, pieces_of, seen_of, steps_of
from mpikit.experiments.drawings import amplitude_panels, bars, maps, profiles
from mpikit.experiments.experiment import (
    Cell,
    Drawing,
    Experiment,
    Findings,
    Line,
    Metric,
    Outcomes,
    Plan,
    Table,
    mean_cell,
)
from mpikit.experiments.notes import DAHMS_CHOICES, DAHMS_MISPRINTS
from mpikit.experiments.published_dahms import DENOISED, LAMBDA, PAPER, PRESET, SWEEPS
from mpikit.experiments.published_dahms import REFERENCE as PRINTED_REFERENCE
from mpikit.simulate import preset

ERROR, DEVIATION, SHARE = "PE", "sd", "of the reference"
GROUP_OF_ROWS = "simulated point samples"
SHOWN = (NOISY, REFERENCE, f"{OURS} (mpikit)", f"{OURS} (mpikit), of the mean", "low-rank")


def level_names() -> list[str]:
    """Return the concentrations of the test samples as they are shown, ascending."""
    return [f"{micrograms(level):.3g} µg/mL" for level in sample_levels()]


def shown(seen: Sequence[Seen]) -> list[Seen]:
    """Return the rows that a figure shows: those of the paper, a simple method, and the user's own."""
    return [each for each in seen if each.row.label in SHOWN or each.row.kind == "yours"]


def _line(each: Seen, cells: Mapping[str, Cell], *notes: str) -> Line:
    steps, kind = steps_of(each.row), each.row.kind
    trainings = len(each.values)
    words = [
        f"{steps} steps" if steps else "",
        f"{trainings} trainings" if trainings > 1 else "",
        "knows the clean signals" if kind == "limit" else "",
        *notes,
    ]
    return Line(
        group=GROUP_OF_ROWS,
        label=each.row.label,
        kind=kind,
        cells=cells,
        seconds=each.seconds,
        note="; ".join(word for word in words if word),
    )


# --- figure 1 --------------------------------------------------------------------------------------------


def join_figure1(plan: Plan, outcomes: Outcomes) -> Findings:
    """Return figure 1: the fifth harmonic over concentration, slope, and detection limit."""
    seen = [each for each in seen_of(plan, outcomes) if each.has_amplitudes]
    table = Table(
        name="dahms-figure1",
        title="Fifth harmonic of single periods: slope of the logarithms and R² from the verified detection "
        "limit on, gain within and above the trained concentrations, and the limit with its checks",
        group="samples",
        metrics=(
            Metric("verified limit", "µg/mL", better="low"),
            Metric("claimed limit", "µg/mL", better="low"),
            Metric("detected", "%", digits=1),
            Metric("false", "% of blanks", digits=1, better="low"),
            Metric("slope", digits=3, better=""),
            Metric("R²", digits=4),
            Metric("gain", digits=3, better=""),
            Metric("gain above", digits=3, better=""),
        ),
        lines=tuple(_amplitude_line(each) for each in seen),
    )
    drawings = (_amplitude_drawing(shown(seen)),) if seen else ()
    return Findings(tables=(table,), drawings=drawings, remarks=tuple(amplitude_remarks(seen, plan)))


def _amplitude_line(each: Seen) -> Line:
    factors = {"verified limit": ("verified", micrograms(1)), "claimed limit": ("claimed", micrograms(1))}
    factors |= {"detected": ("detected", 100), "false": ("false_positives", 100)}
    factors |= {"slope": ("slope", 1), "R²": ("r2", 1), "gain": ("gain", 1), "gain above": ("gain_above", 1)}
    values = {name: (each.dose(key), factor) for name, (key, factor) in factors.items()}
    cells = {
        name: Cell(value=None if value is None else factor * value)
        for name, (value, factor) in values.items()
    }
    pools = each.row.way == TOGETHER or each.row.label == POOLING
    failures = dict.fromkeys(words for one in each.values if (words := one["dose"].get("failures")))
    if each.row.label == REFERENCE:
        failures[f"slope from {micrograms(LIMIT_LEVELS[-1]):.3g} µg/mL on"] = None
    line = _line(each, cells, "ten periods are one" if pools else "", *failures)
    return replace(line, kind="pooled") if each.row.label == POOLING else line


def _amplitude_drawing(seen: Sequence[Seen]) -> Drawing:
    places = np.tile(PLACES, len(LADDER))
    here = np.isclose(places, PLACE)
    levels = micrograms(1) * np.array(LADDER)
    panels = []
    for each in seen:
        first = each.values[0]
        kept = (np.array(first[name])[here] for name in ("projected", "spread", "magnitude"))
        panels.append((each.row.label, *kept))
    caption = (
        f"Amplitude of the fifth harmonic of single periods over concentration, at {1e3 * PLACE:g} mm: "
        "projection on the phase of the signal with its standard deviation, and the magnitude, which noise "
        "keeps from zero. The line is in proportion to the strongest sample."
    )
    return amplitude_panels("dahms-figure1", caption, panels, levels)


# --- figure 2 --------------------------------------------------------------------------------------------


def join_figure2(plan: Plan, outcomes: Outcomes) -> Findings:
    """Return figure 2, images of the sample next to the centre, and the position errors of the text."""
    seen = seen_of(plan, outcomes)
    reference = find(seen, REFERENCE)
    table = Table(
        name="dahms-figure2",
        title="Position error of all test samples in images of ten periods "
        f"({SWEEPS} sweeps, λ = {LAMBDA}), and its mean at each concentration in mm",
        group="samples",
        metrics=(
            Metric(ERROR, "mm", better="low"),
            Metric(DEVIATION, "mm", better="low"),
            Metric(SHARE, better="low"),
            *(Metric(name, better="low") for name in level_names()),
        ),
        lines=tuple(_position_line(each, reference) for each in seen),
    )
    drawings = [bars(table, ERROR)] if seen else []
    pictures = [(each.row.label, each.images) for each in shown(seen) if each.images is not None]
    if pictures:
        caption = (
            f"Images of the sample at {1e3 * PLACE:g} mm next to the centre, mmol/L along x, one of each "
            f"concentration ({SWEEPS} sweeps, λ = {LAMBDA}); the dotted line is the true place."
        )
        grid = preset(PRESET).calibration.grid()
        columns = [(label, 1e3 * images) for label, images in pictures]
        place = 1e3 * grid.positions()[:, 0]
        drawings.insert(
            0, profiles("dahms-figure2", caption, columns, level_names(), place=place, true=1e3 * PLACE)
        )
    return Findings(tables=(table,), drawings=tuple(drawings), remarks=tuple(position_remarks(seen, plan)))


def _position_line(each: Seen, reference: Seen | None) -> Line:
    printed = None
    if each.row.printed:
        printed = PRINTED_REFERENCE if each.row.label == REFERENCE else DENOISED
    share = None if reference is None else each.error_mm / reference.error_mm
    cells = {
        ERROR: mean_cell(each.errors_mm.tolist(), paper=printed.mean if printed else None),
        DEVIATION: Cell(value=each.deviation_mm, paper=printed.deviation if printed else None),
        SHARE: Cell(value=share, paper=printed.mean / PRINTED_REFERENCE.mean if printed else None),
    }
    levels = each.errors_mm.reshape(len(sample_levels()), -1)  # the position is the fastest
    cells |= {name: mean_cell(errors.tolist()) for name, errors in zip(level_names(), levels, strict=True)}
    spread = each.each_error_mm
    words = f"{min(spread):.2f} to {max(spread):.2f} mm" if len(spread) > 1 else ""
    return _line(each, cells, words)


# --- figure 3 --------------------------------------------------------------------------------------------


def join_figure3(plan: Plan, outcomes: Outcomes) -> Findings:
    """Return figure 3: the position error over λ and the number of sweeps, and its spread."""
    seen = [each for each in seen_of(plan, outcomes) if each.grids_mm is not None]
    reference = find(seen, REFERENCE)
    table = Table(
        name="dahms-figure3",
        title=f"Spread of the position error over {len(LAMBDAS)} values of λ and {len(SWEEP_COUNTS)} numbers "
        "of sweeps",
        group="samples",
        metrics=(
            Metric("spread", "mm", better="low"),
            Metric("lowest", "mm", better="low"),
            Metric("highest", "mm", better="low"),
            Metric(SHARE, better="low"),
        ),
        lines=tuple(_grid_line(each, reference) for each in seen),
    )
    drawings: tuple[Drawing, ...] = ()
    if seen:
        caption = "Mean position error in mm over the weight λ and the number of sweeps of Kaczmarz."
        tables = [(each.row.label, each.grids_mm[0]) for each in shown(seen) if each.grids_mm is not None]
        drawings = (maps("dahms-figure3", caption, tables, SWEEP_COUNTS, LAMBDAS),)
    return Findings(tables=(table,), drawings=drawings, remarks=tuple(grid_remarks(seen, plan)))


def _grid_line(each: Seen, reference: Seen | None) -> Line:
    grids = np.zeros((1, 1, 1)) if each.grids_mm is None else each.grids_mm
    share = None if reference is None else each.spread_mm / reference.spread_mm
    cells = {
        "spread": Cell(value=each.spread_mm),
        "lowest": Cell(value=float(grids.min(axis=(1, 2)).mean())),
        "highest": Cell(value=float(grids.max(axis=(1, 2)).mean())),
        SHARE: Cell(value=share),
    }
    return _line(each, cells)


def _experiment(number: int, title: str, join: Callable[[Plan, Outcomes], Findings]) -> Experiment:
    return Experiment(
        name=f"dahms-figure{number}",
        title=title,
        paper=PAPER,
        source=f"Figure {number}" + (" and the position errors of the text" if number == 2 else ""),
        pieces=pieces_of,
        join=join,
        open_choices=DAHMS_CHOICES,
        misprints=DAHMS_MISPRINTS,
    )


FIGURE1 = _experiment(1, "Fifth harmonic over concentration, and detection limits", join_figure1)
FIGURE2 = _experiment(2, "Images of a point sample, and position errors", join_figure2)
FIGURE3 = _experiment(3, "Position error over the settings of the reconstruction", join_figure3)
