"""Options of the U-Net with gradient-difference loss."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from mpikit_plugins.background import BackgroundOptions
from mpikit_plugins.training.options import TrainingOptions

# Peng et al., Sec. III.A; the kernel is not stated there
PAPER = {
    "features": 48,
    "kernel": 3,
    "stem_stride": 1,
    "down_kernel": 1,
    "dropout": 0.2,
    "bias": True,
    "lines": "all",
    "symmetry": "exact",
    "project": False,
    "background": "keep",
    "epochs": 100,
    "batch": 2,
    "learning_rate": 1e-4,
    "schedule": "constant",
    "patience": 1000,
}


class UNetOptions(TrainingOptions, BackgroundOptions):
    """Options of ``unet-gd``; a preset sets all that is not given."""

    preset: Literal["mpikit", "paper"] = Field(
        "mpikit", description="mpikit: what works best; paper: as printed in Peng et al."
    )
    features: int = Field(24, ge=1, description="Feature maps at every level of the network (C in the paper)")
    kernel: Literal[3, 5, 7, 9] = Field(7, description="Length of the convolutions")
    stem_stride: Literal[1, 3] = Field(3, description="Stride of the first convolution")
    down_kernel: Literal[1, 3] = Field(3, description="Length of the down-sampling convolutions (stride 3)")
    dropout: float = Field(0.0, ge=0, lt=1, description="Probability of the dropout before each PReLU")
    bias: bool = Field(False, description="Bias terms in the convolutions")
    residual: bool = Field(False, description="The network predicts what to add to its input, not the output")
    alpha: float = Field(0.03, ge=0, description="Weight of the gradient difference")
    beta: float = Field(0.01, ge=0, description="Weight of the total variation")
    gd_scale: Literal["sample", "angular"] = Field(
        "sample", description="Gradients per sample, or per radian of the period (V / 2π times larger)"
    )
    symmetry: Literal["fit", "exact", "off"] = Field(
        "fit", description="Symmetry of the scan: with fitted phases, as for an ideal scan, or none"
    )
    project: bool = Field(True, description="Project input and output on the symmetry where it holds")
    lines: Literal["detected", "all"] = Field(
        "detected", description="Harmonics that the network sees: those above the noise, or all"
    )
    false_alarm: float = Field(
        1e-4, gt=0, lt=1, description="Probability with which a line of noise counts as above the noise"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        wanted = isinstance(given, dict) and given.get("preset") == "paper"
        return {**PAPER, **given} if wanted else given
