"""Stein's estimate of the error: unbiased, exact in its divergence, and never a loss to rely on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.errors import InputError
from mpikit.signal import LowRankFilter, SureFilter, even_part_noise, fit_sure
from mpikit.signal.sure import (
    BlockShrinkage,
    _blocks,
    _risks_of_all,
    _thresholds,
    _within,
    fit_blocks,
    linear_risk,
)
from mpikit.testing import example_scan

SIZE = 45


def clean_vector():
    return np.concatenate([np.zeros(20), 6 * np.sin(np.arange(9)), np.zeros(16)])


@given(st.integers(1, 50), st.floats(0, 4), st.integers(0, 100))
def test_the_divergence_is_exact(length, threshold, seed):
    vector = 2 * np.random.default_rng(seed).normal(size=SIZE)
    found = BlockShrinkage(length, threshold)
    step = 1e-6
    ends = np.add.reduceat(vector**2, np.arange(0, SIZE, length))
    sizes = np.diff(np.append(np.arange(0, SIZE, length), SIZE))
    if np.any(np.abs(ends - threshold * sizes) < 1e-3):
        return  # on the kink there is no divergence
    moved = found(vector + step * np.eye(SIZE)) - found(vector - step * np.eye(SIZE))
    divergence = np.trace(moved) / (2 * step)
    risk = np.sum((found(vector) - vector) ** 2) - SIZE + 2 * divergence
    assert found.risk(vector) == pytest.approx(risk, abs=1e-5 * SIZE * max(1, threshold))


@pytest.mark.parametrize("length", [1, 4, 7])
def test_the_estimated_error_is_the_true_one_on_average(length):
    clean, rng = clean_vector(), np.random.default_rng(length)
    noisy = clean + rng.normal(size=(20_000, SIZE))
    found = BlockShrinkage(length, 1.5)
    surplus = found.risk(noisy) - np.sum((found(noisy) - clean) ** 2, axis=1)
    assert abs(surplus.mean()) < 3.5 * surplus.std() / len(noisy) ** 0.5
    linear = LowRankFilter(rng.normal(size=(SIZE, 2)), rng.normal(size=(SIZE, 2)) / SIZE)
    surplus = linear_risk(linear, noisy) - np.sum((linear(noisy) - clean) ** 2, axis=1)
    assert abs(surplus.mean()) < 3.5 * surplus.std() / len(noisy) ** 0.5


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0, 100.0])
def test_one_vector_is_never_worse_on_average(scale):
    """On pure noise, weak and strong signals, the choice made on a single vector."""
    clean, rng = scale * np.tile(clean_vector(), 5), np.random.default_rng(2)
    errors = []
    for _ in range(60):
        noisy = clean + rng.normal(size=len(clean))
        errors.append(np.sum((fit_blocks(noisy[None])(noisy) - clean) ** 2))
    share = np.mean(errors) / len(clean)
    assert share < {0.0: 0.1, 0.3: 0.8, 1.0: 0.8, 100.0: 0.8}[scale]


def test_strong_signals_are_left_alone():
    vectors = 1e4 * (1 + np.random.default_rng(3).random((2, SIZE)))
    np.testing.assert_allclose(fit_blocks(vectors)(vectors), vectors, rtol=1e-6)


@given(st.integers(1, 33), st.floats(0, 8), st.integers(0, 100))
def test_the_risks_of_all_thresholds_are_those_of_each(length, scale, seed):
    rng = np.random.default_rng(seed)
    vectors = scale * clean_vector() + rng.normal(size=(4, SIZE))
    vectors[1] = 0
    thresholds = _thresholds(length, SIZE)
    found = _risks_of_all(*_blocks(vectors, length), thresholds)
    expected = [BlockShrinkage(length, threshold).risk(vectors).sum() for threshold in thresholds]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-8)


def test_of_many_vectors_some_are_looked_at_for_the_blocks():
    """The choice of two numbers is the same from every fourth vector, at a fourth of the work."""
    rng = np.random.default_rng(4)
    some = np.tile(clean_vector(), 23)[:1024] + rng.normal(size=(1024, 1024))
    many = np.repeat(some, 4, axis=0)
    assert fit_blocks(many) == fit_blocks(some)
    changed = many.copy()
    changed[1:-1:4] = 1e9  # hardly any of these is among the evenly chosen
    chosen = np.linspace(0, len(many) - 1, 1024).astype(int)
    changed[chosen] = many[chosen]
    assert fit_blocks(changed) == fit_blocks(many)


@pytest.mark.parametrize("own_level", [False, True])
def test_a_single_frame(own_level):
    scan = example_scan(frames=1, repeats="none", background_frames=0)
    without_noise = example_scan(frames=1, repeats="none", background_frames=0)
    signal = scan.signal
    power = even_part_noise([without_noise])
    found = fit_sure([scan], line_power=power, own_level=own_level)
    output = found(signal)
    assert output.shape == signal.shape
    # the clean signal has twelve lines; beyond them nothing is left of most of the noise
    left = np.abs(np.fft.rfft(output))[..., 14:] ** 2
    assert left.sum() < 0.3 * (np.abs(np.fft.rfft(signal))[..., 14:] ** 2).sum()
    restored = SureFilter.restore(found.state())
    np.testing.assert_array_equal(restored(signal), output)
    tripled = SureFilter.restore(found.state())(3 * signal)
    assert np.allclose(tripled, 3 * output, rtol=0, atol=1e-5 * np.abs(output).max()) == own_level


def test_the_even_part_says_the_colour():
    scan = example_scan(frames=60, repeats="none", background_frames=0)
    rng = np.random.default_rng(8)
    lines = scan.signal.shape[-1] // 2 + 1
    colour = np.linspace(1, 3, lines) * np.array([[1.0], [2.0]])
    white = rng.normal(size=scan.signal.shape)
    noise = np.fft.irfft(np.fft.rfft(white) * colour, n=scan.signal.shape[-1])
    quiet = example_scan(frames=60, repeats="none", background_frames=0, seed=4).signal * 1e-3
    power, freedom = even_part_noise([replace(scan, signal=(quiet + noise).astype(np.float32))])
    expected = colour**2 * scan.signal.shape[-1]
    inner = slice(20, -20)  # towards the ends the mirrored lines are not alike
    np.testing.assert_allclose(power[:, inner], expected[:, inner], rtol=0.15)
    assert freedom == pytest.approx(30 * 16.5)


def test_without_an_even_part():
    scan = example_scan(repeats="none")
    moving = replace(scan, drive_field=replace(scan.drive_field, waveforms=np.array([["custom"]])))
    with pytest.raises(InputError, match="not retraced"):
        even_part_noise([moving])
    with pytest.raises(InputError, match="has no symmetry"):
        fit_sure([moving], own_level=True)


def test_a_filter_of_some_coefficients_lets_nothing_else_pass(rng):
    places = np.array([False, True, True, False, True])
    left, right = rng.normal(size=(2, 3, 2))
    whole = _within(LowRankFilter(left, right), places)
    given = rng.normal(size=(4, 5))
    found = whole(given)
    np.testing.assert_allclose(found[:, places], given[:, places] @ right @ left.T)
    assert not found[:, ~places].any()
