from __future__ import annotations

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.reconstruct import select_rows

FREQUENCIES = np.arange(6) * 10.0


def test_rows_run_over_frequency_first_then_channel():
    rows = select_rows(np.ones(6, bool), FREQUENCIES, channels=3, min_frequency=20, max_frequency=40)
    assert rows.channels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert rows.lines.tolist() == [2, 3, 4] * 3
    assert list(rows.removed.values()) == [0, 6, 3]


def test_the_snr_threshold_is_inclusive_and_nan_is_left_out():
    snr = np.array([[5, 2, 1.99, np.nan, 3, 2], [0, 0, 2, 0, 0, 9.0]])
    rows = select_rows(np.ones(6, bool), FREQUENCIES, channels=2, snr=snr, snr_threshold=2)
    assert list(zip(rows.channels.tolist(), rows.lines.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (0, 4),
        (0, 5),
        (1, 2),
        (1, 5),
    ]


def test_no_rows_says_what_each_filter_removed():
    stored = np.array([True, True, False, True, True, False])
    with pytest.raises(InputError) as caught:
        select_rows(
            stored,
            FREQUENCIES,
            channels=2,
            min_frequency=15,
            max_frequency=35,
            snr=np.ones((2, 6)),
            snr_threshold=3,
        )
    assert str(caught.value) == (
        "no rows are left of 12: 4 not stored in both files, 4 below 15 Hz, 2 above 35 Hz, 2 SNR below 3"
    )
    assert caught.value.hint == "lower --snr-threshold"


def test_no_rows_in_the_band_says_where_there_are_some():
    snr = np.array([[9, 9, 9, 0, 0, 0], [0, 9, 0, 0, 0, 0.0]])
    emptied = np.zeros((2, 6), bool)
    emptied[0, 0] = True
    limits = {"min_frequency": 35, "snr": snr, "snr_threshold": 2, "emptied": emptied}
    with pytest.raises(InputError) as caught:
        select_rows(np.ones(6, bool), FREQUENCIES, channels=2, **limits)
    assert caught.value.hint.startswith("lower --min-frequency")
    assert caught.value.hint.endswith("from 10 to 20 Hz")


def test_rows_are_picked_from_whatever_lines_a_file_stores():
    rows = select_rows(np.array([0, 1, 0, 1, 0, 1], bool), FREQUENCIES, channels=2, min_frequency=15)
    lines = np.array([5, 1, 3])  # a file may store them in any order
    spectra = 100 * np.arange(4)[:, None, None] + 10 * np.arange(2)[:, None] + lines
    np.testing.assert_array_equal(rows.pick(spectra, lines)[:, 3], [303, 305, 313, 315])
