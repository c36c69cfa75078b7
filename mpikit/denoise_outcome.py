"""What became of one of several files that were denoised, and which outputs of before are still right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mdf
from mpikit.denoise_file import DenoisedFile
from mpikit.denoise_job import Chosen, Request
from mpikit.errors import InputError, MpikitError
from mpikit.provenance import hashes
from mpikit.scan_set import file_history
from mpikit.scoring import score_table, snr_words


@dataclass(frozen=True)
class Outcome:
    """What became of one of several files; small enough to be kept for thousands.

    Parameters
    ----------
    source : Path
    output : Path or None
        None when it failed.
    kept : bool
        The output was there already, made in the same way.
    scores : tuple of dict
        See `mpikit.scoring.score_table`.
    no_score : str
        Why there are none, in words.
    auto : dict or None
        What ``auto`` chose, and why.
    before, after : str
        The SNR before and after, in words; empty when it is not known.
    cite : tuple of str
        DOIs of the method.
    error, hint : str
        What went wrong, and what to do about it.
    """

    source: Path
    output: Path | None = None
    kept: bool = False
    scores: tuple[dict[str, Any], ...] = ()
    no_score: str = ""
    auto: dict[str, Any] | None = None
    before: str = ""
    after: str = ""
    cite: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the outcome, ready for JSON."""
        return {
            "source": str(self.source),
            "output": None if self.output is None else str(self.output),
            "kept": self.kept,
            "auto": self.auto,
            "scores": list(self.scores),
            "no_score": self.no_score or None,
            "error": self.error or None,
            "hint": self.hint or None,
        }

    @classmethod
    def of(cls, source: Path, done: DenoisedFile) -> Outcome:
        """Return the outcome of a file that was denoised, without its signals."""
        result = done.result
        before, after = (snr_words(score) if score else "" for score in (result.before, result.after))
        return cls(
            source,
            done.path,
            scores=tuple(score_table(result)),
            no_score=result.no_score,
            auto=done.choice.as_json() if done.choice else None,
            before=before,
            after=after,
            cite=done.cite,
        )

    @classmethod
    def failed(cls, source: Path, error: MpikitError | mdf.MdfError) -> Outcome:
        """Return the outcome of a file that could not be denoised."""
        return cls(source, error=str(error), hint=error.hint)


def made_before(source: Path, output: Path, request: Request, chosen: Chosen) -> Outcome | None:
    """Return what became of a file in a run before, if the same was asked for.

    That is the same method with the same options, repeats, seed and files, by their hashes.

    Parameters
    ----------
    source, output : Path
    request : Request
    chosen : Chosen
        See `mpikit.denoise_job.choose_method`.

    Returns
    -------
    Outcome or None
        None when there is no output.

    Raises
    ------
    InputError
        When there is one that was made in another way, and it may not be replaced.
    mdf.MdfError
        When the source or the output is no MDF file.
    """
    if not output.is_file():
        return None
    record = _last_record(output)
    other = "it was not denoised" if record is None else _difference(record, source, request, chosen)
    if record is not None and not other:
        return _again(source, output, record)
    if request.overwrite:
        return None
    raise InputError(
        f"{output} exists already, and is not what was asked for: {other}",
        hint="add --force to replace it, or name another folder with --output",
    )


def _last_record(output: Path) -> Mapping[str, Any] | None:
    history = file_history(output)
    return history[-1] if history and history[-1].get("command") == "denoise" else None


def _difference(record: Mapping[str, Any], source: Path, request: Request, chosen: Chosen) -> str:
    """Say in words what was asked for otherwise, or nothing."""
    asked = chosen.asked(request.repeats)
    before = record.get("asked")
    if not isinstance(before, dict):
        return "its history does not say enough"
    if before.get("method") != asked["method"]:
        return f"its method is {before.get('method')}"
    if before != asked:
        return f"its options differ ({', '.join(_names_of_others(before, asked))})"
    if record.get("seed") != request.seed:
        return f"its seed is {record.get('seed')}"
    return _changed(record, source, request)


def _changed(record: Mapping[str, Any], source: Path, request: Request) -> str:
    """Say in words which files are others now, or nothing."""
    if _digests(record.get("inputs")) != _digests(hashes(request.inputs(source))):
        return f"{source.name}, or the model, is another file now"
    if _digests(record.get("background_files")) != _digests(hashes(request.background_files)):
        return "its empty measurements are others"
    return ""


def _names_of_others(before: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Return the names of what differs, of options or of candidates and the repeats."""
    found = []
    for key in ("options", "candidates"):
        one, other = ({**(each.get(key) or {})} for each in (before, asked))
        found += [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return [*found, *(["repeats"] if before.get("repeats") != asked["repeats"] else [])]


def _digests(inputs: object) -> list[str]:
    """Return hashes in their order: a file may have another name or folder by now."""
    return [str(digest) for digest in inputs.values()] if isinstance(inputs, dict) else []


def _again(source: Path, output: Path, record: Mapping[str, Any]) -> Outcome:
    scores = tuple(record.get("scores") or ())
    method = record["options"].get("method")
    words = {
        row["method"]: f"{'> ' if row['is_lower_bound'] else ''}{row['snr_db']:.1f} dB"
        for row in scores
        if row["snr_db"] is not None
    }
    return Outcome(
        source,
        output,
        kept=True,
        scores=scores,
        no_score=str(record.get("no_score") or ""),
        auto=record.get("auto"),
        before=words.get("noisy", ""),
        after=words.get(method, ""),
    )
