"""f(a y) = a f(y) for a from 1e-12 to 1e12: no method and no solver knows the unit of the signal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from methods import DENOISERS, LEARNED, PRIORS, SOLVERS, options, system

import mpikit
from mpikit import Run
from mpikit.events import silent
from mpikit.testing import example_scan

SOME = (1e-12, 1e12)
ALL = [10.0**power for power in range(-12, 13, 2) if power]
# of the largest value: a rounding error is 6e-8, and networks add up thousands of them
CLOSED, NETWORK, SOLVED = 1e-6, 1e-4, 1e-5


def run():
    return Run(rng=np.random.default_rng(5))


def scaled(scan, factor):
    signal, background = (factor * each.astype(float) for each in (scan.signal, scan.background))
    return replace(scan, signal=signal, background=background)


def off(found, wanted, factor):
    """Largest deviation from a multiple, over the largest value."""
    return float(np.max(np.abs(found / factor - wanted)) / np.max(np.abs(wanted)))


def fitted(name, scan):
    method = DENOISERS[name].build(options(name))
    method.fit([scan], run=run())
    return method


def check_denoiser(name, factors):
    """Look at a fit that is kept, where its method promises it, and at a new fit, as of another unit."""
    scan = example_scan()
    kept = fitted(name, scan)
    before = kept.denoise(scan, run=run())
    tolerance = NETWORK if name in LEARNED else CLOSED
    worst = 0.0
    for factor in factors:
        other = scaled(scan, factor)
        methods = [fitted(name, other)] + ([kept] if DENOISERS[name].homogeneous else [])
        for method in methods:
            worst = max(worst, off(method.denoise(other, run=run()), before, factor))
    assert worst < tolerance
    return worst


@pytest.mark.parametrize("name", [name for name in DENOISERS if name not in LEARNED])
def test_denoisers(name, figure):
    worst = check_denoiser(name, ALL)
    figure(f"scale, {name}: {worst:.1e} of the largest value at most")


@pytest.mark.parametrize("name", ["unet-gd", "wgan-sn"])
def test_learned_denoisers(name):
    check_denoiser(name, SOME[:1])


@pytest.mark.soak
@pytest.mark.parametrize("name", LEARNED)
def test_learned_denoisers_on_all(name, figure):
    worst = check_denoiser(name, ALL)
    figure(f"scale, {name}: {worst:.1e} of the largest value at most")


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers(name, figure):
    matrix, data = system()
    before, worst = SOLVERS[name](matrix, data), 0.0
    for factor in [*ALL, 1e-30, 1e30]:
        # mu has the unit of the image
        more = {"mu": 0.01 * factor} if any(prior in name for prior in PRIORS) else {}
        worst = max(worst, off(SOLVERS[name](matrix, data * np.float32(factor), **more), before, factor))
    figure(f"scale, {name}: {worst:.1e} of the largest voxel at most")
    assert worst < SOLVED


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_with_a_matrix_in_another_unit(name):
    matrix, data = system()
    before = SOLVERS[name](matrix, data)
    for factor in (1e-12, 1e-6, 1e6, 1e12):
        both = (each * np.float32(factor) for each in (matrix, data))
        assert off(SOLVERS[name](*both), before, 1.0) < SOLVED


@pytest.mark.parametrize(
    "factor", [*(pytest.param(factor, marks=pytest.mark.soak) for factor in (1e-12, 1e-3)), 1e12]
)
@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("kaczmarz", {}),
        ("cgls", {"iterations": 10}),
        ("fista", {"iterations": 10}),
        ("tikhonov", {}),
        ("x-space", {}),
    ],
)
def test_images_of_files(files, method, more, factor):
    scan = mpikit.load(files / "frame.mdf")
    matrix = None if method == "x-space" else files / "sm.mdf"
    given = {"tell": silent, "method": method} | more
    before = mpikit.reconstruct(scan, matrix, **given).values
    after = mpikit.reconstruct(scaled(scan, factor), matrix, **given).values
    assert before.any()
    assert off(after, before, factor) < SOLVED
