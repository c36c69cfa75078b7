"""Options of recorrupted-to-recorrupted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from mpikit_plugins.networks.options import PAPER, LearnedUNetOptions
from mpikit_plugins.training.options import Presets, chosen


class RecorruptedOptions(LearnedUNetOptions, Presets):
    """Options of ``r2r``; a preset sets all that is not given."""

    preset: Literal["mpikit", "paper"] = Field(
        "mpikit",
        description="mpikit: what works best; paper: network and training of Peng et al., 50 draws",
    )
    alpha: float = Field(
        0.5, gt=0, description="Noise that is added to the input, in units of that of the period"
    )
    draws: int = Field(
        8, ge=0, description="Recorrupted inputs whose outputs are averaged; 0: the period as it is, once"
    )
    noise: Literal["coloured", "white"] = Field(
        "coloured",
        description="Noise of each line as it was measured, or of one level for all lines of a channel",
    )
    level: Literal["scan", "period"] = Field(
        "scan",
        description="Noise of one level for the whole scan, or of each period by its lines without signal",
    )
    sigma: float | None = Field(
        None,
        gt=0,
        description="Known noise of one sample, white, in the unit of the scan, instead of noise; none: "
        "measured",
    )

    @model_validator(mode="after")
    def _check_noise(self) -> RecorruptedOptions:
        if self.sigma is not None and chosen(self, "noise"):
            raise ValueError(f"noise={self.noise} does nothing beside sigma={self.sigma}, which says it all")
        if self.sigma is not None and self.level == "period":
            raise ValueError(
                f"sigma={self.sigma} does nothing beside level=period, which measures each period; "
                "noise=white says that its noise is white"
            )
        return self

    @classmethod
    def preset_values(cls) -> Mapping[str, Mapping[str, Any]]:
        """Return what the papers do otherwise."""
        return {"paper": {**PAPER, "draws": 50, "noise": "white"}}
