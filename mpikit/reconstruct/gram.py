"""What Kaczmarz finds out before its sweeps: products of the rows within each block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.device import Arrays
from mpikit.errors import InputError
from mpikit.reconstruct.rows import RowSource, walk_order
from mpikit.reconstruct.threads import each, one_blas_thread

Array = NDArray[Any]

TASK = 8  # blocks that one thread sets up in turn


@dataclass(frozen=True)
class Gram:
    """Products of rows, and energies.

    Parameters
    ----------
    blocks : list of list of (slice, slice, shape (n, n))
        For each part of the source its blocks: their rows in the part and among all rows as the sweeps meet
        them, and the products ``a D a^H`` with D the inverse of the unscaled diagonal penalty, or ones. Only
        their lower triangle is set.
    energies : shape (M,), float64
        Squared norms of the rows of the matrix, as the sweeps meet them.
    backprojection : shape (Q, P), or None
        ``(A^H u)^T`` of the signals handed in.
    """

    blocks: list[list[tuple[slice, slice, Array]]]
    energies: NDArray[np.float64]
    backprojection: Array | None


@np.errstate(over="ignore", invalid="ignore")  # looked at below
def set_up(
    source: RowSource,
    library: Arrays,
    block: int,
    *,
    diagonal: NDArray[np.float64] | None = None,
    signals: Array | None = None,
) -> Gram:
    """Load each part once for the products of the rows within each block.

    Parameters
    ----------
    source : RowSource
    library : Arrays
    block : int
        Rows of a block.
    diagonal : shape (P,), optional
        Unscaled diagonal of the penalty.
    signals : shape (Q, M), optional
        To be backprojected on the way; rows as the sweeps meet them.

    Raises
    ------
    InputError
        A row that is not finite or too large.
    """
    kind = np.dtype(source.dtype)
    root = None if diagonal is None else library.put((diagonal**-0.5).astype(kind.type(0).real.dtype))
    back = None if signals is None else library.put(np.zeros((len(signals), source.shape[1]), kind))
    blocks, energies, first = [], [], 0
    with one_blas_thread():
        for index in range(len(source)):
            part, columns = library.put(source.load(index)), source.columns(index)
            size, own = len(part), None if root is None else root[columns]
            bounds = [slice(start, min(start + block, size)) for start in range(0, size, block)]
            tasks = [bounds[start : start + TASK] for start in range(0, len(bounds), TASK)]
            work = partial(_products, part, own, library)
            found = [products for task in each(work, tasks, library) for products in task]
            met = [slice(first + rows.start, first + rows.stop) for rows in bounds]
            blocks.append([(rows, at, gram) for rows, at, (gram, _) in zip(bounds, met, found, strict=True)])
            energies += [squares for _, squares in found]
            if signals is not None and back is not None:
                chosen = library.put(np.ascontiguousarray(signals[:, first : first + size]))
                back[..., columns] += (chosen.conj() @ part).conj()
            first += size
    return Gram(
        blocks,
        _finite(np.concatenate(energies).astype(np.float64), source),
        None if back is None else library.get(back),
    )


@np.errstate(over="ignore", invalid="ignore")
def _products(part: Any, root: Any, library: Arrays, bounds: list[slice]) -> list[tuple[Array, Array]]:
    """For each block the products of its rows with each other, and their squared norms."""
    found = []
    for rows in bounds:
        a = part[rows]
        gram = library.get(library.lower_gram(a if root is None else a * root))
        squares = gram.diagonal() if root is None else library.get((a * a.conj()).sum(1))
        found.append((gram, squares.real))
    return found


def _finite(energies: NDArray[np.float64], source: RowSource) -> NDArray[np.float64]:
    broken = ~np.isfinite(energies)
    if broken.any():
        row = int(walk_order(source)[broken].min())
        raise InputError(
            f"row {row} of the system matrix holds values that are not finite or too large",
            hint="leave the row out, or scale the matrix",
        )
    return energies
