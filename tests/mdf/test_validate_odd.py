"""Odd values in files that are valid but for them: what is said about each, and that nothing else is said."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import mdf

AQ, DF, RX, ME = "/acquisition", "/acquisition/drivefield", "/acquisition/receiver", "/measurement"
RE = "/reconstruction"

# file, changes, path, rule, severity, message
ODD = [
    ("scan", {"/version": " v2.1.0"}, "/version", "F02", "warning",
     "not written as a version: found ' v2.1.0', expected 2.1.0"),
    ("scan", {f"{DF}/numChannels": 0}, f"{DF}/numChannels", "D01", "error",
     "the number of drive channels: found 0, expected 1 or more"),
    ("scan", {f"{DF}/strength": np.full(2, 0.012)}, f"{DF}/strength", "D02", "warning",
     "the shape: found (2,), expected (3, 2, 1)"),
    ("scan", {f"{DF}/strength": np.full((3, 2), 0.012)}, f"{DF}/strength", "D02", "warning",
     "the shape: found (3, 2), expected (3, 2, 1)"),
    ("scan", {f"{DF}/strength": np.full(4, 0.012)}, f"{DF}/strength", "D02", "error",
     "the shape: found (4,), expected (3, 2, 1)"),
    ("scan", {f"{DF}/divider": np.array([[10**10 + 1], [10**10]])}, f"{DF}/cycle", "D06", "warning",
     "the least common multiple of the dividers is above 1000000000000000000"),
    ("scan", {f"{RX}/dataConversionFactor": np.ones(2)}, f"{RX}/dataConversionFactor", "R02", "error",
     "the shape: found (2,), expected (2, 2)"),
    ("scan", {f"{RX}/transferFunction": np.ones(12, complex)}, f"{RX}/transferFunction", "R03", "error",
     "the shape: found (12,), expected (2, 6)"),
    ("scan", {f"{ME}/data": np.zeros((0, 3, 2, 10), "f4")}, f"{ME}/data", "M01", "error",
     "an axis without values: found (0, 3, 2, 10)"),
    ("images", {f"{RE}/data": np.zeros((3, 0, 1), "f4")}, f"{RE}/data", "P01", "error",
     "an axis without values: found (3, 0, 1)"),
    ("calibration", {f"{ME}/framePermutation": "any"}, f"{ME}/framePermutation", "F09", "error",
     "the stored type: found text, expected int64"),
    ("calibration", {f"{ME}/frequencySelection": "all"}, f"{ME}/frequencySelection", "F09", "error",
     "the stored type: found text, expected int64"),
    ("sparse", {f"{ME}/subsamplingIndices": np.zeros((1, 2, 4, 0), "i4")}, f"{ME}/data", "M10", "error",
     "the last axis: found 3, expected 0 coefficients and 1 background frames"),
    ("sparse", {f"{ME}/subsamplingIndices": np.full((1, 2, 4, 2), "x", object)},
     f"{ME}/subsamplingIndices", "F09", "error",
     "the stored type: found text, expected a number of the standard"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "path", "rule", "severity", "message"),
    ODD,
    ids=[f"{rule}-{path.rpartition('/')[2]}-{place}" for place, (_, _, path, rule, *_) in enumerate(ODD)],
)
def test_one_thing_is_odd(file, name, changes, path, rule, severity, message):
    problems = [problem for problem in mdf.validate(file(name, changes)) if problem.path == path]
    assert [(each.rule, each.severity, each.message) for each in problems] == [(rule, severity, message)]


def test_more_coefficients_than_there_are_positions(file):
    changes = {
        f"{ME}/subsamplingIndices": np.tile(np.arange(1, 8, dtype=np.int32), (1, 2, 4, 1)),
        f"{ME}/data": np.ones((1, 2, 4, 8), np.complex64),
    }
    found = [(each.rule, each.path, each.message) for each in mdf.validate(file("sparse", changes))]
    assert found == [
        ("M10", f"{ME}/subsamplingIndices", "more coefficients than positions: found 7, expected 6 at most"),
        ("M10", f"{ME}/subsamplingIndices", "an index beyond the positions: expected 1 to 6"),
    ]


def test_very_many_dividers_are_judged_all_the_same(file):
    """The standard has no limit on the frequencies of a channel: here 2 x 150 different ones, 2**m * 3**n."""
    divider = np.outer(2 ** np.arange(10), 3 ** np.arange(30)).reshape(2, 150)
    cycle = float(2**9 * 3**29) / 2.5e6
    changes = {
        f"{DF}/divider": divider,
        f"{DF}/strength": np.full((3, 2, 150), 1e-5),
        f"{DF}/phase": np.zeros((3, 2, 150)),
        f"{DF}/waveform": np.full((2, 150), "sine", object),
    }
    wrong = {(problem.rule, problem.path) for problem in mdf.validate(file("scan", changes))}
    assert ("D06", f"{DF}/cycle") in wrong
    right = {problem.rule for problem in mdf.validate(file("scan", changes | {f"{DF}/cycle": cycle}))}
    assert right == {"D07"}  # the samples are those of the other cycle


def test_complex_numbers_of_whole_parts_are_numbers(file):
    """MDF 2.1.0 allows a compound of integers: rules see it as the complex number that it is."""
    data = np.zeros((1, 2, 4, 7), [("r", "i2"), ("i", "i2")])
    function = np.zeros((2, 4), [("r", "i4"), ("i", "i4")])
    function["i"] = [[0, 1, 1, 1], [1, 1, 0, 1]]
    path = file("calibration", {f"{ME}/data": data, f"{RX}/transferFunction": function})
    found = {(each.rule, each.severity, each.path, each.message) for each in mdf.validate(path)}
    assert found == {
        ("F09", "warning", f"{RX}/transferFunction",
         "the stored type: found complex of int32, expected complex of float64"),
        ("R04", "note", f"{RX}/transferFunction",
         "it is 0 beside the constant component: nothing is measured there"),
    }  # fmt: skip
    function["i"][1, 2] = 1
    path = file("calibration", {f"{RX}/transferFunction": function})
    assert {problem.rule for problem in mdf.validate(path)} == {"F09"}


class TestTooLarge:
    """What is too large to be read for a check is said, and not read."""

    def test_a_value(self, file):
        path = file("calibration", {f"{ME}/frequencySelection": None})
        with h5py.File(path, "r+") as hdf:
            hdf.create_dataset(
                f"{ME}/frequencySelection", (2**23 + 1,), "i8", chunks=(2**16,), compression="gzip"
            )
        problems = [each for each in mdf.validate(path) if each.path == f"{ME}/frequencySelection"]
        assert [(each.rule, each.severity, each.message) for each in problems] == [
            ("F01", "note", "too large to be checked")
        ]

    def test_chunks_of_the_data(self, file):
        path = file("scan", {f"{ME}/data": None, f"{RX}/numSamplingPoints": 600_000})
        with h5py.File(path, "r+") as hdf:
            hdf.create_dataset(f"{ME}/data", (5, 3, 2, 600_000), "f4", chunks=(5, 3, 2, 600_000))
        problems = [each for each in mdf.validate(path) if each.path == f"{ME}/data"]
        assert [(each.rule, each.severity) for each in problems] == [("F01", "note"), ("F17", "note")]
        assert problems[0].message == "not checked, its chunks are too large"
