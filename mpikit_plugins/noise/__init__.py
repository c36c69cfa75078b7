"""Noise models for simulated scans."""

from __future__ import annotations

from collections.abc import Iterable

from mpikit import NoiseModel, hookimpl
from mpikit_plugins.noise.gaussian import Gaussian, GaussianOptions, fit_gaussian


@hookimpl
def mpikit_noise_models() -> Iterable[NoiseModel]:
    """Offer the noise models that come with mpikit."""
    yield NoiseModel(
        name="gaussian",
        summary="White Gaussian noise, by signal-to-noise ratio or by standard deviation",
        options=GaussianOptions,
        build=Gaussian,
        fit=fit_gaussian,
    )
