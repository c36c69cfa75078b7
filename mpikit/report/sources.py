"""Which file shows the state before: the one that is named, or the one whose hash the history has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mdf
from mpikit.errors import InputError
from mpikit.provenance import HISTORY, read_history, sha256

Record = Mapping[str, Any]


class Hashes:
    """SHA-256 of files, each found once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def __call__(self, path: Path) -> str:
        """Return the hash, in hexadecimal.

        Raises
        ------
        InputError
            When the file cannot be read.
        """
        if path not in self._known:
            try:
                self._known[path] = sha256(path)
            except OSError as error:
                raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
        return self._known[path]


def history_of(path: Path) -> list[dict[str, Any]]:
    """Return the history of an MDF file, oldest first; empty when it has none."""
    with mdf.open(path) as file:
        value = file.user_value(HISTORY)
    return read_history(value if isinstance(value, str) else None)


def denoised_from(history: Sequence[Record]) -> dict[str, str]:
    """Return names and hashes of what the last denoising of a history read; empty without one."""
    return _inputs([record for record in history if record.get("command") == "denoise"])


def _inputs(records: Sequence[Record]) -> dict[str, str]:
    inputs = records[-1].get("inputs") if records else None
    if not isinstance(inputs, Mapping):
        return {}
    return {name: digest for name, digest in inputs.items() if isinstance(digest, str)}


def measured_before(
    path: Path, history: Sequence[Record], others: Sequence[Path], hashes: Hashes
) -> Path | None:
    """Find the measurement that a file was denoised from, among other files and in its own folder.

    Parameters
    ----------
    path : Path
        A denoised file.
    history : sequence of mapping
        Its own.
    others : sequence of Path
    hashes : Hashes

    Returns
    -------
    Path or None
        None when it was not denoised, or the source is not there or was changed.
    """
    wanted = denoised_from(history)
    # a history is a stranger's text: it shall not lead out of the folder
    beside = [path.parent / Path(name).name for name in wanted]
    for other in [*others, *beside]:
        known = other.is_file() and not (path.exists() and other.samefile(path))
        is_model = other.suffix.lower() == ".safetensors"
        if known and not is_model and hashes(other) in wanted.values():
            return other
    return None


def imaged_before(
    path: Path, history: Sequence[Record], others: Mapping[Path, Sequence[Record]]
) -> Path | None:
    """Find the images of the noisy source of a denoised measurement whose images a file holds.

    Parameters
    ----------
    path : Path
        A reconstruction.
    history : sequence of mapping
        Its own.
    others : mapping
        The other reconstructions, with their histories. Beside them the file
        ``SOURCE-stem.reconstruction.mdf`` of its folder is looked at.

    Returns
    -------
    Path or None
        One whose last reconstruction read the very file that was denoised.
    """
    wanted = denoised_from(history)
    if not wanted:
        return None
    candidates = dict(others)
    for name in wanted:
        guess = path.parent / f"{Path(name).stem}.reconstruction.mdf"
        if guess.is_file() and not guess.samefile(path) and guess not in candidates:
            candidates[guess] = _history_or_none(guess)
    for other, told in candidates.items():
        made_from = _inputs([record for record in told if record.get("command") == "reconstruct"])
        if not denoised_from(told) and set(made_from.values()) & set(wanted.values()):
            return other
    return None


def _history_or_none(path: Path) -> list[dict[str, Any]]:
    """Return the history of a file that nobody named: a damaged one is no reason to stop."""
    try:
        return history_of(path)
    except mdf.MdfError:
        return []
