from __future__ import annotations

import builtins
import stat
import sys

import nibabel
import numpy as np
import pytest
from PIL import Image

import mdf
from mdf import Grid
from mpikit.errors import InputError, PluginError, UsageError
from mpikit.extras import install_hint
from mpikit.provenance import HISTORY
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.outputs import (
    FORMATS,
    affine,
    deviation_file,
    stored_history,
    suffix_of,
    write_images,
)

HISTORY_TEXT = '[{"command": "reconstruct", "operator": "Zoë"}]'
YELLOW = [253, 231, 37]  # where viridis ends
SHIFTED = Grid(np.array([4, 3, 2]), np.array([0.04, 0.033, 0.010]), np.array([0.001, 0.002, -0.003]))


@pytest.fixture
def images(rng) -> Images:
    values = rng.random((5, 2, 3, 4), np.float32)
    return Images(values, SHIFTED, np.array([3, 4, 6, 7, 9]), "delta sample")


def with_values(images, values, grid=SHIFTED):
    return Images(values.astype(np.float32), grid, np.arange(len(values)), "V")


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_nifti_voxels_lie_where_the_grid_has_them(tmp_path, images, name):
    write_images(tmp_path / name, images, history=HISTORY_TEXT, frame_interval=0.0215)
    found = nibabel.load(tmp_path / name)
    data = found.get_fdata(dtype=np.float32)
    assert data.shape == (4, 3, 2, 5)
    assert found.get_data_dtype() == np.float32
    z, y, x = np.indices((2, 3, 4)).reshape(3, -1)
    places = nibabel.affines.apply_affine(found.affine, np.stack([x, y, z], axis=1))
    np.testing.assert_allclose(places, 1e3 * SHIFTED.positions(), atol=1e-5)
    np.testing.assert_array_equal(data[x, y, z], images.values.reshape(5, -1).T)
    for code, matrix in ((found.get_sform, "sform"), (found.get_qform, "qform")):
        stored, kind = code(coded=True)
        assert kind == 1, matrix  # scanner
        np.testing.assert_allclose(stored, found.affine, atol=1e-5)


def test_nifti_says_units_time_step_and_what_it_shows(tmp_path, images):
    known = Images(images.values, images.grid, images.frames, images.unit, concentration=0.2)
    write_images(tmp_path / "known.nii", known, history="", frame_interval=0.0215)
    write_images(tmp_path / "unknown.nii", images, history="")
    found = nibabel.load(tmp_path / "known.nii")
    assert found.header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_allclose(found.header.get_zooms(), [10, 11, 5, 0.0215], rtol=1e-6)
    assert found.header["descrip"].item() == b"MPI image in mmol/L"
    np.testing.assert_array_equal(found.get_fdata(dtype=np.float32).T, known.shown[0])
    unknown = nibabel.load(tmp_path / "unknown.nii")
    assert unknown.header.get_zooms()[3] == 0
    assert unknown.header["descrip"].item() == b"MPI image in delta sample"


def test_one_image_is_a_volume_without_time(tmp_path, images):
    write_images(tmp_path / "one.nii.gz", with_values(images, images.values[:1]), history="")
    assert nibabel.load(tmp_path / "one.nii.gz").shape == (4, 3, 2)


def test_many_frames_are_nifti_2(tmp_path):
    line = Grid(np.array([2, 1, 1]), np.array([0.004, 0.001, 0.001]), np.zeros(3))
    values = np.arange(2.0 * 32768).reshape(-1, 1, 1, 2)
    write_images(tmp_path / "long.nii", with_values(None, values, line), history=HISTORY_TEXT)
    found = nibabel.load(tmp_path / "long.nii")
    assert isinstance(found, nibabel.Nifti2Image)
    assert found.shape == (2, 1, 1, 32768)
    assert found.get_fdata()[1, 0, 0, -1] == 2 * 32768 - 1
    assert stored_history(tmp_path / "long.nii") == HISTORY_TEXT


def test_a_grid_without_thickness_has_an_affine_that_can_be_inverted():
    flat = affine(Grid(np.array([5, 4, 1]), np.array([0.01, 0.012, 0]), np.array([0, 0, 0.007])))
    np.testing.assert_allclose(flat[:3, 3], [-4, -4.5, 7])
    np.testing.assert_allclose(np.diag(flat), [2, 3, 2, 1])
    point = affine(Grid(np.array([1, 1, 1]), np.zeros(3), np.array([0.001, 0.002, 0.003])))
    np.testing.assert_allclose(point, [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])


