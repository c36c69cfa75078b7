"""Regularised Kaczmarz: the solver that the field uses, in an exact blocked form."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, solve_triangular
from threadpoolctl import ThreadpoolController

from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.events import Event, Step, silent

Array = NDArray[Any]

BLOCK = 128  # rows; larger ones cost more set-up, smaller ones use the cache badly
SMALLEST_GROUP = 8  # frames for one thread: with fewer the product is bound by reading the matrix


@dataclass(frozen=True)
class Sweep:
    """The state after one pass over all rows.

    Parameters
    ----------
    index : int
        Passes done so far, 1 after the first.
    image : shape (P, Q)
        Real when a projection makes it real, else complex.
    dual : shape (M, Q)
        The companion v of the image; sqrt(lambda) v tends to the residual of the data.
    residual : float
        Norm of b - A x - sqrt(lambda) v over the norm of b, each row as the sweep met it.
    """

    index: int
    image: Array
    dual: Array
    residual: float


def kaczmarz(
    matrix: Array,
    data: Array,
    *,
    lambda_: float,
    relative: bool = True,
    iterations: int = 10,
    enforce_real: bool = True,
    enforce_positive: bool = True,
    block: int = BLOCK,
    tell: Callable[[Event], None] = silent,
) -> Array:
    """Reconstruct images by regularised Kaczmarz.

    Minimises ``||A x - b||² + λ ||x||²`` for each column b of the data, starting from zero, with a few
    sweeps over the rows in the given order. Few sweeps regularise too: an image is reproducible only
    with λ, the number of sweeps and the order of the rows.

    Parameters
    ----------
    matrix : shape (M, P), complex64 or complex128
        System matrix A. Its type is the type of the computation.
    data : shape (M, Q)
        One column for each frame.
    lambda_ : float
        Weight λ of the penalty.
    relative : bool
        Multiply ``lambda_`` by ``||A||_F² / P``, so that scaling A and b alike changes nothing.
    iterations : int
        Sweeps over all rows.
    enforce_real : bool
        Set the imaginary part to zero after each sweep.
    enforce_positive : bool
        Set negative values to zero after each sweep. Implies ``enforce_real``. The limit is non-negative but
        in general not the minimiser of the constrained problem.
    block : int
        Rows that are treated at once. The result does not depend on it, apart from rounding.
    tell : callable
        Is told each sweep.

    Returns
    -------
    shape (P, Q)
        Real when a projection makes it real, else complex.

    Raises
    ------
    UsageError
        λ below 0, no sweeps, or a block without rows.
    InputError
        Shapes that do not fit, or values that are not finite.
    NumericalError
        The image is no longer finite.

    Notes
    -----
    Kaczmarz on the consistent system ``[A  √λ I] [x; v] = b`` (S. Kaczmarz, 1937, for λ = 0).
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
        block=block,
    )
    for sweep in sweeps:
        tell(Step(sweep.index, iterations, {"residual": sweep.residual}))
        image = sweep.image
    return image


def kaczmarz_sweeps(
    matrix: Array,
    data: Array,
    *,
    lambda_: float,
    relative: bool = True,
    iterations: int = 10,
    enforce_real: bool = True,
    enforce_positive: bool = True,
    block: int = BLOCK,
) -> Iterator[Sweep]:
    """Yield the state of `kaczmarz`, which has the same parameters, after each sweep.

    Yields
    ------
    Sweep
        With copies: the caller may keep or change them.
    """
    matrix, data = _checked(matrix, data)
    if iterations < 1 or block < 1:
        raise UsageError(f"iterations and block must be at least 1, not {iterations} and {block}")
    energies = row_energies(matrix)
    absolute = absolute_lambda(matrix, lambda_, energies=energies) if relative else lambda_
    if not absolute >= 0:
        raise UsageError(f"lambda must not be negative, it is {lambda_}")
    solver = _Solver(matrix, data, energies, absolute, block)
    real = enforce_real or enforce_positive
    with np.errstate(over="ignore"):
        scale = float(np.linalg.norm(data)) or 1.0
    for index in range(1, iterations + 1):
        residual = solver.sweep()
        for part in solver.images:
            _project(part, real=real, positive=enforce_positive)
        image = np.concatenate([part.real if real else part for part in solver.images], axis=1)
        if not np.isfinite(image).all():
            raise NumericalError(
                f"the image is no longer finite after sweep {index}",
                hint="values of the matrix or of the data are too large for their type; scale them",
            )
        yield Sweep(index, image, solver.dual, residual / scale)


def _project(image: Array, *, real: bool, positive: bool) -> None:
    if real:
        image.imag[:] = 0
    if positive:
        np.maximum(image.real, 0, out=image.real)


@np.errstate(over="ignore", invalid="ignore")
def row_energies(matrix: Array) -> NDArray[np.float64]:
    """Squared norm of each row of a row-major complex matrix, shape (M,)."""
    parts = matrix.view(matrix.real.dtype)  # real and imaginary parts side by side: no copy
    return cast("NDArray[np.float64]", np.vecdot(parts, parts).astype(np.float64))


