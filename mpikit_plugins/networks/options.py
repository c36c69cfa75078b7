"""Options of the networks: every choice that Peng et al. leave open."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mpikit import Options
from mpikit_plugins.training.options import PAPER_PREPARATION, PAPER_TRAINING, LearnedOptions

# Peng et al., Sec. II.C and III.A; the kernel is not stated there
PAPER_NETWORK: dict[str, Any] = {
    "features": 48,
    "kernel": 3,
    "stem_stride": 1,
    "down_kernel": 1,
    "dropout": 0.2,
    "bias": True,
    "residual": False,
    "odd": False,
    "up": "nearest",
    "blocks": "zero",
}


class NetworkOptions(Options):
    """Options of the U-Net; `mpikit_plugins.networks.unet.new_unet` makes one from them.

    One default is another one than that of Peng et al., by what the data of ``mpikit reproduce`` give
    for unet-gd after 400 steps, 1000 signals with 5 and 15 dB of white noise, one thread of a CPU, one seed:
    24 feature maps give 36.3 and 42.9 dB, 48 maps 34.0 and 41.2 dB at 1.7 times the time for a step. With
    ``residual`` and 24 maps it is 37.4 and 41.9 dB, no clear difference; but with interference that goes with
    the signal it is worse, by 1 to 3 dB.
    """

    features: int = Field(
        24,
        ge=1,
        description="Feature maps at every level of the network (C in the paper, 48 there: after 400 steps "
        "4 dB worse for noise of 5 dB, no better for 15 dB, and 1.7 times the time for a step)",
    )
    kernel: Literal[3, 5, 7, 9] = Field(7, description="Length of the convolutions")
    stem_stride: Literal["auto", 1, 3] = Field(
        "auto", description="Stride of the first convolution; auto: 1 on a coarser grid (decimate), else 3"
    )
    down_kernel: Literal[1, 3] = Field(
        3, description="Length of the down-sampling convolutions of stride 3; 1 skips two samples of three"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Probability of the dropout before each PReLU")
    bias: bool = Field(False, description="Bias terms in the convolutions; without them f(ay) = a f(y)")
    residual: bool = Field(
        False,
        description="The network predicts what to add to its input times a gain, not the output itself (as "
        "in the paper), and so starts as f(y) = y: 1 dB better for noise of 5 dB, 1 dB worse for 15 dB and "
        "for interference",
    )
    odd: bool = Field(
        False, description="Average the outputs of y and -y, so that f(-y) = -f(y); twice the time"
    )
    up: Literal["nearest", "linear"] = Field(
        "nearest", description="Up-sampling in the decoder: samples repeated, or lines between them"
    )
    blocks: Literal["random", "zero"] = Field(
        "random",
        description="What residual blocks start with: random weights, or nothing. The paper does not say; in "
        "its setting the output is 200 times the input at first, and after 250 steps n2n gives -16 dB for "
        "noise of 5 dB with random weights, 17 dB with nothing. Elsewhere there is no clear difference",
    )


class LearnedUNetOptions(LearnedOptions, NetworkOptions):
    """Options of a learned method around the U-Net."""


# everything that the three methods of Peng et al. have in common
PAPER: dict[str, Any] = {**PAPER_NETWORK, **PAPER_TRAINING, **PAPER_PREPARATION}
