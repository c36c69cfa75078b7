"""The noise of the data on each row, from background frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, UsageError

Floats = NDArray[np.float64]

_UNEQUAL = 4.0  # ratio of the noise of rows (5 % and 95 % quantile) above which it is not called white


def background_noise(background: NDArray[Any], *, averages: int = 1, subtracted: bool = False) -> Floats:
    """Return the standard deviation of the data on each row.

    Parameters
    ----------
    background : shape (M, E), complex
        Spectra of E single background frames on the selected rows, treated like the data apart from the
        averaging and from the subtraction of the background.
    averages : int
        Frames that are averaged in each column of the data.
    subtracted : bool
        The mean of these background frames was subtracted from the data, so its noise is in them too.

    Returns
    -------
    shape (M,), unit of the data
        sigma, with E|n|² = sigma²: both parts of the complex number together.

    Raises
    ------
    UsageError
        With no frame in an average.
    InputError
        With fewer than two background frames, or numbers that are not finite.

    Notes
    -----
    ``sigma² = s² (1 / averages + 1 / E)``, the second term when the background is subtracted, with the
    sample variance s² of a complex number, ``s² = sum |z - mean|² / (E - 1)``. A drift of the scanner over
    the background frames counts as noise.
    """
    if averages < 1:
        raise UsageError(f"each column of the data averages {averages} frames, expected at least one")
    if background.ndim != 2 or background.shape[1] < 2:
        frames = background.shape[1] if background.ndim == 2 else 0
        raise InputError(
            f"there are {frames} background frames, their noise needs two or more",
            hint="choose lambda by gcv or l-curve, or give a lambda",
        )
    if not np.isfinite(background).all():
        raise InputError(
            "the background frames hold NaN or infinity, their noise needs finite numbers",
            hint="leave these frames out, or repair the file",
        )
    frames = background.shape[1]
    deviation = background - background.mean(axis=1, keepdims=True, dtype=np.complex128)
    variance = np.vecdot(deviation, deviation).real / (frames - 1)
    return np.asarray(np.sqrt(variance * (1 / averages + subtracted / frames)), np.float64)


@dataclass(frozen=True)
class Level:
    """Energy of the noise that the weighted data hold: what a residual should have.

    Parameters
    ----------
    energy : float
        Expected ``||W n||²`` of one frame.
    spread : float
        Standard deviation of the mean of ``||W n||²`` over the frames.
    white : bool
        The weighted rows have about the same noise.
    """

    energy: float
    spread: float
    white: bool


def noise_level(noise: Floats, weights: Floats | None, frames: int) -> Level:
    """Sum up the noise (M,) of rows with weights (M,) over data of Q frames.

    Raises
    ------
    InputError
        When the noise is negative, not finite, or 0 on all rows.
    """
    if not (np.isfinite(noise).all() and (noise >= 0).all()):
        raise InputError("the noise of the rows must be finite and not negative")
    weighted = np.asarray(noise, np.float64)
    if weights is not None:
        weighted = (weights * weighted)[weights > 0]
    variance = weighted**2
    if not variance.any():
        raise InputError(
            "the noise is 0 on all rows, expected some above",
            hint="leave the noise out: lambda is then chosen by gcv",
        )
    low, high = np.quantile(weighted, [0.05, 0.95])
    # |n|² of a circular normal n with E|n|² = v has the variance v²
    return Level(
        float(variance.sum()), float(np.sqrt(np.sum(variance**2) / frames)), bool(high <= _UNEQUAL * low)
    )
