"""Scans for the tests of methods: few patterns of sines, so that the signals are of low rank."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from mpikit import Run, Scan
from mpikit.testing import example_scan

LINES, SAMPLES = np.arange(1, 25), 162


@dataclass(frozen=True)
class Known:
    """A noisy scan, its clean signals (N, J, C, V), and the noise of one sample."""

    scan: Scan
    clean: np.ndarray
    level: float

    def error(self, output):
        return np.mean((output - self.clean) ** 2)

    @property
    def noise(self):
        return self.error(self.scan.signal)


@pytest.fixture
def make_known():
    """Return a maker of known scans: N objects, J repeats of each, rank 3, phases turned by an angle."""

    def make(*, objects=80, periods=2, level=1.0, angle=0.0, rank=3, repeats="periods", seed=5, empty=0):
        rng = np.random.default_rng(seed)
        patterns = rng.normal(size=(rank, 2, len(LINES))) / LINES**0.3
        amounts = rng.normal(size=(objects, rank)) * 2.0 ** -np.arange(rank)
        spectra = np.zeros((objects, 1, 2, SAMPLES // 2 + 1), complex)
        spectra[:, 0, :, LINES] = np.einsum("nr,rck->knc", amounts, patterns)
        spectra *= 1j * np.exp(1j * angle) * SAMPLES / 2
        clean = np.repeat(np.fft.irfft(spectra, n=SAMPLES), periods, axis=1)
        base = example_scan(frames=objects, periods=periods, repeats=repeats, background_frames=empty)
        noisy = clean + level * rng.normal(size=clean.shape)
        background = level * rng.normal(size=base.background.shape)
        scan = replace(base, signal=noisy.astype(np.float32), background=background.astype(np.float32))
        return Known(scan, clean, level)

    return make


@pytest.fixture
def denoise():
    """Return a function that fits a method to a scan and denoises it, or another."""

    def work(record, scan, other=None, *, told=None, **options):
        def tell(event):
            if told is not None:
                told.append(event)

        run = Run(rng=np.random.default_rng(0), tell=tell)
        method = record.build(record.options(**options))
        method.fit([scan], run=run)
        return method.denoise(other or scan, run=run)

    return work
