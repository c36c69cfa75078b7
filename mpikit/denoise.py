"""Fit a denoising method to a scan, apply it, and judge it beside simple methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.errors import InputError, NumericalError, PluginError
from mpikit.events import Warned, silent
from mpikit.judging import Holdout, Score, hold_out, judge, judge_noisy, lacks_judges
from mpikit.plugins import Offer, registry
from mpikit.records import Denoiser, Method, Run
from mpikit.scan import Scan


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


def denoise_scan(
    scan: Scan,
    offer: Offer[Denoiser],
    options: BaseModel,
    *,
    run: Run,
    state: Mapping[str, Any] | None = None,
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

    Returns
    -------
    Denoised

    Raises
    ------
    InputError
        When the scan lacks what the method needs.
    NumericalError
        When the output is not finite.
    """
    denoiser = offer.record
    _check_signal(scan, run)
    refuse_if_missing(scan, offer, options)
    free = denoiser.frees_from_background(scan, options)
    holdout = hold_out(scan)
    with offer.blamed():
        method = denoiser.build(options)
        if state is None:
            method.fit([holdout.fitting], run=run)
        else:
            method.restore(state)
        signal = _denoised(method, scan, run)
        empty = replace(scan, signal=scan.background, foreground_index=scan.background_index)
        background = _denoised(method, empty, run) if len(scan.background) else scan.background
        silent_because = lacks_judges(scan, without_background=free)
        if silent_because is not None:
            return Denoised(signal, background, None, None, (), free, method, silent_because)
        after = judge(denoiser, method, holdout, without_background=free, run=run)
    before = judge_noisy(holdout, without_background=free)
    simple = _simple_scores(scan, denoiser, holdout, without_background=free, run=run)
    return Denoised(signal, background, before, after, simple, free, method)


def _check_signal(scan: Scan, run: Run) -> None:
    """Refuse values that are no numbers; warn of what makes figures too good."""
    if not np.isfinite(scan.signal).all() or not np.isfinite(scan.background).all():
        raise InputError(
            f"{scan.name}: the signal has values that are no numbers", hint="repair the file first"
        )
    if scan.corrections.background and scan.repeats != "none":  # without repeats there are no figures
        words = "all repeats share the noise of the background that was subtracted"
        run.tell(
            Warned(f"{scan.name} came with its background subtracted: {words}, and figures come out too good")
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


def _denoised(method: Method, scan: Scan, run: Run) -> NDArray[np.float32]:
    output = method.denoise(scan, run=run)
    if output.shape != scan.signal.shape:
        raise PluginError(f"the method gave the shape {output.shape}, expected {scan.signal.shape}")
    if not np.isfinite(output).all():
        raise NumericalError(f"{scan.name}: the denoised signal has values that are no numbers")
    return output.astype(np.float32, copy=False)


def _simple_scores(
    scan: Scan, chosen: Denoiser, holdout: Holdout, *, without_background: bool, run: Run
) -> tuple[Score, ...]:
    """Score the methods that learn little on the same data, best first."""
    quiet = replace(run, tell=silent, checkpoint=None)
    scores = []
    for denoiser in (offer.record for offer in _ours()):
        options = _comparable_options(denoiser, scan, without_background)
        if denoiser.learned or denoiser.name == chosen.name or options is None:
            continue
        method = denoiser.build(options)
        method.fit([holdout.fitting], run=quiet)
        score = judge(denoiser, method, holdout, without_background=without_background, run=quiet)
        scores += [score] if score else []
    return tuple(sorted(scores, key=lambda score: -score.figures.snr_db))


def _comparable_options(denoiser: Denoiser, scan: Scan, without_background: bool) -> BaseModel | None:
    """Options with which a method treats the background as asked, or None."""
    choices = [{}, {"background": "keep"}] if "background" in denoiser.options.model_fields else [{}]
    for given in choices:
        options = denoiser.options(**given)
        if denoiser.frees_from_background(scan, options) == without_background:
            return None if denoiser.missing(scan, options) else options
    return None


def score_table(result: Denoised) -> list[dict[str, Any]]:
    """Return the figures of all methods, ready for JSON: noisy data, the method, simple methods.

    An SNR that is not finite (no noise at all, or no signal) is None: JSON has no infinity.
    """
    return [
        {
            "method": score.method,
            "snr_db": score.figures.snr_db if np.isfinite(score.figures.snr_db) else None,
            "is_lower_bound": score.figures.is_bound,
            "mean_squared_error": score.figures.error,
            "standard_error": score.figures.uncertainty,
            "periods_used": score.periods_used,
        }
        for score in (result.before, result.after, *result.simple)
        if score is not None
    ]
