"""Rows of a calibration that stand in their file as they are wanted: read without detours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import mdf
from mdf.nodes import reading
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.selection import Rows

Array = NDArray[Any]
Ints = NDArray[np.int64]


class DirectRows:
    """Reads rows as HDF5 does, for a file whose rows need no work: see `direct_rows`.

    Parameters
    ----------
    file : mdf.File
    dataset : h5py.Dataset
        Shape (1, C, K, N), complex.
    channels, places : shape (M,)
        Where each row stands.
    columns, empty : shape (P,), (E,)
        Which of the N stored frames are wanted, and which ones are of the empty scanner.
    """

    def __init__(
        self, file: mdf.File, dataset: h5py.Dataset, channels: Ints, places: Ints, columns: Ints, empty: Ints
    ) -> None:
        self._path, self._dataset = file.path, dataset
        self._channels, self._places = channels, places
        self._columns, self._empty = columns, empty
        first, last = int(columns[0]), int(columns[-1])
        self._run = slice(first, last + 1) if np.array_equal(columns, np.arange(first, last + 1)) else None
        self._scratch = np.empty((0, dataset.shape[3]), dataset.dtype)

    def read(self, rows: slice, out: Array, minus: Array | None = None) -> None:
        """Read some rows into ``out``, shape (m, P), row-major, less what is the same for all places, (m, 1).

        Raises
        ------
        mdf.MdfError
            When the file is damaged.
        """
        run = self._run
        if run is None:
            np.take(self._whole(rows), self._columns, axis=1, out=out, mode="clip")  # "raise" would copy
        elif minus is not None and 2 * out.shape[1] > self._scratch.shape[1]:
            np.subtract(self._whole(rows)[:, run], minus, out=out)  # while they are in the cache
            return
        else:
            self._read(rows, run, out)
        if minus is not None:
            out -= minus

    def read_both(self, rows: slice, out: Array) -> Array:
        """Read some rows into ``out``, and return their values in the empty frames, shape (m, E)."""
        values = self._whole(rows)
        np.take(values, self._columns, axis=1, out=out, mode="clip")
        return np.take(values, self._empty, axis=1)

    def _whole(self, rows: slice) -> Array:
        """Return some rows with all frames: a row is one piece of the file."""
        count = rows.stop - rows.start
        if len(self._scratch) < count:
            self._scratch = np.empty((count, self._scratch.shape[1]), self._dataset.dtype)
        self._read(rows, slice(None), self._scratch)
        return self._scratch[:count]

    def _read(self, rows: slice, frames: slice, out: Array) -> None:
        with reading(self._path, "/measurement/data"):
            for run in self._runs(rows):
                first = int(self._places[run.start])
                stored = slice(first, first + run.stop - run.start)
                where = (0, int(self._channels[run.start]), stored, frames)
                self._dataset.read_direct(out, where, np.s_[run.start - rows.start : run.stop - rows.start])

    def _runs(self, rows: slice) -> Iterator[slice]:
        """Split rows into those that follow each other in the file."""
        follows = (np.diff(self._places[rows]) == 1) & (np.diff(self._channels[rows]) == 0)
        edges = [rows.start, *(rows.start + 1 + np.flatnonzero(~follows)).tolist(), rows.stop]
        yield from (slice(first, last) for first, last in pairwise(edges))


def direct_rows(reader: Reader, rows: Rows, voxels: Ints) -> DirectRows | None:
    """Return what reads rows of a calibration directly; None when the file needs more than that.

    Direct are spectra of one period in native floating point, with the frame axis last, that nothing is to be
    multiplied with and that are not sparse. As a proof some rows are read in both ways and compared.

    Parameters
    ----------
    reader : Reader
    rows : Rows
    voxels : shape (P,)
        Places of the grid.
    """
    file, measured = reader.file, reader.file.measurement
    if measured is None or file.data_axes != ("J", "C", "K", "N") or file.num_periods > 1 or not len(rows):
        return None
    if _converts(file) or reader.zeros is not None:
        return None
    some = np.unique(np.linspace(0, len(rows) - 1, _PROBES).round().astype(int))
    probes = Rows(rows.channels[some], rows.lines[some], {})
    careful, dataset = reader.rows(probes, voxels, "grid"), measured.data
    plain = (1, file.num_channels, len(file.frequencies), file.num_frames)
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != plain or dataset.dtype != careful.dtype:
        return None
    # where a frame is stored: by way of its time of acquisition
    stored = np.argsort(file.frame_index("all", "stored"))
    columns = stored[file.frame_index("foreground", "grid")[voxels]]
    empty = stored[np.flatnonzero(file.is_background)]
    found = DirectRows(file, dataset, rows.channels, rows.places(reader.lines), columns, empty)
    values = np.empty_like(careful)
    for index, row in enumerate(some.tolist()):
        found.read(slice(row, row + 1), values[index : index + 1])
    return found if np.array_equal(values, careful) else None


_PROBES = 5


def _converts(file: mdf.File) -> bool:
    """Say whether there is a conversion factor that changes anything."""
    conversion = file.value("/acquisition/receiver/dataConversionFactor")
    return conversion is not None and bool(np.any(np.asarray(conversion) != (1, 0)))
