"""Noise2Noise: learn one noisy repeat from another, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mpikit import Denoiser, hookimpl
from mpikit_plugins.background import removes_background
from mpikit_plugins.n2n.options import Noise2NoiseOptions
from mpikit_plugins.training.needs import without_repeats

if TYPE_CHECKING:
    from mpikit_plugins.n2n.method import Noise2Noise


def build(options: Noise2NoiseOptions) -> Noise2Noise:
    """Make the method; torch is imported here and not before."""
    from mpikit_plugins.n2n.method import Noise2Noise

    return Noise2Noise(options)


@hookimpl
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer Noise2Noise."""
    yield Denoiser(
        name="n2n",
        summary="Noise2Noise: a U-Net trained on pairs of noisy repeats (Lehtinen et al.)",
        options=Noise2NoiseOptions,
        build=build,
        missing=without_repeats,
        homogeneous=True,
        learned=True,
        removes_background=removes_background,
        cite=("10.48550/arXiv.1803.04189",),
    )
