"""What it takes to repeat a reconstruction bit for bit, and finding it again."""

from __future__ import annotations

import hashlib
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from mpikit.errors import InputError
from mpikit.events import Event, Finding, Warned, silent
from mpikit.provenance import read_history, sha256
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.options import METHODS, without_idle
from mpikit.reconstruct.outputs import stored_history
from mpikit.reconstruct.selection import Rows

Roles = Mapping[str, Sequence[Path]]

_TOLD = 12  # digits of a hash in a message


@dataclass(frozen=True)
class Rerun:
    """A reconstruction to be made again.

    Parameters
    ----------
    made : Path
        The file that tells of it.
    source : Path
        The measurement.
    inputs : dict
        The other files that were read, by their role: ``{"system_matrix": (path,)}``.
    options : dict
        The method and all options that did something, by the names of the arguments of `reconstruct_file`.
    seed : int or None
    rows : str or None
        The rows that were used, see `rows_text`.
    images_sha256, deviation_sha256 : str or None
        See `images_digest`.
    """

    made: Path
    source: Path
    inputs: dict[str, tuple[Path, ...]]
    options: dict[str, Any]
    seed: int | None = None
    rows: str | None = None
    images_sha256: str | None = None
    deviation_sha256: str | None = None

    def arguments(self, made: Path, output: Path | None) -> dict[str, Any]:
        """Return the arguments of `reconstruct_file` by name; without an output it stands beside `made`."""
        return {
            "system_matrix": self.inputs.get("system_matrix"),
            "background_files": self.inputs.get("background_file", ()),
            "output": output or made.with_name(f"{made.name.partition('.')[0]}.rerun.mdf"),
            **self.options,
        }


def repeatable(
    record: Mapping[str, Any],
    *,
    inputs: Roles,
    images: Images,
    rows: Rows | None = None,
    deviation: Images | None = None,
) -> dict[str, Any]:
    """Return a record of `mpikit.provenance.run_record` with what `read_rerun` needs on top.

    That is ``files`` (role, name and hash of each input: names alone may be equal, as those of files in
    different folders), ``row_list``, ``images_sha256`` and ``deviation_sha256``.

    Parameters
    ----------
    record : mapping
    inputs : mapping
        Files that were read, by role; ``"source"`` is the measurement.
    images : Images
    rows : Rows, optional
        None for a method without rows.
    deviation : Images, optional
        Standard deviation of the images.
    """
    paths = [(role, path) for role, some in inputs.items() for path in some]
    names = [path.name for _, path in paths]
    known = {name: value for name, value in record["inputs"].items() if names.count(name) == 1}
    files = [
        {"role": role, "name": path.name, "sha256": known.get(path.name) or sha256(path)}
        for role, path in paths
    ]
    listed = {} if rows is None else {"row_list": rows_text(rows)}
    if deviation is not None:
        listed["deviation_sha256"] = images_digest(deviation)
    return {**record, "files": files, **listed, "images_sha256": images_digest(images)}


def read_rerun(made: Path, *, places: Sequence[Path] = (), tell: Callable[[Event], None] = silent) -> Rerun:
    """Read how a file was reconstructed, and find the files that it was made of.

    Parameters
    ----------
    made : Path
        File with a history: MDF, or one of `mpikit.reconstruct.outputs`.
    places : sequence of Path
        Folders in which the inputs may be, or the inputs themselves under any name. The folder of ``made`` is
        always looked through first.
    tell : callable
        Hears of packages that have another version now.

    Returns
    -------
    Rerun

    Raises
    ------
    InputError
        When the file does not tell enough, or an input is missing or is another file than it was.
    mdf.MdfError
    """
    record = _last_reconstruction(made)
    hashes: dict[Path, str] = {}
    found: dict[str, tuple[Path, ...]] = {}
    for role, name, digest in _entries(record, made):
        path = _find(made, (role, name, digest), (made.parent, *places), hashes)
        found[role] = (*found.get(role, ()), path)
    source = found.pop("source", ())
    options = record.get("options")
    if len(source) != 1 or not isinstance(options, dict):
        raise _incomplete(made)
    _tell_versions(record, made, tell)
    return Rerun(
        made,
        source[0],
        found,
        _said(options),
        record.get("seed"),
        record.get("row_list"),
        record.get("images_sha256"),
        record.get("deviation_sha256"),
    )


