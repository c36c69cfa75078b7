"""Sweeps of Kaczmarz over blocks of rows: the iterates of the row loop, made of products of matrices."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from threadpoolctl import ThreadpoolController

from mpikit.device import Arrays
from mpikit.errors import InputError
from mpikit.reconstruct.rows import RowSource, walk_order

Array = NDArray[Any]
Item = TypeVar("Item")
Found = TypeVar("Found")

# Rows of a block. Larger blocks cost more set-up and leave the second-level cache; smaller ones have more
# overhead. Products with few frames are bound by reading the block, and their set-up weighs more.
BLOCK = 64
BLOCK_FOR_FEW = 32
FEW = 12  # frames
ONE_BY_ONE = 6  # up to so many frames of a group, products with each vector beat those with a matrix
GROUP = 50  # frames whose images stay in the cache beside a block
TASK = 8  # blocks that one thread sets up in turn


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
class Gram:
    """What one pass over the matrix finds out for the sweeps.

    Parameters
    ----------
    blocks : list of list of (slice, slice, shape (n, n))
        For each part of the source its blocks: their rows in the part and among all rows as the sweeps meet
        them, and the products ``a D a^H`` with D the inverse of the unscaled diagonal penalty, or ones.
    energies : shape (M,), float64
        Squared norms of the rows of the matrix, as the sweeps meet them.
    backprojection : shape (Q, P), or None
        ``(A^H u)^T`` of the signals handed in.
    """

    blocks: list[list[tuple[slice, slice, Array]]]
    energies: NDArray[np.float64]
    backprojection: Array | None


@np.errstate(over="ignore", invalid="ignore")  # looked at below
def set_up(
    source: RowSource,
    library: Arrays,
    block: int,
    *,
    diagonal: NDArray[np.float64] | None = None,
    signals: Array | None = None,
) -> Gram:
    """Load each part once for the products of the rows within each block.

    Parameters
    ----------
    source : RowSource
    library : Arrays
    block : int
        Rows of a block.
    diagonal : shape (P,), optional
        Unscaled diagonal of the penalty.
    signals : shape (Q, M), optional
        To be backprojected on the way; rows as the sweeps meet them.

    Raises
    ------
    InputError
        A row that is not finite or too large.
    """
    kind = np.dtype(source.dtype)
    inverse = None if diagonal is None else library.put((1 / diagonal).astype(kind.type(0).real.dtype))
    back = None if signals is None else 0
    blocks, energies, first = [], [], 0
    with _blas().limit(limits=1, user_api="blas"):
        for index in range(len(source)):
            part = library.put(source.load(index))
            size = len(part)
            bounds = [slice(start, min(start + block, size)) for start in range(0, size, block)]
            tasks = [bounds[start : start + TASK] for start in range(0, len(bounds), TASK)]
            found = [
                each
                for task in _each(partial(_products, part, inverse, library), tasks, library)
                for each in task
            ]
            met = [slice(first + rows.start, first + rows.stop) for rows in bounds]
            blocks.append([(rows, at, gram) for rows, at, (gram, _) in zip(bounds, met, found, strict=True)])
            energies += [squares for _, squares in found]
            if signals is not None:
                chosen = library.put(np.ascontiguousarray(signals[:, first : first + size]))
                back = back + (chosen.conj() @ part).conj()
            first += size
    return Gram(
        blocks,
        _finite(np.concatenate(energies).astype(np.float64), source),
        None if back is None else library.get(back),
    )


@np.errstate(over="ignore", invalid="ignore")
def _products(part: Any, inverse: Any, library: Arrays, bounds: list[slice]) -> list[tuple[Array, Array]]:
    """For each block the products of its rows with each other, and their squared norms."""
    found = []
    for rows in bounds:
        a = part[rows]
        conjugate = a.conj()
        gram = library.get((a if inverse is None else a * inverse) @ conjugate.T)
        squares = gram.diagonal() if inverse is None else library.get((a * conjugate).sum(1))
        found.append((gram, squares.real))
    return found


def _finite(energies: NDArray[np.float64], source: RowSource) -> NDArray[np.float64]:
    broken = ~np.isfinite(energies)
    if broken.any():
        row = int(walk_order(source)[broken].min())
        raise InputError(
            f"row {row} of the system matrix holds values that are not finite or too large",
            hint="leave the row out, or scale the matrix",
        )
    return energies


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
        with _blas().limit(limits=1, user_api="blas"):
            for index, blocks in enumerate(self._blocks):
                part = self._library.put(self._source.load(index)) if self._held is None else self._held
                squares += sum(_each(partial(self._pass, part, blocks), self._groups, self._library))
            for group in self._groups:
                self._projection(group.image, group.correction)
        return float(np.sqrt(squares))

    @np.errstate(over="ignore", invalid="ignore")  # `Run` looks at the size
    def _pass(self, part: Any, blocks: list[tuple[slice, slice, Any]], group: _Group) -> float:
        image, dual, target = group.image, group.dual, group.target
        weights, squares = self._weights, 0.0
        for rows, met, inverse in blocks:
            a = part[rows]
            signal = image @ a.T
            if weights is not None:
                signal *= weights[met]
            rest = target[..., met] - signal
            rest -= self._root * dual[..., met]
            squares = squares + self._library.energy(rest)
            beta = rest @ inverse.T
            dual[..., met] += self._root * beta
            if weights is not None:
                beta *= weights[met]
            # a^H beta as conj(a^T conj(beta)): the block itself is never copied to conjugate it.
            step = (beta.conj() @ a).conj()
            image += step if self._gain is None else step * self._gain
        return float(squares)


def _inverse_triangle(triangle: Array, empty: NDArray[np.bool_], ridge: float) -> Array:
    """Inverse of a lower triangle with the ridge; rows without energy get zeros, so they are skipped."""
    diagonal = np.arange(len(triangle))
    triangle[diagonal, diagonal] = np.where(empty, 1, triangle.diagonal().real + ridge)
    inverse: Array = lapack.ztrtri(triangle, lower=1)[0]
    inverse[empty] = 0
    return inverse


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries: milliseconds


def _each(work: Callable[[Item], Found], items: Iterable[Item], library: Arrays) -> list[Found]:
    """Do work on each item, in threads when the library leaves that to us."""
    waiting = list(items)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(cores, len(waiting)) if library.own_threads else 1
    if threads == 1:
        return [work(item) for item in waiting]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, waiting))
