"""The reference-free SNR beside the true one, on twenty simulated data sets.

    python tests/benchmarks/reference_free.py [--json FILE]

Each data set is split as `mpikit compare` does it: a method is fitted to one part, and its output for the
other part is judged by repeats that had no part in it. The true SNR is that of the very same output, beside
the clean signal that the simulation knows.

The judges are noisy: R of them for each of n signals of V samples tell an error from their noise s down to
about s / (R sqrt(n V / 2)). A method that removes all but a thousandth of the noise needs many repeats to be
seen. Where the error is lost in its uncertainty, the figure is a lower bound, and is marked: no agreement can
be asked for there, but the truth must not be below.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from mpikit import Run
from mpikit.judging import hold_out, judge_noisy, score_trial, try_out
from mpikit.plugins import parse_noise, registry
from mpikit.simulate import make_phantom, preset, simulate_scan

TARGET = 0.5  # dB
METHODS = ("harmonic", "low-rank")
HARMONIC = "harmonic:sir_db={}"


@dataclass(frozen=True)
class DataSet:
    """How one data set is made: digits that are measured in several periods, or one phantom in frames."""

    preset: str
    noise: tuple[str, ...]
    signals: int  # digits; 1: the phantom of the preset
    repeats: int
    empty: int = 0

    @property
    def name(self) -> str:
        shape = f"{self.signals} x {self.repeats}"
        return f"{self.preset}, {shape}{', background' if self.empty else ''}: {' + '.join(self.noise)}"


WHITE = "gaussian:snr_db={}"
COLOURED = "coloured:snr_db={},exponent=1,corner={}"
BACKGROUND = "background:sbr_db=0,drift=0.02"
DATA_SETS = (
    DataSet("peng2023", (WHITE.format(15),), 2, 2500),
    DataSet("peng2023", (WHITE.format(5),), 2, 2500),
    DataSet("peng2023", (COLOURED.format(5, "2e3"),), 2, 2500),
    DataSet("peng2023", (COLOURED.format(0, "50e3"),), 10, 250),
    DataSet("peng2023", (WHITE.format(15), HARMONIC.format(15)), 15, 300),
    DataSet("peng2023", (WHITE.format(15), HARMONIC.format(5)), 15, 300),
    DataSet("peng2023-openmpi", (WHITE.format(15), HARMONIC.format(5)), 15, 300),
    DataSet("peng2023-openmpi", (COLOURED.format(5, "20e3"),), 20, 150),
    DataSet("openmpi-1d", (WHITE.format(5),), 1, 10_000),
    DataSet("openmpi-1d", (WHITE.format(0),), 100, 150),
    DataSet("openmpi-1d", (COLOURED.format(0, "50e3"), BACKGROUND), 1, 15_000, empty=2000),
    DataSet("openmpi-1d", (COLOURED.format(10, "20e3"), HARMONIC.format(5)), 200, 60),
    DataSet("openmpi-2d", (WHITE.format(0),), 20, 250),
    DataSet("openmpi-2d", (COLOURED.format(5, "100e3"),), 20, 250),
    DataSet("openmpi-2d", (COLOURED.format(-5, "50e3"), BACKGROUND), 1, 4000, empty=1000),
    DataSet("openmpi-2d", (WHITE.format(5), HARMONIC.format(10)), 20, 250),
    DataSet("dahms2026", (WHITE.format(10),), 1, 10_000),
    DataSet("dahms2026", (WHITE.format(-5), BACKGROUND), 1, 20_000, empty=4000),
    DataSet("dahms2026", (COLOURED.format(10, "100e3"), HARMONIC.format(5)), 1, 20_000),
    DataSet("dahms2026", (COLOURED.format(0, "50e3"),), 1, 10_000),
)


def simulated(data_set, seed):
    """Return the noisy scan, and the same scan with the clean signal."""
    scanner, rng = preset(data_set.preset), np.random.default_rng((seed, 1))
    several = data_set.signals > 1
    region = scanner.phantom
    phantom = make_phantom(
        "digits" if several else scanner.phantom_name,
        region.grid(),
        concentration=region.concentration,
        count=data_set.signals,
        rng=rng,
    )
    scan, clean = simulate_scan(
        scanner,
        phantom,
        frames=data_set.signals if several else data_set.repeats,
        periods=data_set.repeats if several else 1,
        background_frames=data_set.empty,
        noise=[parse_noise(spec) for spec in data_set.noise],
        rng=np.random.default_rng(seed),
    )
    return scan, replace(scan, signal=clean, background=0 * scan.background)


def true_snr(estimate, clean):
    """10 log10 of the mean squared clean signal over the mean squared error, as the reference-free one."""
    error = np.mean((estimate.astype(float) - clean) ** 2)
    return float(10 * np.log10(np.mean(clean.astype(float) ** 2) / error))


def compared(scan, clean):
    """Reference-free and true SNR of the data as they are, and of the methods."""
    holdout, right = hold_out(scan), hold_out(clean).inputs
    rows = {"unchanged": (judge_noisy(holdout, without_background=False), holdout.inputs.signal)}
    for name in METHODS:
        record = registry().denoiser(name).record
        options, run = record.options(), Run(rng=np.random.default_rng(0))
        method = record.build(options)
        method.fit([holdout.fitting], run=run)
        trial = try_out(record, method, holdout, run=run)
        free = record.frees_from_background(scan, options)
        rows[name] = (score_trial(record, trial, without_background=free), trial.estimate)
    found = {}
    for name, (score, estimate) in rows.items():
        if name == "unchanged" and len(scan.background):
            continue  # what repeats in every period, such as a background, counts as signal there
        figures = score.figures
        truth = true_snr(estimate, right.signal)
        found[name] = {
            "true_db": truth,
            "reference_free_db": figures.snr_db,
            "difference_db": figures.snr_db - truth,
            "standard_error_db": figures.snr_error_db,
            "is_bound": figures.is_bound,
        }
    return found


def verdict(row):
    """Say in a word whether the two agree."""
    if row["is_bound"]:
        return "bound holds" if row["difference_db"] <= TARGET else "BOUND WRONG"
    return "agrees" if abs(row["difference_db"]) <= TARGET else "DIFFERS"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    given = parser.parse_args()
    found, start = {}, time.perf_counter()
    print(f"{'':120}{'true':>8}{'free':>8}{'off':>8}{'s.e.':>8}")
    for seed, data_set in enumerate(DATA_SETS):
        found[data_set.name] = compared(*simulated(data_set, seed))
        for method, row in found[data_set.name].items():
            error = "" if row["standard_error_db"] is None else f"{row['standard_error_db']:8.2f}"
            print(
                f"{data_set.name:108}{method:12}{row['true_db']:8.2f}{row['reference_free_db']:8.2f}"
                f"{row['difference_db']:8.2f}{error:>8}  {verdict(row)}",
                flush=True,
            )
    words = [verdict(row) for rows in found.values() for row in rows.values()]
    counts = {word: words.count(word) for word in sorted(set(words))}
    print(f"{counts}; {time.perf_counter() - start:.0f} s")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
