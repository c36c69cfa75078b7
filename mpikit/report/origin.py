"""How a file was made: its history with all options, the scores of a denoising, and what to cite."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mpikit.errors import MpikitError
from mpikit.plugins import registry
from mpikit.report.blocks import Block, Details, Links, Options, Section, Table, Words

Record = Mapping[str, Any]
History = Sequence[Record]

LONGEST = 60  # letters of a value in a list of options
_NOT_OPTIONS = {"row_list", "packages", "table"}  # too long to be read; the history as it is has them


def history_sections(history: History) -> list[Section]:
    """Return the sections on how a file was made; none for a file without a history.

    Parameters
    ----------
    history : sequence of mapping
        See `mpikit.provenance.read_history`. It is a stranger's text: nothing in it is taken for granted.
    """
    if not history:
        return []
    sections = [section for record in history if (section := _scores(record)) is not None]
    blocks: list[Block] = []
    for record in history:
        blocks += _step(record)
    whole = json.dumps(list(history), indent=1, ensure_ascii=False)
    return [
        *sections,
        Section("Options and history", [*blocks, Details("the history as it is (JSON)", whole)]),
    ]


def _step(record: Record) -> list[Block]:
    when, version = _text(record.get("at")), _text(record.get("mpikit"))
    title = f"mpikit {_text(record.get('command')) or '?'}"
    inputs = record.get("inputs")
    names = ", ".join(map(str, inputs)) if isinstance(inputs, Mapping) and inputs else "no file"
    seed = record.get("seed")
    said = f"{title}, {when or 'time unknown'}, version {version or '?'}, from {names}"
    words = Words(said + (f", seed {seed}" if isinstance(seed, int) else ""))
    options = record.get("options")
    if not isinstance(options, Mapping):
        return [words]
    rows = [(str(name), shortly(value)) for name, value in options.items() if name not in _NOT_OPTIONS]
    return [words, Options(rows)] if rows else [words]


def shortly(value: Any) -> str:
    """Return a value of a history as a short text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = {"null": "not set", "true": "yes", "false": "no"}.get(text, text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _scores(record: Record) -> Section | None:
    """Return the scores that a denoising kept, if there are any."""
    scores = record.get("scores")
    if not isinstance(scores, list):
        return None
    rows = [
        (
            _text(each.get("method")) or "?",
            _decibels(each.get("snr_db"), bound=each.get("is_lower_bound") is True),
            shortly(each.get("periods_used")),
        )
        for each in scores
        if isinstance(each, dict)
    ]
    if not rows:
        return None
    about = Words(
        "Estimated without clean data, by repeats that the method did not see, when the file was denoised. "
        "“Noisy” is the signal before; the other methods are simple ones on the same data."
    )
    return Section("Scores", [Table(("method", "SNR / dB", "periods used"), rows, right=(1, 2)), about])


def pools(history: History) -> bool:
    """Say whether the last denoising of a history made each period of several, as far as its scores tell."""
    records = [record for record in history if record.get("command") == "denoise"]
    options, scores = (records[-1].get(name) if records else None for name in ("options", "scores"))
    if not isinstance(options, Mapping) or not isinstance(scores, list):
        return False
    used = [
        each.get("periods_used")
        for each in scores
        if isinstance(each, dict) and each.get("method") == options.get("method")
    ]
    return any(isinstance(each, int) and each > 1 for each in used)


def _decibels(value: Any, *, bound: bool) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "not known"
    try:
        return f"{'> ' if bound else ''}{value:.1f}"
    except OverflowError:  # whole numbers of JSON have any length
        return "not known"


def citation_section(histories: Sequence[History], also: Sequence[str] = ()) -> Section:
    """Say how to cite mpikit and the methods that made the files.

    Parameters
    ----------
    histories : sequence of sequence of mapping
    also : sequence of str
        DOIs that a file names itself.
    """
    from importlib.metadata import version

    links = [(f"https://doi.org/{doi}", name) for name, dois in _methods(histories).items() for doi in dois]
    links += [(f"https://doi.org/{doi}", "the model") for doi in also]
    blocks: list[Block] = [
        Words(
            f"mpikit {version('mpikit')}: denoising and reconstruction of Magnetic Particle Imaging data, in "
            "Python. mpikit --cite has the papers that it began with."
        )
    ]
    unique = list(dict.fromkeys(links))
    if unique:
        blocks += [Words("The methods that made these files:"), Links(unique)]
    return Section("How to cite", blocks)


def _methods(histories: Sequence[History]) -> dict[str, tuple[str, ...]]:
    """Return the DOIs of the denoisers and noise models that the histories name, by their names."""
    found: dict[str, tuple[str, ...]] = {}
    for record in (record for history in histories for record in history):
        options = record.get("options")
        if not isinstance(options, Mapping):
            continue
        command, method, noise = record.get("command"), options.get("method"), options.get("noise")
        if command in ("denoise", "train") and isinstance(method, str):
            found[method] = _cited(method, denoiser=True)
        for each in noise if isinstance(noise, list) else ():
            name = _text(each).partition(":")[0]
            if name:
                found[name] = _cited(name, denoiser=False)
    return {name: dois for name, dois in found.items() if dois}


def _cited(name: str, *, denoiser: bool) -> tuple[str, ...]:
    """Return the DOIs of a method, none for one that is not installed here."""
    try:
        if denoiser:
            return registry().denoiser(name).record.cite
        return registry().noise_model(name).record.cite
    except MpikitError:
        return ()