def test_arrays_are_read_without_pickle(tmp_path, images):
    write_images(tmp_path / "x.npz", images, history=HISTORY_TEXT, frame_interval=0.0215)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
        assert found["images"].dtype == np.float32
        np.testing.assert_array_equal(found["images"], images.values)
        np.testing.assert_array_equal(found["size"], [4, 3, 2])
        np.testing.assert_array_equal(found["field_of_view"], SHIFTED.field_of_view)
        np.testing.assert_array_equal(found["center"], SHIFTED.center)
        np.testing.assert_array_equal(found["positions"], SHIFTED.positions())
        np.testing.assert_array_equal(found["frames"], [3, 4, 6, 7, 9])
        assert str(found["unit"]) == "delta sample"
        assert found["frame_interval"] == 0.0215
        assert str(found["history"]) == HISTORY_TEXT
    write_images(tmp_path / "unknown.npz", images, history="")
    with np.load(tmp_path / "unknown.npz", allow_pickle=False) as found:
        assert np.isnan(found["frame_interval"])


def frames_of(path):
    """Pixels (Q, height, width, 3), duration in ms and loops of an animation."""
    with Image.open(path) as picture:
        frames = []
        for index in range(picture.n_frames):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB")).astype(int))
        return np.stack(frames), picture.info["duration"], picture.info["loop"]


def test_an_animation_has_one_picture_for_each_image(tmp_path, images):
    write_images(tmp_path / "x.gif", images, history=HISTORY_TEXT, frame_duration=0.31)
    found, duration, loop = frames_of(tmp_path / "x.gif")
    assert len(found) == 5
    assert np.any(found[0] != found[-1])
    assert (duration, loop) == (310, 0)
    write_images(tmp_path / "default.gif", images, history="")
    assert frames_of(tmp_path / "default.gif")[1] == 200


def test_an_animation_has_one_colour_scale_and_still_axes(tmp_path):
    """The same voxel value has the same colour in each picture; only title and image change."""
    values = np.zeros((3, 1, 2, 3))
    values[:, 0, 0, 0] = 1.0  # always lower left
    values[2, 0, 1, 2] = 4.0  # upper right, in the last picture alone
    plane = Grid(np.array([3, 2, 1]), np.array([0.03, 0.02, 0.001]), np.zeros(3))
    write_images(tmp_path / "x.gif", with_values(None, values, plane), history="")
    found, _, _ = frames_of(tmp_path / "x.gif")
    titles = np.flatnonzero(np.any(found[0] != found[1], axis=(1, 2)))
    assert np.ptp(titles) < 20  # two images of the same values differ by the number in the title
    changed = np.argwhere(np.any(found[1] != found[2], axis=2))
    below = changed[changed[:, 0] > titles.max() + 2]
    yellow = np.all(np.abs(found[2][tuple(below.T)] - YELLOW) < 4, axis=1)
    assert len(below) > 1000
    assert yellow.mean() > 0.95  # all but its edge
    assert below[:, 1].min() > found.shape[2] / 3


