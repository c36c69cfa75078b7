"""Sweeps of Kaczmarz over blocks of rows: the iterates of the row loop, made of products of matrices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from mpikit.device import Arrays
from mpikit.reconstruct.gram import Gram
from mpikit.reconstruct.rows import RowSource
from mpikit.reconstruct.threads import each, one_blas_thread

Array = NDArray[Any]

# Rows of a block. Larger blocks cost more set-up and leave the second-level cache; smaller ones have more
# overhead. Products with few frames are bound by reading the block, and their set-up weighs more.
BLOCK = 64
BLOCK_FOR_FEW = 32
FEW = 12  # frames
ONE_BY_ONE = 6  # up to so many frames of a group, products with each vector beat those with a matrix
GROUP = 50  # frames whose images stay in the cache beside a block


@dataclass(frozen=True)
class Penalty:
    """The quadratic penalty, in the form that the iteration uses.

    Parameters
    ----------
    values : float, or shape (P,)
        Absolute λ, or the diagonal L of the penalty ``Σ L_n |x_n|²``.

    Notes
    -----
    A diagonal is the scalar 1 for the columns A_n / √L_n and the image √L_n x_n. The image itself is kept:
    its update is then multiplied by 1 / L_n, and the columns of the matrix stay as they are.
    """

    values: float | NDArray[np.float64]

    @property
    def ridge(self) -> float:
        """What is added to the energy of each row."""
        return self.values if isinstance(self.values, float) else 1.0

    @property
    def root(self) -> float:
        """Factor of the companion v, whose product with it tends to the residual."""
        return float(np.sqrt(self.ridge))


@dataclass(frozen=True)
class Projection:
    """What is done to the image after each sweep.

    Parameters
    ----------
    real, positive : bool
    exact : bool
        Positive with Dykstra's correction.
    where : slice or integer array
        The voxels that it is done to.
    """

    real: bool
    positive: bool
    exact: bool
    where: NDArray[np.intp] | slice

    def __call__(self, image: Any, correction: Any) -> None:
        """Change an image (..., P) in place, and its correction."""
        if self.real:
            image.imag[..., self.where] = 0
        if self.exact:
            wanted = image.real[..., self.where] + correction
            image.real[..., self.where] = wanted.clip(min=0)
            correction[...] = wanted.clip(max=0)
        elif self.positive:
            image.real[..., self.where] = image.real[..., self.where].clip(min=0)


@dataclass(frozen=True)
class _Group:
    """Some frames: image (g, w, P), dual and target (g, w, M), correction of the image.

    Products run over the last two axes: frames that go one by one have w = 1, else g = 1.
    """

    image: Any
    dual: Any
    target: Any
    correction: Any


class Blocked:
    """State of the iteration, and its sweeps over blocks of rows a with the targets b.

    r = w b - w a x - √λ v,   beta = (lower triangle of w a a^H w + λ)⁻¹ r,   x += a^H w beta,   v += √λ beta

    Parameters
    ----------
    source : RowSource
    gram : Gram
    penalty : Penalty
        With absolute values.
    projection : Projection
    target : shape (Q, M)
        Weighted data; rows as the sweeps meet them, here and below.
    weights : shape (M,), or None
    scale : float
        What a diagonal of the penalty was multiplied by after the set-up, else 1.
    library : Arrays
    """

    def __init__(
        self,
        source: RowSource,
        gram: Gram,
        penalty: Penalty,
        projection: Projection,
        target: Array,
        *,
        weights: NDArray[np.float64] | None,
        scale: float,
        library: Arrays,
    ) -> None:
        self._source, self._library = source, library
        self._projection = projection
        self._ridge, self._root = penalty.ridge, penalty.root
        kind = np.dtype(source.dtype).type(0).real.dtype
        diagonal = None if isinstance(penalty.values, float) else penalty.values
        self._gain = None if diagonal is None else library.put((1 / diagonal).astype(kind))
        self._weights = None if weights is None else library.put(weights.astype(kind))
        largest = max(len(products) for blocks in gram.blocks for *_, products in blocks)
        lower = np.tri(largest) / scale

        def inverse(met: slice, products: Array) -> Any:
            size = len(products)
            triangle, energies = products * lower[:size, :size], gram.energies[met]
            if weights is not None:
                triangle = weights[met, None] * triangle * weights[met]
                energies = weights[met] ** 2 * energies
            found = _inverse_triangle(triangle, energies == 0, penalty.ridge)
            return library.put(found.astype(source.dtype, order="C"))

        self._blocks = [
            [(rows, met, inverse(met, products)) for rows, met, products in blocks] for blocks in gram.blocks
        ]
        self._held = library.put(source.load(0)) if len(source) == 1 else None
        self._groups = [self._group(target[frames]) for frames in self._frames(len(target))]

    def _frames(self, frames: int) -> list[slice]:
        """Return groups of frames, the same on every machine: rounding depends on them."""
        count = min(frames, 2 * -(-frames // (2 * GROUP))) if self._library.own_threads else 1
        edges = np.linspace(0, frames, count + 1).round().astype(int).tolist()
        return [slice(start, stop) for start, stop in pairwise(edges)]

    def _group(self, target: Array) -> _Group:
        frames, rows = target.shape
        voxels = self._source.shape[1]
        leading = (frames, 1) if frames <= ONE_BY_ONE else (1, frames)
        put = self._library.put
        image = np.zeros((*leading, voxels), target.dtype)
        return _Group(
            put(image),
            put(np.zeros((*leading, rows), target.dtype)),
            put(np.ascontiguousarray(target.reshape(*leading, rows))),
            put(image.real[..., self._projection.where].copy()) if self._projection.exact else None,
        )

    def start(self, image: Array, dual: Array, correction: Array | None) -> None:
        """Put the state of all frames: image (Q, P), dual (Q, M), correction (Q, projected voxels)."""
        for frames, group in zip(self._frames(len(image)), self._groups, strict=True):
            pairs = [(group.image, image), (group.dual, dual)]
            if correction is not None:
                pairs.append((group.correction, correction))
            for mine, values in pairs:
                mine[...] = self._library.put(np.ascontiguousarray(values[frames])).reshape(mine.shape)

    @property
    @np.errstate(over="ignore", invalid="ignore")
    def size(self) -> float:
        """Norm of √λ (x, v) over all frames: 0 for λ = 0, and not finite when the image is not."""
        own = dual = 0.0
        for group in self._groups:
            dual += float(self._library.energy(group.dual))
            if self._gain is None:
                own += self._ridge * float(self._library.energy(group.image))
            else:
                own += float(((group.image * group.image.conj()).real / self._gain).sum())
        return float(np.sqrt(own + self._ridge * dual))

    @property
    def image(self) -> Array:
        """The images, shape (Q, P): a copy."""
        return self._joined([group.image for group in self._groups])

    @property
    def dual(self) -> Array:
        """The companion v, shape (Q, M): a copy."""
        return self._joined([group.dual for group in self._groups])

    def _joined(self, parts: list[Any]) -> Array:
        return np.concatenate([self._library.get(part).reshape(-1, part.shape[-1]) for part in parts])

    def sweep(self) -> float:
        """Pass over all rows once and project; return the norm of the residuals met."""
        squares = 0.0
        # Frames are independent: own threads on groups of frames, each with a single-threaded BLAS, do not
        # collapse when another process keeps a core busy, as spinning BLAS threads do.
        with one_blas_thread():
            for index, blocks in enumerate(self._blocks):
                part = self._library.put(self._source.load(index)) if self._held is None else self._held
                work = partial(self._pass, part, self._source.columns(index), blocks)
                squares += sum(each(work, self._groups, self._library))
            for group in self._groups:
                self._projection(group.image, group.correction)
        return float(np.sqrt(squares))

    @np.errstate(over="ignore", invalid="ignore")  # `Run` looks at the size
    def _pass(
        self,
        part: Any,
        columns: slice | NDArray[np.intp],
        blocks: list[tuple[slice, slice, Any]],
        group: _Group,
    ) -> float:
        """Pass over the rows of a part with a group of frames; return the sum of the squared residuals."""
        library, weights, squares = self._library, self._weights, 0.0
        image = library.take(group.image, columns)
        gain = None if self._gain is None else self._gain[columns]
        met = slice(blocks[0][1].start, blocks[-1][1].stop)
        rests = group.target[..., met] - self._root * group.dual[..., met]
        for rows, at, inverse in blocks:
            a = part[rows]
            signal = image @ a.T
            rest = rests[..., rows] - (signal if weights is None else signal * weights[at])
            squares = squares + library.energy(rest)
            beta = rest @ inverse.T
            rests[..., rows] = beta
            if weights is not None:
                beta *= weights[at]
            # a^H beta as conj(a^T conj(beta)): the block itself is never copied to conjugate it.
            step = (beta.conj() @ a).conj()
            image += step if gain is None else step * gain
        group.dual[..., met] += self._root * rests
        if image is not group.image:
            group.image[..., columns] = image
        return float(squares)


def _inverse_triangle(triangle: Array, empty: NDArray[np.bool_], ridge: float) -> Array:
    """Inverse of a lower triangle with the ridge; rows without energy get zeros, so they are skipped."""
    diagonal = np.arange(len(triangle))
    triangle[diagonal, diagonal] = np.where(empty, 1, triangle.diagonal().real + ridge)
    inverse: Array = lapack.ztrtri(triangle, lower=1)[0]
    inverse[empty] = 0
    return inverse
