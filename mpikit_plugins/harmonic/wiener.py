"""``wiener``: a gain for each line, from its power in noisy data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from mpikit import Run, Scan
from mpikit.signal import CleanSignals, LineGains, fit_line_gains
from mpikit_plugins.harmonic.lines import LineMethod
from mpikit_plugins.harmonic.options import LineOptions


class Wiener(LineMethod[LineOptions, LineGains]):
    """Weight each line, projected on the symmetry of the scan, by its share of signal."""

    name = "wiener"

    def learn(self, clean: CleanSignals, scans: Sequence[Scan], *, run: Run) -> LineGains:  # noqa: ARG002
        """Learn a gain for each coefficient."""
        return fit_line_gains(clean.means, clean.noise)

    def restored(self, state: Mapping[str, NDArray[Any]]) -> LineGains:
        """Take the gains back."""
        return LineGains.restore(state)
