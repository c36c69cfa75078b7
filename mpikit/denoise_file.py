"""Denoise an MDF file: read, fit, judge, and write the result in the layout of the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

import mdf
from mpikit.compare.auto import Choice, choose, denoise_chosen
from mpikit.compare.auto_options import auto_candidates
from mpikit.compare.choice import AUTO
from mpikit.compare.methods import Candidate
from mpikit.compare.unchanged import find_method
from mpikit.denoise import Denoised, denoise_scan, refuse_if_missing
from mpikit.denoise_write import write_denoised
from mpikit.device import choose_device
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Warned, silent
from mpikit.files import check_output
from mpikit.models import Card, check_model_fits, fitted_card, has_seen, load_model, save_model
from mpikit.options import parse_options
from mpikit.plugins import Offer
from mpikit.provenance import run_record
from mpikit.records import Denoiser, Run
from mpikit.scan import Repeats, Scan
from mpikit.scan_set import (
    describe_repeats,
    file_history,
    read_repeated,
    refuse_calibration,
    was_denoised,
)
from mpikit.scoring import score_table


@dataclass(frozen=True)
class DenoisedFile:
    """A denoised file that was written.

    Parameters
    ----------
    path : Path
    model : Path or None
        Where the fitted model is kept, if it is.
    result : Denoised
    choice : Choice or None
        What `auto` chose, if it was asked.
    cite : tuple of str
        DOIs of the method.
    """

    path: Path
    model: Path | None
    result: Denoised
    choice: Choice | None = None
    cite: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """A method with its options, and its state if it is fitted already."""

    offer: Offer[Denoiser]
    options: BaseModel
    state: Mapping[str, NDArray[Any]] | None = None
    cleared_first: bool = False


@dataclass(frozen=True)
class _Job:
    """What is to be done, checked as far as it can be before the work.

    One method is wanted, or one of some candidates.
    """

    source: Path
    output: Path
    inputs: tuple[Path, ...]
    wanted: _Wanted | None
    candidates: tuple[Candidate, ...]
    scan: Scan
    warnings: tuple[str, ...]
    no_score: str

    @property
    def learned(self) -> bool:
        """Something computes on a device, where there is one."""
        offers = [self.wanted.offer] if self.wanted else [each.offer for each in self.candidates]
        return any(offer.record.learned for offer in offers)


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
        Name of the denoiser, or ``"auto"``, see `mpikit.compare.auto.choose`; empty for that of the model,
        and for ``"auto"`` without one.
    parameters : tuple of str
        Its options, ``name=value``; of `auto` see `mpikit.compare.auto.auto_candidates`.
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
        Nothing is written then, unless the fitted model was kept and the denoised file cannot be written: it
        is safe by then.
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
    device = choose_device(device) if job.learned or device != "auto" else "cpu"
    tell(describe_repeats(job.scan, asked=repeats is not None))
    for words in job.warnings:
        tell(Warned(words))
    run = Run(rng=np.random.default_rng(seed), device=device, tell=tell)
    done, result, choice = _denoised(job, run, seed=seed, model=Path(model).name if model is not None else "")
    name, chosen = done.offer.record.name, done.options.model_dump(mode="json")
    reasons = {} if choice is None else {"auto": choice.as_json()}
    record = run_record(
        "denoise",
        inputs=job.inputs,
        options={"method": name, **chosen, "repeats": job.scan.repeats},
        seed=seed,
        distribution=done.offer.distribution,
        device=device,
        scores=score_table(result),
        **reasons,
    )
    if keep_model is not None:  # first: a fit may have taken hours, and the model makes the file again
        card = fitted_card(done.offer, done.options, record, [job.scan], cleared_first=done.cleared_first)
        save_model(keep_model, card, result.method.state(), overwrite=overwrite)
    with _blaming_the_disk(keep_model):
        write_denoised(job.source, job.output, job.scan, result, record, overwrite=overwrite)
    return DenoisedFile(job.output, keep_model, result, choice, done.offer.record.cite)


def _denoised(job: _Job, run: Run, *, seed: int, model: str) -> tuple[_Wanted, Denoised, Choice | None]:
    """Denoise by the method that is wanted, or by the one that `auto` chooses."""
    wanted = job.wanted
    if wanted is None:
        choice = choose(job.scan, job.candidates, seed=seed, device=run.device, tell=run.tell)
        done = _Wanted(choice.offer, choice.options, cleared_first=choice.cleared_first)
        return done, denoise_chosen(job.scan, choice, run=run), choice
    result = denoise_scan(
        job.scan,
        wanted.offer,
        wanted.options,
        run=run,
        state=wanted.state,
        model=model,
        no_score=job.no_score,
        cleared_first=wanted.cleared_first,
    )
    return wanted, result, None


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
    about = {
        "source": str(job.source),
        "output": str(job.output),
        "repeats": job.scan.repeats,
        "shape": dict(zip("NJCV", job.scan.signal.shape, strict=True)),
        "background_frames": len(job.scan.background),
    }
    wanted = job.wanted
    if wanted is None:
        return about | {"method": AUTO, "candidates": [_planned(job, each) for each in job.candidates]}
    free = wanted.cleared_first or wanted.offer.record.frees_from_background(job.scan, wanted.options)
    return about | {
        "method": wanted.offer.record.name,
        "distribution": wanted.offer.distribution,
        "options": wanted.options.model_dump(mode="json"),
        "removes_background": free,
    }


def _planned(job: _Job, candidate: Candidate) -> dict[str, Any]:
    """Say what `auto` would try, and what the scan lacks for it."""
    record = candidate.offer.record
    options = parse_options(record, candidate.parameters)
    with candidate.offer.blamed():
        lacks = record.missing(job.scan, options)
    return {
        "method": record.name,
        "distribution": candidate.offer.distribution,
        "options": options.model_dump(mode="json"),
        "lacks": lacks,
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
    if model is not None and keep_model is not None:
        raise UsageError(
            f"--save-model keeps what was fitted, and with --model {Path(model).name} nothing is",
            hint="copy the model file, or leave one of the two out",
        )
    card, wanted, candidates = _method(method, parameters, model)
    history = _check_source(source)
    output = Path(output) if output else default_output(source, wanted.offer.record.name if wanted else AUTO)
    inputs = (source,) if model is None else (source, Path(model))
    check_output(output, inputs=inputs, overwrite=overwrite)
    if keep_model is not None:
        _check_model_output(Path(keep_model), output, inputs, overwrite=overwrite)
    scan = read_repeated(source, repeats=repeats)
    warnings = []
    if was_denoised(history):
        warnings.append(
            f"{scan.name} was denoised before: its repeats are no longer independent, no figure holds"
        )
    if card is not None and model is not None:
        odd = check_model_fits(card, Path(model), scan)
        warnings += [odd] if odd else []
    if wanted is not None:
        refuse_if_missing(scan, wanted.offer, wanted.options)
    no_score = ""
    if card is not None and wanted is not None:
        no_score = has_seen(card, source, scan, learned=wanted.offer.record.learned)
    return _Job(source, output, inputs, wanted, candidates, scan, tuple(warnings), no_score)


def _method(
    method: str, parameters: tuple[str, ...], model: Path | None
) -> tuple[Card | None, _Wanted | None, tuple[Candidate, ...]]:
    """Find the method, of a model with its card, or the candidates of `auto`."""
    if model is None:
        if method in ("", AUTO):
            return None, None, tuple(auto_candidates(parameters))
        offer = find_method(method)
        return None, _Wanted(offer, parse_options(offer.record, parameters)), ()
    card, state = load_model(Path(model))
    if method == AUTO:
        raise UsageError(
            f"{Path(model).name} is a model of {card.method!r}, so that there is nothing to choose",
            hint="leave --method out, or leave --model out",
        )
    offer = find_method(method or card.method)
    options = _model_options(Path(model), card, offer, parameters)
    return card, _Wanted(offer, options, state, card.cleared_first), ()


def _check_source(source: Path) -> list[dict[str, Any]]:
    """Refuse what cannot be denoised; return the history of the file."""
    if not source.name:
        raise UsageError("no file is named", hint="mpikit denoise scan.mdf")
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


@contextmanager
def _blaming_the_disk(model: Path | None) -> Iterator[None]:
    """Say of a file that cannot be written that the model is kept all the same, if it is."""
    try:
        yield
    except (InputError, mdf.MdfError) as error:
        if model is None:
            raise
        hint = f"{error.hint}; " if error.hint else ""
        error.hint = f"{hint}the fitted model is kept: --model {model} uses it"
        raise
