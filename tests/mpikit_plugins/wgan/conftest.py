"""Scans of few samples for the WGAN: many point-like signals of several amplitudes, and empty frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run
from mpikit.events import silent
from mpikit.testing import example_scan
from mpikit_plugins.wgan.method import PenaltyGAN, SpectralGAN
from mpikit_plugins.wgan.options import PenaltyOptions, SpectralOptions

SMALL = {
    "features": 3,
    "bottleneck": 4,
    "kernel": 3,
    "critic_features": 4,
    "critic_widest": 8,
    "critic_depth": 2,
    "batch": 8,
    "steps": 10,
    "evaluate_every": 4,
    "ema": 0.5,
}
METHODS = {"wgan-sn": (SpectralGAN, SpectralOptions), "wgan-gp": (PenaltyGAN, PenaltyOptions)}


@pytest.fixture
def make():
    def make(name="wgan-sn", **options):
        method, model = METHODS[name]
        fewer = {"critic_updates": 2} if name == "wgan-gp" else {}
        return method(model(**(SMALL | fewer | options)))

    return make


@pytest.fixture
def run():
    def run(seed=0, tell=silent, checkpoint=None):
        return Run(rng=np.random.default_rng(seed), tell=tell, checkpoint=checkpoint)

    return run


@pytest.fixture
def many_amplitudes():
    """Return a maker of scans: six objects of amplitudes over a decade, a locked background in all frames."""

    def scan(*, repeats="periods", periods=9, background=1.0, empty=4, seed=4, largest=1.0):
        base = example_scan(frames=6, periods=periods, repeats=repeats, background_frames=empty)
        rng = np.random.default_rng(seed)
        times = np.arange(162) / 162
        waves = np.sin(2 * np.pi * np.outer(np.arange(1, 6), times))
        clean = (rng.normal(size=(6, 1, 2, 5)) / np.arange(1, 6)) @ waves
        clean /= np.sqrt(np.mean(clean**2, axis=(2, 3), keepdims=True))
        clean = clean * (largest * np.geomspace(0.1, 1, 6))[:, None, None, None]
        locked = background * np.cos(2 * np.pi * 3 * times)
        noisy = clean + locked + rng.normal(0, 0.1, base.signal.shape)
        frames = locked + rng.normal(0, 0.1, base.background.shape)
        return replace(base, signal=noisy.astype(np.float32), background=frames.astype(np.float32))

    return scan
