"""Judge a method by repeats that it has not seen: reference-free scores, cross-fitted.

No repeat is both judge and input, or judge and training target, of one score (denoising without clean data
is easily fooled otherwise).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpikit.metrics import ReferenceFree, clean_power, reference_free, score_repeats
from mpikit.records import Denoiser, Method, Run
from mpikit.scan import Scan
from mpikit.signal import noise_statistics, stack_repeats, subtract_background

MANY = 10  # clean signals from which on some can be held out whole
PLENTY = 8  # repeats from which on some of each can be held out without loss


@dataclass(frozen=True)
class Holdout:
    """A scan in two parts.

    Parameters
    ----------
    fitting : Scan
        What a method may learn from.
    judging : Scan or None
        Held out; None when the scan has too few repeats.
    shared : bool
        Both parts hold repeats of the same clean signals; else they hold different clean signals.
    """

    fitting: Scan
    judging: Scan | None
    shared: bool


def hold_out(scan: Scan, *, share: float = 0.2) -> Holdout:
    """Hold a part of a scan out, spread evenly over its time.

    Some repeats of each clean signal, at least two; or, when there are fewer than eight repeats but ten
    clean signals, some of these with all their repeats. Two repeats at least remain for the fit.

    Parameters
    ----------
    scan : Scan
    share : float
        Part to hold out.
    """
    signals, repeats = stack_repeats(scan.signal, scan.repeats).shape[:2]
    frames, periods = scan.signal.shape[:2]
    if 2 <= repeats < PLENTY and signals >= MANY and scan.repeats == "periods":
        held = _spread(frames, round(share * frames))
        return Holdout(take_frames(scan, ~held), take_frames(scan, held), shared=False)
    along_periods = scan.repeats == "periods" or (scan.repeats == "both" and frames < periods)
    length = periods if along_periods else frames
    count = max(2, round(share * length))
    if repeats < 2 or length - count < 2:
        return Holdout(scan, None, shared=False)
    held, take = _spread(length, count), take_periods if along_periods else take_frames
    return Holdout(take(scan, ~held), take(scan, held), shared=True)


def _spread(length: int, count: int) -> NDArray[np.bool_]:
    chosen = np.zeros(length, bool)
    chosen[((np.arange(count) + 0.5) * length / count).astype(int)] = True
    return chosen


def take_frames(scan: Scan, chosen: NDArray[np.bool_]) -> Scan:
    """Return the scan with some of its foreground frames, chosen by a mask of shape (N,)."""
    return replace(scan, signal=scan.signal[chosen], foreground_index=scan.foreground_index[chosen])


def take_periods(scan: Scan, chosen: NDArray[np.bool_]) -> Scan:
    """Return the scan with some of its periods, chosen by a mask of shape (J,)."""
    field = scan.drive_field
    drive = replace(field, amplitudes=field.amplitudes[chosen], phases=field.phases[chosen])
    selection = scan.selection_field
    if selection is not None:
        selection = replace(selection, gradient=selection.gradient[chosen], offset=selection.offset[chosen])
    return replace(
        scan,
        signal=scan.signal[:, chosen],
        background=scan.background[:, chosen],
        drive_field=drive,
        selection_field=selection,
    )


@dataclass(frozen=True)
class Score:
    """How good the output of a method is, judged without clean data.

    Parameters
    ----------
    method : str
        Name of the method; ``"noisy"`` for the data as they are.
    figures : ReferenceFree
    periods_used : int
        Repeats that one output period is made from.
    """

    method: str
    figures: ReferenceFree
    periods_used: int


def judge_noisy(holdout: Holdout, *, without_background: bool) -> Score | None:
    """Score the data as they are, or with the background subtracted; None without held-out repeats."""
    if holdout.judging is None:
        return None
    judging = subtract_background(holdout.judging) if without_background else holdout.judging
    repeats = stack_repeats(judging.signal, judging.repeats)
    return Score("noisy", score_repeats(repeats, repeats), 1)


def judge(denoiser: Denoiser, method: Method, holdout: Holdout, *, without_background: bool, run: Run) -> Score | None:
    """Score a method that was fitted to the fitting part of a scan.

    Parameters
    ----------
    denoiser : Denoiser
    method : Method
    holdout : Holdout
    without_background : bool
        The output of the method is free of background, so the judges must be too.
    run : Run

    Returns
    -------
    Score or None
        None when nothing independent is left to judge by.
    """
    if holdout.judging is None:
        return None
    inputs, judging = (holdout.judging, holdout.judging)
    if denoiser.pools:
        parts = _pooled_parts(holdout)
        if parts is None:
            return None
        inputs, judging = parts
    estimate = stack_repeats(method.denoise(inputs, run=run), inputs.repeats)
    cleared = subtract_background(judging) if without_background else judging
    repeats = stack_repeats(cleared.signal, cleared.repeats)
    if not denoiser.pools:
        return Score(denoiser.name, score_repeats(estimate, repeats), 1)
    count = repeats.shape[1]
    noise = noise_statistics(cleared).line_power / count
    mean = repeats.mean(axis=1, keepdims=True, dtype=np.float64)
    figures = reference_free(estimate[:, :1], mean, noise, clean_power(repeats))
    return Score(denoiser.name, figures, stack_repeats(inputs.signal, inputs.repeats).shape[1])


def _pooled_parts(holdout: Holdout) -> tuple[Scan, Scan] | None:
    """Inputs and judges for a method that uses all repeats of a period at once."""
    judging = holdout.judging
    if judging is None:
        return None
    if holdout.shared:
        return holdout.fitting, judging
    periods = judging.signal.shape[1]  # whole clean signals are held out only where periods repeat
    if periods < 4:
        return None
    first = np.arange(periods) < periods // 2
    return take_periods(judging, first), take_periods(judging, ~first)
