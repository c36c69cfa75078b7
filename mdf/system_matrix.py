"""The rows of a system matrix, read without the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdf import spec
from mdf.layout import BLOCK, Array, Ints, Layout, split
from mdf.nodes import reading
from mdf.signal import Reader

if TYPE_CHECKING:
    from mdf.file import File, Frames, Order


class SystemMatrix:
    """A calibration by rows: one for each period, channel and frequency, over the positions of the grid.

    Only what is asked for is read. A row is found by its (period, channel, component); components are counted
    as in `frequencies`, the stored ones only.
    """

    def __init__(self, file: File) -> None:
        self._file = file

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(J, C, K, O): periods, channels, stored components, positions."""
        layout = self._file._layout
        return *layout.shape[1:3], len(self.frequencies), int(np.sum(~layout.is_background))

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Frequencies of the components, shape (K,), Hz."""
        return self._file.frequencies

    @property
    def snr(self) -> NDArray[np.float64] | None:
        """Signal-to-noise ratios as stored, shape (J, C, K); None if the file has none."""
        snr: NDArray[np.float64] | None = self._file.value(spec.SNR)
        return snr

    def rows(self, index: Any, frames: Frames = "foreground", order: Order = "grid") -> Array:
        """Read some rows, in one pass through the file.

        Parameters
        ----------
        index : shape (M, 3), or a mask of shape (J, C, K)
            (period, channel, component) of each row, from 0.
        frames : {"foreground", "background", "all"} or indices
            Columns. The background has no place on the grid: it needs another order.
        order : {"grid", "acquisition", "stored"}
            Of the columns, as in `File.read_signal`.

        Returns
        -------
        shape (M, O), unit `acquisition.receiver.unit`
            complex64 or complex128; spectra as `File.read_signal` gives them.

        Raises
        ------
        MdfError
            If the file has no signal, or a damaged one.
        ValueError, IndexError
            If there are no such rows or frames.
        """
        return self._rows(self._checked(index), self._file._stored_places(frames, order), BLOCK)

    def _rows(self, wanted: Ints, places: Ints, block: int) -> Array:
        file, layout = self._file, self._file._layout
        with reading(file.path, spec.DATA), np.errstate(invalid="ignore", over="ignore"):
            dtype = np.result_type(layout.dtype, np.complex64)
            out: Array = np.empty((len(wanted), len(places)), dtype)
            if not out.size:
                return out
            if layout.is_fourier and layout.frames_last:
                _by_rows(layout, wanted, places, out, block)
            else:
                self._by_frames(layout, wanted, places, out, block)
        return out

    def blocks(
        self, frames: Frames = "foreground", order: Order = "grid", *, memory: int = 2**28
    ) -> Iterator[tuple[Ints, Array]]:
        """Read all rows in blocks, for calibrations larger than memory.

        Parameters
        ----------
        frames, order
            See `rows`.
        memory : int, bytes
            A block and all that it takes to make it stay below this, unless one row alone needs more. A block
            that is kept counts on top. Files that store frame by frame are read once for each block.

        Yields
        ------
        index : shape (m, 3)
            (period, channel, component) of each row of the block.
        rows : shape (m, O)
        """
        shape = self.shape[:3]
        places, block = self._file._stored_places(frames, order), min(BLOCK, max(1, memory // 16))
        row_bytes = 16 * self._file._layout.shape[0]
        for part in split(int(np.prod(shape)), (memory - 8 * block) // row_bytes):
            index = np.stack(np.unravel_index(np.arange(part.start, part.stop), shape), axis=1)
            yield index, self._rows(index, places, block)

    def _checked(self, index: Any) -> Ints:
        shape = self.shape[:3]
        index = np.asarray(index)
        if index.dtype == bool and index.shape == shape:
            return np.argwhere(index)
        if index.size == 0:
            return np.empty((0, 3), np.int64)
        if index.ndim != 2 or index.shape[1] != 3 or index.dtype.kind not in "iu":
            raise ValueError(
                f"rows are given as {index.dtype} of shape {index.shape}, expected integers (M, 3)"
            )
        if np.any(index < 0) or np.any(index >= shape):
            raise IndexError(f"there are {shape} periods, channels and components, some index is beyond")
        rows: Ints = index.astype(np.int64)
        return rows

    def _by_frames(self, layout: Layout, wanted: Ints, places: Ints, out: Array, block: int) -> None:
        """Pass through the frames in blocks, and pick the rows of each."""
        parts = [np.unique(column, return_inverse=True) for column in wanted.T]
        (periods, in_period), (channels, in_channel), (lines, in_line) = parts
        some = (periods, channels, None, lines)
        reader = Reader(self._file.path, layout, "frequency", full=False, some=some)
        for part in split(len(places), 4 * block // reader.frame_bytes):
            spectra = reader.read(places[part], block)
            out[:, part] = spectra[:, in_period, in_channel, in_line].T


def _by_rows(layout: Layout, wanted: Ints, places: Ints, out: Array, block: int) -> None:
    """Read rows that stand in the file one behind the other; neighbours together."""
    flat = np.ravel_multi_index(tuple(wanted.T), layout.shape[1:])
    by_place = np.argsort(flat, kind="stable")
    longest = max(1, block // (layout.shape[0] * out.dtype.itemsize))
    for first, last in _groups(layout, wanted[by_place], longest):
        rows = by_place[first:last]
        period, channel, low = wanted[rows[0]]
        lines = wanted[rows, 2]
        picks = [places, np.array([period]), np.array([channel]), np.arange(low, lines[-1] + 1)]
        out[rows] = layout.read(picks, block)[:, 0, 0, lines - low].T


def _groups(layout: Layout, wanted: Ints, longest: int) -> Iterator[tuple[int, int]]:
    """Split sorted rows into groups that are read at once: neighbours, or rows of the same chunks."""
    chunks = layout.stored.dataset.chunks
    chunk = 1 if chunks is None or len(chunks) < 3 else min(chunks[-2], longest)
    first = 0
    for place in range(1, len(wanted) + 1):
        if place < len(wanted):
            start, before, line = wanted[first, 2], wanted[place - 1, 2], wanted[place, 2]
            is_near = line - before <= 1 or line // chunk == before // chunk
            same = np.array_equal(wanted[first, :2], wanted[place, :2])
            if same and is_near and line - start < longest:
                continue
        yield first, place
        first = place
