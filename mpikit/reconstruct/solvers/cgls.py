"""Conjugate gradients for the quadratic part of the objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, silent
from mpikit.reconstruct.solvers.iterate import iterate
from mpikit.reconstruct.solvers.problem import (
    Array,
    PerFrame,
    Problem,
    make_problem,
    quotient,
    squares,
    times,
)


def cgls(
    matrix: Array,
    data: Array,
    *,
    lambda_: float,
    relative: bool = True,
    iterations: int = 100,
    tolerance: float = 1e-5,
    weights: Array | None = None,
    enforce_real: bool = True,
    tell: Callable[[Event], None] = silent,
) -> Array:
    """Reconstruct images by conjugate gradients on the least-squares problem.

    Minimises ``||W(A c - b)||² + λ||c||²`` for each column b of the data, starting from zero. Few iterations
    regularise too. There is no positivity: conjugate gradients cannot keep it, and an image that is made
    positive afterwards minimises nothing; `fista` and `admm` do it.

    Parameters
    ----------
    matrix : shape (M, P), complex64 or complex128
        System matrix A. Its type is the type of the computation.
    data : shape (M, Q)
        One column for each frame.
    lambda_ : float
        Weight λ of the penalty.
    relative : bool
        Multiply ``lambda_`` by ``||W A||_F² / P`` (see `penalty_scale`).
    iterations : int
        At most; in exact arithmetic P are enough.
    tolerance : float
        A frame is done when the gradient has at most this share of its norm at zero:
        ``||A^H W²(b - A c) - λ c|| <= tolerance ||A^H W² b||``.
    weights : shape (M,), optional
        Diagonal of W.
    enforce_real : bool
        Minimise over real images.
    tell : callable
        Is told each iteration: the objective, summed over frames, and the largest residual.

    Returns
    -------
    shape (P, Q)
        Real with ``enforce_real``, else complex.

    Raises
    ------
    UsageError
        λ or tolerance below 0, or no iterations.
    InputError
        Shapes that do not fit, or values that are not finite.
    NumericalError
        The image is no longer finite.

    Notes
    -----
    The residual of the data is carried along (CGLS: M. R. Hestenes and E. Stiefel, 1952; Å. Björck,
    *Numerical Methods for Least Squares Problems*, 1996, section 7.4), which loses less precision than
    conjugate gradients on the normal equations; the iterates are the same in exact arithmetic.
    """
    problem = make_problem(
        matrix, data, lambda_=lambda_, relative=relative, weights=weights, real=enforce_real
    ).in_own_unit()
    return iterate(_start(problem), iterations=iterations, tolerance=tolerance, unit=problem.unit, tell=tell)


@dataclass
class _Cgls:
    """Image c, rest W(b - A c), its slope A^H W rest - λ c, and the direction of the next step."""

    problem: Problem
    image: Array
    rest: Array
    direction: Array
    energy: PerFrame  # squared norm of the slope
    start: PerFrame  # the same at zero

    def advance(self) -> tuple[PerFrame, PerFrame]:
        """See `Iteration`."""
        lambda_ = self.problem.lambda_
        signal = self.problem.forward(self.direction)
        step = quotient(self.energy, squares(signal) + lambda_ * squares(self.direction))
        self.image = self.image + times(step, self.direction)
        self.rest = self.rest - times(step, signal)
        slope = self.problem.adjoint(self.rest)
        slope -= slope.dtype.type(lambda_) * self.image
        energy = squares(slope)
        # a slope that is rounding alone has lost its directions before: going on with them ends at infinity
        rounding = 8 * float(np.finfo(slope.dtype).eps)
        pace = np.where(energy > rounding**2 * self.start, quotient(energy, self.energy), 0)
        self.direction = slope + times(pace, self.direction)
        self.energy = energy
        objective = squares(self.rest) + lambda_ * squares(self.image)
        return objective, np.sqrt(quotient(energy, self.start))

    def keep(self, frames: NDArray[np.bool_]) -> None:
        """See `Iteration`."""
        self.problem = self.problem.frames(frames)
        self.image, self.rest = self.image[:, frames], self.rest[:, frames]
        self.direction = self.direction[:, frames]
        self.energy, self.start = self.energy[frames], self.start[frames]


def _start(problem: Problem) -> _Cgls:
    with np.errstate(over="ignore", invalid="ignore"):  # `iterate` looks at the result
        slope = problem.adjoint(problem.data)
        energy = squares(slope)
    return _Cgls(problem, problem.empty(), problem.data, slope, energy, energy)
