"""The denoised rows of Peng et al. 2023, Tables II and III: by learned methods.

    python tests/benchmarks/peng_denoise.py [--rows 15 10 5 15/15 15/5 openmpi] [--methods n2n r2r unet-gd]
                                            [--training 1000] [--test 200] [-p METHOD.option=value ...]

The digits of the training set and those of the test set are different pictures. A method gets noisy
periods, two of each signal, and nothing else. The figure is the mean SNR over the test signals, each denoised
from a single period, with a 95 % interval. `harmonic` learns nothing but the lines; `oracle linear` is the
best linear estimator for the covariance of the clean training signals, which no method can know.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from mpikit import Run
from mpikit.metrics import snr
from mpikit.plugins import parse_noise, parse_options, registry
from mpikit.signal import noise_statistics
from mpikit.simulate import make_phantom, preset, simulate_scan

# noise models, and what the paper gives: noisy, Noise2Noise, R2R, its own method
ROWS = {
    "15": ("peng2023", ("gaussian:snr_db=15",), (15.00, 22.78, 21.82, 26.10)),
    "10": ("peng2023", ("gaussian:snr_db=10",), (10.00, 19.97, 16.82, 23.83)),
    "5": ("peng2023", ("gaussian:snr_db=5",), (5.00, 16.53, 11.68, 20.97)),
    "15/15": ("peng2023", ("gaussian:snr_db=15", "harmonic:sir_db=15"), (12.66, 20.94, 18.18, 25.13)),
    "15/5": ("peng2023", ("gaussian:snr_db=15", "harmonic:sir_db=5"), (6.20, 17.48, 8.83, 22.72)),
    "openmpi": (
        "peng2023-openmpi",
        ("gaussian:snr_db=15", "harmonic:sir_db=5"),
        (4.86, 18.88, 15.04, 24.09),
    ),
}


def scans(row, counts):
    """Training and test scans (noisy, clean) of digits that are different pictures."""
    name, noise, _ = ROWS[row]
    scanner = preset(name)
    rng = np.random.default_rng(2)
    grid = scanner.phantom.grid()
    digits = make_phantom("digits", grid, concentration=0.1, count=sum(counts), rng=rng)
    for start, count in zip((0, counts[0]), counts, strict=True):
        yield simulate_scan(
            scanner,
            digits.part(slice(start, start + count)),
            frames=count,
            periods=2,
            noise=[parse_noise(spec) for spec in noise],
            rng=np.random.default_rng(start),
        )


def oracle(scan, clean, noisy):
    """Denoise by the best linear estimator that knows the covariance of the clean signals."""
    spectra = np.fft.rfft(clean[:, 0, 0].astype(float))
    strong = np.flatnonzero(
        np.mean(np.abs(spectra) ** 2, axis=0) > noise_statistics(scan).line_power[0] / 1e3
    )
    strong = strong[strong > 0]

    def split(values):
        return np.concatenate([values.real, values.imag], axis=1)

    known, seen = split(spectra[:, strong]), split(np.fft.rfft(noisy[:, 0, 0].astype(float))[:, strong])
    covariance = known.T @ known / len(known)
    noise = np.tile(noise_statistics(scan).line_power[0, strong] / 2, 2)
    found = seen @ np.linalg.solve(covariance + np.diag(noise), covariance)
    half = np.zeros((len(found), clean.shape[-1] // 2 + 1), complex)
    half[:, strong] = found[:, : len(strong)] + 1j * found[:, len(strong) :]
    return np.fft.irfft(half, n=clean.shape[-1])


def options_of(method, pairs):
    """Options of a method from METHOD.name=value."""
    own = tuple(pair.partition(".")[2] for pair in pairs if pair.startswith(f"{method}."))
    return parse_options(registry().denoiser(method).record, own)


def denoised(method, options, training, test, device):
    """Fit on the training scan, denoise the first period of each test signal; say how long that took."""
    built = registry().denoiser(method).record.build(options)
    run = Run(rng=np.random.default_rng(0), device=device)
    start = time.perf_counter()
    built.fit([training], run=run)
    fitted = time.perf_counter() - start
    return built.denoise(test, run=run)[:, 0, 0], fitted


def show(name, values, paper, seconds=None):
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    took = "" if seconds is None else f"{seconds:9.0f} s"
    wanted = "" if paper is None else f"{paper:8.2f}"
    print(f"  {name:16}{values.mean():8.2f} +- {half:.2f}{wanted:>10}{took}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--methods", nargs="*", default=["n2n", "r2r", "unet-gd"])
    parser.add_argument("--training", type=int, default=1000)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also append the figures to this file, one line for each")
    parser.add_argument("-p", dest="options", action="append", default=[], metavar="METHOD.option=value")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    paper_rows = {"n2n": 1, "r2r": 2, "unet-gd": 3}
    for row in given.rows:
        (training, clean), (test, right) = scans(row, (given.training, given.test))
        paper = ROWS[row][2]
        print(f"{row}: {given.training} training and {given.test} test signals; SNR / dB, paper", flush=True)
        first = right[:, 0, 0]
        show("noisy", snr(test.signal[:, 0, 0], first), paper[0])
        show("oracle linear", snr(oracle(training, clean, test.signal), first), None)
        for method in ("harmonic", *given.methods):
            options = options_of(method, given.options)
            found, seconds = denoised(method, options, training, test, given.device)
            values = snr(found, first)
            place = paper_rows.get(method)
            show(method, values, None if place is None else paper[place], seconds)
            if given.json is not None:
                line = {
                    "row": row,
                    "method": method,
                    "snr_db": values.mean(),
                    "training": given.training,
                    "seconds": seconds,
                    "options": options.model_dump(mode="json"),
                }
                with given.json.open("a") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
