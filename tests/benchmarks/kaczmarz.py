"""Time of the blocked Kaczmarz against the row-by-row numpy loop, per frame, set-up included.

python tests/benchmarks/kaczmarz.py [--rows 4000] [--voxels 2500] [--frames 100] [--sweeps 10]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from mpikit.reconstruct import absolute_lambda, kaczmarz


def row_loop(matrix, data, lambda_, sweeps):
    """One frame, as example scripts of the field write it, with float32 scalars kept."""
    rows, voxels = matrix.shape
    image = np.zeros(voxels, matrix.dtype)
    dual = np.zeros(rows, matrix.dtype)
    root = np.float32(np.sqrt(lambda_))
    energies = np.array([np.linalg.norm(row) ** 2 for row in matrix], np.float32)
    for _ in range(sweeps):
        for i in range(rows):
            beta = (data[i] - matrix[i] @ image - root * dual[i]) / (energies[i] + np.float32(lambda_))
            image += beta * matrix[i].conj()
            dual[i] += root * beta
        image.imag = 0
        image.real[image.real < 0] = 0
    return image.real


def seconds(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in {"rows": 4000, "voxels": 2500, "frames": 100, "sweeps": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    rng = np.random.default_rng(1)

    def draw(*shape):
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)

    matrix, data = draw(given.rows, given.voxels), draw(given.rows, given.frames)
    lambda_ = absolute_lambda(matrix, 0.01)
    options = {"lambda_": 0.01, "iterations": given.sweeps}
    loop, wanted = seconds(lambda: row_loop(matrix, data[:, 0], lambda_, given.sweeps))
    one, found = seconds(lambda: kaczmarz(matrix, data[:, :1], **options))
    many, _ = seconds(lambda: kaczmarz(matrix, data, **options))
    gap = np.linalg.norm(found[:, 0] - wanted) / np.linalg.norm(wanted)
    print(f"{given.rows} x {given.voxels} complex64, {given.sweeps} sweeps; relative difference {gap:.1e}")
    print("form                    s per frame   times faster")
    per_frame = many / given.frames
    for name, cost in {
        "row loop": loop,
        "blocked, 1 frame": one,
        f"blocked, {given.frames}": per_frame,
    }.items():
        print(f"{name:<22}{cost:>13.4f}{loop / cost:>15.1f}")


if __name__ == "__main__":
    main()
