"""The same content, stored in every way that MDF allows."""

from __future__ import annotations

import tempfile
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdf


@dataclass(frozen=True)
class Storage:
    """A way to store one content."""

    shape: tuple[int, int, int, int]
    fourier: bool
    frames_last: bool
    permuted: bool
    background: int
    seed: int
    chunked: bool


storages = st.builds(
    Storage,
    shape=st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 4), st.integers(1, 9)),
    fourier=st.booleans(),
    frames_last=st.booleans(),
    permuted=st.booleans(),
    background=st.integers(0, 3),
    seed=st.integers(0, 99),
    chunked=st.booleans(),
)


def store(hdf: h5py.File, way: Storage, acquired: np.ndarray, empty: np.ndarray, place: np.ndarray) -> None:
    """Replace the measurement of a file by `acquired`, stored in this way; `place` is 0-based."""
    frames, periods, channels, samples = way.shape
    stored = acquired[place]
    if way.fourier:
        stored = np.fft.rfft(stored)
    if way.frames_last:
        stored = np.moveaxis(stored, 0, -1)
    new = {
        "/measurement/isBackgroundFrame": empty[place].astype(np.int8),
        "/measurement/isFourierTransformed": np.int8(way.fourier),
        "/measurement/isFastFrameAxis": np.int8(way.frames_last),
        "/measurement/isFramePermutation": np.int8(way.permuted),
        "/acquisition/numFrames": frames,
        "/acquisition/numPeriodsPerFrame": periods,
        "/acquisition/receiver/numChannels": channels,
        "/acquisition/receiver/numSamplingPoints": samples,
    }
    for path, value in new.items():
        del hdf[path]
        hdf[path] = value
    if way.permuted:
        hdf["/measurement/framePermutation"] = place + 1
    del hdf["/measurement/data"]
    hdf.create_dataset("/measurement/data", data=stored, chunks=True if way.chunked else None)


@given(way=storages)
@settings(max_examples=80, deadline=None)
def test_the_layout_does_not_matter(by_hand, way):
    rng = np.random.default_rng(way.seed)
    acquired = rng.normal(size=way.shape)
    empty = rng.permutation(len(acquired)) < way.background
    place = rng.permutation(len(acquired)) if way.permuted else np.arange(len(acquired))
    spectra = np.fft.rfft(acquired)
    with tempfile.TemporaryDirectory() as folder:
        path = by_hand(Path(folder) / "a.mdf", {})
        with h5py.File(path, "r+") as hdf:
            store(hdf, way, acquired, empty, place)
        with mdf.open(path) as file:
            for order, wanted in (("acquisition", np.arange(len(acquired))), ("stored", place)):
                np.testing.assert_allclose(
                    file.read_signal(order=order, domain="time"), acquired[wanted], atol=1e-12
                )
                np.testing.assert_allclose(
                    file.read_signal(order=order, domain="frequency"), spectra[wanted], atol=1e-12
                )
                np.testing.assert_array_equal(file.frame_index(order=order), wanted)
                for frames, kept in (("foreground", ~empty[wanted]), ("background", empty[wanted])):
                    np.testing.assert_allclose(
                        file.read_signal(frames, order, "time"), acquired[wanted[kept]], atol=1e-12
                    )
                    np.testing.assert_array_equal(file.frame_index(frames, order), wanted[kept])
            np.testing.assert_array_equal(file.is_background, empty)
            assert (file.num_frames, file.num_periods, file.num_channels, file.num_samples) == way.shape


@given(way=storages)
@settings(max_examples=40, deadline=None)
def test_what_is_stored_comes_back_bit_for_bit(by_hand, way):
    acquired = np.random.default_rng(way.seed).normal(size=way.shape).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = by_hand(Path(folder) / "a.mdf", {})
        with h5py.File(path, "r+") as hdf:
            store(hdf, way, acquired, np.zeros(len(acquired), bool), np.arange(len(acquired)))
        with mdf.open(path) as file:
            read = file.read_signal()
            stored = np.fft.rfft(acquired) if way.fourier else acquired
            assert read.dtype == stored.dtype
            np.testing.assert_array_equal(read, stored)


