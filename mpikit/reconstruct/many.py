"""Many files with the same choices: one after the other, or spread over workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits

import mdf
from mpikit.errors import InputError, MpikitError, NumericalError, UsageError
from mpikit.events import Event, Finding, Step, silent
from mpikit.reconstruct.choices import check_choices
from mpikit.reconstruct.files import Result, reconstruct_file
from mpikit.reconstruct.library import SUFFIXES
from mpikit.reconstruct.outputs import FORMATS
from mpikit.reconstruct.writing import default_output
from mpikit.workers import check_workers, in_order

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
    """

    source: Path
    kept: Any = None
    error: MpikitError | mdf.MdfError | None = None


def whole(result: Result) -> Result:
    """Keep all of a result (the default): mind the memory."""
    return result


def reconstruct_files(
    sources: Sequence[Path],
    *,
    output: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
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
    check_workers(workers, scheduler)
    check_choices(**{name: value for name, value in choices.items() if name != "overwrite"})
    _check_folder(output)
    found = find_measurements(sources, besides=_inputs(choices), tell=tell)
    plan = _Files(_jobs(found, output), choices, keep, _blas_threads())
    _make_folder(output)
    if workers is None and scheduler is None:
        return [plan.make(index, _with_name(tell, found[index], len(found))) for index in range(plan.blocks)]
    outcomes = []
    with in_order(plan.elsewhere(), workers=workers, scheduler=scheduler) as blocks:
        for index, (outcome, events) in enumerate(blocks):
            told = _with_name(tell, found[index], len(found))
            for event in events:
                told(event)
            outcomes.append(replace(outcome, source=found[index]))
            tell(Step(index + 1, plan.blocks))
    return outcomes


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
class _Files:
    """A plan (`mpikit.workers.Plan`) with a block for each file.

    Parameters
    ----------
    jobs : tuple of (Path, Path)
        Sources and outputs.
    choices : dict
        For `reconstruct_file`.
    keep : callable
    threads : int
        Of the BLAS: rounding depends on it, so all workers take the number of the main process.
    """

    jobs: tuple[tuple[Path, Path], ...]
    choices: dict[str, Any]
    keep: Callable[[Result], Any]
    threads: int

    @property
    def blocks(self) -> int:
        """Number of files."""
        return len(self.jobs)

    def elsewhere(self) -> _Files:
        """Return the same for workers in any folder."""
        jobs = tuple((source.absolute(), output.absolute()) for source, output in self.jobs)
        return replace(
            self, jobs=jobs, choices={name: _absolute(each) for name, each in self.choices.items()}
        )

    def prepare(self) -> None:
        """Do nothing: files have nothing in common."""

    def draw(self, index: int, /) -> tuple[Outcome, list[Event]]:
        """Make a file, and return what was said on the way."""
        told: list[Event] = []
        with threadpool_limits(self.threads, user_api="blas"):
            outcome = self.make(index, told.append)
        return outcome, [event for event in told if not isinstance(event, Step)]

    def make(self, index: int, tell: Tell) -> Outcome:
        """Make a file; what is wrong with it is part of the outcome."""
        source, output = self.jobs[index]
        try:
            result = reconstruct_file(source, output=output, tell=tell, **self.choices)
        except (MpikitError, mdf.MdfError) as error:
            return Outcome(source, error=error.with_traceback(None))
        except MemoryError as error:
            hint = "ask for less at once: fewer frames, or fewer workers"
            return Outcome(source, error=NumericalError(f"out of memory: {error}".rstrip(": "), hint=hint))
        return Outcome(source, self.keep(result))


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


def _blas_threads() -> int:
    return max((each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"), default=1)


def _inputs(choices: dict[str, Any]) -> list[Path]:
    """Return the files that the choices name."""
    matrices = choices.get("system_matrix") or ()
    named: Iterable[Path] = [matrices] if isinstance(matrices, Path) else matrices
    return [*named, *choices.get("background_files", ())]


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
