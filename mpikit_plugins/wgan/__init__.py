"""Wasserstein GAN with two critics: learn from unpaired noisy periods and empty-scanner frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mpikit import Denoiser, Scan, hookimpl
from mpikit_plugins.wgan.options import PenaltyOptions, SpectralOptions

if TYPE_CHECKING:
    from mpikit_plugins.wgan.method import WassersteinGAN


def build_spectral(options: SpectralOptions) -> WassersteinGAN:
    """Make ``wgan-sn``; torch is imported here and not before."""
    from mpikit_plugins.wgan.method import SpectralGAN

    return SpectralGAN(options)


def build_penalty(options: PenaltyOptions) -> WassersteinGAN:
    """Make ``wgan-gp``; torch is imported here and not before."""
    from mpikit_plugins.wgan.method import PenaltyGAN

    return PenaltyGAN(options)


def removes_background(scan: Scan, options: Any) -> bool:
    """Say whether the output is free of the empty-scanner signal: what noise samples hold is removed."""
    if options.background == "learn" or scan.corrections.background:
        return True
    return options.background == "subtract" and len(scan.background) > 0


@hookimpl
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer the WGAN of Dahms et al., and that of Dittmer et al. with a gradient penalty.

    Neither record promises f(a y) = a f(y): with ``background=learn`` the output grows with what is above the
    mean of the noise samples, f(b + a x) = a f(b + x), and with a bias not even that. Nothing is missing in a
    scan: a fitted method needs no background frames, and `fit` says it where it has none to learn from.
    """
    yield Denoiser(
        name="wgan-sn",
        summary="WGAN: two critics with spectral normalisation, noise from empty frames (Dahms et al.)",
        options=SpectralOptions,
        build=build_spectral,
        learned=True,
        removes_background=removes_background,
        cite=("10.3934/naco.2022017", "10.48550/arXiv.1802.05957"),
    )
    yield Denoiser(
        name="wgan-gp",
        summary="WGAN: two critics with a gradient penalty, noise from empty frames (Dittmer et al.)",
        options=PenaltyOptions,
        build=build_penalty,
        learned=True,
        removes_background=removes_background,
        cite=("10.3934/naco.2022017", "10.48550/arXiv.1704.00028"),
    )
