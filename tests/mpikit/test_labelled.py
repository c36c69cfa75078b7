"""Ways out of memory: labelled arrays and files for other tools."""

from __future__ import annotations

import builtins
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from PIL import Image

from mdf import Grid
from mpikit.errors import InputError, PluginError, UsageError
from mpikit.extras import install_hint
from mpikit.provenance import HISTORY
from mpikit.reconstruct import Images
from mpikit.scan import Corrections, Scan
from mpikit.scanner import DriveField

PLANE = Grid(np.array([4, 3, 1]), np.array([0.04, 0.033, 0.010]), np.zeros(3))
GRID = Grid(np.array([4, 3, 2]), np.array([0.04, 0.033, 0.010]), np.array([0.001, 0.002, -0.003]))


@pytest.fixture
def scan(rng) -> Scan:
    drive = DriveField(
        2.5e6,
        np.array([[102, 96]]),
        np.array([[[0.01, 0.0]]] * 4),
        np.zeros((4, 1, 2)),
        np.array([["sine"] * 2]),
    )
    return Scan(
        signal=rng.random((5, 4, 2, 10), np.float32),
        background=rng.random((3, 4, 2, 10), np.float32),
        foreground_index=np.array([1, 2, 4, 5, 6]),
        background_index=np.array([0, 3, 7]),
        sampling_rate=2e6,
        unit="V",
        drive_field=drive,
        selection_field=None,
        stored_lines=np.arange(6) != 2,
        corrections=Corrections(leakage=True, averages=3),
        repeats="frames",
        name="größe.mdf",
        about={HISTORY: "[]"},
    )


@pytest.fixture
def images(rng) -> Images:
    values = rng.random((5, 2, 3, 4), np.float32)
    return Images(
        values,
        GRID,
        np.array([3, 4, 6, 7, 9]),
        "delta sample",
        0.2,
        history='[{"a": 1}]',
        frame_interval=0.02,
    )


def test_a_scan_has_labelled_axes_and_units(scan):
    labelled = scan.to_xarray()
    assert labelled.signal.dims == ("frame", "period", "channel", "time")
    assert labelled.background.dims == ("background_frame", "period", "channel", "time")
    np.testing.assert_array_equal(labelled.signal, scan.signal)
    np.testing.assert_array_equal(labelled.background, scan.background)
    np.testing.assert_array_equal(
        labelled.signal.sel(frame=4, channel=1, period=2).sel(time=2e-6, method="nearest"),
        scan.signal[2, 2, 1, 4],
    )
    np.testing.assert_array_equal(labelled.background.sel(background_frame=7), scan.background[2])
    assert not labelled.stored_lines.sel(frequency=4e5, method="nearest")
    assert (labelled.signal.attrs["units"], labelled.time.attrs["units"]) == ("V", "s")
    assert labelled.frequency.attrs["units"] == "Hz"
    np.testing.assert_allclose(labelled.frequency, scan.frequencies)
    assert labelled.attrs["drive_frequencies"].tolist() == [2.5e6 / 102]
    assert (labelled.attrs["repeats"], labelled.attrs["history"]) == ("frames", "[]")


def test_labelled_arrays_fit_into_netcdf(scan, images, tmp_path):
    import xarray

    scan.to_xarray().to_netcdf(tmp_path / "scan.nc", engine="scipy")
    with xarray.open_dataset(tmp_path / "scan.nc", engine="scipy") as read:
        np.testing.assert_array_equal(read.signal, scan.signal)
        assert read.attrs["name"] == "größe.mdf"
    images.to_xarray().to_netcdf(tmp_path / "images.nc", engine="scipy")
    with xarray.open_dataarray(tmp_path / "images.nc", engine="scipy") as read:
        np.testing.assert_array_equal(read, images.shown[0])
        assert read.attrs["units"] == "mmol/L"


def test_images_have_labelled_axes_and_units(images):
    labelled = images.to_xarray()
    assert labelled.dims == ("frame", "z", "y", "x")
    np.testing.assert_array_equal(labelled, images.values * np.float32(200))
    assert (labelled.attrs["units"], labelled.x.attrs["units"]) == ("mmol/L", "m")
    assert labelled.attrs["history"] == images.history
    assert labelled.frame.values.tolist() == [3, 4, 6, 7, 9]
    np.testing.assert_allclose(labelled.time, 0.02 * np.arange(5))
    for number, (x, y, z) in enumerate(GRID.positions()):
        one = labelled.sel(x=x, y=y, z=z, method="nearest", tolerance=1e-9).sel(frame=6)
        assert one == images.shown[0][2].ravel()[number]


