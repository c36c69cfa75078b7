"""Denoisers that everybody knows."""

from __future__ import annotations

from collections.abc import Iterable

from mpikit import Denoiser, hookimpl
from mpikit_plugins.background import removes_background
from mpikit_plugins.classic import background_subtraction as subtraction
from mpikit_plugins.classic.average import Average, AverageOptions, without_repeats
from mpikit_plugins.classic.savgol import SavitzkyGolay, SavitzkyGolayOptions
from mpikit_plugins.classic.wavelet import WaveletOptions, WaveletShrinkage
from mpikit_plugins.harmonic.options import symmetry_missing

__all__ = ["mpikit_denoisers"]


@hookimpl
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer the classic methods."""
    yield Denoiser(
        name="average",
        summary="Mean over all repeats of a period, or a robust one",
        options=AverageOptions,
        build=Average,
        missing=without_repeats,
        pools=True,
        homogeneous=True,
        removes_background=removes_background,
    )
    yield Denoiser(
        name="background-subtraction",
        summary="Subtract the empty-scanner signal: its mean, interpolated in time, or by a dictionary",
        options=subtraction.SubtractionOptions,
        build=subtraction.BackgroundSubtraction,
        missing=subtraction.missing,
        homogeneous=True,
        removes_background=subtraction.removes_background,
        cite=("10.48550/arXiv.2006.05741",),
    )
    yield Denoiser(
        name="wavelet",
        summary="Shrink periodic wavelet coefficients, each level by the noise that it holds",
        options=WaveletOptions,
        build=WaveletShrinkage,
        missing=symmetry_missing,
        removes_background=removes_background,
        cite=("10.1093/biomet/81.3.425",),
    )
    yield Denoiser(
        name="savgol",
        summary="Savitzky-Golay filter around the period, its window chosen on the noisy data",
        options=SavitzkyGolayOptions,
        build=SavitzkyGolay,
        missing=symmetry_missing,
        homogeneous=True,
        removes_background=removes_background,
        cite=("10.1021/ac60214a047",),
    )
