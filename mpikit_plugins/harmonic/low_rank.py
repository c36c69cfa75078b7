"""``low-rank``: principal components of all lines and receive channels together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import Field

from mpikit import Finding, Run, Scan, Warned
from mpikit.signal import CleanSignals, LowRankFilter, fit_low_rank
from mpikit_plugins.harmonic.lines import LineMethod
from mpikit_plugins.harmonic.options import LineOptions


class LowRankOptions(LineOptions):
    """Options of the low-rank filter."""

    shrinkage: Literal["optimal", "edge"] = Field(
        "optimal",
        description="Power of a component above the Marchenko-Pastur edge: by the spiked covariance model, "
        "or its eigenvalue less the noise",
    )


class LowRank(LineMethod[LowRankOptions, LowRankFilter]):
    """Keep the directions in which the signals of the fit differ from noise, each by its share of signal."""

    name = "low-rank"

    def learn(self, clean: CleanSignals, scans: Sequence[Scan], *, run: Run) -> LowRankFilter:  # noqa: ARG002
        """Learn the directions and their gains."""
        found = fit_low_rank(clean.means, clean.noise, shrinkage=self.options.shrinkage)
        run.tell(describe_rank(found))
        return found

    def restored(self, state: Mapping[str, NDArray[Any]]) -> LowRankFilter:
        """Take the filter back."""
        return LowRankFilter.restore(state)


def describe_rank(found: LowRankFilter) -> Finding | Warned:
    """Say in words how many directions pass."""
    if found.rank == 0:
        return Warned("no direction stands out of the noise: nothing is left of the signal")
    return Finding("rank", found.rank, f"directions that hold signal: {found.rank} of {len(found.left)}")
