"""Rows of a system matrix: which are chosen, and what is drawn of them."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.figures_plot import RowShown, draw_matrix_snr, draw_rows
from mpikit.report.blocks import Picture
from mpikit.report.matrices import (
    _turned,
    factors_of_two,
    full_grid,
    matrix_sections,
    matrix_snr,
    mixing_of,
    shown_rows,
)


def test_rows_of_growing_order_are_chosen(made):
    with mdf.open(made / "sm.mdf") as file:
        snr, mixing, grid = matrix_snr(file), mixing_of(file), full_grid(file)
        rows = shown_rows(file, snr, mixing)
        lines = len(file.frequencies)
    orders = [int(row.title.split(":")[0].removeprefix("order ")) for row in rows]
    assert orders == list(range(1, 13))
    assert {row.image.shape for row in rows} == {grid.shape} == {(1, 4, 5)}
    assert snr.shape == (2, lines)
    assert factors_of_two(mixing).shape == (lines, 2)


def test_the_row_of_the_first_order_has_the_highest_snr(made):
    with mdf.open(made / "sm.mdf") as file:
        snr, mixing = matrix_snr(file), mixing_of(file)
        first = shown_rows(file, snr, mixing)[0]
        frequencies = file.frequencies
    of_first = np.where(mixing.orders == 1, snr, 0)
    channel, line = np.unravel_index(of_first.argmax(), snr.shape)
    assert first.title.endswith(f"{frequencies[line] / 1e3:.2f} kHz, channel {channel}")


@pytest.mark.parametrize("phase", [0.0, 0.7, 2.9, -1.4])
def test_the_phase_of_a_row_does_not_matter(phase, rng):
    row = rng.normal(size=17)
    found = _turned(row * np.exp(1j * phase))
    assert min(np.abs(found - row).max(), np.abs(found + row).max()) < 1e-12


def test_without_snr_or_mixing_the_rows_are_still_drawn(made):
    with mdf.open(made / "sm.mdf") as file:
        assert len(shown_rows(file, None, None)) == 12
        assert len(shown_rows(file, matrix_snr(file), None)) == 12


def test_the_sections(made):
    [section] = matrix_sections(made / "sm.mdf")
    assert [type(block) for block in section.blocks] == [Picture, Picture]


def test_a_volume_shows_its_strongest_layer():
    grid = mdf.Grid(np.array([5, 4, 3]), np.array([0.010, 0.008, 0.006]), np.zeros(3))
    image = np.zeros((3, 4, 5))
    image[2, 1, 3] = -2
    figure = draw_rows([RowShown("a $title", image)], grid, title="50 $ and $x")
    drawn = figure.axes[0].images[0]
    assert drawn.get_array()[1, 3] == -1
    assert drawn.get_clim() == (-1, 1)
    assert figure.axes[0].get_title() == r"a \$title"


def test_the_map_has_each_pair_of_factors():
    snr = np.array([[1.0, 10.0, 0.0, 1000.0]])
    orders = np.array([[0, 1], [1, -1], [1, 1], [-2, 1]])
    figure = draw_matrix_snr(np.arange(4.0), snr, orders)
    table = figure.axes[1].images[0].get_array().filled(np.nan)
    # rows: the second factor from -1 up; columns: the first one from 0
    expected = np.array([[np.nan, 1, 3], [np.nan] * 3, [0, np.nan, np.nan]])
    np.testing.assert_allclose(table, expected)


def test_the_samples(samples):
    with mdf.open(samples / "openmpi3d-small-systemmatrix.mdf") as file:
        rows = shown_rows(file, matrix_snr(file), mixing_of(file))
    assert rows
    assert {row.image.shape for row in rows} == {(3, 4, 5)}
