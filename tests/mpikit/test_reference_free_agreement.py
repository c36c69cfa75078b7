"""The SNR that is found without a reference is the true one, on simulated scans of several kinds.

The larger version, twenty data sets, is `tests/benchmarks/reference_free.py`.
"""

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run
from mpikit.judging import hold_out, judge_noisy, score_trial, try_out
from mpikit.plugins import parse_noise, registry
from mpikit.simulate import Phantom, preset, simulate_scan

WHITE, COLOURED, HARMONIC = "gaussian:snr_db=5", "coloured:snr_db=0,corner=50e3", "harmonic:sir_db=5"
BACKGROUND = "background:sbr_db=0,drift=0.02"
ALL = ("unchanged", "harmonic", "low-rank")
CASES = [
    ("openmpi-1d", (WHITE,), 1, 6000, 0, ALL),
    ("openmpi-1d", (COLOURED, HARMONIC), 40, 120, 0, ALL),
    # a background repeats, and counts as signal in what is left as it is
    ("openmpi-1d", (COLOURED, BACKGROUND), 1, 8000, 1000, ("harmonic",)),
    ("openmpi-2d", (COLOURED,), 6, 160, 0, ALL),
    ("dahms2026", (WHITE, HARMONIC), 1, 6000, 0, ALL),
]


def scans(name, noise, signals, repeats, empty):
    """The noisy scan, and the same with the clean signal; several signals are measured in periods."""
    scanner, rng = preset(name), np.random.default_rng(3)
    grid = scanner.phantom.grid((6, 4))
    phantom = Phantom(rng.random((signals, *grid.shape)) ** 4 * 0.1, grid, "random")
    several = signals > 1
    scan, clean = simulate_scan(
        scanner,
        phantom,
        frames=signals if several else repeats,
        periods=repeats if several else 1,
        background_frames=empty,
        noise=[parse_noise(spec) for spec in noise],
        rng=rng,
    )
    return scan, replace(scan, signal=clean, background=0 * scan.background)


def decibels(estimate, clean):
    error = np.mean((estimate.astype(float) - clean) ** 2)
    return 10 * np.log10(np.mean(clean.astype(float) ** 2) / error)


def scored(scan, holdout, method):
    """Reference-free figures of a method, and the output that they are of."""
    if method == "unchanged":
        return judge_noisy(holdout, without_background=False).figures, holdout.inputs.signal
    record = registry().denoiser(method).record
    run, options = Run(rng=np.random.default_rng(0)), record.options()
    built = record.build(options)
    built.fit([holdout.fitting], run=run)
    trial = try_out(record, built, holdout, run=run)
    free = record.frees_from_background(scan, options)
    return score_trial(record, trial, without_background=free).figures, trial.estimate


@pytest.mark.parametrize(("name", "noise", "signals", "repeats", "empty", "methods"), CASES)
def test_it_is_within_half_a_decibel(name, noise, signals, repeats, empty, methods):
    scan, clean = scans(name, noise, signals, repeats, empty)
    holdout, right = hold_out(scan), hold_out(clean).inputs.signal
    for method in methods:
        figures, estimate = scored(scan, holdout, method)
        assert not figures.is_bound
        assert figures.snr_db == pytest.approx(decibels(estimate, right), abs=0.5)
