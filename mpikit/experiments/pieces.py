"""Where pieces of an experiment are kept: one JSON file each, and an NPZ file beside it for arrays."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.experiments.experiment import Outcome, Piece
from mpikit.files import write_atomically
from mpikit.plain_arrays import read_arrays

FOLDER = "pieces"
FORMAT = 1


class Pieces:
    """The pieces of a folder.

    Parameters
    ----------
    folder : Path
        The output of a run; pieces are in its folder ``pieces``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def path(self, piece: Piece) -> Path:
        """File of a piece."""
        return self.folder / f"{piece.key}.json"

    def load(self, piece: Piece) -> Outcome | None:
        """Return what was kept of a piece, or None.

        Raises
        ------
        InputError
            When its file is damaged, or of another version.
        """
        path = self.path(piece)
        if not path.exists():
            return None
        hint = "remove the file, and --resume does this piece again"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["format"] != FORMAT:
                raise InputError(f"{path} is of format {kept['format']}, expected {FORMAT}", hint=hint)
            if not (isinstance(kept["values"], dict) and isinstance(kept["about"], dict)):
                raise TypeError("values and about must be tables")
            if not all(isinstance(kept["about"].get(name, ""), str) for name in ("device", "code")):
                raise TypeError("device and code must be texts")
            arrays = read_arrays(path.with_suffix(".npz")) if kept["has_arrays"] else {}
            return Outcome(kept["values"], arrays, kept["about"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{path} is damaged, expected a piece of an experiment", hint=hint) from error

    def save(self, piece: Piece, outcome: Outcome) -> Outcome:
        """Keep a piece; what is there of it is replaced. Return it as `load` would."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(piece)
        if outcome.arrays:  # first, so that a piece with a JSON file is complete
            write_atomically(path.with_suffix(".npz"), _as_bytes(outcome.arrays), overwrite=True)
        kept = {
            "format": FORMAT,
            "label": piece.label,
            "settings": dict(piece.settings),
            "values": dict(outcome.values),
            "about": dict(outcome.about),
            "has_arrays": bool(outcome.arrays),
        }
        text = json.dumps(kept, indent=1)
        write_atomically(path, text.encode(), overwrite=True)
        plain = json.loads(text)
        return Outcome(plain["values"], outcome.arrays, plain["about"])


def _as_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
