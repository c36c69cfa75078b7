"""Alternating directions: each penalty by itself, joined through the quadratic part."""

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

INNER = 20  # conjugate gradient steps for one image, which starts from the last
SHARE = 0.1  # of the last residual: how far conjugate gradients may stay from solving
BALANCED = 2.0  # primal over dual residual beyond which the coupling is changed
CHANGES = 200  # iterations in which it may change; convergence needs an end of it
SETTLE = 10  # iterations from one change to the next
RELAXED = 1.6  # over-relaxation: copies go beyond the image


def admm(  # noqa: PLR0913 - the parameters of the objective and of the iteration
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
    """Reconstruct images by the alternating direction method of multipliers.

    Minimises ``||W(A c - b)||² + λ||c||² + μ g(c)`` for each column b of the data, starting from zero: over
    non-negative, over real or over complex images. The limit is the minimiser, exactly, and that of `fista`.
    One iteration costs several of `fista`, but there are fewer where the matrix has small singular values.

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
        Multiply λ and μ by ``||W A||_F² / P`` (see `penalty_scale` and `fista`).
    iterations : int
        At most.
    tolerance : float
        A frame is done when three figures are at most this: the distance of the image from its copies (T c
        and, with positivity, c), measured as an image, over its norm; the gradient that the last change of
        the copies stands for, and the residual of the conjugate gradients, both over the norm of the
        gradient at zero, ``||A^H W² b||``.
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
        Real with ``enforce_real`` or ``enforce_positive``, else complex. Exactly non-negative, and with `L1`
        exactly sparse.

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
    S. Boyd et al., Found. Trends Mach. Learn. 3, 1-122 (2011), sections 3.3 (residuals) and 3.4 (coupling
    that balances them, for each frame by itself; over-relaxation). Half the objective is split as
    ``f(c) + μ |z|/2``, z = T c, and the images are found by conjugate gradients.
    """
    real = enforce_real or enforce_positive
    problem = make_problem(
        matrix, data, lambda_=lambda_, mu=mu, relative=relative, weights=weights, real=real
    ).in_own_unit()
    check_prior(prior, mu, problem.voxels)
    start = _start(problem, prior if mu > 0 else None, positive=enforce_positive)
    return iterate(start, iterations=iterations, tolerance=tolerance, unit=problem.unit, tell=tell)


@dataclass
class _Copy:
    """Coefficients z that shall be T c, and the scaled multiplier u that draws them there."""

    prior: Prior
    mu: float
    positive: bool
    values: Array
    multiplier: Array

    def wanted(self) -> Array:
        """Return the image that the copy stands for, T^H (z - u)."""
        return self.prior.adjoint(self.values - self.multiplier)

    def follow(self, image: Array, coupling: PerFrame) -> tuple[PerFrame, Array]:
        """Go to the image; return their squared distance and the image of the change."""
        coefficients = self.prior.transform(image)
        ahead = RELAXED * coefficients + (1 - RELAXED) * self.values + self.multiplier
        threshold = self.mu / 2 / coupling
        if self.positive:
            values = np.maximum(ahead - threshold.astype(ahead.dtype), 0)
        else:
            values = self.prior.shrink(ahead, threshold)
        change = self.prior.adjoint(values - self.values)
        self.values, self.multiplier = values, ahead - values
        return squares(coefficients - values) / self.prior.bound, change


@dataclass
class _Admm:
    """Image c and its copies; the coupling rho of each frame."""

    problem: Problem
    copies: list[_Copy]
    prior: Prior | None
    pull: Array  # A^H W² b
    start: PerFrame  # its norm
    size: PerFrame  # norm of an image that is not small: the first step of steepest descent
    coupling: PerFrame
    accuracy: PerFrame
    solved: Array
    iterations: int = 0

    @property
    def image(self) -> Array:
        """The copy that is an image, where there is one; it is exactly non-negative or sparse."""
        exact = [copy.values for copy in self.copies if isinstance(copy.prior, L1)]
        return exact[0] if exact else self.solved

    def advance(self) -> tuple[PerFrame, PerFrame]:
        """See `Iteration`."""
        wanted = self.pull
        for copy in self.copies:
            wanted = wanted + times(self.coupling, copy.wanted())
        self.solved, rest = _conjugate_gradients(self._normal, wanted, self.solved, self.accuracy)
        distance, change = np.zeros_like(rest), np.zeros_like(self.solved)
        for copy in self.copies:
            squared, moved = copy.follow(self.solved, self.coupling)
            distance, change = distance + squared, change + moved
        primal = quotient(np.sqrt(distance), np.maximum(norms(self.solved), self.size))
        dual = quotient(self.coupling * norms(change), self.start)
        self.iterations += 1
        if self.iterations <= CHANGES and self.iterations % SETTLE == 0:
            self._balance(primal, dual)
        residual = np.maximum(np.maximum(primal, dual), quotient(rest, self.start))
        self.accuracy = SHARE * np.minimum(residual, 1) * self.start
        return self._objective(), residual

    def _normal(self, image: Array) -> Array:
        product = self.problem.normal(image)
        for copy in self.copies:
            product += times(self.coupling, copy.prior.adjoint(copy.prior.transform(image)))
        return product

    def _balance(self, primal: PerFrame, dual: PerFrame) -> None:
        factor = np.where(primal > BALANCED * dual, 2.0, np.where(dual > BALANCED * primal, 0.5, 1.0))
        self.coupling = factor * self.coupling
        for copy in self.copies:
            copy.multiplier = times(1 / factor, copy.multiplier)

    def _objective(self) -> PerFrame:
        image = self.image
        value = squares(self.problem.forward(image) - self.problem.data) + self.problem.lambda_ * squares(
            image
        )
        return value if self.prior is None else value + self.problem.mu * self.prior.value(image)

    def keep(self, frames: NDArray[np.bool_]) -> None:
        """See `Iteration`."""
        self.problem = self.problem.frames(frames)
        for copy in self.copies:
            copy.values, copy.multiplier = copy.values[..., frames], copy.multiplier[..., frames]
        self.pull, self.solved = self.pull[:, frames], self.solved[:, frames]
        self.start, self.size = self.start[frames], self.size[frames]
        self.coupling, self.accuracy = self.coupling[frames], self.accuracy[frames]


def _start(problem: Problem, prior: Prior | None, *, positive: bool) -> _Admm:
    with np.errstate(over="ignore", invalid="ignore"):  # `iterate` looks at the result
        pull = problem.adjoint(problem.data)
        start = norms(pull)
        size = quotient(start**3, inner(pull, problem.normal(pull)))
    image = problem.empty()
    copies = []
    if prior is not None:
        zeros = prior.transform(image)
        copies.append(_Copy(prior, problem.mu, positive and isinstance(prior, L1), zeros, zeros))
    if positive and not isinstance(prior, L1):
        copies.append(_Copy(L1(), 0.0, True, image, image))
    coupling = np.full(len(start), problem.scale)
    return _Admm(problem, copies, prior, pull, start, size, coupling, SHARE * start, image)


def _conjugate_gradients(
    normal: Callable[[Array], Array], wanted: Array, image: Array, accuracy: PerFrame
) -> tuple[Array, PerFrame]:
    """Solve ``normal(c) = wanted`` from a given image; return it and the norm of what is left."""
    rest = wanted - normal(image)
    direction, energy = rest, squares(rest)
    for _ in range(INNER):
        going = energy > accuracy**2
        if not going.any():
            break
        curved = normal(direction)
        step = quotient(np.where(going, energy, 0), inner(direction, curved))
        image = image + times(step, direction)
        rest = rest - times(step, curved)
        after = squares(rest)
        direction = rest + times(quotient(after, energy), direction)
        energy = after
    return image, np.sqrt(energy)
