"""Fitted denoisers on disk: one safetensors file with a card (JSON) in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.errors import InputError
from mpikit.files import write_atomically
from mpikit.plugins import Offer
from mpikit.provenance import sha256
from mpikit.records import Denoiser
from mpikit.scan import Scan
from mpikit.signal import noise_statistics
from mpikit.tensor_bytes import tensor_bytes

FORMAT = "mpikit-model"
VERSION = 1
OTHER_NOISE = 2  # times the noise of the scans that a model was fitted to, or that part of it


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
    signal : mapping
        What it was fitted to, see `signal_card`; empty when the file does not say.
    noise : mapping
        Noise that was found there, see `noise_card`.
    cleared_first : bool
        The method is given scans without their background, which it does not subtract itself.
    """

    method: str
    distribution: str
    options: Mapping[str, Any]
    history: Mapping[str, Any] = field(default_factory=dict)
    cite: tuple[str, ...] = ()
    signal: Mapping[str, Any] = field(default_factory=dict)
    noise: Mapping[str, Any] = field(default_factory=dict)
    cleared_first: bool = False


def signal_card(scan: Scan) -> dict[str, Any]:
    """Return what a fitted method is bound to: channels, samples, sampling rate in Hz and unit."""
    channels, samples = scan.signal.shape[2:]
    return {
        "channels": channels,
        "samples": samples,
        "sampling_rate": float(scan.sampling_rate),
        "unit": scan.unit,
    }


def noise_card(scans: Sequence[Scan]) -> dict[str, Any]:
    """Return the noise of some scans: rms of a sample of each channel (C,), unit, and what it comes from."""
    found = [noise_statistics(scan) for scan in scans]
    sigma = np.sqrt(np.mean([each.sigma**2 for each in found], axis=0))
    return {
        "sigma": sigma.tolist(),
        "unit": scans[0].unit,
        "sources": sorted({each.source for each in found}),
    }


def fitted_card(
    offer: Offer[Denoiser],
    options: BaseModel,
    history: Mapping[str, Any],
    scans: Sequence[Scan],
    *,
    cleared_first: bool = False,
) -> Card:
    """Return the card of a method that was fitted to some scans.

    Parameters
    ----------
    offer : Offer of Denoiser
    options : pydantic.BaseModel
    history : mapping
        See `mpikit.provenance.run_record`.
    scans : sequence of Scan
        All of one sequence.
    cleared_first : bool
        As in `Card`.
    """
    return Card(
        offer.record.name,
        offer.distribution,
        options.model_dump(mode="json"),
        history,
        offer.record.cite,
        signal_card(scans[0]),
        noise_card(scans),
        cleared_first,
    )


def check_model_fits(card: Card, model: Path, scan: Scan) -> str | None:
    """Refuse a scan that a model cannot be applied to, before any work.

    Parameters
    ----------
    card : Card
    model : Path
        Its file, for the message.
    scan : Scan

    Returns
    -------
    str or None
        What is worth a warning: another sampling rate or unit, or noise that is far stronger or weaker.

    Raises
    ------
    InputError
        When channels or samples of a period differ.
    """
    wanted, found = card.signal, signal_card(scan)
    if not wanted:
        return None
    if (wanted.get("channels"), wanted.get("samples")) != (found["channels"], found["samples"]):
        raise InputError(
            f"{scan.name} has {found['channels']} receive channels and {found['samples']} samples in a "
            f"period, {model.name} was fitted to {wanted.get('channels')} and {wanted.get('samples')}",
            hint="fit the method on this scan: leave --model out, or mpikit train on scans like it",
        )
    differs = [name for name in ("sampling_rate", "unit") if wanted.get(name) != found[name]]
    if not differs:
        return _other_noise(card, model, scan)
    name = differs[0]
    what = name.replace("_", " ")
    return f"{scan.name} has the {what} {found[name]}, {model.name} was fitted to {wanted.get(name)}"


