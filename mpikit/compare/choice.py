"""The rule by which `auto` chooses: the simplest of those that nothing is clearly better than."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpikit.compare.result import Row, Skipped
from mpikit.judging import Score
from mpikit.metrics import excess

AUTO = "auto"
# From the simplest on; other methods come after these, and learned ones after all.
SIMPLICITY = (
    "unchanged",
    "background-subtraction",
    "symmetry",
    "harmonic",
    "wiener",
    "savgol",
    "wavelet",
    "low-rank",
    "mp-pca",
    "harmonic-n2n",
    "sure",
)
CLOSE = 1.0  # standard errors from the best within which the simplest is taken
SURE = 2.0  # standard errors by which a method has to be better than the signal as it is


@dataclass(frozen=True)
class Verdict:
    """What became of one candidate.

    Parameters
    ----------
    method : str
    options : dict
        Ready for JSON.
    distribution : str
    score : Score or None
        Reference-free.
    behind, behind_error : float or None, unit squared
        Error in excess of that of the best, paired, and its standard error.
    verdict : str
        In words.
    """

    method: str
    options: dict[str, Any]
    distribution: str
    score: Score | None
    behind: float | None
    behind_error: float | None
    verdict: str

    def as_json(self) -> dict[str, Any]:
        """Return the verdict, ready for JSON."""
        figures = self.score.figures if self.score else None
        snr = figures.snr_db if figures and np.isfinite(figures.snr_db) else None
        return {
            "method": self.method,
            "distribution": self.distribution,
            "options": self.options,
            "snr_db": snr,
            "is_lower_bound": figures.is_bound if figures else None,
            "mean_squared_error": figures.error if figures else None,
            "standard_error": figures.uncertainty if figures else None,
            "behind_best": self.behind,
            "behind_best_error": self.behind_error,
            "verdict": self.verdict,
        }


def simplest(
    rows: Sequence[Row], skipped: Sequence[Skipped], *, rounding: float = 0.0
) -> tuple[Row, str, tuple[Verdict, ...]]:
    """Choose a row: the simplest whose error is within one standard error of the smallest.

    The standard error is that of the paired difference. Only methods count whose error is smaller than that
    of the signal as it is by more than two standard errors; without any, it is left as it is. A
    candidate that is no better passes by a chance of 2 %; of ten such with independent errors one does in a
    fifth of all cases, and then it is hardly worse than the noisy input. The error of the best of many is a
    little too small. Of methods of one rank
    the one with the smaller error is taken. A method that was judged on fewer parts than the others competes
    with the best of these on the parts that both have: the error differs from part to part.

    Parameters
    ----------
    rows : sequence of Row
        The signal as it is first. Those without losses, which failed or could not be judged, are not chosen.
    skipped : sequence of Skipped
        What the scan does not allow, for the verdicts.
    rounding : float, unit squared
        Differences that are none.

    Returns
    -------
    row : Row
    why : str
    verdicts : tuple of Verdict
        Best first.
    """
    able = [place for place, row in enumerate(rows) if row.losses]
    better = [place for place in able[1:] if _is_better(rows[place], rows[0], rounding)]
    errors = _excesses(rows, able)
    best = min(better or [0], key=lambda place: errors[place])
    behind = {place: _behind(rows[place], rows[best]) for place in able}
    close = [place for place in better if behind[place][0] <= CLOSE * behind[place][1] + rounding]
    chosen = min(close or [0], key=lambda place: (*rank(rows[place]), errors[place]))
    verdicts = []
    most = max(len(row.losses) for row in rows)
    for place in sorted(able, key=lambda place: errors[place]):
        words = _words(place, chosen=chosen, best=best, close=close, better=better)
        parts = len(rows[place].losses)
        words += f", judged on {parts} of {most} parts" if parts < most else ""
        verdicts.append(_verdict(rows[place], words, *behind[place]))
    for place, row in enumerate(rows):
        if place not in able:
            verdicts.append(_verdict(row, f"failed: {row.error}" if row.error else "could not be judged"))
    verdicts += [Verdict(each.method, {}, "", None, None, None, f"lacks {each.lacks}") for each in skipped]
    return rows[chosen], _why(rows, chosen, best, len(able)), tuple(verdicts)


def rank(row: Row) -> tuple[bool, int]:
    """Sort methods from simple to complex: see `SIMPLICITY`."""
    learned = row.offer is not None and row.offer.record.learned
    return learned, SIMPLICITY.index(row.method) if row.method in SIMPLICITY else len(SIMPLICITY)


def _excesses(rows: Sequence[Row], able: Sequence[int]) -> dict[int, float]:
    """Return the errors in excess of one row: the best of those that were judged on all parts."""
    whole = [place for place in able if len(rows[place].losses) == len(rows[0].losses)]
    first = min(whole, key=lambda place: _behind(rows[place], rows[0])[0])
    return {place: _behind(rows[place], rows[first])[0] for place in able}


def _loss(row: Row, parts: int) -> float:
    return float(np.mean([each.loss for each in row.losses[:parts]]))


def _behind(row: Row, other: Row) -> tuple[float, float]:
    """Return how much larger the error is, and the standard error of that, on the parts that both have."""
    if row.losses[0].is_paired_with(other.losses[0]):
        return excess(row.losses, other.losses)
    # a method that pools is judged on fewer repeats: the two errors are taken to be independent
    errors = [each.score.figures.uncertainty for each in (row, other) if each.score is not None]
    parts = min(len(row.losses), len(other.losses))
    return _loss(row, parts) - _loss(other, parts), float(np.linalg.norm(errors))


def _is_better(row: Row, unchanged: Row, rounding: float) -> bool:
    difference, error = _behind(row, unchanged)
    return difference < -SURE * error - rounding


def _words(place: int, *, chosen: int, best: int, close: list[int], better: list[int]) -> str:
    words = []
    if place == best and place in better:
        words.append("the best")
    elif place in close:
        words.append("within one standard error of the best")
    elif place in better:
        words.append("behind the best")
    elif place:
        words.append("not clearly better than the signal as it is")
    if place == chosen:
        words.insert(0, "chosen")
    return ", ".join(words)


def _why(rows: Sequence[Row], chosen: int, best: int, judged: int) -> str:
    if chosen == 0:
        return "no candidate is better than the signal as it is by two standard errors"
    if chosen == best:
        return f"the best of {judged}, and none that is simpler is within one standard error of it"
    return f"the simplest of {judged} within one standard error of the best, {rows[best].method}"


def _verdict(row: Row, words: str, behind: float | None = None, error: float | None = None) -> Verdict:
    distribution = row.offer.distribution if row.offer else ""
    options = row.options.model_dump(mode="json")
    return Verdict(row.method, options, distribution, row.score, behind, error, words)


def as_lines(verdicts: Sequence[Verdict], noisy: Score | None) -> list[str]:
    """Return the verdicts as a table for people, one line each; errors in percent of the noisy signal's.

    They are errors rather than SNRs: that of the best is often lost in its doubt, and a lower bound beside
    figures that are none puts the rows in another order than the choice.
    """
    unit = max(noisy.figures.error, 0.0) if noisy else 0.0
    heads = ("candidate", "error", "behind the best", "verdict")
    rows = [heads, *(_cells(each, unit) for each in verdicts)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join((*map(str.ljust, row[:3], widths), row[3])).rstrip() for row in rows]


def _cells(verdict: Verdict, unit: float) -> tuple[str, str, str, str]:
    error = behind = ""
    if verdict.score is not None:
        error = _percent(verdict.score.figures.error, verdict.score.figures.uncertainty, unit)
    if verdict.behind is not None and verdict.behind_error is not None:
        behind = _percent(verdict.behind, verdict.behind_error, unit)
    return verdict.method, error, behind, verdict.verdict


def _percent(value: float, doubt: float, unit: float) -> str:
    return f"{100 * value / unit:.3g} ± {100 * doubt / unit:.2g} %" if unit else ""
