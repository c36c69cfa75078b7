"""The napari plugin, without a window: its manifest, what it reads and what it leaves to others."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from importlib.metadata import entry_points
from pathlib import Path

import h5py
import numpy as np
import pytest

import mdf
from mpikit.errors import InputError
from mpikit.viewer import is_mdf, layers_of_file
from mpikit.viewer.reader import napari_get_reader, read_layers

from .conftest import FIRST, SCALE, of_periods

with warnings.catch_warnings():  # its models are of an older pydantic
    warnings.simplefilter("ignore")
    import npe2
    from npe2 import PluginManager, PluginManifest

MANIFEST = Path(sys.modules["mpikit.viewer.reader"].__file__).with_name("napari.yaml")


@pytest.fixture
def manager(monkeypatch):
    """Return a plugin manager of its own, with our plugin as it is installed."""
    manager = PluginManager()
    manager.register(PluginManifest.from_distribution("mpikit"))
    monkeypatch.setattr(PluginManager, "instance", classmethod(lambda _: manager))
    return manager


def test_the_manifest_is_found_through_the_entry_point():
    [point] = [each for each in entry_points(group="napari.manifest") if each.name == "mpikit"]
    assert point.value == "mpikit.viewer:napari.yaml"
    manifest = PluginManifest.from_distribution("mpikit")
    assert manifest.name == "mpikit"
    assert manifest == PluginManifest.from_file(MANIFEST)


def test_the_manifest_is_valid():
    command = [sys.executable, "-m", "npe2", "validate", "mpikit"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid!" in done.stdout


def test_every_command_of_the_manifest_can_be_called(manager):
    manifest = manager.get_manifest("mpikit")
    for command in manifest.contributions.commands:
        assert manager.commands.get(command.id) is napari_get_reader


@pytest.mark.parametrize(("ending", "ours"), [("mdf", 1), ("h5", 1), ("hdf5", 1), ("tif", 0)])
def test_our_reader_is_asked_for_these_files(manager, ending, ours):
    assert len(list(manager.iter_compatible_readers([f"a.{ending}"]))) == ours


@pytest.mark.parametrize("kind", ["image", "matrix", "scan"])
def test_npe2_reads_each_kind(manager, kind, request):
    path = request.getfixturevalue(kind)
    found = npe2.read([str(path)], stack=False)
    expected = layers_of_file(path)
    assert [options["name"] for _, options, _ in found] == [layer.name for layer in expected]
    for (data, options, type_), layer in zip(found, expected, strict=True):
        assert type_ == "image"
        assert data.shape == layer.data.shape
        counted = {len(options[name]) for name in ("scale", "translate", "units", "axis_labels")}
        assert counted == {data.ndim}
        if layer.kind in ("image", "rows"):
            np.testing.assert_allclose(options["scale"][-3:], SCALE)
            np.testing.assert_allclose(options["translate"][-3:], FIRST)
            assert options["units"][-3:] == ("mm", "mm", "mm")


def test_several_files_are_read_as_one_stack(image, scan):
    paths = [str(image), str(scan)]
    assert napari_get_reader(paths) is read_layers
    assert len(read_layers(paths)) == 1 + 4


def test_mdf_files_of_other_names_are_ours(image, tmp_path):
    for name in ("a.h5", "b.HDF5"):
        (tmp_path / name).write_bytes(image.read_bytes())
        assert napari_get_reader(str(tmp_path / name)) is read_layers


def test_what_is_no_mdf_file_is_left_to_others(tmp_path, image):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["version"] = "2.1.0"
    with h5py.File(tmp_path / "empty.hdf5", "w"):
        pass
    (tmp_path / "database.mdf").write_bytes(b"MDF     4.10")  # of a measurement of cars
    (tmp_path / "folder.mdf").mkdir()
    for name in ("other.h5", "empty.hdf5", "database.mdf", "folder.mdf", "none.mdf"):
        assert not is_mdf(tmp_path / name)
        assert napari_get_reader(str(tmp_path / name)) is None
        assert napari_get_reader([str(image), str(tmp_path / name)]) is None
    assert napari_get_reader([]) is None


def test_a_damaged_file_is_ours_and_says_what_is_wrong(image, tmp_path):
    broken = tmp_path / "broken.mdf"
    broken.write_bytes(image.read_bytes()[:2000])
    with h5py.File(tmp_path / "old.mdf", "w") as file:
        file["version"] = "7.0"
    for path, words in ((broken, "broken.mdf"), (tmp_path / "old.mdf", "/version is '7.0'")):
        reader = napari_get_reader(str(path))
        assert reader is not None
        with pytest.raises(mdf.MdfError, match=words):
            reader(str(path))


def test_a_file_without_data_says_so(tmp_path):
    contents = of_periods(1) | {
        "/acquisition/numFrames": 1,
        "/acquisition/numPeriodsPerFrame": 1,
        "/acquisition/receiver/numChannels": 1,
        "/acquisition/drivefield/numChannels": 2,
    }
    mdf.write(tmp_path / "a.mdf", contents)
    with pytest.raises(InputError, match=r"a\.mdf has nothing to show"):
        read_layers(str(tmp_path / "a.mdf"))
