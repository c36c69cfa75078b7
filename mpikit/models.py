"""Fitted denoisers on disk: one safetensors file with a card (JSON) in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.files import write_atomically

FORMAT = "mpikit-model"
VERSION = 1


@dataclass(frozen=True)
class Card:
    """What a model file says about itself.

    Parameters
    ----------
    method : str
        Name of the denoiser.
    distribution : str
        Distribution that offers it.
    options : mapping
        Options it was built with, ready for JSON.
    history : mapping
        How it was fitted, see `mpikit.provenance.run_record`.
    cite : tuple of str
        DOIs.
    """

    method: str
    distribution: str
    options: Mapping[str, Any]
    history: Mapping[str, Any] = field(default_factory=dict)
    cite: tuple[str, ...] = ()


def save_model(path: Path, card: Card, state: Mapping[str, NDArray[Any]], *, overwrite: bool = False) -> None:
    """Write a fitted method; the file is complete or absent.

    Parameters
    ----------
    path : Path
    card : Card
    state : mapping of str to array
        What `Method.state` returned.
    overwrite : bool
        Replace a file of this name.

    Raises
    ------
    InputError
        When the file exists and may not be overwritten, or cannot be written.
    """
    from safetensors.numpy import save

    header = {"format": FORMAT, "format_version": str(VERSION), "card": json.dumps(asdict(card))}
    tensors = {name: np.asarray(value, order="C") for name, value in state.items()}
    write_atomically(path, save(tensors, metadata=header), overwrite=overwrite)


def load_model(path: Path) -> tuple[Card, dict[str, NDArray[Any]]]:
    """Read a fitted method.

    Parameters
    ----------
    path : Path

    Returns
    -------
    card : Card
    state : dict of str to array

    Raises
    ------
    InputError
        When the file is missing, damaged, no model of mpikit, or of a newer format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise InputError(f"{path.name} is no model file of mpikit")
            _check_version(path, header)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, TypeError, AttributeError) as error:  # the last two: no dtype of NumPy
        raise InputError(
            f"{path.name} cannot be read as a model file: {error}",
            hint="a model file is made by --save-model",
        ) from error
    return _read_card(path, header), state


def _check_version(path: Path, header: Mapping[str, str]) -> None:
    if header.get("format_version") != str(VERSION):
        raise InputError(
            f"{path.name} has model format {header.get('format_version')!r}, this mpikit reads {VERSION!r}",
            hint="update mpikit",
        )


def _read_card(path: Path, header: Mapping[str, str]) -> Card:
    try:
        raw = json.loads(header["card"])
        card = Card(**{**raw, "cite": tuple(raw.get("cite", ()))})
        _check_card(card)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the card of model file {path.name} is damaged: {error}") from error
    return card


def _check_card(card: Card) -> None:
    words = (card.method, card.distribution, *card.cite)
    if not all(isinstance(word, str) for word in words):
        raise TypeError("method, distribution and citations must be texts")
    if not all(isinstance(table, dict) for table in (card.options, card.history)):
        raise TypeError("options and history must be tables")
