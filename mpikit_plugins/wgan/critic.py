"""Critics: networks that tell noise samples from residuals, or measured from re-noised signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from mpikit_plugins.wgan.options import WassersteinOptions

SHORTEST = 8  # places below which a layer does not halve the length any more
Wrap = Callable[[nn.Module], nn.Module]


class Critic(nn.Module):
    """Convolutions around the period, each half as long as the one before, and a dense layer.

    Parameters
    ----------
    channels : int
        C.
    samples : int
        W, samples of a period.
    options : WassersteinOptions
    wrap : callable
        What is done to each convolution and dense layer, spectral normalisation say.
    normalise : bool
        Layer normalisation behind each convolution but the first.
    """

    def __init__(
        self,
        channels: int,
        samples: int,
        options: WassersteinOptions,
        *,
        wrap: Wrap = lambda layer: layer,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        self.condition = options.condition
        layers: list[nn.Module] = []
        inputs, width, length = channels + int(options.condition), options.critic_features, samples
        for number in range(options.critic_depth + 1):
            stride = 2 if number and length >= SHORTEST else 1
            conv = _around(inputs, width, _fitting(options.critic_kernel, length), stride)
            layers.append(wrap(conv))
            if normalise and number:
                layers.append(nn.GroupNorm(1, width))  # one group of all: over features and places
            layers.append(nn.LeakyReLU(options.critic_slope))
            length = -(-length // stride)
            inputs, width = width, min(2 * width, options.critic_widest)
        self.body = nn.Sequential(*layers)
        self.mean = options.critic_head == "mean"
        self.head = wrap(nn.Linear(inputs if self.mean else inputs * length, 1))

    def forward(self, signal: Tensor, condition: Tensor) -> Tensor:
        """Rate signals (B, C, W) of which something is known, (B,); returns (B,)."""
        if self.condition:
            signal = torch.cat([signal, condition[:, None, None].expand(-1, 1, signal.shape[-1])], dim=1)
        features = self.body(signal)
        rating: Tensor = self.head(features.mean(dim=-1) if self.mean else features.flatten(1))
        return rating[:, 0]


def _around(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Conv1d:
    return nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="circular")


def _fitting(kernel: int, length: int) -> int:
    """Odd length of a convolution that hardly reaches further than once around."""
    return min(kernel, 2 * (length // 2) + 1)


def with_spectral_norm(critic: Callable[[Wrap], Critic], *, iterations: int, warm_up: int) -> Critic:
    """Make a critic of which every layer has the spectral norm one (Miyato et al., arXiv 1802.05957).

    The norm is that of the kernel as a matrix (outputs, inputs · k), which bounds that of the convolution up
    to a factor sqrt(k): the critic has some Lipschitz constant L that nobody knows, and rates L times the
    distance. That changes nothing for the generator, but ratings of two runs are not comparable.

    Parameters
    ----------
    critic : callable
        Makes it from what is to be done to each layer.
    iterations : int
        Power iterations in each pass while training; between two passes a weight changes little.
    warm_up : int
        Power iterations before the first pass, beyond the 15 of torch.
    """
    made = critic(lambda layer: spectral_norm(layer, n_power_iterations=iterations))
    made.train()
    with torch.no_grad():
        for _ in range(warm_up):
            for layer in normalised_layers(made):
                _ = layer.weight  # torch iterates whenever the weight of a layer in training is asked for
    return made


def normalised_layers(critic: nn.Module) -> list[nn.Module]:
    """Return the layers with a weight matrix: all convolutions and dense layers."""
    return [layer for layer in critic.modules() if isinstance(layer, (nn.Conv1d, nn.Linear))]


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Let gradients pass through networks inside, to none of their weights."""
    weights = [weight for network in networks for weight in network.parameters()]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
