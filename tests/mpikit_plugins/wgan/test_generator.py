"""The autoencoder: homogeneous, any length, few numbers in its middle."""

from __future__ import annotations

import pytest
import torch

from mpikit_plugins.wgan.generator import Autoencoder


def make(samples=51, channels=2, **options):
    torch.manual_seed(2)
    given = {"features": 5, "kernel": 5, "bottleneck": 3, "bias": False, "residual": False} | options
    return Autoencoder(channels, samples, **given)


@pytest.mark.parametrize("samples", [2, 5, 16, 51, 102])
@pytest.mark.parametrize("residual", [False, True])
def test_any_length_and_homogeneous(samples, residual):
    network = make(samples, residual=residual)
    with torch.no_grad():
        network.head.weight.normal_()
    signal = torch.randn(7, 2, samples)
    output = network(signal)
    assert output.shape == signal.shape
    torch.testing.assert_close(network(3 * signal), 3 * output, rtol=1e-4, atol=1e-4)
    assert torch.equal(network(0 * signal), 0 * signal)


def test_the_residual_form_starts_as_it_is():
    signal = torch.randn(7, 2, 51)
    assert torch.equal(make(residual=True)(signal), signal)


def test_a_bias_is_not_homogeneous():
    network, signal = make(bias=True), torch.randn(4, 2, 51)
    with torch.no_grad():
        network.head.bias.fill_(1)
    assert not torch.allclose(network(3 * signal), 3 * network(signal), atol=0.1)


def test_nothing_but_few_numbers_pass():
    """The slope of the output has no more dimensions than the bottleneck."""
    network, signal = make(20, bottleneck=3), torch.randn(1, 2, 20)
    slope = torch.autograd.functional.jacobian(network, signal).reshape(40, 40)
    assert torch.linalg.matrix_rank(slope, rtol=1e-4) == 3
