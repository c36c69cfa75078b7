"""A system matrix that stays in its file: set-up, time of a sweep beside plain h5py, memory, and the cache.

python tests/benchmarks/streamed.py [--gib 4] [--sparse] [--between] [--frames 1 10] [--sweeps 5] [--held]
                                    [--background static] [--no-cache] [--folder FOLDER]

A calibration of 19 x 19 x 19 places and 362 empty frames is made in a temporary folder. Each run is a process
of its own, so that its peak memory can be told. Sweeps are timed from the second on, in turns with passes of
h5py over the same file, and the medians are shown. ``--sparse`` leaves holes in the file in place of most
rows: they read as zeros and take no space.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

import mdf
from mpikit.events import Step
from mpikit.reconstruct import Kaczmarz, read_system
from mpikit.reconstruct.solving import solve

SIDE, EMPTY, CHANNELS = 19, 362, 3
VOXELS = SIDE**3
RATE, DIVIDERS = 2.5e6, [[102], [96], [99]]
ENERGETIC = 8  # of the components of each channel in a sparse file
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def contents(samples, background):
    """What both files say."""
    texts = ["study/name", "study/description", "experiment/name", "experiment/description"]
    texts += ["experiment/subject", "scanner/name", "scanner/facility", "scanner/manufacturer"]
    said = {f"/{name}": "benchmark" for name in [*texts, "scanner/operator"]}
    return said | {
        "/study/number": 1,
        "/experiment/number": 1,
        "/experiment/isSimulation": True,
        "/scanner/topology": "FFP",
        "/acquisition/startTime": "2026-11-01T00:00:00.000",
        "/acquisition/gradient": np.diag([-1.0, -1.0, 2.0])[None, None],
        "/acquisition/offsetField": np.zeros((1, 1, 3)),
        "/acquisition/drivefield/baseFrequency": 2.5e6,
        "/acquisition/drivefield/divider": np.array(DIVIDERS),
        "/acquisition/drivefield/strength": np.full((1, 3, 1), 0.012),
        "/acquisition/drivefield/phase": np.zeros((1, 3, 1)),
        "/acquisition/drivefield/waveform": np.full((3, 1), "sine"),
        "/acquisition/drivefield/cycle": samples / RATE,
        "/acquisition/receiver/numSamplingPoints": samples,
        "/acquisition/receiver/bandwidth": RATE / 2,
        "/acquisition/receiver/unit": "V",
        "/measurement/isBackgroundFrame": background,
    }


def make_calibration(path, gib, *, sparse, between):
    """Write a calibration of so many GiB, with its empty frames at the end or between the others."""
    stored = VOXELS + EMPTY
    lines = round(gib * 2**30 / (8 * CHANNELS * stored))
    background = np.arange(stored) >= VOXELS
    if between:
        background = np.isin(np.arange(stored), np.linspace(0, stored - 1, EMPTY).round())
    said = contents(2, background) | {
        "/acquisition/numFrames": stored,
        "/measurement/isFourierTransformed": True,
        "/measurement/isFastFrameAxis": True,
        "/calibration/method": "robot",
        "/calibration/size": np.full(3, SIDE),
        "/calibration/fieldOfView": np.full(3, 0.038),
        "/calibration/fieldOfViewCenter": np.zeros(3),
        "/calibration/order": "xyz",
    }
    mdf.write(path, said, np.zeros((stored, 1, CHANNELS, 2), np.complex64))  # all but the data
    with h5py.File(path, "r+") as hdf:
        hdf["acquisition/receiver/numSamplingPoints"][...] = 2 * (lines - 1)
        hdf["acquisition/drivefield/cycle"][...] = 2 * (lines - 1) / RATE
        del hdf["measurement/data"]
        fill(hdf, (1, CHANNELS, lines, stored), sparse=sparse)
    return lines


def make_scan(path, lines, frames):
    """Write a measurement of so many frames, of noise and without background frames."""
    rng = np.random.default_rng(2)
    samples = 2 * (lines - 1)
    signal = rng.standard_normal((frames, 1, CHANNELS, samples), np.float32)
    mdf.write(path, contents(samples, np.zeros(frames, bool)), signal)


def fill(hdf, shape, *, sparse):
    """Make the array, contiguous: all of it noise, or holes with noise in a few rows."""
    rng = np.random.default_rng(1)
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    created.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(np.dtype(np.complex64), logical=True)
    h5py.h5d.create(hdf["measurement"].id, b"data", kind, h5py.h5s.create_simple(shape), created)
    data = hdf["measurement/data"]
    step = ENERGETIC if sparse else 1024
    for channel in range(shape[1]):
        for first in range(0, ENERGETIC if sparse else shape[2], step):
            last = min(first + step, shape[2])
            values = rng.standard_normal((last - first, 2 * shape[3]), np.float32)
            data[0, channel, first:last] = values.view(np.complex64)


def clocks():
    """Time on the wall and of the processors, s."""
    return np.array([time.perf_counter(), time.process_time()])


def h5py_pass(path, *, slices=False):
    """Read the whole array in parts of 64 MiB: as slices, or into one buffer, which is faster; `clocks`."""
    with h5py.File(path, "r") as hdf:
        data = hdf["measurement/data"]
        _, channels, lines, stored = data.shape
        step = 2**26 // (8 * stored)
        buffer = np.empty((step, stored), np.complex64)
        start = clocks()
        for channel in range(channels):
            for first in range(0, lines, step):
                last = min(first + step, lines)
                if slices:
                    data[0, channel, first:last]
                else:
                    data.read_direct(buffer, np.s_[0, channel, first:last], np.s_[: last - first])
        return (clocks() - start).tolist()


def run(given):
    """One reconstruction; what it took goes to stdout as JSON."""
    system, steps, passes, since = Path(given["system"]), [], [], []

    def tell(event):
        if isinstance(event, Step) and "residual" in event.values:
            steps.append(clocks() - since[-1])
            if given["beside"]:
                passes.append([h5py_pass(system, slices=slices) for slices in (True, False)])
            since.append(clocks())

    options = Kaczmarz(
        memory=given["memory"],
        iterations=given["sweeps"],
        cache=given["cache"],
        min_frequency=0,
        snr_threshold=0,
        background=given["background"],
    )
    since.append(clocks())
    with mdf.open(given["scan"]) as measurement, mdf.open(system) as calibration:
        start = time.perf_counter()
        linear = read_system(measurement, calibration, options, allow_mismatch=True, tell=tell)
        read = time.perf_counter() - start
        if given["sweeps"] > 1:
            solve(linear, options, tell=tell)
        if not isinstance(linear.matrix, np.ndarray):
            linear.matrix.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = {"read": read, "peak": peak}
    if steps:
        found["sweep"] = np.median(steps[1:], axis=0).tolist()
        found["before"] = float(steps[0][0] - found["sweep"][0])
    if passes:
        found["h5py"] = np.median(passes[1:], axis=0).tolist()
    print(json.dumps(found))


def measured(**given):
    """Run in a process of its own."""
    command = [sys.executable, __file__, "--run", json.dumps(given, default=str)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def report(folder, given):
    system = folder / "system.mdf"
    lines = make_calibration(system, given.gib, sparse=given.sparse, between=given.between)
    holes = " with holes" if given.sparse else ""
    print(
        f"{given.gib:g} GiB{holes}: {CHANNELS * lines} rows x {VOXELS} voxels and {EMPTY} empty frames;",
        end=" ",
    )
    print(f"{CORES} cores; sweeps: medians from the second of {given.sweeps} on, beside h5py in turns")
    print(f"first pass of h5py: {h5py_pass(system)[0]:.1f} s")
    print(
        "                                  seconds on the wall      of the processors; as slices, one buffer"
    )
    print(
        "                      set-up   sweep h5py h5py   ratios     sweep h5py h5py   ratios     peak memory"
    )
    more = {"system": system, "sweeps": given.sweeps, "background": given.background, "memory": 0.1}
    cache = folder / "rows.cache.h5"
    for kept in (None, *(() if given.no_cache else (cache,))):
        for frames in given.frames:
            scan = folder / f"scan-{frames}.mdf"
            if not scan.exists():
                make_scan(scan, lines, frames)
            if kept and not kept.exists():
                made = measured(**more | {"sweeps": 1}, scan=scan, cache=kept, beside=False)
                size = cache.stat().st_size / 2**30
                print(f"cache of {size:.2f} GiB is made    {made['read']:>8.1f}{made['peak'] / 2**20:>41.0f}")
            found = measured(**more, scan=scan, cache=kept, beside=True)
            name = f"{'cache' if kept else 'file'}, {frames} frame{'s' if frames > 1 else ''}"
            figures = f"{found['before']:>7.1f}"
            for clock, sweep in enumerate(found["sweep"]):
                costs = [each[clock] for each in found["h5py"]]
                figures += f"{sweep:>9.2f}" + "".join(f"{cost:>5.1f}" for cost in costs)
                figures += "".join(f"{sweep / cost:>6.2f}" for cost in costs)
            print(f"{name:<20}{figures}{found['peak'] / 2**20:>9.0f} MiB", flush=True)
    if given.held:
        scan, more = folder / f"scan-{given.frames[0]}.mdf", more | {"memory": None, "sweeps": 1}
        for kept in (None, *(() if given.no_cache else (cache,))):
            times = [measured(**more, scan=scan, cache=kept, beside=False)["read"] for _ in range(3)]
            name = "cache" if kept else "file"
            print(f"whole matrix from the {name} into memory: {statistics.median(times):.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--frames", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--sweeps", type=int, default=5)
    parser.add_argument("--background", default="static")
    parser.add_argument("--sparse", action="store_true", help="leave holes in place of most rows")
    parser.add_argument("--between", action="store_true", help="empty frames between the others")
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--held", action="store_true", help="also the time until the matrix is in memory")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--run", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run is not None:
        run(given.run)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        report(Path(name), given)


if __name__ == "__main__":
    main()
