"""Critics: every layer has the spectral norm one, and none has batch statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mpikit_plugins.wgan.critic import Critic, frozen, normalised_layers, with_spectral_norm
from mpikit_plugins.wgan.options import PenaltyOptions, SpectralOptions


def norms(critic):
    critic.eval()  # as it is: no further power iteration
    with torch.no_grad():
        return [
            float(np.linalg.norm(layer.weight.flatten(1).double().numpy(), 2))
            for layer in normalised_layers(critic)
        ]


def make(channels=2, samples=51, **options):
    options = SpectralOptions(critic_features=8, **options)
    return with_spectral_norm(
        lambda wrap: Critic(channels, samples, options, wrap=wrap),
        iterations=options.power_iterations,
        warm_up=options.warm_up,
    )


@pytest.mark.parametrize("head", ["dense", "mean"])
def test_every_layer_has_the_spectral_norm_one_after_the_warm_up(head):
    torch.manual_seed(3)
    critic = make(critic_head=head, critic_depth=3, critic_kernel=5)
    layers = normalised_layers(critic)
    assert [isinstance(layer, nn.Conv1d) for layer in layers] == [True, True, True, True, False]
    # all weights there are belong to these layers
    weights = [name for name, _ in critic.named_parameters() if name.endswith("original")]
    assert len(weights) == len(layers)
    assert not [name for name, value in critic.named_parameters() if value.ndim > 1 and name not in weights]
    assert all(0.99 < norm <= 1.02 for norm in norms(critic))


def test_weights_that_no_iteration_has_seen_are_larger():
    """The check above can fail."""
    torch.manual_seed(3)
    critic = make(critic_depth=1)
    layer = normalised_layers(critic)[1]
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.randn_like(layer.weight))
    assert max(norms(critic)) > 1.1


def test_one_iteration_in_a_pass_follows_the_training():
    torch.manual_seed(1)
    critic = make(critic_depth=2)
    optimiser = torch.optim.Adam(critic.parameters(), lr=4e-4, betas=(0.0, 0.9))
    for _ in range(30):
        signal = torch.randn(16, 2, 51)
        loss = critic(signal, signal[:, 0, 0]).mean() - critic(2 * signal, signal[:, 0, 0]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    critic.train()
    critic(signal, signal[:, 0, 0])
    assert all(norm <= 1.05 for norm in norms(critic))


@pytest.mark.parametrize("samples", [2, 3, 7, 8, 51])
@pytest.mark.parametrize("head", ["dense", "mean"])
def test_any_length(samples, head):
    critic = Critic(3, samples, PenaltyOptions(critic_features=4, critic_head=head), normalise=True)
    assert critic(torch.randn(5, 3, samples), torch.zeros(5)).shape == (5,)
    assert any(isinstance(layer, nn.GroupNorm) for layer in critic.modules())
    assert not any(isinstance(layer, (nn.BatchNorm1d, nn.Dropout)) for layer in critic.modules())


def test_it_is_told_the_amplitude():
    torch.manual_seed(0)
    signal, known = torch.randn(4, 2, 51), torch.linspace(-1, 1, 4)
    told, deaf = (make(condition=condition).eval() for condition in (True, False))
    assert not torch.allclose(told(signal, known), told(signal, -known))
    assert torch.equal(deaf(signal, known), deaf(signal, -known))


def test_a_dense_head_sees_where_something_is():
    torch.manual_seed(0)
    signal, known = torch.randn(4, 2, 64), torch.zeros(4)
    turned = signal.roll(16, -1)  # as often as the layers halve
    mean, dense = (make(samples=64, critic_head=head, critic_depth=3).eval() for head in ("mean", "dense"))
    torch.testing.assert_close(mean(signal, known), mean(turned, known), atol=1e-6, rtol=0)
    assert not torch.allclose(dense(signal, known), dense(turned, known), atol=1e-3)


def test_frozen_critics_pass_gradients_on():
    critic, signal = make(), torch.randn(2, 2, 51, requires_grad=True)
    with frozen(critic):
        loss = critic(signal, torch.zeros(2)).sum()
    loss.backward()
    assert signal.grad.abs().sum() > 0
    assert all(weight.grad is None and weight.requires_grad for weight in critic.parameters())
