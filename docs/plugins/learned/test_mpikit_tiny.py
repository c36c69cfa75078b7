"""mpikit-tiny keeps the contract of mpikit's plugins, and learns something."""

from __future__ import annotations

import numpy as np
from mpikit_tiny import TinyOptions, mpikit_denoisers

from mpikit import Run
from mpikit.testing import check_denoiser, example_scan

[DENOISER] = mpikit_denoisers()


def test_it_keeps_the_contract():
    check_denoiser(DENOISER, TinyOptions(steps=20))


def test_training_reduces_the_error():
    scan = example_scan(frames=12)
    clean = example_scan(frames=900).signal.mean(axis=0)  # the same signal, hardly any noise

    def error(steps):
        method = DENOISER.build(TinyOptions(steps=steps, learning_rate=1e-2, background="keep"))
        run = Run(rng=np.random.default_rng(0))
        method.fit([scan], run=run)
        return np.mean((method.denoise(scan, run=run) - clean) ** 2)

    np.testing.assert_array_less(error(150), error(1) / 10)
    np.testing.assert_array_less(error(150), np.mean((scan.signal - clean) ** 2))
