"""What is learnt from and what is kept back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit_plugins.training import split_repeats


def group(signals, repeats):
    """Each repeat is its own number; (B, R, C, V)."""
    numbers = np.arange(signals * repeats, dtype=np.float32).reshape(signals, repeats, 1, 1)
    return np.tile(numbers, (1, 1, 2, 3))


def shapes(groups):
    return [each.shape[:2] for each in groups]


@pytest.mark.parametrize(
    ("given", "training", "validation"),
    [
        ((1, 20), (1, 16), (1, 4)),
        ((3, 12), (3, 10), (3, 2)),
        ((30, 12), (30, 10), (30, 2)),
        ((30, 7), (24, 7), (6, 7)),
        ((10, 2), (8, 2), (2, 2)),
        ((9, 4), (9, 2), (9, 2)),
        ((9, 3), (9, 3), None),
        ((1, 2), (1, 2), None),
    ],
)
def test_what_is_kept_back(given, training, validation):
    split = split_repeats([group(*given)])
    assert shapes(split.training) == [training]
    assert shapes(split.validation) == ([validation] if validation else [])


@given(
    signals=st.integers(1, 25),
    repeats=st.integers(1, 25),
    share=st.floats(0, 1),
)
def test_no_repeat_is_lost_or_in_both(signals, repeats, share):
    numbers = group(signals, repeats)
    split = split_repeats([numbers], share=share)
    if repeats == 1:
        assert shapes(split.training) == shapes(split.validation) == []
        return
    parts = [np.unique(each) for each in (*split.training, *split.validation)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.unique(numbers))
    assert all(count > 0 and repeated > 1 for count, repeated in shapes(split.training))
    assert all(count > 0 and repeated > 1 for count, repeated in shapes(split.validation))
    assert len(split.training) == 1


def test_groups_stay_apart():
    split = split_repeats([group(1, 1), group(2, 9), group(12, 3), group(2, 3)])
    assert shapes(split.training) == [(2, 7), (10, 3), (2, 3)]
    assert shapes(split.validation) == [(2, 2), (2, 3)]
