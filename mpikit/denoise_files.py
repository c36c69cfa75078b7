"""Denoise several MDF files: what goes wrong with one does not stop the rest, here or on workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mdf
from mpikit.denoise_file import default_output, denoise_requested, plan_requested
from mpikit.denoise_job import Chosen, Request, choose_method
from mpikit.denoise_outcome import Outcome, made_before
from mpikit.device import set_torch_threads, torch_threads
from mpikit.errors import InputError, MpikitError, NumericalError, UsageError
from mpikit.events import Event, Finding, Step, silent
from mpikit.files import refuse_inputs
from mpikit.scan import Repeats
from mpikit.scan_set import measurement_files
from mpikit.workers import check_workers, one_by_one

Tell = Callable[[Event], None]

__all__ = ["Outcome", "denoise_files", "plan_files"]


@dataclass(frozen=True)
class _File:
    """One of the files, as a worker needs it.

    Parameters
    ----------
    number : int
        From 1.
    source, output : Path
    there, fresh : bool
        The source was there when the work began; the output was not.
    """

    number: int
    source: Path
    output: Path
    there: bool
    fresh: bool

    def elsewhere(self) -> _File:
        """Return the same for a worker in any folder."""
        return replace(self, source=self.source.absolute(), output=self.output.absolute())


@dataclass(frozen=True)
class _Making:
    """How each file is made.

    Parameters
    ----------
    request : Request
    resume : bool
        Keep outputs that were made in the same way.
    threads : int or None
        Of torch, on workers: rounding depends on it. None leaves them as they are.
    """

    request: Request
    resume: bool
    threads: int | None = None

    def __call__(self, file: _File, tell: Tell) -> Outcome:
        """Make a file; what is wrong with it is part of the outcome."""
        try:
            return self._make(file, tell)
        except (MpikitError, mdf.MdfError) as error:
            return Outcome.failed(file.source, error)
        except MemoryError as error:
            words = f"out of memory: {error}".rstrip(": ")
            return Outcome.failed(file.source, NumericalError(words, hint="use fewer workers on a machine"))

    def _make(self, file: _File, tell: Tell) -> Outcome:
        if file.there and not file.source.exists():
            raise InputError(
                f"the worker on {socket.gethostname()} does not see {file.source}",
                hint="workers read and write the files themselves: mount the same folders on all machines",
            )
        if file.output.exists() and (self.resume or file.fresh):
            found = made_before(file.source, file.output, self.request, choose_method(self.request))
            if found is not None:
                # what is new was written by a worker that died before it could say so
                return found if self.resume and not file.fresh else replace(found, kept=False)
        if self.threads is not None:
            set_torch_threads(self.threads)
        return Outcome.of(file.source, denoise_requested(file.source, file.output, self.request, tell=tell))


def denoise_files(  # noqa: PLR0913 - as many arguments as the command has options
    sources: Sequence[Path],
    *,
    method: str = "",
    parameters: tuple[str, ...] = (),
    folder: Path | None = None,
    model: Path | None = None,
    repeats: Repeats | None = None,
    background_files: Sequence[Path] = (),
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tell: Tell = silent,
) -> list[Outcome]:
    """Denoise several MDF files with one method, each fitted by itself or with one model.

    The files do not depend on who denoises them.

    Parameters
    ----------
    sources : sequence of Path
        MDF files, or folders of them.
    method, parameters, model, repeats, background_files, seed, device, overwrite, tell
        As for `mpikit.denoise_file.denoise_file`.
    folder : Path or None
        Where to write, made if it is not there; None for beside each file.
    workers : int or None
        Processes on this machine, through Dask: each takes one file at a time.
    scheduler : str or None
        Address of a Dask scheduler, as ``tcp://host:8786``. Its workers read and write the files themselves,
        so that they must see the same folders. None of both: one file after the other, by this process.
    resume : bool
        Keep outputs that are there and were made by the same method, options, repeats, seed and files.

    Returns
    -------
    list of Outcome
        One for each file, in their order.

    Raises
    ------
    InputError, PluginError, UsageError
        When method, options, model, the names of the outputs or the workers are wrong: no file is read then.
    """
    check_workers(workers, scheduler)
    empty = tuple(background_files)
    request = Request(method, parameters, model, repeats, empty, seed, device, overwrite)
    chosen = choose_method(request)
    files = _files(sources, chosen, folder, request, tell)
    if folder is not None:
        _make_folder(folder)
    making = _Making(request, resume)
    jobs = files
    if workers is not None or scheduler is not None:
        making = _elsewhere(making, chosen)
        jobs = [file.elsewhere() for file in files]
    return _made(making, jobs, files, {"workers": workers, "scheduler": scheduler}, tell)


def _made(
    making: _Making, jobs: Sequence[_File], files: Sequence[_File], who: dict[str, Any], tell: Tell
) -> list[Outcome]:
    begun: set[int] = set()

    def told(file: _File, event: Event) -> None:
        begin(file)
        tell(event)

    def begin(file: _File) -> None:
        if file.number not in begun:
            begun.add(file.number)
            source = files[file.number - 1].source
            tell(Finding("file", str(source), f"== {file.number}/{len(files)} {source}"))

    def died(file: _File, error: MpikitError) -> Outcome:
        return Outcome.failed(file.source, error)

    outcomes: list[Outcome] = []
    try:
        for outcome in one_by_one(making, jobs, died=died, tell=told, **who):
            file = files[len(outcomes)]
            begin(file)
            outcomes.append(
                replace(outcome, source=file.source, output=file.output if outcome.output else None)
            )
            if who["workers"] is not None or who["scheduler"] is not None:
                tell(Step(len(outcomes), len(files)))
    except KeyboardInterrupt:
        done = sum(outcome.output is not None for outcome in outcomes)
        text = (
            f"{done} of {len(files)} files are done; the same command with --resume goes on with the others"
        )
        tell(Finding("interrupted", done, text))
        raise
    return outcomes


def plan_files(  # noqa: PLR0913 - as `denoise_files`
    sources: Sequence[Path],
    *,
    method: str = "",
    parameters: tuple[str, ...] = (),
    folder: Path | None = None,
    model: Path | None = None,
    repeats: Repeats | None = None,
    background_files: Sequence[Path] = (),
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    tell: Tell = silent,
) -> list[dict[str, Any]]:
    """Say what `denoise_files` would do, ready for JSON; nothing is made, fitted or written."""
    empty = tuple(background_files)
    request = Request(method, parameters, model, repeats, empty, seed, overwrite=overwrite)
    chosen = choose_method(request)
    files = _files(sources, chosen, folder, request, tell)
    made_later = folder is not None and not folder.exists()
    plans = []
    for file in files:
        try:
            kept = made_before(file.source, file.output, request, chosen) if resume else None
            if kept is not None:
                plans.append(kept.as_json())
                continue
            output = None if made_later else file.output
            planned = plan_requested(file.source, output, replace(request, overwrite=overwrite or made_later))
            plans.append(planned | {"output": str(file.output)})
        except (MpikitError, mdf.MdfError) as error:
            plans.append(Outcome.failed(file.source, error).as_json())
    return plans


def _elsewhere(making: _Making, chosen: Chosen) -> _Making:
    """Return the same for workers in any folder."""
    request = making.request
    model = None if request.model is None else request.model.absolute()
    empty = tuple(path.absolute() for path in request.background_files)
    return replace(
        making,
        request=replace(request, model=model, background_files=empty),
        threads=torch_threads() if chosen.learned else None,
    )


def _files(
    sources: Sequence[Path], chosen: Chosen, folder: Path | None, request: Request, tell: Tell
) -> list[_File]:
    """Find the files with their outputs, and check what is wrong for all alike, so that it is said once."""
    empty = {path.resolve() for path in request.background_files}
    found = []
    for path in measurement_files(sources, tell=tell):
        if path.resolve() in empty:
            tell(Finding("passed over", path.name, f"passed over {path}: an empty measurement"))
        else:
            found.append(path)
    if not found:
        raise InputError("there is nothing but empty measurements", hint="name measurements of an object")
    if folder is not None:
        _check_folder(folder)
    outputs: dict[Path, Path] = {}
    for path in found:
        output = default_output(path, chosen.name)
        output = output if folder is None else folder / output.name
        if output in outputs:
            raise UsageError(
                f"{outputs[output]} and {path} would both become {output}",
                hint="leave --output out to write beside each file, or rename one of them",
            )
        outputs[output] = path
    models = () if request.model is None else (request.model,)
    refuse_inputs(outputs, (*found, *request.background_files, *models))
    return [
        _File(number, source, output, source.exists(), not output.exists())
        for number, (output, source) in enumerate(outputs.items(), 1)
    ]


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"--output {folder} is a file, and there are several files to denoise",
            hint="name a folder with --output",
        )
    if not folder.exists() and folder.suffix.lower() == ".mdf":
        raise UsageError(
            f"--output {folder} is the name of a file, expected a folder",
            hint="name a folder with --output: it is made if it does not exist",
        )
    existing = folder if folder.exists() else folder.parent
    if not existing.is_dir():
        raise InputError(f"the folder {existing} does not exist", hint="make it first")
    if not os.access(existing, os.W_OK):
        raise InputError(f"the folder {existing} is read-only", hint="choose another place with --output")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
