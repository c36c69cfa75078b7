"""Denoise an MDF file: read, fit, judge, and write the result in the layout of the source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

import mdf
from mpikit.denoise import Denoised, denoise_scan, refuse_if_missing, score_table
from mpikit.device import choose_device
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Warned, silent
from mpikit.files import check_output
from mpikit.models import Card, check_model_fits, fitted_card, load_model, save_model, seen_otherwise
from mpikit.options import parse_options
from mpikit.plugins import Offer, registry
from mpikit.provenance import HISTORY, REPEATS, append_history, run_record
from mpikit.records import Denoiser, Run
from mpikit.scan import Repeats, Scan
from mpikit.scan_file import EMPTY_LINES
from mpikit.scan_set import describe_repeats, file_history, read_repeated, refuse_calibration

FOURIER = "/measurement/isFourierTransformed"


@dataclass(frozen=True)
class DenoisedFile:
    """A denoised file that was written: where, and what came out."""

    path: Path
    model: Path | None
    result: Denoised


@dataclass(frozen=True)
class _Job:
    """What is to be done, checked as far as it can be before the work."""

    source: Path
    output: Path
    inputs: tuple[Path, ...]
    offer: Offer[Denoiser]
    options: BaseModel
    state: Mapping[str, NDArray[Any]] | None
    scan: Scan
    warnings: tuple[str, ...]
    no_score: str


def denoise_file(  # noqa: PLR0913 - as many arguments as the command has options
    source: Path,
    *,
    method: str = "",
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
        Name of the denoiser; empty for that of the model.
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
    job = _prepare(
        Path(source),
        method=method,
        parameters=parameters,
        output=output,
        model=model,
        keep_model=keep_model,
        repeats=repeats,
        overwrite=overwrite,
    )
    # only learned methods compute on a device, and asking for one imports torch
    device = choose_device(device) if job.offer.record.learned or device != "auto" else "cpu"
    tell(describe_repeats(job.scan, asked=repeats is not None))
    for words in job.warnings:
        tell(Warned(words))
    run = Run(rng=np.random.default_rng(seed), device=device, tell=tell)
    result = denoise_scan(
        job.scan,
        job.offer,
        job.options,
        run=run,
        state=job.state,
        model=Path(model).name if model is not None else "",
        no_score=job.no_score,
    )
    name, chosen = job.offer.record.name, job.options.model_dump(mode="json")
    record = run_record(
        "denoise",
        inputs=job.inputs,
        options={"method": name, **chosen, "repeats": job.scan.repeats},
        seed=seed,
        distribution=job.offer.distribution,
        device=device,
        scores=score_table(result),
    )
    _write(job, result, record, overwrite=overwrite)
    if keep_model is not None:
        card = fitted_card(job.offer, job.options, record, [job.scan])
        save_model(keep_model, card, result.method.state(), overwrite=overwrite)
    return DenoisedFile(job.output, keep_model, result)


def plan(
    source: Path,
    *,
    method: str = "",
    parameters: tuple[str, ...] = (),
    output: Path | None = None,
    model: Path | None = None,
    keep_model: Path | None = None,
    repeats: Repeats | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Say what `denoise_file` would do, ready for JSON; nothing is fitted or written."""
    job = _prepare(
        Path(source),
        method=method,
        parameters=parameters,
        output=output,
        model=model,
        keep_model=keep_model,
        repeats=repeats,
        overwrite=overwrite,
    )
    return {
        "source": str(job.source),
        "output": str(job.output),
        "method": job.offer.record.name,
        "distribution": job.offer.distribution,
        "options": job.options.model_dump(mode="json"),
        "repeats": job.scan.repeats,
        "shape": dict(zip("NJCV", job.scan.signal.shape, strict=True)),
        "background_frames": len(job.scan.background),
        "removes_background": job.offer.record.frees_from_background(job.scan, job.options),
    }


def default_output(source: Path, method: str) -> Path:
    """Name of the denoised file: ``STEM.METHOD.mdf`` beside the source."""
    return source.with_name(f"{source.stem}.{method}.mdf")


def _prepare(
    source: Path,
    *,
    method: str,
    parameters: tuple[str, ...],
    output: Path | None,
    model: Path | None,
    keep_model: Path | None,
    repeats: Repeats | None,
    overwrite: bool,
) -> _Job:
    """Read and check all that a run needs; nothing is fitted or written."""
    card, state = load_model(Path(model)) if model is not None else (None, None)
    if not method and card is None:
        raise UsageError("which method? expected --method NAME", hint="or --model FILE, of a fitted method")
    offer = registry().denoiser(method or (card.method if card else ""))
    if card is None or model is None:
        options = parse_options(offer.record, parameters)
    else:
        options = _model_options(Path(model), card, offer, parameters)
    history = _check_source(source)
    output = Path(output) if output else default_output(source, offer.record.name)
    inputs = (source,) if model is None else (source, Path(model))
    check_output(output, inputs=inputs, overwrite=overwrite)
    if keep_model is not None:
        _check_model_output(Path(keep_model), output, inputs, overwrite=overwrite)
    scan = read_repeated(source, repeats=repeats)
    warnings = []
    if any(record.get("command") == "denoise" for record in history):
        warnings.append(
            f"{scan.name} was denoised before: its repeats are no longer independent, no figure holds"
        )
    if card is not None and model is not None:
        odd = check_model_fits(card, Path(model), scan)
        warnings += [odd] if odd else []
    refuse_if_missing(scan, offer, options)
    no_score = seen_otherwise(card, source, scan) if card is not None else ""
    return _Job(source, output, inputs, offer, options, state, scan, tuple(warnings), no_score)


def _check_source(source: Path) -> list[dict[str, Any]]:
    """Refuse what cannot be denoised; return the history of the file."""
    if not source.name:
        raise UsageError("no file is named", hint="mpikit denoise --method NAME scan.mdf")
    refuse_calibration(source)
    return file_history(source)


def _check_model_output(keep_model: Path, output: Path, inputs: tuple[Path, ...], *, overwrite: bool) -> None:
    if keep_model.resolve() == output.resolve():
        raise UsageError(
            f"the model and the denoised file cannot both be {output.name}",
            hint="give --save-model another name",
        )
    check_output(keep_model, inputs=inputs, overwrite=overwrite, option="--save-model")


def _model_options(model: Path, card: Card, offer: Offer[Denoiser], parameters: tuple[str, ...]) -> BaseModel:
    if parameters:
        raise InputError(
            f"the options of a fitted model are in {model.name}",
            hint="leave out --param, or leave out --model",
        )
    if card.method != offer.record.name:
        raise InputError(
            f"{model.name} is a model of {card.method!r}, not of {offer.record.name!r}",
            hint=f"say --method {card.method}, or leave --method out",
        )
    try:
        return offer.record.options.model_validate(dict(card.options))
    except ValueError as error:
        raise InputError(
            f"the options in the model file {model.name} are not those of {card.method}",
            hint="it was made by another version of the method: fit it again",
        ) from error


def _write(job: _Job, result: Denoised, record: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write the denoised frames in the layout of the source: domain, axes, order and flags."""
    scan = job.scan
    frames = np.concatenate([result.signal, result.background])
    index = np.concatenate([scan.foreground_index, scan.background_index])
    by_time = frames[np.argsort(index)]
    with mdf.open(job.source) as file:
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
        mdf.write(job.output, contents, stored, user=user, copy_user_from=file, overwrite=overwrite)


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