def _other_noise(card: Card, model: Path, scan: Scan) -> str | None:
    """Say that the noise of a scan is not that which a model was fitted to; the channel that differs most."""
    before = card.noise.get("sigma")
    if not isinstance(before, list) or not all(isinstance(each, float) for each in before):
        return None
    if not (np.isfinite(scan.signal).all() and np.isfinite(scan.background).all()):
        return None  # it is refused for that
    now = noise_statistics(scan).sigma.tolist()
    pairs = [(one, other) for one, other in zip(before, now, strict=False) if one > 0 and other > 0]
    known = [ratio for ratio in (other / one for one, other in pairs) if 0 < ratio < np.inf]
    ratio = max(known, key=lambda each: max(each, 1 / each), default=1.0)
    if max(ratio, 1 / ratio) <= OTHER_NOISE:
        return None
    mistake = "noise for signal" if ratio > 1 else "signal for noise"
    return (
        f"the noise of {scan.name} is {ratio:.2g} times that of the scans that {model.name} was fitted to, "
        f"so that it may take {mistake}; a model fitted to scans like this one may do better"
    )


def has_seen(card: Card, source: Path, scan: Scan, *, learned: bool) -> str:
    """Say why a model cannot be judged by a file that it was fitted to, or nothing.

    A learned method was fitted to a part alone, and the same part is held out again. What is held out depends
    on the repeats: with others the model has learnt from it. Other methods were fitted to all of the file.

    Parameters
    ----------
    card : Card
    source : Path
        The file.
    scan : Scan
        Read from it.
    learned : bool
        Of the record of the method.
    """
    inputs, options = card.history.get("inputs"), card.history.get("options")
    if not isinstance(inputs, dict) or not isinstance(options, dict):
        return ""
    hashes, said = list(inputs.values()), options.get("repeats")
    found = sha256(source)
    if found not in hashes:
        return ""
    if not learned:
        return "the model was fitted to all of this file, so that nothing is left to judge by"
    each = said if isinstance(said, list) else [said]
    place = hashes.index(found)
    before = each[place] if place < len(each) else None
    if before in (None, scan.repeats):
        return ""
    words = f"the model was fitted to this file with the repeats {before!r}"
    return f"{words}, so that it has seen what would judge"


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
    header = {"format": FORMAT, "format_version": str(VERSION), "card": json.dumps(asdict(card))}
    write_atomically(path, tensor_bytes(state, header), overwrite=overwrite)


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
        When the file is missing, damaged, no model of mpikit, of a newer format, or has values that are no
        numbers.
    """
    from safetensors import SafetensorError, safe_open

    called = path.name or str(path)
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise InputError(
                    f"{called} is no model file of mpikit",
                    hint="a model file is made by mpikit train, or by --save-model",
                )
            _check_version(path, header)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, TypeError, AttributeError) as error:  # the last two: no dtype of NumPy
        raise InputError(
            f"{called} cannot be read as a model file: {error}",
            hint="a model file is made by mpikit train, or by --save-model",
        ) from error
    floats = {name: value for name, value in state.items() if value.dtype.kind in "fc"}
    wrong = [name for name, value in floats.items() if not np.isfinite(value).all()]
    if wrong:
        raise InputError(
            f"{called} holds values in {wrong[0]!r} that are no numbers", hint="make the model again"
        )
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
        raise InputError(
            f"the card of model file {path.name} is damaged: {error}", hint="make the model again"
        ) from error
    return card


def _check_card(card: Card) -> None:
    words = (card.method, card.distribution, *card.cite)
    if not all(isinstance(word, str) for word in words):
        raise TypeError("method, distribution and citations must be texts")
    if not all(isinstance(table, dict) for table in (card.options, card.history, card.signal, card.noise)):
        raise TypeError("options, history, signal and noise must be tables")
    if not isinstance(card.cleared_first, bool):
        raise TypeError("cleared_first must be true or false")
