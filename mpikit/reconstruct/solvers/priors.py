"""What is known about images: the penalties g of the objective, each the norm of a linear transform."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod

import numpy as np

from mpikit.errors import UsageError
from mpikit.reconstruct.solvers.problem import Array, PerFrame
from mpikit.reconstruct.solvers.proximal import dual_proximal


class Prior(ABC):
    """A penalty ``g(c) = sum |T c|`` with a linear transform T; images (P, Q) are treated one by one.

    The coefficients T c have any shape, but the frames come last.
    """

    @property
    @abstractmethod
    def bound(self) -> float:
        """At least the squared norm of T."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape (z, y, x) of an image, where it matters."""
        return None

    @abstractmethod
    def transform(self, image: Array) -> Array:
        """T c."""

    @abstractmethod
    def adjoint(self, coefficients: Array) -> Array:
        """T^H of coefficients: an image, shape (P, Q)."""

    def magnitude(self, coefficients: Array) -> Array:
        """Return what is summed, with axes of length 1 where coefficients belong together."""
        return np.abs(coefficients)

    def value(self, image: Array) -> PerFrame:
        """Return g of each image, shape (Q,)."""
        sizes = self.magnitude(self.transform(image))
        return np.asarray(sizes.reshape(-1, image.shape[1]).sum(axis=0, dtype=np.float64))

    def shrink(self, coefficients: Array, threshold: PerFrame) -> Array:
        """Proximal map of ``threshold * sum |.|`` on coefficients; threshold of shape (Q,)."""
        size = self.magnitude(coefficients)
        left = np.maximum(size - threshold.astype(size.dtype), 0)
        factor: Array = np.divide(left, size, out=np.zeros_like(size), where=size > 0)
        shrunk: Array = factor * coefficients
        return shrunk

    def clip(self, coefficients: Array, threshold: PerFrame) -> Array:
        """Project coefficients so that no magnitude is above its frame's threshold."""
        size = self.magnitude(coefficients)
        limit = np.broadcast_to(threshold.astype(size.dtype), size.shape)
        factor: Array = np.divide(limit, size, out=np.ones_like(size), where=size > limit)
        clipped: Array = factor * coefficients
        return clipped

    def proximal(
        self, point: Array, threshold: PerFrame, *, positive: bool, accuracy: PerFrame, dual: Array | None
    ) -> tuple[Array, Array | None]:
        """Minimise ``||c - point||²/2 + threshold g(c)`` over all, or over non-negative, images c.

        Parameters
        ----------
        point : shape (P, Q)
        threshold : shape (Q,)
        positive : bool
            ``point`` is real then.
        accuracy : shape (Q,)
            Distance to the minimiser that is good enough, where it takes iterations.
        dual : array, optional
            What an earlier call returned, to start from.

        Returns
        -------
        image : shape (P, Q)
        dual : array or None
        """
        return dual_proximal(self, point, threshold, positive=positive, accuracy=accuracy, dual=dual)


class L1(Prior):
    """Sum of the moduli of the voxels: few voxels hold particles."""

    @property
    def bound(self) -> float:
        """1: the transform is the identity."""
        return 1.0

    def transform(self, image: Array) -> Array:
        """Return the image itself."""
        return image

    def adjoint(self, coefficients: Array) -> Array:
        """Return the image itself."""
        return coefficients

    def proximal(
        self, point: Array, threshold: PerFrame, *, positive: bool, accuracy: PerFrame, dual: Array | None
    ) -> tuple[Array, Array | None]:
        """Shrink each voxel, exactly."""
        del accuracy, dual
        if positive:
            return np.maximum(point - threshold.astype(point.dtype), 0), None
        return self.shrink(point, threshold), None


