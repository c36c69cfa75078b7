"""Reading with mdf beside plain h5py: medians over a warm cache, and the peak memory of selected rows.

python tests/benchmarks/mdf_io.py [--megabytes 1000] [--repeats 5] [--rows 500] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

import mdf

CALIBRATION = (1, 3, 26929, 7221)  # J, C, K, N of a calibration of OpenMPIData in three dimensions


def create(path, shape, dtype, *, samples, frames_last=False, factor=None):
    """Make a file with holes in place of the data: contiguous, and next to nothing on the disk."""
    order = shape[-1:] + shape[:-1] if frames_last else shape
    numbers = {
        "/version": "2.1.0",
        "/acquisition/numFrames": order[0],
        "/acquisition/numPeriodsPerFrame": order[1],
        "/acquisition/receiver/numChannels": order[2],
        "/acquisition/receiver/numSamplingPoints": samples,
        "/acquisition/receiver/bandwidth": 1.25e6,
        "/acquisition/receiver/dataConversionFactor": factor,
        "/measurement/isBackgroundFrame": np.zeros(order[0], np.int8),
        "/measurement/isFourierTransformed": np.int8(np.dtype(dtype).kind == "c"),
        "/measurement/isFastFrameAxis": np.int8(frames_last),
        "/measurement/isFrequencySelection": np.int8(0),
        "/calibration/method": "robot" if frames_last else None,
    }
    with h5py.File(path, "w") as hdf:
        for node, value in numbers.items():
            if value is not None:
                hdf[node] = value
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        created.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        kind = h5py.h5t.py_create(np.dtype(dtype), logical=True)
        h5py.h5d.create(hdf["measurement"].id, b"data", kind, h5py.h5s.create_simple(shape), created)
    return int(np.prod(shape)) * np.dtype(dtype).itemsize


def fill(path):
    """Put numbers into the holes."""
    with h5py.File(path, "r+") as hdf:
        data = hdf["measurement/data"]
        part = (slice(0, 1), slice(0, 1), slice(0, 1)) if data.shape[0] == 1 else (slice(0, 1),)
        piece = np.arange(np.prod(data[part].shape)).reshape(data[part].shape).astype(data.dtype)
        for place in np.ndindex(*data.shape[: len(part)]):
            data[tuple(slice(one, one + 1) for one in place)] = piece


def medians(works, repeats):
    """Time some works in turns, so that all see the same machine; the first round warms the cache."""
    times = [[] for _ in works]
    for _ in range(repeats + 1):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            result = work()
            taken.append(time.perf_counter() - start)
            del result
    return [statistics.median(taken[1:]) for taken in times]


def peak_memory(work):
    """Return what a work takes above what is there, by the kernel's own high-water mark (Linux)."""

    def memory(name):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))

    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    result = work()
    peak = memory("VmHWM") - before
    return peak, result


def compare_whole_files(folder, megabytes, repeats):
    size = int(megabytes * 1e6)
    factor, spectra = np.array([[2.0, 1.0]] * 3), {"samples": 1632}
    files = {
        "time, float32": ((size // 4 // 9792, 1, 3, 3264), "f4", {"samples": 3264}),
        "spectra, frames last": (
            (1, 3, 817, size // 8 // 2451),
            "c8",
            {"samples": 1632, "frames_last": True},
        ),
        "spectra, frames first": ((size // 8 // 2451, 1, 3, 817), "c8", spectra),
        "int16 with a factor": ((size // 2 // 9792, 1, 3, 3264), "i2", {"samples": 3264, "factor": factor}),
    }
    print(f"{'all of a contiguous file':<28}{'MB':>7}{'h5py s':>9}{'mdf s':>9}{'ratio':>7}")
    for name, (shape, dtype, more) in files.items():
        path = Path(folder, "whole.mdf")
        written = create(path, shape, dtype, **more)
        fill(path)
        with h5py.File(path) as hdf, mdf.open(path) as file:
            data = hdf["measurement/data"]
            plain, ours = medians([lambda data=data: data[()], file.read_signal], repeats)
        print(f"{name:<28}{written / 1e6:>7.0f}{plain:>9.3f}{ours:>9.3f}{ours / plain:>7.2f}")
        path.unlink()


def compare_rows(folder, count, repeats):
    path = Path(folder, "calibration.mdf")
    written = create(path, CALIBRATION, "c8", samples=53856, frames_last=True)
    rng = np.random.default_rng(1)
    lines = np.sort(rng.choice(CALIBRATION[2], count, replace=False))
    rows = np.stack([np.zeros(count, int), rng.integers(0, 3, count), lines], axis=1)
    shuffled = rng.permutation(rows)
    with h5py.File(path) as hdf, mdf.open(path) as file:
        data, matrix = hdf["measurement/data"], file.system_matrix
        matrix.rows(rows[:1])
        peak, result = peak_memory(lambda: matrix.rows(shuffled))
        own = result.nbytes
        del result
        plain, ours = medians([lambda: np.stack([data[tuple(row)] for row in rows]),
                               lambda: matrix.rows(shuffled)], repeats)  # fmt: skip
    print(f"{count} rows of {CALIBRATION}, {written / 1e9:.2f} GB on paper, {own / 1e6:.1f} MB of rows")
    print(f"  peak memory {peak / 1e6:.1f} MB, {peak / own:.2f} times the rows")
    print(f"  h5py row by row {plain:.3f} s, mdf {ours:.3f} s, ratio {ours / plain:.2f}")
    path.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in {"megabytes": 1000, "repeats": 5, "rows": 500}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--folder", help="where the files are made; a temporary folder if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        compare_whole_files(folder, given.megabytes, given.repeats)
        compare_rows(folder, given.rows, given.repeats)


if __name__ == "__main__":
    main()
