"""What a scan lacks for a method that learns from repeats."""

from __future__ import annotations

from typing import Any

from mpikit import Scan
from mpikit.signal import stack_repeats


def without_repeats(scan: Scan, options: Any) -> str | None:  # noqa: ARG001
    """Say that a scan without repeats has nothing to learn from."""
    if scan.repeats == "none":
        return "frames or periods that repeat"
    if stack_repeats(scan.signal, scan.repeats).shape[1] < 2:
        return "a second repeat of the same signal (it has one alone)"
    return None
