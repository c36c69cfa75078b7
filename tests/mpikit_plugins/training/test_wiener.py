"""A linear network and Gaussian signals: Noise2Noise and R2R find the Wiener filter, from noise alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mpikit import Run
from mpikit_plugins.r2r.recorruption import Recorruption
from mpikit_plugins.training import Pairs, RepeatedSignals, Singles, TrainingOptions, train

SAMPLES, SIGNALS, REPEATS, ALPHA = 4, 100_000, 3, 0.5
OPTIONS = TrainingOptions(steps=2000, batch=512, learning_rate=3e-2, weight_decay=0, clip=1e9)


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(SAMPLES, SAMPLES))

    def forward(self, signal):
        return signal @ self.matrix.T


class Squares:
    """Least squares between the two parts of a batch, or of what `pair` makes of it."""

    def __init__(self, pair=lambda *batch: batch):
        self.pair = pair

    def loss(self, network, *batch):
        first, second = self.pair(*batch)
        return (network(first) - second).square().mean()

    def predict(self, network, noisy):
        return network(noisy)


@pytest.fixture(scope="module")
def signals():
    """Correlated signals, and coloured noise: circulant, so that its lines are independent."""
    rng = np.random.default_rng(12)
    mix = rng.normal(size=(SAMPLES, SAMPLES)) / 2
    clean = rng.normal(size=(SIGNALS, 1, 1, SAMPLES)) @ mix.T
    power = np.array([1.0, 3.0, 2.0])  # of the lines of a period
    white = np.fft.rfft(rng.normal(size=(SIGNALS, REPEATS, 1, SAMPLES)))
    noise = np.fft.irfft(white * np.sqrt(power / SAMPLES), n=SAMPLES)
    impulse = np.fft.irfft(power / SAMPLES, n=SAMPLES)
    covariance = np.array([np.roll(impulse, shift) for shift in range(SAMPLES)])
    flat = clean[:, 0, 0]
    return (clean + noise).astype(np.float32), flat.T @ flat / SIGNALS, covariance, power


def fitted(batches, objective=None):
    network = Linear()
    run = Run(rng=np.random.default_rng(1))
    train(network, objective or Squares(), RepeatedSignals([], []), OPTIONS, run=run, batches=batches)
    return network.matrix.detach().numpy()


def wiener(clean, noise):
    return clean @ np.linalg.inv(clean + noise)


@pytest.mark.parametrize("rule", ["pair", "mean"])
def test_noise2noise_finds_the_wiener_filter(signals, rule):
    noisy, clean, noise, _ = signals
    batches = Pairs([noisy], batch=OPTIONS.batch, device="cpu", rule=rule)
    assert np.abs(wiener(clean, noise) - np.eye(SAMPLES)).max() > 0.3
    np.testing.assert_allclose(fitted(batches), wiener(clean, noise), atol=0.01)


def recorrupted(power):
    return Recorruption(np.asarray(power, float)[None], ALPHA)


def test_r2r_finds_that_of_its_noisier_input(signals):
    """It equals supervised training on inputs with 1 + alpha² times the noise."""
    noisy, clean, noise, power = signals
    batches = Singles([noisy], batch=OPTIONS.batch, device="cpu")
    torch.manual_seed(4)
    found = fitted(batches, Squares(recorrupted(power).pair))
    np.testing.assert_allclose(found, wiener(clean, (1 + ALPHA**2) * noise), atol=0.01)


def test_r2r_with_the_wrong_noise_finds_what_theory_says(signals):
    """Noise that is not covered is taken for signal: W = (Cx + S - Sa)(Cx + S + alpha² Sa)^-1."""
    noisy, clean, noise, power = signals
    batches = Singles([noisy], batch=OPTIONS.batch, device="cpu")
    torch.manual_seed(4)
    found = fitted(batches, Squares(recorrupted(0.25 * power).pair))
    wrong = (clean + 0.75 * noise) @ np.linalg.inv(clean + noise + ALPHA**2 * 0.25 * noise)
    np.testing.assert_allclose(found, wrong, atol=0.01)
    assert np.abs(wrong - wiener(clean, (1 + ALPHA**2) * noise)).max() > 0.1
