"""A run of Kaczmarz: its choices checked, its state, and whether it stays within bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.device import arrays_on
from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.reconstruct.blocked import BLOCK, BLOCK_FOR_FEW, FEW, Blocked, Penalty, Projection
from mpikit.reconstruct.gram import set_up
from mpikit.reconstruct.rows import Order, RowSource, as_source, walk_order
from mpikit.reconstruct.sweep import Sweep, signals_of, state_of

Array = NDArray[Any]


def begin(  # noqa: PLR0913
    matrix: Array | RowSource,
    data: Array,
    *,
    lambda_: float | NDArray[np.floating],
    relative: bool,
    enforce_real: bool,
    enforce_positive: bool,
    exact: bool,
    mask: NDArray[np.bool_] | None,
    weights: NDArray[np.floating] | None,
    order: Order,
    start: Sweep | None,
    device: str,
    block: int | None,
) -> Run:
    """Check the choices of `mpikit.reconstruct.kaczmarz`, set the solver up and put it to its start."""
    source = as_source(matrix, order)
    data = _checked_data(source, data)
    block = _checked_block(block, data.shape[1])
    projection = _projection(enforce_real, enforce_positive, exact, mask, source.shape[1])
    wanted, factors = _checked_lambda(lambda_, source), _checked_weights(weights, source)
    library, places = arrays_on(device), walk_order(source)
    met = None if factors is None else factors[places]
    signals = None if start is None else signals_of(start, source, data, met, places)
    diagonal = None if isinstance(wanted, float) else wanted
    gram = set_up(source, library, block, diagonal=diagonal, signals=signals)
    total = _total_energy(gram.energies, met)
    scale = total / source.shape[1] if relative else 1.0
    penalty = Penalty(wanted * scale)
    weighted = data if factors is None else factors[:, None] * data
    target = np.ascontiguousarray(weighted[places].T, data.dtype)
    solver = Blocked(
        source,
        gram,
        penalty,
        projection,
        target,
        weights=met,
        scale=1.0 if diagonal is None else scale,
        library=library,
    )
    if start is None or gram.backprojection is None:
        return Run(solver, places, penalty, projection, target, 0)
    state = state_of(start, gram.backprojection, projection, penalty, places)
    solver.start(state.image, state.dual, state.correction)
    return Run(solver, places, penalty, projection, target, start.index)


class Run:
    """The iteration, which knows how large its state can be at most.

    Parameters
    ----------
    solver : Blocked
        At its start.
    places : shape (M,)
        Which row the sweeps meet when.
    penalty : Penalty
    projection : Projection
    target : shape (Q, M)
        Weighted data, rows as the sweeps meet them.
    index : int
        Sweeps done before.

    Notes
    -----
    Each step and each projection brings the pair (x, v) closer to all pairs that solve the system, and
    (0, W b / √λ) is one of them. So its norm stays below that of the start plus twice ``||W b|| / √λ``.
    """

    def __init__(
        self,
        solver: Blocked,
        places: NDArray[np.intp],
        penalty: Penalty,
        projection: Projection,
        target: Array,
        index: int,
    ) -> None:
        self._solver, self._places, self._penalty = solver, places, penalty
        self._real = projection.real and isinstance(projection.where, slice)
        with np.errstate(over="ignore"):
            norm = float(np.linalg.norm(target))
        self._scale = norm or 1.0
        self._most = solver.size + 2 * norm
        self._index = index
        self.residual = float("nan")

    def sweep(self) -> None:
        """Pass over all rows once.

        Raises
        ------
        NumericalError
            The state is larger than it can be, or not finite.
        """
        self.residual = self._solver.sweep() / self._scale
        self._index += 1
        size = self._solver.size
        if not np.isfinite(size) and not np.isfinite(self._solver.image).all():
            raise NumericalError(
                f"the image is no longer finite after sweep {self._index}",
                hint="values of the matrix or of the data are too large for their type; scale them",
            )
        if size > 1.01 * self._most:
            raise NumericalError(
                f"the iteration diverges: size {size:.3g} after sweep {self._index},"
                f" expected at most {self._most:.3g}",
                hint="use complex128 or a larger lambda; a matrix read from a file must not change meanwhile",
            )

    @property
    def image(self) -> Array:
        """The images, shape (P, Q): a copy, real when a projection makes all of it real."""
        image = self._solver.image
        return (image.real.copy() if self._real else image).T

    @property
    def state(self) -> Sweep:
        """The state: copies."""
        found = self._solver.dual
        dual = np.empty(found.shape[::-1], found.dtype)
        dual[self._places] = found.T
        return Sweep(self._index, self.image, dual, self.residual, self._penalty.values)


def checked_iterations(iterations: int) -> int:
    """Return the number of sweeps, if it is one.

    Raises
    ------
    UsageError
        It is below 1.
    """
    if iterations < 1:
        raise UsageError(f"iterations must be at least 1, not {iterations}")
    return iterations


def _checked_block(block: int | None, frames: int) -> int:
    if block is None:
        return BLOCK_FOR_FEW if frames <= FEW else BLOCK
    if block < 1:
        raise UsageError(f"block must be at least 1, not {block}")
    return block


def _checked_data(source: RowSource, data: Array) -> Array:
    if data.ndim != 2 or len(data) != source.shape[0]:
        raise InputError(
            f"matrix {source.shape} and data {data.shape} do not fit: expected (M, P) and (M, Q)"
        )
    if not data.shape[1]:
        raise InputError(f"the data {data.shape} hold no frames", hint="give at least one column")
    if not np.isfinite(data).all():
        frames = np.flatnonzero(~np.isfinite(data).all(axis=0))
        raise InputError(
            f"the data hold values that are not finite, first in frame {frames[0]}",
            hint="leave the frame out, or repair the file",
        )
    return np.asarray(data, dtype=source.dtype)


def _checked_lambda(lambda_: float | NDArray[np.floating], source: RowSource) -> float | NDArray[np.float64]:
    if np.ndim(lambda_) == 0:
        single = float(lambda_)
        if not (single >= 0 and np.isfinite(single)):
            raise UsageError(f"lambda must be finite and not negative, it is {lambda_}")
        return single
    values = np.asarray(lambda_, np.float64)
    if values.shape != source.shape[1:]:
        raise InputError(f"lambda has the shape {values.shape}, expected one value or {source.shape[1]}")
    if not ((values > 0).all() and np.isfinite(values).all()):
        raise UsageError("each lambda of a voxel must be finite and above 0")
    return values


def _checked_weights(weights: NDArray[np.floating] | None, source: RowSource) -> NDArray[np.float64] | None:
    if weights is None:
        return None
    if np.shape(weights) != source.shape[:1]:
        raise InputError(
            f"weights {np.shape(weights)} do not fit matrix {source.shape}: expected one for each row"
        )
    factors = np.asarray(weights, np.float64)
    if not (np.isfinite(factors).all() and (factors >= 0).all()):
        raise InputError("row weights must be finite and not negative", hint="leave such rows out")
    return factors


def _total_energy(energies: NDArray[np.float64], weights: NDArray[np.float64] | None) -> float:
    total = float((energies if weights is None else energies * weights**2).sum())
    if total == 0:
        raise InputError(
            "the system matrix has no row with energy: every image fits",
            hint="select other rows; if all values are tiny, scale matrix and data alike",
        )
    return total


def _projection(
    real: bool, positive: bool, exact: bool, mask: NDArray[np.bool_] | None, voxels: int
) -> Projection:
    if exact and not positive:
        raise UsageError("exact says how images are made positive, but enforce_positive is off")
    if mask is None:
        return Projection(real or positive, positive, exact, slice(None))
    if not (real or positive):
        raise UsageError("a mask says which voxels are made real and positive, but both are off")
    if mask.shape != (voxels,) or mask.dtype != np.bool_:
        raise InputError(f"the mask has the shape {mask.shape}, expected a bool for each of {voxels} voxels")
    return Projection(real or positive, positive, exact, np.flatnonzero(mask))
