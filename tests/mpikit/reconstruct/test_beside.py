"""Files beside the images: names, and what an earlier run left."""

from __future__ import annotations

import pytest

from mpikit.events import Finding
from mpikit.reconstruct import reconstruct_file
from mpikit.reconstruct.beside import Beside

OPTIONS = {"min_frequency": 0.0, "snr_threshold": 0.0, "iterations": 2, "average_frames": True}


@pytest.fixture
def beside(tmp_path):
    return Beside(tmp_path / "image.nii.gz")


def test_all_names(tmp_path, beside):
    names = [
        "image.nii.gz",
        "image.nii.gz.png",
        "image.nii.gz.lambda.png",
        "image.nii.gz.uncertainty.png",
        "image.uncertainty.nii.gz",
    ]
    assert [path.name for path in beside.wanted(curve=True, deviation=True)] == names
    assert [path.name for path in beside.wanted(curve=False, deviation=False)] == names[:2]
    npz = Beside(tmp_path / "a.npz")
    assert [path.name for path in npz.wanted(curve=False, deviation=True)] == [
        "a.npz",
        "a.npz.png",
        "a.npz.uncertainty.png",
    ]
    mine = Beside(tmp_path / "of.b.MDF")
    assert [path.name for path in mine.wanted(curve=True, deviation=False)] == [
        "of.b.MDF",
        "of.b.png",
        "of.b.lambda.png",
    ]


def test_only_what_is_not_written_anew_is_removed(tmp_path, beside):
    for path in [*beside.wanted(curve=True, deviation=True), tmp_path / "other.lambda.png"]:
        path.write_bytes(b"x")
    told = []
    beside.remove_stale(curve=True, deviation=False, tell=told.append)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"image.nii.gz", "image.nii.gz.png", "image.nii.gz.lambda.png", "other.lambda.png"}
    assert [event.value for event in told] == [
        str(tmp_path / "image.nii.gz.uncertainty.png"),
        str(tmp_path / "image.uncertainty.nii.gz"),
    ]


def test_a_curve_of_another_lambda_does_not_stay(pair):
    source, system = pair.measurement(), pair.calibration()
    first = reconstruct_file(source, system_matrix=system, lambda_="gcv", **OPTIONS)
    assert first.curve.exists()
    told = []
    reconstruct_file(source, system_matrix=system, overwrite=True, tell=told.append, **OPTIONS)
    assert not first.curve.exists()
    assert [event.value for event in told if isinstance(event, Finding) and event.name == "removed"] == [
        str(first.curve)
    ]


def test_what_no_run_replaced_is_not_touched(pair):
    """A picture of somebody else, beside images that were not there before."""
    mine = pair.folder / "measurement.reconstruction.lambda.png"
    mine.write_bytes(b"mine")
    reconstruct_file(pair.measurement(), system_matrix=pair.calibration(), overwrite=True, **OPTIONS)
    assert mine.read_bytes() == b"mine"
