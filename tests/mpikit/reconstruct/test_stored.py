"""Images in MDF files: unit, concentration, and the way there and back."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

import mdf
import mpikit
from mpikit.errors import InputError, UsageError
from mpikit.reconstruct import reconstruct_file
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.other_formats import other_format
from mpikit.reconstruct.stored import AS_STORED, CONCENTRATION, TRACERS, UNIT, read_images, write_mdf
from mpikit.report.images import image_sections, read_pictured
from mpikit.report.plot import plot_file
from mpikit.viewer.images import image_layers

OPTIONS = {"min_frequency": 0.0, "snr_threshold": 0.0, "iterations": 2}


@pytest.fixture
def made(pair):
    """Images of a calibration whose sample has 0.1 mol/L."""
    known = {
        "/tracer/concentration": np.array([0.1]),
        "/tracer/name": np.array(["iron"]),
        "/tracer/batch": np.array(["1"]),
        "/tracer/solute": np.array(["Fe"]),
        "/tracer/vendor": np.array(["nobody"]),
        "/tracer/volume": np.array([1e-5]),
    }
    return reconstruct_file(pair.measurement(), system_matrix=pair.calibration(**known), **OPTIONS)


def write(path, images, **more):
    return write_mdf(path, images, about=images.about, history="", **more) or path


def test_load_has_the_unit_and_the_concentration(made):
    images = mpikit.load(made.output)
    assert (images.unit, images.concentration) == ("delta sample", 0.1)
    values, unit = images.shown
    assert unit == "mmol/L"
    np.testing.assert_allclose(values, 100 * made.images.values, rtol=1e-6)


def test_report_plot_and_view_show_the_unit(made):
    pictured = read_pictured(made.output)
    assert pictured.unit == "mmol/L"
    np.testing.assert_allclose(pictured.values[:, 0], 100 * made.images.values, rtol=1e-6)
    [section] = image_sections(pictured)
    facts = dict(row for block in section.blocks for row in getattr(block, "rows", ()))
    assert " mmol/L at x " in facts["peak"]
    assert any(axes.get_ylabel() == "mmol/L" for axes in plot_file(made.output).figure.axes)
    with mdf.open(made.output) as file:
        [layer] = image_layers(file)
    assert layer.about["unit"] == "mmol/L"
    np.testing.assert_allclose(layer.data, 100 * made.images.values, rtol=1e-6)


def test_beside_a_file_without_a_unit_both_are_as_stored(made, tmp_path):
    old = tmp_path / "old.mdf"
    images = mpikit.load(made.output)
    mdf.write(old, {**images.about, **images.contents()})
    assert mpikit.load(old).shown[1] == AS_STORED
    one, other = read_pictured(old), read_pictured(made.output)
    np.testing.assert_allclose(other.as_stored().values, one.values, rtol=1e-6)
    [section] = image_sections(other, one)
    facts = dict(row for block in section.blocks for row in getattr(block, "rows", ()))
    assert facts["difference"].startswith("0 % of the norm") or float(facts["difference"].split()[0]) < 1e-4
    assert " mmol/L" not in facts["peak after"]


def test_two_tracers_have_two_concentrations(made, tmp_path):
    images = mpikit.load(made.output)
    both = np.stack([images.values, 2 * images.values], axis=1)
    two = replace(images, values=both, tracers=("a", "b"), concentration=(0.1, 0.3))
    with mdf.open(write(tmp_path / "two.mdf", two)) as file:
        found = read_images(file)
        assert str(file.user_value(UNIT)) == "delta sample"
        assert file.user_value(CONCENTRATION).tolist() == [0.1, 0.3]
        assert file.user_value(TRACERS).tolist() == ["a", "b"]
    assert (found.tracers, found.concentration) == (("a", "b"), (0.1, 0.3))
    np.testing.assert_array_equal(found.values, both)


@pytest.mark.parametrize("kept", [np.array([np.nan]), np.array([0.1, 0.2]), np.array([-1.0]), "much"])
def test_a_concentration_that_is_none_is_left_out(made, tmp_path, kept):
    images = mpikit.load(made.output)
    user = {UNIT: "delta sample", CONCENTRATION: kept}
    mdf.write(tmp_path / "a.mdf", {**images.about, **images.contents()}, user=user)
    assert mpikit.load(tmp_path / "a.mdf").concentration is None


def test_images_of_others_leave_no_concentration(made, tmp_path):
    bare = replace(mpikit.load(made.output), concentration=None)
    with mdf.open(made.output) as source:
        write(tmp_path / "b.mdf", bare, copy_user_from=source)
    assert mpikit.load(tmp_path / "b.mdf").concentration is None


def test_to_mdf_there_and_back(made, tmp_path):
    images = mpikit.load(made.output)
    assert images.to_mdf(tmp_path / "again.mdf") == tmp_path / "again.mdf"
    again = mpikit.load(tmp_path / "again.mdf")
    np.testing.assert_array_equal(again.values, images.values)
    assert again.history == images.history != ""
    assert (again.unit, again.concentration) == (images.unit, images.concentration)
    assert not [each for each in mdf.validate(tmp_path / "again.mdf") if each.severity == "error"]
    with pytest.raises(InputError, match="exists already"):
        images.to_mdf(tmp_path / "again.mdf")
    with pytest.raises(UsageError, match="another ending"):
        images.to_mdf(tmp_path / "again.nii")
    alone = Images(images.values, images.grid, images.frames, images.unit)
    with pytest.raises(UsageError, match="nothing of sequence and scanner"):
        alone.to_mdf(tmp_path / "alone.mdf")


def test_outputs_of_two_formats_do_not_share_a_picture(made, pair):
    more = {"system_matrix": pair.folder / "system.mdf", **OPTIONS}
    source, folder = pair.folder / "measurement.mdf", pair.folder
    names = []
    for name in ("image.gif", "image.npz", "image.mdf"):
        names += [reconstruct_file(source, output=folder / name, **more).picture.name]
    assert names == ["image.gif.png", "image.npz.png", "image.png"]
    assert all((folder / name).stat().st_size > 0 for name in names)


def test_without_pictures_none_is_drawn(pair):
    result = reconstruct_file(
        pair.measurement(),
        system_matrix=pair.calibration(),
        pictures=False,
        lambda_="gcv",
        **OPTIONS,
    )
    assert result.output.exists()
    assert result.curve is None
    assert not list(pair.folder.glob("*.png"))


NIFTI_1, NIFTI_2 = bytes(344) + b"n+1\0", struct.pack("<i", 540) + b"n+2\0" + bytes(340)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04rest", "NumPy"),
        (b"\x93NUMPY\x01", "NumPy"),
        (b"\x1f\x8b\x08", "NIfTI"),
        (b"GIF89a", "GIF"),
        (b"\x89PNG\r\n", "PNG"),
        (NIFTI_1, "NIfTI"),
        (NIFTI_2, "NIfTI"),
    ],
)
def test_a_file_of_another_format_is_named(tmp_path, content, what):
    path = tmp_path / "image.mdf"
    path.write_bytes(content)
    assert what in other_format(path)[0]
    for call in (mpikit.load, plot_file):
        with pytest.raises(InputError, match=f"{what}.*expected an MDF file"):
            call(path)


def test_mdf_and_what_is_not_known_are_left_to_the_reader(made, tmp_path):
    assert other_format(made.output) is None
    assert other_format(tmp_path / "absent.mdf") is None
    (tmp_path / "words.mdf").write_text("words")
    assert other_format(tmp_path / "words.mdf") is None


def test_what_mpikit_writes_is_named(made, tmp_path):
    for call, name in ((made.images.to_npz, "i.npz"), (made.images.to_gif, "i.gif")):
        call(tmp_path / name)
        with pytest.raises(InputError, match=r"NumPy|GIF") as raised:
            mpikit.load(tmp_path / name)
        assert "image.mdf" in raised.value.hint
