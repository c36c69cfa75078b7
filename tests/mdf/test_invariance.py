"""One content, written by hand in every layout of the standard: always the same arrays."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn

import mdf


@dataclass(frozen=True)
class Way:
    """A content, (x, y, z) positions and empty frames in J, C, V, and how it is stored."""

    size: tuple[int, int, int]
    empty: int
    inner: tuple[int, int, int]
    fourier: bool
    frames_last: bool
    permuted: bool
    selected: bool
    transform: str | None
    counts_kept: bool
    numbers: str
    factor: bool
    storage: str
    seed: int


ways = st.builds(
    Way,
    size=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)),
    empty=st.integers(0, 3),
    inner=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9)),
    fourier=st.booleans(),
    frames_last=st.booleans(),
    permuted=st.booleans(),
    selected=st.booleans(),
    transform=st.sampled_from([None, "DCT-I", "DCT-II", "DCT-III", "DCT-IV"]),
    counts_kept=st.booleans(),
    numbers=st.sampled_from(["double", "big-endian", "integers"]),
    factor=st.booleans(),
    storage=st.sampled_from(["contiguous", "chunked", "gzip", "lzf"]),
    seed=st.integers(0, 999),
)


def compressed(spectra: np.ndarray, way: Way, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return what is stored of (J, C, K, N), and the places of the coefficients, in a random order."""
    positions = int(np.prod(way.size))
    lead = spectra.shape[:3]
    grid = [length for length in way.size[::-1] if length > 1] or [1]
    kind = {"DCT-I": 1, "DCT-II": 2, "DCT-III": 3, "DCT-IV": 4}[way.transform]
    values = spectra[..., :positions].reshape(*lead, *grid)
    axes = tuple(range(3, values.ndim))
    full = values if grid == [1] else dctn(values, kind, axes=axes, norm="ortho")
    places = np.argsort(rng.random((*lead, positions)), axis=-1)
    kept = np.take_along_axis(full.reshape(*lead, positions), places, axis=-1)
    return np.concatenate([kept, spectra[..., positions:]], axis=-1), places + 1


def in_numbers(data: np.ndarray, kind: str) -> np.ndarray:
    if kind == "big-endian":
        return data.astype(data.dtype.newbyteorder(">"))
    if kind == "integers" and data.dtype.kind == "f":
        return data.astype(np.int32)
    if kind == "integers":
        out = np.empty(data.shape, [("r", "i4"), ("i", "i4")])
        out["r"], out["i"] = data.real, data.imag
        return out
    return data


def written(by_hand, path: Path, way: Way) -> tuple[Path, np.ndarray, np.ndarray, np.ndarray]:
    """Write the content; return the signal by acquisition, the place of each stored frame, the lines."""
    rng = np.random.default_rng(way.seed)
    positions, (periods, channels, samples) = int(np.prod(way.size)), way.inner
    frames, full = positions + way.empty, samples // 2 + 1
    lines = np.arange(full)
    place = rng.permutation(frames) if way.permuted else np.arange(frames)
    raw = rng.integers(-9000, 9000, (frames, *way.inner)).astype(float)
    fourier = way.fourier or way.transform is not None
    if way.numbers == "integers" and fourier:  # whole numbers in the domain in which they are stored
        raw = np.fft.irfft(np.round(np.fft.rfft(raw)), n=samples)
    factor = rng.uniform(0.5, 2, (channels, 2)) * [1, 100] if way.factor else None
    stored = raw[place]
    if fourier:
        stored = np.fft.rfft(stored)
        if way.numbers == "integers":
            stored = np.round(stored)
        if way.selected:
            lines = rng.permutation(full)[: rng.integers(1, full + 1)]
            stored = stored[..., lines]
    changes = {
        "/acquisition/gradient": None, "/acquisition/offsetField": None,
        "/acquisition/numFrames": frames, "/acquisition/numPeriodsPerFrame": periods,
        "/acquisition/receiver/numChannels": channels, "/acquisition/receiver/numSamplingPoints": samples,
        "/acquisition/receiver/dataConversionFactor": factor,
        "/measurement/isFourierTransformed": np.int8(fourier),
        "/measurement/isFramePermutation": np.int8(way.permuted),
        "/measurement/framePermutation": place + 1 if way.permuted else None,
        "/measurement/isFrequencySelection": np.int8(fourier and way.selected),
        "/measurement/frequencySelection": lines + 1 if fourier and way.selected else None,
        "/measurement/isBackgroundFrame": (np.arange(frames) >= positions).astype(np.int8),
        "/measurement/data": None,
        "/calibration/method": "robot", "/calibration/size": way.size,
        "/calibration/fieldOfView": 0.001 * np.array(way.size),
    }  # fmt: skip
    numbers = way.numbers
    if way.transform is not None:
        stored, places = compressed(np.moveaxis(stored, 0, -1), way, rng)
        numbers = "double" if numbers == "integers" else numbers
        changes |= {
            "/measurement/isSparsityTransformed": np.int8(1),
            "/measurement/sparsityTransformation": way.transform,
            "/measurement/subsamplingIndices": places.astype(np.int32),
            "/measurement/isFastFrameAxis": np.int8(1),
        }
    elif way.frames_last:
        stored = np.moveaxis(stored, 0, -1)
        changes["/measurement/isFastFrameAxis"] = np.int8(1)
    by_hand(path, changes)
    options = {"contiguous": {}, "chunked": {"chunks": True}}.get(way.storage, {"compression": way.storage})
    with h5py.File(path, "r+") as hdf:
        hdf.create_dataset("/measurement/data", data=in_numbers(stored, numbers), **options)
    kept = np.zeros(full)
    kept[lines] = 1
    spectra = np.fft.rfft(raw)
    if way.numbers == "integers" and fourier:
        spectra = np.round(spectra)
    if factor is not None:
        spectra = spectra * factor[:, :1]
        spectra[..., 0] += factor[:, 1] * samples
    return path, spectra * kept, place, lines


