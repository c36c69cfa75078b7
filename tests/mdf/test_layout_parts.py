"""Each part of a layout by itself, against closed forms: axes, runs, blocks, conversion, domains."""

from __future__ import annotations

from itertools import product

import h5py
import numpy as np
import pytest

from mdf import layout as layouts
from mdf.layout import Axes, Layout, Stored, find_axes, runs, split

SHAPE = (5, 3, 2, 6)  # N, J, C, K: all different
SAMPLES = 10


@pytest.fixture
def hdf():
    with h5py.File("layout", "w", driver="core", backing_store=False) as file:
        yield file


class Watched:
    """A dataset that notes the shapes of what is read."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset, self.read = dataset, []

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    def __getitem__(self, index):
        found = self._dataset[index]
        self.read.append(found.shape)
        return found

    def read_direct(self, out, source, place):
        self.read.append(out[place].shape)
        self._dataset.read_direct(out, source, place)


def layout_of(hdf, data, *, last=False, **more) -> Layout:
    """Store data (N, J, C, V or K), the frames last if that is wanted."""
    stored = np.moveaxis(data, 0, -1) if last else data
    dataset = Watched(hdf.create_dataset(f"data{len(hdf)}", data=stored))
    settings = {
        "is_fourier": data.dtype.kind == "c",
        "samples": SAMPLES,
        "selection": None,
        "conversion": None,
    }
    return Layout(
        stored=Stored(dataset, Axes(data.shape, last)),
        sampling_rate=1e6,
        acquired=np.array([2, 0, 4, 1, 3])[: len(data)],
        is_background=np.zeros(len(data), bool),
        **(settings | more),
    )


def spectra(rng, kind=np.complex128):
    return (rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)).astype(kind)


def times(rng, kind=np.float64):
    return rng.normal(size=(*SHAPE[:3], SAMPLES)).astype(kind)


def every(layout):
    return [np.arange(size) for size in layout.shape]


@pytest.mark.parametrize(
    ("found", "last", "expected", "shape", "squeezed"),
    [
        ((5, 3, 2, 6), False, (9, 9, 9, 9), (5, 3, 2, 6), ()),
        ((3, 2, 6, 5), True, (9, 9, 9, 9), (5, 3, 2, 6), ()),
        ((3, 2, 6), False, (1, 3, 2, 6), (1, 3, 2, 6), (0,)),
        ((3, 2, 6), True, (1, 3, 2, 6), (1, 3, 2, 6), (3,)),
        ((5, 2, 6), False, (5, 1, 2, 6), (5, 1, 2, 6), (1,)),
        ((2, 6, 5), True, (5, 1, 2, 6), (5, 1, 2, 6), (0,)),
        ((2, 6), False, (1, 1, 2, 6), (1, 1, 2, 6), (0, 1)),
        ((2, 6), True, (1, 1, 2, 6), (1, 1, 2, 6), (0, 3)),
        ((1, 2, 6), False, (1, 1, 2, 6), (1, 1, 2, 6), (0,)),  # of two ways the frames are the missing axis
    ],
)
def test_the_axes_that_are_found(found, last, expected, shape, squeezed):
    assert find_axes(found, frames_last=last, expected=expected) == Axes(shape, last, squeezed)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((3, 2, 6), (5, 3, 2, 6)),
        ((3, 2, 6), (1, 3, 2, 7)),
        ((3, 2, 6), (-1, 3, 2, 6)),
        ((3, 2, 6), (2, 3, 2, 6)),
        ((5, 3, 6), (5, 3, 1, 6)),  # a channel is never left out
        ((1, 5, 3, 2, 6), (5, 3, 2, 6)),
        ((), (1, 1, 1, 1)),
    ],
)
def test_the_axes_that_leave_a_doubt(found, expected):
    for last in (False, True):
        with pytest.raises(ValueError, match=r"it has the shape .* expected four axes"):
            find_axes(found, frames_last=last, expected=expected)


def test_runs_are_neighbours_none_longer_than_allowed():
    places = np.array([3, 4, 5, 6, 9, 8, 8, 0, 1])
    assert list(runs(places, 9)) == [(0, 4), (4, 5), (5, 6), (6, 7), (7, 9)]
    assert list(runs(places, 3)) == [(0, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 9)]
    assert list(runs(places, 1)) == [(place, place + 1) for place in range(9)]
    assert list(runs(np.array([7]), 2)) == [(0, 1)]


def test_slices_cover_a_range():
    assert list(split(7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(split(6, 3)) == [slice(0, 3), slice(3, 6)]
    assert list(split(2, 0)) == [slice(0, 1), slice(1, 2)]  # always one or more
    assert list(split(0, 3)) == []


class TestAmounts:
    """How much is believed of a file that may be damaged."""

    def test_a_quarter_of_a_gigabyte_is_read_whether_it_is_there_or_not(self, hdf):
        stored = Stored(hdf.create_dataset("data", (5, 3, 2, 2**30), "f4"), Axes((5, 3, 2, 2**30), False))
        stored.check_amount(2**28)
        with pytest.raises(ValueError, match="holds next to nothing"):
            stored.check_amount(2**28 + 1)

    def test_more_must_be_what_a_filter_can_reach(self, hdf):
        stored = Stored(
            hdf.create_dataset("data", data=np.ones((5, 4, 2, 5000), "f4")), Axes((5, 4, 2, 5000), False)
        )
        size = 4 * 200_000  # bytes
        stored.check_amount(1500 * size)
        with pytest.raises(ValueError, match="holds next to nothing"):
            stored.check_amount(1500 * size + 1)

    def test_parts_of_other_files_and_coefficients_are_believed(self, hdf):
        axes = Axes((5, 3, 2, 2**30), False)
        layout = h5py.VirtualLayout((5, 3, 2, 2**30), "f4")
        layout[:1] = h5py.VirtualSource("other.h5", "data", (1, 3, 2, 2**30))
        virtual = hdf.create_virtual_dataset("virtual", layout)
        Stored(virtual, axes).check_amount(2**31)
        plain = hdf.create_dataset("plain", (5, 3, 2, 2**30), "f4")
        Stored(plain, axes, sparsity=object()).check_amount(2**31)

    def test_tiny_chunks_are_refused(self, hdf):
        chunked = hdf.create_dataset("data", (5, 3, 2, 2**20), "f4", chunks=(1, 1, 1, 1))
        with pytest.raises(ValueError, match="too many chunks"):
            Stored(chunked, Axes(chunked.shape, False)).check_amount(2**27)


class TestStored:
    """The array of a file as plain numbers."""

    @pytest.mark.parametrize(
        ("kind", "pairs", "dtype", "plain"),
        [
            ("f4", False, "f4", True),
            ("f8", False, "f8", True),
            ("c8", False, "c8", True),
            ("i2", False, "f4", False),
            ("i4", False, "f8", False),
            ("f4", True, "c8", False),
            ("f8", True, "c16", False),
        ],
    )
    def test_types(self, hdf, kind, pairs, dtype, plain):
        shape = (*SHAPE, 2) if pairs else SHAPE
        stored = Stored(hdf.create_dataset("data", shape, kind), Axes(SHAPE, False), pairs)
        assert stored.dtype == np.dtype(dtype)
        assert stored.is_plain is plain

    def test_what_lacks_axes_or_frames_is_not_plain(self, hdf):
        data = hdf.create_dataset("data", SHAPE, "f4")
        assert not Stored(data, Axes(SHAPE, False, (1,))).is_plain
        assert not Stored(data, Axes(SHAPE, False), sparsity=object()).is_plain

    def test_pairs_are_real_and_imaginary_parts(self, hdf, rng):
        pairs = rng.normal(size=(*SHAPE, 2)).astype(np.float32)
        stored = Stored(hdf.create_dataset("data", data=pairs), Axes(SHAPE, False), has_pairs=True)
        read = stored[slice(1, 3), slice(0, 3), slice(1, 2), slice(2, 6)]
        wanted = pairs[1:3, :, 1:2, 2:6]
        assert read.dtype == np.complex64
        np.testing.assert_array_equal(read.real, wanted[..., 0])
        np.testing.assert_array_equal(read.imag, wanted[..., 1])

    def test_missing_axes_come_back(self, hdf, rng):
        data = rng.normal(size=(3, 2, 6))
        stored = Stored(hdf.create_dataset("data", data=data), Axes((1, 3, 2, 6), True, (3,)))
        read = stored[slice(1, 3), slice(0, 1), slice(2, 6), slice(0, 1)]
        np.testing.assert_array_equal(read, data[1:3, :1, 2:6, None])

    def test_frames_of_coefficients_are_cut_after_they_are_restored(self, hdf, rng):
        class Doubled:
            """Makes two frames of each coefficient."""

            def restore(self, stored, rows):
                assert rows == (slice(1, 3), slice(0, 2), slice(2, 5))
                return np.repeat(stored, 2, axis=-1)

        data = rng.normal(size=(3, 2, 6, 4))
        stored = Stored(hdf.create_dataset("data", data=data), Axes((8, 3, 2, 6), True), sparsity=Doubled())
        read = stored[slice(1, 3), slice(0, 2), slice(2, 5), slice(3, 6)]
        np.testing.assert_array_equal(read, np.repeat(data, 2, axis=-1)[1:3, :2, 2:5, 3:6])


PICKS = [
    [np.array([0, 1, 2, 3, 4]), np.arange(3), np.arange(2), np.arange(6)],
    [np.array([1, 2]), np.array([1]), np.array([0, 1]), np.array([2, 3, 4])],
    [np.array([4, 0, 1, 1]), np.array([2, 0]), np.array([1, 0]), np.array([5, 1, 2])],
    [np.array([3]), np.array([0, 2]), np.array([1]), np.array([4, 4])],
    [np.array([], int), np.arange(3), np.arange(2), np.arange(6)],
]


@pytest.mark.parametrize("picks", PICKS)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", ["c8", "c16", "f4", "f8", "i2"])
def test_what_is_read_is_what_numpy_picks(hdf, rng, picks, last, kind):
    data = rng.integers(-99, 99, SHAPE).astype(kind) * np.dtype(kind).type(3)
    factors = np.array([[2.0, 0.5], [-3.0, 4.0]])
    dc = np.where(np.arange(6) == 0, SAMPLES, 0) if kind[0] == "c" else np.ones(6)
    converted = data * factors[:, :1] + factors[:, 1:] * dc
    for block, (conversion, wanted) in product(
        (1, 2**20), [(None, data), (np.array([[1.0, 0.0]] * 2), data), (factors, converted)]
    ):
        layout = layout_of(hdf, data, last=last, conversion=conversion)
        read = layout.read(picks, block)
        assert read.dtype == layout.dtype == (data.dtype if kind != "i2" else np.float32)
        np.testing.assert_array_equal(read, wanted[np.ix_(*picks)])
        assert (conversion is factors) == layout.converts
        if read.size and last:
            assert np.moveaxis(read, 0, -1).flags.c_contiguous


@pytest.mark.parametrize(("last", "along"), [(False, 0), (True, 2)])
def test_blocks_hold_as_many_places_as_fit(hdf, rng, last, along):
    """Frames, or values where frames are stored last; a block counts bytes of what comes out."""
    data = rng.integers(-99, 99, SHAPE).astype(np.int32)  # out: 8 bytes a number
    stored = (3, 2, 6, 5) if last else SHAPE
    row = 8 * np.prod(stored) // stored[along]
    for fits in (1, 2, 3):
        layout = layout_of(hdf, data, last=last)
        layout.read(every(layout), fits * row + row - 1)
        sizes = [shape[along] for shape in layout.stored.dataset.read]
        assert max(sizes) == fits
        assert sum(sizes) == stored[along]
    layout = layout_of(hdf, data, last=last)
    layout.read(every(layout), row - 1)
    assert {shape[along] for shape in layout.stored.dataset.read} == {1}


def test_plain_numbers_are_read_at_once_and_converted_ones_in_blocks(hdf, rng):
    data = rng.normal(size=SHAPE)
    layout = layout_of(hdf, data)
    layout.read(every(layout), 1)
    assert layout.stored.dataset.read == [SHAPE]
    layout = layout_of(hdf, data, conversion=np.array([[2.0, 0.0]] * 2))
    layout.read(every(layout), 1)
    assert layout.stored.dataset.read == [(1, 3, 2, 6)] * 5
    layout = layout_of(hdf, data)
    layout.read([np.arange(5), np.array([2, 0]), np.arange(2), np.arange(1, 4)], 1)
    assert layout.stored.dataset.read == [(1, 3, 2, 3)] * 5  # the span that holds all


def test_restored_frames_count_in_a_block(hdf):
    """Of a row of K coefficients all frames are made, twice, however few are wanted."""

    class Kept:
        def restore(self, stored, _rows):
            return np.repeat(stored, 2, axis=-1)

    data = np.zeros((10, 3, 2, 6), np.complex128)
    layout = layout_of(hdf, data[:5], last=True)
    stored = Stored(layout.stored.dataset, Axes(data.shape, True), sparsity=Kept())
    layout = Layout(stored, True, SAMPLES, 1e6, np.arange(10), np.zeros(10, bool), None, None)
    picks = [np.array([2, 3, 4]), np.arange(3), np.arange(2), np.arange(6)]
    row = 3 * 2 * 3 * 2 * 10 // 3 * 16
    for fits in (1, 2, 4):
        layout.stored.dataset.read.clear()
        layout.read(picks, fits * row)
        assert max(shape[2] for shape in layout.stored.dataset.read) == fits


@pytest.mark.parametrize("last", [False, True])
def test_an_offset_belongs_to_dc_wherever_it_is_stored(hdf, rng, last):
    data = spectra(rng)[..., :3]
    selection, factors = np.array([4, 0, 2]), np.array([[2.0, 0.5], [-3.0, 4.0]])
    layout = layout_of(hdf, data, last=last, selection=selection, conversion=factors)
    wanted = data * factors[:, :1]
    wanted[..., 1] += SAMPLES * factors[:, 1]
    for values in ([0, 1, 2], [2, 1], [0, 2]):
        picks = [np.arange(5), np.arange(3), np.arange(2), np.array(values)]
        np.testing.assert_allclose(layout.read(picks, 1), wanted[..., values], rtol=1e-15)


class TestLayout:
    """What a layout says of itself."""

    def test_lines(self, hdf, rng):
        np.testing.assert_array_equal(layout_of(hdf, spectra(rng)).lines, np.arange(6))
        np.testing.assert_array_equal(layout_of(hdf, times(rng)).lines, np.arange(6))
        some = np.array([1, 5, 3])
        np.testing.assert_array_equal(layout_of(hdf, spectra(rng)[..., :3], selection=some).lines, some)

    @pytest.mark.parametrize(
        ("cut", "selection", "text"),
        [
            (5, None, "5 frequency components, expected 6"),
            (4, [1, 5, 3], "4 frequency components, expected 3"),
        ],
    )
    def test_lines_of_another_number(self, hdf, rng, cut, selection, text):
        selection = None if selection is None else np.array(selection)
        with pytest.raises(ValueError, match=f"{text}: numSamplingPoints is 10"):
            _ = layout_of(hdf, spectra(rng)[..., :cut], selection=selection).lines
        with pytest.raises(ValueError, match="9 samples, expected 10"):
            _ = layout_of(hdf, times(rng)[..., :9]).lines

    def test_orders(self, hdf, rng):
        layout = layout_of(hdf, times(rng))
        np.testing.assert_array_equal(layout.sequence("acquisition"), [1, 3, 0, 4, 2])
        np.testing.assert_array_equal(layout.sequence("stored"), [0, 1, 2, 3, 4])

    def test_types(self, hdf, rng):
        for kind in ("f4", "f8"):
            assert layout_of(hdf, times(rng, kind)).dtype == kind
            assert layout_of(hdf, spectra(rng, f"c{2 * int(kind[1])}"), is_fourier=False).dtype == kind
        assert layout_of(hdf, spectra(rng, "c8")).dtype == "c8"
        with pytest.raises(TypeError, match="spectra must be complex, found float32"):
            _ = layout_of(hdf, times(rng, "f4"), is_fourier=True).dtype

    def test_a_factor_of_one_changes_nothing(self, hdf, rng):
        for factors, changes in [([1, 0], False), ([2, 0], True), ([1, 3], True)]:
            layout = layout_of(hdf, times(rng), conversion=np.array([[1.0, 0.0], factors]))
            assert layout.converts is changes
        assert layout_of(hdf, times(rng)).converts is False


@pytest.mark.parametrize(("single", "atol"), [(True, 1e-5), (False, 1e-13)])
def test_domains(hdf, rng, monkeypatch, single, atol):
    """To the other domain and back, in blocks of any size, in the precision of the signal."""
    signal = times(rng, np.float32 if single else np.float64)
    of_time = layout_of(hdf, signal)
    of_lines = layout_of(hdf, spectra(rng))
    for block in (1, 16 * 10 * 6 * 2, 2**22):
        monkeypatch.setattr(layouts, "BLOCK", block)
        assert of_time.to_domain(signal, "time") is signal
        lines = of_time.to_domain(signal, "frequency")
        assert lines.dtype == (np.complex64 if single else np.complex128)
        np.testing.assert_allclose(lines, np.fft.rfft(signal), atol=atol)
        assert of_lines.to_domain(lines, "frequency") is lines
        back = of_lines.to_domain(lines, "time")
        assert back.dtype == signal.dtype
        np.testing.assert_allclose(back, signal, atol=atol)


def test_the_other_domain_is_made_in_parts(hdf, rng, monkeypatch):
    """Double precision, 16 bytes a number of a frame: at most a block of it at once."""
    signal, sizes = times(rng), []
    layout = layout_of(hdf, signal)
    made = np.fft.rfft
    monkeypatch.setattr(np.fft, "rfft", lambda part: (sizes.append(len(part)), made(part))[1])
    monkeypatch.setattr(layouts, "BLOCK", 2 * 16 * 6 * 3 * 2)
    layout.to_domain(signal, "frequency")
    assert sizes == [2, 2, 1]


def test_what_is_not_stored_is_zero(hdf, rng):
    some = np.array([3, 1])
    layout = layout_of(hdf, spectra(rng)[..., :2], selection=some)
    signal = layout.read(every(layout))
    full = np.fft.rfft(layout.to_domain(signal, "time"))
    np.testing.assert_allclose(full[..., some], signal, atol=1e-13)
    np.testing.assert_allclose(full[..., [0, 2, 4, 5]], 0, atol=1e-13)
