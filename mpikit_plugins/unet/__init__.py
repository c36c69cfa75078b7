"""The self-supervised U-Net of Peng et al."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mpikit import Denoiser, Scan, hookimpl
from mpikit_plugins.background import removes_background
from mpikit_plugins.unet.options import UNetOptions

if TYPE_CHECKING:
    from mpikit_plugins.unet.method import UNetGradientDifference


def build(options: UNetOptions) -> UNetGradientDifference:
    """Make the method; torch is imported here and not before."""
    from mpikit_plugins.unet.method import UNetGradientDifference

    return UNetGradientDifference(options)


def missing(scan: Scan, options: Any) -> str | None:  # noqa: ARG001
    """Say that a scan without repeats has nothing to learn from."""
    return "frames or periods that repeat" if scan.repeats == "none" else None


@hookimpl
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer the U-Net."""
    yield Denoiser(
        name="unet-gd",
        summary="U-Net trained on pairs of noisy repeats, with the gradient-difference prior of Peng et al.",
        options=UNetOptions,
        build=build,
        missing=missing,
        homogeneous=True,
        learned=True,
        removes_background=removes_background,
    )
