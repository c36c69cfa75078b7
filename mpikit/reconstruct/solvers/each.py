"""A prior for several images that are found together, as those of several tracers are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mpikit.reconstruct.solvers.priors import Prior
from mpikit.reconstruct.solvers.problem import Array


class Each(Prior):
    """The sum of a prior over S images, (S P, Q) one after the other: neighbours are those of one image.

    Parameters
    ----------
    prior : Prior
        Of one image, shape (P, Q).
    count : int
        S.
    """

    def __init__(self, prior: Prior, count: int) -> None:
        self._prior, self._count = prior, count

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape (S, z, y, x) of all images."""
        return None if self._prior.shape is None else (self._count, *self._prior.shape)

    @property
    def bound(self) -> float:
        """That of the prior: its transform acts on each image."""
        return self._prior.bound

    def transform(self, image: Array) -> Array:
        """Coefficients of each image, shape (S, ..., Q)."""
        return self._apply(self._prior.transform, image.reshape(self._count, -1, image.shape[-1]))

    def adjoint(self, coefficients: Array) -> Array:
        """Return the images of coefficients, shape (S P, Q)."""
        return self._apply(self._prior.adjoint, coefficients).reshape(-1, coefficients.shape[-1])

    def magnitude(self, coefficients: Array) -> Array:
        """Return what is summed, as the prior does."""
        return self._apply(self._prior.magnitude, coefficients)

    def _apply(self, function: Callable[[Array], Array], images: Array) -> Array:
        return np.stack([function(image) for image in images])
