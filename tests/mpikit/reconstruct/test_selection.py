from __future__ import annotations

import numpy as np
import pytest

from mpikit.errors import InputError, UsageError
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


def pairs(rows):
    return list(zip(rows.channels.tolist(), rows.lines.tolist(), strict=True))


def test_channels_are_chosen_by_number():
    rows = select_rows(np.ones(6, bool), FREQUENCIES, channels=3, receive_channels=(2, 0), min_frequency=40)
    assert pairs(rows) == [(0, 4), (0, 5), (2, 4), (2, 5)]
    assert rows.removed == {
        "not stored in both files": 0,
        "of receive channels that are left out": 6,
        "below 40 Hz": 8,
    }


@pytest.mark.parametrize("wanted", [(0, 3), (-1,), ()])
def test_channels_that_are_not_there(wanted):
    with pytest.raises(UsageError, match="expected some of 0 to 2"):
        select_rows(np.ones(6, bool), FREQUENCIES, channels=3, receive_channels=wanted)


def test_stop_bands_remove_both_edges_and_nothing_beside_them():
    bands = [(10.0, 20.0), (31.0, 39.0), (50.0, 50.0)]
    rows = select_rows(np.ones(6, bool), FREQUENCIES, channels=1, stop_bands=bands)
    assert rows.lines.tolist() == [0, 3, 4]
    assert list(rows.removed.values()) == [0, 0, 2, 0, 1]


def test_limits_are_on_a_line_in_spite_of_rounding():
    frequencies = np.arange(1000) * (2.5e6 / 1998)
    line = 77
    for near in (np.nextafter(frequencies[line], 0), np.nextafter(frequencies[line], 1e9)):
        rows = select_rows(
            np.ones(1000, bool), frequencies, channels=1, min_frequency=near, max_frequency=near
        )
        assert rows.lines.tolist() == [line]
        rows = select_rows(np.ones(1000, bool), frequencies, channels=1, stop_bands=[(near, near)])
        assert line not in rows.lines
        assert len(rows) == 999


def test_a_stop_band_the_wrong_way_round():
    with pytest.raises(UsageError, match="from 20 to 10 Hz"):
        select_rows(np.ones(6, bool), FREQUENCIES, channels=1, stop_bands=[(20.0, 10.0)])


def test_rows_of_higher_mixing_orders_and_of_none_are_left_out():
    orders = np.array([0, -1, 3, 1, 4, 2])
    rows = select_rows(
        np.ones(6, bool), FREQUENCIES, channels=2, mixing_orders=orders, max_mixing_order=3, min_frequency=5
    )
    assert rows.lines.tolist() == [2, 3, 5] * 2
    assert rows.removed["of a mixing order above 3 or of none"] == 4
    with pytest.raises(UsageError, match="expected 1 or more"):
        select_rows(np.ones(6, bool), FREQUENCIES, channels=2, mixing_orders=orders, max_mixing_order=0)
    with pytest.raises(ValueError, match="mixing_orders"):
        select_rows(np.ones(6, bool), FREQUENCIES, channels=2, max_mixing_order=3)


SNR = np.array([[5, 2, 1.5, np.nan, 3, 2], [0.1, 7, 2, 0, 4, 9.0]])


def test_the_best_rows_are_the_best_of_those_that_all_other_filters_keep():
    choice = {"channels": 2, "snr": SNR, "max_frequency": 40}
    rows = select_rows(np.ones(6, bool), FREQUENCIES, best=3, **choice)
    assert pairs(rows) == [(0, 0), (1, 1), (1, 4)]  # 9 is out of the band
    assert rows.removed["not among the best 3"] == 6
    stopped = select_rows(np.ones(6, bool), FREQUENCIES, best=3, stop_bands=[(10, 10)], **choice)
    assert pairs(stopped) == [(0, 0), (0, 4), (1, 4)]


