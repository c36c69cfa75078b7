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
    from mpikit.experiments.peng_figures import FIGURE3, FIGURE4
    from mpikit.experiments.peng_tables import TABLE2, TABLE3, TABLE4

    return {each.name: each for each in (TABLE2, TABLE3, TABLE4, FIGURE3, FIGURE4)}


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
