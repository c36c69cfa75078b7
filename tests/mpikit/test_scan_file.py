from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdf
from mpikit.errors import InputError
from mpikit.scan import Corrections, Scan
from mpikit.scan_file import read_scan, scan_contents, scan_frames, write_scan
from mpikit.scanner import DriveField, SelectionField

ABOUT = {
    "/study/name": "tests",
    "/study/number": 1,
    "/study/description": "scans",
    "/experiment/name": "scan",
    "/experiment/number": 2,
    "/experiment/description": "made by a test",
    "/experiment/subject": "noise",
    "/experiment/isSimulation": True,
    "/scanner/name": "none",
    "/scanner/facility": "none",
    "/scanner/manufacturer": "none",
    "/scanner/operator": "none",
    "/scanner/topology": "FFP",
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}


def make_scan(shape: tuple[int, int, int, int] = (4, 3, 2, 11), empty: int = 2, seed: int = 5) -> Scan:
    """Return a scan of noise, its empty frames anywhere among the others."""
    rng = np.random.default_rng(seed)
    frames, periods, channels, samples = shape
    place = rng.permutation(frames + empty)
    return Scan(
        signal=rng.normal(size=shape).astype(np.float32),
        background=rng.normal(size=(empty, periods, channels, samples)).astype(np.float32),
        foreground_index=np.sort(place[:frames]),
        background_index=np.sort(place[frames:]),
        sampling_rate=2.5e6,
        unit="V",
        drive_field=DriveField(
            base_frequency=2.5e6,
            dividers=np.array([[samples], [3 * samples]]),
            amplitudes=rng.uniform(0.001, 0.02, (periods, 2, 1)),
            phases=rng.uniform(-3, 3, (periods, 2, 1)),
            waveforms=np.array([["sine"], ["triangle"]]),
        ),
        selection_field=SelectionField(
            rng.normal(size=(periods, 1, 3, 3)), 0.1 * rng.normal(size=(periods, 1, 3))
        ),
        stored_lines=np.ones(samples // 2 + 1, bool),
        corrections=Corrections(background=True, transfer_function=False, leakage=True, averages=7),
        repeats="periods",
        name="scan.mdf",
    )


def assert_equal(one: Scan, other: Scan) -> None:
    for field in fields(Scan):
        mine, yours = getattr(one, field.name), getattr(other, field.name)
        if field.name in {"drive_field", "selection_field"} and mine is not None:
            mine, yours = vars(mine), vars(yours)
            assert mine.keys() == yours.keys()
            for name in mine:
                np.testing.assert_array_equal(mine[name], yours[name], err_msg=name)
        else:
            np.testing.assert_array_equal(mine, yours, err_msg=field.name)
    assert one.signal.dtype == other.signal.dtype == np.float32


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 8)),
    empty=st.integers(0, 3),
    repeats=st.sampled_from(["frames", "periods", "both", "none"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=50, deadline=None)
def test_a_scan_comes_back_bit_for_bit(shape, empty, repeats, seed):
    rng = np.random.default_rng(seed)
    scan = make_scan(shape, empty, seed)
    scan = replace(scan, repeats=repeats, stored_lines=rng.random(len(scan.stored_lines)) < 0.7)
    with tempfile.TemporaryDirectory() as folder:
        write_scan(scan, Path(folder) / "scan.mdf", contents=ABOUT)
        assert_equal(read_scan(Path(folder) / "scan.mdf"), scan)


def test_a_scan_without_selection_field(tmp_path):
    scan = replace(make_scan(), selection_field=None)
    write_scan(scan, tmp_path / "scan.mdf", contents=ABOUT)
    assert_equal(read_scan(tmp_path / "scan.mdf"), scan)


def test_frames_are_written_in_the_order_of_acquisition():
    scan = make_scan()
    frames = scan_frames(scan)
    np.testing.assert_array_equal(frames[scan.foreground_index], scan.signal)
    np.testing.assert_array_equal(frames[scan.background_index], scan.background)
    mask = scan_contents(scan)["/measurement/isBackgroundFrame"]
    np.testing.assert_array_equal(np.flatnonzero(mask), scan.background_index)


def test_what_is_missing_is_said_and_what_is_given_wins(tmp_path):
    with pytest.raises(mdf.MdfError, match="/study/name"):
        write_scan(make_scan(), tmp_path / "scan.mdf")
    assert list(tmp_path.iterdir()) == []
    more = ABOUT | {"/acquisition/numAverages": 9}
    write_scan(make_scan(), tmp_path / "scan.mdf", contents=more, user={"/_mpikit/repeats": "none"})
    scan = read_scan(tmp_path / "scan.mdf")
    assert (scan.corrections.averages, scan.repeats) == (9, "none")


def test_the_argument_wins_over_the_file(tmp_path):
    write_scan(make_scan(), tmp_path / "scan.mdf", contents=ABOUT)
    assert read_scan(tmp_path / "scan.mdf").repeats == "periods"
    assert read_scan(tmp_path / "scan.mdf", repeats="both").repeats == "both"


def test_the_data_decide_when_the_file_says_nothing(tmp_path, monkeypatch):
    seen = []

    def find_repeats(scan: Scan) -> str:
        seen.append(scan.repeats)
        return "frames"

    monkeypatch.setattr("mpikit.signal.repeats.find_repeats", find_repeats)
    for said in ("", "sometimes"):
        user: dict[str, Any] = {"/_mpikit/repeats": said}
        write_scan(make_scan(), tmp_path / "scan.mdf", contents=ABOUT, user=user, overwrite=True)
        assert read_scan(tmp_path / "scan.mdf").repeats == "frames"
    assert seen == ["none", "none"]


@pytest.mark.parametrize("samples", [10, 11])
@pytest.mark.parametrize("fast_frames", [False, True])
def test_spectra_of_odd_and_even_periods(tmp_path, samples, fast_frames):
    scan = make_scan((4, 3, 2, samples))
    flags = {
        "/measurement/isFourierTransformed": True,
        "/measurement/isFastFrameAxis": fast_frames,
        "/acquisition/receiver/numSamplingPoints": samples,
    }
    spectra = np.fft.rfft(scan_frames(scan))
    mdf.write(tmp_path / "scan.mdf", ABOUT | scan_contents(scan) | flags, spectra)
    read = read_scan(tmp_path / "scan.mdf", repeats="periods")
    np.testing.assert_allclose(read.signal, scan.signal, atol=2e-7 * np.abs(scan.signal).max() * samples)
    assert_equal(replace(read, signal=scan.signal, background=scan.background), scan)


def test_lines_that_are_not_stored_are_marked(tmp_path):
    scan = make_scan()
    selection = np.array([2, 3, 5])
    flags = {
        "/measurement/isFourierTransformed": True,
        "/measurement/isFrequencySelection": True,
        "/measurement/frequencySelection": selection,
        "/acquisition/receiver/numSamplingPoints": 11,
    }
    spectra = np.fft.rfft(scan_frames(scan))[..., selection - 1]
    mdf.write(tmp_path / "scan.mdf", ABOUT | scan_contents(scan) | flags, spectra)
    read = read_scan(tmp_path / "scan.mdf", repeats="none")
    assert np.flatnonzero(read.stored_lines).tolist() == [1, 2, 4]
    np.testing.assert_allclose(np.fft.rfft(read.signal)[..., ~read.stored_lines], 0, atol=1e-5)


def all_empty(contents: dict[str, Any]) -> dict[str, Any]:
    return contents | {"/measurement/isBackgroundFrame": np.ones(6, np.int8)}


def nothing_measured(contents: dict[str, Any]) -> dict[str, Any]:
    kept = {path: value for path, value in contents.items() if not path.startswith("/measurement")}
    return kept | {
        "/acquisition/numFrames": 6,
        "/acquisition/numPeriodsPerFrame": 3,
        "/acquisition/receiver/numChannels": 2,
        "/acquisition/receiver/numSamplingPoints": 11,
        "/reconstruction/data": np.zeros((1, 8, 1)),
    }


@pytest.mark.parametrize(
    ("change", "message"), [(all_empty, "background frames"), (nothing_measured, "no /measurement")]
)
def test_files_without_a_signal(tmp_path, change: Callable[[dict[str, Any]], dict[str, Any]], message):
    scan = make_scan()
    data = scan_frames(scan) if change is all_empty else None
    mdf.write(tmp_path / "scan.mdf", change(ABOUT | scan_contents(scan)), data)
    with pytest.raises(InputError, match=message):
        read_scan(tmp_path / "scan.mdf")


def test_fields_that_do_not_go_together(tmp_path):
    write_scan(make_scan(), tmp_path / "scan.mdf", contents=ABOUT)
    with h5py.File(tmp_path / "scan.mdf", "r+") as hdf:
        del hdf["/acquisition/gradient"]
        hdf["/acquisition/gradient"] = np.zeros((3, 2, 3, 3))
    with pytest.raises(InputError, match="expected the same periods and parts"):
        read_scan(tmp_path / "scan.mdf")


def test_an_offset_field_that_is_not_given_is_zero(tmp_path):
    contents = ABOUT | {"/acquisition/offsetField": None}
    write_scan(make_scan(), tmp_path / "scan.mdf", contents=contents)
    np.testing.assert_array_equal(
        read_scan(tmp_path / "scan.mdf").selection_field.offset, np.zeros((3, 1, 3))
    )


@pytest.mark.parametrize(
    ("name", "shape", "empty"),
    [
        ("bruker1d", (12, 100, 3, 102), [0, 1, 8, 15, 16]),
        ("bruker2d", (20, 1, 3, 1632), [0, 1, 2, 3, 4, 25, 26, 27, 28, 29]),
        ("openmpi3d-small", (3, 1, 3, 53856), [0, 4]),
        ("multipatch", (3, 4, 2, 1632), [0, 4]),
    ],
)
def test_samples(samples, name, shape, empty):
    scan = read_scan(samples / f"{name}-measurement.mdf", repeats="none")
    assert scan.signal.shape == shape
    assert scan.background_index.tolist() == empty
    assert scan.signal.dtype == np.float32
    assert scan.sampling_rate == 2.5e6
    assert scan.drive_field.cycle * scan.sampling_rate == pytest.approx(shape[-1])
    assert scan.selection_field.gradient.shape == (shape[1], 1, 3, 3)
    assert scan.stored_lines.all()
