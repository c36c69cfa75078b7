"""A system matrix that is read from its file in each sweep, for one that does not fit into memory."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.reconstruct.empty import Empty
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.selection import Rows

Array = NDArray[Any]
Ints = NDArray[np.int64]

PART = 2**26  # bytes of rows that are read at once; two such parts are held


class FileRows:
    """Rows of a calibration, corrected as they are read; see `mpikit.reconstruct.rows.RowSource`.

    While a part is worked on, the next one is read.

    Parameters
    ----------
    reader : Reader
        Of the calibration; its file stays open.
    rows : Rows
    voxels : shape (P,)
        Places of the grid.
    empty : Empty or None
        The background that is subtracted.
    background_at : shape (P,)
        When each place was measured, in the order of acquisition.
    interpolated : bool
        The background is interpolated at these times.
    """

    def __init__(
        self,
        reader: Reader,
        rows: Rows,
        voxels: Ints,
        *,
        empty: Empty | None,
        background_at: Ints,
        interpolated: bool,
    ) -> None:
        self._reader, self._rows, self._voxels = reader, rows, voxels
        self._empty, self._at, self._interpolated = empty, background_at, interpolated
        each = max(1, PART // (8 * len(voxels)))
        self._parts = [slice(start, min(start + each, len(rows))) for start in range(0, len(rows), each)]
        self._thread = ThreadPoolExecutor(1)
        self._ahead: tuple[int, Future[Array]] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows M and of voxels P."""
        return len(self._rows), len(self._voxels)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._reader.rows(self._rows.part(slice(0, 1)), self._voxels[:1], "grid").dtype

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self._parts)

    def rows(self, part: int, /) -> slice:
        """Return which rows a part holds."""
        return self._parts[part]

    def whole(self) -> Array:
        """Return all rows at once, shape (M, P)."""
        return self._read(slice(0, len(self._rows)))

    def load(self, part: int, /) -> Array:
        """Return a part (m, P), and begin to read the next one."""
        if self._ahead is not None and self._ahead[0] == part:
            values = self._ahead[1].result()
        else:
            values = self._read(self._parts[part])
        following = (part + 1) % len(self._parts)
        self._ahead = (following, self._thread.submit(self._read, self._parts[following]))
        return values

    def close(self) -> None:
        """Wait for what is being read: the file may be closed then."""
        self._thread.shutdown(cancel_futures=True)

    def _read(self, part: slice) -> Array:
        values = self._reader.rows(self._rows.part(part), self._voxels, "grid")
        if self._empty is not None:
            own = Empty(self._empty.spectra[part], self._empty.index, self._empty.drifts)
            values -= own.at(self._at, interpolated=self._interpolated).astype(values.dtype)
        return np.ascontiguousarray(values)
