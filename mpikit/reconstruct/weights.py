"""Row weights: how much each row of the system matrix, and of the data, counts.

The solvers minimise ||W (S c - u)||² + λ ||c||² with W = diag(w). With λ > 0 row i acts as if it had its own
λ / w_i². A weight of 0 leaves a row out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, NumericalError, UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weighting = Literal["none", "channel", "whitening", "row-norm"]

_ROUNDING = 1e-14  # of the background: a spread of equal numbers that rounding alone makes


def row_weights(
    weighting: Sequence[Weighting],
    channels: Ints,
    *,
    matrix: NDArray[Any] | None = None,
    background: NDArray[Any] | None = None,
    channel_weights: Sequence[float] | None = None,
) -> Floats:
    """Return the product of several weightings of the selected rows.

    Parameters
    ----------
    weighting : sequence of {"none", "channel", "whitening", "row-norm"}
        None at all is the same as "none".
    channels : shape (M,)
        Receive channel of each row.
    matrix : shape (M, P), optional
        For "row-norm": the system matrix before weighting.
    background : shape (E, M), optional
        For "whitening": spectra of background frames on the rows.
    channel_weights : sequence of C floats, optional
        For "channel".

    Returns
    -------
    shape (M,)

    Raises
    ------
    UsageError, InputError, NumericalError
    """
    weights = np.ones(len(channels))
    for kind in weighting:
        if kind == "channel":
            if channel_weights is None:
                raise UsageError("channel weighting needs a weight for each receive channel")
            weights *= by_channel(channels, channel_weights)
        elif kind == "whitening":
            if background is None:
                raise InputError(
                    "whitening needs background frames, and there are none",
                    hint="use another weighting, or none",
                )
            weights *= whitening(background)
        elif kind == "row-norm":
            if matrix is None:
                raise ValueError("row-norm weighting needs the matrix")
            weights *= by_row_norm(matrix)
        elif kind != "none":
            known = "none, channel, whitening, row-norm"
            raise UsageError(f"no weighting is called {kind!r}", hint=f"there are {known}")
    if len(weights) and not weights.any():
        raise InputError("the weights of all rows are 0, expected at least one above")
    return weights


def by_channel(channels: Ints, weights: Sequence[float]) -> Floats:
    """Return the constant of each row's receive channel.

    Parameters
    ----------
    channels : shape (M,)
    weights : sequence of C floats
        A channel of weight 0 is left out.

    Raises
    ------
    UsageError
        When there is no weight for a channel, or one is negative or no finite number.
    """
    values = np.asarray(weights, np.float64)
    if not np.all(np.isfinite(values) & (values >= 0)):
        raise UsageError(f"the channel weights are {list(weights)}, expected finite numbers from 0 on")
    needed = int(channels.max(initial=-1)) + 1
    if len(values) < needed:
        raise UsageError(
            f"there are {len(values)} channel weights, expected one for each of {needed} receive channels"
        )
    return values[channels]


def whitening(background: NDArray[Any], *, averages: int = 1, scaled: bool = True) -> Floats:
    """Return weights that give the noise of every row the same size.

    Parameters
    ----------
    background : shape (E, ...)
        Spectra of single background frames, treated like the data: on the selected rows, periods averaged
        and transfer function divided out iff the data's are.
    averages : int
        Frames that are averaged in each column of the data.
    scaled : bool
        True: min(sigma) / sigma, so that the largest weight is 1 (for images; with a relative lambda the
        scale changes nothing). False: sqrt(averages) / sigma, in 1/unit, so that E ||W (S c - u)||² is
        the number of rows (for statistics).

    Returns
    -------
    shape (...)

    Raises
    ------
    InputError
        With fewer than two frames, numbers that are not finite, or rows without noise.

    Notes
    -----
    sigma is the sample standard deviation of a complex number, sigma² = sum |z - mean|² / (E - 1): the sum
    of the variances of both parts.
    """
    if len(background) < 2:
        raise InputError(
            f"there are {len(background)} background frames, whitening needs two or more",
            hint="use another weighting, or none",
        )
    deviation = background - background.mean(axis=0, dtype=np.complex128)
    sigma: Floats = np.sqrt(np.sum(np.abs(deviation) ** 2, axis=0) / (len(background) - 1))
    if not np.all(np.isfinite(sigma)):
        raise InputError("the background frames hold NaN or infinity, whitening needs finite numbers")
    silent = int(np.count_nonzero(sigma <= _ROUNDING * np.abs(background).max(axis=0)))
    if silent:
        raise InputError(
            f"{silent} of {sigma.size} rows have no noise at all in the background frames, "
            "whitening would divide by 0",
            hint="leave these rows out (frequency band, SNR threshold), or use another weighting",
        )
    scale = float(sigma.min(initial=np.inf)) if scaled else averages**0.5
    return scale / sigma


def by_row_norm(matrix: NDArray[Any]) -> Floats:
    """Return 1 / ||a_i|| for each row a_i, and 0 for rows of zeros.

    Parameters
    ----------
    matrix : shape (M, P)

    Raises
    ------
    NumericalError
        When a row holds NaN or infinity.
    """
    energy: Floats = np.einsum("mp,mp->m", matrix.real, matrix.real, dtype=np.float64)
    if np.iscomplexobj(matrix):
        energy += np.einsum("mp,mp->m", matrix.imag, matrix.imag, dtype=np.float64)
    if not np.all(np.isfinite(energy)):
        count = int(np.count_nonzero(~np.isfinite(energy)))
        raise NumericalError(f"{count} rows of the system matrix hold NaN or infinity")
    return np.divide(1.0, np.sqrt(energy), out=np.zeros_like(energy), where=energy > 0)
