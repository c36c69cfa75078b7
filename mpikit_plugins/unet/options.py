"""Options of the U-Net with gradient-difference loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from mpikit_plugins.networks.options import PAPER, LearnedUNetOptions
from mpikit_plugins.training.options import PairOptions, Presets, chosen


class UNetOptions(LearnedUNetOptions, PairOptions, Presets):
    """Options of ``unet-gd``; a preset sets all that is not given."""

    preset: Literal["mpikit", "paper"] = Field(
        "mpikit", description="mpikit: what works best; paper: as printed in Peng et al."
    )
    alpha: float = Field(
        0.03,
        ge=0,
        description="Weight of the gradient difference; in the paper 0.08 and 0.5 for interference 15 and "
        "5 dB below the signal",
    )
    beta: float = Field(0.01, ge=0, description="Weight of the total variation")
    gd_scale: Literal["sample", "angular"] = Field(
        "sample", description="Gradients per sample, or per radian of the period (V / 2π times larger)"
    )

    @model_validator(mode="after")
    def _check_alpha(self) -> UNetOptions:
        if self.symmetry == "off" and self.alpha and chosen(self, "alpha"):
            raise ValueError(
                f"alpha={self.alpha} does nothing without symmetry, which symmetry=off leaves out"
            )
        if chosen(self, "gd_scale") and (self.symmetry == "off" or not self.alpha):
            why = "symmetry=off" if self.symmetry == "off" else "alpha=0"
            raise ValueError(
                f"gd_scale={self.gd_scale} does nothing beside {why}, without the gradient difference"
            )
        return self

    @classmethod
    def preset_values(cls) -> Mapping[str, Mapping[str, Any]]:
        """Return what the paper does otherwise."""
        return {"paper": {**PAPER, "resample": False}}
