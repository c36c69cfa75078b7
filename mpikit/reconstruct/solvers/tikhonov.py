"""The closed form of the quadratic objective: one operator for many frames, and its noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, NumericalError
from mpikit.reconstruct.solvers.problem import Array, Problem, make_problem

BLOCK = 256  # voxels whose noise is computed at once


def tikhonov(
    matrix: Array,
    data: Array,
    *,
    lambda_: float,
    relative: bool = True,
    weights: Array | None = None,
    enforce_real: bool = True,
) -> Array:
    """Reconstruct images by the closed form of Tikhonov regularisation.

    Minimises ``||W(A c - b)||² + λ||c||²`` for each column b of the data, exactly.
    `tikhonov_operator` is for frames that come one after another, and for the noise of the image.

    Parameters
    ----------
    matrix : shape (M, P), complex64 or complex128
        System matrix A. It is factorised in double precision; the image has its precision.
    data : shape (M, Q)
        One column for each frame.
    lambda_ : float
        Weight λ of the penalty. With 0 and fewer rows than voxels: the smallest image that fits.
    relative : bool
        Multiply ``lambda_`` by ``||W A||_F² / P`` (see `penalty_scale`).
    weights : shape (M,), optional
        Diagonal of W.
    enforce_real : bool
        Minimise over real images.

    Returns
    -------
    shape (P, Q)
        Real with ``enforce_real``, else complex.

    Raises
    ------
    UsageError
        λ below 0.
    InputError
        Shapes that do not fit, or values that are not finite.
    NumericalError
        The normal equations are singular, or the image is not finite.
    """
    problem = make_problem(
        matrix, data, lambda_=lambda_, relative=relative, weights=weights, real=enforce_real
    )
    with np.errstate(over="ignore", invalid="ignore"):
        return _finite(_Closed(problem).images(problem.data))


def tikhonov_operator(
    matrix: Array,
    *,
    lambda_: float,
    relative: bool = True,
    weights: Array | None = None,
    enforce_real: bool = True,
) -> TikhonovOperator:
    """Compute the operator that takes data to the images of `tikhonov`, which has the same parameters.

    Returns
    -------
    TikhonovOperator
        R, shape (P, M), as large as the matrix.

    Notes
    -----
    Needs memory for the matrix twice, and for a square of the smaller of its sides, in double precision.
    """
    problem = make_problem(
        matrix,
        np.zeros((len(matrix), 1)),  # it does not depend on the data
        lambda_=lambda_,
        relative=relative,
        weights=weights,
        real=enforce_real,
    )
    operator = _Closed(problem).operator().astype(problem.matrix.dtype)
    if problem.weights is not None:
        operator *= problem.weights.T
    return TikhonovOperator(operator, problem.lambda_, enforce_real)


@dataclass(frozen=True)
class TikhonovOperator:
    """Tikhonov regularisation as one matrix: images are ``R b``, or the real part of it.

    Parameters
    ----------
    operator : shape (P, M)
        R. The weights of the rows are in it: it takes data as they were measured.
    lambda_ : float
        The absolute weight of the penalty.
    real : bool
        Images are ``Re(R b)``.
    """

    operator: Array
    lambda_: float
    real: bool

    def __call__(self, data: Array) -> Array:
        """Reconstruct data (M, Q) to images (P, Q).

        Raises
        ------
        InputError
            Data of another number of rows.
        NumericalError
            An image that is not finite.
        """
        if data.ndim != 2 or len(data) != self.operator.shape[1]:
            raise InputError(f"data {data.shape} do not fit: expected ({self.operator.shape[1]}, Q)")
        with np.errstate(over="ignore", invalid="ignore"):
            image = _finite(self.operator @ data.astype(self.operator.dtype, copy=False))
        return np.ascontiguousarray(image.real) if self.real else image

    def covariance(self, noise: Array) -> Array:
        """Covariance of the voxels under noise of the data, ``R Σ R^H``.

        Parameters
        ----------
        noise : shape (M,) or (M, M)
            Standard deviation of each row, ``E|n|² = noise²``, or the covariance Σ of the rows, ``E n n^H``.
            The noise is circular: its real and imaginary parts are alike and do not know of each other, as
            those of a spectrum are. That of averaged data is smaller by the root of the averages.

        Returns
        -------
        shape (P, P)
            In double precision, real for real images: ``Re(R Σ R^H) / 2``.
        """
        operator = self.operator.astype(np.complex128)
        spread = self._spread(operator, noise) @ operator.conj().T
        return cast("Array", spread.real / 2 if self.real else spread)

    def standard_deviation(self, noise: Array) -> NDArray[np.float64]:
        """Return the standard deviation of each voxel, shape (P,), without the whole `covariance`."""
        deviations = np.empty(len(self.operator))
        for start in range(0, len(deviations), BLOCK):
            part = self.operator[start : start + BLOCK].astype(np.complex128)
            deviations[start : start + BLOCK] = np.vecdot(part, self._spread(part, noise)).real
        return np.sqrt(deviations / 2 if self.real else deviations)

    def _spread(self, operator: Array, noise: Array) -> Array:
        """R Σ."""
        rows = self.operator.shape[1]
        if noise.shape == (rows,):
            return operator * np.square(noise, dtype=np.float64)
        if noise.shape == (rows, rows):
            return operator @ noise
        raise InputError(f"noise {noise.shape} does not fit: expected ({rows},) or ({rows}, {rows})")


def _finite(images: Array) -> Array:
    if np.isfinite(images).all():
        return images
    raise NumericalError(
        "the image is not finite",
        hint="values of the matrix or of the data are not finite, or too large for their type; scale them",
    )


class _Closed:
    """``(B^H B + λ)⁻¹ B^H`` or, with fewer rows than voxels, the same as ``B^H (B B^H + λ)⁻¹``.

    B is W A or, over real images, its real part above its imaginary part; in double precision, because
    squaring costs half of the digits.
    """

    def __init__(self, problem: Problem) -> None:
        from scipy.linalg import LinAlgError, cho_factor

        self._kind = problem.empty().dtype
        weighted = problem.matrix if problem.weights is None else problem.weights * problem.matrix
        self._matrix = _stacked(weighted, real=problem.real)
        self._real = problem.real
        tall = len(self._matrix) >= problem.voxels
        self._tall = tall
        adjoint = self._matrix.conj().T
        gram = adjoint @ self._matrix if tall else self._matrix @ adjoint
        np.fill_diagonal(gram, gram.diagonal() + problem.lambda_)
        try:
            self._factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            raise NumericalError(
                f"the normal equations are singular with an absolute lambda of {problem.lambda_:.3g}",
                hint="give a larger lambda: relative values of 1e-3 to 1e-1 are usual",
            ) from None

    def images(self, data: Array) -> Array:
        """Images (P, Q) of weighted data (M, Q)."""
        from scipy.linalg import cho_solve

        stacked = _stacked(data, real=self._real)
        adjoint = self._matrix.conj().T
        if self._tall:
            found = cho_solve(self._factor, adjoint @ stacked, check_finite=False)
        else:
            found = adjoint @ cho_solve(self._factor, stacked, check_finite=False)
        return cast("Array", found.astype(self._kind))

    def operator(self) -> Array:
        """Return the same as one complex matrix (P, M); over real images its product's real part counts."""
        from scipy.linalg import cho_solve

        if self._tall:
            found = cho_solve(self._factor, self._matrix.conj().T, check_finite=False)
        else:
            found = cho_solve(self._factor, self._matrix, check_finite=False).conj().T
        if self._real:
            of_real, of_imaginary = np.split(found, 2, axis=1)
            found = of_real - 1j * of_imaginary
        return cast("Array", found)


def _stacked(values: Array, *, real: bool) -> Array:
    """In double precision; for real images the real parts above the imaginary ones."""
    parts = np.concatenate([values.real, values.imag]) if real else values
    return parts.astype(np.float64 if real else np.complex128)
