"""``harmonic-n2n``: Noise2Noise on the coefficients of the lines, in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mpikit import Finding, Run, Scan
from mpikit.errors import InputError
from mpikit.signal import (
    CleanSignals,
    LowRankFilter,
    both_parts,
    fit_noise2noise,
    mirror_views,
    stack_repeats,
    symmetry_center,
)
from mpikit_plugins.harmonic.lines import LineMethod
from mpikit_plugins.harmonic.low_rank import describe_rank
from mpikit_plugins.harmonic.options import LineOptions, symmetry_missing


class HarmonicNoise2NoiseOptions(LineOptions):
    """Options of Noise2Noise on the lines."""

    pairs: Literal["auto", "repeats", "mirror"] = Field(
        "auto",
        description="What it learns from: repeats, each period and its mirror image (by the symmetry, views "
        "of one signal), or repeats if there are any",
    )


class HarmonicNoise2Noise(LineMethod[HarmonicNoise2NoiseOptions, LowRankFilter]):
    """Learn the linear filter that best predicts one noisy view of a signal from another."""

    name = "harmonic-n2n"

    def learn(self, clean: CleanSignals, scans: Sequence[Scan], *, run: Run) -> LowRankFilter:  # noqa: ARG002
        """Learn the filter from repeats, or from mirror images."""
        stacks = [stack_repeats(scan.signal, scan.repeats) for scan in scans]
        repeated = [stack for stack in stacks if stack.shape[1] > 1]
        if self.options.pairs == "mirror" or (self.options.pairs == "auto" and not repeated):
            found = self._learn_from_mirror_images(stacks, run)
        elif repeated:
            lines = self.known_lines()
            found = fit_noise2noise([lines.forward(stack) for stack in repeated])
        else:
            raise InputError(
                f"{scans[0].name} has no repeats to learn from", hint="use pairs=mirror, or another method"
            )
        run.tell(describe_rank(found))
        return found

    def restored(self, state: Mapping[str, NDArray[Any]]) -> LowRankFilter:
        """Take the filter back."""
        return LowRankFilter.restore(state)

    def _learn_from_mirror_images(self, stacks: Sequence[NDArray[np.float32]], run: Run) -> LowRankFilter:
        lines = self.known_lines()
        symmetry, keep = lines.harmonic.symmetry, lines.harmonic.keep
        if symmetry is None:
            raise InputError(
                "the scan has no symmetry, so that a mirror image is no view of the signal",
                hint="use pairs=repeats, or symmetry=fit with a drive field that is retraced",
            )
        self.lines = lines = replace(lines, harmonic=replace(lines.harmonic, keep=keep & symmetry.holds))
        kept = int(lines.harmonic.keep.sum())
        run.tell(Finding("mirror", kept, f"learns from mirror images, on the {kept} lines with the symmetry"))
        both = both_parts(lines)
        views = [mirror_views(both.forward(stack)) for stack in stacks]
        return fit_noise2noise([_joined(each) for each in views], variance=2.0)


def _joined(views: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take views (B, R, 2, P) of each period as views of each clean signal, (B, 2 R, P)."""
    return views.reshape(len(views), -1, views.shape[-1])


def missing(scan: Scan, options: Any) -> str | None:
    """Say what a scan without repeats and without symmetry lacks."""
    mirrored = options.symmetry != "off" and symmetry_center(scan.drive_field) is not None
    if options.pairs == "mirror" and not mirrored:
        return "a drive field that is retraced, and symmetry=fit or exact"
    if options.pairs == "repeats" and scan.repeats == "none":
        return "frames or periods that repeat"
    if scan.repeats == "none" and not mirrored:
        return "frames or periods that repeat, or a drive field that is retraced"
    return symmetry_missing(scan, options)
