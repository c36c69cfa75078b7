"""The generator for short periods: a bottleneck autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

HALVINGS = 2  # convolutions of stride 2 before the bottleneck
SLOPE = 0.1  # of the leaky ReLU: with a slope of zero the few numbers of the bottleneck die easily


class Autoencoder(nn.Module):
    """Convolutions, a dense layer to a few numbers, and the same way back.

    After the generator in the code of Dittmer et al. (doi 10.3934/naco.2022017): three convolutions, two of
    them of stride 2, dense to 16 numbers and back, twice finer two times, and a last layer across features.
    Here it has any length and any number of channels, is circular, and without bias terms it is exactly
    homogeneous, f(a y) = a f(y) for a > 0; theirs has layer normalisation, which is not.

    Parameters
    ----------
    channels : int
        C.
    samples : int
        W; the dense layers are bound to it.
    features : int
        Feature maps.
    kernel : int
        Length of the convolutions; odd.
    bottleneck : int
        Numbers between the dense layers.
    bias : bool
    residual : bool
        The output is what is taken from the input; before training nothing is.
    """

    def __init__(
        self,
        channels: int,
        samples: int,
        *,
        features: int,
        kernel: int,
        bottleneck: int,
        bias: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        self.samples, self.features, self.residual = samples, features, residual
        self.coarse = -(-samples // 2**HALVINGS)
        inside = features * self.coarse

        def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
            return _Around(inputs, outputs, kernel, stride, bias=bias)

        def steps() -> list[nn.Module]:
            return [conv(features, features, 2), nn.LeakyReLU(SLOPE)]

        self.encoder = nn.Sequential(
            conv(channels, features),
            nn.LeakyReLU(SLOPE),
            *(each for _ in range(HALVINGS) for each in steps()),
        )
        self.to_bottleneck = nn.Linear(inside, bottleneck, bias=bias)
        self.from_bottleneck = nn.Linear(bottleneck, inside, bias=bias)
        self.decoder = nn.ModuleList(conv(features, features) for _ in range(HALVINGS))
        self.activation = nn.LeakyReLU(SLOPE)
        self.head = nn.Conv1d(features, channels, 1, bias=bias)
        self.apply(_initialise)
        if residual:
            nn.init.zeros_(self.head.weight)

    def forward(self, signal: Tensor) -> Tensor:
        """Denoise periods of shape (B, C, W)."""
        few = self.to_bottleneck(self.encoder(signal).flatten(1))
        # the numbers keep their sign: a rectifier here would halve what they can say
        features = self.from_bottleneck(few).unflatten(1, (self.features, self.coarse))
        features = self.activation(features)
        for conv in self.decoder:
            features = self.activation(conv(features.repeat_interleave(2, dim=-1)))
        if features.shape[-1] != self.samples:
            features = interpolate(features, size=self.samples, mode="linear")
        output: Tensor = self.head(features)
        return signal - output if self.residual else output


def _initialise(module: nn.Module) -> None:
    """Keep the size of a signal from layer to layer."""
    if isinstance(module, (nn.Conv1d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, a=SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class _Around(nn.Module):
    """A convolution around the period that takes periods shorter than its reach, wrapped several times."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool) -> None:
        super().__init__()
        self.reach = kernel // 2
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, bias=bias)

    def forward(self, signal: Tensor) -> Tensor:
        places = torch.arange(-self.reach, signal.shape[-1] + self.reach, device=signal.device)
        output: Tensor = self.conv(signal[..., places % signal.shape[-1]])
        return output
