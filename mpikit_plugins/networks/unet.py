"""The U-Net of Peng et al. for periodic signals, any number of channels and samples."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from mpikit_plugins.networks.options import NetworkOptions

FACTOR = 3  # every level is three times shorter than the one above (Peng et al., Sec. II.C)
LEVELS = 4
QUICKER = 4  # the gain of the input learns so many times quicker than a weight


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
        The output is added to the input times a gain, which is learnt too. Before training f(y) = y; where
        all signals are alike, the gain may go to zero.
    odd : bool
        The mean of f(y) and -f(-y) is the output, so that f(-y) = -f(y).
    up : {"nearest", "linear"}
        How the decoder becomes three times finer: by repeating samples, or by drawing lines between them.
    conditions : int
        Further input channels behind the others, that say something of the signal.
    blocks : {"random", "zero"}
        What the second convolution of a residual block starts with: as all others (He et al., ICCV 2015), or
        nothing, so that the output starts no larger than the input.
    """

    def __init__(  # noqa: PLR0913 - as many as the paper leaves choices
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
        odd: bool = False,
        up: Literal["nearest", "linear"] = "nearest",
        conditions: int = 0,
        blocks: Literal["random", "zero"] = "random",
    ) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int, size: int = kernel, stride: int = 1) -> nn.Conv1d:
            padding = size // 2 if size > stride or stride == 1 else 0
            return nn.Conv1d(inputs, outputs, size, stride, padding, padding_mode="circular", bias=bias)

        def activation() -> list[nn.Module]:
            return [nn.Dropout(dropout), nn.PReLU(features)]

        self.multiple, self.least = lengths(kernel, stem_stride)
        self.channels, self.residual, self.odd = channels, residual, odd
        self.stem = nn.Sequential(conv(channels + conditions, features, kernel, stem_stride), *activation())
        self.encoders = nn.ModuleList()
        self.decoders = nn.ModuleList()
        for _ in range(LEVELS):
            down = conv(features, features, down_kernel, FACTOR)
            three = [
                ResBlock(conv(features, features), conv(features, features), activation()) for _ in range(3)
            ]
            self.encoders.append(nn.Sequential(down, *activation(), *three))
            twice = nn.Sequential(conv(2 * features, features), conv(features, features), nn.PReLU(features))
            self.decoders.append(twice)
        self.up = Linear() if up == "linear" else nn.Upsample(scale_factor=FACTOR, mode="nearest")
        self.last_up = nn.Upsample(scale_factor=stem_stride, mode="nearest")
        self.head = conv(features, channels)
        self.apply(_initialise)
        if blocks == "zero":
            self.apply(_silence)
        if residual:
            self.gain = nn.Parameter(torch.full((channels, 1), 1 / QUICKER))
            nn.init.zeros_(self.head.weight)

    def forward(self, signal: Tensor) -> Tensor:
        """Denoise periods of shape (B, C + conditions, V); any V. Returns (B, C, V)."""
        if not self.odd:
            return self._once(signal)
        clean, condition = signal.tensor_split((self.channels,), dim=1)
        turned = torch.cat([-clean, condition], dim=1)
        one, other = self._once(torch.cat([signal, turned])).chunk(2)
        return 0.5 * (one - other)

    def _once(self, signal: Tensor) -> Tensor:
        samples = signal.shape[-1]
        width = max(-(-samples // self.multiple) * self.multiple, self.least)
        left = (width - samples) // 2
        wrapped = signal
        if width != samples:
            wrapped = signal[..., torch.arange(-left, width - left, device=signal.device) % samples]
        features = self.stem(wrapped)
        skips = []
        for encoder in self.encoders:
            skips.append(features)
            features = encoder(features)
        for decoder in self.decoders:
            features = decoder(torch.cat([self.up(features), skips.pop()], dim=1))
        output: Tensor = self.head(self.last_up(features))
        cropped = output[..., left : left + samples]
        return cropped + QUICKER * self.gain * signal[:, : self.channels] if self.residual else cropped


class ResBlock(nn.Module):
    """Convolution, dropout, PReLU, convolution, plus the input (equation 10)."""

    def __init__(self, first: nn.Module, second: nn.Module, activation: list[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(first, *activation, second)

    def forward(self, features: Tensor) -> Tensor:
        """Add what the two convolutions find, (B, features, V)."""
        total: Tensor = features + self.body(features)
        return total


class Linear(nn.Module):
    """Three times as many samples around the period, on the lines between the given ones."""

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, features, 3 V) for (B, features, V); sample 3 n + 1 is sample n."""
        before, after = features.roll(1, -1), features.roll(-1, -1)
        three = [(2 * features + before) / 3, features, (2 * features + after) / 3]
        return torch.stack(three, dim=-1).flatten(-2)


def _initialise(module: Any) -> None:
    if isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight, a=0.25)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _silence(module: nn.Module) -> None:
    if isinstance(module, ResBlock):
        for last in module.body[-1].parameters():
            nn.init.zeros_(last)


def lengths(kernel: int, stem_stride: int) -> tuple[int, int]:
    """Lengths of a period that the network takes without padding: multiples of the first, from the second.

    Circular padding cannot reach further than once around the coarsest level.
    """
    multiple = FACTOR**LEVELS * stem_stride
    return multiple, multiple * (kernel // 2)


def new_unet(channels: int, options: NetworkOptions, *, coarse: bool, conditions: int = 0) -> UNet:
    """Make the network that the options describe.

    Parameters
    ----------
    channels : int
        C.
    options : NetworkOptions
    coarse : bool
        The signals are on a grid that is coarse already, so that ``stem_stride=auto`` is 1.
    conditions : int
        Further input channels.
    """
    return UNet(
        channels,
        features=options.features,
        kernel=options.kernel,
        stem_stride=stem_stride(options, coarse=coarse),
        down_kernel=options.down_kernel,
        dropout=options.dropout,
        bias=options.bias,
        residual=options.residual,
        odd=options.odd,
        up=options.up,
        conditions=conditions,
        blocks=options.blocks,
    )


def stem_stride(options: NetworkOptions, *, coarse: bool) -> Literal[1, 3]:
    """Stride of the first convolution on a grid that is coarse, or not."""
    if options.stem_stride == "auto":
        return 1 if coarse else 3
    return options.stem_stride
