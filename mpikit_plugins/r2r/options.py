"""Options of recorrupted-to-recorrupted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from mpikit_plugins.networks.options import PAPER, LearnedUNetOptions
from mpikit_plugins.training.options import Presets


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
        description="Known noise of one sample, white, in the unit of the scan, whatever noise says; none: "
        "measured",
    )

    @classmethod
    def preset_values(cls) -> Mapping[str, Mapping[str, Any]]:
        """Return what the papers do otherwise."""
        return {"paper": {**PAPER, "draws": 50, "noise": "white"}}
