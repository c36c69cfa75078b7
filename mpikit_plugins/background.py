"""What every shipped method does about the empty-scanner signal."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mpikit import Options, Scan
from mpikit.signal import subtract_background


class BackgroundOptions(Options):
    """Base of the options of a method that may subtract the background first."""

    background: Literal["subtract", "keep"] = Field(
        "subtract", description="Subtract the background frames, interpolated in time, before anything else"
    )


def clear(scan: Scan, options: BackgroundOptions) -> Scan:
    """Return the scan without background, if the options say so."""
    return subtract_background(scan) if options.background == "subtract" else scan


def removes_background(scan: Scan, options: Any) -> bool:
    """Say whether the output is free of the empty-scanner signal."""
    return scan.corrections.background or (options.background == "subtract" and len(scan.background) > 0)
