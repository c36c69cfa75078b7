"""Rows that are read in each sweep, directly where the file allows it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import mdf
from mpikit.errors import InputError
from mpikit.events import silent
from mpikit.reconstruct import Kaczmarz, Rows, read_system
from mpikit.reconstruct.direct import direct_rows
from mpikit.reconstruct.finite import FiniteReader
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.streamed import CalibrationRows, FileRows

ROWS = Rows(np.array([0, 0, 0, 1, 1, 0]), np.array([4, 5, 6, 7, 11, 3]), {})
ALL = {"min_frequency": 0.0, "snr_threshold": 0.0}


def both(path, voxels, rows=ROWS):
    """Rows read in pieces directly, and as the reader gives them."""
    with mdf.open(path) as file:
        reader = Reader(file)
        direct = direct_rows(reader, rows, voxels)
        if direct is None:
            return None, None
        found = np.full((len(rows), len(voxels)), np.nan, np.complex64)
        for part in (slice(0, 2), slice(2, 5), slice(5, len(rows))):
            direct.read(part, found[part])
        return found, reader.rows(rows, voxels, "grid")


def change(path, **nodes):
    with h5py.File(path, "r+") as hdf:
        for node, value in nodes.items():
            if node in hdf:
                del hdf[node]
            hdf[node] = value


VOXELS = {
    "all": np.arange(24),
    "some": np.arange(5, 17),
    "every third": np.arange(0, 24, 3),
    "one": np.array([7]),
}


@pytest.mark.parametrize("voxels", VOXELS.values(), ids=VOXELS)
@pytest.mark.parametrize("lines", [None, np.arange(3, 20)], ids=["all lines", "some lines"])
def test_rows_are_read_directly(pair, voxels, lines):
    found, wanted = both(pair.calibration(lines=lines), voxels)
    np.testing.assert_array_equal(found, wanted)
    spectra = (pair.matrix + pair.empty)[voxels][:, ROWS.channels, ROWS.lines].T
    np.testing.assert_allclose(found, spectra, rtol=1e-6)


def test_frames_in_any_order_and_empty_ones_between(pair, rng):
    """Stored out of order of acquisition, with background frames between, and chunked and compressed."""
    path = pair.calibration(background=4)
    order = rng.permutation(28)
    with h5py.File(path, "r+") as hdf:
        for node, values in (
            ("measurement/isBackgroundFrame", np.isin(np.arange(28), [0, 9, 10, 27]).astype(np.int8)),
            ("measurement/framePermutation", order + 1),
            ("measurement/isFramePermutation", np.int8(1)),
        ):
            if node in hdf:
                del hdf[node]
            hdf[node] = values
        data = hdf["measurement/data"][()]
        del hdf["measurement/data"]
        hdf.create_dataset("measurement/data", data=data, chunks=(1, 1, 7, 11), compression="gzip")
    found, wanted = both(path, np.arange(24))
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(found[0])) > 20


@pytest.mark.parametrize(
    "changes",
    [
        {"/measurement/isFastFrameAxis": False},
        {"/acquisition/receiver/dataConversionFactor": np.array([[2.0, 0.0], [3.0, 0.0]])},
    ],
    ids=["frames first", "conversion"],
)
def test_what_needs_work_is_not_read_directly(pair, changes):
    assert both(pair.calibration(**changes), np.arange(24)) == (None, None)
    options = Kaczmarz(memory=1e-9, background="none", **ALL)
    with mdf.open(pair.measurement()) as measurement, mdf.open(pair.calibration(**changes)) as calibration:
        rows = read_system(measurement, calibration, options, tell=silent).matrix
        spectra = (pair.matrix + pair.empty).reshape(24, -1).T
        factor = np.repeat([[2], [3]], 31, axis=0) if "Factor" in next(iter(changes)) else 1
        np.testing.assert_allclose(rows.load(0), factor * spectra, rtol=1e-5)
        rows.close()


def test_a_chain_that_is_divided_out_is_not_left_in(pair):
    function = np.full((2, 31), 2 - 1j)
    path = pair.calibration(**{"/acquisition/receiver/transferFunction": function})
    with mdf.open(path) as file:
        assert direct_rows(Reader(file, divide=True), ROWS, np.arange(24)) is None
        assert direct_rows(Reader(file), ROWS, np.arange(24)) is not None


def test_values_that_are_not_finite_are_named(pair):
    path = pair.calibration()
    with h5py.File(path, "r+") as hdf:
        hdf["measurement/data"][0, 1, 9, 13] = np.nan
    rows = Rows(np.array([0, 1, 1]), np.array([2, 9, 30]), {})
    with mdf.open(path) as file:
        reader = FiniteReader(file)
        assert (
            direct_rows(Reader(file), Rows(rows.channels[:1], rows.lines[:1], {}), np.arange(24)) is not None
        )
        with pytest.raises(
            InputError, match=r"1 values that are not finite, first at 300 kHz in .* channel 1"
        ):
            direct_rows(reader, rows, np.arange(24))


@pytest.mark.parametrize("between", [7, 20])
def test_a_part_that_goes_bad_is_named_when_it_is_read(pair, monkeypatch, between):
    """Rows between the few that are compared at first."""
    monkeypatch.setattr("mpikit.reconstruct.streamed.PART", 5 * 8 * 24)
    path = pair.calibration()
    with h5py.File(path, "r+") as hdf:
        hdf["measurement/data"][0, 0, between, 13] = np.inf
    options = Kaczmarz(memory=1e-9, background="none", **ALL)
    with mdf.open(pair.measurement()) as measurement, mdf.open(path) as calibration:
        rows = read_system(measurement, calibration, options, tell=silent).matrix
        with pytest.raises(InputError, match="1 values that are not finite"):
            rows.energies()
        rows.close()


class Counted(FileRows):
    """Rows of zeros and one number each; the reads are written down."""

    def __init__(self, rows):
        super().__init__((rows, 6), np.complex64)
        self.read = []

    def _read_piece(self, rows, out):
        self.read.append((rows.start, rows.stop))
        out[...] = 0
        out[:, 2] = np.arange(rows.start, rows.stop)


def test_parts_are_read_ahead_in_turn_and_stay_until_the_next(monkeypatch):
    monkeypatch.setattr("mpikit.reconstruct.streamed.PART", 4 * 8 * 6)
    rows = Counted(10)
    for _ in range(2):
        for part, count in enumerate((4, 4, 2)):
            values = rows.load(part)
            rows._ahead[1].result()
            assert values.shape == (count, 6)
            np.testing.assert_array_equal(values[:, 2].real, np.arange(10)[rows.rows(part)])
    again = rows.load(2)  # not the part that was read ahead
    np.testing.assert_array_equal(again[:, 2].real, [8, 9])
    rows.close()
    assert rows.read[:4] == [(0, 4), (4, 8), (8, 10), (0, 4)]
    assert rows.columns(1) == slice(None)


def test_energies_are_read_once(monkeypatch):
    monkeypatch.setattr("mpikit.reconstruct.streamed.PART", 4 * 8 * 6)
    rows = Counted(10)
    np.testing.assert_array_equal(rows.energies(), np.arange(10.0) ** 2)
    before = len(rows.read)
    rows.energies()
    rows.close()
    assert len(rows.read) == before


def test_an_error_of_the_thread_comes_out(monkeypatch):
    monkeypatch.setattr("mpikit.reconstruct.streamed.PART", 4 * 8 * 6)
    rows = Counted(10)
    rows.load(0)
    monkeypatch.setattr(rows, "_read_piece", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rows.energies()
    rows.close()


@pytest.mark.parametrize("frames_last", [True, False])
@pytest.mark.parametrize("mode", ["none", "static", "interpolated"])
def test_the_background_is_that_of_the_same_row(pair, rng, monkeypatch, mode, frames_last):
    """Empty frames that drift, before, between and after the others."""
    monkeypatch.setattr("mpikit.reconstruct.streamed.PART", 2 * 8 * 24)
    monkeypatch.setattr("mpikit.reconstruct.streamed.PIECE", 8 * 24)
    at, empty = np.arange(28), np.array([0, 9, 10, 27])
    places = np.setdiff1d(at, empty)
    drift = rng.normal(size=(28, 2, 31)) + 1j * rng.normal(size=(28, 2, 31))
    frames = np.zeros((28, 2, 31), complex)
    frames[places], frames[empty] = pair.matrix, drift[empty]
    path = pair.calibration(
        **{
            "/measurement/isFastFrameAxis": frames_last,
            "/measurement/isBackgroundFrame": np.isin(at, empty),
        },
        background=4,
    )
    with h5py.File(path, "r+") as hdf:
        stored = np.moveaxis(frames[:, None], 0, -1) if frames_last else frames[:, None]
        hdf["measurement/data"][...] = stored.astype(np.complex64)
    subtracted = {
        "none": np.zeros((24, 2, 31)),
        "static": np.broadcast_to(drift[empty].mean(axis=0), (24, 2, 31)),
        "interpolated": np.empty((24, 2, 31), complex),
    }
    blocks = np.array([0, 9.5, 27])
    means = np.array([drift[0], drift[9:11].mean(axis=0), drift[27]])
    for channel, line in np.ndindex(2, 31):
        subtracted["interpolated"][:, channel, line] = np.interp(places, blocks, means[:, channel, line])
    wanted = (pair.matrix - subtracted[mode])[:, ROWS.channels, ROWS.lines].T
    with mdf.open(path) as file:
        rows = CalibrationRows(FiniteReader(file), ROWS, np.arange(24), background=mode)
        assert len(rows) == 3
        for _ in range(2):
            for part in range(3):
                np.testing.assert_allclose(rows.load(part), wanted[rows.rows(part)], rtol=1e-5, atol=1e-5)
        rows.close()
        np.testing.assert_allclose(rows.whole(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("voxels", [np.arange(3, 8), np.arange(2, 24), np.array([20, 1])])
def test_the_background_of_a_part_of_the_grid(pair, voxels):
    """Few columns that are read by themselves, many, and some that are picked."""
    with mdf.open(pair.calibration()) as file:
        rows = CalibrationRows(Reader(file), ROWS, voxels, background="static")
        wanted = pair.matrix[voxels][:, ROWS.channels, ROWS.lines].T
        for _ in range(3):
            np.testing.assert_allclose(rows.load(0), wanted, rtol=1e-4, atol=1e-4)
        rows.close()


def test_an_empty_frame_that_is_not_finite_is_named(pair):
    path = pair.calibration(background=3)
    with h5py.File(path, "r+") as hdf:
        hdf["measurement/data"][0, 0, 6, 25] = np.nan
    with mdf.open(path) as file:
        rows = CalibrationRows(FiniteReader(file), ROWS, np.arange(24), background="static")
        with pytest.raises(InputError, match="1 values that are not finite, first in frame 25"):
            rows.load(0)
        rows.close()
