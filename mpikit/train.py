"""Fit a method to MDF files, and keep it: model file, log, picture, and a checkpoint while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from mpikit.checkpoints import FileCheckpoint, only_one
from mpikit.compare.choice import AUTO
from mpikit.compare.unchanged import UNCHANGED
from mpikit.denoise import Fitted, fit_scans, refuse_if_missing
from mpikit.device import choose_device
from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.events import Event, Step, Warned, silent
from mpikit.files import write_atomically
from mpikit.models import Card, fitted_card, save_model
from mpikit.options import parse_options
from mpikit.plugins import Offer, registry
from mpikit.provenance import hashes, run_record
from mpikit.records import Denoiser, Run
from mpikit.scan import Repeats, Scan
from mpikit.scan_set import (
    check_alike,
    describe_repeats,
    file_history,
    made_clean,
    measurement_files,
    read_repeated,
    refuse_calibration,
    was_denoised,
    with_empty_measurements,
)
from mpikit.scoring import Scores, score_table
from mpikit.training_log import TrainingLog
from mpikit.training_outputs import Outputs


@dataclass(frozen=True)
class Trained:
    """A model that was written.

    Parameters
    ----------
    files : Outputs
    has_picture : bool
        False when the method told no step, so that there was nothing to draw, or it could not be written.
    card : Card
    scores : Scores
        Reference-free, on parts of the scans that were held out.
    """

    files: Outputs
    has_picture: bool
    card: Card
    scores: Scores


@dataclass(frozen=True)
class _Job:
    """What is to be done, checked as far as it can be before the work."""

    sources: tuple[Path, ...]
    inputs: tuple[Path, ...]
    files: Outputs
    offer: Offer[Denoiser]
    options: BaseModel
    scans: tuple[Scan, ...]


def train_files(  # noqa: PLR0913 - as many arguments as the command has options
    sources: Sequence[Path],
    output: Path,
    *,
    method: str,
    parameters: Sequence[str] = (),
    repeats: Repeats | None = None,
    background_files: Sequence[Path] = (),
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> Trained:
    """Fit a method to one or many MDF files and write the model.

    A part of each scan is held out to judge by. While a learned method trains, its state is kept beside the
    model in ``MODEL.checkpoint``; an interrupted training goes on from there with ``resume``, on the CPU bit
    for bit. A disk that is full then is warned of, and the training goes on. Of one model there is one
    training at a time. The log grows line by line; its names, and that of the picture, are that of the model
    without ``.safetensors``, and ``.log.jsonl``, ``.log.csv`` and ``.png``. Files of a training before are
    replaced when there is something to replace them by.

    Parameters
    ----------
    sources : sequence of Path
        MDF files with a measurement, or folders of them; all of one sequence.
    output : Path
        Model file to write.
    method : str
        Name of the denoiser.
    parameters : sequence of str
        Its options, ``name=value``.
    repeats : {"frames", "periods", "both", "none"} or None
        None finds out.
    background_files : sequence of Path
        Empty measurements, for scans without background frames: one, or two for before and after.
    seed : int
    device : {"auto", "cpu", "cuda"}
    resume : bool
        Go on from the checkpoint of an interrupted training.
    overwrite : bool
        Replace files that exist; without ``resume`` a checkpoint too.
    tell : callable
        Takes events.

    Returns
    -------
    Trained

    Raises
    ------
    InputError, PluginError, UsageError, NumericalError, mdf.MdfError
        No model is written then; a checkpoint that was saved is still there.
    """
    files = Outputs.beside(Path(output))
    with only_one(files.lock, of=files.model.name):
        job = _prepare(
            sources,
            output,
            method=method,
            parameters=parameters,
            repeats=repeats,
            background_files=background_files,
            resume=resume,
            overwrite=overwrite,
            tell=tell,
        )
        _tell_about(job, asked=repeats is not None, tell=tell)
        return _trained(job, seed=seed, device=device, resume=resume, overwrite=overwrite, tell=tell)


def _trained(
    job: _Job, *, seed: int, device: str, resume: bool, overwrite: bool, tell: Callable[[Event], None]
) -> Trained:
    # only learned methods compute on a device, and asking for one imports torch
    device = choose_device(device) if job.offer.record.learned or device != "auto" else "cpu"
    found = hashes(job.inputs)
    options = {"method": job.offer.record.name, **job.options.model_dump(mode="json")}
    said = {"repeats": [scan.repeats for scan in job.scans]}
    about = {"method": job.offer.record.name, "distribution": job.offer.distribution, "options": options}
    checkpoint = FileCheckpoint(
        job.files.checkpoint,
        about | {"seed": seed, "inputs": found} | said,
        resume=resume,
        made_with={"mpikit": version("mpikit"), "torch": version("torch"), "device": device},
        tell=tell,
    )
    with _log_put_back(job.files, unless=checkpoint):
        fitted, rows = _fit(job, checkpoint, seed=seed, device=device, resume=resume, tell=tell)
        record = _record(job, fitted.scores, options | said, seed=seed, device=device) | {"inputs": found}
        card = fitted_card(job.offer, job.options, record, job.scans)
        _save(job.files, card, fitted, checkpoint, overwrite=overwrite)
    return Trained(job.files, _draw(job, rows, tell), card, fitted.scores)


def plan_training(
    sources: Sequence[Path],
    output: Path,
    *,
    method: str,
    parameters: Sequence[str] = (),
    repeats: Repeats | None = None,
    background_files: Sequence[Path] = (),
    resume: bool = False,
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> dict[str, Any]:
    """Say what `train_files` would do, ready for JSON; nothing is fitted or written."""
    job = _prepare(
        sources,
        output,
        method=method,
        parameters=parameters,
        repeats=repeats,
        background_files=background_files,
        resume=resume,
        overwrite=overwrite,
        tell=tell,
    )
    return {
        "sources": [str(path) for path in job.sources],
        "model": str(job.files.model),
        "checkpoint": str(job.files.checkpoint),
        "log": [str(job.files.lines), str(job.files.table)],
        "picture": str(job.files.picture),
        "method": method,
        "distribution": job.offer.distribution,
        "options": job.options.model_dump(mode="json"),
        "scans": [
            {
                "repeats": scan.repeats,
                "shape": dict(zip("NJCV", scan.signal.shape, strict=True)),
                "background_frames": len(scan.background),
            }
            for scan in job.scans
        ],
    }


def _prepare(
    sources: Sequence[Path],
    output: Path,
    *,
    method: str,
    parameters: Sequence[str],
    repeats: Repeats | None,
    background_files: Sequence[Path],
    resume: bool,
    overwrite: bool,
    tell: Callable[[Event], None],
) -> _Job:
    """Read and check all that a training needs; nothing is fitted or written."""
    if method == AUTO:
        raise UsageError(
            f"{AUTO} chooses a method for one scan, expected the name of one to train",
            hint="mpikit compare scan.mdf shows which is best",
        )
    if method == UNCHANGED.record.name:
        raise UsageError(
            f"{method} leaves the signal as it is and learns nothing, expected the name of a method to train",
            hint="mpikit plugins list shows them",
        )
    offer = registry().denoiser(method)
    options = parse_options(offer.record, parameters)
    files = Outputs.beside(Path(output))
    paths = tuple(measurement_files([Path(source) for source in sources], tell=tell))
    if not paths:
        raise UsageError("no file is named", hint="mpikit train --method NAME scan.mdf -o model.safetensors")
    inputs = (*paths, *(Path(path) for path in background_files))
    files.check(inputs, resume=resume, overwrite=overwrite)
    for path in paths:
        refuse_calibration(path)
    scans = tuple(
        with_empty_measurements(read_repeated(path, repeats=repeats), background_files) for path in paths
    )
    check_alike(scans)
    for scan in scans:
        refuse_if_missing(scan, offer, options)
    return _Job(paths, inputs, files, offer, options, scans)


def _tell_about(job: _Job, *, asked: bool, tell: Callable[[Event], None]) -> None:
    several = len(job.scans) > 1
    for path, scan in zip(job.sources, job.scans, strict=True):
        tell(describe_repeats(scan, asked=asked, of=scan.name if several else ""))
        history = file_history(path)
        why = made_clean(history)
        if was_denoised(history):
            tell(Warned(f"{scan.name} was denoised before: its repeats are no longer independent"))
        elif why:
            tell(Warned(f"{scan.name} is {why}: what is learnt from clean data holds for no measurement"))


def _fit(
    job: _Job,
    checkpoint: FileCheckpoint,
    *,
    seed: int,
    device: str,
    resume: bool,
    tell: Callable[[Event], None],
) -> tuple[Fitted, list[dict[str, Any]]]:
    """Fit, and write the log."""
    try:
        with TrainingLog(job.files.lines, job.files.table, resume=resume, tell=tell) as log:

            def listen(event: Event) -> None:
                if isinstance(event, Step):
                    log.add(event)
                tell(event)

            run = Run(rng=np.random.default_rng(seed), device=device, tell=listen, checkpoint=checkpoint)
            return fit_scans(job.scans, job.offer, job.options, run=run), log.rows
    except NumericalError as error:
        if not checkpoint.is_kept:
            raise
        hint = f"{error.hint}; --force starts anew with other options".removeprefix("; ")
        raise NumericalError(str(error), hint=hint) from error


@contextmanager
def _log_put_back(files: Outputs, *, unless: FileCheckpoint) -> Iterator[None]:
    """Put the log back that was there before, after an error that leaves no checkpoint: it is of no use."""
    before = {path: path.read_bytes() if path.exists() else None for path in (files.lines, files.table)}
    try:
        yield
    except BaseException:
        for path, content in () if unless.is_kept else before.items():
            if content is None:
                path.unlink(missing_ok=True)
            elif not path.exists() or path.read_bytes() != content:
                with suppress(InputError):  # a full disk: the error before says so
                    write_atomically(path, content, overwrite=True)
        raise


def _draw(job: _Job, rows: list[dict[str, Any]], tell: Callable[[Event], None]) -> bool:
    """Draw the course of the figures; the model is safe by then, so that a failure is only told."""
    if not rows:
        return False
    from mpikit.figures_compare import save_training

    title = f"{job.offer.record.name}, {job.files.model.name}"
    try:
        save_training(job.files.picture, rows, title=title, overwrite=True)
    except InputError as error:
        tell(Warned(f"there is no picture of the training: {error}"))
        return False
    return True


def _record(
    job: _Job, scores: Scores, options: Mapping[str, Any], *, seed: int, device: str
) -> dict[str, Any]:
    return run_record(
        "train",
        inputs=(),
        options=options,
        seed=seed,
        distribution=job.offer.distribution,
        device=device,
        scores=score_table(scores),
        no_score=scores.no_score,
    )


def _save(files: Outputs, card: Card, fitted: Fitted, checkpoint: FileCheckpoint, *, overwrite: bool) -> None:
    """Write the model; only then the checkpoint has done its duty."""
    state: Mapping[str, Any] = fitted.method.state()
    try:
        save_model(files.model, card, state, overwrite=overwrite)
    except InputError as error:
        hint = error.hint or "nothing of the training is left: make room on the disk, and start it anew"
        if checkpoint.is_kept:
            hint = "make room on the disk, then --resume goes on from the checkpoint"
        raise InputError(str(error), hint=hint) from error
    checkpoint.remove()
