"""Fit a denoising method to a scan, apply it, and judge it beside simple methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.errors import InputError, MpikitError, NumericalError, PluginError
from mpikit.events import Event, Warned, silent
from mpikit.independence import neighbour_correlation
from mpikit.judging import Holdout, Score, hold_out, join, judge, judge_noisy, lacks_judges
from mpikit.plugins import Offer, registry
from mpikit.records import Denoiser, Method, Run
from mpikit.scan import Scan

# What every method is shown beside: the mean, the known lines, and the best that needs no training.
SIMPLE = ("average", "harmonic", "low-rank")


@dataclass(frozen=True)
class Denoised:
    """What came out of a denoising method.

    Parameters
    ----------
    signal : shape (N, J, C, V)
        Denoised foreground frames.
    background : shape (E, J, C, V)
        Background frames, treated likewise.
    before, after : Score or None
        Reference-free figures of the noisy data and of the method; None when the scan has too few repeats.
    simple : tuple of Score
        The same for methods that learn little, best first.
    without_background : bool
        The output is free of the empty-scanner signal.
    method : Method
        Fitted.
    no_score : str
        Why there are no figures, in words; empty when there are some.
    """

    signal: NDArray[np.float32]
    background: NDArray[np.float32]
    before: Score | None
    after: Score | None
    simple: tuple[Score, ...]
    without_background: bool
    method: Method
    no_score: str = ""


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


@dataclass(frozen=True)
class Fitted:
    """A method that was fitted to scans, and how good it is on parts of them that were held out."""

    method: Method
    scores: Scores
    without_background: bool


def fit_scans(scans: Sequence[Scan], offer: Offer[Denoiser], options: BaseModel, *, run: Run) -> Fitted:
    """Fit a method to a part of each of some scans, and judge it by the rest.

    Parameters
    ----------
    scans : sequence of Scan
        Of one sequence, see `mpikit.scan_set.check_alike`.
    offer : Offer of Denoiser
        From `mpikit.plugins.registry`.
    options : pydantic.BaseModel
        An instance of the record's options.
    run : Run

    Returns
    -------
    Fitted

    Raises
    ------
    InputError
        When a scan lacks what the method needs, or the background would be removed from some scans only.
    """
    for scan in scans:
        check_signal(scan, run.tell)
        refuse_if_missing(scan, offer, options)
    free = [offer.record.frees_from_background(scan, options) for scan in scans]
    if len(set(free)) > 1:
        kept = scans[free.index(False)].name
        raise InputError(
            f"{scans[free.index(True)].name} would lose its background, {kept} has none to subtract",
            hint="name an empty measurement with --background-file, or leave one of them out",
        )
    judging = replace(run, rng=run.rng.spawn(3)[2], checkpoint=None)
    holdouts = [hold_out(scan) for scan in scans]
    with offer.blamed():
        method = offer.record.build(options)
        method.fit([holdout.fitting for holdout in holdouts], run=run)
    scores = _scores(scans, holdouts, offer, method, without_background=free[0], run=judging)
    return Fitted(method, scores, free[0])


def denoise_scan(
    scan: Scan,
    offer: Offer[Denoiser],
    options: BaseModel,
    *,
    run: Run,
    state: Mapping[str, Any] | None = None,
    model: str = "the model",
    no_score: str = "",
) -> Denoised:
    """Fit a method to a part of a scan, judge it by the rest, and denoise all of it.

    Parameters
    ----------
    scan : Scan
    offer : Offer of Denoiser
        From `mpikit.plugins.registry`.
    options : pydantic.BaseModel
        An instance of the record's options.
    run : Run
    state : mapping or None
        State of a fitted method, which is then used as it is.
    model : str
        Name of the file that the state is from, for messages.
    no_score : str
        Why no score would be honest, in words; empty to find out.

    Returns
    -------
    Denoised

    Raises
    ------
    InputError
        When the scan lacks what the method needs, or the state is not of this method.
    NumericalError
        When the output is not finite.
    """
    check_signal(scan, run.tell)
    refuse_if_missing(scan, offer, options)
    free = offer.record.frees_from_background(scan, options)
    # spawned, so that what is drawn for the output does not depend on whether the method is fitted here
    foreground, empty, judging = (replace(run, rng=rng, checkpoint=None) for rng in run.rng.spawn(3))
    holdout = hold_out(scan)
    with offer.blamed():
        method = offer.record.build(options)
        if state is None:
            method.fit([holdout.fitting], run=run)
        else:
            _restore(method, offer.record.name, state, model)
        frames = replace(scan, signal=scan.background, foreground_index=scan.background_index)
        with _blaming(model if state is not None else ""):
            signal = denoised(method, scan, foreground)
            background = denoised(method, frames, empty) if len(scan.background) else scan.background
    scores = Scores(None, None, no_score=no_score)
    if not no_score:
        scores = _scores([scan], [holdout], offer, method, without_background=free, run=judging)
    return Denoised(
        signal, background, scores.before, scores.after, scores.simple, free, method, scores.no_score
    )


def _scores(
    scans: Sequence[Scan],
    holdouts: Sequence[Holdout],
    offer: Offer[Denoiser],
    method: Method,
    *,
    without_background: bool,
    run: Run,
) -> Scores:
    """Score a method that was fitted to the fitting parts, beside simple methods."""
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


def _restore(method: Method, name: str, state: Mapping[str, Any], model: str) -> None:
    try:
        method.restore(state)
    except MpikitError:
        raise
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{model} holds no state of {name} with these options: {error}",
            hint="the file is damaged, or of another version of the method: fit it again",
        ) from error


@contextmanager
def _blaming(model: str) -> Iterator[None]:
    """Turn what goes wrong with a restored state into an `InputError` that names the model file, if any."""
    try:
        yield
    except MpikitError:
        raise
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        if not model:
            raise
        raise InputError(
            f"{model} cannot be applied: {type(error).__name__}: {error}",
            hint="the file may be damaged, or of another version of the method: fit it again",
        ) from error


def check_signal(scan: Scan, tell: Callable[[Event], None]) -> None:
    """Refuse values that are no numbers (`InputError`); warn of what makes figures too good."""
    if not np.isfinite(scan.signal).all() or not np.isfinite(scan.background).all():
        raise InputError(
            f"{scan.name}: the signal has values that are no numbers", hint="repair the file first"
        )
    if scan.corrections.background and scan.repeats != "none":  # without repeats there are no figures
        words = "all repeats share the noise of the background that was subtracted"
        tell(
            Warned(f"{scan.name} came with its background subtracted: {words}, and figures come out too good")
        )
    found = neighbour_correlation(scan)
    if found is not None and found.matters:
        tell(
            Warned(
                f"{scan.name}: the noise of one repeat and the next is correlated ({found.value:.2f}) in the "
                "background frames, as with averages that overlap or a drift: what they share is learnt as "
                "signal, and figures come out too good"
            )
        )


def refuse_if_missing(scan: Scan, offer: Offer[Denoiser], options: BaseModel) -> None:
    """Raise `InputError` when the scan lacks what the method needs, and name methods that would do."""
    with offer.blamed():
        lacking = offer.record.missing(scan, options)
    if lacking is None:
        return
    others = [
        other.record.name for other in _ours() if other.record.missing(scan, other.record.options()) is None
    ]
    raise InputError(
        f"{scan.name} lacks {lacking}, which {offer.record.name} needs",
        hint=f"methods that would work: {', '.join(others) or 'none of those installed'}",
    )


def _ours() -> list[Offer[Denoiser]]:
    """Methods of our own distribution, which nobody has to ask for."""
    offers = registry().denoisers
    return [offer for name in sorted(offers) for offer in offers[name] if offer.distribution == "mpikit"]


def denoised(method: Method, scan: Scan, run: Run) -> NDArray[np.float32]:
    """Apply a method, and refuse output of another shape (`PluginError`) or that is no numbers."""
    output = method.denoise(scan, run=run)
    if output.shape != scan.signal.shape:
        raise PluginError(f"the method gave the shape {output.shape}, expected {scan.signal.shape}")
    if not np.isfinite(output).all():
        raise NumericalError(f"{scan.name}: the denoised signal has values that are no numbers")
    return output.astype(np.float32, copy=False)


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
    for denoiser in (offer.record for offer in _ours()):
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
