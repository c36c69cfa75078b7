"""The system matrix of several patches, of which each row sees the voxels of its own patch alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.reconstruct.placing import Fitting
from mpikit.reconstruct.streamed import FileRows

Array = NDArray[Any]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PatchMatrix:
    """The matrix of one patch.

    Parameters
    ----------
    matrix : shape (M', P'), or FileRows
        Patches may share it.
    columns : shape (P'',)
        Voxels of the whole image, one for each column.
    regridding : Fitting or None
        Makes these columns, when a part is loaded; None: they are those of the matrix.
    """

    matrix: Array | FileRows
    columns: Ints
    regridding: Fitting | None = None

    def parts(self) -> list[int]:
        """Return what the matrix is loaded in."""
        return [0] if isinstance(self.matrix, np.ndarray) else list(range(len(self.matrix)))

    def rows(self, part: int) -> slice:
        """Return the rows of a part."""
        return slice(0, len(self.matrix)) if isinstance(self.matrix, np.ndarray) else self.matrix.rows(part)

    def load(self, part: int) -> Array:
        """Return a part, shape (m, P'')."""
        values = self.matrix if isinstance(self.matrix, np.ndarray) else self.matrix.load(part)
        return values if self.regridding is None else regridded(values, self.regridding)


def regridded(rows: Array, regridding: Fitting) -> Array:
    """Return rows on another grid; images stay concentrations, whatever the volume of a voxel."""
    values = regridding(rows)
    ratio = rows.real.dtype.type(regridding.volume_ratio)
    return np.ascontiguousarray(values if abs(ratio - 1) < _SAME else values * ratio)


_SAME = 1e-6  # volumes of voxels that are equal but for rounding


class PatchRows:
    """The rows of all patches, one patch after the other; see `mpikit.reconstruct.rows.RowSource`.

    Parameters
    ----------
    patches : sequence of PatchMatrix
    voxels : int
        P, of the whole image.
    """

    def __init__(self, patches: Sequence[PatchMatrix], voxels: int) -> None:
        self.patches = tuple(patches)
        counts = [patch.matrix.shape[0] for patch in patches]
        first = np.cumsum([0, *counts]).tolist()
        self.shape = (first[-1], voxels)
        self.dtype = np.dtype(np.result_type(*(patch.matrix.dtype for patch in patches)))
        self._parts = [
            (patch, part, slice(start + patch.rows(part).start, start + patch.rows(part).stop))
            for patch, start in zip(patches, first[:-1], strict=True)
            for part in patch.parts()
        ]

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self._parts)

    def rows(self, part: int, /) -> slice:
        """Return which rows a part holds."""
        return self._parts[part][2]

    def columns(self, part: int, /) -> Ints:
        """Return the voxels of the columns of a part."""
        return self._parts[part][0].columns

    def load(self, part: int, /) -> Array:
        """Return a part, shape (m, columns of its patch)."""
        patch, own, _ = self._parts[part]
        return np.asarray(patch.load(own), self.dtype)

    @property
    def streamed(self) -> bool:
        """Some rows are read from a file."""
        return any(not isinstance(patch.matrix, np.ndarray) for patch in self.patches)

    def whole(self) -> Array:
        """Return all rows with all voxels, shape (M, P)."""
        values = np.zeros(self.shape, self.dtype)
        for part in range(len(self)):
            values[self.rows(part), self.columns(part)] = self.load(part)
        return values

    def close(self) -> None:
        """Wait for what is being read: the files may be closed then."""
        for patch in self.patches:
            if not isinstance(patch.matrix, np.ndarray):
                patch.matrix.close()