def absolute_lambda(matrix: Array, relative: float, *, energies: NDArray[np.float64] | None = None) -> float:
    """Return the λ of the objective that a relative one stands for: ``relative * ||A||_F² / P``.

    Parameters
    ----------
    matrix : shape (M, P)
    relative : float
    energies : shape (M,), optional
        Squared norms of the rows, when they are known.
    """
    if energies is None:
        energies = row_energies(np.ascontiguousarray(matrix))
    return float(relative * energies.sum() / matrix.shape[1])


def _checked(matrix: Array, data: Array) -> tuple[Array, Array]:
    if matrix.ndim != 2 or data.ndim != 2 or len(matrix) != len(data) or matrix.size == 0:
        raise InputError(
            f"matrix {matrix.shape} and data {data.shape} do not fit: expected (M, P) and (M, Q), M, P > 0"
        )
    kind = np.result_type(matrix.dtype, np.complex64)
    matrix = np.ascontiguousarray(matrix, dtype=kind)
    data = np.asarray(data, dtype=kind)
    if not np.isfinite(data).all():
        frames = np.flatnonzero(~np.isfinite(data).all(axis=0))
        raise InputError(
            f"the data hold values that are not finite, first in frame {frames[0]}",
            hint="leave the frame out, or repair the file",
        )
    return matrix, data


@dataclass(frozen=True)
class _Group:
    """Some frames of the state, each array by itself in memory: image (P, q), dual and data (M, q)."""

    image: Array
    dual: Array
    data: Array


class _Solver:
    """State of the iteration and the sweep over blocks of rows a.

    r = b - a x - √λ v,   beta = (strictly_lower(a a^H) + diag(e + λ))⁻¹ r,   x += a^H beta,   v += √λ beta
    """

    def __init__(
        self, matrix: Array, data: Array, energies: NDArray[np.float64], lambda_: float, block: int
    ) -> None:
        if not np.isfinite(energies).all():
            row = int(np.flatnonzero(~np.isfinite(energies))[0])
            raise InputError(
                f"row {row} of the system matrix holds values that are not finite or too large",
                hint="leave the row out, or scale the matrix",
            )
        rows, voxels = matrix.shape
        self._root = float(np.sqrt(lambda_))
        self._groups = [
            _Group(
                np.zeros((voxels, part.shape[1]), matrix.dtype),
                np.zeros(part.shape, matrix.dtype),
                np.ascontiguousarray(part),
            )
            for part in np.array_split(data, _groups_of_frames(data.shape[1]), axis=1)
        ]
        self._threads = ThreadpoolController()
        with self._threads.limit(limits=1, user_api="blas"):
            self._blocks = [
                (part, matrix[part], _inverse_triangle(matrix[part], energies[part], lambda_))
                for part in (slice(start, start + block) for start in range(0, rows, block))
            ]

    @property
    def images(self) -> list[Array]:
        """The parts of the image, to be changed in place."""
        return [group.image for group in self._groups]

    @property
    def dual(self) -> Array:
        """The companion v, shape (M, Q): a copy."""
        return np.concatenate([group.dual for group in self._groups], axis=1)

    def sweep(self) -> float:
        """Pass over all rows once; return the norm of the residuals met."""
        # Frames are independent: own threads on groups of frames, each with a single-threaded BLAS, do not
        # collapse when another process keeps a core busy, as spinning BLAS threads do.
        with self._threads.limit(limits=1, user_api="blas"):
            if len(self._groups) == 1:
                return float(np.sqrt(self._sweep(self._groups[0])))
            with ThreadPoolExecutor(len(self._groups)) as pool:
                return float(np.sqrt(sum(pool.map(self._sweep, self._groups))))

    @np.errstate(over="ignore", invalid="ignore")  # `kaczmarz_sweeps` looks at the result
    def _sweep(self, group: _Group) -> float:
        image, dual = group.image, group.dual
        squares = 0.0
        step = np.empty_like(image)
        for rows, a, inverse in self._blocks:
            rest = a @ image
            rest += self._root * dual[rows]
            np.subtract(group.data[rows], rest, out=rest)
            squares += float(np.vdot(rest, rest).real)
            beta = inverse @ rest
            # a^H beta as conj(a^T conj(beta)): the block itself is never copied to conjugate it.
            np.matmul(a.T, beta.conj(), out=step)
            image += np.conj(step, out=step)
            dual[rows] += self._root * beta
        return squares


@np.errstate(over="ignore", invalid="ignore")
def _inverse_triangle(a: Array, energies: NDArray[np.float64], lambda_: float) -> Array:
    """Inverse of the lower triangle of a block; rows without energy get zeros, so they are skipped."""
    (herk,) = blas.get_blas_funcs(("herk",), (a,))
    gram = herk(1, a.T, trans=2, lower=1).conj().astype(np.complex128)
    empty = energies == 0
    np.fill_diagonal(gram, np.where(empty, 1, energies + lambda_))
    inverse = solve_triangular(gram, np.eye(len(gram)), lower=True, check_finite=False)
    inverse[empty] = 0
    return np.ascontiguousarray(inverse, dtype=a.dtype)


def _groups_of_frames(frames: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, frames // SMALLEST_GROUP))
