"""What relaxation costs on the scan of Peng et al.: the symmetry with fitted, with ideal, and without phases.

    python tests/benchmarks/relaxation.py [--snr 5] [--training 400] [--test 200] [--json FILE]

Debye relaxation turns each line by an angle of its own. With fitted phases nothing should be lost; ideal
phases are refused as soon as the data contradict them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from mpikit import Run
from mpikit.errors import InputError
from mpikit.metrics import snr
from mpikit.plugins import parse_noise, registry
from mpikit.simulate import make_phantom, preset, simulate_scan

TIMES = (0.0, 1e-6, 5e-6, 20e-6, 50e-6)  # s
METHODS = ("symmetry", "harmonic", "wiener", "low-rank", "harmonic-n2n")
LARGEST_LOSS = 0.5  # dB, of 20 µs


def scans(time, level, counts):
    """Training and test scans (noisy, clean) of different digits, relaxed by a time constant in s."""
    scanner = preset("peng2023")
    scanner = replace(scanner, particle=replace(scanner.particle, relaxation_time=time))
    digits = make_phantom(
        "digits",
        scanner.phantom.grid(),
        concentration=0.1,
        count=sum(counts),
        rng=np.random.default_rng(2),
    )
    for start, count in zip((0, counts[0]), counts, strict=True):
        yield simulate_scan(
            scanner,
            digits.part(slice(start, start + count)),
            frames=count,
            periods=2,
            noise=[parse_noise(f"gaussian:snr_db={level}")],
            rng=np.random.default_rng(start),
        )


def single_period_snr(name, symmetry, training, test, clean):
    """Mean SNR over the first period of each test signal; None when the symmetry is refused."""
    record = registry().denoiser(name).record
    method, run = record.build(record.options(symmetry=symmetry)), Run(rng=np.random.default_rng(0))
    try:
        method.fit([training], run=run)
    except InputError:
        return None
    found = method.denoise(test, run=run)
    return float(snr(found[:, 0, 0], clean[:, 0, 0]).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snr", type=float, default=5.0)
    parser.add_argument("--training", type=int, default=400)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    given = parser.parse_args()
    figures = {}
    print(f"{given.snr:g} dB; SNR / dB of the output for a relaxation time of ...")
    print(f"{'':24}" + "".join(f"{1e6 * time:>9.0f} µs" for time in TIMES) + f"{'loss at 20 µs':>16}")
    made = {time: list(scans(time, given.snr, (given.training, given.test))) for time in TIMES}
    for name in given.methods:
        for symmetry in ("fit", "exact") if name == "symmetry" else ("fit", "exact", "off"):
            row = {
                time: single_period_snr(name, symmetry, training, test, clean)
                for time, ((training, _), (test, clean)) in made.items()
            }
            figures[f"{name}, {symmetry}"] = row
            cells = "".join(f"{'refused' if value is None else f'{value:.2f}':>12}" for value in row.values())
            loss = "" if row[20e-6] is None else f"{row[0.0] - row[20e-6]:.2f}"
            print(f"{name + ', ' + symmetry:24}{cells}{loss:>16}", flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
