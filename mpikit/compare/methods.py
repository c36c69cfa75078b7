"""Try methods on one scan, all judged alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mdf import MdfError
from mpikit.compare.reference import TrueScore, true_score
from mpikit.compare.result import NOISY, Comparison, Gain, Interrupted, Row, Skipped
from mpikit.denoise import check_signal, denoised
from mpikit.errors import MpikitError
from mpikit.events import Event, Finding, Step, Warned, silent
from mpikit.judging import (
    Holdout,
    Score,
    Trial,
    hold_out,
    judge_noisy,
    lacks_judges,
    score_trial,
    take_frames,
    take_periods,
    trial_losses,
    trial_parts,
)
from mpikit.metrics import Losses, Whiteness, residual_whiteness
from mpikit.options import parse_options
from mpikit.plugins import Offer
from mpikit.provenance import clock
from mpikit.records import Denoiser, Run
from mpikit.scan import Scan
from mpikit.signal import noise_statistics, stack_repeats, subtract_background

FEWEST_LINES = 4  # with noise, DC and Nyquist among them, for a residual to be compared with
# what the code of a method may raise: it becomes a row of the table, and the others go on
FAILURES = (
    MpikitError,
    MdfError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Candidate:
    """A method to compare, with its options as ``name=value`` texts."""

    offer: Offer[Denoiser]
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Bench:
    """What all methods are tried on."""

    scan: Scan
    holdout: Holdout
    clean: Holdout | None
    without_background: bool
    no_score: str
    seed: int
    device: str
    tell: Callable[[Event], None]


def compare_scan(
    scan: Scan,
    candidates: Sequence[Candidate],
    *,
    clean: NDArray[np.float32] | None = None,
    seed: int = 0,
    device: str = "cpu",
    tell: Callable[[Event], None] = silent,
) -> Comparison:
    """Fit each method to a part of a scan and judge it by the rest, as `mpikit.denoise.denoise_scan` does.

    All are judged alike: free of the background where it can be subtracted. A method that keeps it is then
    given signals from which it was subtracted. Every method starts from the same seed, so that a row is what
    it would be without the others.

    Parameters
    ----------
    scan : Scan
    candidates : sequence of Candidate
    clean : shape (N, J, C, V) or None
        Clean signals, used for the true figures alone and shown to no method.
    seed : int
    device : {"cpu", "cuda"}
    tell : callable
        Takes events.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        When the signal has values that are no numbers.
    UsageError
        When the options of a method are wrong.
    """
    free, no_score = how_judged(scan)
    check_signal(scan, tell, subtracted=free)
    references = None if clean is None else hold_out(replace(scan, signal=clean))
    return _compared(_Bench(scan, hold_out(scan), references, free, no_score, seed, device, tell), candidates)


def compare_parts(
    scan: Scan,
    candidates: Sequence[Candidate],
    holdout: Holdout,
    *,
    without_background: bool,
    seed: int = 0,
    device: str = "cpu",
    tell: Callable[[Event], None] = silent,
) -> Comparison:
    """Do as `compare_scan` with two parts of a scan that somebody else has chosen.

    Parameters
    ----------
    scan : Scan
    candidates : sequence of Candidate
    holdout : Holdout
        Of that scan.
    without_background : bool
        Judge all free of the background.
    seed, device, tell
        As in `compare_scan`.
    """
    return _compared(_Bench(scan, holdout, None, without_background, "", seed, device, tell), candidates)


def _compared(bench: _Bench, candidates: Sequence[Candidate]) -> Comparison:
    rows: list[Row] = []
    skipped: list[Skipped] = []
    noisy = _noisy_row(bench)
    try:
        _fill(bench, candidates, noisy, rows, skipped)
    except KeyboardInterrupt as stopped:
        if not rows:
            raise
        done = {row.method for row in rows} | {each.method for each in skipped}
        left = (candidate.offer.record.name for candidate in candidates)
        raise Interrupted(
            _comparison(bench, noisy, rows, skipped, tuple(name for name in left if name not in done))
        ) from stopped
    return _comparison(bench, noisy, rows, skipped)


def _fill(
    bench: _Bench, candidates: Sequence[Candidate], noisy: Row, rows: list[Row], skipped: list[Skipped]
) -> None:
    for candidate in candidates:
        options = parse_options(candidate.offer.record, candidate.parameters)
        bench.tell(Finding("method", candidate.offer.record.name, f"== {candidate.offer.record.name}"))
        found = _tried(bench, candidate, options)
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            rows.append(replace(found, gain=gain_of(found.score, noisy.score)))


def _comparison(
    bench: _Bench, noisy: Row, rows: list[Row], skipped: list[Skipped], interrupted: tuple[str, ...] = ()
) -> Comparison:
    return Comparison(
        bench.scan.name,
        noisy,
        tuple(sorted(rows, key=_rank)),
        tuple(skipped),
        bench.without_background,
        bench.no_score,
        bench.seed,
        bench.device,
        interrupted,
    )


def how_judged(scan: Scan) -> tuple[bool, str]:
    """Say whether all are judged free of the background, and why there is no score; empty if there is one."""
    free = scan.corrections.background or len(scan.background) > 0
    no_score = lacks_judges(scan, without_background=free)
    if no_score and free and lacks_judges(scan, without_background=False) is None:
        free, no_score = scan.corrections.background, None
    return free, no_score or ""


def _rank(row: Row) -> tuple[bool, bool, float]:
    """Best first; without a score behind those with one, failures last."""
    if row.score is not None:
        return bool(row.error), False, -row.score.figures.snr_db
    return bool(row.error), True, 0.0 if row.true is None else -row.true.pooled_db


def gain_of(score: Score | None, noisy: Score | None) -> Gain | None:
    """Return the gain of a score over that of the noisy signal, None where it is not known.

    An SNR less the lower bound of another would come out too large. So where the noisy error is lost in its
    uncertainty, the ratio of the two errors is taken as measured, as long as both exceed their standard
    errors.
    """
    if score is None or noisy is None:
        return None
    after, before = score.figures, noisy.figures
    if not np.isfinite(after.snr_db) or not np.isfinite(before.snr_db):
        return None
    is_bound = after.is_bound and not before.is_bound
    if before.is_bound and any(each.error <= max(each.uncertainty, 0) for each in (after, before)):
        return None
    if is_bound:
        return Gain(after.snr_db - before.snr_db, None, is_bound)
    ratio = (after.power / after.error) / (before.power / before.error)
    doubt = np.hypot(after.uncertainty / after.error, before.uncertainty / before.error)
    return Gain(float(10 * np.log10(ratio)), float(10 / np.log(10) * doubt), is_bound)


def _noisy_row(bench: _Bench) -> Row:
    score = None
    if not bench.no_score:
        score = judge_noisy(bench.holdout, without_background=bench.without_background)
    inputs = _inputs(bench.holdout)
    noisy = _cleared(bench, inputs).signal
    true = None
    if bench.clean is not None:
        stacked = stack_repeats(noisy, inputs.repeats)
        clean = stack_repeats(_inputs(bench.clean).signal, inputs.repeats)
        true = true_score(stacked, stacked, clean, rng=_bootstrap(bench))
    periods = int(np.prod(inputs.signal.shape[:2]))
    return Row(NOISY, score=score, gain=None, true=true, periods=periods)


def _tried(bench: _Bench, candidate: Candidate, options: BaseModel) -> Row | Skipped:
    """Try one method; whatever it raises becomes its row."""
    offer = candidate.offer
    denoiser = offer.record
    try:
        with offer.blamed():
            chosen = _treatment(bench, denoiser, options, candidate.parameters)
            if isinstance(chosen, str):
                return Skipped(denoiser.name, chosen)
            lacking = denoiser.missing(bench.scan, chosen)
            if lacking is not None:
                return Skipped(denoiser.name, lacking)
            return replace(
                _run(bench, denoiser, chosen), offer=offer, needs=_needs(denoiser, chosen, bench.scan)
            )
    except FAILURES as error:
        words = (
            str(error) if isinstance(error, (MpikitError, MdfError)) else f"{type(error).__name__}: {error}"
        )
        bench.tell(Warned(f"{denoiser.name} failed: {words}"))
        return Row(denoiser.name, error=words, options=options, offer=offer)


def _treatment(
    bench: _Bench, denoiser: Denoiser, options: BaseModel, parameters: Sequence[str]
) -> BaseModel | str:
    """Return options with which the method leaves the background where it must stay, or why it cannot."""
    if bench.without_background or not denoiser.frees_from_background(bench.scan, options):
        return options
    if "background" in denoiser.options.model_fields and not any(
        text.strip().startswith("background") for text in parameters
    ):
        kept = parse_options(denoiser, [*parameters, "background=keep"])
        if not denoiser.frees_from_background(bench.scan, kept):
            return kept
    return "two background frames or more in each block, to judge by without the background"


def _run(bench: _Bench, denoiser: Denoiser, options: BaseModel) -> Row:
    run = Run(rng=np.random.default_rng(bench.seed), device=bench.device, tell=_passing_on(bench, denoiser))
    judging = replace(run, rng=run.rng.spawn(3)[2], tell=silent)
    keeps = bench.without_background and not denoiser.frees_from_background(bench.scan, options)
    holdout = _cleared_holdout(bench.holdout) if keeps else bench.holdout
    method = denoiser.build(options)
    begun = clock()
    method.fit([holdout.fitting], run=run)
    fitted = clock()
    parts = trial_parts(denoiser, holdout)
    inputs = parts[0] if parts else _inputs(holdout)
    estimate = denoised(method, inputs, judging)
    done = clock()
    score: Score | None = None
    losses: tuple[Losses, ...] = ()
    if parts and not bench.no_score:
        trial = Trial(inputs, estimate, parts[1], holdout.view)
        score = score_trial(denoiser, trial, without_background=bench.without_background)
        found = trial_losses(trial, without_background=bench.without_background, shared=bench.holdout.shared)
        losses = (found,)
    repeats = stack_repeats(inputs.signal, inputs.repeats).shape[1]
    return Row(
        denoiser.name,
        score=score,
        losses=losses,
        true=_true(bench, denoiser, estimate, inputs),
        residual=_residual(bench, estimate, inputs, holdout),
        periods_used=repeats if denoiser.pools else 1,
        fit_seconds=fitted - begun,
        denoise_seconds=done - fitted,
        periods=int(np.prod(inputs.signal.shape[:2])),
        options=options,
        fitted=method,
    )


def _inputs(holdout: Holdout) -> Scan:
    """Return what is denoised; without anything held out, the whole scan."""
    return holdout.fitting if holdout.inputs is None else holdout.inputs


def _cleared(bench: _Bench, scan: Scan) -> Scan:
    return subtract_background(scan) if bench.without_background else scan


def _cleared_holdout(holdout: Holdout) -> Holdout:
    """Subtract the background from what a method sees; the judges lose theirs when they judge."""
    inputs = None if holdout.inputs is None else subtract_background(holdout.inputs)
    return replace(holdout, fitting=subtract_background(holdout.fitting), inputs=inputs)


def _true(bench: _Bench, denoiser: Denoiser, estimate: NDArray[np.float32], inputs: Scan) -> TrueScore | None:
    if bench.clean is None:
        return None
    parts = trial_parts(denoiser, bench.clean)
    clean = parts[0] if parts else _inputs(bench.clean)
    signals = (estimate, _cleared(bench, inputs).signal, clean.signal)
    stacked = [stack_repeats(signal, inputs.repeats) for signal in signals]
    if denoiser.pools:  # all repeats have the same output
        stacked = [signal[:, :1] for signal in stacked]
    return true_score(stacked[0], stacked[1], stacked[2], rng=_bootstrap(bench))


def _residual(
    bench: _Bench, estimate: NDArray[np.float32], inputs: Scan, holdout: Holdout
) -> Whiteness | None:
    """Compare what was taken away with the noise of repeats that the method was not applied to."""
    if holdout.view is not None:  # a second view has another noise than the first
        return None
    other = holdout.judging if inputs is holdout.fitting and holdout.judging is not None else holdout.fitting
    noise, noisy = noise_statistics(_cleared(bench, other)), _cleared(bench, inputs).signal
    rounding = 1e-12 * np.mean(noisy.astype(np.float64) ** 2)
    enough = np.count_nonzero(noise.line_power, axis=-1).min() >= FEWEST_LINES
    if not enough or np.min(noise.sigma) ** 2 <= rounding:
        return None
    return residual_whiteness(noisy, estimate, noise_power=noise.line_power, freedom=noise.freedom)


def _needs(denoiser: Denoiser, options: BaseModel, scan: Scan) -> str:
    one = take_frames(scan, np.arange(len(scan.signal)) < 1)
    one = take_periods(one, np.arange(scan.signal.shape[1]) < 1)
    bare = replace(
        one, background=one.background[:0], background_index=one.background_index[:0], repeats="none"
    )
    return denoiser.missing(bare, options) or ""


def _bootstrap(bench: _Bench) -> np.random.Generator:
    return np.random.default_rng((bench.seed, 1))


def _passing_on(bench: _Bench, denoiser: Denoiser) -> Callable[[Event], None]:
    """Pass on the steps of a method, and its warnings under its name."""

    def listen(event: Event) -> None:
        if isinstance(event, Step):
            bench.tell(event)
        elif isinstance(event, Warned):
            bench.tell(Warned(f"{denoiser.name}: {event.text}"))

    return listen
