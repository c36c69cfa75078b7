"""Fit a method to MDF files, and keep it: model file, log, picture, and a checkpoint while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from mpikit.checkpoints import FileCheckpoint
from mpikit.denoise import Fitted, Scores, fit_scans, refuse_if_missing, score_table
from mpikit.device import choose_device
from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.events import Event, Step, Warned, silent
from mpikit.files import check_output, write_atomically
from mpikit.models import Card, fitted_card, save_model
from mpikit.options import parse_options
from mpikit.plugins import Offer, registry
from mpikit.provenance import run_record, sha256
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
    with_empty_measurements,
)
from mpikit.training_log import TrainingLog


@dataclass(frozen=True)
class Outputs:
    """Files of one training.

    Parameters
    ----------
    model : Path
        The fitted method.
    checkpoint : Path
        State of a training that was interrupted; gone when it has ended.
    lines, table : Path
        The log, as JSON lines and as CSV.
    picture : Path
        The course of the figures.
    """

    model: Path
    checkpoint: Path
    lines: Path
    table: Path
    picture: Path

    @classmethod
    def beside(cls, model: Path) -> Outputs:
        """Return the names that go with a model file."""
        start = model.name.removesuffix(".safetensors")
        names = (f"{model.name}.checkpoint", *(f"{start}{end}" for end in (".log.jsonl", ".log.csv", ".png")))
        return cls(model, *(model.with_name(name) for name in names))


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
    for bit. The log grows line by line; its names, and that of the picture, are that of the model without
    ``.safetensors``, and ``.log.jsonl``, ``.log.csv`` and ``.png``. Files of a training before are replaced
    when there is something to replace them by.

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
    # only learned methods compute on a device, and asking for one imports torch
    device = choose_device(device) if job.offer.record.learned or device != "auto" else "cpu"
    _tell_about(job, asked=repeats is not None, tell=tell)
    hashes = _hashes(job.inputs)
    options = {"method": method, **job.options.model_dump(mode="json")}
    said = {"repeats": [scan.repeats for scan in job.scans]}
    about = {"method": method, "distribution": job.offer.distribution, "options": options, "seed": seed}
    checkpoint = FileCheckpoint(job.files.checkpoint, about | {"inputs": hashes} | said, resume=resume)
    fitted, rows = _fit(job, checkpoint, seed=seed, device=device, resume=resume, tell=tell)
    record = _record(job, fitted.scores, options | said, seed=seed, device=device) | {"inputs": hashes}
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
    offer = registry().denoiser(method)
    options = parse_options(offer.record, parameters)
    files = Outputs.beside(Path(output))
    paths = tuple(measurement_files([Path(source) for source in sources], tell=tell))
    if not paths:
        raise UsageError("no file is named", hint="mpikit train --method NAME scan.mdf -o model.safetensors")
    inputs = (*paths, *(Path(path) for path in background_files))
    _check_outputs(files, inputs, resume=resume, overwrite=overwrite)
    for path in paths:
        refuse_calibration(path)
    scans = tuple(
        with_empty_measurements(read_repeated(path, repeats=repeats), background_files) for path in paths
    )
    check_alike(scans)
    for scan in scans:
        refuse_if_missing(scan, offer, options)
    return _Job(paths, inputs, files, offer, options, scans)


def _check_outputs(files: Outputs, inputs: tuple[Path, ...], *, resume: bool, overwrite: bool) -> None:
    check_output(files.model, inputs=inputs, overwrite=overwrite)
    if files.checkpoint.exists() and not (resume or overwrite):
        raise InputError(
            f"{files.checkpoint} was left by a training that was interrupted",
            hint="--resume goes on from it, --force starts anew",
        )
    check_output(files.checkpoint, inputs=inputs, overwrite=True)
    for path in (files.lines, files.table, files.picture):
        check_output(path, inputs=inputs, overwrite=overwrite or resume)


def _tell_about(job: _Job, *, asked: bool, tell: Callable[[Event], None]) -> None:
    several = len(job.scans) > 1
    for path, scan in zip(job.sources, job.scans, strict=True):
        tell(describe_repeats(scan, asked=asked, of=scan.name if several else ""))
        why = made_clean(file_history(path))
        if why == "denoised before":
            tell(Warned(f"{scan.name} was denoised before: its repeats are no longer independent"))
        elif why:
            tell(Warned(f"{scan.name} is {why}: what is learnt from clean data holds for no measurement"))


def _hashes(paths: Sequence[Path]) -> dict[str, str]:
    """Hashes by name, without folders; of files of one name the later ones get a number."""
    found: dict[str, str] = {}
    for path in paths:
        same = sum(name == path.name or name.startswith(f"{path.name} (") for name in found)
        found[f"{path.name} ({same + 1})" if same else path.name] = sha256(path)
    return found


def _fit(
    job: _Job,
    checkpoint: FileCheckpoint,
    *,
    seed: int,
    device: str,
    resume: bool,
    tell: Callable[[Event], None],
) -> tuple[Fitted, list[dict[str, Any]]]:
    """Fit, and write the log.

    After an error without a checkpoint the log is of no use: what was there before is put back.
    """
    logs = (job.files.lines, job.files.table)
    before = {path: path.read_bytes() if path.exists() else None for path in logs}
    try:
        with TrainingLog(job.files.lines, job.files.table, resume=resume) as log:

            def listen(event: Event) -> None:
                if isinstance(event, Step):
                    log.add(event)
                tell(event)

            run = Run(rng=np.random.default_rng(seed), device=device, tell=listen, checkpoint=checkpoint)
            return fit_scans(job.scans, job.offer, job.options, run=run), log.rows
    except BaseException as error:
        if not checkpoint.is_kept:
            _put_back(before)
        elif isinstance(error, NumericalError):
            hint = f"{error.hint}; --force starts anew with other options".removeprefix("; ")
            raise NumericalError(str(error), hint=hint) from error
        raise


def _put_back(before: Mapping[Path, bytes | None]) -> None:
    for path, content in before.items():
        if content is None:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != content:
            write_atomically(path, content, overwrite=True)


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
        kept = checkpoint.is_kept
        hint = "make room on the disk, then --resume goes on from the checkpoint" if kept else error.hint
        raise InputError(str(error), hint=hint) from error
    checkpoint.remove()
