from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

import mdf
from mpikit.errors import InputError
from mpikit.events import Finding, Warned
from mpikit.reconstruct.library import pick_calibration

GRADIENT = np.diag([-1.0, -1.0, 2.0])[None, None]


def tracer(*names):
    texts = {"batch": "1", "vendor": "nobody", "solute": "Fe", "injectionTime": "2026-01-02T03:04:05.000"}
    numbers = {"concentration": 0.2, "volume": 1e-6}
    every = {name: np.full(len(names), value) for name, value in (texts | numbers).items()}
    return {f"/tracer/{name}": value for name, value in (every | {"name": np.array(names)}).items()}


def started(time):
    return {"/acquisition/startTime": f"2026-01-{time}"}


@pytest.fixture
def library(pair):
    """Writes calibrations into a folder of their own; picks one for the measurement."""
    return Library(pair)


class Library:
    def __init__(self, pair):
        self.pair = pair
        self.folder = pair.folder / "calibrations"
        self.folder.mkdir()
        self.told = []

    def add(self, name, **changes):
        return shutil.move(self.pair.calibration("moved.mdf", **changes), self.folder / name)

    def pick(self, **changes):
        self.told.clear()
        with mdf.open(self.pair.measurement(**changes)) as measurement:
            return pick_calibration(self.folder, measurement, tell=self.told.append).name


def test_the_only_one_that_matches_is_picked(library):
    library.add("a.mdf", **{"/acquisition/gradient": 1.5 * GRADIENT})
    library.add("b.MDF")
    library.add("c.mdf", **{"/acquisition/receiver/unit": "A"})
    assert library.pick() == "b.MDF"
    text = f"b.MDF is the one of 3 calibrations in {library.folder} that matches"
    assert library.told == [Finding("system matrix", "b.MDF", text)]


def test_other_files_and_folders_are_passed_over(library):
    library.add("system.h5")
    library.add("system.hdf5", **{"/acquisition/gradient": 1.5 * GRADIENT})
    library.add("system.txt")
    library.add(".system.mdf")
    (library.folder / "folder.mdf").mkdir()
    shutil.copy(library.pair.measurement("scan.mdf"), library.folder)
    assert library.pick() == "system.h5"
    assert len(library.told) == 1


def test_files_that_cannot_be_read_are_left_out_with_a_warning(library):
    library.add("good.mdf")
    (library.folder / "bad.mdf").write_bytes(b"no HDF5")
    with h5py.File(library.folder / "other.h5", "w") as file:
        file["x"] = 1
    assert library.pick() == "good.mdf"
    warned = [event.text for event in library.told if isinstance(event, Warned)]
    assert [text.split(" ")[0] for text in warned] == ["bad.mdf", "other.h5"]
    assert all("is left out, it cannot be read" in text for text in warned)


def test_of_several_the_same_tracer_comes_first(library):
    library.add("a.mdf", **tracer("other"), **started("02T03:04:05"))
    library.add("b.mdf", **started("02T03:04:05"))
    library.add("c.mdf", **tracer("IRON "), **started("22T03:04:05"))
    assert library.pick(**tracer("iron", "gold"), **started("02T03:04:05")) == "c.mdf"
    (finding,) = library.told
    assert finding.text == (
        f"c.mdf is used, its tracer fits best; these in {library.folder} match too: b.mdf, a.mdf"
    )
    assert library.pick(**tracer("n.a."), **started("02T03:04:05")) == "a.mdf"


def test_of_several_the_nearest_in_time_comes_next(library):
    library.add("a.mdf", **started("02T03:04:05"))
    library.add("b.mdf", **started("05T03:04:05"))
    library.add("c.mdf", **started("09T03:04:05"))
    assert library.pick(**started("06T00:00:00")) == "b.mdf"
    assert "it was acquired nearest in time; these" in library.told[0].text
    assert library.told[0].text.endswith("match too: c.mdf, a.mdf")


def test_of_equal_ones_the_first_by_name_is_picked(library):
    library.add("b.mdf")
    library.add("a.mdf")
    assert library.pick() == "a.mdf"
    assert "it is the first by name" in library.told[0].text


def test_a_calibration_of_another_tracer_is_a_warning(library):
    library.add("a.mdf", **tracer("other"))
    assert library.pick(**tracer("iron")) == "a.mdf"
    assert library.told[1] == Warned("a.mdf is of another tracer than measurement.mdf")


def test_what_differs_is_said_of_the_nearest(library):
    wrong = {"/acquisition/gradient": 1.5 * GRADIENT}
    library.add("a.mdf", **wrong, **{"/acquisition/receiver/unit": "A"})
    library.add("b.mdf", **wrong)
    library.add(
        "c.mdf", **wrong, **{"/acquisition/receiver/unit": "A", "/acquisition/receiver/bandwidth": 2e6}
    )
    library.add("d.mdf", **{"/acquisition/receiver/unit": "A"})
    library.add("e.mdf", **wrong)
    with pytest.raises(InputError) as caught:
        library.pick()
    text = str(caught.value)
    assert text == (
        f"no calibration in {library.folder} matches measurement.mdf (measurement, system matrix): "
        "b.mdf: gradient (-1 -1 2), (-1.5 -1.5 3) T/m; d.mdf: unit V, A; "
        "e.mdf: gradient (-1 -1 2), (-1.5 -1.5 3) T/m; and 2 more"
    )
    assert "--allow-mismatch" in caught.value.hint


def test_other_samples_and_positions_without_grid_do_not_match(library):
    irregular = {f"/calibration/{name}": None for name in ("size", "fieldOfView", "fieldOfViewCenter")}
    positions = np.arange(72.0).reshape(24, 3) ** 2 / 1e5
    library.add("irregular.mdf", **irregular, **{"/calibration/positions": positions})
    library.add("short.mdf", **{"/acquisition/receiver/numSamplingPoints": 61})
    with pytest.raises(InputError, match=r"irregular.mdf: no regular grid; short.mdf: .*period 60, 61"):
        library.pick()


def test_a_folder_without_calibrations_is_said(library):
    with pytest.raises(InputError, match=r"there is no calibration in .*calibrations, expected files"):
        library.pick()
    library.folder.rmdir()
    with pytest.raises(InputError, match=r"the folder .*calibrations cannot be read: No such file"):
        library.pick()
    library.folder.write_text("a file")
    with pytest.raises(InputError, match="cannot be read: Not a directory"):
        library.pick()


def test_a_calibration_is_no_measurement(library):
    library.add("a.mdf")
    said = r"system.mdf is a calibration .* expected a measurement"
    with mdf.open(library.pair.calibration()) as calibration, pytest.raises(InputError, match=said):
        pick_calibration(library.folder, calibration, tell=library.told.append)


def test_a_damaged_measurement_is_no_fault_of_the_calibrations(library):
    library.add("a.mdf")
    path = library.pair.measurement()
    with h5py.File(path, "a") as file:
        del file["/acquisition/drivefield/strength"]
    with mdf.open(path) as measurement, pytest.raises(mdf.MdfError, match=r"measurement.mdf.*strength"):
        pick_calibration(library.folder, measurement, tell=library.told.append)
    assert library.told == []


@pytest.mark.parametrize("name", ["bruker1d", "bruker2d", "openmpi3d-small"])
def test_the_supplied_pairs_find_each_other(samples, name):
    told = []
    with mdf.open(samples / f"{name}-measurement.mdf") as measurement:
        picked = pick_calibration(samples, measurement, tell=told.append)
    assert picked.name == f"{name}-systemmatrix.mdf"
    assert len(told) == 1
