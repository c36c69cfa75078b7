"""``auto``: choose the method for a scan, by what can be measured without clean data.

The candidates are judged as `mpikit compare` judges them, by repeats that had no part in the fit. Where
nothing repeats, but the noise is known from background frames or from the part of an odd scan that is even,
each period is split into two independent views. Where neither is possible the signal is left as it is. So it
is where there is no noise to remove, and where no line stands out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import BaseModel

from mpikit.compare.choice import AUTO, Verdict, as_lines, simplest
from mpikit.compare.methods import Candidate, compare_parts, how_judged
from mpikit.compare.result import Comparison, Row
from mpikit.compare.splitting import known_noise, split_noise
from mpikit.compare.turns import joined, row_of
from mpikit.compare.unchanged import UNCHANGED
from mpikit.denoise import Denoised, apply_method, check_signal, runs_apart
from mpikit.events import Event, Finding, Step, Warned, silent
from mpikit.judging import Holdout, Score, Trial, hold_out, score_trial, trial_losses, turns
from mpikit.plugins import Offer, registry
from mpikit.records import Denoiser, Method, NoOptions, Run
from mpikit.scan import Scan
from mpikit.scoring import SIMPLE, Scores
from mpikit.signal import fit_harmonic_filter, noise_statistics, subtract_background

ANY_LINE = 0.01  # probability that a scan of noise alone is taken for one with signal
MOST_TURNS = 5  # parts that are held out one after the other
LARGE = 2**23  # samples above which one part has to do
ROUNDING = 1e-12  # of the power: what single precision calls no noise


@dataclass(frozen=True)
class Choice:
    """The method that `auto` chose, and why.

    Parameters
    ----------
    offer : Offer of Denoiser
    options : pydantic.BaseModel
    method : Method or None
        Fitted: one that trained a network, or needs no fit; None when it is to be fitted to all of the scan.
    cleared_first : bool
        It is given the scan without its background, which it would not subtract itself.
    judged_by : str
        "repeats"; "few repeats", "background frames" or "symmetry" by which the noise is known; or "nothing".
    why : str
        In words.
    verdicts : tuple of Verdict
        Of all candidates, best first.
    scores : Scores
        Reference-free figures, of the noisy data, the method and simple methods.
    """

    offer: Offer[Denoiser]
    options: BaseModel
    method: Method | None
    cleared_first: bool
    judged_by: str
    why: str
    verdicts: tuple[Verdict, ...]
    scores: Scores

    def as_json(self) -> dict[str, Any]:
        """Return the choice, ready for JSON."""
        return {
            "chosen_by": AUTO,
            "method": self.offer.record.name,
            "why": self.why,
            "judged_by": self.judged_by,
            "background_subtracted_first": self.cleared_first,
            "candidates": [verdict.as_json() for verdict in self.verdicts],
        }


def choose(
    scan: Scan,
    candidates: Sequence[Candidate],
    *,
    seed: int = 0,
    device: str = "cpu",
    tell: Callable[[Event], None] = silent,
) -> Choice:
    """Choose among methods, and the signal as it is, for one scan.

    Parameters
    ----------
    scan : Scan
    candidates : sequence of Candidate
        See `mpikit.compare.auto_candidates`. What goes wrong with one is its verdict.
    seed : int
    device : {"cpu", "cuda"}
    tell : callable
        Takes events.

    Returns
    -------
    Choice
        See `mpikit.compare.choice.simplest` for the rule.

    Raises
    ------
    InputError
        When the signal has values that are no numbers.
    """
    free, no_score = how_judged(scan)
    check_signal(scan, tell, subtracted=free)
    why = _why_leave_alone(scan, free=free)
    if why:
        return _leave_alone(f"{scan.name}: {why}, so that the signal is left as it is", tell)
    judged_by, parts = "repeats", _parts_in_turn(scan)
    if no_score:
        noise = known_noise(scan)
        if noise is None:
            words = "no background frames and no symmetry show its noise"
            return _leave_alone(
                f"{scan.name} cannot be judged by itself: {no_score}, and {words}; the signal is left as it "
                "is (--method NAME takes a method unjudged)",
                tell,
            )
        draws = np.random.default_rng((seed, 2))
        judged_by, parts = noise.source, [split_noise(scan, noise, draws) for _ in range(_count(scan))]
        words = f"split into two views by the noise known from {_named(noise.source)}"
        tell(Finding("judged by", judged_by, f"no repeats to judge by: each period is {words}"))
    audience = _Audience(tell, _trials(candidates, len(parts)), {c.offer.record.name for c in candidates})
    bench = _Bench(scan, free, seed, device, audience)
    beside = _beside(candidates) if judged_by == "repeats" else []
    comparison, rows = bench.judged(parts, candidates, beside)
    choice = replace(_chosen(scan, comparison, rows), judged_by=judged_by)
    if judged_by != "repeats":  # it was fitted to the noisier view, and so are the figures
        choice = replace(choice, method=None, scores=Scores(None, None, no_score=no_score))
    elif not choice.offer.record.learned:  # as `mpikit.denoise.fit_to_all`
        choice = replace(choice, method=None)
    audience.tell_of(choice, comparison.noisy.score)
    return choice


def _count(scan: Scan) -> int:
    return MOST_TURNS if scan.signal.size <= LARGE else 1


def _trials(candidates: Sequence[Candidate], parts: int) -> int:
    return sum(1 if each.offer.record.learned else parts for each in candidates)


def _parts_in_turn(scan: Scan) -> list[Holdout]:
    """Hold each repeat out once, as far as that goes; the first turn is that of `mpikit compare`."""
    return [hold_out(scan, turn=turn) for turn in range(min(turns(scan), _count(scan)))]


@dataclass(frozen=True)
class _Bench:
    """What all candidates are tried on."""

    scan: Scan
    without_background: bool
    seed: int
    device: str
    audience: _Audience

    def judged(
        self, parts: Sequence[Holdout], candidates: Sequence[Candidate], beside: Sequence[Candidate]
    ) -> tuple[Comparison, list[Row]]:
        """Return the comparison with the figures of all turns, and rows to choose from: as it is, candidates.

        Methods that train a network are judged by the first turn alone: it would take too long.
        """
        names = {candidate.offer.record.name for candidate in candidates}
        again = [each for each in (*candidates, *beside) if not each.offer.record.learned]
        found = [self._compare([*candidates, *beside], parts[0], tell=self.audience.listen)]
        found += [self._compare(again, part, tell=self.audience.count) for part in parts[1:]]
        as_it_is = [_as_it_is(part, free=self.without_background) for part in parts]
        first = found[0]
        tried = [joined(row, [row_of(row.method, each) for each in found[1:]]) for row in first.rows]
        rows = [joined(as_it_is[0], as_it_is[1:]), *(row for row in tried if row.method in names)]
        return (
            replace(
                first,
                noisy=joined(first.noisy, [each.noisy for each in found[1:]]),
                rows=tuple(tried),
                skipped=tuple(each for each in first.skipped if each.method in names),
            ),
            rows,
        )

    def _compare(
        self, candidates: Sequence[Candidate], part: Holdout, *, tell: Callable[[Event], None]
    ) -> Comparison:
        return compare_parts(
            self.scan,
            candidates,
            part,
            without_background=self.without_background,
            seed=self.seed,
            device=self.device,
            tell=tell,
        )


def denoise_chosen(scan: Scan, choice: Choice, *, run: Run) -> Denoised:
    """Apply the method that was chosen, as `mpikit.denoise.denoise_scan` would.

    Parameters
    ----------
    scan : Scan
        The one that it was chosen for.
    choice : Choice
    run : Run
        Of the same seed and device.
    """
    record = choice.offer.record
    free = choice.cleared_first or record.frees_from_background(scan, choice.options)
    if choice.cleared_first:
        scan = subtract_background(scan)
    foreground, empty, _ = runs_apart(run)
    with choice.offer.blamed():
        method = choice.method
        if method is None:
            method = record.build(choice.options)
            method.fit([scan], run=run)
        signal, background = apply_method(method, scan, foreground, empty)
    scores = choice.scores
    return Denoised(
        signal, background, scores.before, scores.after, scores.simple, free, method, scores.no_score
    )


def _why_leave_alone(scan: Scan, *, free: bool) -> str:
    """Say why there is nothing to do: no noise, or nothing but noise."""
    noise = noise_statistics(scan)
    power = float(np.mean(scan.signal.astype(np.float64) ** 2))
    if np.max(noise.sigma) ** 2 <= ROUNDING * power:
        shown = {"repeats": "the repeats show", "background frames": "the background frames show"}
        return f"{shown.get(noise.source, 'the spectrum shows')} no noise"
    cleared = subtract_background(scan) if free else scan
    probability = ANY_LINE / noise.line_power.size
    if not fit_harmonic_filter([cleared], false_alarm=probability, symmetry="off").keep.any():
        return "no line stands out of the noise, as in a scan of noise or background alone"
    return ""


def _leave_alone(why: str, tell: Callable[[Event], None]) -> Choice:
    tell(Warned(why))
    scores = Scores(None, None, no_score="nothing was done to the signal")
    method = UNCHANGED.record.build(None)
    return Choice(UNCHANGED, NoOptions(), method, False, "nothing", why, (), scores)


def _named(source: str) -> str:
    return {"symmetry": "the even part of an odd scan", "background frames": "the background frames"}.get(
        source, "the repeats, too few to hold any back"
    )


def _beside(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the simple methods that every choice is shown beside, but may not fall on."""
    known = {candidate.offer.record.name for candidate in candidates}
    offers = registry().denoisers
    return [
        Candidate(offer)
        for name in SIMPLE
        if name not in known
        for offer in offers.get(name, [])
        if offer.distribution == "mpikit"
    ]


