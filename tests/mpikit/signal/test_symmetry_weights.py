"""Phases are fitted from the measurements that tell them, whatever their noise."""

import numpy as np
import pytest

from mpikit.signal import fit_symmetry

LINES, FREQUENCIES = 60, np.fft.rfftfreq(118, 1e-6)


def measured(rng, strength, sigma):
    """Odd signals of the first forty lines, each of its own strength and noise."""
    theta = rng.uniform(-1, 1, LINES)
    clean = 1j * np.exp(1j * theta) * rng.normal(size=(len(strength), 1, LINES)) * strength[:, None, None]
    clean[..., 40:] = 0
    noise = rng.normal(size=(2, len(strength), 1, LINES)) * sigma[:, None, None] / np.sqrt(2)
    return clean, clean + noise[0] + 1j * noise[1], np.full((1, LINES), np.mean(sigma**2))


@pytest.mark.parametrize("kind", ["same noise", "noise in proportion"])
def test_what_the_projection_leaves_of_clean_signals(rng, kind):
    """All but a thousandth, of a dilution series over four decades or of signals of one SNR."""
    strength = np.repeat(10.0 ** np.arange(-3, 1), 40)
    sigma = np.full(160, 0.1) if kind == "same noise" else 0.1 * strength
    clean, noisy, noise = measured(rng, strength, sigma)
    detected = np.arange(LINES)[None] < 40
    found = fit_symmetry(noisy, noise, center=0.0, frequencies=FREQUENCIES, detected=detected)
    left = found.project(clean)
    assert np.sum(np.abs(left - clean) ** 2) < 1e-3 * np.sum(np.abs(clean) ** 2)
