"""Fit a denoising method to a scan, apply it, and have it judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.errors import InputError, MpikitError, PluginError
from mpikit.events import Event, Warned, silent
from mpikit.frozen import protected
from mpikit.guarded import checked_output
from mpikit.independence import warn_of_correlation
from mpikit.judging import Holdout, Score, hold_out
from mpikit.locked import warn_of_locked_lines
from mpikit.plugins import Offer
from mpikit.records import Denoiser, Method, Run
from mpikit.scan import Scan
from mpikit.scoring import Scores, own_methods, score_fitted
from mpikit.signal import subtract_background

CLEARED_FIRST = "all repeats share the noise of the background that was subtracted before"


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
class Fitted:
    """A method that was fitted to scans, and how good it is on parts of them that were held out."""

    method: Method
    scores: Scores
    without_background: bool


def fit_scans(scans: Sequence[Scan], offer: Offer[Denoiser], options: BaseModel, *, run: Run) -> Fitted:
    """Fit a method to a part of each of some scans, and judge it by the rest; `fit_to_all` says what is kept.

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
    free = [offer.record.frees_from_background(scan, options) for scan in scans]
    for scan, freed in zip(scans, free, strict=True):
        check_signal(scan, run.tell, subtracted=freed)
        refuse_if_missing(scan, offer, options)
    if len(set(free)) > 1:
        kept = scans[free.index(False)].name
        raise InputError(
            f"{scans[free.index(True)].name} would lose its background, {kept} has none to subtract",
            hint="name an empty measurement with --background-file, or leave one of them out",
        )
    judging = replace(run, rng=run.rng.spawn(3)[2], checkpoint=None)
    holdouts = [hold_out(scan) for scan in scans]
    method = _fit_to_parts(holdouts, offer, options, run)
    scores = score_fitted(scans, holdouts, offer, method, without_background=free[0], run=judging)
    return Fitted(fit_to_all(scans, holdouts, offer, options, method, run=run), scores, free[0])


def _fit_to_parts(
    holdouts: Sequence[Holdout], offer: Offer[Denoiser], options: BaseModel, run: Run
) -> Method:
    again = _is_fitted_again(holdouts, offer.record)
    with offer.blamed():
        method = offer.record.build(options)
        method.fit([each.fitting for each in holdouts], run=replace(run, tell=silent) if again else run)
    return method


def fit_to_all(
    scans: Sequence[Scan],
    holdouts: Sequence[Holdout],
    offer: Offer[Denoiser],
    options: BaseModel,
    method: Method,
    *,
    run: Run,
) -> Method:
    """Fit a method once more, to all there is, for the result; the scores are those of a fit to a part.

    More data make a better fit, so the scores do not promise too much. A `learned` method is kept as it
    is: another training would take as long as the first.

    Parameters
    ----------
    scans : sequence of Scan
    holdouts : sequence of Holdout
        Of each of them.
    offer : Offer of Denoiser
    options : pydantic.BaseModel
    method : Method
        Fitted to the fitting parts.
    run : Run
    """
    if not _is_fitted_again(holdouts, offer.record):
        return method
    with offer.blamed():
        whole = offer.record.build(options)
        whole.fit(scans, run=replace(run, rng=run.rng.spawn(1)[0], checkpoint=None))
    return whole


def _is_fitted_again(holdouts: Sequence[Holdout], denoiser: Denoiser) -> bool:
    return not denoiser.learned and any(holdout.judging is not None for holdout in holdouts)


def denoise_scan(
    scan: Scan,
    offer: Offer[Denoiser],
    options: BaseModel,
    *,
    run: Run,
    state: Mapping[str, Any] | None = None,
    model: str = "the model",
    no_score: str = "",
    cleared_first: bool = False,
) -> Denoised:
    """Fit a method to a part of a scan, judge it by the rest, and denoise all of it (see `fit_to_all`).

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
    cleared_first : bool
        The method is given the scan without its background, which it would not subtract itself.

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
    free = cleared_first or offer.record.frees_from_background(scan, options)
    check_signal(scan, run.tell, subtracted=free)
    refuse_if_missing(scan, offer, options)
    if cleared_first:
        scan, no_score = subtract_background(scan), no_score or CLEARED_FIRST
    # spawned, so that what is drawn for the output does not depend on whether the method is fitted here
    foreground, empty, judging = runs_apart(run)
    # nothing is kept back for judges that would not be heard
    holdout = Holdout(scan, None, None, shared=False) if no_score else hold_out(scan)
    if state is None:
        judged = _fit_to_parts([holdout], offer, options, run)
        method = fit_to_all([scan], [holdout], offer, options, judged, run=run)
    else:
        judged = method = _restored(offer, options, state, model)
    with offer.blamed(), _blaming(model if state is not None else ""):
        signal, background = apply_method(method, scan, foreground, empty)
    scores = Scores(None, None, no_score=no_score)
    if not no_score:
        scores = score_fitted([scan], [holdout], offer, judged, without_background=free, run=judging)
    return Denoised(
        signal, background, scores.before, scores.after, scores.simple, free, method, scores.no_score
    )


def runs_apart(run: Run) -> tuple[Run, Run, Run]:
    """Return what to denoise the foreground, the background frames and the held-out part with."""
    foreground, empty, judging = (replace(run, rng=rng, checkpoint=None) for rng in run.rng.spawn(3))
    return foreground, empty, judging


def apply_method(
    method: Method, scan: Scan, foreground: Run, empty: Run
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Apply a fitted method to the foreground (N, J, C, V) and background frames (E, J, C, V) of a scan.

    Parameters
    ----------
    method : Method
    scan : Scan
    foreground, empty : Run
        See `runs_apart`.

    Raises
    ------
    NumericalError, PluginError
        When the output is not finite, or of another shape.
    """
    frames = replace(scan, signal=scan.background, foreground_index=scan.background_index)
    signal = denoised(method, scan, foreground)
    return signal, denoised(method, frames, empty) if len(scan.background) else scan.background


