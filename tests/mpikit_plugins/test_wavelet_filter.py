"""``wavelet``: the symmetry on the way to the finer grid and back is that of whole periods."""

from __future__ import annotations

import numpy as np
import pytest

from mpikit.signal import HarmonicFilter
from mpikit.signal.symmetry import Symmetry
from mpikit_plugins.classic.wavelet import WaveletOptions, WaveletShrinkage, _shrink, padded_length, resample


def harmonic_filter(rng, samples, *, symmetric):
    lines = samples // 2 + 1
    keep = rng.random((2, lines)) < 0.8
    if not symmetric:
        return HarmonicFilter(keep, None, samples)
    angle = rng.normal(size=(2, lines))
    symmetry = Symmetry(angle, rng.random((2, lines)) < 0.7, np.ones((2, lines)))
    keep[:, [0, -1]] = False  # as of every scan with a symmetry
    return HarmonicFilter(keep, symmetry, samples)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("samples", "levels"), [(162, 3), (161, 2), (160, 4)])
@pytest.mark.parametrize("shifts", [1, 3])
def test_it_is_filter_shrinkage_filter(rng, samples, levels, symmetric, shifts):
    """One after the other, each on whole periods, as a reference."""
    harmonic = harmonic_filter(rng, samples, symmetric=symmetric)
    options = WaveletOptions(wavelet="db2", shifts=shifts)
    method = WaveletShrinkage(options)
    signal = rng.normal(size=(5, 2, samples)).astype(np.float32)
    thresholds = rng.uniform(0.2, 1, (2, levels)).astype(np.float32)
    padded = resample(harmonic(signal), padded_length(samples, levels))
    places = np.arange(shifts) * 2**levels // shifts
    found = [
        np.roll(_shrink(np.roll(padded, place, -1), options, thresholds), -place, -1) for place in places
    ]
    expected = harmonic(resample(np.mean(found, axis=0), samples))
    result = method._shrunk(signal, harmonic, thresholds)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=2e-5)
