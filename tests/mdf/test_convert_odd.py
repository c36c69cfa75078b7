"""Calibrations whose positions are listed, or make no grid, and conversions that cannot be done."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mdf import spec

CA = "/calibration"
SIZE, POSITIONS = f"{CA}/size", f"{CA}/positions"
GRID = mdf.Grid(np.array([3, 2, 1]), np.array([0.003, 0.004, 0.005]), np.zeros(3))


@pytest.fixture
def calibration(made, rng):
    """Make one of O = 6, E = 1, J = 1, C = 2, K = 6: its first value is the place of the stored frame."""
    data = rng.normal(size=(1, 2, 6, 7)) + 0j
    data[0, 0, 0] = np.arange(7)

    def build(others=None, **changes):
        return made(
            {
                spec.DATA: data,
                spec.FOURIER: np.int8(1),
                spec.FAST_FRAME_AXIS: np.int8(1),
                spec.BACKGROUND: np.array([0] * 6 + [1], np.int8),
                spec.FRAMES: 7,
                spec.PERIODS: 1,
                "/acquisition/gradient": None,
                "/acquisition/offsetField": None,
                "/acquisition/drivefield/strength": np.full((1, 2, 1), 0.012),
                "/acquisition/drivefield/phase": np.zeros((1, 2, 1)),
                f"{CA}/method": "robot",
                **{f"{CA}/{name}": value for name, value in changes.items()},
                **(others or {}),
            }
        )

    return build


def places(path) -> list[int]:
    """Return which stored frame of the source each one is."""
    with mdf.open(path) as file:
        return file.read_signal(order="stored")[:, 0, 0, 0].real.astype(int).tolist()


@pytest.mark.parametrize(
    ("extent", "knows_size"),
    [(None, False), (GRID.field_of_view, False), (GRID.field_of_view, True), (np.full(3, 0.1), True)],
)
def test_listed_positions_come_in_the_order_of_the_grid(calibration, rng, tmp_path, extent, knows_size):
    order = rng.permutation(6)
    known = {"size": GRID.size} if knows_size else {}
    listed = GRID.positions()[order] * (1 if extent is None else extent / GRID.field_of_view)
    source = calibration(positions=listed, fieldOfView=extent, **known)
    mdf.convert(source, tmp_path / "b.mdf", order="grid")
    assert places(tmp_path / "b.mdf") == [*np.argsort(order), 6]
    with mdf.open(tmp_path / "b.mdf") as file:
        np.testing.assert_allclose(file.calibration.positions, listed[np.argsort(order)])
        says_size = file.calibration.size is not None
        assert says_size == (extent is not None)  # positions without an extent tell no edges
        if says_size:
            assert file.calibration.size.tolist() == [3, 2, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "neither size nor positions: the grid is unknown"),
        ({"size": [4, 2, 1], "fieldOfView": [0.004, 0.004, 0.005], "positions": GRID.positions()},
         r"size is \[4, 2, 1\], there are 6 positions"),
        ({"size": [3, 2, 1], "fieldOfView": [0.003, 0.004, 0.005], "positions": 2 * GRID.positions()},
         "the positions of the calibration do not fill its grid"),
        ({"size": [3, 2, 1], "positions": GRID.positions()},
         "the positions of the calibration do not fill its grid"),
        ({"positions": [[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 0]]},
         "the positions of the calibration do not fill a regular grid"),
        ({"positions": [[0, 0, 0], [1, 0, 0], [2.3, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0]]},
         "the positions of the calibration are no regular grid"),
    ],
)  # fmt: skip
def test_positions_that_make_no_grid(calibration, tmp_path, changes, message):
    source = calibration(**changes)
    with pytest.raises(mdf.ConversionError, match=message):
        mdf.convert(source, tmp_path / "b.mdf", order="grid")
    assert [path.name for path in tmp_path.iterdir()] == ["made.mdf"]
    with pytest.raises(mdf.ConversionError, match=message):
        mdf.convert(source, tmp_path / "b.mdf", sparsity="DCT-II", kept=3)


def test_frames_whose_places_would_be_lost(calibration, tmp_path):
    source = calibration(size=[3, 2, 1])
    message = "would no longer be in grid order, and their positions are unknown"
    with pytest.raises(mdf.ConversionError, match=message):
        mdf.convert(source, tmp_path / "b.mdf", frames=[1, 0])
    assert not (tmp_path / "b.mdf").exists()


def test_all_channels_in_their_order_are_no_step(calibration, tmp_path):
    source = calibration(size=[3, 2, 1])
    with mdf.open(source) as file:
        same = mdf.plan_conversion(file, channels=[0, 1]).steps
        other = mdf.plan_conversion(file, channels=[1, 0]).steps
    assert not any("channels" in step for step in same)
    assert "receive channels 1, 0 (from 0)" in other


class TestRatio:
    def test_too_few_components(self, calibration, tmp_path):
        source = calibration(size=[3, 2, 1])
        with pytest.raises(mdf.ConversionError, match="it stores 6 frequency components, 20 are needed"):
            mdf.convert(source, tmp_path / "b.mdf", best=3)

    def test_background_frames_only(self, made, tmp_path):
        changes = {spec.BACKGROUND: np.ones(5, np.int8), f"{CA}/method": "robot"}
        with pytest.raises(mdf.ConversionError, match="it has background frames only"):
            mdf.convert(made(changes), tmp_path / "b.mdf", best=3)


def test_a_compressed_file_whose_positions_fill_no_grid_is_undone(file, tmp_path):
    """It cannot stay compressed, for the order of its frames on the grid is not known any more."""
    sparse = {POSITIONS: 2 * GRID.positions(), spec.PERMUTED: np.int8(0), spec.PERMUTATION: None}
    source = file("sparse", sparse)
    done = mdf.convert(source, tmp_path / "b.mdf")
    assert "sparsity transformation DCT-IV undone" in done.steps
    with mdf.open(source) as before, mdf.open(tmp_path / "b.mdf") as after:
        np.testing.assert_array_equal(after.read_signal(), before.read_signal())
        assert after.measurement.is_sparsity_transformed is False


def test_a_signal_that_is_too_large_to_be_transformed_at_once(calibration, rng, tmp_path, monkeypatch):
    """Coefficients are those of whole components: all of a signal in time must be in memory for them."""
    timed = {spec.DATA: rng.normal(size=(1, 2, 10, 7)), spec.FOURIER: np.int8(0)}
    source = calibration(timed, size=[3, 2, 1], fieldOfView=GRID.field_of_view)
    monkeypatch.setattr("mdf.conversion.rows._WHOLE", 100)
    with pytest.raises(mdf.ConversionError, match="its time data are too large to be transformed") as caught:
        mdf.convert(source, tmp_path / "b.mdf", sparsity="DCT-II", kept=6)
    assert caught.value.hint == "convert it to the other domain first"
    assert not (tmp_path / "b.mdf").exists()
    monkeypatch.undo()
    mdf.convert(source, tmp_path / "b.mdf", sparsity="DCT-II", kept=6)
    with mdf.open(source) as before, mdf.open(tmp_path / "b.mdf") as after:
        expected = before.read_signal(domain="frequency")
        np.testing.assert_allclose(after.read_signal(), expected, atol=1e-12)


@pytest.mark.parametrize("frames", [[0, 1, 2], [5, 4, 3, 2, 1, 0], "background"])
def test_some_positions_only_cannot_be_compressed(calibration, tmp_path, frames):
    source = calibration(size=[3, 2, 1], fieldOfView=GRID.field_of_view)
    with pytest.raises(mdf.ConversionError, match="this takes all positions of a calibration, and no averag"):
        mdf.convert(source, tmp_path / "b.mdf", sparsity="DCT-II", kept=2, frames=frames)
    assert not (tmp_path / "b.mdf").exists()
