"""The state of Kaczmarz after a sweep, and how another run goes on from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, UsageError
from mpikit.reconstruct.blocked import Penalty, Projection
from mpikit.reconstruct.rows import RowSource

Array = NDArray[Any]


@dataclass(frozen=True)
class Sweep:
    """The state after one pass over all rows.

    Parameters
    ----------
    index : int
        Passes done so far, 1 after the first.
    image : shape (P, Q)
        Real when a projection makes all of it real, else complex.
    dual : shape (M, Q)
        The companion v of the image; √λ v tends to the weighted residual of the data (v itself for a λ for
        each voxel).
    residual : float
        Norm of W (b - A x) - √λ v over the norm of W b, each block of rows as the sweep met it.
    lambda_ : float, or shape (P,)
        The absolute λ.

    Notes
    -----
    Image and companion belong together: from zero and without a positive projection, ``x = A^H W v / √λ``
    (its real part when images are made real; for a λ for each voxel, ``x_n = (A^H W v)_n / L_n``). An image
    alone is no state to go on from: with v = 0 the limit would penalise the distance to that image. For λ = 0
    the companion is 0, and what the image has outside the span of the rows stays in it.
    """

    index: int
    image: Array
    dual: Array
    residual: float
    lambda_: float | NDArray[np.float64]

    @property
    def penalty(self) -> Penalty:
        """λ in the form that the iteration uses."""
        return Penalty(float(self.lambda_) if np.ndim(self.lambda_) == 0 else np.asarray(self.lambda_))


def signals_of(
    start: Sweep,
    source: RowSource,
    data: Array,
    weights: NDArray[np.float64] | None,
    places: NDArray[np.intp],
) -> Array:
    """Return what backprojects to the image of a state: W √λ v, shape (Q, M), rows as the sweeps meet them.

    Raises
    ------
    InputError
        The state has the shape of another problem, or values that are not finite.
    """
    wanted = ((source.shape[1], data.shape[1]), data.shape)
    if (start.image.shape, start.dual.shape) != wanted:
        raise InputError(
            f"the start has an image {start.image.shape} and a dual {start.dual.shape},"
            f" expected {wanted[0]} and {wanted[1]}",
            hint="go on from a sweep over the same rows, voxels and number of frames",
        )
    if not (np.isfinite(start.image).all() and np.isfinite(start.dual).all()):
        raise InputError("the start holds values that are not finite")
    signals = start.penalty.root * start.dual[places].T
    return np.asarray(signals if weights is None else signals * weights, data.dtype)


@dataclass(frozen=True)
class State:
    """What a run goes on from.

    Parameters
    ----------
    image : shape (Q, P)
    dual : shape (Q, M), rows as the sweeps meet them
    correction : shape (Q, projected voxels), or None
        Dykstra's correction.
    """

    image: Array
    dual: Array
    correction: Array | None


def state_of(
    start: Sweep,
    backprojection: Array,
    projection: Projection,
    penalty: Penalty,
    places: NDArray[np.intp],
) -> State:
    """Return the state of a sweep for a run that may have another λ, if it leads to the ordinary limit.

    Parameters
    ----------
    start : Sweep
    backprojection : shape (Q, P)
        ``(A^H u)^T`` of `signals_of` it.
    projection : Projection
    penalty : Penalty
        With the λ of the run.
    places : shape (M,)
        Which row the sweeps meet when.

    Raises
    ------
    InputError
        Image and companion do not belong together, in this problem.
    UsageError
        The λ of the state cannot be changed to the one that is wanted.
    """
    ratio = _ratio(start.penalty, penalty, projection)
    # Without projections: L x = A^H W √λ v.
    free = backprojection / start.penalty.values if start.penalty.root else start.image.T.astype(complex)
    expected = free.copy()
    if projection.real:
        expected.imag[:, projection.where] = 0
    found = start.image.T
    if projection.exact:
        expected.real[:, projection.where] = expected.real[:, projection.where].clip(min=0)
    elif projection.positive:  # the image depends on all projections made: only the sign is known
        expected[:, projection.where] = found.real[:, projection.where].clip(min=0)
    tolerance = np.sqrt(np.finfo(backprojection.dtype).eps)
    size = max(np.linalg.norm(found), np.linalg.norm(expected))
    if np.linalg.norm(found - expected) > tolerance * size:
        raise InputError(
            "the image and the dual of the start do not belong together in this problem",
            hint="go on from a sweep with the same matrix, weights and projections, not from an image alone",
        )
    factor = start.penalty.root * ratio / penalty.root if penalty.root else 1.0
    return State(
        found.astype(backprojection.dtype),
        (factor * start.dual[places].T).astype(backprojection.dtype),
        free.real[:, projection.where].clip(max=0) if projection.exact else None,
    )


def _ratio(before: Penalty, after: Penalty, projection: Projection) -> float:
    """Return what a λ has to be multiplied by to get another one."""
    if not before.root or not after.root:
        if before.root or after.root or projection.exact:
            raise UsageError(
                "a start made with lambda 0, or for lambda 0, takes both to be 0, and no exact projection",
                hint="begin from zero, or use a small lambda",
            )
        return 1.0
    ratios = np.ravel(np.asarray(after.values) / before.values)
    if not np.allclose(ratios, ratios[0]):
        raise UsageError(
            "the start was made with another lambda, expected the same or a multiple of it",
            hint="begin from zero",
        )
    if projection.positive and not projection.exact and not np.isclose(ratios[0], 1):
        raise UsageError(
            "the start was made with another lambda, and the limit of the plain positive projection depends"
            " on the way",
            hint="go on with the same lambda, or use exact in both",
        )
    return float(ratios[0])