@given(way=ways)
@settings(max_examples=60, deadline=None)
def test_every_layout_gives_the_same_arrays(by_hand, way):
    with tempfile.TemporaryDirectory() as folder:
        path, spectra, place, lines = written(by_hand, Path(folder) / "a.mdf", way)
        with mdf.open(path) as file:
            close = {"rtol": 1e-9, "atol": 1e-4 if way.numbers == "integers" else 1e-6}
            signal = np.fft.irfft(spectra, n=way.inner[2])
            stored = {"acquisition": np.arange(len(place)), "stored": place}
            for order, index in stored.items():
                np.testing.assert_array_equal(file.frame_index(order=order), index)
                full = file.read_signal(order=order, domain="frequency", full=True)
                np.testing.assert_allclose(full, spectra[index], **close)
                np.testing.assert_allclose(
                    file.read_signal(order=order, domain="time"), signal[index], **close
                )
                got = file.read_signal(order=order, domain="frequency")
                np.testing.assert_allclose(got, spectra[index][..., lines], **close)
            grid = spectra[place[: np.prod(way.size)]]
            np.testing.assert_allclose(
                file.read_signal(order="grid", domain="frequency", full=True), grid, **close
            )
            np.testing.assert_array_equal(
                file.frame_index("background", "stored"), place[np.prod(way.size) :]
            )
            assert (file.num_frames, file.num_periods, file.num_channels) == spectra.shape[:3]
            check_parts(file, spectra, signal, lines, close)
            check_rows(file, grid[..., lines], close)


def check_parts(file: mdf.File, spectra, signal, lines, close) -> None:
    """Slices are those of the whole."""
    periods, channels = np.arange(spectra.shape[1])[::-1], slice(None, None, 2)
    some = {"periods": periods, "channels": channels}
    wanted = spectra[::2][:, ::-1, ::2]
    full = file.read_signal(slice(None, None, 2), domain="frequency", full=True, components=[-1, 0], **some)
    np.testing.assert_allclose(full, wanted[..., [-1, 0]], **close)
    part = file.read_signal(slice(None, None, 2), domain="frequency", components=[0, -1], **some)
    np.testing.assert_allclose(part, wanted[..., lines[[0, -1]]], **close)
    timed = file.read_signal(slice(None, None, 2), domain="time", samples=slice(-2, None), **some)
    np.testing.assert_allclose(timed, signal[::2][:, ::-1, ::2, -2:], **close)
    for domain, expected in (("time", signal), ("frequency", spectra[..., lines])):
        blocks = list(file.blocks(domain=domain, memory=2000))
        np.testing.assert_array_equal(np.concatenate([index for index, _ in blocks]), np.arange(len(signal)))
        np.testing.assert_allclose(np.concatenate([block for _, block in blocks]), expected, **close)


def check_rows(file: mdf.File, grid, close) -> None:
    """Rows are columns of the frames in grid order, in whatever order they are asked for."""
    matrix = file.system_matrix
    assert matrix.shape == (*grid.shape[1:], len(grid))
    rows = np.argwhere(np.ones(grid.shape[1:]))[::-2]
    wanted = np.moveaxis(grid, 0, -1)
    np.testing.assert_allclose(matrix.rows(rows), wanted[tuple(rows.T)], **close)
    mask = np.arange(grid[0].size).reshape(grid.shape[1:]) % 3 == 0
    np.testing.assert_allclose(matrix.rows(mask), wanted[mask], **close)
    for index, block in matrix.blocks(memory=3000):
        np.testing.assert_allclose(block, wanted[tuple(index.T)], **close)
