"""Run experiments: piece by piece, each kept as soon as it is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpikit.checkpoints import FileCheckpoint, only_one
from mpikit.compare.methods import FAILURES
from mpikit.errors import InputError, MpikitError
from mpikit.events import Event, Finding, Step, Warned, silent
from mpikit.experiments.code import code_of
from mpikit.experiments.experiment import Experiment, Findings, Outcome, Piece, Plan, Work
from mpikit.experiments.pieces import Pieces
from mpikit.plugins import registry
from mpikit.records import Checkpoint

LOCK = ".lock"


@dataclass(frozen=True)
class Found:
    """What a run came to.

    Parameters
    ----------
    plan : Plan
    experiments : tuple of Experiment
    findings : mapping of str to Findings
        By the name of the experiment.
    pieces : mapping of str to Piece
        By key.
    outcomes : mapping of str to Outcome
        By the key of the piece; without those that failed.
    failed : mapping of str to str
        Key of a piece to what went wrong, in words.
    """

    plan: Plan
    experiments: tuple[Experiment, ...]
    findings: Mapping[str, Findings]
    pieces: Mapping[str, Piece]
    outcomes: Mapping[str, Outcome]
    failed: Mapping[str, str]


class StoppedError(KeyboardInterrupt):
    """Somebody has interrupted a run: what is finished is kept.

    Parameters
    ----------
    done, total : int
        Pieces.
    """

    def __init__(self, done: int, total: int) -> None:
        super().__init__()
        self.done, self.total = done, total


def run_experiments(
    experiments: Sequence[Experiment],
    folder: Path,
    plan: Plan,
    *,
    resume: bool = False,
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> Found:
    """Do all pieces of some experiments that are not there yet, and join them.

    A piece that fails is told of, and the others go on.

    Parameters
    ----------
    experiments : sequence of Experiment
    folder : Path
        Where pieces are kept; made if it does not exist.
    plan : Plan
    resume : bool
        Take pieces that are there; without it the folder has to be empty.
    overwrite : bool
        Do all pieces anew, in a folder that may hold others.
    tell : callable
        Takes events.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        When the folder is not empty, cannot be written, or is in use.
    PluginError, UsageError
        When a method is not known.
    StoppedError
        After Ctrl-C.
    """
    for method in plan.methods:
        registry().denoiser(method)
    pieces = {piece.key: piece for each in experiments for piece in each.pieces(plan)}
    prepare_folder(folder, resume=resume, overwrite=overwrite)
    with only_one(folder / LOCK, of=f"the experiment in {folder}"):
        outcomes, failed = _do_all(pieces, Pieces(folder), plan, resume=resume, tell=tell)
    findings = {each.name: each.join(plan, outcomes) for each in experiments}
    return Found(plan, tuple(experiments), findings, pieces, outcomes, failed)


def plan_run(
    experiments: Sequence[Experiment],
    folder: Path,
    plan: Plan,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Say what `run_experiments` would do, ready for JSON; nothing is made or written."""
    for method in plan.methods:
        registry().denoiser(method)
    pieces = {piece.key: piece for each in experiments for piece in each.pieces(plan)}
    if folder.exists():
        prepare_folder(folder, resume=resume, overwrite=overwrite)
    store = Pieces(folder)
    return {
        "experiments": [each.name for each in experiments],
        "scale": plan.scale,
        "seed": plan.seed,
        "device": plan.device,
        "methods": list(plan.methods),
        "mnist": str(plan.mnist) if plan.mnist else None,
        "folder": str(folder),
        "exists": folder.exists(),
        "pieces": [
            {"label": each.label, "done": resume and store.load(each) is not None} for each in pieces.values()
        ],
    }


def prepare_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Make a folder; refuse one with something in it, unless it is to be gone on with.

    Raises
    ------
    InputError
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}") from error
    if taken and not (resume or overwrite):
        raise InputError(
            f"the folder {folder} is not empty",
            hint="--resume goes on with what is there, --force does it anew, --output names another folder",
        )


def _do_all(
    pieces: Mapping[str, Piece],
    store: Pieces,
    plan: Plan,
    *,
    resume: bool,
    tell: Callable[[Event], None],
) -> tuple[dict[str, Outcome], dict[str, str]]:
    outcomes: dict[str, Outcome] = {}
    failed: dict[str, str] = {}
    total = len(pieces)
    if resume:
        outcomes = {key: kept for key, piece in pieces.items() if (kept := store.load(piece)) is not None}
        words = f"{len(outcomes)} of {total} pieces are there already"
        tell(Finding("kept", len(outcomes), words))
        _warn_of_others(pieces, outcomes, plan, tell)
    try:
        for number, (key, piece) in enumerate(pieces.items(), start=1):
            if key in outcomes:
                continue
            tell(Finding("piece", key, f"== {number}/{total} {piece.label}"))
            try:
                outcomes[key] = _done(piece, store, plan, resume=resume, tell=tell)
            except FAILURES as error:
                failed[key] = _in_words(error)
                tell(Warned(f"{piece.label} failed: {failed[key]}"))
    except KeyboardInterrupt:
        raise StoppedError(len(outcomes), total) from None
    return outcomes, failed


def _warn_of_others(
    pieces: Mapping[str, Piece], kept: Mapping[str, Outcome], plan: Plan, tell: Callable[[Event], None]
) -> None:
    """Say which of the kept pieces would be other ones today."""
    devices = dict.fromkeys(kept, plan.device)
    codes = {key: code_of(pieces[key].settings.get("method")) for key in kept}
    for name, what, today in (
        ("device", "on another device", devices),
        ("code", "by other code of the same version", codes),
    ):
        others = [
            pieces[key].label
            for key, outcome in kept.items()
            if outcome.about.get(name) not in {None, today[key]}
        ]
        if others:
            listed = "; ".join(others[:3]) + (" and others" if len(others) > 3 else "")
            text = f"{len(others)} of the kept pieces were made {what}: {listed}; --force does all anew"
            tell(Warned(text))


def _in_words(error: BaseException) -> str:
    if not isinstance(error, MpikitError):
        return f"{type(error).__name__}: {error}"
    return f"{error}; {error.hint}" if error.hint else str(error)


def _done(piece: Piece, store: Pieces, plan: Plan, *, resume: bool, tell: Callable[[Event], None]) -> Outcome:
    """Do one piece and keep it, with the time that it took and what it was warned of."""
    warned: list[str] = []
    kept: list[FileCheckpoint] = []

    def listen(event: Event) -> None:
        if isinstance(event, Warned):
            warned.append(event.text)
        if isinstance(event, Step | Warned):  # its findings would hide those of the run
            tell(event)

    def checkpoint() -> Checkpoint:
        store.folder.mkdir(parents=True, exist_ok=True)
        path = store.path(piece).with_suffix(".checkpoint")
        about = {"settings": json.dumps(piece.settings, sort_keys=True)}
        kept.append(FileCheckpoint(path, about, resume=resume and path.exists(), tell=tell))
        return kept[-1]

    begun = time.perf_counter()
    outcome = piece.work(Work(plan.device, listen, checkpoint))
    about: dict[str, Any] = {
        **outcome.about,
        "device": plan.device,
        "code": code_of(piece.settings.get("method")),
        "seconds": time.perf_counter() - begun,
    }
    if warned:
        about["warnings"] = warned
    saved = store.save(piece, Outcome(outcome.values, outcome.arrays, about))
    for each in kept:
        each.remove()
    return saved
