"""The score while it trains, against errors that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from mpikit.testing import example_scan
from mpikit_plugins.wgan.noise import foreground, judged, noise_samples
from mpikit_plugins.wgan.selection import HeldOut
from mpikit_plugins.wgan.training_data import training_data


class Shrink(nn.Module):
    def forward(self, signal):
        return 0.8 * signal


def scan_of(repeats, seed, periods):
    base = example_scan(frames=12, periods=periods, repeats=repeats, background_frames=8)
    rng = np.random.default_rng(seed)
    times = 2 * np.pi * np.arange(162) / 162
    clean = rng.normal(size=(12, 1, 2, 4)) @ np.sin(np.outer(np.arange(1, 5), times))
    locked = 2 * np.cos(3 * times)
    noisy = clean + locked + rng.normal(0, 0.7, base.signal.shape)
    frames = locked + rng.normal(0, 0.7, base.background.shape)
    scan = replace(base, signal=noisy.astype(np.float32), background=frames.astype(np.float32))
    return scan, np.broadcast_to(clean, scan.signal.shape)


def held_out(method, scan, run):
    """What `fit` makes of a scan."""
    options = method.options
    seen, free = foreground(scan, options), judged(scan, options)
    pool = noise_samples([scan], options, run=run)
    groups, judges = (method.split([each.signal]) for each in (seen, free))
    data = training_data(groups.training, pool, method.seen, options)
    return HeldOut(method, groups, method._on_grid(judges, [free]), [free], data)


@pytest.mark.parametrize("background", ["learn", "subtract"])
def test_the_error_by_repeats_is_that_of_the_output(make, run, background):
    """Unbiased over many scans, though no judge is clean, and only some repeats are inputs."""
    method = make(background=background, lines="all", symmetry="off", steps=2)
    method.fit([scan_of("periods", 0, 10)[0]], run=run())
    network, found, known, doubts = Shrink(), [], [], []
    for seed in range(30):
        scan, clean = scan_of("periods", seed, 10)
        judge = held_out(method, scan, run())
        assert judge.has_repeats
        score = judge.by_repeats(network, None, "cpu")
        output = method.generate(network, _tensor(method.seen(foreground(scan, method.options).signal)))
        estimate = output.numpy().reshape(clean.shape) * method.preparation.level.numpy()
        known.append(np.mean((estimate - clean)[:, 8:] ** 2))  # the last fifth of the periods is kept back
        found.append(score.error)
        doubts.append(score.uncertainty)
    difference = np.array(found) - known
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert abs(difference.mean()) < 4 * error
    assert error < 0.1 * np.mean(known)
    assert 0.3 < difference.std() / np.mean(doubts) < 2


def _tensor(seen):
    import torch

    return torch.from_numpy(seen.reshape(-1, *seen.shape[-2:]))
