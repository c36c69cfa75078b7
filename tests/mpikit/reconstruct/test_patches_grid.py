"""The image of several patches: its grid, what no patch sees, and what one patch alone is taken for."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Warned, silent
from mpikit.reconstruct import Kaczmarz, read_system
from mpikit.reconstruct.options import make_options
from mpikit.reconstruct.placing import joint_grid, place

from .conftest import CHANNELS, LINES
from .test_patches import MOVES, Scan, calibrations, dense, offset_at, read


@pytest.fixture
def scanned(pair, rng):
    return Scan(pair, rng.random((2, 48)))


def said(told):
    return [event.text for event in told if isinstance(event, Warned)]


def test_the_field_of_view_is_that_of_the_whole_image(pair, scanned):
    """A part is cut out of the image of 60 x 44 x 10 mm around (11, 7.5, -3) mm."""
    told = []
    options = {"field_of_view": (0.040, 0.033), "center": (0.011, 0.002)}
    system = read(scanned.write(MOVES), pair.calibration(), tell=told.append, **options)
    assert system.grid.shape == (2, 3, 4)
    inside = np.arange(48).reshape(2, 4, 6)[:, :3, 1:5].ravel()
    np.testing.assert_allclose(system.matrix.whole(), dense(pair, MOVES)[:, inside], atol=1e-4)
    assert [event.value for event in told if getattr(event, "name", "") == "grid"] == [[4, 3, 2]]
    assert not any(getattr(event, "name", "") == "interpolated patch" for event in told)
    with pytest.raises(InputError, match="around 21 mm along x holds no voxel") as caught:
        read(scanned.write(MOVES), pair.calibration(), field_of_view=(0.010,), center=(-0.014,))
    assert "--fov" in caught.value.hint


def test_a_new_grid_is_one_of_the_whole_image(pair, scanned, rng):
    slope = rng.normal(size=(3, CHANNELS, LINES))
    with mdf.open(pair.calibration()) as file:
        own = file.grid
    pair.matrix = np.tensordot(own.positions(), slope, 1) * 1e3
    system = read(scanned.write(MOVES), pair.calibration(), grid=(5, 3))
    assert system.grid.shape == (2, 3, 5)
    np.testing.assert_allclose(system.grid.field_of_view, [0.060, 0.044, 0.010])
    ratio = np.prod(system.grid.spacing / own.spacing)
    for part, move in enumerate(MOVES):
        shift = np.array([0.010, 0.011, 0.0]) * (*move, 0)
        there = system.grid.positions()[system.matrix.columns(part)] - shift
        assert np.all(np.abs(there - own.center) <= own.field_of_view / 2)
        wanted = np.tensordot(there, slope, 1).reshape(len(there), -1).T * 1e3 * ratio
        np.testing.assert_allclose(system.matrix.load(part), wanted, atol=1e-4 * np.abs(wanted).max())


def test_voxels_that_no_patch_sees_are_counted(pair, scanned):
    told = []
    read(scanned.write([(0, 0), (2, 1)]), pair.calibration(), tell=told.append)
    assert "8 of 48 voxels of the image lie in no patch: they are 0" in said(told)
    told.clear()
    read(scanned.write([(0, 0), (1, 0)]), pair.calibration(), tell=told.append)
    assert not any("no patch" in text for text in said(told))


@pytest.mark.parametrize("method", ["kaczmarz", "tikhonov"])
def test_row_norms_are_those_of_the_rows_that_are_solved(pair, scanned, method):
    """A patch between the voxels has rows of its own, however alike the calibration is."""
    shift = np.array([0.0123, 0.0, 0.0])
    offsets = np.array([np.zeros(3), offset_at(*shift)])[:, None]
    measurement = pair.measurement(periods=2, offset=offsets)
    kind = type(make_options(method, {}))
    system = read(measurement, pair.calibration(), weighting=("row-norm",), kind=kind)
    matrix = system.matrix if method == "tikhonov" else system.matrix.whole()
    np.testing.assert_allclose(system.weights, 1 / np.linalg.norm(matrix, axis=1), rtol=1e-5)
    assert not np.allclose(system.weights[:62], system.weights[62:], rtol=1e-2)


def test_a_streamed_matrix_has_the_same_row_norms(pair, scanned):
    measurement, calibration = scanned.write(MOVES), pair.calibration()
    whole = read(measurement, calibration, weighting=("row-norm",))
    opened = [mdf.open(path) for path in (measurement, calibration)]
    options = Kaczmarz(min_frequency=0, snr_threshold=0, weighting=("row-norm",), memory=1e-6)
    streamed = read_system(opened[0], opened[1:], options, tell=silent)
    assert streamed.matrix.streamed
    np.testing.assert_allclose(streamed.weights, whole.weights, rtol=1e-6)
    streamed.matrix.close()
    for file in opened:
        file.close()


def test_a_plane_without_thickness_between_the_voxels(pair):
    """No division by its spacing of zero, which would warn."""
    pair.matrix = pair.matrix[:12]
    pair.images = pair.images[:, :12]
    flat = {
        "/calibration/size": np.array([4, 3, 1]),
        "/calibration/fieldOfView": np.array([0.04, 0.033, 0.0]),
        "/measurement/isBackgroundFrame": np.arange(14) >= 12,
    }
    offsets = np.array([np.zeros(3), offset_at(0.0123, 0.0, 0.0)])[:, None]
    system = read(pair.measurement(periods=2, offset=offsets), pair.calibration(**flat))
    assert system.grid.shape == (1, 3, 6)
    assert np.isfinite(system.matrix.whole()).all()


def test_layers_of_different_thickness_at_one_place_are_one_layer():
    thin = mdf.Grid(np.array([3, 2, 1]), np.array([3e-3, 2e-3, 1e-3]), np.zeros(3))
    thick = mdf.Grid(np.array([3, 2, 1]), np.array([3e-3, 2e-3, 4e-3]), np.array([1e-3, 0, 0]))
    for grids in ([thin, thick], [thick, thin]):
        joint = joint_grid(grids)
        assert joint.shape == (1, 2, 4)
        assert joint.field_of_view[2] == pytest.approx(1e-3)
    assert place(thin, joint).regridding is None
    placement = place(thick, joint)
    assert placement.regridding.volume_ratio == pytest.approx(0.25)
    assert not placement.interpolated
    rows = np.arange(12.0).reshape(2, 6) * (1 + 0j)
    np.testing.assert_array_equal(placement.regridding(rows), rows)
    np.testing.assert_allclose(joint.positions()[placement.columns], thick.positions(), atol=1e-12)


def test_an_empty_scan_of_other_patches_is_refused_for_one_patch(pair, scanned):
    empty = Scan(pair, np.zeros((2, 48))).write([(0, 0), (2, 1)], "empty.mdf", background=0)
    words = r"empty.mdf have 2 focus fields, expected the one of measurement.mdf"
    with pytest.raises(InputError, match=words) as caught:
        read(pair.measurement(background=0), pair.calibration(), empty=[empty])
    assert "--background-file" in caught.value.hint


def test_a_displaced_image_is_said_with_the_way_out(pair, scanned):
    measurement = scanned.write([(2, 1)])
    with pytest.raises(InputError, match="offset fields") as caught:
        read(measurement, pair.calibration())
    assert "-p combine=patches" in caught.value.hint
    told = []
    read(measurement, pair.calibration(), allow_mismatch=True, tell=told.append)
    away = 1e3 * np.hypot(0.020, 0.011)
    assert any(text.endswith(f"the image is displaced by {away:.3g} mm") for text in said(told))
    other = pair.calibration(**{"/acquisition/gradient": np.diag([-1.1, -1.1, 2.2])[None, None]})
    with pytest.raises(InputError, match="gradient") as caught:
        read(measurement, other)
    assert "--allow-mismatch" in caught.value.hint


def test_one_patch_at_the_place_of_its_calibration_needs_no_patches(pair):
    system = read(pair.measurement(), pair.calibration(), combine="patches")
    assert system.patches == ()
    with pytest.raises(UsageError, match="there is one of each"):
        read(pair.measurement(), pair.calibration(), mapping=(0,))


def test_the_patches_of_one_file_have_caches_of_their_own(pair, scanned, rng):
    moves = MOVES[:2]
    paths, matrices = calibrations(pair, rng, moves)
    measurement = scanned.write(moves, matrices=matrices)
    with pytest.raises(UsageError, match="is one cache, and 2 matrices are to be kept") as caught:
        read(measurement, *paths, cache=pair.folder / "one.h5")
    assert "existing folder" in caught.value.hint
    kept = pair.folder / "kept"
    kept.mkdir()
    for _ in range(2):
        system = read(measurement, *paths, cache=kept)
        np.testing.assert_allclose(system.matrix.whole(), dense(pair, moves, matrices), atol=2e-3)
    assert len(list(kept.iterdir())) == 2
