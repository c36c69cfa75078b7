"""``n2n`` as a method: its losses, and that it learns from noise alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mpikit import Run
from mpikit.testing import example_scan
from mpikit_plugins.n2n.method import Noise2Noise
from mpikit_plugins.n2n.options import Noise2NoiseOptions


def make(**options):
    return Noise2Noise(Noise2NoiseOptions(**({"features": 4, "kernel": 3, "batch": 8} | options)))


def run():
    return Run(rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "distance"),
    [
        ({}, np.mean([0.01, 9, 0.36])),
        ({"loss": "l1"}, np.mean([0.1, 3, 0.6])),
        ({"loss": "huber"}, np.mean([0.005, 0.5 * (3 - 0.25), 0.5 * (0.6 - 0.25)])),
        ({"loss": "huber", "delta": 1.0}, np.mean([0.005, 3 - 0.5, 0.18])),
    ],
)
def test_the_losses(options, distance):
    output = torch.tensor([[[1.0, 2.0, -0.5]]], dtype=torch.float64)
    target = torch.tensor([[[1.1, -1.0, 0.1]]], dtype=torch.float64)
    assert float(make(**options).distance(output, target)) == pytest.approx(distance, rel=1e-6)


@pytest.mark.parametrize("pairs", ["pair", "mean", "subset"])
def test_it_learns_from_noise_alone(pairs):
    """Only the network: all lines, no symmetry; many clean signals, six repeats of each."""
    scan = example_scan(frames=40, periods=6, repeats="periods", background_frames=0)
    rng = np.random.default_rng(8)
    waves = np.sin(2 * np.pi * np.outer(np.arange(1, 13), np.arange(162)) / 162)
    clean = (rng.normal(size=(40, 1, 2, 12)) / np.arange(1, 13)) @ waves
    clean = np.broadcast_to(clean / clean.std(), scan.signal.shape)
    scan = replace(scan, signal=(clean + rng.normal(0, 0.3, clean.shape)).astype(np.float32))
    options = {"lines": "all", "symmetry": "off", "features": 8, "learning_rate": 4e-3}
    method = make(steps=100, evaluate_every=20, pairs=pairs, **options)
    method.fit([scan], run=run())
    output = method.denoise(scan, run=run())
    assert np.mean((output - clean) ** 2) < 0.7 * 0.3**2
    [best] = [score for _, score in method.history if score.error == min(s.error for _, s in method.history)]
    held_out = output[32:] - clean[32:]
    assert best.error == pytest.approx(np.mean(held_out**2), abs=4 * best.uncertainty)


def test_a_spike_does_not_matter_to_l1(rng):
    """The gradient of one wrong sample is that of any other."""
    output = torch.zeros(1, 1, 50, dtype=torch.float64, requires_grad=True)
    target = torch.from_numpy(rng.normal(size=(1, 1, 50)))
    target[0, 0, 7] = 1e6
    for loss, most in (("l1", 1.01 / 50), ("huber", 0.51 / 50), ("l2", np.inf)):
        (slope,) = torch.autograd.grad(make(loss=loss).distance(output, target), output)
        assert slope.abs().max() <= most
    assert slope[0, 0, 7].abs() > 1e4
