"""Denoise several MDF files, one after the other: what goes wrong with one does not stop the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mdf
from mpikit.compare.auto_options import auto_candidates
from mpikit.compare.choice import AUTO
from mpikit.compare.unchanged import find_method
from mpikit.denoise_file import DenoisedFile, default_output, denoise_file, plan
from mpikit.errors import InputError, MpikitError, UsageError
from mpikit.events import Event, Finding, silent
from mpikit.models import load_model
from mpikit.options import parse_options
from mpikit.scan import Repeats
from mpikit.scan_set import measurement_files
from mpikit.scoring import score_table


@dataclass(frozen=True)
class Outcome:
    """What became of one of several files.

    Parameters
    ----------
    source : Path
    done : DenoisedFile or None
        None when it failed.
    error, hint : str
        What went wrong, and what to do about it.
    """

    source: Path
    done: DenoisedFile | None
    error: str = ""
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the outcome, ready for JSON."""
        return {
            "source": str(self.source),
            "output": str(self.done.path) if self.done else None,
            "auto": self.done.choice.as_json() if self.done and self.done.choice else None,
            "scores": score_table(self.done.result) if self.done else [],
            "no_score": (self.done.result.no_score or None) if self.done else None,
            "error": self.error or None,
            "hint": self.hint or None,
        }


@dataclass(frozen=True)
class _Batch:
    """Files with their outputs, checked together before the first one is read."""

    sources: tuple[Path, ...]
    outputs: tuple[Path, ...]


def denoise_files(
    sources: Sequence[Path],
    *,
    method: str = "",
    parameters: tuple[str, ...] = (),
    folder: Path | None = None,
    model: Path | None = None,
    repeats: Repeats | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> list[Outcome]:
    """Denoise several MDF files with one method, each fitted by itself or with one model.

    Parameters
    ----------
    sources : sequence of Path
        MDF files, or folders of them.
    method, parameters, model, repeats, seed, device, overwrite, tell
        As for `mpikit.denoise_file.denoise_file`.
    folder : Path or None
        Where to write, made if it is not there; None for beside each file.

    Returns
    -------
    list of Outcome
        One for each file, in their order.

    Raises
    ------
    InputError, PluginError, UsageError
        When method, options, model or the names of the outputs are wrong: no file is read then.
    """
    batch = _prepare(sources, method, parameters, folder, model, tell)
    if folder is not None:
        _make_folder(folder)
    outcomes = []
    for number, (source, output) in enumerate(zip(batch.sources, batch.outputs, strict=True), 1):
        tell(Finding("file", str(source), f"== {number}/{len(batch.sources)} {source}"))
        try:
            done = denoise_file(
                source,
                method=method,
                parameters=parameters,
                output=output,
                model=model,
                repeats=repeats,
                seed=seed,
                device=device,
                overwrite=overwrite,
                tell=tell,
            )
            outcomes.append(Outcome(source, done))
        except (MpikitError, mdf.MdfError) as error:
            outcomes.append(Outcome(source, None, str(error), error.hint))
    return outcomes


def plan_files(
    sources: Sequence[Path],
    *,
    method: str = "",
    parameters: tuple[str, ...] = (),
    folder: Path | None = None,
    model: Path | None = None,
    repeats: Repeats | None = None,
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> list[dict[str, Any]]:
    """Say what `denoise_files` would do, ready for JSON; nothing is made, fitted or written."""
    batch = _prepare(sources, method, parameters, folder, model, tell)
    made_later = folder is not None and not folder.exists()
    plans = []
    for source, output in zip(batch.sources, batch.outputs, strict=True):
        try:
            planned = plan(
                source,
                method=method,
                parameters=parameters,
                output=None if made_later else output,
                model=model,
                repeats=repeats,
                overwrite=overwrite or made_later,
            )
            plans.append(planned | {"output": str(output)})
        except (MpikitError, mdf.MdfError) as error:
            plans.append(Outcome(source, None, str(error), error.hint).as_json())
    return plans


def _prepare(
    sources: Sequence[Path],
    method: str,
    parameters: tuple[str, ...],
    folder: Path | None,
    model: Path | None,
    tell: Callable[[Event], None],
) -> _Batch:
    """Check what is wrong for all files alike, so that it is said once."""
    if model is not None:
        method = method or load_model(model)[0].method
    method = method or AUTO
    if method == AUTO:
        auto_candidates(parameters)
    else:
        offer = find_method(method)
        if model is None:
            parse_options(offer.record, parameters)
    files = measurement_files(sources, tell=tell)
    if folder is not None:
        _check_folder(folder)
    outputs: dict[Path, Path] = {}
    for path in files:
        output = default_output(path, method)
        output = output if folder is None else folder / output.name
        if output in outputs:
            raise UsageError(
                f"{outputs[output]} and {path} would both become {output}",
                hint="leave --output out to write beside each file, or rename one of them",
            )
        outputs[output] = path
    return _Batch(tuple(outputs.values()), tuple(outputs))


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"--output {folder} is a file, and there are several files to denoise",
            hint="name a folder with --output",
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
