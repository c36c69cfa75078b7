"""What a preset file may say: clocks, drive fields, selection fields."""

from math import gcd, lcm

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mpikit.errors import UsageError
from mpikit.simulate.tables import DriveFieldTable, RegionTable, SelectionFieldTable, common_clock

DIVIDERS = st.lists(st.integers(1, 400), min_size=1, max_size=3)
CLOCK = st.floats(1e3, 1e8)


@given(dividers=DIVIDERS, base=CLOCK)
def test_the_clock_is_found_again(dividers, base):
    frequencies = base / np.array(dividers, float)[:, None]
    found, whole = common_clock(frequencies, np.ones(frequencies.shape, bool))
    np.testing.assert_allclose(found / whole, frequencies, rtol=1e-12)
    # two clocks with the same frequencies may differ, the cycle may not
    assert lcm(*whole[:, 0].tolist()) / found == pytest.approx(lcm(*dividers) / base, rel=1e-12)
    common = gcd(*dividers)
    np.testing.assert_array_equal(whole[:, 0], np.array(dividers) // common)  # the slowest clock that does
    assert found == pytest.approx(base / common, rel=1e-12)


@given(dividers=DIVIDERS, base=CLOCK, loose=st.floats(1.0, 1e7))
def test_what_is_not_driven_does_not_count(dividers, base, loose):
    driven = base / np.array(dividers, float)
    frequencies = np.stack([driven, np.full(len(driven), loose)], axis=1)
    active = np.broadcast_to([True, False], frequencies.shape)
    found, whole = common_clock(frequencies, active)
    np.testing.assert_array_equal(whole[:, 1], 1)
    alone, same = common_clock(driven[:, None], active[:, :1])
    assert found == alone
    np.testing.assert_array_equal(whole[:, :1], same)


@pytest.mark.parametrize(
    "frequencies", [[1.0, np.sqrt(2)], [1.0, 2.0, np.pi], [1e4, 1e4 * (1 + np.sqrt(5)) / 2], [25e3, 9999.0]]
)
def test_frequencies_without_a_common_period(frequencies):
    values = np.array(frequencies)[:, None]
    with pytest.raises(UsageError, match="have no common period") as caught:
        common_clock(values, np.ones(values.shape, bool))
    assert f"{frequencies[1]:.12g}" in str(caught.value)
    assert "2.5 MHz over 102" in caught.value.hint


@given(dividers=st.lists(st.integers(1, 60), min_size=2, max_size=3), base=CLOCK)
def test_a_field_repeats_after_its_cycle(dividers, base):
    frequencies = [base / divider for divider in dividers]
    amplitudes = [0.01 * (index + 1) for index in range(len(dividers))]
    drive = DriveFieldTable(frequencies=frequencies, amplitudes=amplitudes).drive_field()
    times = np.linspace(0, drive.cycle, 17)
    np.testing.assert_allclose(drive.field(times), drive.field(times + drive.cycle), atol=1e-9)
    assert drive.cycle == pytest.approx(lcm(*dividers) / base, rel=1e-12)


def test_a_drive_field_is_of_cosines_if_nothing_else_is_said():
    drive = DriveFieldTable(base_frequency=1e6, dividers=[[40, 20], [25, 50]], amplitudes=[[1, 2], [3, 0]])
    field = drive.drive_field()
    assert (field.base_frequency, field.dividers.tolist()) == (1e6, [[40, 20], [25, 50]])
    assert field.amplitudes.shape == field.phases.shape == (1, 2, 2)
    assert field.active.tolist() == [[True, True], [True, False]]
    times = np.linspace(0, 1e-4, 11)
    x = np.cos(2 * np.pi * 25e3 * times) + 2 * np.cos(2 * np.pi * 50e3 * times)
    y = 3 * np.cos(2 * np.pi * 40e3 * times)
    np.testing.assert_allclose(field.field(times), np.stack([x, y], axis=1), atol=1e-12)


def test_phases_and_waveforms():
    said = DriveFieldTable(
        base_frequency=1e6,
        dividers=[40, 25],
        amplitudes=[0.01, 0.02],
        phases=[0.0, 0.0],
        waveforms=["sine", "triangle"],
    )
    quarter = said.drive_field().field(np.array([0.25 * 40e-6, 0.125 * 25e-6]))
    assert quarter[0, 0] == pytest.approx(0.01)
    assert quarter[1, 1] == pytest.approx(0.01)  # half way up at an eighth of the period


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"amplitudes": [0.0]}, "one of them above 0"),
        ({"amplitudes": [-0.01]}, "0 or more"),
        ({"amplitudes": [0.01, 0.02]}, r"dividers are \[1, 1\] channels and components"),
        ({"amplitudes": [[0.01, 0.02]]}, r"dividers are \[1, 1\] .* \[1, 2\]"),
        ({"amplitudes": []}, "one to three channels"),
        ({"amplitudes": [[0.01], [0.01, 0.02]]}, "one to three channels"),
        ({"amplitudes": [[]]}, "one to three channels"),
        ({"dividers": [1, 2, 3, 4], "amplitudes": [1, 2, 3, 4]}, "one to three channels"),
        ({"dividers": [0]}, "whole numbers from 1"),
        ({"dividers": [-102]}, "whole numbers from 1"),
        ({"phases": [0.0, 1.0]}, r"phases are \[2, 1\]"),
        ({"waveforms": ["square"]}, "'sine' or 'triangle'"),
    ],
)
def test_impossible_drive_fields(said, words):
    table = DriveFieldTable(**{"base_frequency": 2.5e6, "dividers": [102], "amplitudes": [0.01], **said})
    with pytest.raises(UsageError, match=words):
        table.drive_field()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"base_frequency": 2.5e6},
        {"dividers": [102]},
        {"base_frequency": 2.5e6, "dividers": [102], "frequencies": [25e3]},
        {"base_frequency": 2.5e6, "frequencies": [25e3]},
        {"dividers": [102], "frequencies": [25e3]},
    ],
)
def test_frequencies_are_said_in_one_way(said):
    with pytest.raises(ValidationError, match="give base_frequency and dividers, or frequencies in Hz"):
        DriveFieldTable(amplitudes=[0.01], **said)


