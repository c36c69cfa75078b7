"""The self-supervised U-Net of Peng et al."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mpikit import Denoiser, hookimpl
from mpikit_plugins.background import removes_background
from mpikit_plugins.training.needs import without_repeats
from mpikit_plugins.unet.options import UNetOptions

if TYPE_CHECKING:
    from mpikit_plugins.unet.method import UNetGradientDifference


def build(options: UNetOptions) -> UNetGradientDifference:
    """Make the method; torch is imported here and not before."""
    from mpikit_plugins.unet.method import UNetGradientDifference

    return UNetGradientDifference(options)


@hookimpl
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer the U-Net."""
    yield Denoiser(
        name="unet-gd",
        summary="U-Net trained on pairs of noisy repeats, with the gradient-difference prior of Peng et al.",
        options=UNetOptions,
        build=build,
        missing=without_repeats,
        homogeneous=True,
        learned=True,
        removes_background=removes_background,
    )
