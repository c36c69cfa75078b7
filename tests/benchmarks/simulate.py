"""Clean signals of digits in the peng2023 scanner, against the direct sum over voxels and time.

    python tests/benchmarks/simulate.py [number of phantoms]

The baseline does what simulation scripts in Python do: a loop over the time steps, and one NumPy expression
for all voxels of the field of view in each. Times are medians; the errors are the largest difference from the
direct sum, which is exact, over the largest signal. BLAS gets one thread.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from mpikit.simulate import Signals, make_phantom, preset
from mpikit.simulate.scanner_fields import fields_of


def time_steps(scanner, phantom):
    """Sum over all voxels, one time step after the other."""
    fields = fields_of(scanner)
    moments = scanner.particle.saturated(phantom.images[0]).ravel() * np.prod(phantom.grid.spacing)
    static = fields.static(phantom.grid.positions())
    beta = 1 / scanner.particle.saturation_field
    coil = fields.sensitivity[0]
    out = np.empty(len(fields.times))
    for step, (drive, rate) in enumerate(zip(fields.drive(), fields.rate(), strict=True)):
        field = static + drive
        size = np.sqrt(np.sum(field**2, axis=1))
        argument = beta * size
        ratio = (1 / np.tanh(argument) - 1 / argument) / size
        slope = beta * (1 / argument**2 - 1 / np.sinh(argument) ** 2)
        growth = (slope - ratio) / size**2
        out[step] = -np.sum(moments * (ratio * (rate @ coil) + growth * (field @ rate) * (field @ coil)))
    return out


def timed(function, repeat):
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - begin)
    return result, median(times)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    scanner = preset("peng2023")
    grid = scanner.phantom.grid()
    rng = np.random.default_rng(0)
    digits = make_phantom("digits", grid, concentration=0.1, count=count, rng=rng)
    one, all_of_them = digits.part(slice(0, 1)), digits.part(slice(0, count))
    reference, slow = timed(lambda: time_steps(scanner, one), 3)
    direct, exact = timed(lambda: Signals(scanner, grid, form="direct").of(one), 3)
    single, quick = timed(lambda: Signals(scanner, grid, form="x-space").of(one), 15)
    many, batch = timed(lambda: Signals(scanner, grid, images=count).of(all_of_them), 3)
    each = batch / count
    scale = np.abs(direct).max()
    print(f"{grid.size[0]} x {grid.size[1]} voxels, {scanner.samples} samples")
    print(f"{'':34}{'time each':>12}{'ratio':>9}{'error':>10}")
    rows = [
        ("one time step after the other", slow, reference),
        ("direct sum, one phantom", exact, direct[0, 0, 0]),
        ("x-space form, one phantom", quick, single[0, 0, 0]),
        (f"as it is chosen, {count} phantoms", each, many[0, 0, 0]),
    ]
    for name, seconds, signal in rows:
        error = np.abs(signal - direct[0, 0, 0]).max() / scale
        print(f"{name:34}{1e3 * seconds:9.3f} ms{slow / seconds:9.0f}{error:10.1e}")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
