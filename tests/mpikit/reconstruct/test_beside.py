"""Files beside the images: names, and what an earlier run left."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.events import Finding, silent
from mpikit.made_here import PNG, software
from mpikit.provenance import append_history
from mpikit.reconstruct import reconstruct_file
from mpikit.reconstruct.beside import Beside
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.outputs import FORMATS, About

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


PICTURE = PNG + f"tEXtSoftware\0{software()}".encode()


def write_run(beside, *, command="reconstruct"):
    """Write what a run would have left: pictures, and images with their history."""
    for path in beside.wanted(curve=True, deviation=True):
        if path.suffix == ".png":
            path.write_bytes(PICTURE)
        else:
            images = np.ones((1, 2, 3, 4), np.float32)
            grid = mdf.Grid(np.array([4, 3, 2]), np.full(3, 0.01), np.zeros(3))
            history = append_history(None, {"command": command})
            deviation = Images(images, grid, np.arange(1), "delta sample")
            path.write_bytes(FORMATS[".nii.gz"].encode(deviation, About(history)))


def test_only_what_is_not_written_anew_is_removed(tmp_path, beside):
    pytest.importorskip("nibabel")
    write_run(beside)
    (tmp_path / "other.lambda.png").write_bytes(PICTURE)
    told = []
    beside.remove_stale(curve=True, deviation=False, tell=told.append)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"image.nii.gz", "image.nii.gz.png", "image.nii.gz.lambda.png", "other.lambda.png"}
    assert [event.value for event in told] == [
        str(tmp_path / "image.nii.gz.uncertainty.png"),
        str(tmp_path / "image.uncertainty.nii.gz"),
    ]


@pytest.mark.parametrize("content", [b"", b"notes", PNG + b"of another program", b"\x1f\x8b damaged"])
def test_what_others_made_is_never_removed(tmp_path, beside, content):
    for path in beside.wanted(curve=True, deviation=True):
        path.write_bytes(content)
    told = []
    beside.remove_stale(curve=False, deviation=False, tell=told.append)
    assert len(list(tmp_path.iterdir())) == 5
    assert told == []


def test_images_of_another_work_are_not_removed(tmp_path, beside):
    pytest.importorskip("nibabel")
    write_run(beside, command="convert")
    beside.remove_stale(curve=True, deviation=False, tell=silent)
    assert (tmp_path / "image.uncertainty.nii.gz").exists()
    assert not (tmp_path / "image.nii.gz.uncertainty.png").exists()


def test_an_input_is_never_removed(tmp_path, beside):
    """Not even one that mpikit made, and that is named by a link."""
    kept = tmp_path / "image.nii.gz.lambda.png"
    kept.write_bytes(PICTURE)
    (link := tmp_path / "link").symlink_to(kept)
    beside.remove_stale(curve=False, deviation=False, inputs=[link], tell=silent)
    assert kept.exists()
    beside.remove_stale(curve=False, deviation=False, tell=silent)
    assert not kept.exists()


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
