"""Check a file against the standard: everything that is wrong, in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from mdf.rules import follow
from mdf.rules.content import DAMAGE, Content
from mdf.rules.problem import Problem, error

__all__ = ["Problem", "validate"]

_MOST_ALIKE = 50  # problems of one rule and severity that are listed
_SEVERITIES = ("error", "warning", "note")


def validate(path: str | Path, *, isolated: bool = False) -> list[Problem]:
    """Check a file against MDF 2.1.0, all rules in one pass; a bad file never raises.

    Values are taken as they are stored, nothing is repaired. Large data are sampled. Links to other files
    and values in other files are not followed.

    Parameters
    ----------
    path : str or Path
    isolated : bool
        Work in a process of its own, with limits on time and memory: HDF5 itself can crash or run forever on
        a file made to harm. Such an end is a problem of rule F01.

    Returns
    -------
    list of Problem
        Errors first. The file is valid if it has neither errors nor warnings.

    Examples
    --------
    >>> [problem.rule for problem in validate("no-such-file.mdf")]
    ['F01']
    """
    if isolated:
        from mdf.isolation import Isolation

        with Isolation() as child:
            return child.validate(path)
    return _sorted(_check(Path(path)))


def _check(path: Path) -> Iterable[Problem]:
    try:
        if not path.is_file():
            there = "not a file" if path.exists() else "there is no such file"
            return [error("F01", "/", there)]
        hdf = h5py.File(path, "r")
    except DAMAGE as trouble:
        return [error("F01", "/", f"cannot be read as HDF5: {trouble}")]
    with hdf, np.errstate(all="ignore"):
        content = Content(hdf)
        found = list(follow(content))
        return [*content.problems, *found]


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    """Put errors first, and cut what is said over and over."""
    counts: Counter[tuple[str, str]] = Counter()
    kept = []
    for problem in dict.fromkeys(problems):
        counts[problem.rule, problem.severity] += 1
        if counts[problem.rule, problem.severity] <= _MOST_ALIKE:
            kept.append(problem)
    for (rule, severity), count in counts.items():
        if count > _MOST_ALIKE:
            text = f"{count - _MOST_ALIKE} more of this kind"
            kept.append(Problem(rule, severity, "/", "", "", text))  # type: ignore[arg-type]
    return sorted(kept, key=lambda problem: _SEVERITIES.index(problem.severity))
