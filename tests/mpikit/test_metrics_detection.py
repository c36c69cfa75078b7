"""Detection limits: closed forms, and what exposes a claim that is not true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.errors import InputError
from mpikit.metrics import check_detection_limit, detection_limit, verified_limit

LEVELS = np.repeat([1.0, 2.0, 5.0], 4)


def ideal(seed=0, *, slope=2.0, offset=0.3, sigma=0.1, blanks=400):
    """Claim of an ideal linear figure with noise, and a function that measures samples."""
    rng = np.random.default_rng(seed)

    def measure(dose, count):
        return slope * dose + offset + sigma * rng.normal(size=count)

    claim = detection_limit(LEVELS, slope * LEVELS + offset, measure(0, blanks))
    return claim, measure


@given(slope=st.floats(0.01, 100), offset=st.floats(-3, 3), seed=st.integers(0, 99))
def test_the_rule_of_ich(slope, offset, seed):
    blanks = np.random.default_rng(seed).normal(size=12) + offset
    claim = detection_limit(LEVELS, slope * LEVELS + offset, blanks)
    assert claim.slope == pytest.approx(slope, rel=1e-6)
    assert claim.limit == pytest.approx(3.3 * blanks.std(ddof=1) / slope, rel=1e-6)
    assert claim.decision == pytest.approx(blanks.mean() + 1.645 * blanks.std(ddof=1))
    assert claim.blanks == 12


def test_the_rule_of_clsi():
    blanks = np.array([-1.0, 1.0] * 6)
    values = 4 * LEVELS + np.tile([0.5, -0.5], 6)
    claim = detection_limit(LEVELS, values, blanks, rule="clsi")
    low = np.std([4.5, 3.5, 4.5, 3.5], ddof=1)
    assert claim.limit == pytest.approx(1.645 * (blanks.std(ddof=1) + low) / claim.slope)


def test_a_true_limit_passes():
    """An ideal figure is refused as seldom as chance allows: two tests of 5 %."""
    refused = 0
    for seed in range(100):
        claim, measure = ideal(seed)
        refused += not check_detection_limit(claim, measure(claim.limit, 100), measure(0, 100)).passed
    assert refused <= 15


def test_a_denoiser_that_empties_weak_samples_is_found_out():
    """Hard threshold: blanks become 0, the claimed limit 0, and nothing is there at that concentration."""
    claim, measure = ideal(offset=0.0)
    blanks = measure(0, 400)
    emptied = detection_limit(LEVELS, 2 * LEVELS, np.where(blanks > 0.6, blanks, 0))
    assert emptied.limit == 0 < claim.limit
    check = check_detection_limit(emptied, np.zeros(50), np.zeros(50))
    assert not check.passed
    assert check.detection_rate == 0
    assert "are detected, expected 95 %" in check.failures[-1]


def test_a_soft_threshold_is_biased():
    """All samples are detected, none of the blanks, and what is shown is a third too little."""
    claim, measure = ideal(offset=0.0)
    found = np.maximum(measure(claim.limit, 200) - claim.limit * 2 / 3, 0)
    check = check_detection_limit(claim, found, np.zeros(200))
    assert check.bias == pytest.approx(-1 / 3, abs=0.05)
    assert any("the mean is wrong by -3" in words for words in check.failures)


def test_false_positives_count():
    claim, measure = ideal()
    check = check_detection_limit(claim, measure(claim.limit, 100), measure(0.06, 100))
    assert check.false_positive_rate > 0.2
    assert [words for words in check.failures if "of the blanks are detected, expected 5 % at most" in words]


def test_chance_is_no_reason_to_refuse():
    """8 of 100 blanks happen at a rate of 5 %, 12 do not; one of 20 missing samples is what 5 % are."""
    claim, _ = ideal()
    samples = np.full(20, claim.blank + claim.slope * claim.limit)
    for false, passed in ((8, True), (12, False)):
        blanks = np.where(np.arange(100) < false, claim.decision + 1, claim.blank)
        assert check_detection_limit(claim, samples, blanks).passed is passed
    missing = np.where(np.arange(20) < 1, claim.blank, samples)
    assert check_detection_limit(claim, missing, np.full(20, claim.blank)).detection_rate == 0.95


def test_the_verified_limit_is_where_the_checks_begin_to_pass():
    claim, measure = ideal()
    levels = claim.limit * np.array([0.1, 0.4, 1.5, 4.0])
    blanks = measure(0, 300)
    values = [measure(level, 200) for level in levels]
    assert verified_limit(claim, levels, values, blanks) == levels[2]
    values[3] = np.full(200, claim.blank)  # a hole above makes what lies below worthless
    assert verified_limit(claim, levels, values, blanks) == np.inf


def test_a_figure_that_does_not_grow_detects_nothing():
    claim = detection_limit(LEVELS, -LEVELS, np.arange(10.0))
    assert claim.limit == np.inf
    assert not check_detection_limit(claim, np.ones(9), np.zeros(9), concentration=1.0).passed


def test_what_is_refused():
    with pytest.raises(InputError, match="a detection limit of 9 blanks, expected 10 or more"):
        detection_limit(LEVELS, LEVELS, np.zeros(9))
    with pytest.raises(InputError, match="make no calibration line"):
        detection_limit(np.ones(5), np.ones(5), np.arange(10.0))
    with pytest.raises(InputError, match="CLSI needs two samples or more"):
        detection_limit([1.0, 2, 2], [1.0, 2, 2], np.arange(10.0), rule="clsi")
    claim, _ = ideal()
    with pytest.raises(InputError, match="cannot be checked"):
        check_detection_limit(claim, [], [1.0])
