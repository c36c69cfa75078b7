"""The U-Net of Peng et al. for periodic signals, any number of channels and samples."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

FACTOR = 3  # every level is three times shorter than the one above (Peng et al., Sec. II.C)
LEVELS = 4


class UNet(nn.Module):
    """Four encoder and four decoder blocks over a periodic signal.

    Peng et al., "Self-supervised Signal Denoising for Magnetic Particle Imaging", Sec. II.C and Fig. 2. What
    the paper leaves open is an argument here.

    Parameters
    ----------
    channels : int
        C, receive channels in and out.
    features : int
        Feature maps at every level (the paper's C, 48).
    kernel : int
        Length of the convolutions; odd.
    stem_stride : {1, 3}
        Stride of the first convolution; 3 computes everything on a grid three times coarser.
    down_kernel : {1, 3}
        Length of the down-sampling convolutions of stride 3; with 1, as printed, two samples of three are
        not looked at.
    dropout : float
        Probability p of the dropout before each PReLU.
    bias : bool
        Without bias terms the network is exactly homogeneous: f(a y) = a f(y) for a > 0.
    residual : bool
        The output is added to the input, and is zero before training.
    """

    def __init__(
        self,
        channels: int,
        *,
        features: int,
        kernel: int,
        stem_stride: Literal[1, 3],
        down_kernel: Literal[1, 3],
        dropout: float,
        bias: bool,
        residual: bool,
    ) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int, size: int = kernel, stride: int = 1) -> nn.Conv1d:
            padding = size // 2 if size > stride or stride == 1 else 0
            return nn.Conv1d(inputs, outputs, size, stride, padding, padding_mode="circular", bias=bias)

        def activation() -> list[nn.Module]:
            return [nn.Dropout(dropout), nn.PReLU(features)]

        self.multiple = FACTOR**LEVELS * stem_stride
        self.shortest = (
            kernel // 2
        )  # circular padding cannot reach further than once around the coarsest level
        self.stem = nn.Sequential(conv(channels, features, kernel, stem_stride), *activation())
        self.encoders = nn.ModuleList()
        self.decoders = nn.ModuleList()
        for _ in range(LEVELS):
            down = conv(features, features, down_kernel, FACTOR)
            blocks = [
                ResBlock(conv(features, features), conv(features, features), activation()) for _ in range(3)
            ]
            self.encoders.append(nn.Sequential(down, *activation(), *blocks))
            twice = nn.Sequential(conv(2 * features, features), conv(features, features), nn.PReLU(features))
            self.decoders.append(twice)
        self.up = nn.Upsample(scale_factor=FACTOR, mode="nearest")
        self.last_up = nn.Upsample(scale_factor=stem_stride, mode="nearest")
        self.head = conv(features, channels)
        self.residual = residual
        self.apply(_initialise)
        if residual:
            nn.init.zeros_(self.head.weight)

    def forward(self, signal: Tensor) -> Tensor:
        """Denoise periods of shape (B, C, V); any V."""
        samples = signal.shape[-1]
        width = self.multiple * max(-(-samples // self.multiple), self.shortest)
        left = (width - samples) // 2
        wrapped = torch.arange(-left, width - left, device=signal.device) % samples
        features = self.stem(signal[..., wrapped])
        skips = []
        for encoder in self.encoders:
            skips.append(features)
            features = encoder(features)
        for decoder in self.decoders:
            features = decoder(torch.cat([self.up(features), skips.pop()], dim=1))
        output: Tensor = self.head(self.last_up(features))
        cropped = output[..., left : left + samples]
        return signal + cropped if self.residual else cropped


class ResBlock(nn.Module):
    """Convolution, dropout, PReLU, convolution, plus the input (equation 10)."""

    def __init__(self, first: nn.Module, second: nn.Module, activation: list[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(first, *activation, second)

    def forward(self, features: Tensor) -> Tensor:
        """Add what the two convolutions find, (B, features, V)."""
        total: Tensor = features + self.body(features)
        return total


def _initialise(module: Any) -> None:
    if isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight, a=0.25)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
