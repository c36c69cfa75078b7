"""Rows of a system matrix as 16-bit integers with a scale for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.reconstruct.streamed import PIECE, FileRows, split_rows

Array = NDArray[Any]

_STEPS = 32767  # from zero to the largest component of a row


def rounded(values: Array) -> tuple[NDArray[np.int16], Array]:
    """Round the real and imaginary parts of rows to 16 bits.

    Parameters
    ----------
    values : shape (m, P)
        Complex, row-major.

    Returns
    -------
    integers : shape (m, 2 P)
        Real and imaginary parts side by side.
    scale : shape (m,)
        What the integers of a row are multiplied with: its largest component over 32767. NaN for a row that
        is not finite.

    Notes
    -----
    Each component is off by half a step at most, 1 / 65534 of the largest of its row.
    """
    parts = values.view(values.real.dtype)
    largest = np.maximum(parts.max(axis=1), -parts.min(axis=1))
    scale = np.asarray(largest / _STEPS, parts.dtype)
    scale[~np.isfinite(scale)] = np.nan
    usable = (scale > 0)[:, None]
    steps = parts / np.where(usable, scale[:, None], 1)
    integers = np.zeros(parts.shape, np.int16)
    np.rint(steps, out=integers, casting="unsafe", where=usable)
    return integers, scale


def restored(integers: NDArray[np.int16], scale: Array, out: Array) -> None:
    """Put the rows of `rounded` into ``out``, shape (m, P), complex and row-major."""
    np.multiply(integers, scale[:, None], out=out.view(out.real.dtype))


class RoundedRows(FileRows):
    """Rows as a cache of them gives them (`mpikit.reconstruct.cache`), without one.

    Parameters
    ----------
    source : FileRows
    """

    def __init__(self, source: FileRows) -> None:
        super().__init__(source.shape, source.dtype)
        self._source = source

    def close(self) -> None:
        """Wait for what is being read: the file may be closed then."""
        super().close()
        self._source.close()

    def _read(self, rows: slice, out: Array) -> None:
        self._source._read(rows, out)  # the source knows in what pieces its file is read
        for piece in split_rows(rows, self.shape[1], PIECE):
            values = out[piece.start - rows.start : piece.stop - rows.start]
            restored(*rounded(values), values)
            self._note(piece, values)

    def _read_piece(self, rows: slice, out: Array) -> None:
        self._read(rows, out)
