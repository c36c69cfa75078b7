"""Solvers of one objective, ``||W(A c - b)||² + λ||c||² + μ g(c)``: λ and μ mean the same in each."""

from __future__ import annotations

from mpikit.reconstruct.solvers.admm import admm
from mpikit.reconstruct.solvers.cgls import cgls
from mpikit.reconstruct.solvers.fista import fista
from mpikit.reconstruct.solvers.priors import L1, Prior, TotalVariation
from mpikit.reconstruct.solvers.problem import penalty_scale
from mpikit.reconstruct.solvers.tikhonov import TikhonovOperator, tikhonov, tikhonov_operator
from mpikit.reconstruct.solvers.wavelet import Wavelet

__all__ = [
    "L1",
    "Prior",
    "TikhonovOperator",
    "TotalVariation",
    "Wavelet",
    "admm",
    "cgls",
    "fista",
    "penalty_scale",
    "tikhonov",
    "tikhonov_operator",
]