def check_repeat(
    rerun: Rerun,
    images: Images,
    rows: Rows | None = None,
    deviation: Images | None = None,
    *,
    tell: Callable[[Event], None],
) -> bool:
    """Tell whether images are those that were made before, bit for bit; if not, whether the rows are.

    Their standard deviation is compared too, when there was one.

    Parameters
    ----------
    rerun : Rerun
    images : Images
    rows : Rows, optional
        None for a method without rows.
    deviation : Images, optional
    tell : callable
    """
    spread = None if deviation is None else images_digest(deviation)
    if rerun.images_sha256 == images_digest(images) and rerun.deviation_sha256 != spread:
        tell(Warned(f"the images are those of {rerun.made.name}, but not their standard deviation"))
        return False
    if rerun.images_sha256 == images_digest(images):
        tell(Finding("repeat", True, f"the images are those of {rerun.made.name}, bit for bit"))
        return True
    used = None if rows is None else rows_text(rows)
    reason = "" if used == rerun.rows else ", other rows were used"
    tell(Warned(f"the images are not those of {rerun.made.name}, bit for bit{reason}"))
    return False


def images_digest(images: Images) -> str:
    """SHA-256 of shape and values of images, in hexadecimal."""
    values = np.ascontiguousarray(images.values, "<f4")
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()


def rows_text(rows: Rows) -> str:
    """Write rows as ranges of lines of each channel, in the order of use.

    >>> rows_text(Rows(np.array([0, 0, 0, 1]), np.array([7, 8, 12, 3]), {}))
    '0:7-8,12 1:3'
    """
    if not len(rows):
        return ""
    new_channel = np.diff(rows.channels) != 0
    starts = np.concatenate([[0], 1 + np.flatnonzero(new_channel | (np.diff(rows.lines) != 1))])
    ends = np.append(starts[1:], len(rows)) - 1
    words: list[str] = []
    before = None
    for start, end in zip(starts, ends, strict=True):
        first, last, channel = rows.lines[start], rows.lines[end], rows.channels[start]
        lines = f"{first}" if first == last else f"{first}-{last}"
        words.append(f",{lines}" if channel == before else f" {channel}:{lines}")
        before = channel
    return "".join(words).strip()


def _last_reconstruction(made: Path) -> dict[str, Any]:
    records = [each for each in read_history(stored_history(made)) if each.get("command") == "reconstruct"]
    if not records:
        raise InputError(
            f"{made.name} does not tell of a reconstruction",
            hint="name a file that mpikit reconstruct wrote",
        )
    return records[-1]


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options by the names of the arguments, without those that did nothing."""
    named = {f"{name}_" if keyword.iskeyword(name) else name: value for name, value in options.items()}
    method = named.get("method")
    return without_idle(method, named) if isinstance(method, str) and method in METHODS else named


def _entries(record: Mapping[str, Any], made: Path) -> list[tuple[str, str, str]]:
    entries = record.get("files")
    try:
        found = [(each["role"], each["name"], each["sha256"]) for each in entries or ()]
    except (TypeError, KeyError):
        raise _incomplete(made) from None
    if not all(isinstance(word, str) for entry in found for word in entry):
        raise _incomplete(made)
    return found


def _incomplete(made: Path) -> InputError:
    return InputError(
        f"the history of {made.name} does not tell all that a repeat needs, expected its input files with "
        "role, name and hash, and its options",
        hint="it may be damaged, or of another version of mpikit: give the command again",
    )


def _find(made: Path, entry: tuple[str, str, str], places: Sequence[Path], hashes: dict[Path, str]) -> Path:
    role, name, digest = entry
    name = Path(name).name  # a history is a stranger's text: it shall not lead out of the folders
    others = []
    for place in places:
        path = place / name if place.is_dir() else place
        if not path.is_file():
            continue
        if _hash(path, hashes) == digest:
            return path
        if path.name == name:
            others.append(path)
    thing = f"the {role.replace('_', ' ')} {name} of {made.name}"
    if others:
        raise InputError(
            f"{others[0]} is not {thing}: its SHA-256 is {_hash(others[0], hashes)[:_TOLD]}..., expected "
            f"{digest[:_TOLD]}...",
            hint="name the folder of the file that was used, it has changed here",
        )
    folders = ", ".join(dict.fromkeys(str(place) for place in places))
    raise InputError(
        f"{thing} is missing, expected it in {folders}",
        hint="name the file or its folder: mpikit reconstruct FOLDER --rerun FILE",
    )


def _hash(path: Path, hashes: dict[Path, str]) -> str:
    if path not in hashes:
        try:
            hashes[path] = sha256(path)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return hashes[path]


def _tell_versions(record: Mapping[str, Any], made: Path, tell: Callable[[Event], None]) -> None:
    packages = record.get("packages")
    then = {"mpikit": record.get("mpikit"), **(packages if isinstance(packages, dict) else {})}
    changed = [
        f"{name} {before} then, {now} now" for name, before in then.items() if (now := _now(name)) != before
    ]
    if changed:
        tell(
            Warned(
                f"{made.name} was made with other versions, the last bits may differ: {'; '.join(changed)}"
            )
        )


def _now(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
