"""Noise2Noise as a denoising method."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn.functional import huber_loss, l1_loss, mse_loss

from mpikit_plugins.n2n.options import Noise2NoiseOptions
from mpikit_plugins.networks.learned_unet import LearnedUNet


class Noise2Noise(LearnedUNet):
    """Learn one noisy repeat from another (Lehtinen et al., Proc. ICML 2018).

    The mean squared difference to an independent noisy repeat is the error plus the noise of that repeat, so
    that its minimiser is the same as with clean data.
    """

    name: ClassVar[str] = "n2n"
    options: Noise2NoiseOptions

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean distance, by the loss of the options."""
        if self.options.loss == "huber":
            return huber_loss(output, target, delta=self.options.delta)
        return mse_loss(output, target) if self.options.loss == "l2" else l1_loss(output, target)
