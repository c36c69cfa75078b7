"""Values that are not finite, named by what a user knows: frame, frequency, receive channel, place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.selection import Rows

Ints = NDArray[np.int64]


class FiniteReader(Reader):
    """A reader that refuses values that are not finite.

    All that goes into a linear system is read by it: frames of the object, empty frames, the system matrix.
    """

    _known: NDArray[np.bool_] | None = None  # rows of the matrix (C, K) that an earlier sweep looked at

    def rows(self, rows: Rows, frames: Ints, order: Any) -> NDArray[Any]:
        """Return what `Reader.rows` does.

        Raises
        ------
        InputError
            When a value is NaN or infinite.
        """
        values = super().rows(rows, frames, order)
        if order == "grid":
            self.check_matrix(values, rows, frames)
        else:
            self._check(values, rows, frames, order)
        return values

    def check_matrix(self, values: NDArray[Any], rows: Rows, voxels: Ints) -> None:
        """Refuse rows (M, n) of the matrix at some voxels (n,) when a value is NaN or infinite.

        A row is looked at once, not in every sweep.

        Raises
        ------
        InputError
        """
        if self._known is None:
            self._known = np.zeros((self.file.num_channels, len(self.frequencies)), bool)
        if self._known[rows.channels, rows.lines].all():
            return
        self._check(values, rows, voxels, "grid")
        # one voxel alone is read for the type of the values
        self._known[rows.channels, rows.lines] = len(voxels) > 1

    def _check(self, values: NDArray[Any], rows: Rows, frames: Ints, order: Any) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.vecdot(values, values)).all():
                return
        broken = ~np.isfinite(values)
        if not broken.any():  # the squares alone are too large
            return
        column = int(np.flatnonzero(broken.any(axis=0))[0])
        row = int(np.flatnonzero(broken[:, column])[0])
        frequency = self.frequencies[rows.lines[row]]
        at = f"at {frequency / 1e3:.6g} kHz in receive channel {rows.channels[row]}"
        if order == "grid":
            x, y, z = (f"{1e3 * float(length):.4g}" for length in self._places()[frames[column]])
            where = f"first {at}, at the grid position x {x}, y {y}, z {z} mm"
        else:
            frame = frames[column * len(frames) // values.shape[1]]  # a frame may make several columns
            where = f"first in frame {frame} (counted from 0 as they were acquired) {at}"
        count = int(np.count_nonzero(broken))
        raise InputError(
            f"{self.file.path.name} holds {count} values that are not finite, {where}",
            hint="repair the file, or leave such frequencies or channels out: -p stop_bands, "
            "-p receive_channels",
        )

    def _places(self) -> NDArray[np.float64]:
        grid = self.file.grid
        assert grid is not None  # noqa: S101 - only a calibration is read in grid order
        return grid.positions()
