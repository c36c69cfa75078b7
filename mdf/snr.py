"""Signal-to-noise ratio of the rows of a system matrix, as it stands in `/calibration/snr`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = np.ndarray[Any, Any]
Floats = NDArray[np.float64]
Formula = Literal["median", "maximum"]
Read = Callable[[NDArray[np.int64]], tuple[Array, Array]]

STRONGEST = 20  # components that say which voxels have signal
_BRIGHT = 0.9  # of the largest magnitude
_CLEAR = 3.5  # times the noise


def signal_to_noise(foreground: Array, background: Array, *, formula: Formula = "median") -> Floats:
    """Return the signal-to-noise ratio of each component of a system matrix.

    With mu the mean of the background, kappa_n = |F_n - mu| and noise = mean |B - mu| (|mu| if there is
    one background frame):

    - "median": the median of kappa over the voxels where one of the 20 strongest components of the channel is
      bright (above 0.9 of its largest magnitude), or over the voxels where kappa itself is bright if that is
      clear (median above 3.5 times the noise), over the noise; every period gets the median over periods.
    - "maximum": the largest kappa, over the mean difference of consecutive background frames.

    Parameters
    ----------
    foreground : shape (O, J, C, K)
        Spectra of all positions, neither background- nor transfer-function-corrected.
    background : shape (E, J, C, K)
        Spectra of the empty scanner, in the order of acquisition.
    formula : {"median", "maximum"}

    Returns
    -------
    shape (J, C, K), dimensionless
        0 where the noise is 0, of which nothing can be said.

    Raises
    ------
    ValueError
        With too few background frames or components.

    Notes
    -----
    Both are formulas of MPIFiles.jl. The standard defines none, so that thresholds cannot be compared between
    files of different sources.
    """

    def read(components: NDArray[np.int64]) -> tuple[Array, Array]:
        return foreground[..., components], background[..., components]

    return by_components(read, np.shape(foreground)[-1], np.shape(foreground)[-1], formula=formula)


def by_components(read: Read, components: int, together: int, *, formula: Formula = "median") -> Floats:
    """Return what `signal_to_noise` returns, with few components in memory at a time.

    Parameters
    ----------
    read : callable
        Takes n components, from 0 and ascending, and returns foreground (O, J, C, n) and background
        (E, J, C, n).
    components : int
        K.
    together : int
        n at most.
    formula : {"median", "maximum"}
    """
    blocks = np.split(np.arange(components), np.arange(together, components, together))
    if formula == "maximum":
        return np.concatenate([_maximum(*read(block)) for block in blocks], axis=-1)
    if formula != "median":
        raise ValueError(f"formula is {formula!r}, expected 'median' or 'maximum'")
    if components < STRONGEST:
        raise ValueError(f"there are {components} components, expected {STRONGEST} or more")
    first = np.concatenate([_first_pass(*read(block)) for block in blocks], axis=-1)
    mask = _mask(first, read)
    by_period = np.concatenate([_second_pass(*read(block), mask) for block in blocks], axis=-1)
    return np.broadcast_to(np.median(by_period, axis=0), by_period.shape).copy()


def _deviation(foreground: Array, background: Array) -> tuple[Floats, Floats]:
    """Return kappa (O, J, C, n) and noise (J, C, n)."""
    if len(background) == 0 or len(foreground) == 0:
        raise ValueError(
            f"there are {len(foreground)} foreground and {len(background)} background frames, expected both"
        )
    mean = background.mean(axis=0, dtype=np.complex128)
    spread = mean[None] if len(background) == 1 else background - mean
    return np.abs(foreground - mean), np.abs(spread).mean(axis=0)


def _over(signal: Floats, noise: Floats) -> Floats:
    return np.divide(signal, noise, out=np.zeros_like(signal), where=noise > 0)


def _first_pass(foreground: Array, background: Array) -> Floats:
    kappa, noise = _deviation(foreground, background)
    return _over(np.median(kappa, axis=0), noise)


def _mask(first: Floats, read: Read) -> NDArray[np.bool_]:
    """Return the voxels with signal of each period and channel, shape (O, J, C)."""
    strongest = np.argsort(-first, axis=-1, kind="stable")[..., :STRONGEST]
    wanted = np.unique(strongest)
    size = np.abs(read(wanted)[0])
    is_bright = size > _BRIGHT * size.max(axis=0)
    is_strongest = np.any(strongest[..., None] == wanted, axis=-2)  # (J, C, wanted)
    mask: NDArray[np.bool_] = np.any(is_bright & is_strongest, axis=-1)
    return mask


def _second_pass(foreground: Array, background: Array, mask: NDArray[np.bool_]) -> Floats:
    kappa, noise = _deviation(foreground, background)
    signal = _median(kappa, mask[..., None])
    bright = _median(kappa, kappa > _BRIGHT * kappa.max(axis=0))
    return _over(np.where(signal > _CLEAR * noise, bright, signal), noise)


def _median(kappa: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Return the median over the chosen voxels, 0 where there are none."""
    in_order = np.sort(np.where(chosen, kappa, np.inf), axis=0)
    count = np.broadcast_to(chosen, kappa.shape).sum(axis=0)
    low, high = (
        np.take_along_axis(in_order, np.maximum(place, 0)[None], axis=0)[0]
        for place in ((count - 1) // 2, count // 2 - (count == 0))
    )
    return np.where(count > 0, (np.where(count > 0, low, 0) + np.where(count > 0, high, 0)) / 2, 0.0)


def _maximum(foreground: Array, background: Array) -> Floats:
    if len(background) < 2:
        raise ValueError(f"there are {len(background)} background frames, expected two or more")
    mean = background.mean(axis=0, dtype=np.complex128)
    noise = np.abs(np.diff(background.astype(np.complex128), axis=0)).mean(axis=0)
    return _over(np.abs(foreground - mean).max(axis=0), noise)
