"""Proximal maps that take iterations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpikit.reconstruct.solvers.problem import Array, PerFrame, inner

if TYPE_CHECKING:
    from mpikit.reconstruct.solvers.priors import Prior

MOST = 100  # iterations; a solver that starts from the last dual needs few
CHECK = 5  # iterations between two looks at the duality gap, which costs as much as one


def dual_proximal(
    prior: Prior,
    point: Array,
    threshold: PerFrame,
    *,
    positive: bool,
    accuracy: PerFrame,
    dual: Array | None = None,
    iterations: int = MOST,
) -> tuple[Array, Array]:
    """Minimise ``||c - v||²/2 + t sum |T c|`` over all, or over non-negative, c.

    The dual problem is to find coefficients d with ``|d| <= t``; the image is ``max(v - T^H d, 0)``, or
    without the maximum. Its gradient is Lipschitz with the squared norm of T.

    Parameters
    ----------
    prior : Prior
        T, its adjoint, and the bound of its squared norm.
    point : shape (P, Q)
        v.
    threshold : shape (Q,)
        t.
    positive : bool
        Minimise over c >= 0.
    accuracy : shape (Q,)
        Stop when the duality gap shows that every image is this close to its minimiser.
    dual : array, optional
        Coefficients to start from; their magnitudes need not be below t.
    iterations : int
        At most.

    Returns
    -------
    image : shape (P, Q)
    dual : array
        The coefficients d.

    Notes
    -----
    Fast gradient projection: A. Beck and M. Teboulle, IEEE Trans. Image Process. 18, 2419-2434 (2009).
    """

    def image(pulled: Array) -> Array:
        moved = point - pulled
        return np.maximum(moved, 0, out=moved) if positive else moved

    rate = 1 / prior.bound
    dual = np.zeros_like(prior.transform(point)) if dual is None else prior.clip(dual, threshold)
    ahead, pulled = dual, prior.adjoint(dual)  # pulled is T^H d; it is linear, so that of `ahead` is free
    pulled_ahead, theta = pulled, 1.0
    for index in range(1, iterations + 1):
        step = prior.transform(image(pulled_ahead))
        step *= step.real.dtype.type(rate)
        after = prior.clip(ahead + step, threshold)
        pulled_after = prior.adjoint(after)
        following = (1 + np.sqrt(1 + 4 * theta**2)) / 2
        pace = step.real.dtype.type((theta - 1) / following)
        ahead = after + pace * (after - dual)
        pulled_ahead = pulled_after + pace * (pulled_after - pulled)
        dual, pulled, theta = after, pulled_after, following
        if index % CHECK == 0 and _close(prior, image(pulled), dual, threshold, accuracy):
            break
    return image(pulled), dual


def _close(prior: Prior, image: Array, dual: Array, threshold: PerFrame, accuracy: PerFrame) -> bool:
    # The primal is strongly convex with constant 1: gap >= distance² / 2.
    coefficients = prior.transform(image)
    sizes = prior.magnitude(coefficients)
    sizes = sizes.reshape(-1, sizes.shape[-1])
    gap = threshold * sizes.sum(axis=0, dtype=np.float64) - inner(dual, coefficients)
    return bool((2 * gap <= accuracy**2).all())
