"""Which lines of the spectrum a method works on."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mpikit import Scan
from mpikit.signal import symmetry_center
from mpikit_plugins.background import BackgroundOptions


class DetectionOptions(BackgroundOptions):
    """Base of the options of a method that looks for lines with signal."""

    false_alarm: float = Field(
        1e-4, gt=0, lt=1, description="Probability with which a line of noise is taken for one of signal"
    )


class SymmetryOptions(DetectionOptions):
    """Base of the options of a method that may project on the symmetry of the scan."""

    symmetry: Literal["fit", "exact", "off"] = Field(
        "fit",
        description="Project on the scan symmetry: with phases that fit the data, for an ideal scan, or not",
    )


class LineOptions(SymmetryOptions):
    """Base of the options of a method that works on the lines that hold signal."""

    band: int = Field(
        2, ge=0, description="Use also the lines that are so many steps from one that stands out of the noise"
    )


def symmetry_missing(scan: Scan, options: Any) -> str | None:
    """Say that a drive field is not retraced, when the symmetry is insisted on."""
    if options.symmetry == "exact" and symmetry_center(scan.drive_field) is None:
        return "a drive field that is retraced, so that the scan has a symmetry"
    return None
