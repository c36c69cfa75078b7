"""Time of the blocked Kaczmarz against the row loops of the field, per frame and sweep, set-up included.

python tests/benchmarks/kaczmarz.py [--rows 4000] [--voxels 2500] [--frames 100] [--sweeps 10] [--repeats 5]
                                    [--busy 1]

The rounds of all forms alternate, and each figure is a median over the rounds, so that a machine that others
use too disturbs all forms alike. ``--busy N`` keeps N cores busy meanwhile. The compiled row loop needs numba
(extra ``bench``); without it, its lines are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from mpikit.reconstruct import absolute_lambda, kaczmarz

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def project(image):
    image.imag = 0
    image.real[image.real < 0] = 0


def row_loop(matrix, data, lambda_, sweeps, kind):
    """One frame, row by row, with scalars of type ``kind``: float64 makes NumPy 2 compute in complex128."""
    rows, voxels = matrix.shape
    image = np.zeros(voxels, matrix.dtype)
    dual = np.zeros(rows, matrix.dtype)
    root, penalty = kind(np.sqrt(lambda_)), kind(lambda_)
    energies = np.array([np.linalg.norm(row) ** 2 for row in matrix], kind)
    for _ in range(sweeps):
        for i in range(rows):
            beta = (data[i] - matrix[i] @ image - root * dual[i]) / (energies[i] + penalty)
            image += beta * matrix[i].conj()
            dual[i] += root * beta
        project(image)
    return image.real


def compiled_row_loop():
    """Return the row loop of one frame in compiled code, which runs without the lock of Python."""
    import numba

    @numba.njit(nogil=True, fastmath=True)
    def passes(matrix, data, energies, lambda_, sweeps, image, dual):
        root = np.float32(np.sqrt(lambda_))
        for _ in range(sweeps):
            for i in range(matrix.shape[0]):
                row = matrix[i]
                real, imaginary = np.float32(0), np.float32(0)
                for n in range(row.size):
                    real += row[n].real * image[n].real - row[n].imag * image[n].imag
                    imaginary += row[n].real * image[n].imag + row[n].imag * image[n].real
                rest = data[i] - np.complex64(complex(real, imaginary)) - root * dual[i]
                beta = np.complex64(rest / np.float32(energies[i] + lambda_))
                for n in range(row.size):
                    image[n] += beta * np.conj(row[n])
                dual[i] += root * beta
            for n in range(image.size):
                image[n] = max(image[n].real, np.float32(0))

    def solve(matrix, data, lambda_, sweeps):
        energies = np.linalg.norm(matrix, axis=1) ** 2
        image, dual = np.zeros(matrix.shape[1], matrix.dtype), np.zeros(len(matrix), matrix.dtype)
        passes(matrix, data, energies, np.float32(lambda_), sweeps, image, dual)
        return image.real

    return solve


def read(matrix, reduce):
    """Read the matrix once, with all cores."""
    parts = np.array_split(matrix.view(matrix.real.dtype), CORES)
    with ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(reduce, parts))


@contextmanager
def busy(count):
    """Keep cores busy with other processes."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def seconds(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def forms(matrix, data, lambda_, given):
    """What is timed: name, work, and how many frames and sweeps it does."""
    first, sweeps, frames = np.ascontiguousarray(data[:, 0]), given.sweeps, given.frames
    options = {"lambda_": lambda_, "relative": False}
    found = {
        "largest value of the matrix": (lambda: read(matrix, np.max), 1, 1),
        "sum of the matrix": (lambda: read(matrix, np.sum), 1, 1),
        "row loop, as written": (lambda: row_loop(matrix, first, lambda_, sweeps, np.float64), 1, sweeps),
        "row loop, float32": (lambda: row_loop(matrix, first, lambda_, sweeps, np.float32), 1, sweeps),
        "blocked, 1 frame": (lambda: kaczmarz(matrix, data[:, :1], iterations=sweeps, **options), 1, sweeps),
        f"blocked, {frames} frames": (
            lambda: kaczmarz(matrix, data, iterations=sweeps, **options),
            frames,
            sweeps,
        ),
    }
    if importlib.util.find_spec("numba"):
        solve = compiled_row_loop()
        columns = list(np.ascontiguousarray(data.T[: 4 * CORES]))

        def one_per_thread():
            with ThreadPoolExecutor(CORES) as pool:
                return list(pool.map(lambda column: solve(matrix, column, lambda_, sweeps), columns))

        solve(matrix[:2], first[:2], lambda_, 1)  # compiles
        found["compiled, 1 frame"] = (lambda: solve(matrix, first, lambda_, sweeps), 1, sweeps)
        found["compiled, frame per thread"] = (one_per_thread, len(columns), sweeps)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = {"rows": 4000, "voxels": 2500, "frames": 100, "sweeps": 10, "repeats": 5, "busy": 0}
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    rng = np.random.default_rng(1)

    def draw(*shape):
        values = rng.standard_normal(shape, np.float32) + 1j * rng.standard_normal(shape, np.float32)
        return values.astype(np.complex64)

    matrix, data = draw(given.rows, given.voxels), draw(given.rows, given.frames)
    timed = forms(matrix, data, absolute_lambda(matrix, 0.01), given)
    times = {name: [] for name in timed}
    images = {}
    with busy(given.busy):
        for _ in range(given.repeats):
            for name, (work, frames, sweeps) in timed.items():
                cost, images[name] = seconds(work)
                times[name].append(1e3 * cost / frames / sweeps)
    report(given, {name: statistics.median(costs) for name, costs in times.items()}, images)


def report(given, medians, images):
    written, single = images["row loop, as written"], images["blocked, 1 frame"][:, 0]
    gap = np.linalg.norm(single - written) / np.linalg.norm(written)
    print(
        f"{given.rows} x {given.voxels} complex64, {given.sweeps} sweeps; {CORES} cores, {given.busy} kept"
        f" busy; medians of {given.repeats} rounds; blocked differs from the row loop by {gap:.1e}"
    )
    print("per frame and sweep              ms    cost in passes of      times faster than row loop")
    print("                                      largest       sum     as written        float32")
    passes = ("largest value of the matrix", "sum of the matrix")
    loops = ("row loop, as written", "row loop, float32")
    for name, cost in medians.items():
        units = "".join(f"{cost / medians[unit]:>10.2f}" for unit in passes)
        ratios = "".join(f"{medians[loop] / cost:>15.1f}" for loop in loops)
        print(f"{name:<28}{cost:>7.2f}{units}{ratios}")
    many, threads = medians[f"blocked, {given.frames} frames"], medians.get("compiled, frame per thread")
    if threads:
        print(
            f"many frames are {threads / many:.1f} times faster than compiled code with one frame per thread"
        )


if __name__ == "__main__":
    main()
