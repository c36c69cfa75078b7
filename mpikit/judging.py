"""Judge a method by repeats that it has not seen: reference-free scores, cross-fitted.

No repeat is both judge and input, or judge and training target, of one score (denoising without clean data
is easily fooled otherwise). The background frames are shared out too: the noise of a background that was
subtracted from estimate and judge alike would be taken for signal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpikit.metrics import (
    Losses,
    ReferenceFree,
    View,
    combine,
    losses,
    reference_free,
    score_mean,
    score_repeats,
)
from mpikit.records import Denoiser, Method, Run
from mpikit.scan import Scan
from mpikit.signal import noise_statistics, stack_repeats, subtract_background
from mpikit.signal.background import background_blocks, background_weights, shared_background_noise

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
    inputs : Scan or None
        The repeats of ``judging`` with the background frames of ``fitting``: what a method is judged on.
    shared : bool
        Both parts hold repeats of the same clean signals; else they hold different clean signals.
    view : View or None
        ``judging`` is a second view of the very periods of ``inputs``, whose noise is independent and known;
        None where it holds repeats, which show their noise.
    """

    fitting: Scan
    judging: Scan | None
    inputs: Scan | None
    shared: bool
    view: View | None = None


def turns(scan: Scan) -> int:
    """Say how often `hold_out` can be told another turn before a repeat is held out again."""
    held = hold_out(scan)
    if held.judging is None:
        return 1
    sizes = [each.signal.shape[:2] for each in (scan, held.judging)]
    return int(min(whole // part for whole, part in zip(*sizes, strict=True) if whole != part))


def hold_out(scan: Scan, *, share: float = 0.2, turn: int = 0) -> Holdout:
    """Hold a part of a scan out, spread evenly over its time.

    Some repeats of each clean signal, at least two, so that two at least remain for the fit: whole frames,
    or the same periods of all frames; where both repeat, of whichever there are more, and one is enough if
    it holds two repeats. Where periods repeat, but fewer than eight times, and ten frames or more were taken,
    some of these are held out with all their periods. Patches that repeat from frame to frame are never held
    out whole: they are few and unlike each other, and what denoises the scan has to know each. Of each block
    of background frames about half goes to either part.

    Parameters
    ----------
    scan : Scan
    share : float
        Part to hold out.
    turn : int
        Hold others out, by so many places further on.
    """
    signals, repeats = stack_repeats(scan.signal, scan.repeats).shape[:2]
    frames, periods = scan.signal.shape[:2]
    fitting, judging = _share_background(scan)
    if 2 <= repeats < PLENTY and signals >= MANY and scan.repeats == "periods":
        held = np.roll(_spread(frames, max(1, round(share * frames))), turn)
        return _parts(fitting, judging, held, take_frames, shared=False)
    along_periods = scan.repeats == "periods" or (scan.repeats == "both" and frames < periods)
    length, across = (periods, frames) if along_periods else (frames, periods)
    least = 1 if scan.repeats == "both" and across > 1 else 2  # of these there are two repeats
    count = max(least, round(share * length))
    if repeats < 2 or length - count < least:
        return Holdout(scan, None, None, shared=False)
    take = take_periods if along_periods else take_frames
    return _parts(fitting, judging, np.roll(_spread(length, count), turn), take, shared=True)


def _parts(
    fitting: Scan,
    judging: Scan,
    held: NDArray[np.bool_],
    take: Callable[[Scan, NDArray[np.bool_]], Scan],
    *,
    shared: bool,
) -> Holdout:
    return Holdout(take(fitting, ~held), take(judging, held), take(fitting, held), shared)


def _share_background(scan: Scan) -> tuple[Scan, Scan]:
    """Give the first half of each block to the fit, the rest to the judges; a block of one to both."""
    blocks = background_blocks(scan) if len(scan.background) else []
    halves = [(len(block) + 1) // 2 for block in blocks]
    fitting = [block[:half] for block, half in zip(blocks, halves, strict=True)]
    judging = [block[half:] if len(block) > 1 else block for block, half in zip(blocks, halves, strict=True)]
    return _with_background(scan, fitting), _with_background(scan, judging)


def _with_background(scan: Scan, blocks: list[NDArray[np.intp]]) -> Scan:
    if not blocks:
        return scan
    kept = np.concatenate(blocks)
    return replace(scan, background=scan.background[kept], background_index=scan.background_index[kept])


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


def lacks_judges(scan: Scan, *, without_background: bool) -> str | None:
    """Say in words why no score of this scan would be honest, or None.

    Parameters
    ----------
    scan : Scan
    without_background : bool
        The output is free of background, so that the judges must be too.
    """
    if hold_out(scan).judging is None:
        return "too few repeats to hold any back as judges"
    subtracts = without_background and not scan.corrections.background
    if subtracts and not len(scan.background):
        return "the result is free of background, and without background frames the judges are not"
    if subtracts and scan.repeats != "periods" and min(map(len, background_blocks(scan))) < 2:
        return (
            "a block of background frames has one frame alone, so that input and judge would lose the same "
            "background noise"
        )
    return None


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


@dataclass(frozen=True)
class _Judges:
    """Noisy repeats (B, R, C, V) to judge by, and the noise that they have in common."""

    repeats: NDArray[np.float32]
    common_noise: NDArray[np.float64] | float


def _judges(scan: Scan, *, without_background: bool) -> _Judges:
    cleared = subtract_background(scan) if without_background else scan
    repeats = stack_repeats(cleared.signal, cleared.repeats)
    if scan.corrections.background:  # the estimates have the same background noise, and it cancels
        return _Judges(repeats, 0.0)
    return _Judges(repeats, shared_background_noise(cleared) * noise_statistics(cleared).line_power)


def judge_noisy(holdout: Holdout, *, without_background: bool) -> Score | None:
    """Score the data as they are, or with the background subtracted; None without held-out repeats."""
    if holdout.judging is None or holdout.inputs is None:
        return None
    cleared = subtract_background(holdout.inputs) if without_background else holdout.inputs
    trial = Trial(holdout.inputs, cleared.signal, holdout.judging, holdout.view)
    return Score("noisy", _figures(trial, without_background=without_background), 1)


@dataclass(frozen=True)
class Trial:
    """What a method made of repeats that it is then judged on.

    Parameters
    ----------
    inputs : Scan
        What it was given.
    estimate : shape (N, J, C, V)
        Its output.
    judging : Scan
        Repeats that had no part in it.
    view : View or None
        As in `Holdout`.
    """

    inputs: Scan
    estimate: NDArray[np.float32]
    judging: Scan
    view: View | None = None


def try_out(denoiser: Denoiser, method: Method, holdout: Holdout, *, run: Run) -> Trial | None:
    """Apply a method that was fitted to the fitting part of a scan to what it is judged on.

    Parameters
    ----------
    denoiser : Denoiser
    method : Method
    holdout : Holdout
    run : Run

    Returns
    -------
    Trial or None
        None when nothing independent is left to judge by.
    """
    parts = trial_parts(denoiser, holdout)
    if parts is None:
        return None
    return Trial(parts[0], method.denoise(parts[0], run=run), parts[1], holdout.view)


def score_trial(denoiser: Denoiser, trial: Trial, *, without_background: bool) -> Score:
    """Score what a method made by the repeats that had no part in it.

    Parameters
    ----------
    denoiser : Denoiser
    trial : Trial
    without_background : bool
        The output of the method is free of background, so the judges must be too.
    """
    estimate = stack_repeats(trial.estimate, trial.inputs.repeats)
    if not denoiser.pools or trial.view is not None:
        figures = _figures(trial, without_background=without_background)
        return Score(denoiser.name, figures, estimate.shape[1] if denoiser.pools else 1)
    judges = _judges(trial.judging, without_background=without_background)
    figures = score_mean(
        estimate[:, :1],
        judges.repeats,
        common_noise=judges.common_noise,
        common_to_all=trial.inputs.repeats != "frames",
    )
    return Score(denoiser.name, figures, estimate.shape[1])


def _figures(trial: Trial, *, without_background: bool) -> ReferenceFree:
    """Figures of estimates that were each made from one period."""
    estimate = stack_repeats(trial.estimate, trial.inputs.repeats)
    if trial.view is None:
        judges = _judges(trial.judging, without_background=without_background)
        return score_repeats(
            estimate,
            judges.repeats,
            common_noise=judges.common_noise,
            common_to_all=trial.inputs.repeats != "frames",
        )
    judging, noise = _second_view(trial, trial.view, without_background=without_background)
    inputs = subtract_background(trial.inputs) if without_background else trial.inputs
    power = float(np.mean(inputs.signal.astype(np.float64) * judging.signal))
    return reference_free(
        estimate,
        stack_repeats(judging.signal, judging.repeats),
        noise,
        power,
        noise_variance=(noise - trial.view.noise) ** 2,  # of a background that all judges lost
    )


def _second_view(trial: Trial, view: View, *, without_background: bool) -> tuple[Scan, NDArray[np.float64]]:
    """Return the judges free of background, if asked, and the noise power of one of their periods."""
    noise, judging = view.noise, trial.judging
    if not without_background or judging.corrections.background or not len(judging.background):
        return judging, noise
    weights = background_weights(judging, judging.foreground_index)
    return subtract_background(judging), noise * (1 + float(np.sum(weights**2)) / len(weights))


def trial_losses(trial: Trial, *, without_background: bool, shared: bool) -> Losses:
    """Return what compares a method with others that were tried on the same repeats.

    Parameters
    ----------
    trial : Trial
    without_background : bool
        As in `score_trial`.
    shared : bool
        As in `Holdout`; without it the signals of the trial speak for others.
    """
    estimate = stack_repeats(trial.estimate, trial.inputs.repeats)
    if trial.view is None:
        judges = _judges(trial.judging, without_background=without_background)
        if estimate.shape != judges.repeats.shape:  # a method that pools: all repeats have the same output
            estimate = np.broadcast_to(estimate[:, :1], judges.repeats.shape)
        return losses(
            estimate,
            judges.repeats,
            by_signals=not shared,
            common_noise=judges.common_noise,
            common_to_all=trial.inputs.repeats != "frames",
        )
    judging, noise = _second_view(trial, trial.view, without_background=without_background)
    return losses(
        estimate,
        stack_repeats(judging.signal, judging.repeats),
        view=trial.view,
        apart=stack_repeats(trial.inputs.signal - trial.judging.signal, trial.inputs.repeats),
        common_noise=noise - trial.view.noise,
    )


def judge(
    denoiser: Denoiser, method: Method, holdout: Holdout, *, without_background: bool, run: Run
) -> Score | None:
    """Score a method that was fitted to the fitting part of a scan: `try_out`, then `score_trial`."""
    trial = try_out(denoiser, method, holdout, run=run)
    return None if trial is None else score_trial(denoiser, trial, without_background=without_background)


def trial_parts(denoiser: Denoiser, holdout: Holdout) -> tuple[Scan, Scan] | None:
    """Choose inputs and judges for a method; None when nothing independent is left to judge by."""
    judging, inputs = holdout.judging, holdout.inputs
    if judging is None or inputs is None:
        return None
    if not denoiser.pools:
        return inputs, judging
    if holdout.shared:
        return holdout.fitting, judging
    periods = judging.signal.shape[1]  # whole clean signals are held out only where periods repeat
    if periods < 4:
        return None
    first = np.arange(periods) < periods // 2
    return take_periods(inputs, first), take_periods(judging, ~first)


def join(scores: Sequence[tuple[Score, int]]) -> Score:
    """Join the scores of one method on several scans.

    Parameters
    ----------
    scores : sequence of (Score, int)
        Each with the number of periods that it was measured on. The least of the periods used is kept.
    """
    first = scores[0][0]
    if len(scores) == 1:
        return first
    figures = combine([score.figures for score, _ in scores], [count for _, count in scores])
    return Score(first.method, figures, min(score.periods_used for score, _ in scores))
