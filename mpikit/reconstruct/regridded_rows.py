"""A system matrix in its file, on another grid than that of the calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.reconstruct.regrid import Regridding
from mpikit.reconstruct.streamed import PIECE, FileRows, split_rows

Array = NDArray[Any]


class RegriddedRows(FileRows):
    """Rows that are interpolated as they are read.

    The values are multiplied with the ratio of the volumes of the voxels, so that images stay concentrations.

    Parameters
    ----------
    source : FileRows
        Its columns are those that the regridding needs.
    regridding : Regridding
    """

    def __init__(self, source: FileRows, regridding: Regridding) -> None:
        super().__init__((source.shape[0], int(np.prod(regridding.target.size))), source.dtype)
        self._source, self._regridding = source, regridding

    def close(self) -> None:
        """Wait for what is being read: the file may be closed then."""
        super().close()
        self._source.close()

    def _read(self, rows: slice, out: Array) -> None:
        values = np.empty((rows.stop - rows.start, self._source.shape[1]), self.dtype)
        self._source._read(rows, values)  # the source knows in what pieces its file is read
        for piece in split_rows(rows, max(out.shape[1], values.shape[1]), PIECE):
            place = slice(piece.start - rows.start, piece.stop - rows.start)
            fitted = self._regridding.of_needed(values[place])
            np.multiply(fitted, self._regridding.volume_ratio, out=out[place])
            self._note(piece, out[place])

    def _read_piece(self, rows: slice, out: Array) -> None:
        self._read(rows, out)
