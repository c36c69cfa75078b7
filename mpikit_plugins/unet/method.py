"""The U-Net with gradient-difference loss, as a denoising method."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mpikit_plugins.networks.learned_unet import LearnedUNet
from mpikit_plugins.unet.objective import gradient_difference, per_radian, per_sample, total_variation
from mpikit_plugins.unet.options import UNetOptions


class UNetGradientDifference(LearnedUNet):
    """Learn one noisy repeat from another, with priors (Peng et al., equations 5 to 9); terms are means."""

    name: ClassVar[str] = "unet-gd"
    options: UNetOptions

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean magnitude of the difference."""
        return (output - target).abs().mean()

    def prior(self, raw: Tensor) -> Tensor | None:
        """Weighted gradient difference and total variation of what the network gives."""
        options, prepared = self.options, self.preparation
        total = None
        if options.alpha:
            scale = per_radian(prepared) if options.gd_scale == "angular" else per_sample(prepared)
            total = options.alpha * scale * gradient_difference(raw, prepared)
        if options.beta:
            variation = options.beta * per_sample(prepared) * total_variation(raw)
            total = variation if total is None else total + variation
        return total
