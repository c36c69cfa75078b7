"""Bootstrap intervals: exact cases, coverage in simulations, paired comparison."""

import numpy as np
import pytest

from mpikit.metrics import bootstrap_mean, paired_difference


def test_equal_values_have_no_width(rng):
    found = bootstrap_mean(np.full(7, 3.5), rng=rng)
    assert (found.mean, found.low, found.high, found.level, found.count) == (3.5, 3.5, 3.5, 0.95, 7)


def test_two_values_have_the_quantiles_of_the_binomial(rng):
    """Means of two draws from {0, 1} are 0, ½, 1 with probabilities ¼, ½, ¼."""
    assert (bootstrap_mean([0, 1], rng=rng).low, bootstrap_mean([0, 1], rng=rng).high) == (0, 1)
    narrow = bootstrap_mean([0, 1], rng=rng, level=0.4)
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_large_samples_have_the_normal_interval(rng):
    values = rng.exponential(size=4000)
    found = bootstrap_mean(values, rng=rng)
    error = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
    assert found.mean == values.mean()
    assert found.high - found.mean == pytest.approx(error, rel=0.1)
    assert found.mean - found.low == pytest.approx(error, rel=0.1)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_it_covers_the_mean_as_often_as_it_says(level):
    """600 draws of 40 skewed values: the share of intervals with the true mean, four standard errors."""
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(600):
        found = bootstrap_mean(rng.gamma(4.0, size=40), rng=rng, level=level, draws=400)
        inside += found.low <= 4.0 <= found.high
    assert inside / 600 == pytest.approx(level - 0.015, abs=4 * np.sqrt(level * (1 - level) / 600))


def test_pairs_are_told_apart_where_the_intervals_overlap(rng):
    hard = rng.normal(20, 5, size=30)  # what is hard for one method is hard for the other
    one, other = hard + 0.5 + 0.1 * rng.normal(size=30), hard
    difference = paired_difference(one, other, rng=rng)
    assert difference.low > 0.3
    assert difference.high < 0.7
    assert bootstrap_mean(one, rng=rng).low < bootstrap_mean(other, rng=rng).high
    swapped = paired_difference(other, one, rng=np.random.default_rng(1))
    assert swapped.mean == pytest.approx(-difference.mean)
    with pytest.raises(ValueError, match="30 and 29 values"):
        paired_difference(one, other[1:], rng=rng)


def test_a_seed_repeats_it():
    values = np.random.default_rng(5).normal(size=12)
    first, same, other = (bootstrap_mean(values, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == same != other


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.inf, 2.0], [np.nan, 1.0]])
def test_what_has_no_interval(rng, values):
    found = bootstrap_mean(values, rng=rng)
    assert np.isnan([found.low, found.high]).all()
    assert found.count == len(values)
    assert np.isfinite(found.mean) == (values == [1.0])


def test_large_sets_are_drawn_in_parts(rng, monkeypatch):
    monkeypatch.setattr("mpikit.metrics.intervals.MOST_AT_ONCE", 100)
    found = bootstrap_mean(rng.normal(size=30), rng=rng, draws=50)
    assert found.low < found.mean < found.high
