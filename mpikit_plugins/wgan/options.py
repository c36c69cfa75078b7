"""Options of the WGAN: every choice that Dahms et al. and Dittmer et al. leave open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from mpikit_plugins.networks.options import LearnedUNetOptions
from mpikit_plugins.training.options import Presets, chosen

SHORT = 512  # samples of a period up to which the autoencoder is the generator by itself
UNET_ALONE = ("stem_stride", "down_kernel", "dropout", "odd", "up", "blocks")

# Dahms et al. state the two critics, spectral normalisation, single periods and no background correction.
# The rest is that of the code of Dittmer et al., on whose design theirs is based.
PAPER: dict[str, Any] = {
    "generator": "autoencoder",
    "features": 4,
    "bottleneck": 16,
    "kernel": 3,
    "bias": True,
    "residual": False,
    "scale": "fixed",
    "background": "learn",
    "centre": False,
    "lines": "all",
    "symmetry": "off",
    "condition": False,
    "divide": "noise",
    "strata": 1,
    "critic_updates": 1,
    "critic_features": 16,
    "critic_widest": 512,
    "critic_depth": 6,
    "batch": 8,
    "steps": 4000,
    "learning_rate": 2e-4,
    "critic_learning_rate": 2e-4,
    "beta1": 0.5,
    "beta2": 0.9,
    "schedule": "constant",
    "ema": 0.0,
    "clip": None,
    "weight_decay": 0.0,
    "patience": 1000,
    "precision": "single",
}


class WassersteinOptions(LearnedUNetOptions, Presets):
    """What both forms of the method have; a preset sets all that is not given."""

    preset: Literal["mpikit", "paper"] = Field(
        "mpikit",
        description="mpikit: homogeneous generator, conditioned critics; paper: Dahms et al., and where they "
        "say nothing (sizes, weights, step size, batch, steps, normalisation) the code of Dittmer et al.",
    )
    # the base has two choices; whoever reads it there asks for subtract alone
    background: Literal["learn", "subtract", "keep"] = Field(  # type: ignore[assignment]
        "learn",
        description="learn: background frames are noise samples as they are, and what they hold is removed "
        "without any correction (as in the paper); subtract: they are subtracted first, and what varies in "
        "them is the noise; keep: only what varies is noise, and the mean counts as signal",
    )
    centre: bool = Field(
        True,
        description="Take the mean of the noise samples, a fixed number for each sample of a period, out of "
        "the input of the generator (background=learn): it is homogeneous above the background then; the "
        "paper does not say",
    )
    generator: Literal["auto", "autoencoder", "unet"] = Field(
        "auto",
        description=f"Network; auto: a bottleneck autoencoder (as in the paper) up to {SHORT} samples, else "
        "the U-Net",
    )
    bottleneck: int = Field(
        32, ge=1, description="Numbers that the autoencoder is left with; the paper does not say, the code 16"
    )
    features: int = Field(
        24, ge=1, description="Feature maps of the generator; the paper does not say, the code 4"
    )
    residual: bool = Field(
        False, description="The generator predicts what to take from its input, and not the output itself"
    )
    scale: Literal["rms", "peak", "fixed"] = Field(  # type: ignore[assignment]
        "rms",
        description="What is divided out before the generator, and put back after it: size of each period, "
        "or one number for all (with bias=true it is not homogeneous then, probably as in the paper)",
    )
    critic_features: int = Field(16, ge=1, description="Feature maps of the first layer of a critic")
    critic_widest: int = Field(
        32,
        ge=1,
        description="Most feature maps of a layer; every layer has twice those of the one before (twice as "
        "many are no better after 400 steps on periods of 102 samples, and take 1.4 times the time)",
    )
    critic_depth: int = Field(
        4, ge=0, description="Layers of a critic that halve the length; the paper does not say, the code 6"
    )
    critic_kernel: Literal[3, 5, 7, 9] = Field(7, description="Length of the convolutions of a critic")
    critic_slope: float = Field(
        0.2, ge=0, le=1, description="Slope of the leaky ReLU of a critic below zero; the paper does not say"
    )
    critic_head: Literal["dense", "mean"] = Field(
        "dense",
        description="Last layer of a critic: dense over all places, or after the mean over them, which does "
        "not see where in the period something is",
    )
    critic_updates: int = Field(
        1, ge=1, description="Updates of each critic for one of the generator; the paper does not say"
    )
    loss: Literal["wasserstein", "hinge"] = Field("wasserstein", description="Loss of the critics")
    noise_weight: float = Field(
        1.0,
        gt=0,
        description="Weight of the critic of residuals beside that of signals; the paper does not say",
    )
    paired_weight: float = Field(
        0.0,
        ge=0,
        description="Weight of the mean squared difference to another repeat, where there are repeats; 100 "
        "makes Noise2Noise the greater part; 0: unpaired, as in the paper",
    )
    divide: Literal["measurement", "noise"] = Field(
        "noise",
        description="What the critics see is divided by the size of the noise, or by that of the "
        "measurement, noise and all, which shrinks what is a little above the noise more; the paper does not "
        "say",
    )
    condition: bool = Field(
        True, description="Tell both critics the logarithm of the amplitude; the paper does not say"
    )
    strata: int = Field(
        1,
        ge=1,
        description="Ranges of the logarithm of the amplitude of which every batch has equally many periods; "
        "1: as they come",
    )
    explosion: float = Field(
        1e4, gt=0, description="Mean loss above which a network counts as exploding, and training stops"
    )
    steps: int = Field(
        800,
        ge=1,
        description="Steps of the generator at most; the paper does not say. Twice as many were no better on "
        "periods of 102 samples, and took more away of signals near the noise",
    )
    batch: int = Field(64, ge=1, description="Periods in one step; the paper does not say, the code 8")
    learning_rate: float = Field(
        2e-3, gt=0, description="Step size of the generator; the paper does not say, the code 2e-4"
    )
    critic_learning_rate: float = Field(
        4e-3, gt=0, description="Step size of the critics; the paper does not say, the code 2e-4"
    )
    beta1: float = Field(0.0, ge=0, lt=1, description="Decay of the mean gradient in Adam; the code 0.5")
    beta2: float = Field(0.9, ge=0, lt=1, description="Decay of the mean squared gradient in Adam")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay of AdamW; 0: Adam")
    schedule: Literal["one-cycle", "constant"] = Field("constant", description="Course of the step sizes")
    clip: float | None = Field(None, gt=0, description="Largest norm of the gradient; none: any")
    ema: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="Decay of a running average of the generator, which is used then; 0: none. It must "
        "forget the first weights: 0.999 is for ten thousand steps",
    )
    patience: int = Field(
        20, ge=1, description="Scores clearly worse than the best one after which training stops"
    )

    @model_validator(mode="after")
    def _check_generator(self) -> WassersteinOptions:
        idle = [name for name in UNET_ALONE if self.generator == "autoencoder" and chosen(self, name)]
        if idle:
            raise ValueError(
                f"{idle[0]} does nothing for generator=autoencoder, it is an option of the U-Net"
            )
        if self.generator == "unet" and chosen(self, "bottleneck"):
            raise ValueError(f"bottleneck={self.bottleneck} does nothing for generator=unet, which has none")
        return self

    @model_validator(mode="after")
    def _check_centre(self) -> WassersteinOptions:
        if self.background != "learn" and chosen(self, "centre"):
            raise ValueError(
                f"centre={str(self.centre).lower()} does nothing for background={self.background}: noise "
                "samples have the mean zero then"
            )
        return self

    @classmethod
    def preset_values(cls) -> Mapping[str, Mapping[str, Any]]:
        """Return what the papers do, or are taken to do."""
        return {"paper": PAPER}


class SpectralOptions(WassersteinOptions):
    """Options of ``wgan-sn``: critics with spectral normalisation (Miyato et al., arXiv 1802.05957)."""

    power_iterations: int = Field(
        1, ge=1, description="Power iterations for the spectral norm in each pass; the paper does not say"
    )
    warm_up: int = Field(
        50, ge=0, description="Further power iterations before the first step; the paper does not say"
    )


class PenaltyOptions(WassersteinOptions):
    """Options of ``wgan-gp``: a penalty on the gradient of the critics (Gulrajani et al., Dittmer et al.)."""

    penalty: float = Field(10.0, gt=0, description="Weight of the gradient penalty")
    one_sided: bool = Field(
        True, description="Only gradients longer than one are penalised (as in the code of Dittmer et al.)"
    )
    normalise: bool = Field(True, description="Layer normalisation in the critics")
    learning_rate: float = Field(1e-3, gt=0, description="Step size of the generator; the code 2e-4")
    critic_learning_rate: float = Field(1e-3, gt=0, description="Step size of the critics; the code 2e-4")
    critic_updates: int = Field(
        1,
        ge=1,
        description="Updates of each critic for one of the generator: 1 in the code of Dittmer et al., 5 of "
        "Gulrajani et al., which take several times the time",
    )
