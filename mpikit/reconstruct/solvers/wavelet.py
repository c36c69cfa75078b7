"""Wavelet coefficients of images, by an orthogonal transform for every shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from mpikit.errors import UsageError
from mpikit.reconstruct.solvers.priors import Prior, image_shape
from mpikit.reconstruct.solvers.problem import Array, PerFrame


class Wavelet(Prior):
    """Sum of the moduli of all wavelet coefficients, the coarsest approximation too.

    The transform is orthogonal for every shape: each level splits the axes that are at least as long as the
    filter, periodically. Of an odd number of samples the last goes to the coarser level as it is.

    Parameters
    ----------
    shape : tuple of int
        Shape (z, y, x) of an image.
    name : str
        An orthogonal wavelet of PyWavelets: haar, db2, sym4, coif1 ...
    levels : int, optional
        Not given: as many as split anything.

    Raises
    ------
    UsageError
        A wavelet that does not exist or is not orthogonal, or more levels than the shape has.

    Notes
    -----
    S. Mallat, *A Wavelet Tour of Signal Processing*, section 7.5 (periodic wavelets) and 7.7 (images).
    """

    def __init__(self, shape: Sequence[int], name: str = "db2", *, levels: int | None = None) -> None:
        self._shape = image_shape(shape)
        self._levels = _levels(self._shape, _wavelet(name))
        if levels is None:
            levels = len(self._levels)
        if not 1 <= levels <= len(self._levels):
            raise UsageError(
                f"an image of shape {self._shape} has {len(self._levels)} levels of {name}, not {levels}",
                hint="ask for fewer levels or take a shorter wavelet: haar splits every axis of 2 or more",
            )
        self._levels = self._levels[:levels]
        self._kept: dict[np.dtype[Any], list[dict[int, Array]]] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image."""
        return self._shape

    @property
    def bound(self) -> float:
        """1: the transform is orthogonal."""
        return 1.0

    def transform(self, image: Array) -> Array:
        """Coefficients, shape (z, y, x, Q): the coarsest approximation first along each axis."""
        volume = image.reshape(*self._shape, -1).copy()
        part = volume
        for level in self._matrices(image):
            part[:] = _along_axes(part, level, back=False)
            part = part[_coarse(part.shape, level)]
        return volume

    def adjoint(self, coefficients: Array) -> Array:
        """Return the images of coefficients, shape (P, Q)."""
        volume = coefficients.copy()
        levels = self._matrices(coefficients)
        parts = [volume]
        for level in levels[:-1]:
            parts.append(parts[-1][_coarse(parts[-1].shape, level)])
        for part, level in zip(reversed(parts), reversed(levels), strict=True):
            part[:] = _along_axes(part, level, back=True)
        return volume.reshape(-1, volume.shape[-1])

    def proximal(
        self, point: Array, threshold: PerFrame, *, positive: bool, accuracy: PerFrame, dual: Array | None
    ) -> tuple[Array, Array | None]:
        """Shrink the coefficients, exactly; over non-negative images by iterations."""
        if positive:
            return super().proximal(point, threshold, positive=True, accuracy=accuracy, dual=dual)
        return self.adjoint(self.shrink(self.transform(point), threshold)), None

    def _matrices(self, values: Array) -> list[dict[int, Array]]:
        """Return the matrices of all levels in the precision of the values."""
        kind = values.real.dtype
        if kind not in self._kept:
            self._kept[kind] = [
                {axis: matrix.astype(kind) for axis, matrix in level.items()} for level in self._levels
            ]
        return self._kept[kind]


def _along_axes(part: Array, level: dict[int, Array], *, back: bool) -> Array:
    for axis, matrix in level.items():
        turned = np.tensordot(matrix.T if back else matrix, part, axes=(1, axis))
        part = np.moveaxis(turned, 0, axis)
    return part


def _coarse(shape: tuple[int, ...], level: dict[int, Array]) -> tuple[slice, ...]:
    return tuple(slice((length + 1) // 2 if axis in level else length) for axis, length in enumerate(shape))


def _levels(shape: tuple[int, ...], wavelet: Any) -> list[dict[int, Array]]:
    """For each level the matrix of every axis that it splits."""
    levels: list[dict[int, Array]] = []
    lengths = list(shape)
    while split := [axis for axis, length in enumerate(lengths) if length >= max(2, wavelet.dec_len)]:
        levels.append({axis: _split(lengths[axis], wavelet) for axis in split})
        for axis in split:
            lengths[axis] = (lengths[axis] + 1) // 2
    return levels


def _split(length: int, wavelet: Any) -> Array:
    """One level of the transform of ``length`` samples: approximation, an odd last sample, details."""
    import pywt

    even = length - length % 2
    coarse, fine = pywt.dwt(np.eye(even), wavelet, mode="periodization", axis=0)
    matrix = np.zeros((length, length))
    matrix[: even // 2, :even] = coarse
    matrix[length - even // 2 :, :even] = fine
    if length % 2:
        matrix[even // 2, even] = 1
    return matrix


def _wavelet(name: str) -> Any:
    import pywt

    if name not in pywt.wavelist(kind="discrete"):
        raise UsageError(f"there is no discrete wavelet {name!r}", hint="haar, db2, sym4 and coif1 are some")
    wavelet = pywt.Wavelet(name)
    matrix = _split(2 * wavelet.dec_len, wavelet)
    # Measured, not asked: PyWavelets calls dmey orthogonal, but cuts its filter off.
    error = np.abs(matrix @ matrix.T - np.eye(len(matrix))).max()
    if error > 1e-6:
        raise UsageError(
            f"the wavelet {name} is not orthogonal", hint="take one of the families haar, db, sym or coif"
        )
    return cast("Any", wavelet)
