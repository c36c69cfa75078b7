"""What a notebook shows: small, escaped, without scripts."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import mdf
from mdf import Grid
from mpikit.compare.result import Comparison, Gain, Row, Skipped
from mpikit.judging import Score
from mpikit.reconstruct import Images
from mpikit.scan import Corrections, Scan
from mpikit.scanner import DriveField

HOSTILE = "<script>alert('1')</script> & \"more\""


class Cells(HTMLParser):
    """Collect tags and the texts of cells."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.images = [], [], []
        self.feed(html)
        self.close()
        self.rows = dict(zip(self.texts[1::2], self.texts[2::2], strict=True))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag in ("caption", "th", "td"):
            self.texts.append("")
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.texts[-1] += data


def make_scan(**others):
    drive = DriveField(
        2.5e6,
        np.array([[102, 96]]),
        np.array([[[0.01, 0.0]]] * 4),
        np.zeros((4, 1, 2)),
        np.array([["sine"] * 2]),
    )
    values = {
        "signal": np.zeros((5, 4, 2, 10), np.float32),
        "background": np.zeros((3, 4, 2, 10), np.float32),
        "foreground_index": np.arange(5),
        "background_index": np.arange(5, 8),
        "sampling_rate": 2e6,
        "unit": "V",
        "drive_field": drive,
        "selection_field": None,
        "stored_lines": np.ones(6, bool),
        "corrections": Corrections(background=True, transfer_function=True),
        "repeats": "frames",
    }
    return Scan(**values | others)


def test_a_scan_on_one_line_and_as_a_table():
    scan = make_scan(name="a.mdf")
    assert repr(scan) == "<Scan 'a.mdf': N=5, E=3, J=4, C=2, V=10, V, repeats='frames'>"
    cells = Cells(scan._repr_html_())
    assert cells.texts[0] == "Scan a.mdf"
    assert cells.rows["frames (N)"] == "5"
    assert cells.rows["samples (V)"] == "10, 0.005 ms"
    assert cells.rows["drive field"] == "24.51 kHz"
    assert cells.rows["corrected"] == "background, transfer function"


def test_what_a_name_says_is_text():
    scan = make_scan(name=HOSTILE, unit=HOSTILE)
    cells = Cells(scan._repr_html_())
    assert set(cells.tags) == {"table", "caption", "tr", "th", "td"}
    assert cells.rows["unit"] == HOSTILE
    assert cells.texts[0] == f"Scan {HOSTILE}"
    assert "\n" not in repr(make_scan(name="a\nb"))


@pytest.mark.parametrize("size", [(4, 3, 2), (5, 4, 1), (6, 1, 1)])
def test_images_are_shown_with_a_picture(rng, size):
    grid = Grid(np.array(size), np.array([0.04, 0.033, 0.010]), np.zeros(3))
    images = Images(rng.random((2, *size[::-1]), np.float32), grid, np.array([3, 4]), "delta sample", 0.2)
    sizes = "z={2}, y={1}, x={0}".format(*size)
    assert repr(images) == f"<Images: Q=2, {sizes}, mmol/L>"
    html = images._repr_html_()
    assert len(html) < 60_000
    cells = Cells(html)
    assert cells.rows["images"] == "2"
    assert cells.rows["voxels (x, y, z)"] == " x ".join(map(str, size))
    assert cells.rows["unit"] == "mmol/L"
    kind, _, content = cells.images[0]["src"].partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        assert min(picture.size) > 100
    assert cells.images[0]["alt"] == "image 1 of 2"


def test_tracers_are_named_and_escaped(rng):
    grid = Grid(np.array([4, 3, 1]), np.array([0.04, 0.033, 0.010]), np.zeros(3))
    names = ("<b>one</b>", "two")
    images = Images(rng.random((1, 2, 1, 3, 4), np.float32), grid, np.zeros(0, np.int64), "V", tracers=names)
    assert repr(images) == "<Images: Q=1, S=2, z=1, y=3, x=4, V, of <b>one</b>, two>"
    cells = Cells(images._repr_html_())
    assert cells.rows["tracers"] == "<b>one</b>, two"
    assert "b" not in cells.tags


@pytest.mark.parametrize("values", [np.zeros((0, 1, 3, 4)), np.full((2, 1, 3, 4), np.nan)])
def test_without_numbers_there_is_no_picture(values):
    grid = Grid(np.array([4, 3, 1]), np.array([0.04, 0.033, 0.010]), np.zeros(3))
    images = Images(values.astype(np.float32), grid, np.arange(len(values)), "V")
    cells = Cells(images._repr_html_())
    assert not cells.images
    assert "range" not in cells.rows


def test_a_file_is_shown_open_closed_and_damaged(tmp_path, samples):
    with mdf.open(samples / "bruker2d-systemmatrix.mdf") as file:
        cells = Cells(file._repr_html_())
        assert cells.rows["holds"] == "a system matrix"
        assert cells.rows["samples"] == str(file.num_samples)
        assert cells.rows["voxels (x, y, z)"] == " x ".join(map(str, file.grid.size))
    assert Cells(file._repr_html_()).rows == {"state": "closed"}
    with mdf.open(samples / "bruker2d-measurement.mdf") as file:
        cells = Cells(file._repr_html_())
        assert cells.rows["holds"] == "a measurement"
        assert cells.rows["frames"] == str(file.num_frames)


def test_a_comparison_is_a_table_of_figures(scored):
    comparison = scored
    cells = Cells(comparison._repr_html_())
    assert cells.texts[0] == f"Comparison on {HOSTILE}"
    assert cells.rows["noisy"].startswith("SNR ")
    assert cells.rows["<good>"].endswith("gain > 3.0 ± 0.5 dB")
    assert cells.rows["bad"] == "failed: it <broke>"
    assert cells.rows["late"] == "lacks background"
    assert not {"good", "broke", "script"} & set(cells.tags)


@pytest.fixture
def scored() -> Comparison:
    import mpikit

    scan = mpikit.simulate(
        "openmpi-2d", frames=6, size=(7, 5), noise="gaussian:snr_db=10", background_frames=0
    )
    found = mpikit.compare(scan, ["average"])
    assert isinstance(found.noisy.score, Score)
    good = replace(found.rows[0], method="<good>", gain=Gain(3.0, 0.5, True), score=found.noisy.score)
    rows = (good, Row("bad", error="it <broke>"))
    return replace(found, name=HOSTILE, rows=rows, skipped=(Skipped("late", "background"),))


def test_nothing_heavy_is_imported_until_something_is_drawn():
    code = "import sys, mpikit.scan, mpikit.shown, mpikit.notebook; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'mpikit.shown'" in done.stdout
    for heavy in ("matplotlib", "xarray", "PIL", "torch"):
        assert f"'{heavy}'" not in done.stdout


def test_a_comparison_is_printed_as_a_short_table(scored):
    first, *lines = repr(scored).splitlines()
    assert first == f"Comparison on {HOSTILE}"
    rows = (scored.noisy, *scored.rows, *scored.skipped)
    assert len(lines) == len(rows)
    assert all(line.startswith(f"{row.method} ") for line, row in zip(lines, rows, strict=True))
    assert "score=" not in repr(scored)
