"""Several scans: which files are meant, what must agree, empty measurements."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from mpikit.denoise_file import denoise_file
from mpikit.errors import InputError, UsageError
from mpikit.provenance import HISTORY, append_history
from mpikit.scan import Corrections
from mpikit.scan_file import read_scan, write_scan
from mpikit.scan_set import check_alike, measurement_files, with_empty_measurements
from mpikit.signal import subtract_background
from mpikit.testing import example_scan

ABOUT = {
    **dict.fromkeys(("/study/name", "/study/description", "/experiment/name"), "test"),
    **dict.fromkeys(("/experiment/description", "/experiment/subject", "/scanner/name"), "test"),
    **dict.fromkeys(("/scanner/facility", "/scanner/manufacturer", "/scanner/operator"), "test"),
    "/scanner/topology": "FFP",
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/isSimulation": True,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}


def write(path, scan=None, **user):
    write_scan(scan or example_scan(frames=5, background_frames=2), path, contents=ABOUT, user=user)
    return path


def simulated(noise):
    return append_history(None, {"command": "simulate", "options": {"noise": noise}})


def test_files_and_folders(tmp_path):
    folder = tmp_path / "scans"
    (folder / "inner.mdf").mkdir(parents=True)
    for name in ("b.mdf", "a.MDF"):
        write(folder / name)
    (folder / "notes.txt").write_text("no scan")
    other = write(tmp_path / "c.mdf")
    named = [other, folder, folder / "b.mdf", folder / ".." / "c.mdf"]
    assert measurement_files(named) == [other, folder / "a.MDF", folder / "b.mdf"]
    assert measurement_files([tmp_path / "none.mdf"]) == [tmp_path / "none.mdf"]  # who reads it complains


def test_what_is_passed_over_in_a_folder_is_told(tmp_path):
    noisy = write(tmp_path / "a.mdf", **{HISTORY: simulated(["gaussian"])})
    write(tmp_path / "clean.mdf", **{HISTORY: simulated([])})
    denoise_file(noisy, method="average")
    (tmp_path / "damaged.mdf").write_text("text")
    matrix = write(tmp_path / "matrix.mdf")
    with h5py.File(matrix, "r+") as file:
        file.create_group("calibration")["method"] = "robot"
    told = []
    found = measurement_files([tmp_path], tell=told.append)
    assert found == [tmp_path / "a.mdf", tmp_path / "damaged.mdf"]
    assert {event.value: event.text.rsplit(": ", 1)[1] for event in told} == {
        "a.average.mdf": "denoised before",
        "clean.mdf": "a simulation without noise",
        "matrix.mdf": "a calibration",
    }
    named = tmp_path / "clean.mdf"
    assert measurement_files([named], tell=told.append) == [named]  # asked for by name


def test_a_folder_with_nothing_to_use(tmp_path):
    with pytest.raises(InputError, match="has no MDF file"):
        measurement_files([tmp_path])
    write(tmp_path / "clean.mdf", **{HISTORY: simulated([])})
    with pytest.raises(InputError, match="has 1 MDF files, but none to use"):
        measurement_files([tmp_path])


def changed(**parts):
    return replace(example_scan(frames=5, background_frames=2), name="other", **parts)


def other_drive(**parts):
    return changed(drive_field=replace(example_scan(frames=5).drive_field, **parts))


SCAN = example_scan(frames=5, background_frames=2)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (changed(signal=SCAN.signal[:, :, :1], background=SCAN.background[:, :, :1]), "receive channels 1"),
        (
            changed(
                signal=SCAN.signal[..., :160],
                background=SCAN.background[..., :160],
                stored_lines=np.ones(81, bool),
            ),
            "samples in a period 160, example has 162",
        ),
        (changed(sampling_rate=2e6), "the sampling rate in Hz 2000000, example has 4050000"),
        (changed(unit="A"), "the unit 'A', example has 'V'"),
        (changed(corrections=Corrections(transfer_function=True)), "a corrected transfer function: yes"),
        (changed(stored_lines=np.arange(82) > 3), "stored lines: 78"),
        (other_drive(amplitudes=np.full((1, 1, 1), 6e-3)), "different drive fields"),
        (other_drive(phases=np.zeros((1, 1, 1))), "different drive fields"),
        (other_drive(dividers=np.array([[99]])), "different drive fields"),
        (other_drive(waveforms=np.array([["triangle"]])), "different drive fields"),
        (other_drive(base_frequency=2.4e6), "different drive fields"),
    ],
)
def test_scans_that_do_not_fit_together(other, words):
    check_alike([SCAN, SCAN])
    with pytest.raises(InputError, match=words) as caught:
        check_alike([SCAN, SCAN, other])
    assert "other" in str(caught.value)
    assert "example" in str(caught.value)
    assert caught.value.hint


def test_scans_of_different_length_fit_together():
    long = example_scan(frames=3, periods=4, repeats="periods")
    check_alike([SCAN, long])
    amplitudes = long.drive_field.amplitudes.copy()
    amplitudes[2] *= 2
    patches = replace(long, drive_field=replace(long.drive_field, amplitudes=amplitudes))
    with pytest.raises(InputError, match="different drive fields"):
        check_alike([SCAN, patches])


def test_empty_measurements_become_background_frames(tmp_path):
    scan = example_scan(frames=5, periods=2, repeats="both", background_frames=0)
    marked = write(tmp_path / "marked.mdf", example_scan(frames=1, periods=2, background_frames=4, seed=8))
    whole = example_scan(frames=3, periods=2, repeats="both", background_frames=0, seed=9)
    whole = write(tmp_path / "whole.mdf", whole)
    one = with_empty_measurements(scan, [marked])
    np.testing.assert_array_equal(one.background, read_scan(marked).background)
    assert one.background_index.tolist() == [0, 1, 2, 3]
    assert one.foreground_index.tolist() == [4, 5, 6, 7, 8]
    two = with_empty_measurements(scan, [marked, whole])
    np.testing.assert_array_equal(two.background[4:], read_scan(whole).signal)
    assert two.background_index.tolist() == [0, 1, 2, 3, 9, 10, 11]
    assert with_empty_measurements(scan, []) is scan


def test_empty_measurements_that_do_not_fit(tmp_path):
    empty = write(tmp_path / "empty.mdf", example_scan(frames=2, background_frames=4))
    scan = example_scan(frames=5, background_frames=2)
    with pytest.raises(UsageError, match="3 empty measurements"):
        with_empty_measurements(scan, [empty] * 3)
    with pytest.raises(InputError, match="came with its background subtracted"):
        with_empty_measurements(subtract_background(scan), [empty])
    two = example_scan(frames=5, periods=2, repeats="both")
    with pytest.raises(InputError, match=r"empty\.mdf has frames of 1 x 2 x 162 .* has 2 x 2 x 162"):
        with_empty_measurements(two, [empty])
    with pytest.raises(InputError, match=r"empty\.mdf is in 'V', example in 'A'"):
        with_empty_measurements(replace(scan, unit="A"), [empty])