def spectral(data: np.ndarray, **more: object) -> dict[str, object]:
    """Return changes that make the file by hand (N = 5, J = 3, C = 2, V = 10) one of spectra."""
    return {"/measurement/isFourierTransformed": np.int8(1), "/measurement/data": data, **more}


def test_a_frequency_selection_counts_from_one(made, rng):
    spectra = rng.normal(size=(5, 3, 2, 3)) + 1j * rng.normal(size=(5, 3, 2, 3))
    selection = {
        "/measurement/isFrequencySelection": np.int8(1),
        "/measurement/frequencySelection": [2, 4, 6],
    }
    with mdf.open(made(spectral(spectra, **selection))) as file:
        np.testing.assert_allclose(file.frequencies, [0.25e6, 0.75e6, 1.25e6])
        np.testing.assert_array_equal(file.stored_lines, [False, True, False, True, False, True])
        np.testing.assert_array_equal(file.read_signal(domain="frequency"), spectra)
        full = np.fft.rfft(file.read_signal(domain="time"))
        np.testing.assert_allclose(full[..., [0, 2, 4]], 0, atol=1e-12)
        np.testing.assert_allclose(full[..., [1, 3]], spectra[..., :2])
        np.testing.assert_allclose(full[..., 5], spectra[..., 2].real)  # the Nyquist line is real


@pytest.mark.parametrize("selection", [[0, 1, 2], [2, 2, 3], [4, 5, 7]])
def test_a_wrong_frequency_selection_is_refused(made, selection):
    changes = spectral(np.zeros((5, 3, 2, 3), complex)) | {
        "/measurement/isFrequencySelection": np.int8(1),
        "/measurement/frequencySelection": selection,
    }
    with mdf.open(made(changes)) as file, pytest.raises(mdf.MdfError, match="frequencySelection") as caught:
        file.read_signal()
    assert ("from 1" in caught.value.hint) == (0 in selection)


def test_frequencies_of_odd_and_even_periods(made):
    for samples, bandwidth, count, last in [(1632, 1.25e6, 817, 1.25e6), (625, 7.8125e6, 313, 7.8e6)]:
        changes = {
            "/acquisition/receiver/numSamplingPoints": samples,
            "/acquisition/receiver/bandwidth": bandwidth,
            "/measurement/data": np.zeros((5, 3, 2, samples), np.int16),
        }
        with mdf.open(made(changes)) as file:
            assert len(file.frequencies) == count
            assert file.frequencies[-1] == pytest.approx(last)
            assert file.sampling_rate == 2 * bandwidth


def test_the_conversion_factor_of_integers(made, rng):
    counts = rng.integers(-2000, 2000, (5, 3, 2, 10)).astype(np.int16)
    factor = np.array([[0.25, 3.0], [-0.5, 0.0]])
    changes = {"/measurement/data": counts, "/acquisition/receiver/dataConversionFactor": factor}
    with mdf.open(made(changes)) as file:
        read = file.read_signal()
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read[:, :, 0], 0.25 * counts[:, :, 0] + 3)
    np.testing.assert_array_equal(read[:, :, 1], -0.5 * counts[:, :, 1])


def test_the_offset_of_spectra_belongs_to_dc_alone(made, rng):
    """Converted in the time domain or in the frequency domain: the same signal."""
    raw = rng.normal(size=(5, 3, 2, 10))
    factor = np.array([[0.25, 3.0], [-0.5, 1.0]])
    changes = {"/acquisition/receiver/dataConversionFactor": factor}
    converted = raw * factor[:, :1] + factor[:, 1:]
    for frames_last in (False, True):
        spectra = np.fft.rfft(raw)
        stored = np.moveaxis(spectra, 0, -1) if frames_last else spectra
        ways = {"/measurement/isFastFrameAxis": np.int8(frames_last)}
        with mdf.open(made(spectral(stored, **changes, **ways))) as file:
            np.testing.assert_allclose(file.read_signal(domain="time"), converted)