def test_of_equal_rows_the_first_are_the_best():
    rows = select_rows(np.ones(6, bool), FREQUENCIES, channels=2, snr=SNR, best=7)
    assert pairs(rows) == [(0, 0), (0, 1), (0, 4), (0, 5), (1, 1), (1, 4), (1, 5)]  # not (1, 2)


def test_more_than_there_are_is_all_but_nan():
    rows = select_rows(np.ones(6, bool), FREQUENCIES, channels=2, snr=SNR, best=99)
    assert len(rows) == 11
    assert (0, 3) not in pairs(rows)
    assert rows.removed["with an unknown SNR (NaN)"] == 1


@pytest.mark.parametrize("best", [0, -2])
def test_fewer_than_one_row(best):
    with pytest.raises(UsageError, match="expected 1 or more"):
        select_rows(np.ones(6, bool), FREQUENCIES, channels=2, snr=SNR, best=best)


def test_rows_by_falling_snr():
    rows = select_rows(
        np.ones(6, bool), FREQUENCIES, channels=2, snr=SNR, snr_threshold=2, best=7, order="snr"
    )
    assert pairs(rows) == [(1, 5), (1, 1), (0, 0), (1, 4), (0, 4), (0, 1), (0, 5)]
    spectra = 10 * np.arange(2)[:, None] + np.arange(6) + np.zeros((3, 1, 1))
    np.testing.assert_array_equal(rows.pick(spectra, np.arange(6))[:, 2], [15, 11, 0, 14, 4, 1, 5])


def test_a_missing_snr_removes_nothing_and_cannot_rank():
    rows = select_rows(np.ones(6, bool), FREQUENCIES, channels=2, snr=None, snr_threshold=5)
    assert len(rows) == 12
    for wanted in ({"best": 3}, {"order": "snr"}):
        with pytest.raises(InputError, match="no SNR"):
            select_rows(np.ones(6, bool), FREQUENCIES, channels=2, **wanted)


def test_an_snr_that_is_not_used_removes_nothing():
    assert len(select_rows(np.ones(6, bool), FREQUENCIES, channels=2, snr=SNR)) == 12


@pytest.mark.parametrize("empty", [0.0, np.nan])
def test_an_snr_that_says_nothing_is_named(empty):
    with pytest.raises(InputError, match="no rows are left of 12") as caught:
        select_rows(np.ones(6, bool), FREQUENCIES, channels=2, snr=np.full((2, 6), empty), snr_threshold=2)
    assert caught.value.hint.startswith("the SNR of the calibration says nothing")


def test_zeros_of_the_transfer_function_are_left_out():
    zeros = np.zeros((2, 6), bool)
    zeros[0, 0] = zeros[1, 4] = True
    rows = select_rows(np.ones(6, bool), FREQUENCIES, channels=2, transfer_zeros=zeros)
    assert set(pairs(rows)) == {(c, k) for c in range(2) for k in range(6)} - {(0, 0), (1, 4)}
    assert rows.removed["where the transfer function is zero"] == 2


@pytest.mark.parametrize(
    ("choice", "hint"),
    [
        ({"mixing_orders": np.full(6, 9), "max_mixing_order": 8}, "allow higher mixing orders"),
        ({"stop_bands": [(0, 30), (25, 60)]}, "narrow the stop bands"),
        (
            {"emptied": np.array([[1], [0]], bool).repeat(6, 1), "receive_channels": [0]},
            "use more receive channels",
        ),
        (
            {"emptied": np.ones((2, 6), bool), "min_frequency": 30},
            "the two files have no usable row in common",
        ),
        (
            {"min_frequency": 60, "snr": SNR, "snr_threshold": 10},
            "lower --min-frequency or raise --max-frequency and lower --snr-threshold",
        ),
    ],
)
def test_no_rows_names_the_limit_that_is_to_blame(choice, hint):
    with pytest.raises(InputError, match="no rows are left of 12") as caught:
        select_rows(np.ones(6, bool), FREQUENCIES, channels=2, **choice)
    assert caught.value.hint == hint
