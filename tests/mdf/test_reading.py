"""Reading parts, blocks, rows and images: lazily, and within the memory that is promised."""

from __future__ import annotations

import tracemalloc
from itertools import permutations

import h5py
import numpy as np
import pytest

import mdf


def selected(rng, **more):
    data = rng.normal(size=(5, 3, 2, 3)) + 1j
    return {
        "/measurement/data": data,
        "/measurement/isFourierTransformed": np.int8(1),
        "/measurement/isFrequencySelection": np.int8(1),
        "/measurement/frequencySelection": [6, 2, 3],
        **more,
    }, data


def test_selected_spectra_can_be_filled_with_zeros(made, rng):
    changes, data = selected(rng)
    with mdf.open(made(changes)) as file:
        full = file.read_signal(full=True)
        assert full.shape == (5, 3, 2, 6)
        np.testing.assert_array_equal(full[..., [5, 1, 2]], data)
        assert not full[..., [0, 3, 4]].any()
        np.testing.assert_array_equal(file.read_signal(), data)
        assert "M07" not in {repair.rule for repair in file.repairs}
        file.read_signal(domain="time")
        assert ("M07", "the time signal has 3 of 6 components") in {(r.rule, r.text) for r in file.repairs}


def test_parts_that_make_no_sense(made):
    with mdf.open(made({})) as file:
        for part in ({"periods": 3}, {"channels": [0, 2]}, {"samples": [10]}):
            with pytest.raises(IndexError):
                file.read_signal(**part)
        with pytest.raises(ValueError, match="components"):
            file.read_signal(components=[0])
        with pytest.raises(ValueError, match="samples"):
            file.read_signal(domain="frequency", samples=[0])
        assert file.system_matrix is None
        assert file.images is None


def calibration(data, size=None, **more):
    frames = data.shape[-1]
    return {
        "/measurement/data": data,
        "/measurement/isFourierTransformed": np.int8(1),
        "/measurement/isFastFrameAxis": np.int8(1),
        "/measurement/isBackgroundFrame": np.zeros(frames, np.int8),
        "/acquisition/receiver/numSamplingPoints": 2 * (data.shape[2] - 1),
        "/calibration/method": "robot",
        "/calibration/size": size,
        "/calibration/fieldOfView": None if size is None else 0.001 * np.array(size),
        **more,
    }


def test_rows_that_are_not_there(made):
    with mdf.open(made(calibration(np.zeros((3, 2, 6, 4), complex)))) as file:
        matrix = file.system_matrix
        assert matrix.rows([]).shape == (0, 4)
        for index in ([[0, 0, 6]], [[3, 0, 0]], [[0, -1, 0]]):
            with pytest.raises(IndexError):
                matrix.rows(index)
        for index in ([0, 0, 1], [[0.5, 0, 0]], [[0, 0]]):
            with pytest.raises(ValueError, match="expected integers"):
                matrix.rows(index)


@pytest.mark.parametrize("chunks", [None, (1, 1, 64, 500)])
def test_rows_take_the_memory_of_rows(tmp_path, made, chunks):
    path = made(calibration(np.zeros((1, 3, 2, 2000), np.complex64)))
    with h5py.File(path, "r+") as hdf:
        del hdf["/measurement/data"], hdf["/acquisition/receiver/numSamplingPoints"]
        hdf["/acquisition/receiver/numSamplingPoints"] = 9998
        data = hdf.create_dataset("/measurement/data", (1, 3, 5000, 2000), np.complex64, chunks=chunks)
        data[0, 2, 4321] = np.arange(2000, dtype=np.complex64)
    rows = np.stack([np.zeros(500, int), np.full(500, 2), np.arange(4999, -1, -10)], axis=1)
    rows[0, 2] = 4321
    with mdf.open(path) as file:
        tracemalloc.start()
        try:
            read = file.system_matrix.rows(rows)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 3 * read.nbytes
    np.testing.assert_array_equal(read[0], np.arange(2000))
    assert not read[1:].any()


@pytest.mark.parametrize("frames_last", [False, True])
@pytest.mark.parametrize("domain", ["time", "frequency"])
def test_blocks_stay_within_their_memory(made, frames_last, domain):
    data = np.zeros((4000, 3, 2, 100), np.float32)
    changes = {
        "/measurement/data": np.moveaxis(data, 0, -1) if frames_last else data,
        "/measurement/isFastFrameAxis": np.int8(frames_last),
        "/measurement/isBackgroundFrame": np.zeros(4000, np.int8),
        "/acquisition/receiver/numSamplingPoints": 100,
        "/acquisition/receiver/dataConversionFactor": np.array([[2.0, 1.0]] * 2),
    }
    memory, count = 2**21, 0
    with mdf.open(made(changes)) as file:
        _ = file.frequencies
        tracemalloc.start()
        try:
            for index, _ in file.blocks(domain=domain, memory=memory):
                count += len(index)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert count == 4000
    assert peak < memory


