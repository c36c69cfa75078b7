"""What the figures say, in sentences: where they differ from those of Peng et al., and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mpikit.experiments.experiment import Line, Outcome, Plan, Table
from mpikit.experiments.peng_pieces import BUDGETS
from mpikit.experiments.published_peng import ABLATION, NoiseType
from mpikit.metrics import paired_difference


def groups_of(table: Table) -> Mapping[str, list[Line]]:
    """Return the lines of each group, in order."""
    found: dict[str, list[Line]] = {}
    for line in table.lines:
        found.setdefault(line.group, []).append(line)
    return found


def best(lines: Sequence[Line], *kinds: str) -> Line | None:
    """Return the line of some kinds with the highest SNR."""
    among = [line for line in lines if line.kind in kinds and line.cells["SNR"].value is not None]
    return max(among, key=snr_of, default=None)


def snr_of(line: Line) -> float:
    """SNR of a line in dB, -inf when it is not known."""
    value = line.cells["SNR"].value
    return -np.inf if value is None else value


def comparison_remarks(table: Table, plan: Plan, level: Outcome | None) -> list[str]:
    """Say which method is best for each type of noise, and what is below the paper."""
    found = []
    for group, lines in groups_of(table).items():
        simple, network = best(lines, "simple"), best(lines, "paper")
        limit = best(lines, "limit")
        if simple is None or network is None or limit is None:
            continue
        ahead, behind = sorted((simple, network), key=snr_of, reverse=True)
        found.append(
            f"{group}: the best network is {network.label} with {snr_of(network):.2f} dB, the best simple "
            f"method {simple.label} with {snr_of(simple):.2f} dB; {ahead.label} is "
            f"{snr_of(ahead) - snr_of(behind):.2f} dB ahead. The best linear estimator, which knows the "
            f"clean covariance, has {snr_of(limit):.2f} dB."
        )
    noisy = next((line for line in table.lines if line.kind == "noisy"), None)
    if level is not None and noisy is not None:
        found.append(
            f"RMSE is in units of the largest amplitude of {BUDGETS[plan.scale].phantoms} phantoms, in which "
            f"the mean rms of a signal is {level.values['mean_rms']:.4f}. The noisy line of the paper "
            f"says that in its units it is {printed_rms(noisy):.4f}, and not what the unit is. SNR does "
            f"not depend on it."
        )
    return [*found, *below_the_paper(table, plan)]


def printed_rms(noisy: Line) -> float:
    """Return the mean rms of the signals in the units of the paper, RMSE · 10^(SNR/20) of its noisy line.

    In all three Gaussian lines of Table II it is 0.2281.
    """
    snr_cell, rmse_cell = list(noisy.cells.values())[:2]
    power = 4 if "1e-4" in list(noisy.cells)[1] else 3
    return float((rmse_cell.paper or np.nan) * 10 ** ((snr_cell.paper or np.nan) / 20 - power))


def below_the_paper(table: Table, plan: Plan) -> list[str]:
    """Name every line whose SNR is below that of the paper, and how much it was trained."""
    below = [
        f"{line.label} on {line.group} ({snr_of(line):.2f} dB, the paper {line.cells['SNR'].paper:.2f} dB)"
        for line in table.lines
        if line.kind == "paper" and line.cells["SNR"].paper is not None
        if snr_of(line) < (line.cells["SNR"].paper or 0)
    ]
    if not below:
        return []
    budget = BUDGETS[plan.scale]
    why = f" This is the scale {plan.scale}: {budget.shortened}." if budget.shortened else ""
    return [f"Below the paper: {'; '.join(below)}.{why}"]


Values = Mapping[tuple[str, str], Sequence[float]]  # (group, label) to the SNR of each signal in dB


def prior_remarks(found: Values, types: Sequence[NoiseType]) -> list[str]:
    """Say for each setting what unet-gd gains over Noise2Noise, signal by signal, beside the paper.

    Parameters
    ----------
    found : mapping
        (group, label) to the SNR of each signal in dB.
    types : sequence of NoiseType
        The groups.
    """
    sentences = []
    for setting in ("paper", "mpikit"):
        changes = []
        for noise in types:
            ours = found.get((noise.name, f"unet-gd ({setting})"))
            other = found.get((noise.name, f"n2n ({setting})"))
            if ours is None or other is None:
                continue
            printed = noise.lines["unet-gd"].snr - noise.lines["n2n"].snr
            changes.append(f"{noise.name} {_change(ours, other, printed)}")
        if changes:
            sentences.append(
                f"What unet-gd gains over Noise2Noise in the setting of {setting}: {'; '.join(changes)}."
            )
    return sentences


def _change(after: Sequence[float], before: Sequence[float], printed: float | None) -> str:
    """Say by how much figures differ, and whether the paper's difference is within the interval."""
    change = paired_difference(after, before, rng=np.random.default_rng(0))
    words = f"{change.mean:+.2f} dB ({change.low:+.2f} to {change.high:+.2f}"
    if printed is None:
        return f"{words})"
    agrees = "agrees with" if change.low <= printed <= change.high else "differs from"
    return f"{words}; {agrees} the paper's {printed:+.2f} dB)"


def ablation_remarks(found: Values) -> list[str]:
    """Say what each term and the projection change, signal by signal, in mean and interval.

    Parameters
    ----------
    found : mapping
        (group, label) to the SNR of each signal in dB.
    """
    sentences = []
    for group in dict.fromkeys(group for group, _ in found):
        base = found.get((group, "L1"))
        if base is None:
            continue
        changes = []
        for label in ("L1 + GD", "L1 + TV", "L1 + GD + TV", "L1, projected"):
            other = found.get((group, label))
            if other is not None:
                printed = ABLATION[label].snr - ABLATION["L1"].snr if label in ABLATION else None
                changes.append(f"{label} {_change(other, base, printed)}")
        if changes:
            sentences.append(f"{group}, change of the SNR against L1: {'; '.join(changes)}.")
        loss, projected = found.get((group, "L1 + GD + TV")), found.get((group, "L1, projected"))
        if loss is not None and projected is not None:
            sentences.append(
                f"{group}: the projection on the symmetry in place of both terms, against both terms: "
                f"{_change(projected, loss, None)}."
            )
    return sentences
