"""All installed methods with options that make them quick, and small systems for all solvers."""

from __future__ import annotations

import numpy as np

from mpikit.plugins import registry
from mpikit.reconstruct import kaczmarz
from mpikit.reconstruct.solvers import L1, TotalVariation, Wavelet, admm, cgls, fista, tikhonov
from mpikit.reconstruct.solvers.each import Each

LEARNED = ("n2n", "r2r", "unet-gd", "wgan-gp", "wgan-sn")
SHORT = {name: {"steps": 4, "features": 3, "evaluate_every": 2} for name in LEARNED}
SHORT["wgan-sn"] |= {"critic_features": 4, "critic_widest": 8}
SHORT["wgan-gp"] |= SHORT["wgan-sn"] | {"critic_updates": 2}

DENOISERS = {name: offers[0].record for name, offers in sorted(registry().denoisers.items())}
NOISE_MODELS = {name: offers[0].record for name, offers in sorted(registry().noise_models.items())}

SHAPE = (2, 3, 4)  # z, y, x of the images


def options(name):
    """Options of a denoiser: few steps where it learns."""
    return DENOISERS[name].options(**SHORT.get(name, {}))


def _few(solver, **more):
    def solve(matrix, data, **chosen):
        return solver(matrix, data, **{"lambda_": 0.1, "iterations": 5} | more | chosen)

    return solve


def _direct(matrix, data, **chosen):
    return tikhonov(matrix, data, **{"lambda_": 0.1} | chosen)


def _priors(shape):
    flat = shape[0] == 1
    return {
        "l1": L1(),
        "total variation": TotalVariation(shape),
        "wavelet": Wavelet(shape),
        "two images": Each(TotalVariation((1, *shape[1:]) if flat else (shape[0] // 2, *shape[1:])), 2),
    }


PRIORS = _priors(SHAPE)
SOLVERS = {
    "kaczmarz": _few(kaczmarz),
    "kaczmarz, exact": _few(kaczmarz, exact=True),
    "kaczmarz, complex": _few(kaczmarz, enforce_real=False, enforce_positive=False),
    "kaczmarz, in random order": _few(kaczmarz, order=3),
    "kaczmarz, lambda 0": _few(kaczmarz, lambda_=0.0),
    "cgls": _few(cgls, tolerance=0.0),
    "cgls, lambda 0": _few(cgls, lambda_=0.0, tolerance=0.0),
    "tikhonov": _direct,
    "fista": _few(fista, tolerance=0.0),
    "admm": _few(admm, tolerance=0.0),
    # mu has the unit of the image: what is sparse in volts is not in microvolts
    **{f"fista, {name}": _few(fista, mu=0.01, prior=prior, tolerance=0.0) for name, prior in PRIORS.items()},
    **{f"admm, {name}": _few(admm, mu=0.01, prior=prior, tolerance=0.0) for name, prior in PRIORS.items()},
}
QUADRATIC = [name for name in SOLVERS if not any(prior in name for prior in PRIORS)]


def system(rows=30, voxels=24, frames=3, seed=4):
    """Matrix (M, P) and data (M, Q) of images that are not negative, with some noise; complex64."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, voxels)) + 1j * rng.normal(size=(rows, voxels))
    data = matrix @ rng.uniform(0, 1, (voxels, frames))
    data += 0.1 * (rng.normal(size=data.shape) + 1j * rng.normal(size=data.shape))
    return matrix.astype(np.complex64), data.astype(np.complex64)
