"""``sure``: the filter for one period that minimises Stein's unbiased estimate of its own error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mpikit import Finding, Run, Scan, Warned
from mpikit.signal import SureFilter, even_part_noise, fit_sure, symmetry_center
from mpikit_plugins.background import clear
from mpikit_plugins.harmonic.lines import not_fitted
from mpikit_plugins.harmonic.options import LineOptions, symmetry_missing

KNOWN = 1e6  # degrees of freedom of a noise that is known


class SureOptions(LineOptions):
    """Options of the filter by Stein's unbiased risk estimate."""

    noise: Literal["measured", "even-part"] = Field(
        "measured",
        description="Noise of a period: from repeats, else background frames, else white as its empty lines; "
        "or from the even part of the periods themselves, which holds no signal: the colour from all, the "
        "level from each. Where the measured level differs from period to period beyond chance, and the scan "
        "has a symmetry, the level is that of the even part of each anyway",
    )
    sigma: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Standard deviation of white noise in the unit of the signal, instead of measuring it",
    )

    @model_validator(mode="after")
    def _one_noise(self) -> SureOptions:
        if self.noise == "even-part" and (self.sigma is not None or self.symmetry == "off"):
            what = "symmetry=off" if self.sigma is None else f"sigma={self.sigma}"
            raise ValueError(f"noise=even-part does not go with {what}")
        return self


class Sure:
    """Shrink blocks of lines, or keep principal directions: whichever has the least estimated error.

    One period of one scan is enough. It relies on the noise: what that is too small by stays in the signal.
    """

    def __init__(self, options: SureOptions) -> None:
        self.options = options
        self.filter: SureFilter | None = None

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Choose the filter."""
        options = self.options
        cleared = [clear(scan, options) for scan in scans]
        self.filter = fit_sure(
            cleared,
            false_alarm=options.false_alarm,
            symmetry=options.symmetry,
            band=options.band,
            line_power=self._noise(cleared),
            own_level=self._own_level(),
        )
        run.tell(describe_choice(self.filter))
        if self.filter.unlike and options.noise == "measured":
            run.tell(describe_levels(self.filter, options))

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the filtered foreground, shape (N, J, C, V)."""
        if self.filter is None:
            raise not_fitted("sure")
        return self.filter(clear(scan, self.options).signal)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return lines, noise and filter."""
        return {} if self.filter is None else self.filter.state()

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back lines, noise and filter."""
        self.filter = SureFilter.restore(state) if state else None

    def _own_level(self) -> bool | None:
        """Say whether each period has a noise level of its own; None where the data shall decide."""
        if self.options.sigma is not None:
            return False
        return True if self.options.noise == "even-part" else None

    def _noise(self, scans: Sequence[Scan]) -> tuple[NDArray[np.float64], float] | None:
        if self.options.sigma is not None:
            channels, samples = scans[0].signal.shape[2:]
            power = np.full((channels, samples // 2 + 1), self.options.sigma**2 * samples)
            return power * scans[0].stored_lines, KNOWN
        return even_part_noise(scans) if self.options.noise == "even-part" else None


def describe_choice(found: SureFilter) -> Finding:
    """Say in words what the estimate of the error chose."""
    if found.directions is not None:
        rank = found.directions.rank
        return Finding("sure", "directions", f"least estimated error: {rank} directions over all lines")
    blocks = found.blocks
    if blocks.threshold == 0:
        return Finding("sure", "nothing", "least estimated error: all lines of the drive field as they are")
    text = f"blocks of {blocks.length} lines, threshold {blocks.threshold:.2f} of their noise"
    return Finding("sure", "blocks", f"least estimated error: {text}")


def describe_levels(found: SureFilter, options: SureOptions) -> Finding | Warned:
    """Say what is done about noise whose level differs from period to period."""
    if found.own_level:
        text = "the noise level differs from period to period: that of each is taken from its even part"
        return Finding("noise level", "each period", text)
    if options.sigma is not None:
        return Warned(
            f"the noise level differs from period to period, but sigma={options.sigma} is one for all: sure "
            "leaves noise in some and takes signal from others; without sigma each may be measured by itself"
        )
    return Warned(
        "the noise level differs from period to period, and no symmetry tells it for each: sure leaves noise "
        "in some and takes signal from others; low-rank relies less on the level"
    )


def missing(scan: Scan, options: Any) -> str | None:
    """Say what the noise cannot be taken from."""
    if options.noise == "even-part" and symmetry_center(scan.drive_field) is None:
        return "a drive field that is retraced, so that a period has an even part"
    return symmetry_missing(scan, options)
