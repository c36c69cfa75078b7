"""Where a solver takes the rows of a system matrix from, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, UsageError

Array = NDArray[Any]
Order = int | NDArray[np.integer] | None  # seed of a random order, the order itself, or ascending


class RowSource(Protocol):
    """A system matrix in parts of whole rows: what a matrix that does not fit into memory has to offer.

    A solver loads the parts 0, 1, ... in turn, once to set up and once in each sweep, so a source can read
    the next part ahead. It works on the rows in the order in which they come. The rows of a part may be zero
    outside some voxels, as those of one of several patches are: then only their columns are loaded.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows M and of voxels P."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, complex64 or complex128."""

    def __len__(self) -> int:
        """Return the number of parts."""

    def rows(self, part: int, /) -> slice | NDArray[np.intp]:
        """Return which rows of the matrix a part holds; all parts together hold each row once."""

    def columns(self, part: int, /) -> slice | NDArray[np.intp]:
        """Return which voxels the loaded columns of a part are, each at most once; ``slice(None)`` for all.

        The other columns of these rows are zero.
        """

    def load(self, part: int, /) -> Array:
        """Return the values of a part, shape (rows of the part, columns of the part), row-major.

        They have to stay as they are until the next part is loaded.
        """


@dataclass(frozen=True)
class ArrayRows:
    """An array as a source of one part.

    Parameters
    ----------
    matrix : shape (M, P)
        Row-major, complex64 or complex128, its rows in the wanted order.
    order : shape (M,), optional
        Which row of the original matrix each one is.
    """

    matrix: Array
    order: NDArray[np.intp] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows M and of voxels P."""
        return cast("tuple[int, int]", self.matrix.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.matrix.dtype

    def __len__(self) -> int:
        """Return the number of parts, one."""
        return 1

    def rows(self, _part: int, /) -> slice | NDArray[np.intp]:
        """Return which rows the part holds: all."""
        return slice(None) if self.order is None else self.order

    def columns(self, _part: int, /) -> slice:
        """Return which voxels the part touches: all."""
        return slice(None)

    def load(self, _part: int, /) -> Array:
        """Return the array itself."""
        return self.matrix


def as_source(matrix: Array | RowSource, order: Order = None) -> RowSource:
    """Return a matrix as a source of rows.

    Parameters
    ----------
    matrix : shape (M, P), or RowSource
        An array is copied when its type is not complex, its rows are not contiguous, or they are reordered.
    order : int or shape (M,), optional
        See `row_order`. A source has its own order, and takes no other.

    Raises
    ------
    InputError
        The matrix is no (M, P) array with values, or a source without complex values.
    UsageError
        A source with another order, whose parts do not hold each row once, or with a part without rows or
        whose columns are no voxels; or an order that is none.
    """
    if isinstance(matrix, np.ndarray):
        if matrix.ndim != 2 or matrix.size == 0:
            raise InputError(f"the system matrix has the shape {matrix.shape}, expected (M, P), both above 0")
        kind = np.result_type(matrix.dtype, np.complex64)
        if order is None:
            return ArrayRows(np.ascontiguousarray(matrix, dtype=kind))
        places = row_order(order, len(matrix))
        return ArrayRows(np.ascontiguousarray(matrix[places], dtype=kind), places)
    if order is not None:
        raise UsageError(
            "rows that come from a source cannot be put into another order",
            hint="make the source with the order that is wanted",
        )
    if matrix.dtype not in (np.complex64, np.complex128):
        raise InputError(f"the source of rows has values of type {matrix.dtype}, expected complex ones")
    row_order(walk_order(matrix), matrix.shape[0])
    _check_parts(matrix)
    return matrix


def _check_parts(source: RowSource) -> None:
    rows, voxels = (np.arange(size) for size in source.shape)
    for part in range(len(source)):
        if not rows[source.rows(part)].size:
            raise UsageError(f"part {part} of the matrix has no rows", hint="leave the part out")
        columns = source.columns(part)
        found = voxels[columns] if isinstance(columns, slice) else columns
        if not found.size or not np.isin(found, voxels).all() or len(np.unique(found)) < len(found):
            raise UsageError(
                f"the columns of part {part} of the matrix are wrong, expected voxels from 0 to"
                f" {len(voxels) - 1}, none of them twice"
            )


def row_order(order: Order, rows: int) -> NDArray[np.intp]:
    """Return the order in which a sweep meets the rows, shape (M,).

    Parameters
    ----------
    order : int or shape (M,), optional
        The seed of one random permutation, the same in all sweeps and for all frames; or an array that names
        each row once; or ascending.
    rows : int
        Number of rows M.

    Raises
    ------
    UsageError
        The order is no permutation of the rows.

    Notes
    -----
    A random order makes the first sweeps more effective, as neighbouring rows are often alike; the limit
    is the same for λ > 0.
    """
    if order is None:
        return np.arange(rows)
    if isinstance(order, int):
        return np.random.default_rng(order).permutation(rows)
    places = np.asarray(order)
    if (
        places.shape != (rows,)
        or not np.issubdtype(places.dtype, np.integer)
        or not np.array_equal(np.sort(places), np.arange(rows))
    ):
        raise UsageError(f"the order of rows is wrong, expected each number from 0 to {rows - 1} once")
    return places.astype(np.intp)


def walk_order(source: RowSource) -> NDArray[np.intp]:
    """Return which row comes when the parts are loaded in turn, shape (M,)."""
    numbers = np.arange(source.shape[0])
    return np.concatenate([numbers[source.rows(part)] for part in range(len(source))])


@np.errstate(over="ignore", invalid="ignore")
def row_energies(matrix: Array) -> NDArray[np.float64]:
    """Squared norm of each row of a row-major complex matrix, shape (M,)."""
    parts = matrix.view(matrix.real.dtype)  # real and imaginary parts side by side: no copy
    return cast("NDArray[np.float64]", np.vecdot(parts, parts).astype(np.float64))


def absolute_lambda(
    matrix: Array | RowSource,
    relative: float,
    *,
    weights: NDArray[np.floating] | None = None,
    energies: NDArray[np.float64] | None = None,
) -> float:
    """Return the λ of the objective that a relative one stands for: ``relative * ||W A||_F² / P``.

    Parameters
    ----------
    matrix : shape (M, P), or RowSource
    relative : float
    weights : shape (M,), optional
        Weights of the rows, the diagonal of W.
    energies : shape (M,), optional
        Squared norms of the rows of A, when they are known.
    """
    if energies is None:
        source = as_source(matrix)
        parts = [row_energies(source.load(part)) for part in range(len(source))]
        energies = np.empty(source.shape[0])
        energies[walk_order(source)] = np.concatenate(parts)
    if weights is not None:
        energies = energies * np.square(weights, dtype=np.float64)
    return float(relative * energies.sum() / matrix.shape[1])
