"""The questions mpikit asks its plugins.

Every hook is a question that each installed plugin may answer with any number of records (see
`mpikit.records`). All answers are collected; their order means nothing; two answers of one name are an
error when that name is *used*, not before. Hooks take no arguments now. One may gain an argument later:
a plugin that does not name it keeps working. A hook is never removed or given a new meaning without one
minor release in which using it warns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from mpikit.records import Denoiser, NoiseModel

hookspec = pluggy.HookspecMarker("mpikit")
hookimpl = pluggy.HookimplMarker("mpikit")


@hookspec
def mpikit_denoisers() -> Iterable[Denoiser]:
    """Offer denoisers to ``mpikit denoise --method NAME``.

    Examples
    --------
    >>> from mpikit import Denoiser, StatelessMethod, hookimpl
    >>> class Nothing(StatelessMethod):
    ...     def denoise(self, scan, /, *, run):
    ...         return scan.signal.copy()
    >>> @hookimpl
    ... def mpikit_denoisers():
    ...     yield Denoiser(name="nothing", summary="Leaves the signal alone", build=lambda options: Nothing())
    >>> [denoiser.name for denoiser in mpikit_denoisers()]
    ['nothing']
    """
    return ()


@hookspec
def mpikit_noise_models() -> Iterable[NoiseModel]:
    """Offer noise models to ``mpikit simulate --noise NAME``.

    Examples
    --------
    >>> from mpikit import NoiseModel, hookimpl
    >>> def build(options):
    ...     return lambda clean, *, frame_index, sampling_rate, drive_field, rng: 0 * clean
    >>> @hookimpl
    ... def mpikit_noise_models():
    ...     yield NoiseModel(name="silence", summary="No noise at all", build=build)
    >>> [model.name for model in mpikit_noise_models()]
    ['silence']
    """
    return ()
