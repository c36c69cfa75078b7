from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from PIL import Image

from mdf import Grid
from mpikit import figures
from mpikit.errors import InputError
from mpikit.reconstruct.choosing import choose_lambda


def grid(size, extent=(0.03, 0.02, 0.01), center=(0.001, 0, -0.002)):
    return Grid(np.array(size), np.array(extent), np.array(center))


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def drawn(images, on, titles=None, columns=None):
    titles = titles or [""] * len(images)
    return figures._draw(images, on, titles, "mmol/L", columns or len(images))


def test_axes_are_in_mm_with_x_right_and_y_up(rng):
    image = rng.random((1, 4, 6))
    figure = drawn([image], grid((6, 4, 1)))
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x / mm", "y / mm")
    np.testing.assert_allclose(axes.images[0].get_extent(), [-14, 16, -10, 10])
    np.testing.assert_array_equal(axes.images[0].get_array(), image[0])
    assert axes.images[0].origin == "lower"
    assert bar.get_ylabel() == "mmol/L"


def test_a_bright_voxel_is_drawn_where_it_is(tmp_path):
    image = np.zeros((1, 4, 6))
    image[0, 3, 5] = 1  # the highest x and y: upper right
    figures.side_by_side(tmp_path / "one.png", [image], grid((6, 4, 1)), titles=["one"], unit="1")
    found = pixels(tmp_path / "one.png")
    yellow = (found[..., 0] > 230) & (found[..., 1] > 200) & (found[..., 2] < 80)
    panel = yellow[:, : found.shape[1] * 3 // 4]
    rows, columns = np.nonzero(panel)
    assert rows.size > 100
    assert rows.mean() < found.shape[0] / 2
    assert columns.mean() > panel.shape[1] / 2


def test_a_volume_is_shown_as_three_projections(rng):
    volume = rng.random((5, 4, 6))
    figure = drawn([volume], grid((6, 4, 5)))
    planes = [axes.images[0] for axes in figure.axes[:3]]
    for plane, axis in zip(planes, (0, 1, 2), strict=True):
        np.testing.assert_array_equal(plane.get_array(), volume.max(axis=axis))
    labels = [(axes.get_xlabel()[0], axes.get_ylabel()[0]) for axes in figure.axes[:3]]
    assert labels == [("x", "y"), ("x", "z"), ("y", "z")]
    np.testing.assert_allclose(planes[2].get_extent(), [-10, 10, -7, 3])


def test_a_plane_along_z_and_a_line():
    figure = drawn([np.arange(20.0).reshape(5, 4, 1)], grid((1, 4, 5)))
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("y / mm", "z / mm")
    assert figure.axes[0].images[0].get_array().shape == (5, 4)
    line = drawn([np.arange(6.0).reshape(1, 1, 6)], grid((6, 1, 1))).axes[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), [-11.5, -6.5, -1.5, 3.5, 8.5, 13.5])
    np.testing.assert_array_equal(line.get_ydata(), np.arange(6))


def test_at_most_nine_frames_evenly_chosen_with_their_numbers(tmp_path, monkeypatch):
    seen = {}

    def draw(images, on, titles, unit, columns):
        seen.update(values=[float(image.max()) for image in images], titles=titles, columns=columns)
        return drawn(images, on, titles, columns)

    drawn_before = figures._draw

    def drawn(images, on, titles, columns):
        return drawn_before(images, on, titles, "1", columns)

    monkeypatch.setattr(figures, "_draw", draw)
    images = np.arange(17.0)[:, None, None, None] * np.ones((1, 2, 3))
    figures.save_images(tmp_path / "many.png", images, grid((3, 2, 1)), unit="1", frames=range(5, 22))
    assert seen["values"] == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert seen["titles"] == [f"frame {number}" for number in range(5, 22, 2)]
    assert seen["columns"] == 3


