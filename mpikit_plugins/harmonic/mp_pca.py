"""``mp-pca``: frames and lines as one matrix of low rank, for time series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mpikit import Run, Scan
from mpikit.signal import LineCoefficients, fit_line_coefficients, shrink_matrix
from mpikit_plugins.background import clear
from mpikit_plugins.harmonic.lines import describe, not_fitted
from mpikit_plugins.harmonic.options import LineOptions, symmetry_missing


class SeriesOptions(LineOptions):
    """Options of the low-rank time series."""

    noise: Literal["measured", "tail"] = Field(
        "measured",
        description="Level of the noise: that of repeats or background frames, or what the smallest singular "
        "values say",
    )


class SeriesOfLowRank:
    """Shrink the singular values of the matrix of frames and whitened line coefficients."""

    def __init__(self, options: SeriesOptions) -> None:
        self.options = options
        self.lines: LineCoefficients | None = None

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Find the lines and their noise."""
        options = self.options
        self.lines, _ = fit_line_coefficients(
            [clear(scan, options) for scan in scans],
            false_alarm=options.false_alarm,
            symmetry=options.symmetry,
            band=options.band,
        )
        run.tell(describe(self.lines.harmonic, band=options.band))

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the foreground, shape (N, J, C, V), each period with the help of all."""
        if self.lines is None:
            raise not_fitted("mp-pca")
        coefficients = self.lines.forward(clear(scan, self.options).signal)
        frames, periods, count = coefficients.shape
        # periods that repeat are rows; others, as patches, stand side by side and share a time course
        in_time = frames == 1 or scan.repeats in ("periods", "both")
        rows = frames * periods if in_time else frames
        noise = 1.0 if self.options.noise == "measured" else None
        if rows > 1 and count:
            found, _ = shrink_matrix(coefficients.reshape(rows, -1), noise)
            coefficients = found.reshape(coefficients.shape)
        return self.lines.back(coefficients)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the lines."""
        return {} if self.lines is None else self.lines.state()

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back the lines."""
        self.lines = LineCoefficients.restore(state) if state else None


def missing(scan: Scan, options: Any) -> str | None:
    """Say that a single period is no time series."""
    if scan.signal.shape[0] * scan.signal.shape[1] < 2:
        return "more than one frame or period"
    return symmetry_missing(scan, options)
