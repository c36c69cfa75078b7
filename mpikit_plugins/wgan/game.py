"""The game of one generator against two critics (Dittmer et al., doi 10.3934/naco.2022017)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import relu

from mpikit.metrics import ReferenceFree
from mpikit_plugins.wgan.critic import Critic, frozen
from mpikit_plugins.wgan.options import PenaltyOptions, WassersteinOptions

Generate = Callable[[Tensor], Tensor]


class Game:
    """Losses of the three networks.

    With x = G(y) the residual y - x is to be like noise, and x with other noise like y. The one critic rates
    the former, the other the latter; both see everything divided by the size of the measurement. Where both
    distributions match, the error is up to twice that of the posterior mean: what the noise hides is not left
    out of the output, but made up.

    Parameters
    ----------
    generate : callable
        G, on periods (B, C, W).
    noise_critic, signal_critic : Critic
    options : WassersteinOptions
    """

    def __init__(
        self, generate: Generate, noise_critic: Critic, signal_critic: Critic, options: WassersteinOptions
    ) -> None:
        self.generate, self.options = generate, options
        self.noise_critic, self.signal_critic = noise_critic, signal_critic

    def generator_loss(self, *batch: Tensor) -> Tensor:
        """Loss of the generator: both critics should take what it makes for measured."""
        noisy, size, condition, added, _, *pair = batch
        output, scale = self.generate(noisy), size[:, None, None]
        total: Tensor
        with frozen(self.noise_critic, self.signal_critic):
            residual = self.noise_critic((noisy - output) / scale, condition).mean()
            renoised = self.signal_critic((output + added) / scale, condition).mean()
        total = -self.options.noise_weight * residual - renoised
        if self.options.paired_weight:
            repeat, known = pair
            error = ((output - repeat) / scale).square().mean(dim=(-2, -1))
            total = total + self.options.paired_weight * (error * known).mean()
        return total

    def noise_loss(self, *batch: Tensor) -> Tensor:
        """Loss of the critic that tells noise from residuals."""
        noisy, size, condition, _, other, *_ = batch
        with torch.no_grad():
            residual = noisy - self.generate(noisy)
        return self._critic_loss(self.noise_critic, other, residual, size, condition)

    def signal_loss(self, *batch: Tensor) -> Tensor:
        """Loss of the critic that tells measured from re-noised signals."""
        noisy, size, condition, added, *_ = batch
        with torch.no_grad():
            renoised = self.generate(noisy) + added
        return self._critic_loss(self.signal_critic, noisy, renoised, size, condition)

    def _critic_loss(
        self, critic: Critic, real: Tensor, made: Tensor, size: Tensor, condition: Tensor
    ) -> Tensor:
        scale = size[:, None, None]
        # in one pass, so that spectral norms are computed once
        both = torch.cat([real / scale, made / scale])
        high, low = critic(both, torch.cat([condition, condition])).chunk(2)
        if self.options.loss == "hinge":
            total = relu(1 - high).mean() + relu(1 + low).mean()
        else:
            total = low.mean() - high.mean()
        if isinstance(self.options, PenaltyOptions):
            excess = self._penalty(critic, real / scale, made / scale, condition)
            total = total + self.options.penalty * excess
        return total

    def _penalty(self, critic: Critic, real: Tensor, made: Tensor, condition: Tensor) -> Tensor:
        """Mean square by which the gradient is longer than one, at random places between real and made."""
        share = torch.rand(len(real), 1, 1, device=real.device, dtype=real.dtype)
        between = (made + share * (real - made)).requires_grad_(True)
        rating = critic(between, condition).sum()
        (slope,) = torch.autograd.grad(rating, between, create_graph=True)
        # the root of zero has no slope
        excess = (slope.square().sum(dim=(-2, -1)) + 1e-12).sqrt() - 1
        one_sided = isinstance(self.options, PenaltyOptions) and self.options.one_sided
        return (relu(excess) if one_sided else excess).square().mean()

    def held_out_distance(self, *batch: Tensor) -> ReferenceFree:
        """Return how far both critics see the output from measured, on samples that no network has learnt.

        As the critics change all the time, it is relative to what they say of a generator that does nothing,
        or takes everything away, whichever is further. By two standard errors more than was measured: critics
        that see nothing yet are no proof of a good generator.
        """
        noisy, size, condition, added, other = batch[:5]
        critics = (self.noise_critic, self.signal_critic)
        training = [critic.training for critic in critics]
        for critic in critics:
            critic.eval()
        outputs = (self.generate(noisy), noisy, torch.zeros_like(noisy))
        found = [self._distance(output, noisy, size, condition, added, other) for output in outputs]
        for critic, was in zip(critics, training, strict=True):
            critic.train(was)
        distance, doubt = found[0]
        most = max(found[1][0], found[2][0], 1e-12)
        return ReferenceFree((distance + 2 * doubt) / most, doubt / most, 1.0)

    def _distance(
        self, output: Tensor, noisy: Tensor, size: Tensor, condition: Tensor, added: Tensor, other: Tensor
    ) -> tuple[float, float]:
        """Sum of both distances with its standard error."""
        scale = size[:, None, None]
        pairs = (
            (self.noise_critic, other, noisy - output, self.options.noise_weight),
            (self.signal_critic, noisy, output + added, 1.0),
        )
        total, variance = 0.0, 0.0
        with torch.no_grad():
            for critic, real, made, weight in pairs:
                high, low = critic(real / scale, condition), critic(made / scale, condition)
                total += weight * abs(float(high.mean() - low.mean()))
                both = high.var(correction=0) + low.var(correction=0)
                variance += weight**2 * float(both) / len(high)
        return total, variance**0.5
