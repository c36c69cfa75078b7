"""What a notebook shows of a file: every kind of file, a closed one, and a damaged one."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import h5py
import numpy as np
import pytest

import mdf

GRID = {"size": np.array([3, 2, 1]), "fieldOfView": np.array([0.006, 0.004, 0.0105])}


def rows(file: mdf.File) -> dict[str, str]:
    """Return caption and cells of what is shown, by their headings."""
    html = file._repr_html_()
    pairs = re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td></tr>", html)
    (caption,) = re.findall(r"^<table><caption>(.*?)</caption><tr>", html)
    return {"caption": unescape(caption)} | {unescape(name): unescape(value) for name, value in pairs}


def grid(group: str) -> dict[str, np.ndarray]:
    return {f"{group}/{name}": value for name, value in GRID.items()}


MEASUREMENT = {
    "caption": "mdf.File made.mdf",
    "holds": "a measurement",
    "version": "MDF 2.1.0",
    "frames": "5",
    "periods": "3",
    "channels": "2",
    "samples": "10",
    "sampling rate": "2.5e+06 Hz",
}
ON_GRID = {"voxels (x, y, z)": "3 x 2 x 1", "field of view (x, y, z)": "6 x 4 x 10.5 mm"}


def test_a_measurement(made):
    with mdf.open(made({})) as file:
        assert rows(file) == MEASUREMENT


def test_a_system_matrix_and_its_grid(made):
    changes = {"/calibration/method": "robot"} | grid("/calibration")
    with mdf.open(made(changes)) as file:
        assert rows(file) == MEASUREMENT | {"holds": "a system matrix"} | ON_GRID


@pytest.mark.parametrize("beside_a_measurement", [True, False])
def test_images(made, beside_a_measurement):
    path = made({"/reconstruction/data": np.zeros((4, 6, 1), np.float32)} | grid("/reconstruction"))
    if not beside_a_measurement:
        with h5py.File(path, "r+") as hdf:
            del hdf["/measurement"]
    with mdf.open(path) as file:
        shown = rows(file)
    expected = ON_GRID | {"images": "4", "version": "MDF 2.1.0", "caption": "mdf.File made.mdf"}
    if beside_a_measurement:
        expected |= MEASUREMENT
    holds = "a measurement and images" if beside_a_measurement else "images"
    assert shown == expected | {"holds": holds}


def test_a_file_without_any_signal(made):
    path = made({})
    with h5py.File(path, "r+") as hdf:
        del hdf["/measurement"]
    with mdf.open(path) as file:
        assert rows(file) == {
            "caption": "mdf.File made.mdf",
            "holds": "no signal",
            "version": "MDF 2.1.0",
        }


def test_a_closed_file(made):
    with mdf.open(made({})) as file:
        pass
    assert rows(file) == {"caption": "mdf.File made.mdf", "state": "closed"}


def test_a_damaged_file_shows_what_is_wrong(made):
    with mdf.open(made({"/acquisition/receiver/bandwidth": "wide"})) as file:
        shown = rows(file)
    assert set(shown) == {"caption", "damaged"}
    assert "/acquisition/receiver/bandwidth cannot be read: expected numbers" in shown["damaged"]


def test_names_are_shown_and_never_obeyed(made, tmp_path):
    path = made({}).rename(tmp_path / "<b>&\x1b[2J\u202e.mdf")
    with mdf.open(Path(path)) as file:
        html = file._repr_html_()
    assert html.startswith("<table><caption>mdf.File &lt;b&gt;&amp; [2J .mdf</caption>")
    assert html.isprintable()
