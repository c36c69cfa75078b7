"""Denoisers that work on the harmonics of the drive field."""

from __future__ import annotations

from collections.abc import Iterable

from mpikit import Denoiser, hookimpl
from mpikit_plugins.background import removes_background
from mpikit_plugins.harmonic import mp_pca, noise2noise, projection, sure
from mpikit_plugins.harmonic.comb import Harmonic, HarmonicOptions
from mpikit_plugins.harmonic.lines import describe
from mpikit_plugins.harmonic.low_rank import LowRank, LowRankOptions
from mpikit_plugins.harmonic.options import LineOptions, symmetry_missing
from mpikit_plugins.harmonic.wiener import Wiener

__all__ = ["Harmonic", "HarmonicOptions", "describe", "mpikit_denoisers"]


@hookimpl
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer the filters on lines."""
    yield Denoiser(
        name="harmonic",
        summary="Keep the harmonics that stand out of the noise, projected on the scan symmetry",
        options=HarmonicOptions,
        build=Harmonic,
        missing=symmetry_missing,
        homogeneous=True,
        removes_background=removes_background,
    )
    yield Denoiser(
        name="symmetry",
        summary="Project on the scan symmetry, which halves the noise, and do nothing else",
        options=projection.ProjectionOptions,
        build=projection.SymmetryProjection,
        missing=projection.missing,
        homogeneous=True,
        removes_background=removes_background,
    )
    yield Denoiser(
        name="wiener",
        summary="Weight each line by its share of signal, measured on noisy data",
        options=LineOptions,
        build=Wiener,
        missing=symmetry_missing,
        homogeneous=True,
        removes_background=removes_background,
    )
    yield Denoiser(
        name="low-rank",
        summary="Keep the principal components of all lines and channels together, by their share of signal",
        options=LowRankOptions,
        build=LowRank,
        missing=symmetry_missing,
        homogeneous=True,
        removes_background=removes_background,
        cite=("10.1214/17-AOS1601",),
    )
    yield Denoiser(
        name="mp-pca",
        summary="Take the frames of a time series and their lines for one matrix of low rank in noise",
        options=mp_pca.SeriesOptions,
        build=mp_pca.SeriesOfLowRank,
        missing=mp_pca.missing,
        pools=True,
        removes_background=removes_background,
        cite=("10.1109/TIT.2017.2653801", "10.1002/mrm.26059"),
    )
    yield Denoiser(
        name="harmonic-n2n",
        summary="Noise2Noise on the lines, linear in closed form, and a small network where that is better",
        options=noise2noise.HarmonicNoise2NoiseOptions,
        build=noise2noise.HarmonicNoise2Noise,
        missing=noise2noise.missing,
        homogeneous=True,
        removes_background=removes_background,
        cite=("10.48550/arXiv.1803.04189",),
    )
    yield Denoiser(
        name="sure",
        summary="For one period of known noise: the filter on the lines with the least estimated error",
        options=sure.SureOptions,
        build=sure.Sure,
        missing=sure.missing,
        removes_background=removes_background,
        cite=("10.1214/aos/1176345632", "10.1214/07-AOS538"),
    )