def test_images_of_tracers_have_one_more_axis(rng):
    images = Images(
        rng.random((1, 2, 2, 3, 4), np.float32), GRID, np.zeros(0, np.int64), "V", tracers=("a", "b")
    )
    labelled = images.to_xarray()
    assert labelled.dims == ("frame", "tracer", "z", "y", "x")
    assert "frame" not in labelled.coords
    assert "time" not in labelled.coords
    np.testing.assert_array_equal(labelled.sel(tracer="b"), images.values[:, 1])


def test_without_xarray_the_way_to_it_is_said(scan, images, monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "xarray":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    for each in (scan, images):
        with pytest.raises(PluginError, match="xarray, which is not installed") as caught:
            each.to_xarray()
        assert caught.value.hint == install_hint("xarray")


def test_a_scan_as_npz(scan, tmp_path):
    assert scan.to_npz(tmp_path / "scan.npz") == tmp_path / "scan.npz"
    with np.load(tmp_path / "scan.npz", allow_pickle=False) as arrays:
        for name in ("signal", "background", "foreground_index", "background_index", "stored_lines"):
            np.testing.assert_array_equal(arrays[name], getattr(scan, name))
        assert arrays["axes"].tolist() == ["frame", "period", "channel", "time"]
        assert (str(arrays["unit"]), float(arrays["sampling_rate"])) == ("V", 2e6)
        np.testing.assert_allclose(arrays["time"], np.arange(10) / 2e6)
        np.testing.assert_allclose(arrays["frequency"], scan.frequencies)
        assert str(arrays["history"]) == "[]"
    before = (tmp_path / "scan.npz").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        scan.to_npz(tmp_path / "scan.npz")
    assert (tmp_path / "scan.npz").read_bytes() == before
    scan.to_npz(tmp_path / "scan.npz", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.npz"]


def test_images_go_to_the_files_of_other_tools(images, tmp_path):
    images = replace(images, values=images.values[:2, :1], grid=PLANE, frames=images.frames[:2])
    folder = tmp_path / "größe und mehr"
    folder.mkdir()
    for write, name in (
        (images.to_nifti, "a.nii.gz"),
        (images.to_nifti, "a.nii"),
        (images.to_npz, "a.npz"),
        (images.to_gif, "a.gif"),
        (images.to_png, "a.png"),
    ):
        assert write(str(folder / name)) == folder / name
        with pytest.raises(InputError, match="exists already"):
            write(folder / name)
        write(folder / name, overwrite=True)
    volume = nibabel.load(folder / "a.nii.gz")
    np.testing.assert_array_equal(volume.get_fdata(dtype=np.float32), images.shown[0].transpose(3, 2, 1, 0))
    assert volume.header.get_zooms()[3] == pytest.approx(0.02)
    with np.load(folder / "a.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["images"], images.shown[0])
        assert (float(arrays["frame_interval"]), str(arrays["history"])) == (0.02, images.history)
    with Image.open(folder / "a.gif") as animation:
        assert (animation.n_frames, animation.info["duration"]) == (2, 200)
        assert animation.info["comment"].decode() == images.history
    images.to_gif(folder / "slow.gif", frame_duration=1.5)
    with Image.open(folder / "slow.gif") as animation:
        assert animation.info["duration"] == 1500
    with Image.open(folder / "a.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize(
    ("way", "name"),
    [("to_nifti", "a.npz"), ("to_npz", "a.nii"), ("to_gif", "a.png"), ("to_png", "a.gif"), ("to_png", "a")],
)
def test_another_ending_is_refused(images, tmp_path, way, name):
    with pytest.raises(UsageError, match="has another ending than"):
        getattr(images, way)(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_another_ending_of_a_scan_is_refused(scan, tmp_path):
    with pytest.raises(UsageError, match=r"another ending than \.npz"):
        scan.to_npz(tmp_path / "scan.mdf")