MATRIX = [[-1.0, 0.25, 0.0], [0.25, -1.0, 0.5], [0.0, 0.5, 2.0]]


def test_gradients():
    diagonal = SelectionFieldTable(gradient=[-1, -1.5, 2.5]).selection_field()
    np.testing.assert_array_equal(diagonal.gradient, np.diag([-1, -1.5, 2.5])[None, None])
    np.testing.assert_array_equal(diagonal.offset, np.zeros((1, 1, 3)))
    one = SelectionFieldTable(gradient=MATRIX).selection_field()
    np.testing.assert_array_equal(one.gradient[0, 0], MATRIX)
    two = SelectionFieldTable(gradient=[MATRIX, np.diag([1, 1, -2]).tolist()]).selection_field()
    assert two.gradient.shape == (2, 1, 3, 3)
    np.testing.assert_array_equal(two.gradient[1, 0], np.diag([1, 1, -2]))
    np.testing.assert_array_equal(two.offset, np.zeros((2, 1, 3)))


@given(periods=st.integers(2, 7))
def test_offsets_are_patches(periods):
    offsets = np.arange(3.0 * periods).reshape(periods, 3)
    field = SelectionFieldTable(gradient=[-1, -1, 2], offset=offsets.tolist()).selection_field()
    np.testing.assert_array_equal(field.offset, offsets[:, None])
    np.testing.assert_array_equal(field.gradient, np.broadcast_to(np.diag([-1, -1, 2]), (periods, 1, 3, 3)))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"gradient": [-1, -1, 1]}, "does not add up to 0"),
        ({"gradient": [1, 1, 1]}, "does not add up to 0"),
        ({"gradient": [[-1, 1, 0], [0, -1, 0], [0, 0, 2]]}, "is not symmetric"),
        ({"gradient": [MATRIX, MATRIX], "offset": [[0, 0, 0]] * 3}, "2 gradients and 3 offsets"),
    ],
)
def test_fields_that_no_magnet_makes(said, words):
    with pytest.raises(UsageError, match=words) as caught:
        SelectionFieldTable(**said).selection_field()
    assert caught.value.hint


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 5))
def test_a_divergence_is_found_in_any_period(x, y, wrong):
    good = np.diag([x, y, -x - y])
    bad = good + np.diag([0, 0, wrong])
    with pytest.raises(UsageError, match="diagonal"):
        SelectionFieldTable(gradient=[good.tolist(), bad.tolist()]).selection_field()


@pytest.mark.parametrize("size", [(3, 4), (3, 4, 5, 6), (1.5, 1, 1), ("many", 1, 1)])
def test_a_region_has_three_whole_sizes(size):
    with pytest.raises(ValidationError):
        RegionTable(size=size, field_of_view=(1, 1, 1), concentration=0.1)
