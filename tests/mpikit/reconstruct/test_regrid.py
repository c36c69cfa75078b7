"""Crop and re-grid: of rows, of linear systems in memory and streamed, and of the supplied samples."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdf
from mdf import Grid
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding, silent
from mpikit.reconstruct import read_system, reconstruct_file
from mpikit.reconstruct.options import METHODS, make_options
from mpikit.reconstruct.regrid import Regridding, fitted_grid, in_words
from mpikit.reconstruct.streamed import FileRows

ALL = {"min_frequency": 0.0, "snr_threshold": 0.0}
SOURCE = Grid(np.array([5, 4, 3]), np.array([0.020, 0.012, 0.006]), np.array([0.001, -0.002, 0.003]))


def make_grid(size, extent, center=(0.0, 0.0, 0.0)):
    return Grid(np.array(size), np.array(extent), np.array(center, float))


@pytest.fixture
def rows(rng):
    return (rng.normal(size=(7, 60)) + 1j * rng.normal(size=(7, 60))).astype(np.complex64)


def test_a_crop_takes_columns_as_they_are(rows):
    target = fitted_grid(SOURCE, field_of_view=(0.012, 0.006), center=(0.005, -0.002))
    assert target.shape == (3, 2, 3)
    np.testing.assert_allclose(target.spacing, SOURCE.spacing, rtol=1e-12)
    regridding = Regridding(SOURCE, target)
    places = SOURCE.nearest(target.positions())
    np.testing.assert_allclose(SOURCE.positions()[places], target.positions(), atol=1e-15)
    np.testing.assert_array_equal(regridding(rows), rows[:, places])
    np.testing.assert_array_equal(regridding.needed, np.sort(places))
    assert regridding.volume_ratio == pytest.approx(1, rel=1e-12)
    assert regridding.is_crop


def test_every_second_node_is_a_selection_too(rows):
    target = make_grid((2, 2, 1), (0.016, 0.006, 0.002), (0.001, -0.002, 0.003))
    places = SOURCE.nearest(target.positions())
    np.testing.assert_allclose(SOURCE.positions()[places], target.positions(), atol=1e-15)
    regridding = Regridding(SOURCE, target)
    np.testing.assert_array_equal(regridding(rows), rows[:, places])
    assert regridding.volume_ratio == pytest.approx(2, rel=1e-12)  # along x
    assert not regridding.is_crop


def test_the_same_grid_changes_nothing(rows):
    for target in (SOURCE, fitted_grid(SOURCE), fitted_grid(SOURCE, size=(5, 4, 3))):
        regridding = Regridding(SOURCE, target)
        assert regridding.is_crop
        assert regridding(rows) is rows


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(*[st.integers(1, 9)] * 3),
    inner=st.tuples(*[st.floats(0.05, 1.0)] * 3),
    shift=st.tuples(*[st.floats(-1.0, 1.0)] * 3),
    slopes=st.tuples(*[st.floats(-3.0, 3.0)] * 4),
)
def test_linear_functions_are_reproduced_up_to_the_faces(size, inner, shift, slopes):
    extent = SOURCE.field_of_view * inner
    center = SOURCE.center + (SOURCE.field_of_view - extent) / 2 * shift
    target = fitted_grid(SOURCE, size, tuple(extent), tuple(center))
    np.testing.assert_array_equal(target.size, size)

    def linear(grid):
        x, y, z = 1e3 * grid.positions().T
        values = slopes[0] + slopes[1] * x - 1j * slopes[2] * y + slopes[3] * z
        return np.stack([values, 2j * values])

    np.testing.assert_allclose(
        Regridding(SOURCE, target)(linear(SOURCE)), linear(target), rtol=1e-5, atol=1e-4
    )


def test_between_nodes_the_weights_are_those_of_the_distance():
    source = make_grid((3, 1, 2), (0.03, 0.001, 0.02))
    target = make_grid((1, 1, 1), (0.001, 0.001, 0.001), (0.0025, 0, -0.003))
    rows = np.array([[1.0, 2.0, 10.0, 100.0, 200.0, 1000.0]])
    lower, upper = 2 + 0.25 * 8, 200 + 0.25 * 800
    np.testing.assert_allclose(Regridding(source, target)(rows), [[lower + 0.2 * (upper - lower)]])


@pytest.mark.parametrize("kind", [np.complex64, np.complex128, np.float32, np.float64])
def test_the_type_is_kept(rows, kind):
    values = rows.real.astype(kind)
    for target in (fitted_grid(SOURCE, field_of_view=(0.01,)), fitted_grid(SOURCE, size=(7, 2, 2))):
        assert Regridding(SOURCE, target)(values).dtype == kind


def test_rows_in_blocks_are_the_same(rows, monkeypatch):
    regridding = Regridding(SOURCE, fitted_grid(SOURCE, size=(6, 7, 2)))
    whole = regridding(rows)
    assert whole.shape == (7, 84)
    assert regridding(rows[:0]).shape == (0, 84)
    monkeypatch.setattr("mpikit.reconstruct.regrid._BLOCK", 1)
    np.testing.assert_allclose(regridding(rows), whole, rtol=1e-6)
    with pytest.raises(ValueError, match="59 columns, expected 60"):
        regridding(rows[:, 1:])


def test_only_what_is_needed_is_read(rows):
    target = fitted_grid(SOURCE, size=(3, 4), field_of_view=(0.004, 0.012, 0.002))
    regridding = Regridding(SOURCE, target)
    assert len(regridding.needed) == 3 * 4 * 1  # of x the middle and one on each side, of z the middle
    np.testing.assert_array_equal(regridding.of_needed(rows[:, regridding.needed]), regridding(rows))
    spoilt = rows.copy()
    spoilt[:, np.setdiff1d(np.arange(60), regridding.needed)] = np.nan
    assert np.isfinite(regridding(spoilt)).all()


def test_a_plane_stays_a_plane():
    """One node along z, with thickness and without: values do not change with z."""
    rows = np.arange(12.0)[None]
    for thickness in (0.001, 0.0):
        source = make_grid((4, 3, 1), (0.004, 0.003, thickness))
        target = fitted_grid(source, size=(2, 3))
        assert target.shape == (1, 3, 2)
        assert target.field_of_view[2] == thickness
        np.testing.assert_allclose(Regridding(source, target)(rows), [[0.5, 2.5, 4.5, 6.5, 8.5, 10.5]])
        assert Regridding(source, target).volume_ratio == pytest.approx(2)
        with pytest.raises(InputError, match="3 voxels along z, where the calibration has one"):
            fitted_grid(source, size=(4, 3, 3))
    with pytest.raises(InputError, match="along z it goes from 2 to 2 mm, the calibration from 0 to 0 mm"):
        fitted_grid(source, center=(0, 0, 0.002))


def test_the_centre_alone_takes_what_lies_on_both_sides():
    target = fitted_grid(SOURCE, center=(0.005,))
    np.testing.assert_allclose(target.field_of_view, [0.012, 0.012, 0.006])
    np.testing.assert_allclose(target.center, [0.005, -0.002, 0.003])
    finer = fitted_grid(SOURCE, size=(5,), center=(0.004,))
    assert finer.shape == (3, 4, 5)
    np.testing.assert_allclose(finer.field_of_view[0], 0.014)


def test_a_crop_keeps_the_nodes_inside_and_on_the_edges():
    source = make_grid((15, 15, 1), (0.03, 0.03, 0.001))
    for asked, voxels in ((0.018, 9), (0.0199, 9), (0.02, 11), (0.0001, 1), (0.03, 15)):
        target = fitted_grid(source, field_of_view=(asked, asked))
        assert target.shape == (1, voxels, voxels)
        assert target.field_of_view[0] == pytest.approx(2e-3 * voxels)
    assert in_words(target) == "15 x 15 x 1 voxels in 30 x 30 x 1 mm around (0, 0, 0) mm"


def test_a_grid_outside_names_the_axes_and_both_extents():
    for ask in (
        lambda: fitted_grid(SOURCE, field_of_view=(0.02, 0.014)),
        lambda: fitted_grid(SOURCE, size=(3, 2, 1), field_of_view=(0.02, 0.014)),
        lambda: Regridding(SOURCE, make_grid((4, 4, 1), (0.02, 0.014, 0.006), SOURCE.center)),
    ):
        with pytest.raises(InputError) as caught:
            ask()
        assert str(caught.value) == (
            "grid outside the calibration: along y it goes from -9 to 5 mm, the calibration from -8 to 4 mm"
        )
        assert "--fov" in caught.value.hint
    with pytest.raises(InputError, match=r"along x it goes .*; along z it goes from 12 to 12 mm"):
        fitted_grid(SOURCE, center=(0.02, 0, 0.012))


def test_no_node_in_the_field_of_view():
    with pytest.raises(
        InputError, match=r"no position .* lies in the field of view along x.*from 2.5 to 3.5"
    ):
        fitted_grid(SOURCE, field_of_view=(0.001,), center=(0.003,))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"size": (4, 0)}, "4 x 0 voxels, expected up to three numbers above 0"),
        ({"field_of_view": (0.01, -0.01)}, "field of view is 10 x -10 x 6 mm, expected numbers above 0"),
        ({"field_of_view": (np.inf,)}, "expected up to three finite numbers"),
        ({"center": (np.nan,)}, "expected up to three finite numbers"),
        ({"center": (0, 0, 0, 0)}, "expected up to three finite numbers"),
    ],
)
def test_what_is_no_grid(asked, words):
    with pytest.raises(UsageError, match=words):
        fitted_grid(SOURCE, **asked)


def read(pair, tell=silent, method="kaczmarz", **options):
    with mdf.open(pair.measurement()) as one, mdf.open(pair.calibration()) as other:
        system = read_system(one, other, make_options(method, {**ALL, **options}), tell=tell)
        if not isinstance(system.matrix, FileRows):
            return system, system.matrix
        parts = [system.matrix.load(part).copy() for part in range(len(system.matrix))]
        system.matrix.close()
        return system, np.concatenate(parts)


@pytest.mark.parametrize(
    "asked",
    [
        {"field_of_view": (0.02, 0.022)},
        {"field_of_view": (0.025,), "center": (0.006, 0.002, -0.003)},
        {"grid": (5, 2, 2)},
        {"grid": (7,), "field_of_view": (0.01, 0.033, 0.005), "center": (0.0, 0.002, -0.0055)},
    ],
)
@pytest.mark.parametrize("background", ["static", "interpolated", "none"])
@pytest.mark.parametrize("rows_first", [True, False])
def test_the_system_has_the_columns_of_its_grid(pair, asked, background, rows_first, monkeypatch):
    """In memory and streamed; with the background of the calibration subtracted before or not at all."""
    monkeypatch.setattr("mpikit.reconstruct.streamed.PART", 8 * 24 * 7)
    monkeypatch.setattr("mpikit.reconstruct.streamed.PIECE", 8 * 24 * 2)
    if not rows_first:
        stored = pair.calibration
        pair.calibration = lambda: stored(**{"/measurement/isFastFrameAxis": False})
    full, matrix = read(pair, background=background)
    system, found = read(pair, background=background, **asked)
    target = fitted_grid(full.grid, asked.get("grid"), asked.get("field_of_view"), asked.get("center"))
    for one, other in ((system.grid.size, target.size), (system.grid.positions(), target.positions())):
        np.testing.assert_array_equal(one, other)
    regridding = Regridding(full.grid, target)
    wanted = regridding(matrix) * regridding.volume_ratio
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    if "grid" not in asked:
        np.testing.assert_array_equal(found, matrix[:, full.grid.nearest(target.positions())])
    np.testing.assert_array_equal(system.data, full.data)
    streamed, parts = read(pair, background=background, memory=1e-9, **asked)
    assert isinstance(streamed.matrix, FileRows)
    assert streamed.matrix.shape == found.shape
    assert len(streamed.matrix) > 1
    np.testing.assert_allclose(parts, found, rtol=1e-6, atol=1e-6)


def test_the_grid_is_said(pair):
    events = []
    read(pair, tell=events.append, field_of_view=(0.02, 0.022))
    said = [event.text for event in events if isinstance(event, Finding) and event.name == "grid"]
    assert said == ["images of 2 x 3 x 2 voxels in 20 x 33 x 10 mm around (1, 2, -3) mm"]


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("x-space", "fbp")])
def test_every_solver_crops(pair, tmp_path, method):
    result = reconstruct_file(
        pair.measurement(),
        system_matrix=pair.calibration(),
        output=tmp_path / f"{method}.mdf",
        method=method,
        lambda_=1e-6,
        field_of_view=(0.04, 0.033, 0.005),
        center=(0.001, 0.002, -0.0055),
        **ALL,
    )
    assert result.images.values.shape == (3, 1, 3, 4)
    with mdf.open(result.output) as file:
        np.testing.assert_allclose(file.grid.positions(), result.images.grid.positions())
        assert set(np.round(file.grid.positions()[:, 2], 9)) == {-0.0055}


def dots(samples, tmp_path, name, **options):
    """Images of the mean frame, its grid, and positions and amounts of the dots."""
    source = samples / "bruker2d-measurement.mdf"
    result = reconstruct_file(
        source,
        system_matrix=samples / "bruker2d-systemmatrix.mdf",
        output=tmp_path / f"{name}.mdf",
        average_frames=True,
        snr_threshold=3.0,
        **options,
    )
    with mdf.open(source) as file:
        positions = file.user_value("/_truth/_positions")
    return result.images.values[0], result.images.grid, positions


def test_a_crop_finds_the_same_dots(samples, tmp_path):
    how = {"lambda_": 1e-5, "iterations": 100}
    whole, grid, positions = dots(samples, tmp_path, "whole", **how)
    outermost = 1e3 * np.abs(positions).max()
    extent = 2e-3 * (np.ceil(outermost) + 1)
    image, cropped, _ = dots(samples, tmp_path, "crop", field_of_view=(extent, extent), **how)
    assert image.size < 0.8 * whole.size
    voxels, known = cropped.nearest(positions), grid.nearest(positions)
    assert set(np.argsort(-image.ravel())[:5]) == set(voxels)
    np.testing.assert_allclose(image.ravel()[voxels], whole.ravel()[known], atol=0.1)


def test_a_finer_grid_finds_the_dots_within_a_voxel(samples, tmp_path):
    """And as much tracer around each of them: it spreads over more voxels, which are smaller."""
    how = {"lambda_": 1e-3, "iterations": 50}
    whole, grid, positions = dots(samples, tmp_path, "whole", **how)
    image, finer, _ = dots(samples, tmp_path, "fine", grid=(29, 29), **how)
    plane = np.pad(image[0], 1)
    around = np.stack([plane[y : y + 29, x : x + 29] for y in range(3) for x in range(3)])
    peaks = (image[0] == around.max(axis=0)) & (image[0] > 0.25 * image.max())
    found = finer.positions()[np.flatnonzero(peaks)]
    apart = np.abs(found[:, None] - positions[None]).max(axis=2)
    assert apart.min(axis=0).max() <= grid.spacing[0]

    def amounts(values, places):
        near = np.abs(places.positions()[:, None] - positions[None]).max(axis=2) < 2.01e-3
        return values.ravel() @ near * np.prod(places.spacing)

    np.testing.assert_allclose(amounts(image, finer), amounts(whole, grid), rtol=0.25)


def test_spacings_of_a_grid_are_equal():
    for target in (fitted_grid(SOURCE, size=(7, 3)), fitted_grid(SOURCE, field_of_view=(0.01, 0.01))):
        x = np.unique(np.round(target.positions()[:, 0], 12))
        steps = [after - before for before, after in pairwise(x)]
        np.testing.assert_allclose(steps, target.spacing[0], rtol=1e-6)