@pytest.mark.parametrize("order", ["".join(letters) for letters in permutations("xyz")])
def test_images_are_z_y_x_whatever_the_order(made, rng, order):
    volume = rng.normal(size=(5, 2, 3, 4, 2))  # Q, z, y, x, S
    axes = ["qzyxs".index(letter) for letter in f"q{order[::-1]}s"]
    changes = {
        "/reconstruction/data": volume.transpose(axes).reshape(5, 24, 2),
        "/reconstruction/size": [4, 3, 2],
        "/reconstruction/fieldOfView": [0.004, 0.003, 0.002],
        "/reconstruction/order": order,
    }
    with mdf.open(made(changes)) as file:
        np.testing.assert_array_equal(file.images, volume)
        np.testing.assert_array_equal(file.reconstruction.images, volume)
        assert file.reconstruction.grid.shape == (2, 3, 4)


def test_images_by_their_positions(made, rng):
    grid = mdf.Grid(np.array([4, 3, 2]), np.array([0.004, 0.003, 0.002]), np.zeros(3))
    place = rng.permutation(24)[:20]
    images = rng.normal(size=(2, 20, 1))
    changes = {
        "/reconstruction/data": images,
        "/reconstruction/size": grid.size,
        "/reconstruction/fieldOfView": grid.field_of_view,
        "/reconstruction/positions": grid.positions()[place],
    }
    with mdf.open(made(changes)) as file:
        flat = file.images.reshape(2, 24)
        np.testing.assert_array_equal(flat[:, place], images[..., 0])
        assert np.isnan(flat).sum() == 8
    with (
        mdf.open(made(changes | {"/reconstruction/positions": rng.normal(size=(20, 3))})) as file,
        pytest.raises(mdf.MdfError, match="no grid"),
    ):
        _ = file.images


def test_a_part_of_a_grid_is_sorted_too(made, rng):
    grid = mdf.Grid(np.array([4, 3, 2]), np.array([0.004, 0.003, 0.0]), np.array([0.1, 0, 0]))
    flat = mdf.Grid(np.array([4, 3, 1]), grid.field_of_view, grid.center)
    place = rng.permutation(12)[:7]
    data = np.broadcast_to(place, (3, 2, 6, 7)).astype(complex)
    changes = calibration(data, flat.size) | {
        "/calibration/fieldOfView": flat.field_of_view,
        "/calibration/fieldOfViewCenter": flat.center,
        "/calibration/positions": flat.positions()[place],
    }
    with mdf.open(made(changes)) as file:
        assert file.calibration.voxels.tolist() == sorted(place)
        np.testing.assert_allclose(file.calibration.positions, flat.positions()[np.sort(place)])
        assert file.read_signal(order="grid")[:, 0, 0, 0].real.tolist() == sorted(place)
    off = changes | {"/calibration/positions": rng.normal(size=(7, 3))}
    with mdf.open(made(off)) as file:
        assert file.calibration.voxels is None
        assert file.read_signal(order="grid")[:, 0, 0, 0].real.tolist() == place.tolist()


