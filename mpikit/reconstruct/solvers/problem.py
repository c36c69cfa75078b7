"""The one objective that every solver here minimises, checked and with its weights made absolute."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, UsageError
from mpikit.reconstruct.kaczmarz import absolute_lambda, row_energies

Array = NDArray[Any]
PerFrame = NDArray[np.float64]  # shape (Q,)
FAR = 2.0**10  # norm of a column, or one over it: beyond, a problem is solved in a unit of its own


@dataclass(frozen=True)
class Problem:
    """``||W(A c - b)||² + λ||c||² + μ g(c)`` for each frame b, over complex or over real images c.

    Parameters
    ----------
    matrix : shape (M, P), complex
        System matrix A, rows contiguous, without the weights.
    data : shape (M, Q), complex
        W b, with the weights.
    weights : shape (M, 1), or None for ones
    lambda_, mu : float
        Absolute weights of the penalties.
    scale : float
        Mean energy of a column, ``||W A||_F² / P``: what relative weights are multiplied by.
    real : bool
        Only real images are looked at: the adjoint is followed by the real part.
    unit : float
        What W and b were divided by, see `in_own_unit`.
    """

    matrix: Array
    data: Array
    weights: Array | None
    lambda_: float
    mu: float
    scale: float
    real: bool
    unit: float = 1.0

    @property
    def voxels(self) -> int:
        """P."""
        return int(self.matrix.shape[1])

    def empty(self) -> Array:
        """Images of zeros, shape (P, Q), of the type of the computation."""
        kind = self.matrix.real.dtype if self.real else self.matrix.dtype
        return np.zeros((self.voxels, self.data.shape[1]), kind)

    def forward(self, image: Array) -> Array:
        """W A c, shape (M, Q)."""
        signal: Array = self.matrix @ image
        return signal if self.weights is None else self.weights * signal

    def adjoint(self, rest: Array) -> Array:
        """A^H W r, shape (P, Q); its real part over real images."""
        if self.weights is not None:
            rest = self.weights * rest
        # a^H r as conj(a^T conj(r)): the matrix itself is never copied to conjugate it.
        image: Array = self.matrix.T @ rest.conj()
        return np.ascontiguousarray(image.real) if self.real else np.conj(image, out=image)

    def normal(self, image: Array) -> Array:
        """(A^H W² A + λ) c, shape (P, Q)."""
        product = self.adjoint(self.forward(image))
        product += image.dtype.type(self.lambda_) * image
        return product

    def in_own_unit(self) -> Problem:
        """Return the same problem with columns of a norm near 1; its objective is smaller by ``unit²``.

        An iteration multiplies by the matrix again and again: with values of 1e-12 or 1e12 it would leave
        the range of single precision. A unit is a power of two, so that nothing is rounded.
        """
        unit = 2.0 ** round(np.log2(self.scale) / 2)
        if 1 / FAR < unit < FAR:
            return self
        kind = self.data.real.dtype.type
        shrunk = kind(1 / unit)
        weights = np.full((1, 1), shrunk) if self.weights is None else shrunk * self.weights
        square = unit**2
        with np.errstate(over="ignore"):  # the solver looks at its result
            data = shrunk * self.data
        return replace(
            self,
            data=data,
            weights=weights,
            lambda_=self.lambda_ / square,
            mu=self.mu / square,
            scale=self.scale / square,
            unit=self.unit * unit,
        )

    def frames(self, keep: NDArray[np.bool_]) -> Problem:
        """Return the problem of some of the frames."""
        return replace(self, data=np.ascontiguousarray(self.data[:, keep]))


def make_problem(
    matrix: Array,
    data: Array,
    *,
    lambda_: float,
    mu: float = 0.0,
    relative: bool,
    weights: Array | None,
    real: bool,
) -> Problem:
    """Check matrix, data, weights and penalties and put them together.

    Raises
    ------
    UsageError
        λ or μ below 0.
    InputError
        Shapes that do not fit, values that are not finite, a matrix of zeros, or a row weight below 0.
    """
    for name, value in (("lambda", lambda_), ("mu", mu)):
        if not (value >= 0 and np.isfinite(value)):
            raise UsageError(f"{name} must be finite and not negative, it is {value}")
    matrix, data = _fitting(matrix, data)
    column = None if weights is None else _column(weights, matrix)
    scale = penalty_scale(matrix, weights)
    factor = scale if relative else 1.0
    return Problem(
        matrix,
        data if column is None else column * data,
        column,
        float(lambda_ * factor),
        float(mu * factor),
        scale,
        real,
    )


def penalty_scale(matrix: Array, weights: Array | None = None) -> float:
    """Return what turns a relative λ or μ into the absolute one of the objective: ``||W A||_F² / P``.

    Parameters
    ----------
    matrix : shape (M, P)
    weights : shape (M,), optional
        Diagonal of W.

    Raises
    ------
    InputError
        A row that is not finite or too large, or a matrix of zeros.
    """
    energies = row_energies(np.ascontiguousarray(matrix))
    if not np.isfinite(energies).all():
        row = int(np.flatnonzero(~np.isfinite(energies))[0])
        raise InputError(
            f"row {row} of the system matrix holds values that are not finite or too large",
            hint="leave the row out, or scale the matrix",
        )
    if weights is not None:
        energies = energies * np.square(weights, dtype=np.float64)
    scale = absolute_lambda(matrix, 1.0, energies=energies)
    if scale == 0:
        raise InputError(
            "the system matrix has no row with energy: every image fits", hint="select other rows"
        )
    return scale


def _fitting(matrix: Array, data: Array) -> tuple[Array, Array]:
    if matrix.ndim != 2 or data.ndim != 2 or len(matrix) != len(data) or matrix.size == 0:
        raise InputError(
            f"matrix {matrix.shape} and data {data.shape} do not fit: expected (M, P) and (M, Q), M, P > 0"
        )
    if not data.shape[1]:
        raise InputError(f"the data {data.shape} hold no frames", hint="give at least one column")
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


def _column(weights: Array, matrix: Array) -> Array:
    if weights.shape != matrix.shape[:1]:
        raise InputError(
            f"weights {weights.shape} do not fit matrix {matrix.shape}: expected one for each row"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InputError("row weights must be finite and not negative", hint="leave such rows out")
    return weights.astype(matrix.real.dtype)[:, None]


def inner(first: Array, second: Array) -> PerFrame:
    """Real part of the inner product of each frame, shape (Q,), frames last.

    In double precision: squares of signals below 1e-19 or above 1e19 have no place in single precision.
    """
    frames, size = first.shape[-1], prod(first.shape[:-1])
    kind = np.complex128 if np.iscomplexobj(first) or np.iscomplexobj(second) else np.float64
    products = np.vecdot(first.reshape(size, frames).T, second.reshape(size, frames).T, dtype=kind)
    return np.asarray(products.real, dtype=np.float64)


def squares(values: Array) -> PerFrame:
    """Squared norm of each frame, shape (Q,), frames last."""
    return inner(values, values)


def norms(values: Array) -> PerFrame:
    """Norm of each frame, shape (Q,), frames last."""
    return np.sqrt(squares(values))


def quotient(above: PerFrame, below: PerFrame) -> PerFrame:
    """Divide; 0 where the divisor is 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def times(factors: PerFrame, values: Array) -> Array:
    """Multiply each frame (last axis) by its factor, in the precision of the values."""
    product: Array = factors.astype(values.real.dtype) * values
    return product
