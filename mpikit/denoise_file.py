"""Denoise an MDF file: read, fit, judge, and write the result in the layout of the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.compare.auto import Choice, choose, denoise_chosen
from mpikit.compare.choice import AUTO
from mpikit.compare.methods import Candidate
from mpikit.denoise import Denoised, denoise_scan, denoised
from mpikit.denoise_job import Job, Request, Wanted, default_output, prepare
from mpikit.denoise_write import write_denoised
from mpikit.device import choose_device
from mpikit.errors import InputError
from mpikit.events import Event, Finding, Warned, silent
from mpikit.models import fitted_card, save_model
from mpikit.options import parse_options
from mpikit.provenance import hashes, run_record
from mpikit.records import Run
from mpikit.scan import Repeats, Scan
from mpikit.scan_set import describe_repeats
from mpikit.scoring import score_table
from mpikit.signal import subtract_background

__all__ = [
    "DenoisedFile",
    "default_output",
    "denoise_file",
    "denoise_requested",
    "plan",
    "plan_requested",
]


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


def denoise_file(  # noqa: PLR0913 - as many arguments as the command has options
    source: Path,
    *,
    method: str = "",
    parameters: tuple[str, ...] = (),
    output: Path | None = None,
    model: Path | None = None,
    keep_model: Path | None = None,
    repeats: Repeats | None = None,
    background_files: Sequence[Path] = (),
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
    background_files : sequence of Path
        Empty measurements, whose frames the method sees instead of the background frames of the source: one,
        or two for before and after. The denoised file does not hold them.
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
    request = Request(
        method,
        parameters,
        None if model is None else Path(model),
        repeats,
        tuple(Path(path) for path in background_files),
        seed,
        device,
        overwrite,
    )
    kept = None if keep_model is None else Path(keep_model)
    return denoise_requested(
        Path(source), None if output is None else Path(output), request, keep_model=kept, tell=tell
    )


def denoise_requested(
    source: Path,
    output: Path | None,
    request: Request,
    *,
    keep_model: Path | None = None,
    tell: Callable[[Event], None] = silent,
) -> DenoisedFile:
    """Denoise an MDF file as it is asked for, see `denoise_file`."""
    job = prepare(source, output, request, keep_model=keep_model)
    # only learned methods compute on a device, and asking for one imports torch
    learned = job.chosen.learned or request.device != "auto"
    device = choose_device(request.device) if learned else "cpu"
    tell(describe_repeats(job.scan, asked=request.repeats is not None))
    if request.background_files:
        tell(_describe_background(job, request))
    for words in job.warnings:
        tell(Warned(words))
    run = Run(rng=np.random.default_rng(request.seed), device=device, tell=tell)
    model = request.model.name if request.model is not None else ""
    done, result, choice = _denoised(job, run, seed=request.seed, model=model)
    record = _record(job, request, done, result, choice, device)
    if keep_model is not None:  # first: a fit may have taken hours, and the model makes the file again
        card = fitted_card(done.offer, done.options, record, [job.scan], cleared_first=done.cleared_first)
        save_model(keep_model, card, result.method.state(), overwrite=request.overwrite)
    own = replace(result, background=_own_background(job, done, result, run))
    with _blaming_the_disk(keep_model):
        write_denoised(job.source, job.output, job.stored, own, record, overwrite=request.overwrite)
    return DenoisedFile(job.output, keep_model, result, choice, done.offer.record.cite)


def _describe_background(job: Job, request: Request) -> Finding:
    names = " and ".join(path.name for path in request.background_files)
    count, own = len(job.scan.background), len(job.stored.background)
    text = f"background: {count} frames of {names}" + (f" instead of its own {own}" if own else "")
    return Finding("background", count, text)


def _record(
    job: Job, request: Request, done: Wanted, result: Denoised, choice: Choice | None, device: str
) -> dict[str, Any]:
    """Collect what the history keeps; empty measurements stand apart from what was denoised."""
    more: dict[str, Any] = {} if choice is None else {"auto": choice.as_json()}
    if request.background_files:
        more["background_files"] = hashes(request.background_files)
    name, chosen = done.offer.record.name, done.options.model_dump(mode="json")
    return run_record(
        "denoise",
        inputs=request.inputs(job.source),
        options={"method": name, **chosen, "repeats": job.scan.repeats},
        seed=request.seed,
        distribution=done.offer.distribution,
        device=device,
        scores=score_table(result),
        no_score=result.no_score or None,
        asked=job.chosen.asked(request.repeats),
        **more,
    )


def _own_background(job: Job, done: Wanted, result: Denoised, run: Run) -> NDArray[np.float32]:
    """Return the denoised background frames of the file itself, (E, J, C, V), whatever the method saw."""
    own = job.stored
    if job.scan is own:
        return result.background
    if not len(own.background):
        return own.background
    # empty measurements come before, and the frames of the file move on
    later = job.scan.foreground_index[0] - own.foreground_index[0]
    frames = replace(job.scan, signal=own.background, foreground_index=own.background_index + later)
    seen: Scan = subtract_background(frames) if done.cleared_first else frames
    with done.offer.blamed():
        return denoised(result.method, seen, replace(run, rng=run.rng.spawn(1)[0], tell=silent))


def _denoised(job: Job, run: Run, *, seed: int, model: str) -> tuple[Wanted, Denoised, Choice | None]:
    """Denoise by the method that is wanted, or by the one that `auto` chooses."""
    wanted = job.chosen.wanted
    if wanted is None:
        choice = choose(job.scan, job.chosen.candidates, seed=seed, device=run.device, tell=run.tell)
        done = Wanted(choice.offer, choice.options, cleared_first=choice.cleared_first)
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
    background_files: Sequence[Path] = (),
    overwrite: bool = False,
) -> dict[str, Any]:
    """Say what `denoise_file` would do, ready for JSON; nothing is fitted or written."""
    request = Request(
        method,
        parameters,
        None if model is None else Path(model),
        repeats,
        tuple(Path(path) for path in background_files),
        overwrite=overwrite,
    )
    kept = None if keep_model is None else Path(keep_model)
    return plan_requested(Path(source), None if output is None else Path(output), request, keep_model=kept)


def plan_requested(
    source: Path, output: Path | None, request: Request, *, keep_model: Path | None = None
) -> dict[str, Any]:
    """Say what `denoise_requested` would do, ready for JSON; nothing is fitted or written."""
    job = prepare(source, output, request, keep_model=keep_model)
    about = {
        "source": str(job.source),
        "output": str(job.output),
        "repeats": job.scan.repeats,
        "shape": dict(zip("NJCV", job.scan.signal.shape, strict=True)),
        "background_frames": len(job.scan.background),
    }
    wanted = job.chosen.wanted
    if wanted is None:
        return about | {"method": AUTO, "candidates": [_planned(job, each) for each in job.chosen.candidates]}
    free = wanted.cleared_first or wanted.offer.record.frees_from_background(job.scan, wanted.options)
    return about | {
        "method": wanted.offer.record.name,
        "distribution": wanted.offer.distribution,
        "options": wanted.options.model_dump(mode="json"),
        "removes_background": free,
    }


def _planned(job: Job, candidate: Candidate) -> dict[str, Any]:
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
