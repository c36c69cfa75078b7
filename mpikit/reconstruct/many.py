"""Many files with the same choices: one after the other, or spread over workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mdf
from mpikit.errors import InputError, MpikitError, NumericalError, UsageError
from mpikit.events import Event, Finding, Step, silent
from mpikit.files import refuse_inputs
from mpikit.reconstruct.choices import check_choices
from mpikit.reconstruct.files import Result, reconstruct_file
from mpikit.reconstruct.library import SUFFIXES
from mpikit.reconstruct.outputs import FORMATS
from mpikit.reconstruct.resuming import outputs_of, was_made
from mpikit.reconstruct.writing import default_output
from mpikit.workers import check_workers, one_by_one

Tell = Callable[[Event], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Parameters
    ----------
    source : Path
    kept : Any
        What was kept of the `mpikit.reconstruct.Result`; None when there is none.
    error : MpikitError, mdf.MdfError or None
    there : Path or None
        The output, if it was there already, made of the same files with the same choices.
    """

    source: Path
    kept: Any = None
    error: MpikitError | mdf.MdfError | None = None
    there: Path | None = None


def whole(result: Result) -> Result:
    """Keep all of a result (the default): mind the memory."""
    return result


def reconstruct_files(
    sources: Sequence[Path],
    *,
    output: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    keep: Callable[[Result], Any] = whole,
    tell: Tell = silent,
    **choices: Any,
) -> list[Outcome]:
    """Reconstruct several measurements; the error of one does not stop the others.

    The images do not depend on the workers.

    Parameters
    ----------
    sources : sequence of Path
        Files, and folders whose measurements are taken.
    output : Path, optional
        Folder for ``STEM.reconstruction.mdf``, made if it does not exist; beside each source if not given.
    workers : int, optional
        Processes on this machine, through Dask: each takes one file at a time. If neither workers nor a
        scheduler are given, the files are made one after the other.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers must see the same folders.
    resume : bool
        Leave images alone that are there, made of the same files with the same choices.
    keep : callable
        What to keep of each result; called where the file was made, and pickled for workers.
    tell : callable
    **choices
        As `reconstruct_file` takes them: ``system_matrix``, ``method``, ``overwrite``, options of the method.

    Returns
    -------
    list of Outcome
        One for each file, in the order of the sources.

    Raises
    ------
    UsageError, InputError, PluginError
        Before any file is made: choices that do not fit, no measurement, two files that would become one, a
        scheduler that does not answer.
    """
    jobs = planned_jobs(sources, output, workers, scheduler, choices, tell)
    making = _Making(choices, keep, resume)
    files = [_File(source, made) for source, made in jobs]
    _make_folder(output)
    alone = workers is None and scheduler is None
    if not alone:
        making, files = making.elsewhere(), [file.elsewhere(choices) for file in files]

    def told(file: _File, event: Event) -> None:
        _with_name(tell, file.source, len(files))(event)

    def died(file: _File, error: MpikitError) -> Outcome:
        return Outcome(file.source, error=error)

    outcomes: list[Outcome] = []
    try:
        for outcome in one_by_one(making, files, died=died, tell=told, workers=workers, scheduler=scheduler):
            source, made = jobs[len(outcomes)]
            outcomes.append(replace(outcome, source=source, there=made if outcome.there else None))
            if not alone:
                tell(Step(len(outcomes), len(files)))
    except KeyboardInterrupt:
        done = sum(outcome.error is None for outcome in outcomes)
        tell(Finding("interrupted", done, f"{done} of {len(files)} files are done; --resume goes on"))
        raise
    return outcomes


def planned_jobs(
    sources: Sequence[Path],
    output: Path | None,
    workers: int | None,
    scheduler: str | None,
    choices: dict[str, Any],
    tell: Tell,
) -> tuple[tuple[Path, Path], ...]:
    """Return each file with its output, if all choices fit; nothing is made.

    Raises
    ------
    UsageError, InputError
        As `reconstruct_files`.
    """
    check_workers(workers, scheduler)
    check_choices(**{name: value for name, value in choices.items() if name != "overwrite"})
    _check_folder(output)
    jobs = _jobs(find_measurements(sources, besides=_inputs(choices), tell=tell), output)
    made = {path: source for source, place in jobs for path in outputs_of(place, choices)}
    named = [path for each in _inputs(choices) for path in _files_at(each)]
    refuse_inputs(made, [*(source for source, _ in jobs), *named])
    return jobs


def find_measurements(
    sources: Sequence[Path], *, besides: Sequence[Path] = (), tell: Tell = silent
) -> list[Path]:
    """Return files, and the measurements in folders in the order of their names.

    Parameters
    ----------
    sources : sequence of Path
        Files are taken whatever they are. In a folder the ``.mdf``, ``.h5`` and ``.hdf5`` files are looked
        at, not those of folders in it.
    besides : sequence of Path
        Files that are no measurements of an object, such as empty ones.
    tell : callable
        Hears which files of a folder are left out: calibrations, images and those `besides`.

    Raises
    ------
    InputError
        A folder that cannot be read, or without measurements.
    """
    found: list[Path] = []
    for source in sources:
        found += _of_folder(source, besides, tell) if source.is_dir() else [source]
    return found


