"""Score a fitted denoising method on parts of scans that were held out, beside simple methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from mpikit.events import silent
from mpikit.judging import Holdout, Score, join, judge, judge_noisy, lacks_judges
from mpikit.plugins import Offer, registry
from mpikit.records import Denoiser, Method, Run
from mpikit.scan import Scan

if TYPE_CHECKING:
    from mpikit.denoise import Denoised

# What every method is shown beside: the mean, the known lines, and the best that needs no training.
SIMPLE = ("average", "harmonic", "low-rank")


@dataclass(frozen=True)
class Scores:
    """Reference-free figures of a fitted method, beside those of the data and of simple methods.

    Parameters
    ----------
    before, after : Score or None
        Of the noisy data and of the method; None when the scans have too few repeats.
    simple : tuple of Score
        The same for methods that learn little, best first.
    no_score : str
        Why there are no figures, in words; empty when there are some.
    """

    before: Score | None
    after: Score | None
    simple: tuple[Score, ...] = ()
    no_score: str = ""


def score_fitted(
    scans: Sequence[Scan],
    holdouts: Sequence[Holdout],
    offer: Offer[Denoiser],
    method: Method,
    *,
    without_background: bool,
    run: Run,
) -> Scores:
    """Score a method that was fitted to the fitting parts of some scans, beside simple methods.

    Parameters
    ----------
    scans : sequence of Scan
    holdouts : sequence of Holdout
        Of each of them.
    offer : Offer of Denoiser
    method : Method
        Fitted.
    without_background : bool
        Its output is free of background.
    run : Run
        To denoise the held-out parts with.
    """
    run = replace(run, tell=silent)  # what the method has to say it says when it is fitted or applied
    lacking = [lacks_judges(scan, without_background=without_background) for scan in scans]
    judged = [holdout for holdout, lack in zip(holdouts, lacking, strict=True) if lack is None]
    if not judged:
        return Scores(None, None, no_score=lacking[0] or "")
    with offer.blamed():
        after = _score(offer.record, method, judged, without_background=without_background, run=run)
    noisy = [(judge_noisy(each, without_background=without_background), _size(each)) for each in judged]
    before = join([(score, size) for score, size in noisy if score is not None])
    simple = _simple_scores(
        scans, holdouts, judged, offer.record, without_background=without_background, run=run
    )
    return Scores(before, after, simple)


def _score(
    denoiser: Denoiser, method: Method, holdouts: Sequence[Holdout], *, without_background: bool, run: Run
) -> Score | None:
    scores = [
        (judge(denoiser, method, each, without_background=without_background, run=run), _size(each))
        for each in holdouts
    ]
    found = [(score, size) for score, size in scores if score is not None]
    return join(found) if found else None


def _size(holdout: Holdout) -> int:
    """Periods that are judged."""
    return 0 if holdout.inputs is None else int(np.prod(holdout.inputs.signal.shape[:2]))


def own_methods() -> list[Offer[Denoiser]]:
    """Return the methods of mpikit itself, which nobody has to ask for."""
    offers = registry().denoisers
    return [offer for name in sorted(offers) for offer in offers[name] if offer.distribution == "mpikit"]


def _simple_scores(
    scans: Sequence[Scan],
    holdouts: Sequence[Holdout],
    judged: Sequence[Holdout],
    chosen: Denoiser,
    *,
    without_background: bool,
    run: Run,
) -> tuple[Score, ...]:
    """Score the methods that learn little on the same data, best first."""
    scores = []
    for denoiser in (offer.record for offer in own_methods()):
        if denoiser.name not in SIMPLE or denoiser.name == chosen.name:
            continue
        options = comparable_options(denoiser, scans, without_background=without_background)
        if options is None:
            continue
        method = denoiser.build(options)
        method.fit([holdout.fitting for holdout in holdouts], run=run)
        score = _score(denoiser, method, judged, without_background=without_background, run=run)
        scores += [score] if score else []
    return tuple(sorted(scores, key=lambda score: -score.figures.snr_db))


def comparable_options(
    denoiser: Denoiser, scans: Sequence[Scan], *, without_background: bool
) -> BaseModel | None:
    """Return options with which a method treats the background as asked, or None.

    None too when a scan lacks what the method then needs.
    """
    choices = [{}, {"background": "keep"}] if "background" in denoiser.options.model_fields else [{}]
    for given in choices:
        options = denoiser.options(**given)
        if all(denoiser.frees_from_background(scan, options) == without_background for scan in scans):
            lacking = any(denoiser.missing(scan, options) for scan in scans)
            return None if lacking else options
    return None


def score_table(result: Denoised | Scores) -> list[dict[str, Any]]:
    """Return the figures of all methods, ready for JSON: noisy data, the method, simple methods.

    An SNR that is not finite (no noise at all, or no signal) is None: JSON has no infinity.
    """
    return [score_row(score) for score in (result.before, result.after, *result.simple) if score is not None]


def score_row(score: Score) -> dict[str, Any]:
    """Return one score, ready for JSON."""
    return {
        "method": score.method,
        "snr_db": score.figures.snr_db if np.isfinite(score.figures.snr_db) else None,
        "is_lower_bound": score.figures.is_bound,
        "mean_squared_error": score.figures.error,
        "standard_error": score.figures.uncertainty,
        "periods_used": score.periods_used,
    }


def snr_words(score: Score) -> str:
    """Say the SNR of a score for people: a lower bound as such, and no number where no signal is found."""
    if score.figures.power <= 0:
        return "no signal found"
    return f"{'> ' if score.figures.is_bound else ''}{score.figures.snr_db:.1f} dB"
