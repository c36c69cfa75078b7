"""The loop that the iterative solvers share: stopping, telling, and frames that are done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import NumericalError, UsageError
from mpikit.events import Event, Step, Warned
from mpikit.reconstruct.solvers.problem import Array, PerFrame


class Iteration(Protocol):
    """A solver at work on q frames."""

    @property
    def image(self) -> Array:
        """What has been reached, shape (P, q)."""

    def advance(self) -> tuple[PerFrame, PerFrame]:
        """Do one iteration; return objective and residual of each frame, shape (q,)."""

    def keep(self, frames: NDArray[np.bool_]) -> None:
        """Go on with some of the frames alone."""


def iterate(
    solver: Iteration, *, iterations: int, tolerance: float, unit: float, tell: Callable[[Event], None]
) -> Array:
    """Run a solver until the residual of each frame is at most the tolerance, or the iterations are done.

    A frame that is done is left alone, so an image does not depend on what it was reconstructed with. The
    objective is told in the unit of the data, see `mpikit.reconstruct.solvers.problem.Problem.in_own_unit`.

    Raises
    ------
    UsageError
        No iterations, or a tolerance below 0.
    NumericalError
        A figure that is not finite.
    """
    if iterations < 1 or not tolerance >= 0:
        raise UsageError(
            f"iterations must be at least 1 and tolerance not negative, not {iterations} and {tolerance}"
        )
    images = solver.image.copy()
    frames = np.arange(images.shape[1])
    objectives = np.zeros(len(frames))
    residuals = np.zeros(0)
    for index in range(1, iterations + 1):
        objectives[frames], residuals = _advanced(solver, index)
        images[:, frames] = solver.image
        worst = float(residuals.max(initial=0))
        tell(Step(index, iterations, {"objective": unit**2 * float(objectives.sum()), "residual": worst}))
        going = residuals > tolerance
        if not going.all():
            frames = frames[going]
            solver.keep(going)
        if not frames.size:
            return images
    if tolerance > 0:
        tell(
            Warned(
                f"{frames.size} of {images.shape[1]} frames are above the tolerance of {tolerance:g} after "
                f"{iterations} iterations, the residual is at most {worst:.2g}; more iterations bring it down"
            )
        )
    return images


@np.errstate(over="ignore", invalid="ignore")  # the result is looked at
def _advanced(solver: Iteration, index: int) -> tuple[PerFrame, PerFrame]:
    objectives, residuals = solver.advance()
    if not (np.isfinite(objectives).all() and np.isfinite(residuals).all()):
        raise NumericalError(
            f"the image is no longer finite after iteration {index}",
            hint="values of the matrix or of the data are too large for their type; scale them",
        )
    return objectives, residuals
