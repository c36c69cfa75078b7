"""What the figures say, in sentences: where they differ from those of Dahms et al., and by how much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpikit.experiments.dahms_data import micrograms, sample_levels
from mpikit.experiments.dahms_pieces import BUDGETS, NOISY, REFERENCE, SINGLE
from mpikit.experiments.dahms_rows import OURS, PENALTY, Seen, find
from mpikit.experiments.experiment import Plan
from mpikit.experiments.published_dahms import ARTIFACTS, DENOISED, PrintedError
from mpikit.experiments.published_dahms import REFERENCE as PRINTED_REFERENCE

KEPT = 0.1  # relative: a gain that changes less is kept
COLLAPSED = (0.5, 2.0)  # a gain outside is that of a network that has lost the signal


def amplitude_remarks(seen: Sequence[Seen], plan: Plan) -> list[str]:
    """Say how far amplitudes are kept, also above the trained ones, and whose limit holds."""
    found = []
    for each in _networks(seen):
        found += [*_gain_words(each), _limit_words(each)]
    single = [each for each in seen if each.row.way == SINGLE and each.row.kind in {"simple", "paper"}]
    lowest = min(map(_verified, single), default=np.inf)
    if np.isfinite(lowest):
        labels = [each.row.label for each in single if _verified(each) == lowest]
        found.append(
            f"Of simple methods and networks, from single periods, the lowest limit that holds is "
            f"{lowest:.3g} µg/mL, of {' and '.join(labels)}."
        )
    noisy, reference = find(seen, NOISY), find(seen, REFERENCE)
    if noisy is not None and reference is not None:
        level = micrograms(sample_levels()[0])
        share = noisy.values[0]["magnitude"][0] / abs(reference.values[0]["projected"][0])
        found.append(
            f"At {level:.3g} µg/mL the mean magnitude of single noisy periods is {share:.3g} times the "
            "amplitude of the reference. The magnitude of noise is not zero on average, and shows as a "
            "plateau; the paper does not say whether its Figure 1 shows magnitudes."
        )
    return [*found, *_shortened(plan, seen)]


def position_remarks(seen: Sequence[Seen], plan: Plan) -> list[str]:
    """Say what the network gains over the reference, the simple methods and the limit, beside the paper."""
    reference = find(seen, REFERENCE)
    if reference is None:
        return []
    found = [_against_the_paper(each, reference) for each in _networks(seen)]
    ours = find(seen, f"{OURS} (mpikit)")
    simple = min((each for each in seen if each.row.kind == "simple"), key=_error, default=None)
    if ours is not None and simple is not None:
        found.append(_against(ours, simple, "the best simple method"))
        after = find(seen, f"{ours.row.label}, of the mean")
        if after is not None:
            found.append(
                "Ten periods averaged first and denoised once, which is not in the paper: "
                f"{after.error_mm:.2f} mm. {_against(after, simple, 'the best simple method')}"
            )
    limit = next((each for each in seen if each.row.kind == "limit"), None)
    if limit is not None:
        found.append(
            f"Whoever knows the clean signals has {limit.error_mm:.2f} mm from ten periods; no method has a "
            "smaller mean error, unless by chance."
        )
    return [*found, _where(reference), *_seeds(seen), *_shortened(plan, seen)]


def grid_remarks(seen: Sequence[Seen], plan: Plan) -> list[str]:
    """Say whether the error depends on the settings less than that of the reference."""
    reference = find(seen, REFERENCE)
    if reference is None or not reference.spread_mm:
        return []
    found = []
    for each in _networks(seen):
        share = each.spread_mm / reference.spread_mm
        word = "less than" if share < 1 else "not less than"
        verdict = "agrees with" if share < 1 else "differs from"
        found.append(
            f"The error of {each.row.label} depends on λ and the number of sweeps {word} that of the "
            f"reference: its standard deviation over them is {each.spread_mm:.2f} mm against "
            f"{reference.spread_mm:.2f} mm, {share:.2f} times. That {verdict} the paper, which has no number "
            "for it."
        )
    least = min(seen, key=lambda each: each.spread_mm)
    found.append(f"{least.row.label} depends least on them, with {least.spread_mm:.2f} mm.")
    return [*found, *_shortened(plan, seen)]


def _networks(seen: Sequence[Seen]) -> list[Seen]:
    """Return the rows that the paper has: its network in both settings, on single periods."""
    return [each for each in seen if each.row.printed and each.row.label != REFERENCE]


def _error(each: Seen) -> float:
    return each.error_mm


def _verified(each: Seen) -> float:
    """Return the limit that holds, µg/mL, infinite without any."""
    limit = each.dose("verified")
    return float("inf") if limit is None else micrograms(limit)


def _gain_words(each: Seen) -> list[str]:
    """Say whether the amplitude drops above the trained range, as the paper has it."""
    within, above = each.dose("gain"), each.dose("gain_above")
    if within is None or above is None:
        return []
    drops = above < (1 - KEPT) * within
    verb = "drops" if drops else "rises" if above > (1 + KEPT) * within else "does not drop"
    agrees = "as in the paper" if drops else "other than in the paper"
    return [
        f"Above the trained concentrations the amplitude of {each.row.label} {verb}, {agrees}: {above:.2f} "
        f"times the right one comes out, and {within:.2f} times in the decade below."
    ]


def _limit_words(each: Seen) -> str:
    slope, r2 = each.dose("slope"), each.dose("r2")
    if not np.isfinite(_verified(each)):
        return f"No detection limit of {each.row.label} holds at all concentrations above it."
    words = f"The detection limit of {each.row.label} holds from {_verified(each):.3g} µg/mL on"
    if slope is None or r2 is None:
        return f"{words}, and too few concentrations are above it for a slope."
    return f"{words}; above it the slope of the logarithms is {slope:.3f} with R² = {r2:.4f}."


def _against_the_paper(each: Seen, reference: Seen) -> str:
    share = each.error_mm / reference.error_mm
    printed = DENOISED.mean / PRINTED_REFERENCE.mean
    words = (
        "gains as much as" if share <= printed else "gains less than" if share < 1 else "loses, other than"
    )
    return (
        f"{each.row.label} from single periods: {_pair(each)}, {share:.2f} times the reference "
        f"({_pair(reference)}). The paper has {_printed(DENOISED)}, {printed:.2f} times "
        f"{_printed(PRINTED_REFERENCE)}: here the network {words} in the paper."
    )


def _against(each: Seen, other: Seen, who: str) -> str:
    """Compare the errors of two, sample by sample."""
    from mpikit.metrics import paired_difference

    change = paired_difference(each.errors_mm, other.errors_mm, rng=np.random.default_rng(0))
    verdict = (
        "no clear difference" if change.low <= 0 <= change.high else "better" if change.mean < 0 else "worse"
    )
    return (
        f"{each.row.label} against {who}, {other.row.label} ({other.error_mm:.2f} mm): {change.mean:+.2f} mm "
        f"({change.low:+.2f} to {change.high:+.2f} over the samples), {verdict}."
    )


def _where(reference: Seen) -> str:
    """Say which concentrations make the error of the reference, and where the paper has artifacts."""
    levels = micrograms(1) * np.array(sample_levels())
    each = reference.errors_mm.reshape(len(levels), -1).mean(axis=1)
    below = levels < ARTIFACTS * (1 - 1e-2)
    nearest = int(np.argmin(np.abs(levels - ARTIFACTS)))
    total = each.sum()
    share = 100 * each[below].sum() / total if total else 0.0
    return (
        f"Concentrations below {ARTIFACTS:g} µg/mL make {share:.0f} % of the error of the reference; at "
        f"{levels[nearest]:.3g} µg/mL, where its images in the paper have artifacts, it is "
        f"{each[nearest]:.2f} mm here. The background of the scanner decides that, and the paper does not "
        "say how large it was."
    )


def _seeds(seen: Sequence[Seen]) -> list[str]:
    """Say how far several trainings differ, with spectral normalisation and with the penalty."""
    found = []
    for method in (OURS, PENALTY):
        each = find(seen, f"{method} (mpikit)")
        if each is None or len(each.values) < 2:
            continue
        errors = each.each_error_mm
        gains = [one["dose"]["gain_above"] for one in each.values]
        lost = sum(not COLLAPSED[0] < gain < COLLAPSED[1] for gain in gains)
        found.append(
            f"{each.row.label}, {len(errors)} trainings: {min(errors):.2f} to {max(errors):.2f} mm, standard "
            f"deviation {np.std(errors, ddof=1):.3f} mm; {lost} of them lost the signal."
        )
    return found


def _shortened(plan: Plan, seen: Sequence[Seen]) -> list[str]:
    words = BUDGETS[plan.scale].shortened
    return [f"This is the scale {plan.scale}: {words}."] if words and seen else []


def _pair(each: Seen) -> str:
    return f"{each.error_mm:.2f} ± {each.deviation_mm:.2f} mm"


def _printed(each: PrintedError) -> str:
    return f"{each.mean:.2f} ± {each.deviation:.2f} mm"
