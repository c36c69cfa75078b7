"""The signal as it is: what every other method has to beat before `auto` takes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpikit.plugins import Offer, registry
from mpikit.records import Denoiser, Run, StatelessMethod
from mpikit.scan import Scan


class Unchanged(StatelessMethod):
    """Change nothing."""

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the foreground as it is, shape (N, J, C, V)."""
        return np.array(scan.signal, np.float32)


UNCHANGED: Offer[Denoiser] = Offer(
    Denoiser(
        name="unchanged",
        summary="Leave the signal as it is",
        build=lambda _: Unchanged(),
        homogeneous=True,
        removes_background=lambda scan, _: scan.corrections.background,
    ),
    "mpikit",
    "mpikit",
)


def find_method(name: str) -> Offer[Denoiser]:
    """Return the method of this name: one that a plugin offers, or the signal as it is.

    Raises
    ------
    PluginError
        When there is none, or more than one.
    """
    return UNCHANGED if name == UNCHANGED.record.name else registry().denoiser(name)