def _restored(offer: Offer[Denoiser], options: BaseModel, state: Mapping[str, Any], model: str) -> Method:
    with offer.blamed():
        method = offer.record.build(options)
        try:
            method.restore(state)
        except MpikitError:
            raise
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(
                f"{model} holds no state of {offer.record.name} with these options: {error}",
                hint="the file is damaged, or of another version of the method: fit it again",
            ) from error
    return method


@contextmanager
def _blaming(model: str) -> Iterator[None]:
    """Turn what goes wrong with a restored state into an `InputError` that names the model file, if any."""
    misfits = (LookupError, RuntimeError, TypeError, ValueError)
    try:
        yield
    except (MpikitError, *misfits) as error:
        cause = error.__cause__ if isinstance(error, PluginError) else error  # of a guarded plugin
        if not model or not isinstance(cause, misfits):
            raise
        raise InputError(
            f"{model} cannot be applied: {type(cause).__name__}: {cause}",
            hint="the file may be damaged, or of another version of the method: fit it again",
        ) from error


def check_signal(scan: Scan, tell: Callable[[Event], None], *, subtracted: bool) -> None:
    """Refuse values that are no numbers (`InputError`), once for all methods; warn of too good figures.

    Parameters
    ----------
    scan : Scan
    tell : callable
        Takes events.
    subtracted : bool
        The background is removed, or was.
    """
    if not scan.signal.size:
        raise InputError(
            f"{scan.name} has no frame of an object, its shape is {scan.signal.shape}",
            hint="name a measurement of an object",
        )
    _refuse_no_numbers(scan, scan.signal, scan.foreground_index, "signal")
    _refuse_no_numbers(scan, scan.background, scan.background_index, "background")
    if scan.corrections.background and scan.repeats != "none":  # without repeats there are no figures
        words = "all repeats share the noise of the background that was subtracted"
        tell(
            Warned(f"{scan.name} came with its background subtracted: {words}, and figures come out too good")
        )
    warn_of_correlation(scan, tell)
    warn_of_locked_lines(scan, tell, subtracted=subtracted)


def _refuse_no_numbers(scan: Scan, signals: NDArray[np.float32], index: NDArray[np.int64], what: str) -> None:
    wrong = 0
    for frame in signals:  # one frame at a time bounds the memory
        wrong += frame.size - int(np.count_nonzero(np.isfinite(frame)))
    if not wrong:
        return
    number = next(n for n, frame in enumerate(signals) if not np.isfinite(frame).all())
    period, channel, _ = np.argwhere(~np.isfinite(signals[number]))[0]
    values = "a value that is no number" if wrong == 1 else f"{wrong} values that are no numbers"
    raise InputError(
        f"{scan.name}: the {what} has {values}, first in frame {index[number]} "
        f"(counted from 0 as they were acquired), period {period}, receive channel {channel}",
        hint="repair the file first",
    )


def refuse_if_missing(scan: Scan, offer: Offer[Denoiser], options: BaseModel) -> None:
    """Raise `InputError` when the scan lacks what the method needs, and name methods that would do."""
    with offer.blamed():
        lacking = offer.record.missing(scan, options)
    if lacking is None:
        return
    others = [
        other.record.name
        for other in own_methods()
        if other.record.missing(scan, other.record.options()) is None
    ]
    raise InputError(
        f"{scan.name} lacks {lacking}, which {offer.record.name} needs",
        hint=f"methods that would work: {', '.join(others) or 'none of those installed'}",
    )


def denoised(method: Method, scan: Scan, run: Run) -> NDArray[np.float32]:
    """Apply a method, and refuse output of another shape (`PluginError`) or that is no numbers."""
    output = checked_output(
        method.denoise(protected(scan), run=run), scan.signal.shape, "the method", f"signal for {scan.name}"
    )
    kept: NDArray[np.float32] = output.astype(np.float32, copy=np.may_share_memory(output, scan.signal))
    return kept
