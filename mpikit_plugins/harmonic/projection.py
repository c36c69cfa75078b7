"""``symmetry``: the projection on the symmetry of the scan, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mpikit import Finding, Run, Scan
from mpikit.errors import InputError
from mpikit.signal import (
    HarmonicFilter,
    MeasuredLines,
    Symmetry,
    drive_field_lines,
    find_filter,
    measure_lines,
    symmetry_center,
)
from mpikit_plugins.background import clear
from mpikit_plugins.harmonic.lines import not_fitted
from mpikit_plugins.harmonic.options import DetectionOptions


class ProjectionOptions(DetectionOptions):
    """Options of the projection alone."""

    symmetry: Literal["fit", "exact"] = Field(
        "fit", description="With phases that fit the data, or those of an ideal scan"
    )


@dataclass(frozen=True)
class Projection:
    """The projection of whole periods, and what was found out on the way.

    Parameters
    ----------
    filter : HarmonicFilter
        Keeps all lines of the drive field, or everything without a symmetry.
    detected : shape (C, K)
        Lines that stand out of the noise.
    measured : MeasuredLines
    """

    filter: HarmonicFilter
    detected: NDArray[np.bool_]
    measured: MeasuredLines


def fit_projection(
    scans: Sequence[Scan], *, false_alarm: float, symmetry: Literal["fit", "exact", "off"]
) -> Projection:
    """Fit the symmetry of scans for whole periods.

    A line that does not stand out of the noise has no phase that could be fitted; it is projected as that of
    an ideal scan, which halves its noise. A line that stands out without keeping to one phase is left alone.

    Parameters
    ----------
    scans : sequence of Scan
        Free of background, or the background counts as signal.
    false_alarm, symmetry
        As in `mpikit.signal.fit_harmonic_filter`.
    """
    measured = measure_lines(scans)
    found = find_filter(measured, scans[0], false_alarm=false_alarm, symmetry=symmetry)
    if found.symmetry is None:
        return Projection(replace(found, keep=np.ones_like(found.keep)), found.keep, measured)
    fitted = found.symmetry
    whole = Symmetry(fitted.angle, fitted.holds | ~found.keep, fitted.coherence)
    grid = np.tile(drive_field_lines(scans[0]), (len(found.keep), 1))
    return Projection(HarmonicFilter(grid, whole, found.samples), found.keep, measured)


def describe_symmetry(projection: Projection) -> Finding:
    """Say in words on how many lines with signal the symmetry holds."""
    symmetry, detected = projection.filter.symmetry, projection.detected
    if symmetry is None:
        return Finding("symmetry", None, "no symmetry is used")
    odd, lines = int((symmetry.holds & detected).sum()), int(detected.sum())
    return Finding("symmetry", odd, f"the scan symmetry holds on {odd} of {lines} lines above the noise")


class SymmetryProjection:
    """Remove from each period what no particle can emit."""

    def __init__(self, options: ProjectionOptions) -> None:
        self.options = options
        self.filter: HarmonicFilter | None = None

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Find the turning point in the drive field, and the phases of the lines in the data."""
        cleared = [clear(scan, self.options) for scan in scans]
        found = fit_projection(cleared, false_alarm=self.options.false_alarm, symmetry=self.options.symmetry)
        if found.filter.symmetry is None:
            raise InputError(
                "the drive field is not retraced, so the scan has no symmetry", hint="use another method"
            )
        run.tell(describe_symmetry(found))
        self.filter = found.filter

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the projected foreground, shape (N, J, C, V)."""
        if self.filter is None:
            raise not_fitted("symmetry")
        return self.filter(clear(scan, self.options).signal)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return lines and phases."""
        return {} if self.filter is None else self.filter.state()

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back lines and phases."""
        self.filter = HarmonicFilter.restore(state) if state else None


def missing(scan: Scan, options: Any) -> str | None:  # noqa: ARG001
    """Say that a drive field is not retraced."""
    return None if symmetry_center(scan.drive_field) is not None else "a drive field that is retraced"
