"""One row from several: a method that was tried on one part of a scan after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mpikit.compare.result import Comparison, Row
from mpikit.judging import Score, join
from mpikit.metrics import Losses


def row_of(method: str, comparison: Comparison) -> Row | None:
    """Return the row of a method, or None."""
    return next((row for row in comparison.rows if row.method == method), None)


def joined(row: Row, others: Sequence[Row | None]) -> Row:
    """Join the losses and the score of a row with those of further turns, up to the first that it lacks.

    Losses are compared turn by turn, so that none may be left out in between.
    """
    turns_of_it = [row]
    for other in others:
        if other is None or other.score is None or turns_of_it[-1].score is None:
            break
        turns_of_it.append(other)
    scores = [(each.score, each.periods) for each in turns_of_it if each.score is not None]
    losses = tuple(found for each in turns_of_it for found in each.losses)
    return replace(row, losses=losses, score=_score(scores, losses) if scores else None)


def _score(scores: Sequence[tuple[Score, int]], losses: Sequence[Losses]) -> Score:
    joined = join(scores)
    share = losses[0].in_common if losses else 0.0
    if not share:
        return joined
    # the noise of the scan itself is in all splits of it
    variance = float(np.mean([score.figures.uncertainty**2 for score, _ in scores]))
    uncertainty = float(np.sqrt(variance * (share + (1 - share) / len(scores))))
    return replace(joined, figures=replace(joined.figures, uncertainty=uncertainty))
