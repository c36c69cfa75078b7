"""What is learnt from and what is kept back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.testing import example_scan
from mpikit_plugins.training import split_repeats, split_signals
from mpikit_plugins.training.repeats import without_kept_back


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


@pytest.mark.parametrize(
    ("repeats", "shape", "left"),
    [
        ("frames", (20, 3), (16, 3)),  # repeats of each signal
        ("frames", (4, 12), (4, 10)),  # whole signals
        ("periods", (3, 20), (3, 16)),
        ("periods", (12, 2), (10, 2)),
        ("periods", (3, 3), (3, 3)),  # nothing is kept back
        ("both", (1, 20), (1, 16)),
        ("both", (9, 2), (7, 2)),
        ("both", (3, 7), (2, 7)),  # with four of the last frame goes all of it
    ],
)
def test_a_scan_without_what_is_kept_back(repeats, shape, left):
    other = example_scan(frames=2, periods=1, repeats="frames", background_frames=0)
    scan = example_scan(frames=shape[0], periods=shape[1], repeats=repeats, background_frames=3)
    one, found = without_kept_back([other, scan], split_repeats)
    assert one is other
    assert found.signal.shape[:2] == left
    np.testing.assert_array_equal(found.signal, scan.signal[: left[0], : left[1]])
    np.testing.assert_array_equal(found.foreground_index, scan.foreground_index[: left[0]])
    assert (found.repeats, len(found.background)) == (repeats, 3)
    assert found.drive_field.amplitudes.shape[0] == left[1]


def test_single_periods_that_are_kept_back():
    scan = example_scan(frames=20, periods=1, repeats="none", background_frames=0)
    (found,) = without_kept_back([scan], split_signals)
    np.testing.assert_array_equal(found.signal, scan.signal[:16])
