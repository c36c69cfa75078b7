"""Accelerated proximal gradients: sparse, smooth by pieces, non-negative images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, silent
from mpikit.reconstruct.solvers.iterate import iterate
from mpikit.reconstruct.solvers.priors import L1, Prior, check_prior
from mpikit.reconstruct.solvers.problem import (
    Array,
    PerFrame,
    Problem,
    inner,
    make_problem,
    norms,
    quotient,
    squares,
    times,
)

SAFETY = 1.02  # over what the power iteration finds: it comes from below
SHARE = 0.1  # of the last step: how far from exact a proximal map that takes iterations may stay


def fista(  # noqa: PLR0913 - the parameters of the objective and of the iteration
    matrix: Array,
    data: Array,
    *,
    lambda_: float,
    mu: float = 0.0,
    prior: Prior | None = None,
    relative: bool = True,
    iterations: int = 500,
    tolerance: float = 1e-4,
    weights: Array | None = None,
    enforce_real: bool = True,
    enforce_positive: bool = True,
    tell: Callable[[Event], None] = silent,
) -> Array:
    """Reconstruct images by accelerated proximal gradients.

    Minimises ``||W(A c - b)||² + λ||c||² + μ g(c)`` for each column b of the data, starting from zero: over
    non-negative, over real or over complex images. The limit is the minimiser, exactly.

    Parameters
    ----------
    matrix : shape (M, P), complex64 or complex128
        System matrix A. Its type is the type of the computation.
    data : shape (M, Q)
        One column for each frame.
    lambda_, mu : float
        Weights λ and μ of the penalties.
    prior : Prior, optional
        The penalty g: `L1`, `TotalVariation` or `Wavelet`.
    relative : bool
        Multiply λ and μ by ``||W A||_F² / P`` (see `penalty_scale`), so that scaling A and b alike changes
        nothing. μ has the unit of the image besides: an image that is ten times as strong is treated the
        same with ten times the μ.
    iterations : int
        At most.
    tolerance : float
        A frame is done when the generalised gradient, the last step times its Lipschitz constant, has at most
        this share of the norm of the gradient at zero, ``||A^H W² b||``.
    weights : shape (M,), optional
        Diagonal of W.
    enforce_real : bool
        Minimise over real images.
    enforce_positive : bool
        Minimise over non-negative images. Implies ``enforce_real``.
    tell : callable
        Is told each iteration: the objective, summed over frames, and the largest residual.

    Returns
    -------
    shape (P, Q)
        Real with ``enforce_real`` or ``enforce_positive``, else complex.

    Raises
    ------
    UsageError
        λ, μ or tolerance below 0, no iterations, μ without a prior, or a prior for another number of voxels.
    InputError
        Shapes that do not fit, or values that are not finite.
    NumericalError
        The image is no longer finite.

    Notes
    -----
    A. Beck and M. Teboulle, SIAM J. Imaging Sci. 2, 183-202 (2009); restarted when the last step and the
    gradient disagree (B. O'Donoghue and E. Candès, Found. Comput. Math. 15, 715-732, 2015), each frame by
    itself. The step is one over the largest eigenvalue of ``A^H W² A + λ``, by power iteration; a step that
    meets a larger curvature corrects it.
    """
    real = enforce_real or enforce_positive
    problem = make_problem(
        matrix, data, lambda_=lambda_, mu=mu, relative=relative, weights=weights, real=real
    ).in_own_unit()
    check_prior(prior, mu, problem.voxels)
    prior = L1() if prior is None or mu == 0 else prior
    start = start_fista(problem, prior, positive=enforce_positive, bound=largest_curvature(problem))
    return iterate(start, iterations=iterations, tolerance=tolerance, unit=problem.unit, tell=tell)


@dataclass
class Fista:
    """The iteration: images c of this and the last step, and the signals W A c that belong to them."""

    problem: Problem
    prior: Prior
    positive: bool
    bound: PerFrame  # of the curvature of half the quadratic part
    start: PerFrame  # norm of the gradient at zero
    image: Array
    last: Array
    signal: Array
    last_signal: Array
    theta: PerFrame
    accuracy: PerFrame
    dual: Array | None = None

    def advance(self) -> tuple[PerFrame, PerFrame]:
        """See `Iteration`."""
        problem, bound = self.problem, self.bound
        theta = (1 + np.sqrt(1 + 4 * self.theta**2)) / 2
        pace = (self.theta - 1) / theta
        point = self.image + times(pace, self.image - self.last)
        signal = self.signal + times(pace, self.signal - self.last_signal)
        slope = problem.adjoint(signal - problem.data)
        slope += slope.dtype.type(problem.lambda_) * point
        image, self.dual = self.prior.proximal(
            point - times(1 / bound, slope),
            problem.mu / 2 / bound,
            positive=self.positive,
            accuracy=self.accuracy,
            dual=self.dual,
        )
        self.last, self.last_signal = self.image, self.signal
        self.image, self.signal = image, problem.forward(image)
        step, moved = image - point, image - self.last
        self.bound = np.maximum(bound, SAFETY * self._curvature(step, self.signal - signal))
        # The generalised gradient points against the step: the momentum carries uphill, so it starts anew.
        self.theta = np.where(inner(step, moved) < 0, 1.0, theta)
        self.accuracy = SHARE * norms(moved)
        return self._objective(), quotient(bound * norms(step), self.start)

    def _objective(self) -> PerFrame:
        value = squares(self.signal - self.problem.data) + self.problem.lambda_ * squares(self.image)
        return value + self.problem.mu * self.prior.value(self.image)

    def _curvature(self, step: Array, signal: Array) -> PerFrame:
        """Of half the quadratic part along a step; 0 where rounding rules the step."""
        length = squares(step)
        rounding = 1e4 * float(np.finfo(step.dtype).eps)
        length[length <= rounding**2 * squares(self.image)] = 0
        return quotient(squares(signal) + self.problem.lambda_ * length, length)

    def keep(self, frames: NDArray[np.bool_]) -> None:
        """See `Iteration`."""
        self.problem = self.problem.frames(frames)
        self.bound, self.start = self.bound[frames], self.start[frames]
        self.theta, self.accuracy = self.theta[frames], self.accuracy[frames]
        self.image, self.last = self.image[:, frames], self.last[:, frames]
        self.signal, self.last_signal = self.signal[:, frames], self.last_signal[:, frames]
        self.dual = None if self.dual is None else self.dual[..., frames]


def start_fista(problem: Problem, prior: Prior, *, positive: bool, bound: float) -> Fista:
    """Start from zero, with a bound of the curvature of half the quadratic part."""
    image = problem.empty()
    signal = np.zeros_like(problem.data)
    frames = image.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):  # `iterate` looks at the result
        start = norms(problem.adjoint(problem.data))
    return Fista(
        problem,
        prior,
        positive,
        np.full(frames, bound),
        start,
        image,
        image,
        signal,
        signal,
        np.zeros(frames),  # so that the first theta is 1
        SHARE * start / bound,
    )


@np.errstate(over="ignore", invalid="ignore")  # the solver looks at its result
def largest_curvature(problem: Problem, *, iterations: int = 60, tolerance: float = 1e-4) -> float:
    """Return the largest eigenvalue of ``A^H W² A + λ``, with some safety, by power iteration.

    Parameters
    ----------
    problem : Problem
    iterations : int
        At most.
    tolerance : float
        Stop when an iteration changes the value by no more than this share.

    Notes
    -----
    Starts from the same numbers each time, so that a run can be repeated.
    """
    rng = np.random.default_rng(1)
    image: Array = rng.normal(size=(problem.voxels, 1)).astype(problem.matrix.real.dtype)
    largest = 0.0
    for _ in range(iterations):
        image = times(1 / norms(image), image)
        image = problem.adjoint(problem.forward(image))
        before, largest = largest, float(norms(image)[0])
        if largest == 0 or largest - before <= tolerance * largest:
            break
    return SAFETY * max(largest, problem.scale) + problem.lambda_