class TestStorage:
    """What HDF5 can do beside plain numbers in a row."""

    @pytest.mark.parametrize("filter_", ["gzip", "lzf", "plugin"])
    def test_compressed(self, made, rng, filter_):
        options = {"compression": filter_, "shuffle": True, "fletcher32": True}
        if filter_ == "plugin":
            options = dict(pytest.importorskip("hdf5plugin").Blosc())
        path, data = made({"/measurement/data": None}), rng.normal(size=(5, 3, 2, 10))
        with h5py.File(path, "r+") as hdf:
            hdf.create_dataset("/measurement/data", data=data, chunks=(2, 3, 1, 7), **options)
        with mdf.open(path) as file:
            np.testing.assert_array_equal(file.read_signal([4, 0, 1]), data[[4, 0, 1]])

    def test_a_filter_that_nobody_has(self, made):
        path = made({"/measurement/data": None})
        with h5py.File(path, "r+") as hdf:
            created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            created.set_chunk((5, 3, 2, 10))
            created.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, (1,))
            space = h5py.h5s.create_simple((5, 3, 2, 10))
            h5py.h5d.create(hdf["measurement"].id, b"data", h5py.h5t.IEEE_F32LE, space, created)
        with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="filter 32099"):
            file.read_signal()

    @pytest.mark.parametrize("damage", ["", "file", "dataset", "part", "size"])
    def test_virtual(self, made, tmp_path, rng, damage):
        data = rng.normal(size=(5, 3, 2, 10))
        with h5py.File(tmp_path / "parts.h5", "w") as hdf:
            hdf["one"], hdf["two"] = data[:3], data[3:]
        layout = h5py.VirtualLayout((5, 3, 2, 10), data.dtype)
        layout[:3] = h5py.VirtualSource("parts.h5", "one", (3, 3, 2, 10))
        if damage != "part":
            layout[3:] = h5py.VirtualSource("parts.h5", "two", (2, 3, 2, 10))
        path = made({"/measurement/data": None})
        with h5py.File(path, "r+") as hdf:
            hdf.create_virtual_dataset("/measurement/data", layout)
        with h5py.File(tmp_path / "parts.h5", "r+") as hdf:
            if damage in {"dataset", "size"}:
                del hdf["two"]
            if damage == "size":
                hdf["two"] = data[3:4]
        if damage == "file":
            (tmp_path / "parts.h5").unlink()
        with mdf.open(path) as file:
            if not damage:
                np.testing.assert_array_equal(file.read_signal(), data)
                return
            with pytest.raises(mdf.MdfError, match=r"/measurement/data.*source"):
                file.read_signal()

    @pytest.mark.parametrize("chunks", [None, (1, 3, 2, 10)])
    def test_more_than_is_there(self, made, chunks):
        path = made({"/measurement/data": None})
        with h5py.File(path, "r+") as hdf:
            hdf.create_dataset("/measurement/data", (5, 3, 2, 2**22), "f4", chunks=chunks)
        with mdf.open(path) as file:
            assert not file.read_signal(samples=[2**22 - 1]).any()
            with pytest.raises(mdf.MdfError, match="next to nothing"):
                file.read_signal()

    def test_terabytes(self, made):
        path = made({"/measurement/data": None})
        with h5py.File(path, "r+") as hdf:
            hdf.create_dataset("/measurement/data", (5, 3, 2, 2**40), "f4", chunks=(5, 3, 2, 100))
        with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="too large to be believed"):
            file.read_signal([0])

    def test_native_complex(self, made):
        if not hasattr(h5py.h5t, "COMPLEX_IEEE_F32LE"):
            pytest.skip("this HDF5 has no native complex type")
        path = made({"/measurement/data": None, "/measurement/isFourierTransformed": np.int8(1)})
        with h5py.File(path, "r+") as hdf:
            space = h5py.h5s.create_simple((5, 3, 2, 6))
            h5py.h5d.create(hdf["measurement"].id, b"data", h5py.h5t.COMPLEX_IEEE_F32LE, space)
        with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="native complex"):
            file.read_signal()


def test_a_closed_file_says_so(made):
    path = made({})
    with mdf.open(path) as file:
        assert repr(file) == f"<mdf.File {str(path)!r}: MDF 2.1.0>"
    assert repr(file).endswith("MDF 2.1.0, closed>")
    for read in (lambda: file.study, file.read_signal, lambda: file.value("/acquisition/gradient")):
        with pytest.raises(mdf.MdfError, match="the file is closed"):
            read()


@pytest.mark.parametrize(
    ("changes", "axes"),
    [
        ({}, ("N", "J", "C", "V")),
        (
            {
                "/measurement/isFastFrameAxis": np.int8(1),
                "/measurement/isFourierTransformed": np.int8(1),
                "/measurement/data": np.zeros((3, 2, 6, 5), np.complex64),
            },
            ("J", "C", "K", "N"),
        ),
        (
            {
                "/measurement/data": np.zeros((3, 2, 10), np.float32),
                "/measurement/isBackgroundFrame": np.zeros(1, np.int8),
                "/acquisition/numFrames": 1,
            },
            ("J", "C", "V"),
        ),
    ],
)
def test_the_letters_of_the_stored_axes(made, changes, axes):
    with mdf.open(made(changes)) as file:
        assert file.data_axes == axes


@pytest.mark.parametrize(
    ("path", "value"),
    [("/acquisition/receiver/numSamplingPoints", -5), ("/acquisition/receiver/bandwidth", np.nan)],
)
def test_sampling_that_is_none_is_named(made, path, value):
    with mdf.open(made({path: value})) as file, pytest.raises(mdf.MdfError, match=f"{path} .*it is {value}"):
        file.read_signal()
