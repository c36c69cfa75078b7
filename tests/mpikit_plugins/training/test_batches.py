"""Batches: what is drawn, by each rule, and that a training is repeated by its seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mpikit.errors import InputError
from mpikit_plugins.training import Pairs, Singles

CHANNELS, SAMPLES = 2, 5


def numbered(*shapes):
    """The value of a sample says from which group, clean signal and repeat it is."""
    groups = []
    for number, (signals, repeats) in enumerate(shapes):
        values = 10_000 * number + 100 * np.arange(signals)[:, None] + np.arange(repeats)
        groups.append(np.tile(values[..., None, None], (1, 1, CHANNELS, SAMPLES)).astype(np.float32))
    return groups


def taken(batches, count, seed=0):
    """All batches, each part (count, batch) or more."""
    drawn = torch.from_numpy(batches.draw(count, np.random.default_rng(seed)))
    parts = zip(*(batches.take(index) for index in drawn), strict=True)
    return [torch.stack(part).numpy() for part in parts]


def values(part):
    assert part.shape[2:] == (CHANNELS, SAMPLES)
    assert np.all(part == part[..., :1, :1])
    return part[..., 0, 0]


def test_singles_are_all_periods_alike():
    batches = Singles(numbered((3, 4), (5, 1)), batch=7, device="cpu")
    (part,) = taken(batches, 300)
    found, counts = np.unique(values(part), return_counts=True)
    assert batches.items == len(found) == 17
    assert counts.sum() == 2100
    assert counts.min() > 2100 / 17 * 0.6


def test_pairs_of_one_and_the_mean_of_all_others():
    batches = Pairs(numbered((3, 4), (2, 6)), batch=7, device="cpu", rule="mean")
    first, second = (values(part) for part in taken(batches, 100))
    repeats = np.where(first < 10_000, 4, 6)
    total = first // 100 * 100 * repeats + repeats * (repeats - 1) / 2
    np.testing.assert_allclose(second, (total - first) / (repeats - 1), rtol=1e-6)
    assert len(np.unique(first)) == 24


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_pairs_with_a_distance(lag):
    batches = Pairs(numbered((2, 7), (1, 6)), batch=9, device="cpu", lag=lag)
    first, second = (values(part) for part in taken(batches, 400))
    np.testing.assert_array_equal(first // 100, second // 100)
    distance = np.abs(first - second)
    assert distance.min() == lag
    assert distance[first < 10_000].max() == 7 - lag
    with pytest.raises(InputError, match="pairs of repeats 4 apart need 8 repeats of each signal, one has 6"):
        Pairs(numbered((2, 7), (1, 6)), batch=9, device="cpu", lag=4)


def test_means_of_disjoint_subsets():
    """Repeats 2^0, 2^1, ...: a sum says which of them are in it."""
    powers = np.tile(2.0 ** np.arange(5)[:, None, None], (3, 1, CHANNELS, SAMPLES)).astype(np.float32)
    powers = powers.reshape(3, 5, CHANNELS, SAMPLES)
    batches = Pairs([powers, powers[:2]], batch=8, device="cpu", rule="subset")
    first, second, noise = taken(batches, 200)
    inputs = np.round(noise**-2.0).astype(int)
    one = np.round(values(first) * inputs).astype(int)
    other = np.round(values(second) * (5 - inputs)).astype(int)
    assert np.all(one & other == 0)
    assert np.all(one | other == 31)
    np.testing.assert_array_equal(np.bitwise_count(one), inputs)
    assert set(inputs.ravel()) == {1, 2, 3, 4}
    assert len(np.unique(one)) == 30  # every subset but none and all


def test_subsets_of_groups_of_different_size_stay_within_their_signal():
    batches = Pairs(numbered((3, 4), (2, 6)), batch=8, device="cpu", rule="subset")
    first, second, noise = taken(batches, 100)
    np.testing.assert_array_equal(values(first) // 100, values(second) // 100)
    assert noise.shape == (100, 8)
    many = Pairs(numbered((1, 40)), batch=3, device="cpu", rule="subset")
    assert many.draw(2, np.random.default_rng(0)).shape == (2, 3, 17)  # sixteen of them at most


@pytest.mark.parametrize("rule", ["pair", "mean", "subset"])
def test_a_seed_repeats_the_batches(rule):
    batches = Pairs(numbered((3, 4), (2, 6)), batch=8, device="cpu", rule=rule)
    one, same, other = (batches.draw(5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape[0] == 5
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert batches.items == 3 * 2 + 2 * 3
