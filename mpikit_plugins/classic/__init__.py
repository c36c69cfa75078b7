"""Denoisers that learn nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit import Denoiser, Run, Scan, StatelessMethod, hookimpl
from mpikit.signal import stack_repeats, unstack_repeats
from mpikit_plugins.background import BackgroundOptions, clear, removes_background


class Average(StatelessMethod):
    """Replace every repeat by the mean of all repeats."""

    def __init__(self, options: BackgroundOptions) -> None:
        self.options = options

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the means, shape (N, J, C, V)."""
        cleared = clear(scan, self.options)
        stacked = stack_repeats(cleared.signal, scan.repeats)
        mean = np.broadcast_to(stacked.mean(axis=1, keepdims=True, dtype=np.float64), stacked.shape)
        return np.ascontiguousarray(unstack_repeats(mean, scan.repeats, len(scan.signal)), np.float32)


def without_repeats(scan: Scan, options: Any) -> str | None:  # noqa: ARG001
    """Say what a scan without repeats lacks."""
    return "frames or periods that repeat" if scan.repeats == "none" else None


@hookimpl
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer the average."""
    yield Denoiser(
        name="average",
        summary="Mean over all repeats of a period",
        options=BackgroundOptions,
        build=Average,
        missing=without_repeats,
        pools=True,
        homogeneous=True,
        removes_background=removes_background,
    )
