"""Losses of the three networks, and a toy whose optimum is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mpikit import Run
from mpikit_plugins.training import Player, play
from mpikit_plugins.training.chance import seeded
from mpikit_plugins.training.threads import threads_for
from mpikit_plugins.wgan.batches import Measured, Unpaired
from mpikit_plugins.wgan.critic import Critic, with_spectral_norm
from mpikit_plugins.wgan.game import Game
from mpikit_plugins.wgan.options import PenaltyOptions, SpectralOptions


class Linear(nn.Module):
    """A critic that rates by a slope, and by what it is told."""

    def __init__(self, slope, told=0.0):
        super().__init__()
        self.slope, self.told = nn.Parameter(torch.tensor(slope)), told

    def forward(self, signal, condition):
        return (signal * self.slope).sum(dim=(1, 2)) + self.told * condition


@pytest.fixture
def batch():
    torch.manual_seed(0)
    noisy, added, other, repeat = (torch.randn(5, 2, 3) for _ in range(4))
    size, told = torch.linspace(1, 3, 5), torch.linspace(-1, 2, 5)
    return noisy, size, told, added, other, repeat, torch.tensor([1.0, 0, 1, 1, 0])


def game(options=None, generate=lambda noisy: 0.5 * noisy):
    slope = [[0.1, -0.2, 0.3], [0.0, 0.5, -0.4]]
    return Game(generate, Linear(slope, 0.7), Linear([[1.0, 0, 0], [0, 0, 2]]), options or SpectralOptions())


def test_the_losses_are_those_of_dittmer(batch):
    noisy, size, told, added, other, _, _ = batch
    played = game()
    rate_noise, rate_signal = played.noise_critic, played.signal_critic
    scale = size[:, None, None]
    residual, renoised = 0.5 * noisy / scale, (0.5 * noisy + added) / scale
    expected = {
        "noise": rate_noise(residual, told).mean() - rate_noise(other / scale, told).mean(),
        "signal": rate_signal(renoised, told).mean() - rate_signal(noisy / scale, told).mean(),
        "generator": -rate_noise(residual, told).mean() - rate_signal(renoised, told).mean(),
    }
    for name, value in expected.items():
        found = getattr(played, f"{name}_loss")(*batch[:5])
        torch.testing.assert_close(found, value)


def test_the_weights_and_the_pairs(batch):
    noisy, size, _, _, _, repeat, known = batch
    plain = game().generator_loss(*batch)
    error = ((0.5 * noisy - repeat) / size[:, None, None]).square().mean(dim=(1, 2))
    paired = game(SpectralOptions(paired_weight=4.0)).generator_loss(*batch)
    torch.testing.assert_close(paired - plain, 4 * (error * known).mean())
    one, three = (
        game(SpectralOptions(noise_weight=weight)).generator_loss(*batch[:5]) for weight in (1.0, 3.0)
    )
    residual = game().noise_critic(0.5 * noisy / size[:, None, None], batch[2]).mean()
    torch.testing.assert_close(three - one, -2 * residual)


def test_the_hinge(batch):
    noisy, size, told, _, other, _, _ = batch
    played = game(SpectralOptions(loss="hinge"))
    scale = size[:, None, None]
    real, made = played.noise_critic(other / scale, told), played.noise_critic(0.5 * noisy / scale, told)
    wanted = (1 - real).clamp(min=0).mean() + (1 + made).clamp(min=0).mean()
    torch.testing.assert_close(played.noise_loss(*batch[:5]), wanted)


@pytest.mark.parametrize(
    ("one_sided", "length", "wanted"), [(True, 3.0, 4.0), (True, 0.5, 0), (False, 0.5, 0.25)]
)
def test_the_penalty_of_a_critic_whose_gradient_is_known(batch, one_sided, length, wanted):
    slope = torch.ones(2, 3) * length / np.sqrt(6)
    plain, with_penalty = (
        Game(lambda noisy: noisy, Linear(slope.tolist()), Linear(slope.tolist()), options).noise_loss(
            *batch[:5]
        )
        for options in (SpectralOptions(), PenaltyOptions(penalty=7.0, one_sided=one_sided))
    )
    torch.testing.assert_close(with_penalty - plain, torch.tensor(7.0 * wanted), atol=1e-4, rtol=1e-5)


def test_critics_learn_nothing_in_the_turn_of_the_generator(batch):
    gain = torch.tensor(0.5, requires_grad=True)
    played = game(generate=lambda noisy: gain * noisy)
    played.generator_loss(*batch[:5]).backward()
    assert gain.grad is not None
    assert played.noise_critic.slope.grad is None
    gain.grad = None
    played.noise_loss(*batch[:5]).backward()
    played.signal_loss(*batch[:5]).backward()
    assert gain.grad is None
    assert played.noise_critic.slope.grad is not None


def test_the_distance_is_relative_to_doing_nothing(batch):
    """With slopes of one sign: y = 2 everywhere, noise = 0.5 everywhere: nothing is left to chance."""
    two, half = torch.full((5, 2, 3), 2.0), torch.full((5, 2, 3), 0.5)
    ones, none = torch.ones(5), torch.zeros(5)
    for gain in (0.0, 0.25, 0.5, 0.75, 1.0):
        played = Game(
            lambda y, gain=gain: gain * y,
            Linear(np.ones((2, 3)).tolist()),
            Linear(np.ones((2, 3)).tolist()),
            SpectralOptions(),
        )
        found = played.held_out_distance(two, ones, none, half, half)
        own = 2 * abs(2 * (1 - gain) - 0.5)
        # nothing done: residual 0 for 0.5, re-noised 2.5 for 2; all taken away: 2 for 0.5, 0.5 for 2
        assert found.error == pytest.approx(own / 3, abs=1e-6)
        assert found.uncertainty == pytest.approx(0, abs=1e-6)


def toy(dimensions, *, steps, kind="sn", seed=0):
    """Gaussian signal and noise, both of covariance one, and a linear generator; its matrix afterwards.

    The distributions match where A = R / sqrt(2) with a rotation R whose symmetric part is 1 / sqrt(2): the
    posterior mean y / 2 is turned and made longer.
    """
    rng = np.random.default_rng(seed)
    clean, noise, more = rng.normal(size=(3, 4000, 1, dimensions)).astype(np.float32)
    shared = {"steps": steps, "evaluate_every": steps, "batch": 128, "condition": False, "critic_depth": 0}
    rates = {"learning_rate": 0.01, "critic_learning_rate": 0.02, "schedule": "one-cycle", "ema": 0.95}
    options = (SpectralOptions if kind == "sn" else PenaltyOptions)(
        **shared, **rates, critic_features=64, critic_updates=2
    )
    known = (np.ones(4000, np.float32), np.zeros(4000, np.float32), np.ones(4000), np.arange(4000))
    with threads_for(0), seeded(seed, "cpu"):
        network = nn.Linear(dimensions, dimensions, bias=False)
        critics = [
            with_spectral_norm(
                lambda wrap: Critic(1, dimensions, options, wrap=wrap), iterations=1, warm_up=20
            )
            if kind == "sn"
            else Critic(1, dimensions, options)
            for _ in range(2)
        ]
        played = Game(network, *critics, options)
        given = {"batch": options.batch, "ranges": 1, "paired": False, "device": "cpu"}
        batches = Unpaired(Measured(clean + noise, *known), more, **given, rng=rng)
        losses = (played.generator_loss, played.noise_loss, played.signal_loss)
        rates = (options.learning_rate, *2 * [options.critic_learning_rate])
        players = [
            Player(player, loss, rate, (options.beta1, options.beta2))
            for player, loss, rate in zip((network, *critics), losses, rates, strict=True)
        ]
        play(players, batches, options, run=Run(rng=rng))
    return network.weight.detach().numpy().astype(np.float64)


@pytest.mark.parametrize(("dimensions", "seed"), [(2, 1), (4, 1)])
def test_the_optimum_of_a_gaussian_toy_and_what_it_costs(dimensions, seed):
    """Both distributions match in the end, and the error is twice that of the posterior mean: 3 dB.

    The tolerances are those of a run of a second: after 1000 steps with batches of 256 covariances come
    within 0.09, and the ratio to 1.99, in 2 and in 4 dimensions.
    """
    matrix, unit = toy(dimensions, steps=150, seed=seed), np.eye(dimensions)
    output, residual = 2 * matrix @ matrix.T, 2 * (unit - matrix) @ (unit - matrix).T
    assert np.abs(output - unit).max() < 0.6
    assert np.abs(residual - unit).max() < 0.6
    assert np.trace(output) / dimensions == pytest.approx(1, abs=0.4)
    assert np.trace(residual) / dimensions == pytest.approx(1, abs=0.4)
    error = np.trace(output - 2 * matrix + unit) / dimensions
    posterior_mean = 0.5
    assert 1.6 < error / posterior_mean < 2.5
    # noise is not left out but made up: the output is no shrunken input
    assert np.linalg.norm(matrix - matrix.T) > 0.5
