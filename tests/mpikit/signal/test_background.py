"""The empty-scanner signal at the time of each frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.signal.background import (
    background_at,
    background_blocks,
    background_weights,
    noise_shares,
    shared_background_noise,
    subtract_background,
)

BLOCKS = [9, 0, 1, 8, 4]  # three blocks in no order: 0 1, 4, 8 9


@pytest.fixture
def three_blocks(make_scan, rng):
    """Frames 2 3 5 6 7 10 of an object, the others empty."""
    return make_scan(
        rng.normal(size=(6, 2, 3, 14)),
        rng.normal(size=(5, 2, 3, 14)),
        foreground_index=np.array([2, 3, 5, 6, 7, 10]),
        background_index=np.array(BLOCKS),
    )


def test_blocks_are_in_order_of_acquisition(three_blocks):
    assert [block.tolist() for block in background_blocks(three_blocks)] == [[1, 2], [4], [3, 0]]


def test_weights_at_known_places(three_blocks):
    weights = background_weights(three_blocks, np.array([0, 4, 10, 2, 6]))
    np.testing.assert_allclose(
        weights[0], [0, 0.5, 0.5, 0, 0], atol=1e-15
    )  # constant before the first centre
    np.testing.assert_allclose(weights[1], [0, 0, 0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(weights[2], [0.5, 0, 0, 0.5, 0], atol=1e-15)
    np.testing.assert_allclose(weights[3], np.array([0, 4, 4, 0, 6]) / 14, atol=1e-15)  # centres 0.5 and 4
    np.testing.assert_allclose(weights[4], np.array([4, 0, 0, 4, 10]) / 18, atol=1e-15)  # centres 4 and 8.5


@given(
    empty=st.sets(st.integers(0, 30), min_size=1, max_size=12),
    at=st.lists(st.integers(-5, 40), min_size=1, max_size=9),
)
def test_weights_are_an_average(empty, at):
    scan = _only_background(sorted(empty))
    weights = background_weights(scan, np.array(at))
    assert weights.shape == (len(at), len(empty))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    assert weights.min() >= 0


def _only_background(index):
    from types import SimpleNamespace

    background = np.zeros((len(index), 1, 1, 4), np.float32)
    return SimpleNamespace(background=background, background_index=np.array(index))


def test_a_linear_drift_is_interpolated_exactly(make_scan, rng):
    slope, start = rng.normal(size=(2, 2, 3, 12))
    index = np.array([0, 1, 2, 9, 10, 15])
    scan = make_scan(
        np.zeros((4, 2, 3, 12)),
        start + slope * index[:, None, None, None],
        foreground_index=np.array([3, 5, 8, 12]),
        background_index=index,
    )
    inside = np.array([1, 4, 7, 11, 14])
    drift = start + slope * inside[:, None, None, None]
    np.testing.assert_allclose(background_at(scan, inside), drift, rtol=1e-5, atol=1e-5)
    # outside the centres 1 and 15 the nearest block counts
    np.testing.assert_allclose(
        background_at(scan, np.array([-3, 99])),
        start + slope * np.array([1, 15])[:, None, None, None],
        atol=1e-5,
    )


def test_one_block_counts_everywhere_alike(make_scan, rng):
    scan = make_scan(np.zeros((2, 1, 3, 8)), rng.normal(size=(5, 1, 3, 8)), background_index=np.arange(5))
    expected = np.broadcast_to(scan.background.mean(axis=0, dtype=float), (3, 1, 3, 8))
    np.testing.assert_allclose(background_at(scan, np.array([0, 2, 70])), expected, atol=1e-7)


def test_no_background_frame(make_scan, rng):
    scan = make_scan(rng.normal(size=(3, 2, 1, 8)))
    with pytest.raises(ValueError, match="no background frame"):
        background_weights(scan, np.array([0]))
    assert subtract_background(scan) is scan


def test_subtracted_once_and_from_all_frames(make_scan, rng):
    clean = rng.normal(size=(6, 2, 3, 14))
    empty, slope = rng.normal(size=(2, 2, 3, 14))
    order = np.arange(14)[:, None, None, None]
    drift = empty + slope * order
    scan = make_scan(clean + drift[4:10], np.concatenate([drift[:4], drift[10:]]))
    cleared = subtract_background(scan)
    assert cleared.corrections.background
    assert not scan.corrections.background
    assert cleared.signal.dtype == cleared.background.dtype == np.float32
    np.testing.assert_allclose(cleared.signal, clean, atol=1e-5)
    middle = subtract_background(scan).background.mean(axis=0)
    np.testing.assert_allclose(middle, 0, atol=1e-5)
    assert subtract_background(cleared) is cleared


def test_a_corrected_scan_is_left_alone(make_scan, rng):
    from mpikit.scan import Corrections

    scan = make_scan(
        rng.normal(size=(3, 1, 2, 8)), rng.normal(size=(2, 1, 2, 8)), corrections=Corrections(background=True)
    )
    assert subtract_background(scan) is scan


@pytest.mark.parametrize(
    ("repeats", "frames", "periods", "shared"),
    [
        ("frames", 6, 1, 1 / 5),  # every frame loses the same mean of five
        ("both", 6, 3, (1 / 5) * (6 - 1) / (6 * 3 - 1) / (1 + 1 / 5 - (1 / 5) * 5 / 17)),
        ("periods", 6, 3, 0),
        ("none", 6, 1, 1 / 5),
        ("frames", 1, 2, 1 / 5),
    ],
)
def test_shared_noise_of_one_block(make_scan, rng, repeats, frames, periods, shared):
    signal, empty = rng.normal(size=(frames, periods, 2, 10)), rng.normal(size=(5, periods, 2, 10))
    scan = make_scan(signal, empty, repeats=repeats, background_index=np.arange(5))
    assert shared_background_noise(scan) == 0
    assert shared_background_noise(subtract_background(scan)) == pytest.approx(shared)
    assert shared_background_noise(make_scan(signal, repeats=repeats)) == 0


def test_single_empty_frames_have_no_noise_of_their_own(make_scan, rng):
    """Without repeats the noise is then taken from the signal, which has that of the background in it."""
    scan = make_scan(rng.normal(size=(6, 1, 2, 10)), rng.normal(size=(2, 1, 2, 10)))
    assert shared_background_noise(subtract_background(scan)) == 0


@pytest.mark.parametrize(
    ("repeats", "frames", "periods"), [("frames", 9, 2), ("both", 4, 3), ("periods", 7, 5), ("none", 6, 1)]
)
def test_noise_of_the_mean_is_foretold(make_scan, rng, repeats, frames, periods):
    """Noise of the mean over repeats = noise of one, over the repeats, plus what they share."""
    from mpikit.signal import noise_statistics, stack_repeats

    scan = make_scan(
        rng.normal(size=(frames, periods, 3, 2000)), rng.normal(size=(6, periods, 3, 2000)), repeats=repeats
    )
    cleared = subtract_background(scan)
    stacked = stack_repeats(cleared.signal, repeats)
    found = np.mean(stacked.mean(axis=1) ** 2)
    level = np.mean(noise_statistics(cleared).sigma ** 2)
    assert found == pytest.approx(level * (1 / stacked.shape[1] + shared_background_noise(cleared)), rel=0.07)


@pytest.mark.parametrize(("repeats", "frames", "periods"), [("none", 4, 3), ("periods", 8, 2)])
def test_shares_are_the_eigenvalues_of_the_covariance(make_scan, repeats, frames, periods):
    scan = make_scan(np.zeros((frames, periods, 2, 6)), np.zeros((5, periods, 2, 6)), repeats=repeats)
    cleared = subtract_background(scan)
    weights = background_weights(cleared, cleared.foreground_index)
    covariance = np.eye(frames) + weights @ weights.T
    if repeats == "none":
        covariance = np.kron(covariance, np.eye(periods))
    shares = noise_shares(cleared, len(covariance))
    np.testing.assert_allclose(np.sort(shares), np.linalg.eigvalsh(covariance), atol=1e-12)
    np.testing.assert_array_equal(noise_shares(scan, 7), np.ones(7))


def test_shares_of_repeating_frames_are_equal(make_scan):
    scan = subtract_background(make_scan(np.zeros((4, 3, 2, 6)), np.zeros((5, 3, 2, 6)), repeats="frames"))
    np.testing.assert_array_equal(noise_shares(scan, 3), np.ones(3))


def test_one_empty_frame_is_in_all(make_scan):
    scan = make_scan(np.zeros((4, 1, 2, 6)), np.zeros((1, 1, 2, 6)), repeats="none")
    shares = noise_shares(subtract_background(scan), 4)
    np.testing.assert_allclose(np.sort(shares), [1, 1, 1, 5], atol=1e-12)