@dataclass(frozen=True)
class _File:
    """A file with its output.

    Parameters
    ----------
    source, output : Path
    fresh : bool
        Nothing of the output was there when workers began: what is there is of one that died.
    """

    source: Path
    output: Path
    fresh: bool = False

    def elsewhere(self, choices: dict[str, Any]) -> _File:
        """Return the same for workers in any folder."""
        fresh = not any(path.exists() for path in outputs_of(self.output, choices))
        return _File(self.source.absolute(), self.output.absolute(), fresh)


@dataclass(frozen=True)
class _Making:
    """How each file is made.

    Parameters
    ----------
    choices : dict
        For `reconstruct_file`.
    keep : callable
    resume : bool
    """

    choices: dict[str, Any]
    keep: Callable[[Result], Any]
    resume: bool

    def elsewhere(self) -> _Making:
        """Return the same for workers in any folder."""
        return replace(self, choices={name: _absolute(each) for name, each in self.choices.items()})

    def __call__(self, file: _File, tell: Tell) -> Outcome:
        """Make a file; what is wrong with it is part of the outcome."""
        try:
            return self._make(file, tell)
        except (MpikitError, mdf.MdfError) as error:
            return Outcome(file.source, error=error.with_traceback(None))
        except MemoryError as error:
            hint = "ask for less at once: fewer frames, or fewer workers"
            short = NumericalError(f"out of memory: {error}".rstrip(": "), hint=hint)
            return Outcome(file.source, error=short)

    def _make(self, file: _File, tell: Tell) -> Outcome:
        choices = self.choices
        if self.resume and not file.fresh and file.output.exists():
            if was_made(file.source, file.output, choices):
                return Outcome(file.source, there=file.output)
            choices = choices | {"overwrite": True}  # it may be replaced, or is not whole
        if file.fresh:
            choices = choices | {"overwrite": True}
        result = reconstruct_file(file.source, output=file.output, tell=tell, **choices)
        return Outcome(file.source, self.keep(result))


def _with_name(tell: Tell, source: Path, files: int) -> Tell:
    """Tell which file is meant, if there are several."""

    def told(event: Event) -> None:
        if files > 1 and not isinstance(event, Step):
            event = replace(event, text=f"{source.name}: {event.text}")
        tell(event)

    return told


def _absolute(choice: Any) -> Any:
    """Return a choice with absolute paths, if there are paths in it."""
    if isinstance(choice, list | tuple):
        return [_absolute(each) for each in choice]
    return choice.absolute() if isinstance(choice, Path) else choice


def _inputs(choices: dict[str, Any]) -> list[Path]:
    """Return the files that the choices name."""
    matrices = choices.get("system_matrix") or ()
    named: Iterable[Path] = [matrices] if isinstance(matrices, Path) else matrices
    return [*named, *choices.get("background_files", ())]


def _files_at(path: Path) -> list[Path]:
    """Return a file, or a folder with all that is in it."""
    try:
        return [path, *path.iterdir()] if path.is_dir() else [path]
    except OSError:  # it is told of when it is read
        return [path]


def _jobs(sources: Sequence[Path], output: Path | None) -> tuple[tuple[Path, Path], ...]:
    """Return each source with its output, which no other one has."""
    taken: dict[Path, tuple[Path, Path]] = {}
    for source in sources:
        made = default_output(source)
        made = made if output is None else output / made.name
        place = made.parent.resolve() / made.name
        if place in taken:
            raise UsageError(
                f"{taken[place][0]} and {source} would both become {made}",
                hint="give them in two commands, with a folder each",
            )
        taken[place] = source, made
    return tuple(taken.values())


def _check_folder(output: Path | None) -> None:
    """Refuse an output that is the name of a file."""
    if output is None or output.is_dir():
        return
    endings = (*SUFFIXES, *FORMATS, ".png")
    if output.exists() or output.name.lower().endswith(endings):
        raise UsageError(
            f"the output {output.name} is the name of a file, expected a folder for several files",
            hint="name a folder with --output: it is made if it does not exist",
        )


def _make_folder(output: Path | None) -> None:
    if output is None:
        return
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {output} cannot be made: {error.strerror or error}") from error


def _of_folder(folder: Path, besides: Sequence[Path], tell: Tell) -> list[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read: {error.strerror or error}") from error
    paths = [path for path in paths if path.is_file() and not path.name.startswith(".")]
    known = {path.resolve() for path in besides}
    taken = [path for path in paths if path.resolve() not in known and _may_be_measured(path)]
    if not taken:
        raise InputError(
            f"there is no measurement in {folder}, expected files ending in {', '.join(SUFFIXES)}",
            hint="name the folder of the measurements, or the files",
        )
    others = [path.name for path in paths if path not in taken]
    if others:
        names = ", ".join(others)
        tell(Finding("left out", others, f"no measurements in {folder}, and left out: {names}"))
    return taken


def _may_be_measured(path: Path) -> bool:
    """Say no for a calibration and for images; a file that cannot be read is told of when its turn comes."""
    try:
        with mdf.open(path) as file:
            return not file.is_calibration and file.measurement is not None
    except mdf.MdfError:
        return True
