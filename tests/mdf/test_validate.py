"""Faults, one at a time, in files made by hand: each is found, and nothing else is found in a valid file."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest
from valid_files import FILES, POSITIONS

import mdf

AQ, DF, RX, ME = "/acquisition", "/acquisition/drivefield", "/acquisition/receiver", "/measurement"
CA, RE = "/calibration", "/reconstruction"
INT8 = np.int8


def flags(values: Any, dtype: Any = np.int8) -> np.ndarray:
    return np.array(values, dtype)


# file, rule, severity, changes (None leaves a dataset out; a group takes its datasets with it)
FAULTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("scan", "F02", "error", {"/version": None}),
    ("scan", "F02", "error", {"/version": "three"}),
    ("scan", "F02", "error", {"/version": "3.0"}),
    ("scan", "F02", "error", {"/version": 2.1}),
    ("scan", "F02", "warning", {"/version": "2.7.0"}),
    ("sparse", "F03", "warning", {"/version": "2.0.1"}),
    ("scan", "F03", "warning", {f"{ME}/isSparsityTransformed": None}),
    ("scan", "F04", "error", {"/study": None}),
    ("scan", "F04", "error", {"/experiment": None}),
    ("scan", "F04", "error", {"/scanner": None}),
    ("scan", "F04", "error", {RX: None}),
    ("scan", "F04", "error", {DF: None}),
    ("scan", "F04", "error", {AQ: None}),
    *(
        ("scan", "F05", "error", {path: None})
        for path in (
            f"{AQ}/numFrames", f"{AQ}/numPeriodsPerFrame", f"{RX}/numChannels", f"{RX}/numSamplingPoints",
            f"{RX}/bandwidth", f"{ME}/data", f"{ME}/isBackgroundFrame", f"{ME}/isFourierTransformed",
            f"{ME}/isFastFrameAxis", f"{ME}/isFrequencySelection",
        )
    ),
    ("scan", "F05", "warning", {"/uuid": None}),
    ("scan", "F05", "warning", {f"{DF}/phase": None}),
    ("scan", "F05", "warning", {f"{RX}/unit": h5py.Empty("S1")}),
    ("images", "F05", "error", {f"{RE}/data": None}),
    ("calibration", "F06", "warning", {f"{CA}/method": None}),
    ("images", "F06", "warning", {ME: None, f"{CA}/method": "robot"}),
    ("scan", "F07", "warning", {"/tracer": None}),
    ("scan", "F08", "warning", {ME: None}),
    ("scan", "F09", "warning", {f"{ME}/isFastFrameAxis": False}),
    ("scan", "F09", "warning", {f"{ME}/isFastFrameAxis": np.uint8(0)}),
    ("scan", "F09", "warning", {f"{ME}/isBackgroundFrame": flags([1, 0, 0, 0, 1], np.int64)}),
    ("scan", "F09", "error", {f"{ME}/isFastFrameAxis": INT8(2)}),
    ("scan", "F09", "warning", {f"{DF}/cycle": np.float32(4e-6)}),
    ("scan", "F09", "warning", {f"{AQ}/numAverages": np.int32(4)}),
    ("scan", "F09", "error", {f"{AQ}/numAverages": "four"}),
    ("scan", "F09", "error", {f"{AQ}/numAverages": 1.5}),
    ("scan", "F09", "error", {"/study/name": 7}),
    ("scan", "F10", "warning", {f"{AQ}/numAverages": np.array([4])}),
    ("scan", "F10", "error", {f"{AQ}/numAverages": np.array([4, 4])}),
    ("scan", "F11", "warning", {f"{ME}/mine": 1}),
    ("scan", "F11", "warning", {"/mine/deep/value": 1}),
    ("scan", "F11", "note", {f"{AQ}/numPeriodsPerFrame": None, f"{AQ}/numPeriods": 3}),
    ("calibration", "F11", "note", {f"{CA}/isMeanderingGrid": INT8(1)}),
    ("scan", "F13", "warning", {"/uuid": "not a uuid"}),
    ("scan", "F13", "warning", {"/study/uuid": "00000000-0000-0000-0000-000000000000"}),
    ("scan", "F13", "note", {"/experiment/uuid": "00000000-0000-1000-8000-000000000001"}),
    ("scan", "F14", "warning", {"/time": "2026-03-02T10:15:30Z"}),
    ("scan", "F14", "warning", {"/study/time": "2026-13-02T10:15:30"}),
    ("scan", "F14", "note", {"/time": "2026-03-02T10:15:30.123456"}),
    ("scan", "F14", "note", {f"{AQ}/startTime": "2026-03-03T10:15:30"}),
    ("scan", "F15", "note", {"/study/name": np.bytes_(b"Universit\xe4t")}),
    ("scan", "F16", "warning", {f"{DF}/cycle": np.array(4e-6, ">f8")}),
    ("scan", "T01", "error", {"/tracer/volume": np.array([1e-6])}),
    ("scan", "T01", "error", {"/tracer/volume": np.zeros((2, 1))}),
    ("scan", "T01", "warning", {"/tracer/volume": 1e-6}),
    ("scan", "T02", "warning", {"/tracer/volume": np.array([10.0, 10.0])}),
    ("scan", "T02", "warning", {"/tracer/concentration": np.array([50.0, 0.1])}),
    ("scan", "T02", "warning", {"/tracer/concentration": np.array([-1.0, np.nan])}),
    ("scan", "T03", "warning", {"/scanner/boreSize": 118.0}),
    ("scan", "A01", "error", {f"{AQ}/numAverages": 0}),
    ("scan", "A02", "error", {f"{AQ}/gradient": np.zeros((2, 1, 3, 3))}),
    ("scan", "A02", "error", {f"{AQ}/offsetField": np.zeros((3, 1, 2))}),
    ("scan", "A02", "error", {f"{AQ}/offsetField": np.zeros((3, 2, 3))}),
    ("scan", "A02", "warning", {f"{AQ}/gradient": np.array([-1.0, -1.0, 2.0])}),
    ("scan", "A02", "warning", {f"{AQ}/gradient": np.zeros((3, 3, 3))}),
    ("scan", "A02", "warning", {f"{AQ}/offsetField": np.zeros((6, 1, 3))}),
    ("scan", "A03", "warning", {f"{AQ}/gradient": np.tile(np.diag([1.0, 1.0, 1.0]), (3, 1, 1, 1))}),
    ("scan", "A03", "warning", {f"{AQ}/gradient": np.tile(np.eye(3, k=1), (3, 1, 1, 1))}),
    ("scan", "A04", "warning", {f"{DF}/strength": np.full((3, 2, 1), 12.0)}),
    ("scan", "A04", "warning", {f"{AQ}/gradient": np.tile(np.diag([-1e3, -1e3, 2e3]), (3, 1, 1, 1))}),
    ("scan", "D01", "error", {f"{DF}/strength": np.full((3, 3, 1), 0.012)}),
    ("scan", "D01", "error", {f"{DF}/divider": np.array([[10], [5], [2]])}),
    ("scan", "D01", "error", {f"{DF}/numChannels": 3}),
    ("scan", "D02", "error", {f"{DF}/phase": np.zeros((3, 2, 2))}),
    ("scan", "D02", "error", {f"{DF}/strength": np.full((2, 2, 1), 0.012)}),
    ("scan", "D02", "error", {f"{DF}/strength": np.linspace(0.01, 0.02, 12).reshape(6, 2, 1)}),
    ("scan", "D02", "error", {f"{DF}/divider": np.array([[10, 10], [5, 5]])}),
    ("scan", "D02", "warning", {f"{DF}/strength": np.full((6, 2, 1), 0.012)}),
    ("scan", "D02", "warning", {f"{DF}/strength": np.full((1, 2, 1), 0.012)}),
    ("scan", "D02", "warning", {f"{DF}/divider": np.array([[10, 5]])}),
    ("scan", "D02", "warning", {f"{DF}/waveform": "sine"}),
    ("scan", "D03", "error", {f"{DF}/baseFrequency": 0.0}),
    ("scan", "D03", "error", {f"{DF}/divider": np.array([[0], [5]])}),
    ("scan", "D03", "error", {f"{DF}/strength": np.full((3, 2, 1), -0.012)}),
    ("scan", "D04", "warning", {f"{DF}/phase": np.full((3, 2, 1), np.pi)}),
    ("scan", "D05", "warning", {f"{DF}/waveform": np.array([["sine"], ["square"]], object)}),
    ("scan", "D06", "warning", {f"{DF}/cycle": 8e-6}),
    ("scan", "D06", "note", {f"{DF}/strength": np.tile([[0.0], [0.1]], (3, 1, 1))}),
    ("scan", "D07", "warning", {f"{RX}/bandwidth": 1e6}),
    ("scan", "R01", "error", {f"{RX}/bandwidth": -1.0}),
    ("scan", "R01", "error", {f"{RX}/numSamplingPoints": 0}),
    ("scan", "R02", "error", {f"{RX}/dataConversionFactor": np.ones((3, 2))}),
    ("scan", "R02", "error", {f"{RX}/dataConversionFactor": np.array([[0.0, 0.0], [1.0, 0.0]])}),
    ("scan", "R02", "error", {f"{RX}/dataConversionFactor": np.full((2, 2), np.nan)}),
    ("scan", "R03", "error", {f"{RX}/transferFunction": np.ones((2, 5), complex)}),
    ("calibration", "R03", "warning", {f"{RX}/transferFunction": np.ones((2, 6), complex)}),
    (
        "scan", "R03", "warning",
        {f"{RX}/transferFunction": np.ones((2, 3), complex), f"{DF}/strength": np.full((6, 2, 1), 0.012)},
    ),
    ("scan", "R04", "warning", {f"{RX}/transferFunction": np.full((2, 6), np.nan + 0j)}),
    ("scan", "R04", "note", {f"{RX}/transferFunction": np.eye(2, 6, dtype=complex)}),
    ("scan", "R05", "error", {f"{RX}/inductionFactor": np.ones(3)}),
    ("scan", "R05", "error", {f"{RX}/inductionFactor": np.array([1.0, 0.0])}),
    ("scan", "R06", "warning", {f"{RX}/transferFunction": None}),
    (
        "scan", "R06", "warning",
        {f"{RX}/transferFunction": None, f"{RX}/inductionFactor": None,
         f"{ME}/isTransferFunctionCorrected": INT8(1)},
    ),
    ("scan", "M01", "error", {f"{ME}/data": np.zeros((5, 3, 1, 10), "f4")}),
    ("scan", "M01", "error", {f"{ME}/data": np.zeros((5, 2, 2, 10), "f4")}),
    ("scan", "M01", "error", {f"{ME}/data": np.zeros((15, 20), "f4")}),
    ("calibration", "M01", "error", {f"{ME}/isFastFrameAxis": INT8(0)}),
    ("calibration", "M01", "warning", {f"{ME}/data": np.zeros((2, 4, 7), "c8")}),
    ("calibration", "M02", "error", {f"{ME}/data": np.zeros((1, 2, 4, 7), "f4")}),
    ("scan", "M02", "warning", {f"{ME}/data": np.zeros((5, 3, 2, 10), "c8")}),
    ("scan", "M03", "warning", {f"{ME}/data": np.zeros((5, 3, 2, 10), "u2")}),
    ("scan", "M03", "warning", {f"{ME}/data": np.zeros((5, 3, 2, 10), "f2")}),
    ("scan", "M03", "error", {f"{ME}/data": np.zeros((5, 3, 2, 10), "S3")}),
    ("calibration", "M03", "error", {f"{ME}/data": np.zeros((1, 2, 4, 7), [("i", "f4"), ("r", "f4")])}),
    ("calibration", "M03", "error", {f"{ME}/data": np.zeros((1, 2, 4, 7), [("re", "f4"), ("im", "f4")])}),
    ("scan", "M04", "error", {f"{ME}/isBackgroundFrame": flags([1, 0, 0, 0])}),
    ("scan", "M04", "error", {f"{ME}/isBackgroundFrame": flags([1, 0, 0, 0, 2])}),
    ("sparse", "M04", "warning", {f"{ME}/isBackgroundFrame": flags([0, 0, 1])}),
    ("scan", "M05", "warning", {f"{AQ}/numFrames": 4}),
    ("sparse", "M05", "warning", {f"{AQ}/numFrames": 3}),
    ("calibration", "M06", "warning", {f"{ME}/framePermutation": None}),
    ("calibration", "M06", "error", {f"{ME}/framePermutation": np.arange(7)}),
    ("calibration", "M06", "error", {f"{ME}/framePermutation": np.ones(7, int)}),
    ("calibration", "M06", "error", {f"{ME}/framePermutation": np.arange(1, 7)}),
    ("calibration", "M06", "warning", {f"{ME}/isFramePermutation": INT8(0)}),
    ("calibration", "M07", "error", {f"{ME}/frequencySelection": None}),
    ("calibration", "M07", "error", {f"{ME}/frequencySelection": np.array([0, 2, 4, 5])}),
    ("calibration", "M07", "error", {f"{ME}/frequencySelection": np.array([1, 2, 4, 7])}),
    ("calibration", "M07", "error", {f"{ME}/frequencySelection": np.array([1, 2, 2, 6])}),
    ("calibration", "M07", "error", {f"{ME}/frequencySelection": np.array([1, 2, 6])}),
    ("calibration", "M07", "warning", {f"{ME}/frequencySelection": np.array([2, 1, 4, 6])}),
    ("scan", "M08", "warning", {f"{ME}/isFrequencySelection": INT8(1)}),
    ("calibration", "M09", "error", {f"{ME}/isFrequencySelection": INT8(0)}),
    ("scan", "M09", "warning", {f"{ME}/data": np.zeros((5, 3, 2, 8), "f4")}),
    ("sparse", "M10", "error", {f"{ME}/isFourierTransformed": INT8(0)}),
    ("sparse", "M10", "error", {f"{ME}/isBackgroundFrame": flags([1, 0, 0, 0, 0, 0, 0])}),
    ("sparse", "M10", "error", {f"{CA}/size": None}),
    ("sparse", "M10", "error", {f"{ME}/sparsityTransformation": "FFT"}),
    ("sparse", "M10", "error", {f"{ME}/sparsityTransformation": None}),
    ("sparse", "M10", "error", {f"{ME}/subsamplingIndices": None}),
    ("sparse", "M10", "error", {f"{ME}/subsamplingIndices": np.ones((1, 2, 4), np.int32)}),
    ("sparse", "M10", "error", {f"{ME}/subsamplingIndices": np.tile(flags([0, 2]), (1, 2, 4, 1))}),
    ("sparse", "M10", "error", {f"{ME}/subsamplingIndices": np.tile(flags([2, 2]), (1, 2, 4, 1))}),
    ("sparse", "M10", "error", {f"{ME}/subsamplingIndices": np.tile(flags([2, 7]), (1, 2, 4, 1))}),
    ("sparse", "M10", "error", {f"{ME}/data": np.ones((1, 2, 4, 5), np.complex64)}),
    (
        "calibration", "M11", "note",
        {f"{ME}/isBackgroundFrame": flags([0] * 7), f"{CA}/size": np.array([7, 1, 1])},
    ),
    ("scan", "M12", "note", {f"{ME}/isBackgroundFrame": flags([1] * 5)}),
    ("scan", "M13", "warning", {f"{ME}/data": np.full((5, 3, 2, 10), np.inf, "f4")}),
    (
        "scan", "M14", "warning",
        {f"{RX}/dataConversionFactor": None, f"{ME}/data": np.zeros((5, 3, 2, 10), "i2")},
    ),
    ("calibration", "C01", "error", {f"{CA}/size": np.array([3, 2])}),
    ("images", "C01", "error", {f"{RE}/fieldOfViewCenter": np.zeros(2)}),
    ("calibration", "C02", "error", {f"{CA}/size": np.array([3, 3, 1]), f"{CA}/positions": None}),
    ("calibration", "C02", "warning", {f"{CA}/size": np.array([3, 3, 1])}),
    ("calibration", "C02", "error", {f"{CA}/size": np.array([-3, -2, 1])}),
    ("calibration", "C03", "error", {f"{CA}/positions": np.zeros((5, 3))}),
    ("calibration", "C03", "error", {f"{CA}/offsetFields": np.zeros((6, 2))}),
    ("calibration", "C04", "warning", {f"{CA}/offsetFields": np.zeros((6, 3))}),
    ("calibration", "C05", "warning", {f"{CA}/order": "xyy"}),
    ("calibration", "C06", "error", {f"{CA}/snr": np.ones((1, 2, 6))}),
    ("calibration", "C06", "warning", {f"{CA}/snr": np.ones((2, 4))}),
    ("calibration", "C07", "warning", {f"{CA}/snr": np.full((1, 2, 4), np.inf)}),
    ("calibration", "C08", "warning", {f"{CA}/fieldOfView": np.array([6.0, 4.0, 1.0])}),
    ("calibration", "C08", "warning", {f"{CA}/fieldOfView": np.array([0.0, 0.004, 0.001])}),
    ("calibration", "C09", "warning", {f"{CA}/positions": POSITIONS[::-1]}),
    ("calibration", "C09", "warning", {f"{CA}/order": "yxz"}),
    ("calibration", "C10", "warning", {f"{CA}/deltaSampleSize": np.zeros(3)}),
    ("images", "P01", "error", {f"{RE}/data": np.zeros(6)}),
    ("images", "P01", "warning", {f"{RE}/data": np.zeros((3, 6))}),
    ("images", "P02", "error", {f"{RE}/size": np.array([3, 3, 1])}),
    ("images", "P02", "error", {f"{RE}/positions": np.zeros((5, 3))}),
    ("images", "P02", "error", {f"{RE}/isOverscanRegion": flags([0] * 5)}),
    ("images", "P02", "error", {f"{RE}/isOverscanRegion": flags([3] * 6)}),
    ("images", "P03", "warning", {f"{RE}/order": "ab"}),
    ("images", "P03", "warning", {f"{RE}/fieldOfView": np.array([2.0, 0.1, 0.1])}),
]  # fmt: skip


def bad(problems: list[mdf.Problem]) -> list[mdf.Problem]:
    return [problem for problem in problems if problem.severity != "note"]


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_found_in_a_valid_file(file, name):
    assert mdf.validate(file(name, {})) == []


@pytest.mark.parametrize(
    ("name", "rule", "severity", "changes"),
    FAULTS,
    ids=[f"{rule}-{severity}-{index}" for index, (_, rule, severity, _) in enumerate(FAULTS)],
)
def test_every_fault_is_found(file, name, rule, severity, changes):
    found = mdf.validate(file(name, changes))
    assert (rule, severity) in {(problem.rule, problem.severity) for problem in found}, found
    assert "F01" not in {problem.rule for problem in found}, found


def test_the_table_of_faults_covers_the_rules():
    rules = {rule for _, rule, _, _ in FAULTS}
    expected = {
        *(f"F{number:02}" for number in range(2, 17)), *(f"T{number:02}" for number in range(1, 4)),
        *(f"A{number:02}" for number in range(1, 5)), *(f"D{number:02}" for number in range(1, 8)),
        *(f"R{number:02}" for number in range(1, 7)), *(f"M{number:02}" for number in range(1, 15)),
        *(f"C{number:02}" for number in range(1, 11)), *(f"P{number:02}" for number in range(1, 4)),
    }  # fmt: skip
    assert expected - rules == {"F12"}  # attributes, links and storage are tested beside this
    assert len(FAULTS) >= 60


def test_faults_are_all_found_in_one_pass(file):
    changes = {
        "/uuid": "x", f"{RX}/bandwidth": -1.0, f"{ME}/isBackgroundFrame": flags([3]), "/tracer/volume": 9.0,
    }  # fmt: skip
    found = {problem.rule for problem in mdf.validate(file("scan", changes))}
    assert {"F13", "R01", "M04", "F09", "T01", "T02", "D07"} <= found


def test_a_problem_says_what_was_found_and_expected(file):
    (problem,) = mdf.validate(file("scan", {f"{DF}/divider": np.array([[10, 5]])}))
    assert problem == mdf.Problem(
        rule="D02",
        severity="warning",
        path=f"{DF}/divider",
        found="(1, 2)",
        expected="(2, 1)",
        message="the shape: found (1, 2), expected (2, 1)",
    )


def test_errors_stand_first(file):
    changes = {"/uuid": "x", f"{RX}/numChannels": 3, f"{ME}/isBackgroundFrame": flags([1] * 5)}
    severities = [problem.severity for problem in mdf.validate(file("scan", changes))]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert set(severities) == {"error", "warning", "note"}


def test_names_below_an_underscore_are_free(file):
    changes = {"/_own/any/thing": 1, "/measurement/_monitoring/temperature/observed": np.zeros(3), "/_x": "y"}
    assert mdf.validate(file("scan", changes)) == []


def test_the_samples_that_conform_strictly_are_valid(samples):
    for name in ("multipatch-measurement", "openmpi3d-small-systemmatrix"):
        assert bad(mdf.validate(samples / f"{name}.mdf")) == []


def test_the_samples_that_copy_a_scanner_give_warnings_and_no_error(samples):
    files = sorted(samples.glob("bruker*.mdf"))
    assert len(files) == 4
    for path in files:
        found = {(problem.rule, problem.path) for problem in bad(mdf.validate(path))}
        assert found == {("D02", f"{DF}/divider"), ("D02", f"{DF}/waveform")}
        assert not [problem for problem in mdf.validate(path) if problem.severity == "error"]