def test_of_a_volume_the_animation_shows_projections(tmp_path, images):
    """A voxel lights up in each of the three panels."""
    values = np.zeros((2, 2, 3, 4))
    values[1, 1, 2, 3] = values[0, 0, 0, 0] = 1
    write_images(tmp_path / "x.gif", with_values(images, values), history="")
    found, _, _ = frames_of(tmp_path / "x.gif")
    lit = np.all(np.abs(found[1] - YELLOW) < 4, axis=2).any(axis=0)
    panels = lit[: len(lit) * 9 // 10]  # the colour bar is to the right
    assert np.sum(np.diff(np.flatnonzero(panels)) > 20) == 2  # gaps between three panels


def test_a_line_is_animated_as_a_curve(tmp_path):
    line = Grid(np.array([6, 1, 1]), np.array([0.03, 0.001, 0.001]), np.zeros(3))
    values = np.arange(12.0).reshape(2, 1, 1, 6)
    write_images(tmp_path / "x.gif", with_values(None, values, line), history="")
    found, _, _ = frames_of(tmp_path / "x.gif")
    dark = [np.nonzero(np.ptp(each, axis=2) > 40)[0].mean() for each in found]
    assert dark[1] < dark[0] - 40  # the second is higher


def test_zeros_and_a_mean_are_no_error(tmp_path):
    mean = Images(np.zeros((1, 2, 3, 4), np.float32), SHIFTED, np.zeros(0, np.int64), "V")
    write_images(tmp_path / "x.gif", mean, history="")
    assert len(frames_of(tmp_path / "x.gif")[0]) == 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_are_repeated_bit_for_bit_and_tell_their_history(tmp_path, images, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for path in paths:
        write_images(path, images, history=HISTORY_TEXT)
        assert stored_history(path) == HISTORY_TEXT
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert stat.S_IMODE(paths[0].stat().st_mode) & 0o600 == 0o600


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_or_missing_file_is_said(tmp_path, images, suffix):
    path = tmp_path / f"x{suffix}"
    with pytest.raises(InputError, match="no such file"):
        stored_history(path)
    path.write_bytes(b"nothing of the kind" * 40)
    with pytest.raises(InputError, match="is damaged, or no"):
        stored_history(path)


def test_the_history_of_an_mdf_file(pair):
    assert stored_history(pair.measurement()) is None
    assert stored_history(pair.measurement(user={HISTORY: HISTORY_TEXT})) == HISTORY_TEXT
    with pytest.raises(mdf.MdfError, match="no such file"):
        stored_history(pair.folder / "absent.mdf")


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_existing_file_is_kept(tmp_path, images, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        write_images(path, images, history="")
    assert path.read_bytes() == b"mine"
    write_images(path, images, history="", overwrite=True)
    assert path.read_bytes() != b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_the_ending_names_the_format(tmp_path, images):
    assert suffix_of(tmp_path / "a.b.NII.gz") == ".nii.gz"
    assert suffix_of(tmp_path / "a.Mdf", also=(".mdf",)) == ".mdf"
    with pytest.raises(UsageError, match=r"x.jpg has no ending .* one of .nii, .nii.gz, .npz, .gif$"):
        write_images(tmp_path / "x.jpg", images, history="")
    with pytest.raises(UsageError, match=r"x.gz has no ending .* one of .mdf, .nii,") as caught:
        suffix_of(tmp_path / "x.gz", also=(".mdf",))
    assert caught.value.hint == "for instance x.mdf"


def test_a_duration_is_for_animations(tmp_path, images):
    with pytest.raises(UsageError, match=r"x.npz is no animation"):
        write_images(tmp_path / "x.npz", images, history="", frame_duration=0.1)
    for duration in (0.0, -1.0, float("nan"), 1e6):
        with pytest.raises(UsageError, match=r"expected 0.02 to 600"):
            write_images(tmp_path / "x.gif", images, history="", frame_duration=duration)
    assert not list(tmp_path.iterdir())


def test_without_nibabel_the_error_says_how_to_get_it(tmp_path, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)  # its import fails
    with pytest.raises(PluginError, match="nibabel, which is not installed") as caught:
        write_images(tmp_path / "x.nii.gz", images, history="")
    assert caught.value.hint == install_hint("nifti")
    assert not list(tmp_path.iterdir())
    write_images(tmp_path / "x.npz", images, history="")


def test_heavy_packages_are_imported_when_they_are_used(tmp_path, images, monkeypatch):
    def refuse(name, *rest, **more):
        assert name.partition(".")[0] not in {"nibabel", "PIL", "matplotlib"}
        return imported(name, *rest, **more)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    write_images(tmp_path / "x.npz", images, history="")


@pytest.mark.parametrize("count", [1, 5])
def test_the_standard_deviation_stands_in_a_nifti_file_of_its_own(tmp_path, images, count):
    known = Images(images.values, images.grid, images.frames, images.unit, concentration=0.2)
    deviation = Images(images.values[:count] / 7, SHIFTED, images.frames[:0], images.unit, concentration=0.2)
    write_images(tmp_path / "x.NII.gz", known, history=HISTORY_TEXT, deviation=deviation)
    apart = tmp_path / "x.uncertainty.NII.gz"
    found = nibabel.load(apart)
    assert found.header["descrip"].item() == b"standard deviation of an MPI image in mmol/L"
    assert found.get_fdata().shape == ((4, 3, 2, 5) if count == 5 else (4, 3, 2))
    values = found.get_fdata(dtype=np.float32).T
    np.testing.assert_array_equal(values.reshape(count, 2, 3, 4), deviation.shown[0])
    np.testing.assert_array_equal(found.affine, nibabel.load(tmp_path / "x.NII.gz").affine)
    assert stored_history(apart) == HISTORY_TEXT
    (tmp_path / "x.NII.gz").unlink()
    with pytest.raises(InputError, match=r"x\.uncertainty\.NII\.gz exists already"):
        write_images(tmp_path / "x.NII.gz", known, history="", deviation=deviation)
    assert not (tmp_path / "x.NII.gz").exists()


def test_the_standard_deviation_stands_beside_the_images_in_npz(tmp_path, images):
    known = Images(images.values, images.grid, images.frames, images.unit, concentration=0.2)
    deviation = Images(images.values[:1] / 7, SHIFTED, images.frames[:0], images.unit, concentration=0.2)
    write_images(tmp_path / "with.npz", known, history="", deviation=deviation)
    write_images(tmp_path / "without.npz", known, history="")
    with np.load(tmp_path / "with.npz") as arrays:
        np.testing.assert_array_equal(arrays["standard_deviation"], deviation.shown[0])
        np.testing.assert_array_equal(arrays["images"], known.shown[0])
    with np.load(tmp_path / "without.npz") as arrays:
        assert "standard_deviation" not in arrays


def test_names_of_files_with_the_standard_deviation(tmp_path):
    assert deviation_file(tmp_path / "a.b.nii") == tmp_path / "a.b.uncertainty.nii"
    assert [deviation_file(tmp_path / name) for name in ("a.npz", "a.gif", "a.mdf")] == [None] * 3
