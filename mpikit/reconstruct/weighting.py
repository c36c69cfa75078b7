"""Row weights and background signals of a linear system, of one calibration or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.reconstruct.empty import Empty, dictionary
from mpikit.reconstruct.matrix_rows import memory_for
from mpikit.reconstruct.options import SystemMatrix
from mpikit.reconstruct.patch_rows import PatchRows
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.streamed import FileRows
from mpikit.reconstruct.weights import by_row_norm, row_weights

Floats = NDArray[np.float64]
Complex = NDArray[np.complexfloating[Any]]


def weights_of(
    options: SystemMatrix,
    rows: Rows,
    matrix: NDArray[Any] | FileRows | None,
    of_matrices: Sequence[Empty],
    nothing: Empty,
) -> Floats | None:
    """Return the row weights W, shape (M,); None: all 1.

    Parameters
    ----------
    options : SystemMatrix
    rows : Rows
    matrix : shape (M, P), optional
        For the weighting row-norm.
    of_matrices : sequence of Empty
        Background of each calibration: for whitening, the noise around the mean of each is pooled. If none
        has two frames, the noise of the measurement counts.
    nothing : Empty
        Background of the measurement.
    """
    if set(options.weighting) == {"none"}:
        return None
    return row_weights(
        options.weighting,
        rows.channels,
        matrix=matrix if isinstance(matrix, np.ndarray) else None,
        background=_pooled(of_matrices, nothing) if "whitening" in options.weighting else None,
        channel_weights=options.channel_weights or None,
    )


def _pooled(of_matrices: Sequence[Empty], nothing: Empty) -> Complex:
    """Spectra (E, M) with one mean, whose spread around it is that of each file around its own."""
    known = [each.spectra for each in of_matrices if each.spectra.shape[1] > 1] or [nothing.spectra]
    if len(known) == 1:
        return known[0].T
    middle = np.mean(np.concatenate(known, axis=1), axis=1, keepdims=True)
    moved = [each - each.mean(axis=1, keepdims=True) + middle for each in known]
    return np.concatenate(moved, axis=1).T


def dictionary_of(options: SystemMatrix, of_matrices: Sequence[Empty], nothing: Empty) -> Complex | None:
    """Return the signals of the empty scanner that are estimated with the image, shape (M, d); or None.

    Parameters
    ----------
    options : SystemMatrix
    of_matrices : sequence of Empty
        Background of each calibration.
    nothing : Empty
        Background of the measurement.

    Raises
    ------
    InputError
        When no file has background frames.
    """
    if options.background != "dictionary":
        return None
    spectra = np.concatenate([each.spectra for each in (nothing, *of_matrices)], axis=1)
    if not spectra.shape[1]:
        raise InputError(
            "no file has background frames, and a dictionary of the background is made of them",
            hint="name an empty measurement with --background-file, or use --background none",
        )
    return dictionary(spectra, options.dictionary_size)


def for_one(options: SystemMatrix, count: int) -> SystemMatrix:
    """Return the options for one of several matrices.

    They share the memory. The norms of their rows, and the grid of the images, are those of all together.

    Parameters
    ----------
    options : SystemMatrix
    count : int
        Of matrices.
    """
    kinds = tuple(kind for kind in options.weighting if kind != "row-norm") or ("none",)
    memory = memory_for(options) / count / 2**30
    changes: dict[str, Any] = {"weighting": kinds, "memory": memory}
    return options.model_copy(update=changes | dict.fromkeys(("grid", "field_of_view", "center")))


def with_row_norms(
    weights: Floats | None, matrix: NDArray[Any] | PatchRows, options: SystemMatrix
) -> Floats | None:
    """Return weights with those of the weighting row-norm, if it is asked for.

    Parameters
    ----------
    weights : shape (M,) or None
        Of the other weightings.
    matrix : shape (M, P), or PatchRows
        The rows as they are solved.
    options : SystemMatrix
    """
    if "row-norm" not in options.weighting:
        return weights
    if isinstance(matrix, PatchRows):
        norms = np.concatenate([by_row_norm(matrix.load(part)) for part in range(len(matrix))])
    else:
        norms = by_row_norm(matrix)
    return norms if weights is None else norms * weights
