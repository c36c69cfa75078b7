"""Noise models for simulated scans."""

from __future__ import annotations

from collections.abc import Iterable

from mpikit import NoiseModel, hookimpl
from mpikit_plugins.noise.background import Background, BackgroundOptions
from mpikit_plugins.noise.background_fit import fit_background
from mpikit_plugins.noise.coloured import Coloured, ColouredOptions, fit_coloured
from mpikit_plugins.noise.empirical import Empirical, EmpiricalOptions
from mpikit_plugins.noise.gaussian import Gaussian, GaussianOptions, fit_gaussian
from mpikit_plugins.noise.harmonic import Harmonic, HarmonicOptions

__all__ = [
    "Background",
    "BackgroundOptions",
    "Coloured",
    "ColouredOptions",
    "Empirical",
    "EmpiricalOptions",
    "Gaussian",
    "GaussianOptions",
    "Harmonic",
    "HarmonicOptions",
    "fit_background",
    "fit_coloured",
    "fit_gaussian",
    "mpikit_noise_models",
]


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
    yield NoiseModel(
        name="harmonic",
        summary="Interference in proportion to each line of the signal, by signal-to-interference ratio",
        options=HarmonicOptions,
        build=Harmonic,
    )
    yield NoiseModel(
        name="coloured",
        summary="Gaussian noise with a spectrum (1/f or a table) and a covariance of the channels",
        options=ColouredOptions,
        build=Coloured,
        fit=fit_coloured,
    )
    yield NoiseModel(
        name="background",
        summary="Harmonics of the drive field, locked in phase, that drift slowly over the frames",
        options=BackgroundOptions,
        build=Background,
        fit=fit_background,
    )
    yield NoiseModel(
        name="empirical",
        summary="The background frames of an MDF file, in their order",
        options=EmpiricalOptions,
        build=Empirical,
    )
