"""``average``: the mean over what repeats, or a robust one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mpikit import Run, Scan, StatelessMethod
from mpikit.signal import stack_repeats, unstack_repeats
from mpikit_plugins.background import BackgroundOptions, clear


class AverageOptions(BackgroundOptions):
    """Options of the average."""

    trim: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of the repeats left out at either end of a sample: 0 is the mean, 0.5 the median",
    )


class Average(StatelessMethod):
    """Replace every repeat by the mean of all repeats."""

    def __init__(self, options: AverageOptions) -> None:
        self.options = options

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the means, shape (N, J, C, V)."""
        stacked = stack_repeats(clear(scan, self.options).signal, scan.repeats)
        mean = np.broadcast_to(_trimmed_mean(stacked, self.options.trim), stacked.shape)
        return np.ascontiguousarray(unstack_repeats(mean, scan.repeats, len(scan.signal)), np.float32)


def _trimmed_mean(stacked: NDArray[np.float32], trim: float) -> NDArray[np.float64]:
    """Mean over the repeats (B, R, C, V) without the smallest and the largest, (B, 1, C, V)."""
    repeats = stacked.shape[1]
    cut = min(int(trim * repeats), (repeats - 1) // 2)
    if cut:
        stacked = np.sort(stacked, axis=1)[:, cut : repeats - cut]
    mean: NDArray[np.float64] = stacked.mean(axis=1, keepdims=True, dtype=np.float64)
    return mean


def without_repeats(scan: Scan, options: Any) -> str | None:  # noqa: ARG001
    """Say what a scan without repeats lacks."""
    return "frames or periods that repeat" if scan.repeats == "none" else None
