"""The choice of λ from the data: discrepancy principle, L-curve and generalised cross-validation."""

from __future__ import annotations

from mpikit.reconstruct.choosing.choice import LAMBDAS, Choice, Criterion, choose_lambda
from mpikit.reconstruct.choosing.curve import Curve
from mpikit.reconstruct.choosing.noise import background_noise

__all__ = ["LAMBDAS", "Choice", "Criterion", "Curve", "background_noise", "choose_lambda"]
