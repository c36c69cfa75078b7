"""Options of Noise2Noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from mpikit_plugins.networks.options import PAPER, LearnedUNetOptions
from mpikit_plugins.training.options import PairOptions, Presets, chosen


class Noise2NoiseOptions(LearnedUNetOptions, PairOptions, Presets):
    """Options of ``n2n``; a preset sets all that is not given."""

    preset: Literal["mpikit", "paper"] = Field(
        "mpikit", description="mpikit: what works best; paper: network and training of Peng et al."
    )
    loss: Literal["l2", "l1", "huber"] = Field(
        "l2",
        description="Distance of output and target: l2 needs noise of mean zero, l1 of median zero; l1 and "
        "huber bear spikes",
    )
    delta: float = Field(
        0.5, gt=0, description="Difference from which on Huber's loss is linear, in units of the input's rms"
    )

    @model_validator(mode="after")
    def _check_delta(self) -> Noise2NoiseOptions:
        if self.loss != "huber" and chosen(self, "delta"):
            raise ValueError(
                f"delta={self.delta} has a meaning for loss=huber alone, not for loss={self.loss}"
            )
        return self

    @classmethod
    def preset_values(cls) -> Mapping[str, Mapping[str, Any]]:
        """Return what the paper does otherwise."""
        return {"paper": {**PAPER, "resample": False}}
