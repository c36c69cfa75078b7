"""The signal-to-noise ratio of a system matrix."""

from __future__ import annotations

import numpy as np
import pytest

from mdf.snr import by_components, signal_to_noise


@pytest.fixture
def oracle():
    """Positions (6, 1, 1, 24) and background (4, 1, 1, 24) of a closed form, with known ratios."""
    n, g, k = np.arange(6)[:, None], np.arange(4)[:, None], np.arange(24)
    foreground = 10 / (1 + k) * np.cos(0.7 * n + 0.3 * k) * np.exp(0.2j * k) + 0.5 + 0.25j
    background = 0.5 + 0.25j + 0.05 * (1 + 0.1 * k) * np.exp(1j * (1.3 * g + 0.5 * k))
    return foreground[:, None, None], background[:, None, None]


def test_the_oracle(oracle):
    ratio = signal_to_noise(*oracle)
    assert ratio.shape == (1, 1, 24)
    expected = [194.4690758241, 91.7183173564, 53.4701344259, 2.1941181385]
    np.testing.assert_allclose(ratio[0, 0, [0, 1, 2, 23]], expected, rtol=0, atol=1e-8)


def test_the_oracle_of_the_other_formula(oracle):
    ratio = signal_to_noise(*oracle, formula="maximum")
    expected = [165.303554787, 74.932986094, 1.862612788]
    np.testing.assert_allclose(ratio[0, 0, [0, 1, 23]], expected, rtol=0, atol=1e-8)


@pytest.fixture
def matrix(rng):
    """O = 7, E = 3, J = 2, C = 3, K = 31."""
    shape = (10, 2, 3, 31)
    noisy = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    noisy[:7] += 5 * rng.normal(size=(7, 1, 3, 31)) / (1 + np.arange(31))
    return noisy[:7], noisy[7:]


@pytest.mark.parametrize("formula", ["median", "maximum"])
@pytest.mark.parametrize("together", [1, 4, 31])
def test_by_blocks(matrix, formula, together):
    def read(components):
        assert len(components) <= max(together, 3 * 2 * 20)
        return matrix[0][..., components], matrix[1][..., components]

    ratio = by_components(read, 31, together, formula=formula)
    np.testing.assert_array_equal(ratio, signal_to_noise(*matrix, formula=formula))


def plainly(foreground, background):
    """The definition, loop by loop."""
    ratio = np.zeros(foreground.shape[1:])
    for period, channel in np.ndindex(foreground.shape[1:3]):
        f, b = foreground[:, period, channel], background[:, period, channel]
        mean = b.mean(axis=0)
        noise = np.abs(b - mean).mean(axis=0) if len(b) > 1 else np.abs(mean)
        first = np.median(np.abs(f - mean), axis=0) / noise
        mask = np.zeros(len(f), bool)
        for component in np.argsort(-first)[:20]:
            size = np.abs(f[:, component])
            mask |= size > 0.9 * size.max()
        for component in range(f.shape[1]):
            kappa = np.abs(f[:, component] - mean[component])
            signal = np.median(kappa[mask])
            if signal > 3.5 * noise[component]:
                signal = np.median(kappa[kappa > 0.9 * kappa.max()])
            ratio[period, channel, component] = signal / noise[component]
    return np.broadcast_to(np.median(ratio, axis=0), ratio.shape)


def test_the_definition(matrix):
    np.testing.assert_allclose(signal_to_noise(*matrix), plainly(*matrix), rtol=1e-12)


def test_it_has_no_scale(matrix):
    ratio = signal_to_noise(*matrix)
    np.testing.assert_allclose(signal_to_noise(1e-9j * matrix[0], 1e-9j * matrix[1]), ratio, rtol=1e-9)


def test_one_background_frame(matrix):
    """Its own magnitude is the noise."""
    foreground, background = matrix[0], matrix[1][:1]
    np.testing.assert_allclose(signal_to_noise(foreground, background), plainly(foreground, background))


def test_no_noise_says_nothing(matrix):
    foreground, background = (part.copy() for part in matrix)
    background[..., 4] = 1.0
    for formula in ("median", "maximum"):
        ratio = signal_to_noise(foreground, background, formula=formula)
        assert np.all(np.isfinite(ratio))
        assert np.all((ratio == 0) == (np.arange(31) == 4))


@pytest.mark.parametrize(
    ("foreground", "background", "formula", "message"),
    [
        (slice(0), slice(None), "median", "expected both"),
        (slice(None), slice(0), "median", "expected both"),
        (slice(None), slice(1), "maximum", "two or more"),
        (slice(None), slice(None), "mean", "formula is 'mean'"),
    ],
)
def test_too_little(matrix, foreground, background, formula, message):
    with pytest.raises(ValueError, match=message):
        signal_to_noise(matrix[0][foreground], matrix[1][background], formula=formula)


def test_too_few_components(matrix):
    with pytest.raises(ValueError, match="19 components, expected 20"):
        signal_to_noise(matrix[0][..., :19], matrix[1][..., :19])
