"""The canonical form of a measurement."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.scan import Corrections, Scan
from mpikit.scanner import DriveField


def make_scan(frames=5, empty=3, periods=4, channels=2, samples=10, **others):
    values = {
        "signal": np.zeros((frames, periods, channels, samples), np.float32),
        "background": np.zeros((empty, periods, channels, samples), np.float32),
        "foreground_index": np.arange(frames),
        "background_index": np.arange(empty) + frames,
        "sampling_rate": 2e6,
        "unit": "V",
        "drive_field": DriveField(
            2e6,
            np.array([[samples]]),
            np.ones((periods, 1, 1)),
            np.zeros((periods, 1, 1)),
            np.array([["sine"]]),
        ),
        "selection_field": None,
        "stored_lines": np.ones(samples // 2 + 1, bool),
        "corrections": Corrections(),
        "repeats": "none",
    }
    return Scan(**values | others)


@given(st.integers(1, 9), st.integers(0, 4), st.integers(1, 5), st.integers(1, 4), st.integers(1, 21))
def test_any_consistent_shape_is_fine(frames, empty, periods, channels, samples):
    scan = make_scan(frames, empty, periods, channels, samples)
    assert scan.frequencies.shape == scan.stored_lines.shape
    assert scan.name == "scan"


@pytest.mark.parametrize(
    ("field", "shape"),
    [
        ("background", (3, 4, 2, 11)),
        ("background", (3, 4, 1, 10)),
        ("background", (3, 5, 2, 10)),
        ("background_index", (4,)),
        ("background_index", (3, 1)),
        ("foreground_index", (4,)),
        ("stored_lines", (5,)),
        ("stored_lines", (2, 6)),
    ],
)
def test_shapes_that_do_not_fit_are_named(field, shape):
    with pytest.raises(ValueError, match=f"^{field} has shape"):
        make_scan(**{field: np.zeros(shape)})


def test_frequencies():
    np.testing.assert_allclose(make_scan(samples=10).frequencies, 2e5 * np.arange(6))
    np.testing.assert_allclose(make_scan(samples=9).frequencies, 2e6 / 9 * np.arange(5))


def test_a_scan_cannot_be_changed_but_copied_with_changes():
    scan = make_scan()
    with pytest.raises(FrozenInstanceError):
        scan.unit = "T"
    with pytest.raises(FrozenInstanceError):
        scan.corrections.averages = 2
    assert replace(scan, name="other", repeats="both").name == "other"
    with pytest.raises(ValueError, match="foreground_index"):
        replace(scan, signal=scan.signal[1:])


def test_nothing_has_been_corrected_unless_said():
    assert Corrections() == Corrections(background=False, transfer_function=False, leakage=False, averages=1)
