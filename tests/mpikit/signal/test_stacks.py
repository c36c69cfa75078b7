"""Repeats side by side, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.signal import stack_repeats, unstack_repeats

sizes = st.integers(1, 6)


@pytest.mark.parametrize(
    ("repeats", "shape"),
    [
        ("frames", (3, 2, 5, 7)),
        ("periods", (2, 3, 5, 7)),
        ("both", (1, 6, 5, 7)),
        ("none", (6, 1, 5, 7)),
    ],
)
def test_where_each_entry_goes(repeats, shape):
    array = np.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7)
    stacked = stack_repeats(array, repeats)
    assert stacked.shape == shape
    for frame in range(2):
        for period in range(3):
            place = {
                "frames": (period, frame),
                "periods": (frame, period),
                "both": (0, 3 * frame + period),
                "none": (3 * frame + period, 0),
            }[repeats]
            np.testing.assert_array_equal(stacked[place], array[frame, period])


@given(sizes, sizes, st.lists(sizes, max_size=3), st.sampled_from(["frames", "periods", "both", "none"]))
def test_unstack_undoes_stack(frames, periods, rest, repeats):
    array = np.arange(frames * periods * int(np.prod(rest))).reshape(frames, periods, *rest)
    back = unstack_repeats(stack_repeats(array, repeats), repeats, frames)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
