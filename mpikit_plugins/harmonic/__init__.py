"""Denoisers that work on the harmonics of the drive field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mpikit import Denoiser, Finding, Run, Scan, hookimpl
from mpikit.errors import PluginError
from mpikit.signal import HarmonicFilter, fit_harmonic_filter
from mpikit_plugins.background import BackgroundOptions, clear, removes_background


class HarmonicOptions(BackgroundOptions):
    """Options of the harmonic filter."""

    false_alarm: float = Field(1e-4, gt=0, lt=1, description="Probability with which a line of noise is kept")
    symmetry: Literal["fit", "exact", "off"] = Field(
        "fit",
        description="Project on the symmetry of the scan: with fitted phases, for an ideal scan, or not",
    )


class Harmonic:
    """Keep the drive-field harmonics that stand out of the noise, projected on the symmetry of the scan."""

    def __init__(self, options: HarmonicOptions) -> None:
        self.options = options
        self.filter: HarmonicFilter | None = None

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Find the lines and their phases."""
        cleared = [clear(scan, self.options) for scan in scans]
        self.filter = fit_harmonic_filter(
            cleared, false_alarm=self.options.false_alarm, symmetry=self.options.symmetry
        )
        run.tell(describe(self.filter))

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the filtered foreground, shape (N, J, C, V)."""
        if self.filter is None:
            raise PluginError("harmonic has not been fitted", hint="call fit, or restore a fitted state")
        return self.filter(clear(scan, self.options).signal)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return lines and phases."""
        return {} if self.filter is None else self.filter.state()

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back lines and phases."""
        self.filter = HarmonicFilter.restore(state) if state else None


def describe(harmonic: HarmonicFilter) -> Finding:
    """Say in words what a filter keeps."""
    kept = int(harmonic.keep.sum())
    text = f"lines above the noise: {kept} of {harmonic.keep.size}"
    if harmonic.symmetry is None:
        text += "; no symmetry is used"
    else:
        odd = int((harmonic.symmetry.holds & harmonic.keep).sum())
        text += f"; the scan symmetry holds on {odd} of them"
    return Finding("harmonics", kept, text)


@hookimpl
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer the harmonic filter."""
    yield Denoiser(
        name="harmonic",
        summary="Keep the harmonics that stand out of the noise, projected on the scan symmetry",
        options=HarmonicOptions,
        build=Harmonic,
        homogeneous=True,
        removes_background=removes_background,
    )
