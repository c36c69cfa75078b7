"""``harmonic``: the lines that stand out of the noise, projected on the symmetry of the scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mpikit import Run, Scan
from mpikit.signal import HarmonicFilter, fit_harmonic_filter
from mpikit_plugins.background import clear
from mpikit_plugins.harmonic.lines import describe, not_fitted
from mpikit_plugins.harmonic.options import SymmetryOptions


class HarmonicOptions(SymmetryOptions):
    """Options of the harmonic filter."""

    band: int = Field(
        0,
        ge=0,
        description="Keep also the lines that are so many steps from one that stands out of the noise",
    )


class Harmonic:
    """Keep the drive-field harmonics that stand out of the noise, projected on the symmetry of the scan."""

    def __init__(self, options: HarmonicOptions) -> None:
        self.options = options
        self.filter: HarmonicFilter | None = None

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Find the lines and their phases."""
        options = self.options
        self.filter = fit_harmonic_filter(
            [clear(scan, options) for scan in scans],
            false_alarm=options.false_alarm,
            symmetry=options.symmetry,
            band=options.band,
        )
        run.tell(describe(self.filter, band=options.band))

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the filtered foreground, shape (N, J, C, V)."""
        if self.filter is None:
            raise not_fitted("harmonic")
        return self.filter(clear(scan, self.options).signal)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return lines and phases."""
        return {} if self.filter is None else self.filter.state()

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back lines and phases."""
        self.filter = HarmonicFilter.restore(state) if state else None
