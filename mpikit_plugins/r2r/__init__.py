"""Recorrupted-to-recorrupted: pairs made from single periods, where the noise is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mpikit import Denoiser, hookimpl
from mpikit_plugins.background import removes_background
from mpikit_plugins.r2r.options import RecorruptedOptions

if TYPE_CHECKING:
    from mpikit_plugins.r2r.method import Recorrupted


def build(options: RecorruptedOptions) -> Recorrupted:
    """Make the method; torch is imported here and not before."""
    from mpikit_plugins.r2r.method import Recorrupted

    return Recorrupted(options)


@hookimpl
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer R2R."""
    yield Denoiser(
        name="r2r",
        summary="Recorrupted-to-recorrupted: a U-Net trained on single periods of known noise (Pang et al.)",
        options=RecorruptedOptions,
        build=build,
        learned=True,
        removes_background=removes_background,
        cite=("10.1109/CVPR46437.2021.00208",),
    )
