"""The demonstration: the whole path, here with a method and a grid that take no time."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import mdf
from mpikit import demo
from mpikit.errors import InputError
from mpikit.events import Finding
from mpikit.figures import side_by_side
from mpikit.metrics import snr
from mpikit.provenance import read_history
from mpikit.scan_file import read_scan

MADE = {
    "scan.mdf",
    "scan.clean.mdf",
    "systemmatrix.mdf",
    "scan.harmonic.mdf",
    "scan.reconstruction.mdf",
    "scan.reconstruction.png",
    "scan.harmonic.reconstruction.mdf",
    "scan.harmonic.reconstruction.png",
    "demo.png",
}


def no_picture(path, *_, **__):
    """Drawing all frames takes most of the time, and is tested elsewhere."""
    path.write_bytes(b"")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("mpikit.reconstruct.files.save_images", no_picture)
    assert (demo.METHOD, demo.PRESET) == ("unet-gd", "openmpi-2d")
    monkeypatch.setattr(demo, "METHOD", "harmonic")
    monkeypatch.setattr(demo, "GRID", (9, 7))
    monkeypatch.setattr(demo, "ITERATIONS", 2)
    few = partial(demo.simulate_file, frames=10, background_frames=3)
    monkeypatch.setattr(demo, "simulate_file", few)


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_the_whole_path(tmp_path, monkeypatch):
    drawn = []

    def draw(path, images, grid, **words):
        drawn.append((images, grid, words))
        side_by_side(path, images, grid, **words)

    monkeypatch.setattr(demo, "side_by_side", draw)
    told = []
    folder = tmp_path / "new" / "folder"
    done = demo.run_demo(folder, seed=3, tell=told.append)
    assert names(folder) == MADE
    assert (done.folder, done.picture) == (folder, folder / "demo.png")
    assert done.picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

    stages = [event.text for event in told if isinstance(event, Finding) and event.name == "stage"]
    assert len(stages) == 4
    assert stages[2] == "== harmonic learns from the noisy frames alone"

    clean = read_scan(folder / "scan.clean.mdf").signal
    for name, path in (("before", "scan.mdf"), ("after", "scan.harmonic.mdf")):
        value = snr(read_scan(folder / path).signal, clean).mean()
        assert done.true_snr_db[name] == pytest.approx(float(value), abs=1e-3)
    assert done.true_snr_db["before"] == pytest.approx(15, abs=1)
    assert done.true_snr_db["after"] > done.true_snr_db["before"] + 5

    [(images, grid, words)] = drawn
    assert words["titles"] == ["one noisy frame", "the same frame after harmonic"]
    assert grid.shape == (1, 7, 9)
    for image, path in zip(
        images, ("scan.reconstruction.mdf", "scan.harmonic.reconstruction.mdf"), strict=True
    ):
        with mdf.open(folder / path) as file:
            assert file.reconstruction is not None
            history = read_history(file.user_value("/_mpikit/history"))
        assert image.shape == (1, 7, 9)
        assert image.max() > 0
        assert history[-1]["command"] == "reconstruct"
    assert [record["command"] for record in history] == ["simulate", "denoise", "reconstruct"]


def test_a_seed_repeats_it_and_files_may_be_replaced(tmp_path):
    (tmp_path / "demo.png").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    runs = [demo.run_demo(tmp_path, seed=seed, overwrite=True) for seed in (1, 2, 1)]
    one, other, same = (run.denoised.signal for run in runs)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert runs[0].true_snr_db == runs[2].true_snr_db
    assert names(tmp_path) == MADE | {"mine.txt"}
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.harmonic.mdf").signal, same)
    assert (tmp_path / "demo.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_file_in_the_way_is_found_before_any_work(tmp_path, name):
    (tmp_path / name).write_text("somebody's")
    with pytest.raises(InputError, match="exists already"):
        demo.run_demo(tmp_path)
    assert names(tmp_path) == {name}
    assert (tmp_path / name).read_text() == "somebody's"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("somebody's")
    with pytest.raises(InputError, match=r"the folder .*file.* cannot be made"):
        demo.run_demo(tmp_path / "file" / "folder")
