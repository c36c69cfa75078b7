"""Where a training keeps its state on disk, to go on after an interruption."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, PluginError
from mpikit.files import write_atomically

FORMAT = "mpikit-checkpoint"
VERSION = 1


class FileCheckpoint:
    """A checkpoint in one safetensors file: arrays, and what they belong to as JSON. Nothing is pickled.

    It is the `mpikit.Checkpoint` that a method finds in its run.

    Parameters
    ----------
    path : Path
    about : mapping
        What the training is: method, options, seed, files by hash; ready for JSON. A checkpoint goes on only
        with what it was begun with.
    resume : bool
        Load what is there; otherwise `load` finds nothing, and the first `save` replaces the file.

    Raises
    ------
    InputError
        When there is nothing to resume, or it belongs to another training.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], *, resume: bool) -> None:
        self.path, self._is_ours = path, resume
        self._about = json.loads(json.dumps(dict(about)))
        self._state: dict[str, NDArray[Any]] | None = None
        if not resume:
            return
        if not path.exists():
            raise InputError(
                f"there is no checkpoint {path} to go on from",
                hint="leave --resume out to start at the start",
            )
        said, self._state = _read(path)
        differs = [name for name in self._about if said.get(name) != self._about[name]]
        if differs:
            raise InputError(
                f"{path.name} is of another training: {_difference(differs[0], said, self._about)}",
                hint="give the options, seed and files that it was begun with, or --force to start anew",
            )

    @property
    def is_kept(self) -> bool:
        """The file holds a state of this training, not one of a training before."""
        return self._is_ours and self.path.exists()

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Return what was saved last, or None."""
        return None if self._state is None else dict(self._state)

    def save(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Keep this state; the one before is replaced only when this one is complete.

        Raises
        ------
        InputError
            When it cannot be written: the disk is full, say. The checkpoint before is still there then.
        PluginError
            When the state is no flat dict of arrays of numbers.
        """
        from safetensors.numpy import save

        header = {"format": FORMAT, "format_version": str(VERSION), "about": json.dumps(self._about)}
        arrays = {name: np.asarray(value, order="C") for name, value in state.items()}
        wrong = [name for name, value in arrays.items() if value.dtype.kind not in "biufc"]
        if wrong:
            raise PluginError(f"the checkpoint holds {wrong[0]!r}, which is no array of numbers")
        before = "what was saved before is still there, --resume goes on from it" if self.is_kept else ""
        try:
            write_atomically(self.path, save(arrays, metadata=header), overwrite=True)
        except InputError as error:
            raise InputError(
                f"the checkpoint {error}", hint=f"make room on the disk; {before}".rstrip("; ")
            ) from error
        self._is_ours = True

    def remove(self) -> None:
        """Remove the file: the training has ended, and its model is safe."""
        self.path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if header.get("format") != FORMAT or header.get("format_version") != str(VERSION):
            raise ValueError(f"it says {header.get('format')!r}, version {header.get('format_version')!r}")
        about = json.loads(header["about"])
        if not isinstance(about, dict):
            raise ValueError("it does not say what it belongs to")
    except (SafetensorError, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path.name} cannot be read as a checkpoint of this mpikit: {error}",
            hint="--force starts the training anew",
        ) from error
    return about, state


def _difference(name: str, said: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Say what differs, down to one entry of a table."""
    before, now = said.get(name), asked[name]
    if isinstance(before, dict) and isinstance(now, dict):
        entry = next(key for key in [*now, *before] if before.get(key) != now.get(key))
        if name == "inputs":
            return f"it was fitted to other files ({entry} was changed, added or left out)"
        return f"its {entry} is {before.get(entry)!r}, now it is {now.get(entry)!r}"
    return f"its {name.replace('_', ' ')} is {before!r}, now it is {now!r}"
