"""Fit a denoising method to a measurement, apply it, judge it, and write the denoised file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

import mdf
from mpikit.device import choose_device
from mpikit.errors import InputError, NumericalError, PluginError, UsageError
from mpikit.events import Event, Finding, silent
from mpikit.files import check_output
from mpikit.judging import Holdout, Score, hold_out, judge, judge_noisy, lacks_judges
from mpikit.models import Card, load_model, save_model
from mpikit.options import parse_options
from mpikit.plugins import Offer, registry
from mpikit.provenance import HISTORY, REPEATS, append_history, run_record
from mpikit.records import Denoiser, Method, Run
from mpikit.scan import Repeats, Scan
from mpikit.scan_file import EMPTY_LINES, read_scan

FOURIER = "/measurement/isFourierTransformed"


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
class DenoisedFile:
    """A denoised file that was written: where, and what came out."""

    path: Path
    model: Path | None
    result: Denoised


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
    if not np.isfinite(scan.signal).all() or not np.isfinite(scan.background).all():
        raise InputError(
            f"{scan.name}: the signal has values that are no numbers", hint="repair the file first"
        )
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
    scores = []
    for offer in _ours():
        denoiser, options = offer.record, offer.record.options()
        comparable = denoiser.frees_from_background(scan, options) == without_background
        if (
            denoiser.learned
            or denoiser.name == chosen.name
            or not comparable
            or denoiser.missing(scan, options)
        ):
            continue
        method, quiet = denoiser.build(options), replace(run, tell=silent, checkpoint=None)
        method.fit([holdout.fitting], run=quiet)
        score = judge(denoiser, method, holdout, without_background=without_background, run=quiet)
        scores += [score] if score else []
    return tuple(sorted(scores, key=lambda score: -score.figures.snr_db))


def denoise_file(  # noqa: PLR0913 - as many arguments as the command has options
    source: Path,
    *,
    method: str,
    parameters: tuple[str, ...] = (),
    output: Path | None = None,
    model: Path | None = None,
    keep_model: Path | None = None,
    repeats: Repeats | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> DenoisedFile:
    """Denoise an MDF file and write the result beside it.

    Parameters
    ----------
    source : Path
        MDF file with a measurement.
    method : str
        Name of the denoiser.
    parameters : tuple of str
        Its options, ``name=value``.
    output : Path or None
        File to write; None for ``STEM.METHOD.mdf`` beside the source.
    model : Path or None
        A fitted model, used as it is; None to fit the method on the file itself.
    keep_model : Path or None
        Where to keep the fitted model.
    repeats : {"frames", "periods", "both", "none"} or None
        None finds out.
    seed : int
    device : {"auto", "cpu", "cuda"}
    overwrite : bool
        Replace files that exist.
    tell : callable
        Takes events.

    Returns
    -------
    DenoisedFile

    Raises
    ------
    InputError, PluginError, UsageError, NumericalError, mdf.MdfError
        Nothing is written then.
    """
    source = Path(source)
    output = Path(output) if output else default_output(source, method)
    offer = registry().denoiser(method)
    options, state = parse_options(offer.record, parameters), None
    if model is not None:
        options, state = _from_model(model, offer, parameters)
    inputs = (source,) if model is None else (source, Path(model))
    check_output(output, inputs=inputs, overwrite=overwrite)
    if keep_model is not None:
        _check_model_output(Path(keep_model), output, inputs, overwrite=overwrite)
    # only learned methods compute on a device, and asking for one imports torch
    device = choose_device(device) if offer.record.learned or device != "auto" else "cpu"
    scan = read_scan(source, repeats=repeats)
    tell(_describe_repeats(scan, asked=repeats is not None))
    run = Run(rng=np.random.default_rng(seed), device=device, tell=tell)
    result = denoise_scan(scan, offer, options, run=run, state=state)
    record = run_record(
        "denoise",
        inputs=inputs,
        options={"method": method, **options.model_dump(mode="json"), "repeats": scan.repeats},
        seed=seed,
        distribution=offer.distribution,
        device=device,
        scores=score_table(result),
    )
    if keep_model is not None:
        card = Card(method, offer.distribution, options.model_dump(mode="json"), record, offer.record.cite)
        save_model(keep_model, card, result.method.state(), overwrite=overwrite)
    _write(source, output, scan, result, record, overwrite=overwrite)
    return DenoisedFile(output, keep_model, result)


def _check_model_output(keep_model: Path, output: Path, inputs: tuple[Path, ...], *, overwrite: bool) -> None:
    if keep_model.resolve() == output.resolve():
        raise UsageError(
            f"the model and the denoised file cannot both be {output.name}",
            hint="give --save-model another name",
        )
    check_output(keep_model, inputs=inputs, overwrite=overwrite)


def plan(
    source: Path,
    *,
    method: str,
    parameters: tuple[str, ...] = (),
    output: Path | None = None,
    model: Path | None = None,
    repeats: Repeats | None = None,
) -> dict[str, Any]:
    """Say what `denoise_file` would do, ready for JSON; nothing is fitted or written."""
    offer = registry().denoiser(method)
    options = parse_options(offer.record, parameters)
    if model is not None:
        options, _ = _from_model(model, offer, parameters)
    scan = read_scan(source, repeats=repeats)
    refuse_if_missing(scan, offer, options)
    return {
        "source": str(source),
        "output": str(output or default_output(source, method)),
        "method": method,
        "distribution": offer.distribution,
        "options": options.model_dump(mode="json"),
        "repeats": scan.repeats,
        "shape": dict(zip("NJCV", scan.signal.shape, strict=True)),
        "background_frames": len(scan.background),
        "removes_background": offer.record.frees_from_background(scan, options),
    }


def default_output(source: Path, method: str) -> Path:
    """Name of the denoised file: ``STEM.METHOD.mdf`` beside the source."""
    return source.with_name(f"{source.stem}.{method}.mdf")


def _from_model(
    model: Path, offer: Offer[Denoiser], parameters: tuple[str, ...]
) -> tuple[BaseModel, dict[str, NDArray[Any]]]:
    if parameters:
        raise InputError(
            f"the options of a fitted model are in {model.name}",
            hint="leave out --param, or leave out --model",
        )
    card, state = load_model(Path(model))
    if card.method != offer.record.name:
        raise InputError(
            f"{model.name} is a model of {card.method!r}, not of {offer.record.name!r}",
            hint=f"say --method {card.method}",
        )
    try:
        return offer.record.options.model_validate(dict(card.options)), state
    except ValueError as error:
        raise InputError(
            f"the options in the model file {model.name} are not those of {card.method}"
        ) from error


def _describe_repeats(scan: Scan, *, asked: bool) -> Finding:
    frames, periods = scan.signal.shape[:2]
    words = {
        "frames": f"the same signal was measured again in {frames} frames",
        "periods": f"the same signal was measured again in {periods} periods of each frame",
        "both": f"the same signal was measured again in {frames} frames of {periods} periods",
        "none": "no signal was measured twice",
    }
    return Finding("repeats", scan.repeats, f"repeats: {words[scan.repeats]}{' (as asked)' if asked else ''}")


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


def _write(
    source: Path, output: Path, scan: Scan, result: Denoised, record: Mapping[str, Any], *, overwrite: bool
) -> None:
    """Write the denoised frames in the layout of the source: domain, axes, order and flags."""
    frames = np.concatenate([result.signal, result.background])
    index = np.concatenate([scan.foreground_index, scan.background_index])
    by_time = frames[np.argsort(index)]
    with mdf.open(source) as file:
        contents = file.contents()
        stored = by_time[file.frame_index("all", order="stored")]
        if contents[FOURIER]:
            stored = np.fft.rfft(stored, axis=-1)[..., file.stored_lines].astype(np.complex64)
        contents.pop("/acquisition/receiver/dataConversionFactor", None)
        if result.without_background:
            contents["/measurement/isBackgroundCorrected"] = 1
        user: dict[str, Any] = {
            HISTORY: append_history(_text(file.user_value(HISTORY)), record),
            REPEATS: scan.repeats,
        }
        emptied = emptied_lines(scan.signal, result.signal)
        if emptied.any():
            user[EMPTY_LINES] = emptied.astype(np.int8)
        mdf.write(output, contents, stored, user=user, copy_user_from=file, overwrite=overwrite)


def emptied_lines(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find the lines on which a method left nothing, (C, K), in signals of shape (N, J, C, V).

    Whoever reconstructs must not take them for measured zeros.
    """
    power = [_line_power(signal) for signal in (before, after)]
    # what is left of an emptied line is the rounding of its neighbours
    rounding = np.finfo(np.float32).eps ** 2 * power[1].max(axis=-1, keepdims=True)
    emptied: NDArray[np.bool_] = power[1] <= 1e-6 * power[0] + rounding
    return emptied


def _line_power(signal: NDArray[np.float32]) -> NDArray[np.float64]:
    total = np.zeros((signal.shape[2], signal.shape[3] // 2 + 1))
    for frame in signal:  # one frame at a time bounds the memory
        total += np.mean(np.abs(np.fft.rfft(frame.astype(np.float64), axis=-1)) ** 2, axis=0)
    return total / max(len(signal), 1)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
