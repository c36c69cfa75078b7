"""Regularised Kaczmarz: the solver that the field uses, in an exact blocked form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.device import arrays_on
from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.events import Event, Step, silent
from mpikit.reconstruct.blocked import BLOCK, BLOCK_FOR_FEW, FEW, Blocked, Penalty, Projection, set_up
from mpikit.reconstruct.rows import (
    Order,
    RowSource,
    absolute_lambda,
    as_source,
    row_energies,
    walk_order,
)
from mpikit.reconstruct.sweep import Sweep, signals_of, state_of

__all__ = ["Sweep", "absolute_lambda", "kaczmarz", "kaczmarz_sweeps", "row_energies"]

Array = NDArray[Any]


def kaczmarz(  # noqa: PLR0913 - each is a choice that an image depends on
    matrix: Array | RowSource,
    data: Array,
    *,
    lambda_: float | NDArray[np.floating],
    relative: bool = True,
    iterations: int = 10,
    enforce_real: bool = True,
    enforce_positive: bool = True,
    exact: bool = False,
    mask: NDArray[np.bool_] | None = None,
    weights: NDArray[np.floating] | None = None,
    order: Order = None,
    start: Sweep | None = None,
    device: str = "cpu",
    block: int | None = None,
    tell: Callable[[Event], None] = silent,
) -> Array:
    """Reconstruct images by regularised Kaczmarz.

    Minimises ``||W (A x - b)||² + λ ||x||²`` for each column b of the data with a few sweeps over the rows.
    Few sweeps regularise too: an image is reproducible only with λ, the number of sweeps and the order of
    the rows.

    Parameters
    ----------
    matrix : shape (M, P), or RowSource
        System matrix A. Its type, complex64 or complex128, is the type of the computation.
    data : shape (M, Q)
        One column for each frame.
    lambda_ : float, or shape (P,)
        Weight λ of the penalty, or the diagonal L > 0 of the penalty ``Σ L_n |x_n|²``.
    relative : bool
        Multiply ``lambda_`` by ``||W A||_F² / P``, so that scaling A and b alike changes nothing.
    iterations : int
        Sweeps over all rows.
    enforce_real : bool
        Set the imaginary part to zero after each sweep. The limit is the minimiser over real images.
    enforce_positive : bool
        Set negative values to zero after each sweep. Implies ``enforce_real``. The limit is non-negative but
        in general not the minimiser over non-negative images.
    exact : bool
        Correct the projection on positive values so that the limit is that minimiser. It takes many more
        sweeps to get there.
    mask : shape (P,), optional
        The voxels that are made real and positive. The others stay complex, and so does the result.
    weights : shape (M,), optional
        Weights w of the rows, the diagonal of W; a row of weight 0 is left out.
    order : int or shape (M,), optional
        In which order a sweep meets the rows: the seed of one random permutation for all sweeps and frames,
        or the order itself; ascending if not given. Another order than ascending copies the matrix.
    start : Sweep, optional
        Go on from there, also with other data or another λ. The limit is the same as from zero.
    device : {"cpu", "cuda", "torch-cpu"}
        NumPy, torch on a CUDA device, or the same code of torch on the CPU.
    block : int, optional
        Rows that are treated at once. The result does not depend on it, apart from rounding.
    tell : callable
        Is told each sweep.

    Returns
    -------
    shape (P, Q)
        Real when a projection makes all of it real, else complex.

    Raises
    ------
    UsageError
        λ below 0, no sweeps, a block without rows, an option that another one makes meaningless, or a
        device that is not there.
    InputError
        Shapes that do not fit, values that are not finite, no row with energy, or a start that belongs to
        another problem.
    NumericalError
        The iteration diverges.

    Notes
    -----
    Kaczmarz on the consistent system ``[W A  √λ I] [x; v] = W b`` (S. Kaczmarz, 1937, for λ = 0). Blocks of
    rows make the same iterates. The correction of ``exact`` is that of Boyle and Dykstra (1986).
    With λ = 0 and data that contradict each other there is no limit, but a cycle that depends on the order.
    """
    image: Array = np.zeros(0)
    sweeps = kaczmarz_sweeps(
        matrix,
        data,
        lambda_=lambda_,
        relative=relative,
        iterations=iterations,
        enforce_real=enforce_real,
        enforce_positive=enforce_positive,
        exact=exact,
        mask=mask,
        weights=weights,
        order=order,
        start=start,
        device=device,
        block=block,
    )
    for done, sweep in enumerate(sweeps, 1):
        tell(Step(done, iterations, {"residual": sweep.residual}))
        image = sweep.image
    return image


def kaczmarz_sweeps(  # noqa: PLR0913
    matrix: Array | RowSource,
    data: Array,
    *,
    lambda_: float | NDArray[np.floating],
    relative: bool = True,
    iterations: int = 10,
    enforce_real: bool = True,
    enforce_positive: bool = True,
    exact: bool = False,
    mask: NDArray[np.bool_] | None = None,
    weights: NDArray[np.floating] | None = None,
    order: Order = None,
    start: Sweep | None = None,
    device: str = "cpu",
    block: int | None = None,
) -> Iterator[Sweep]:
    """Yield the state of `kaczmarz`, which has the same parameters, after each sweep.

    Yields
    ------
    Sweep
        With copies: the caller may keep or change them.
    """
    source = as_source(matrix, order)
    data = _checked_data(source, data)
    block = block if block is not None else (BLOCK_FOR_FEW if data.shape[1] <= FEW else BLOCK)
    if iterations < 1 or block < 1:
        raise UsageError(f"iterations and block must be at least 1, not {iterations} and {block}")
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
    target = np.ascontiguousarray(
        (data if factors is None else factors[:, None] * data)[places].T, data.dtype
    )
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
    limit = _Limit(target, penalty)
    first = 0
    if start is not None and gram.backprojection is not None:
        state = state_of(start, gram.backprojection, projection, penalty, places)
        solver.start(state.image, state.dual, state.correction)
        limit.begin(state.image, state.dual)
        first = start.index
    whole_real = projection.real and isinstance(projection.where, slice)
    for index in range(first + 1, first + iterations + 1):
        residual = solver.sweep()
        image, dual = solver.image, np.empty((len(places), len(target)), data.dtype)
        dual[places] = solver.dual.T
        limit.check(image, dual, index)
        yield Sweep(
            index,
            (image.real.copy() if whole_real else image).T,
            dual,
            residual / limit.scale,
            penalty.values,
        )


class _Limit:
    """How large the state can be at most.

    Each step and each projection brings the pair (x, v) closer to all pairs that solve the system, and
    (0, W b / √λ) is one of them. So its norm stays below that of the start plus twice ``||W b|| / √λ``.
    """

    def __init__(self, target: Array, penalty: Penalty) -> None:
        with np.errstate(over="ignore"):
            self._target = float(np.linalg.norm(target))
        self._penalty = penalty
        self._begin = 0.0

    @property
    def scale(self) -> float:
        """Norm of the weighted data, or 1."""
        return self._target or 1.0

    def begin(self, image: Array, dual: Array) -> None:
        """Take the state (Q, P), (Q, M) that the iteration starts from."""
        self._begin = self._size(image, dual)

    def check(self, image: Array, dual: Array, index: int) -> None:
        """Raise NumericalError when the state after a sweep is no possible one."""
        if not np.isfinite(image).all():
            raise NumericalError(
                f"the image is no longer finite after sweep {index}",
                hint="values of the matrix or of the data are too large for their type; scale them",
            )
        size, most = self._size(image, dual), self._begin + 2 * self._target
        if size > 1.01 * most:
            raise NumericalError(
                f"the iteration diverges: size {size:.3g} after sweep {index}, expected at most {most:.3g}",
                hint="use complex128 or a larger lambda; a matrix read from a file must not change meanwhile",
            )

    def _size(self, image: Array, dual: Array) -> float:
        """Norm of √λ (x, v)."""
        with np.errstate(over="ignore"):
            if isinstance(self._penalty.values, float):
                own = self._penalty.values * float(np.vdot(image, image).real)
            else:
                own = float((self._penalty.values * (image * image.conj()).real).sum())
            return float(np.sqrt(own + self._penalty.ridge * float(np.vdot(dual, dual).real)))


def _checked_data(source: RowSource, data: Array) -> Array:
    if data.ndim != 2 or len(data) != source.shape[0]:
        raise InputError(
            f"matrix {source.shape} and data {data.shape} do not fit: expected (M, P) and (M, Q)"
        )
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
