"""Learned methods whose network is the U-Net."""

from __future__ import annotations

from torch import nn

from mpikit_plugins.networks.options import LearnedUNetOptions
from mpikit_plugins.networks.unet import lengths, new_unet, stem_stride
from mpikit_plugins.training.learned import LearnedMethod


class LearnedUNet(LearnedMethod):
    """Base of a learned denoiser around the U-Net: a subclass gives the loss."""

    options: LearnedUNetOptions

    def new_network(self, channels: int, *, coarse: bool) -> nn.Module:
        """Make the U-Net that the options describe."""
        return new_unet(channels, self.options, coarse=coarse, conditions=self.conditions)

    @property
    def shortest(self) -> int:
        """Length of its convolutions."""
        return self.options.kernel

    def lengths(self, coarse: bool) -> tuple[int, int]:
        """Lengths that the U-Net takes without padding."""
        return lengths(self.options.kernel, stem_stride(self.options, coarse=coarse))