class TotalVariation(Prior):
    """Sum of the differences of neighbouring voxels: images of few levels with short borders.

    First differences without wrap-around, not divided by the size of a voxel.

    Parameters
    ----------
    shape : tuple of int
        Shape (z, y, x) of an image, or (y, x).
    isotropic : bool
        The root of the summed squares of the differences of one voxel with its next neighbours along all
        axes; else each difference counts by itself, so that borders along the axes cost least.

    Notes
    -----
    L. I. Rudin, S. Osher and E. Fatemi, Physica D 60, 259-268 (1992).
    """

    def __init__(self, shape: Sequence[int], *, isotropic: bool = True) -> None:
        self._shape = image_shape(shape)
        self._axes = [axis for axis, length in enumerate(self._shape) if length > 1]
        if not self._axes:
            raise UsageError(
                f"total variation needs neighbouring voxels, the shape {self._shape} has none",
                hint="give the shape (z, y, x) of the image",
            )
        self._isotropic = isotropic

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image."""
        return self._shape

    @property
    def bound(self) -> float:
        """4 for each axis with neighbours."""
        return 4.0 * len(self._axes)

    def transform(self, image: Array) -> Array:
        """Differences along each axis with neighbours, shape (axes, z, y, x, Q); 0 behind the last voxel."""
        volume = image.reshape(*self._shape, -1)
        differences = np.zeros((len(self._axes), *volume.shape), image.dtype)
        for found, axis in zip(differences, self._axes, strict=True):
            low, high = _neighbours(axis)
            np.subtract(volume[high], volume[low], out=found[low])
        return differences

    def adjoint(self, coefficients: Array) -> Array:
        """Minus the divergence, shape (P, Q)."""
        volume: Array = np.zeros(coefficients.shape[1:], coefficients.dtype)
        for found, axis in zip(coefficients, self._axes, strict=True):
            low, high = _neighbours(axis)
            volume[low] -= found[low]
            volume[high] += found[low]
        return volume.reshape(-1, volume.shape[-1])

    def magnitude(self, coefficients: Array) -> Array:
        """Length of the gradient at each voxel, or the modulus of each difference."""
        if not self._isotropic:
            return np.abs(coefficients)
        total = _summed_squares(coefficients)
        largest = total.max(axis=tuple(range(total.ndim - 1)), initial=0)
        information = np.finfo(total.dtype)
        safe = (largest > information.tiny / information.eps**2) & (largest < information.max)
        if safe.all():
            return np.sqrt(total, out=total)
        # squares of very small or large images have no place in the type: work in a unit near 1
        size = np.max(np.abs(coefficients), axis=tuple(range(coefficients.ndim - 1)), initial=0)
        unit = np.ldexp(np.ones_like(size), np.frexp(size)[1] - 1)
        scaled: Array = unit * np.sqrt(_summed_squares(coefficients / unit))
        return scaled


@np.errstate(over="ignore", under="ignore")  # whoever calls looks at the result
def _summed_squares(coefficients: Array) -> Array:
    total: Array = np.square(coefficients.real).sum(axis=0, keepdims=True)
    if np.iscomplexobj(coefficients):
        total += np.square(coefficients.imag).sum(axis=0, keepdims=True)
    return total


def _neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    before = (slice(None),) * axis
    return (*before, slice(None, -1)), (*before, slice(1, None))


def image_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Check the shape of an image.

    Raises
    ------
    UsageError
        Lengths that are no positive integers.
    """
    lengths = tuple(int(length) for length in shape)
    if not lengths or min(lengths) < 1 or lengths != tuple(shape):
        raise UsageError(f"the shape of an image must be positive integers (z, y, x), not {tuple(shape)}")
    return lengths


def check_prior(prior: Prior | None, mu: float, voxels: int) -> None:
    """Refuse a prior that does not fit the matrix, or a weight without one.

    Raises
    ------
    UsageError
        μ above 0 without a prior, or a shape that does not have P voxels.
    """
    if prior is None:
        if mu > 0:
            raise UsageError(
                f"mu is {mu}, but there is no prior for it to weigh", hint="give a prior, or mu 0"
            )
        return
    if prior.shape is not None and prod(prior.shape) != voxels:
        raise UsageError(
            f"the prior is for {prod(prior.shape)} voxels, {prior.shape}; the matrix has {voxels}",
            hint="give the shape (z, y, x) of the matrix's grid",
        )
