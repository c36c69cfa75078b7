"""The experiments by name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from mpikit.errors import UsageError
from mpikit.experiments.experiment import Experiment
from mpikit.options import did_you_mean

ALL = "all"


@cache
def experiments() -> dict[str, Experiment]:
    """Return all experiments by name, in the order of their papers."""
    from mpikit.experiments import dahms_figures as dahms
    from mpikit.experiments import peng_figures, peng_tables

    return {
        each.name: each
        for each in (
            peng_tables.TABLE2,
            peng_tables.TABLE3,
            peng_tables.TABLE4,
            peng_figures.FIGURE3,
            peng_figures.FIGURE4,
            dahms.FIGURE1,
            dahms.FIGURE2,
            dahms.FIGURE3,
        )
    }


def find_experiments(names: Sequence[str]) -> list[Experiment]:
    """Return experiments by name, each once; ``"all"`` is all of them.

    Raises
    ------
    UsageError
        When there is none of a name; the hint has the nearest one.
    """
    known = experiments()
    for name in names:
        if name not in known and name != ALL:
            listing = f"there are {', '.join(known)} and {ALL}"
            raise UsageError(
                f"no experiment is called {name!r}",
                hint=f"{did_you_mean(name, (*known, ALL))} {listing}".strip(),
            )
    if not names:
        raise UsageError("no experiment is named", hint=f"there are {', '.join(known)} and {ALL}")
    return [each for name, each in known.items() if name in names or ALL in names]