def test_side_by_side_has_one_scale_and_is_small(tmp_path, rng):
    pair = [rng.random((1, 32, 32)), 3 * rng.random((1, 32, 32)) - 0.5]
    figure = drawn(pair, grid((32, 32, 1)), ["noisy", "denoised"])
    limits = {axes.images[0].get_clim() for axes in figure.axes[:2]}
    assert limits == {(pair[1].min(), pair[1].max())}
    assert [axes.get_title() for axes in figure.axes[:2]] == ["noisy", "denoised"]
    path = tmp_path / "pair.png"
    figures.side_by_side(path, pair, grid((32, 32, 1)), titles=["noisy", "denoised"], unit="1")
    assert 0 < path.stat().st_size < 150_000


def test_an_image_of_zeros_is_no_error(tmp_path):
    figures.save_images(tmp_path / "zero.png", np.zeros((2, 1, 3, 4)), grid((4, 3, 1)), unit="1")
    assert (tmp_path / "zero.png").exists()


def test_an_existing_picture_is_kept(tmp_path):
    path = tmp_path / "kept.png"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        figures.save_images(path, np.zeros((1, 1, 3, 4)), grid((4, 3, 1)), unit="1")
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_threads_draw_the_same_picture_without_global_state(tmp_path, rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # its import would fail
    image = rng.random((1, 1, 8, 9))

    def draw(name):
        figures.save_images(tmp_path / name, image, grid((9, 8, 1)), unit="1")

    threads = [threading.Thread(target=draw, args=(f"{index}.png",)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) == 3
    assert len(contents) == 1


def choice(rng, criterion, noise=None):
    matrix = (rng.normal(size=(12, 7)) + 1j * rng.normal(size=(12, 7))) * np.geomspace(1, 1e-3, 7)
    data = matrix @ rng.random((7, 2)) + 0.05 * rng.normal(size=(12, 2))
    return choose_lambda(matrix, data, criterion=criterion, noise=noise)


@pytest.mark.parametrize(
    ("criterion", "across", "up"),
    [
        ("discrepancy", "relative lambda", "residual norm ||W (S c - u)||"),
        ("gcv", "relative lambda", "cross-validation n ||W (S c - u)||² / freedom²"),
        ("l-curve", "residual norm ||W (S c - u)||", "solution norm ||c||"),
    ],
)
def test_the_chosen_lambda_is_marked_on_its_curve(rng, criterion, across, up):
    chosen = choice(rng, criterion, noise=np.full(12, 0.2))
    axes = figures.draw_choice(chosen).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == (across, up)
    curve, mark = axes.lines[-2:]
    x, y = np.log(curve.get_xdata()), np.log(curve.get_ydata())
    assert len(x) == len(chosen.curve.lambdas)
    (at,), (height,) = np.log(mark.get_xdata()), np.log(mark.get_ydata())
    assert height == pytest.approx(np.interp(at, x, y))
    before = np.searchsorted(chosen.curve.lambdas, chosen.relative) - 1
    assert x[before] <= at <= x[before + 1]
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"relative lambda {chosen.relative:.3g}" in words
    assert ("norm of the noise" in words) == (criterion == "discrepancy")


def test_the_discrepancy_is_marked_where_the_residual_meets_the_noise(rng):
    chosen = choice(rng, "discrepancy", noise=np.full(12, 0.2))
    level, _, mark = figures.draw_choice(chosen).axes[0].lines
    assert level.get_ydata()[0] == pytest.approx(0.2 * 12**0.5)
    assert mark.get_ydata()[0] == pytest.approx(level.get_ydata()[0], rel=5e-3)


def test_a_choice_is_written_as_a_small_picture(tmp_path, rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    path = tmp_path / "choice.png"
    figures.save_choice(path, choice(rng, "gcv"))
    assert pixels(path).shape == (400, 600, 3)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="exists already"):
        figures.save_choice(path, choice(rng, "gcv"))


def test_endless_texts_of_files_are_cut():
    assert figures.plain("x" * 999) == "x" * 999
    assert figures.plain("$" * 10**6) == r"\$" * 1000 + "…"
