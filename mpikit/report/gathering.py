"""What kind of file each one is, and which one shows the state before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mdf
from mpikit.errors import InputError, MpikitError, UsageError
from mpikit.provenance import HISTORY, read_history
from mpikit.reconstruct.other_formats import refuse_other
from mpikit.report.sources import Hashes, imaged_before, measured_before

LOG, MODEL = ".jsonl", ".safetensors"


@dataclass(frozen=True)
class Item:
    """One file of a report.

    Parameters
    ----------
    path : Path
    kinds : tuple of str
        Of ``"measurement"``, ``"calibration"``, ``"reconstruction"``, ``"training"``, ``"model"``; empty for
        an MDF file without data.
    history : sequence of mapping
    before : mapping of str to Path
        For the kinds measurement and reconstruction, the file that shows the state before.
    error : MpikitError, MdfError or None
        Why the file cannot be shown.
    """

    path: Path
    kinds: tuple[str, ...]
    history: Sequence[Mapping[str, Any]] = ()
    before: Mapping[str, Path] = field(default_factory=dict)
    error: MpikitError | mdf.MdfError | None = None


def gather(files: Sequence[Path], before: Sequence[Path] = ()) -> list[Item]:
    """Look at all files, and find the state before each.

    A measurement that was denoised is shown beside its source, which is known by its hash: among the files,
    or in the folder of the denoised one. Images of a denoised measurement are shown beside those of its
    source. Of two reconstructions that have no such relation the second one is shown beside the first.

    Parameters
    ----------
    files : sequence of Path
    before : sequence of Path
        Files that show the state before of all others of their kind; at most one of each kind.

    Raises
    ------
    UsageError
        When a file is named twice, or there is nothing to show a ``before`` beside.
    InputError, mdf.MdfError
        When all files, or one that is shown as before, are missing or damaged; of several files such a one
        has an ``error``.
    """
    if not files:
        raise UsageError("no file is named", hint="mpikit report scan.mdf -o report.html")
    items = [_looked_at(path) for path in files]
    twice = [path for path in files if sum(path.resolve() == other.resolve() for other in files) > 1]
    if twice:
        raise UsageError(f"the file {twice[0]} is named twice", hint="leave one out")
    refuse_if_all_failed(items)
    named = _named(before, items)
    hashes = Hashes()
    return [item if item.error else _with_before(item, items, named, hashes) for item in items]


def refuse_if_all_failed(items: Sequence[Item]) -> None:
    """Raise the error of the first file when no file can be shown."""
    errors = [item.error for item in items if item.error is not None]
    if len(errors) == len(items):
        raise errors[0]


def _looked_at(path: Path) -> Item:
    try:
        return look_at(path)
    except (InputError, mdf.MdfError) as error:
        return Item(path, (), error=error)


def look_at(path: Path) -> Item:
    """Say what kind of file this is.

    Raises
    ------
    InputError, mdf.MdfError
        When it is missing, or none that a report can show.
    """
    suffix = path.suffix.lower()
    if suffix in (LOG, MODEL):
        if not path.is_file():
            raise InputError(f"{path}: there is no such file")
        return Item(path, ("training",) if suffix == LOG else ("model",))
    refuse_other(path)
    with mdf.open(path) as file:
        kinds = {
            "calibration": file.is_calibration,
            "measurement": file.measurement is not None and not file.is_calibration,
            "reconstruction": file.reconstruction is not None,
        }
        told = file.user_value(HISTORY)
    history = read_history(told if isinstance(told, str) else None)
    return Item(path, tuple(kind for kind, there in kinds.items() if there), history)


def _named(before: Sequence[Path], items: Sequence[Item]) -> dict[str, Path]:
    """Return the files that the user names as before, by kind."""
    named: dict[str, Path] = {}
    for path in before:
        kinds = [kind for kind in look_at(path).kinds if kind in ("measurement", "reconstruction")]
        if not kinds:
            raise UsageError(
                f"--before {path.name} is neither a measurement nor a reconstruction",
                hint="name the noisy measurement, or its images",
            )
        for kind in kinds:
            if kind in named:
                raise UsageError(
                    f"--before names two files with a {kind}: {named[kind].name} and {path.name}",
                    hint="leave one out",
                )
            if not any(kind in item.kinds and not _same(item.path, path) for item in items):
                raise UsageError(
                    f"--before {path.name} is a {kind}, and no other file that is named is one",
                    hint="name the denoised file, or what was made of it, as FILE",
                )
            named[kind] = path
    return named


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _with_before(item: Item, items: Sequence[Item], named: Mapping[str, Path], hashes: Hashes) -> Item:
    before: dict[str, Path] = {}
    for kind in item.kinds:
        found = named[kind] if kind in named else _related(item, kind, items, hashes)
        if found is not None and not (kind in named and _same(found, item.path)):
            before[kind] = found
    return replace(item, before=before)


def _related(item: Item, kind: str, items: Sequence[Item], hashes: Hashes) -> Path | None:
    """Return the file of a kind that stands before another, by what histories and hashes say."""
    if kind == "measurement":
        paths = [each.path for each in items if each is not item and kind in each.kinds]
        return measured_before(item.path, item.history, paths, hashes)
    if kind == "reconstruction":
        return _images_before(item, [each for each in items if kind in each.kinds])
    return None


def _images_before(item: Item, images: Sequence[Item]) -> Path | None:
    told = {each.path: each.history for each in images if each is not item}
    found = imaged_before(item.path, item.history, told)
    if found is not None or len(images) != 2 or images[1] is not item:
        return found
    first = images[0]
    related = imaged_before(first.path, first.history, {item.path: item.history})
    return None if related == item.path else first.path