def _as_it_is(holdout: Holdout, *, free: bool) -> Row:
    """Judge the signal as it is, with its background."""
    inputs, judging = holdout.inputs, holdout.judging
    if inputs is None or judging is None:
        raise ValueError("nothing is held out")
    trial = Trial(inputs, inputs.signal, judging, holdout.view)
    return Row(
        UNCHANGED.record.name,
        score=score_trial(UNCHANGED.record, trial, without_background=free),
        losses=(trial_losses(trial, without_background=free, shared=holdout.shared),),
        periods=int(np.prod(inputs.signal.shape[:2])),
        offer=UNCHANGED,
        fitted=UNCHANGED.record.build(None),
    )


def _chosen(scan: Scan, comparison: Comparison, rows: Sequence[Row]) -> Choice:
    noisy = comparison.noisy.score
    power = max(noisy.figures.power, 0.0) if noisy else 0.0
    row, why, verdicts = simplest(rows, comparison.skipped, rounding=ROUNDING * power)
    if row.offer is None:
        raise ValueError("the noisy signal is no candidate")
    simple = [
        each.score
        for each in comparison.rows
        if each.score is not None and each.method in SIMPLE and each.method != row.method
    ]
    simple.sort(key=lambda score: -score.figures.snr_db)
    keeps = not row.offer.record.frees_from_background(scan, row.options)
    cleared_first = comparison.without_background and keeps and row is not rows[0]
    scores = Scores(noisy, row.score, tuple(simple))
    return Choice(row.offer, row.options, row.fitted, cleared_first, "", why, verdicts, scores)


