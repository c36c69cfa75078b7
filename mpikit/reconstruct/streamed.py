"""A system matrix that is read from its file in each sweep, for one that does not fit into memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.reconstruct.direct import direct_rows
from mpikit.reconstruct.empty import Empty, empty_rows
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.rows import row_energies
from mpikit.reconstruct.selection import Rows
from mpikit.signal.background import interpolation_weights

Array = NDArray[Any]
Ints = NDArray[np.int64]
Subtracted = Literal["none", "static", "interpolated"]

PART = 2**26  # bytes of rows that are read at once; two such parts are held
PIECE = 2**22  # bytes of rows that are worked on at once: they stay in the cache of the processor


class FileRows(ABC):
    """Rows of a system matrix that are read in each sweep; see `mpikit.reconstruct.rows.RowSource`.

    While a part is worked on, the next one is read. A part lies in one of two buffers: new memory for each
    would take as long as reading.

    Parameters
    ----------
    shape : (M, P)
    dtype : complex64 or complex128
    """

    def __init__(self, shape: tuple[int, int], dtype: Any) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._parts = split_rows(slice(0, shape[0]), shape[1], PART)
        self._buffers: list[Array] = []
        self._turn = 0
        self._thread = ThreadPoolExecutor(1)
        self._ahead: tuple[int, Future[Array]] | None = None
        self._energies = np.full(shape[0], np.nan)

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self._parts)

    def rows(self, part: int, /) -> slice:
        """Return which rows a part holds."""
        return self._parts[part]

    def columns(self, _part: int, /) -> slice:
        """Return which voxels the columns of a part belong to: all."""
        return slice(None)

    def load(self, part: int, /) -> Array:
        """Return a part (m, P), and begin to read the next one."""
        if self._ahead is None or self._ahead[0] != part:
            self._begin(part)
        assert self._ahead is not None  # noqa: S101 - it was just begun
        reading, self._ahead = self._ahead[1], None
        values = reading.result()
        if len(self) > 1:
            self._begin((part + 1) % len(self))
        return values

    def whole(self) -> Array:
        """Return all rows at once, shape (M, P)."""
        if self._ahead is not None:
            self._ahead[1].exception()  # waits: one thread at a time reads
        values = np.empty(self.shape, self.dtype)
        self._read(slice(0, self.shape[0]), values)
        return values

    def energies(self) -> NDArray[np.float64]:
        """Return the squared norms of the rows, shape (M,): noted when they were read, or read now."""
        for part, rows in enumerate(self._parts):
            if np.isnan(self._energies[rows]).any():
                self.load(part)
        return self._energies

    def close(self) -> None:
        """Wait for what is being read: the file may be closed then."""
        self._thread.shutdown(cancel_futures=True)
        self._buffers, self._ahead = [], None

    @abstractmethod
    def _read_piece(self, rows: slice, out: Array) -> None:
        """Read a few rows into ``out``, shape (m, P)."""

    def _read(self, rows: slice, out: Array) -> None:
        for piece in split_rows(rows, self.shape[1], PIECE):
            values = out[piece.start - rows.start : piece.stop - rows.start]
            self._read_piece(piece, values)
            self._note(piece, values)

    def _note(self, rows: slice, values: Array) -> None:
        if np.isnan(self._energies[rows]).any():
            self._energies[rows] = row_energies(values)

    def _begin(self, part: int) -> None:
        """Begin to read a part into the buffer that nobody looks at."""
        if not self._buffers:
            longest = max(rows.stop - rows.start for rows in self._parts)
            count = min(2, len(self))
            self._buffers = [np.empty((longest, self.shape[1]), self.dtype) for _ in range(count)]
        self._turn = (self._turn + 1) % len(self._buffers)
        self._ahead = part, self._thread.submit(self._fill, self._parts[part], self._buffers[self._turn])

    def _fill(self, rows: slice, buffer: Array) -> Array:
        values = buffer[: rows.stop - rows.start]
        self._read(rows, values)
        return values


class CalibrationRows(FileRows):
    """Rows of a calibration, corrected as they are read.

    Parameters
    ----------
    reader : Reader
        Of the calibration; its file stays open.
    rows : Rows
    voxels : shape (P,)
        Places of the grid.
    background : {"none", "static", "interpolated"}
        What is subtracted: nothing, the mean of the empty frames, or what is between them at the time of each
        place.
    """

    def __init__(self, reader: Reader, rows: Rows, voxels: Ints, *, background: Subtracted) -> None:
        one = reader.rows(rows.part(slice(0, 1)), voxels[:1], "grid")
        super().__init__((len(rows), len(voxels)), one.dtype)
        self._reader, self._chosen, self._voxels = reader, rows, voxels
        self._direct = direct_rows(reader, rows, voxels)
        self._subtracted = background
        self._mean = np.full((len(rows), 1), np.nan, self.dtype)  # of the empty frames, once they were read
        self._all_empty: Empty | None = None
        self._between: Any = None
        if background == "interpolated":
            from scipy.sparse import csr_array

            file = reader.file
            times = file.frame_index("foreground", "grid")[voxels]
            weights = interpolation_weights(np.flatnonzero(file.is_background), times)
            self._between = csr_array(weights.T.astype(one.real.dtype))  # two groups of frames count

    def _read(self, rows: slice, out: Array) -> None:
        if self._direct is not None:
            super()._read(rows, out)
            return
        # one pass over the frames, however many there are
        out[...] = self._reader.rows(self._chosen.part(rows), self._voxels, "grid")
        if self._subtracted != "none" and self._all_empty is None:
            self._all_empty = empty_rows(self._reader, (), self._chosen)
        for piece in split_rows(rows, self.shape[1], PIECE):
            values = out[piece.start - rows.start : piece.stop - rows.start]
            if self._all_empty is not None:
                self._subtract(piece, values, self._all_empty.spectra[piece])
            self._note(piece, values)

    def _read_piece(self, rows: slice, out: Array) -> None:
        assert self._direct is not None  # noqa: S101 - see above
        if self._subtracted == "none":
            self._direct.read(rows, out)
            self._check(rows, out)
            return
        if self._between is None and not np.isnan(self._mean[rows]).any():
            self._direct.read(rows, out, minus=self._mean[rows])
            return
        spectra = self._direct.read_both(rows, out)
        self._check(rows, out, spectra)
        self._subtract(rows, out, spectra)

    def _check(self, rows: slice, *values: Array) -> None:
        """Have the reader say where values are not finite, when rows are read for the first time."""
        if not np.isnan(self._energies[rows]).any():
            return
        if not all(np.isfinite(row_energies(each)).all() for each in values):
            chosen = self._chosen.part(rows)
            self._reader.rows(chosen, self._voxels, "grid")
            empty_rows(self._reader, (), chosen)

    def _subtract(self, rows: slice, values: Array, spectra: Array) -> None:
        """Subtract the background; spectra (m, E) are those of the empty frames."""
        if self._between is not None:
            values -= np.asarray(spectra @ self._between, self.dtype)
        else:
            self._mean[rows] = spectra.mean(axis=1, keepdims=True)
            values -= self._mean[rows]


def split_rows(rows: slice, voxels: int, most: int) -> list[slice]:
    """Split rows into parts of some bytes in single precision at most, each of one row or more."""
    each = max(1, most // (8 * voxels))
    return [slice(start, min(start + each, rows.stop)) for start in range(rows.start, rows.stop, each)]
