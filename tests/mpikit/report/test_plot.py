"""One figure of a file: what is drawn, and as which kind of file."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.figures_plot import draw_slices
from mpikit.figures_report import MOST_POINTS, embedded_svg, plain, thinned
from mpikit.report.plot import KINDS, default_output, plot_file
from mpikit.scan_file import read_scan

from .conftest import write_reconstruction

FILES = {
    "measurement": "scan.mdf",
    "calibration": "sm.mdf",
    "reconstruction": "image.mdf",
    "training": "model.log.jsonl",
}


@pytest.mark.parametrize(("what", "kind"), [(what, kind) for what, kinds in KINDS.items() for kind in kinds])
def test_every_kind_is_drawn(made, tmp_path, what, kind):
    found = plot_file(made / FILES[what], kind=kind, output=tmp_path / "figure.png")
    assert found.kind == kind
    with Image.open(tmp_path / "figure.png") as picture:
        assert min(picture.size) > 150


@pytest.mark.parametrize("what", list(KINDS))
def test_the_first_kind_is_drawn_when_nothing_is_said(made, what):
    assert plot_file(made / FILES[what]).kind == KINDS[what][0]


@pytest.mark.parametrize(("ending", "start"), [("PNG", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_ending_says_the_format(made, tmp_path, ending, start):
    contents = []
    for name in ("one", "two"):
        plot_file(made / "image.mdf", output=tmp_path / f"{name}.{ending}")
        contents.append((tmp_path / f"{name}.{ending}").read_bytes())
    assert contents[0].startswith(start)
    assert contents[0] == contents[1]
    assert str(made).encode() not in contents[0]


def test_the_harmonics_are_marked(made):
    figure = plot_file(made / "scan.mdf").figure
    curve, marks = figure.axes[0].lines[:2]
    assert curve.get_xdata().size == 82
    harmonics = marks.get_xdata() / 25
    np.testing.assert_allclose(harmonics, harmonics.round())
    assert set(harmonics.round()) <= set(range(1, 13))
    assert [line.get_xdata()[0] for line in figure.axes[0].lines[2:]] == [25]  # the drive frequency
    assert figure.axes[0].get_xlabel() == "" or len(figure.axes) == 1
    assert figure.axes[-1].get_xlabel() == "frequency / kHz; dotted: drive frequencies"


def test_frames_stand_where_they_were_acquired(made):
    scan = read_scan(made / "scan.mdf")
    upper, lower = plot_file(made / "scan.mdf", kind="frames").figure.axes
    first = upper.lines[0]
    np.testing.assert_array_equal(first.get_xdata(), scan.foreground_index)
    np.testing.assert_allclose(
        first.get_ydata(), np.sqrt(np.mean(scan.signal[:, 0, 0] ** 2, axis=-1)), rtol=1e-5
    )
    np.testing.assert_array_equal(upper.lines[1].get_xdata(), scan.background_index)
    assert len(lower.lines) == 3
    amplitude = np.abs(np.fft.rfft(scan.signal[:, 0], axis=-1)).mean(axis=0) * 2 / 162
    assert np.mean(lower.lines[0].get_ydata()) == pytest.approx(amplitude[:, 1:].max(), rel=0.01)


def test_slices_are_layers_with_their_height():
    grid = mdf.Grid(np.array([5, 4, 3]), np.array([0.010, 0.008, 0.006]), np.array([0, 0, 0.001]))
    image = np.arange(60.0).reshape(3, 4, 5)
    figure = draw_slices(image, grid, unit="1")
    assert [axes.get_title() for axes in figure.axes[:3]] == ["z = -1 mm", "z = 1 mm", "z = 3 mm"]
    for axes, layer in zip(figure.axes, image, strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), layer)
        np.testing.assert_allclose(axes.images[0].get_extent(), [-5, 5, -4, 4])


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("scan.mdf", "slices", "scan.mdf is a measurement, expected one of spectrum, frames, snr"),
        ("image.mdf", "spectrum", "image.mdf is a reconstruction, expected one of slices"),
        ("scan.mdf", "spectrm", "--kind is 'spectrm', expected one of frames, rows"),
    ],
)
def test_a_kind_that_does_not_fit(made, name, kind, words):
    with pytest.raises(UsageError, match=words):
        plot_file(made / name, kind=kind)


def test_what_cannot_be_written(made, copied, tmp_path):
    with pytest.raises(UsageError, match=r"expected one that ends in \.png, \.svg or \.pdf"):
        plot_file(made / "scan.mdf", output=tmp_path / "figure.jpg")
    (tmp_path / "figure.png").write_text("somebody's")
    with pytest.raises(InputError, match="exists already"):
        plot_file(made / "scan.mdf", output=tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_text() == "somebody's"


def test_files_without_anything_to_draw(made, tmp_path):
    broken = np.ones((1, 1, 4, 5))
    broken[0, 0, 2, 2] = np.inf
    path = write_reconstruction(tmp_path / "a.mdf", broken)
    with pytest.raises(InputError, match=r"a\.mdf has no images, or values that are no numbers"):
        plot_file(path)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match=r"empty\.jsonl has no row"):
        plot_file(tmp_path / "empty.jsonl")
    (tmp_path / "a.safetensors").write_text("")
    with pytest.raises(InputError, match=r"a\.safetensors has nothing to draw"):
        plot_file(tmp_path / "a.safetensors")


def test_odd_names_are_no_mathematics(made, tmp_path):
    path = tmp_path / "a $\\frac{ 日 ^_.mdf"
    path.write_bytes((made / "image.mdf").read_bytes())
    assert plot_file(path).content("png").startswith(b"\x89PNG")
    assert plain("5 $\n\x1b[1m") == "5 \\$\n [1m"


def test_the_default_name():
    from pathlib import Path

    assert default_output(Path("a/scan.b.mdf")) == Path("a/scan.b.plot.png")


def test_a_thinned_curve_keeps_its_peaks(rng):
    at, values = np.arange(10007.0), rng.normal(size=10007)
    values[[5000, 10006]] = 50, -40
    thin_at, thin = thinned(at, values)
    assert len(thin) <= 2 * MOST_POINTS + 40
    assert {50, -40} <= set(thin)
    np.testing.assert_array_equal(values[thin_at.astype(int)], thin)
    assert np.all(np.diff(thin_at) > 0)
    short = thinned(at[:900], values[:900])
    np.testing.assert_array_equal(short[1], values[:900])


def test_an_embedded_figure_takes_the_colours_of_the_page(made):
    svg = embedded_svg(plot_file(made / "image.mdf").figure, "f7")
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert "stroke: currentColor" in svg
    assert "var(--paper)" in svg
    for left in ("#000000", "<!--", "<metadata", "<style", 'id="figure_1"'):
        assert left not in svg
    assert 'id="f7-figure_1"' in svg