def test_the_offset_is_left_out_where_dc_is_not_stored(made, rng):
    spectra = rng.normal(size=(5, 3, 2, 2)) + 0j
    changes = spectral(spectra) | {
        "/acquisition/receiver/dataConversionFactor": np.array([[1.0, 3.0], [1.0, 1.0]]),
        "/measurement/isFrequencySelection": np.int8(1),
        "/measurement/frequencySelection": [2, 5],
    }
    with mdf.open(made(changes)) as file:
        np.testing.assert_array_equal(file.read_signal(), spectra)


@pytest.mark.parametrize(("base", "expected"), [("i2", "c8"), ("i4", "c16"), ("i1", "c8")])
def test_complex_numbers_made_of_integers(made, base, expected):
    data = np.zeros((5, 3, 2, 6), [("r", base), ("i", base)])
    data["r"] = np.arange(6)
    data["i"] = -1
    with mdf.open(made(spectral(data))) as file:
        read = file.read_signal()
    assert read.dtype == np.dtype(expected)
    np.testing.assert_array_equal(read, np.broadcast_to(np.arange(6) - 1j, (5, 3, 2, 6)))


@pytest.mark.parametrize("names", [("i", "r"), ("re", "im")])
def test_other_compounds_are_refused(made, names):
    data = np.zeros((5, 3, 2, 6), [(name, "f4") for name in names])
    with mdf.open(made(spectral(data))) as file, pytest.raises(mdf.MdfError, match="/measurement/data"):
        file.read_signal()


@pytest.mark.parametrize(
    ("squeezed", "frames_last"), [((1, 3, 2, 10), False), ((5, 1, 2, 10), False), ((5, 1, 2, 10), True),
                                  ((1, 3, 2, 10), True), ((1, 1, 2, 10), False)]
)  # fmt: skip
def test_missing_axes_of_length_one(made, rng, squeezed, frames_last):
    data = rng.normal(size=squeezed)
    stored = np.moveaxis(data, 0, -1) if frames_last else data
    changes = {
        "/measurement/data": stored.reshape([size for size in stored.shape if size > 1]),
        "/measurement/isFastFrameAxis": np.int8(frames_last),
        "/measurement/isBackgroundFrame": np.zeros(squeezed[0], np.int8),
        "/acquisition/numFrames": squeezed[0],
        "/acquisition/numPeriodsPerFrame": squeezed[1],
    }
    with mdf.open(made(changes)) as file:
        np.testing.assert_array_equal(file.read_signal(), data)
        assert "M01" in {repair.rule for repair in file.repairs}


def test_an_array_that_fits_nothing(made):
    path = made({"/measurement/data": np.zeros((5, 2, 10))})
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="expected four axes"):
        file.read_signal()


def test_periods_of_another_length_have_no_frequencies(made):
    data = np.arange(240.0).reshape(5, 3, 2, 8)
    with mdf.open(made({"/measurement/data": data})) as file:
        np.testing.assert_array_equal(file.read_signal(), data)
        with pytest.raises(mdf.MdfError, match="8 samples, expected 10"):
            file.read_signal(domain="frequency")
        with pytest.raises(mdf.MdfError, match="numSamplingPoints"):
            _ = file.frequencies


@pytest.mark.parametrize("frames_last", [False, True])
@pytest.mark.parametrize("fourier", [False, True])
def test_reading_one_frame_does_not_read_the_others(made, frames_last, fourier):
    frames, values = 4000, 51 if fourier else 100
    data = np.zeros((frames, 3, 2, values), np.complex64 if fourier else np.float32)
    stored = np.moveaxis(data, 0, -1) if frames_last else data
    changes = {
        "/measurement/data": stored,
        "/measurement/isFastFrameAxis": np.int8(frames_last),
        "/measurement/isFourierTransformed": np.int8(fourier),
        "/measurement/isBackgroundFrame": np.zeros(frames, np.int8),
        "/acquisition/receiver/numSamplingPoints": 100,
    }
    with mdf.open(made(changes)) as file:
        tracemalloc.start()
        try:
            assert file.read_signal([frames - 2]).shape == (1, 3, 2, values)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < data.nbytes / 10