class _Audience:
    """Tells of each trial of a candidate as a step, and of warnings only by the one that was chosen."""

    def __init__(self, tell: Callable[[Event], None], total: int, names: set[str]) -> None:
        self.tell, self.total, self.names, self.begun = tell, total, names, 0
        self.kept: list[Warned] = []

    def listen(self, event: Event) -> None:
        if isinstance(event, Finding) and event.name == "method":
            self.count(event)
        elif isinstance(event, Warned) and " failed: " not in event.text:
            self.kept.append(event)
        else:
            self.tell(event)

    def count(self, event: Event) -> None:
        """Tell of the trials alone, and not of those that are only shown beside."""
        if isinstance(event, Finding) and event.name == "method" and event.value in self.names:
            self.begun += 1
            self.tell(Step(self.begun, self.total))

    def tell_of(self, choice: Choice, noisy: Score | None) -> None:
        name = choice.offer.record.name
        for event in self.kept:
            if event.text.startswith(f"{name}: "):
                self.tell(event)
        words = "\n".join(as_lines(choice.verdicts, noisy))
        if choice.judged_by != "repeats":
            words += "\nerrors are those of the noisier of two views, not of the result"
        self.tell(Finding("candidates", [each.as_json() for each in choice.verdicts], words))
        self.tell(Finding(AUTO, name, f"auto chose {name}: {choice.why}"))
