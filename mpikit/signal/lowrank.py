"""Few directions that hold the clean signals, found in noisy ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Shrinkage = Literal["optimal", "edge"]
Floats = NDArray[np.float64]
TINY = np.finfo(float).tiny
WIDOM = 2.0234  # 99th percentile of the law of Tracy and Widom for real matrices
MOST_DIRECTIONS = 1200  # in which a covariance is decomposed, a bound on time


@dataclass(frozen=True)
class LowRankFilter:
    """The linear map x -> left (right^T x), of low rank.

    Parameters
    ----------
    left, right : shape (P, r)
    """

    left: Floats
    right: Floats

    def __post_init__(self) -> None:
        # one memory layout, one result: that of a saved filter is the same to the last bit
        object.__setattr__(self, "left", np.ascontiguousarray(self.left))
        object.__setattr__(self, "right", np.ascontiguousarray(self.right))

    @property
    def rank(self) -> int:
        """Directions that pass."""
        return int(self.left.shape[1])

    def __call__(self, coefficients: Floats) -> Floats:
        """Filter coefficients of shape (..., P)."""
        found: Floats = (coefficients @ self.right) @ self.left.T
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the map as a flat dict of arrays."""
        return {"filter.left": self.left, "filter.right": self.right}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> LowRankFilter:
        """Take back what `state` returned."""
        return cls(np.asarray(state["filter.left"]), np.asarray(state["filter.right"]))


def principal_directions(samples: Floats) -> tuple[Floats, Floats]:
    """Eigenvectors and eigenvalues of the mean of x x^T, largest first.

    Parameters
    ----------
    samples : shape (M, P)

    Returns
    -------
    directions : shape (P, r)
        Orthonormal; r is the smaller of M and P.
    values : shape (r,)
    """
    count, size = samples.shape
    if size <= count:
        values, directions = np.linalg.eigh(samples.T @ samples / count)
        return directions[:, ::-1], np.maximum(values[::-1], 0)
    values, weights = np.linalg.eigh(samples @ samples.T / count)
    values, weights = np.maximum(values[::-1], 0), weights[:, ::-1]
    seen = values > 1e-12 * values.max(initial=0)
    directions = samples.T @ weights[:, seen] / np.sqrt(count * values[seen])
    return directions, values[seen]


def fit_low_rank(means: Floats, noise: float, *, shrinkage: Shrinkage = "optimal") -> LowRankFilter:
    """Learn the best linear filter for one noisy vector from many, by principal components.

    The noise is white. A component counts when its eigenvalue is above those of pure noise, see
    `largest_of_noise`. Its clean power is the eigenvalue less the noise
    (``"edge"``), or what the spiked covariance model says lies in the direction that was found, which noise
    has turned away from the true one (``"optimal"``; Donoho, Gavish and Johnstone, Ann. Statist. 46, 2018).

    Parameters
    ----------
    means : shape (M, P)
        Noisy vectors of M clean ones.
    noise : float
        Variance of their noise; in the vectors that will be filtered it is 1.
    shrinkage : {"optimal", "edge"}

    Returns
    -------
    LowRankFilter
        Symmetric, with gains in [0, 1] on orthonormal directions.
    """
    directions, values = principal_directions(means)
    power = clean_power(values, noise, shape=means.shape, shrinkage=shrinkage)
    kept = power > 0
    return LowRankFilter(directions[:, kept] * (power / (power + 1))[kept], directions[:, kept])


def clean_power(
    values: Floats, noise: float, *, shape: tuple[int, int], shrinkage: Shrinkage = "optimal"
) -> Floats:
    """Return the mean square of the clean vectors along each principal direction; 0 for those of noise.

    Parameters
    ----------
    values : shape (r,)
        Eigenvalues of the mean of x x^T over noisy vectors.
    noise : float
        Variance of their noise.
    shape : (int, int)
        Number of the vectors, and their length.
    shrinkage : {"optimal", "edge"}
        See `fit_low_rank`.
    """
    aspect, ratio = shape[1] / shape[0], values / max(noise, TINY)
    above = ratio > largest_of_noise(*shape)
    if shrinkage == "edge":
        return np.where(above, values - noise, 0.0)
    excess = np.where(above, ratio - 1 - aspect, 2 * aspect**0.5)
    spike = (excess + np.sqrt(np.maximum(excess**2 - 4 * aspect, 0))) / 2
    turned = (1 - aspect / spike**2) / (1 + aspect / spike)
    return np.where(above, noise * spike * np.maximum(turned, 0), 0.0)


def largest_of_noise(count: int, size: int) -> float:
    """Return what the largest eigenvalue of the mean of x x^T for white noise exceeds in one of 100 cases.

    The edge of Marchenko and Pastur, and the scatter of Tracy and Widom about it (Johnstone, Ann. Statist.
    29, 2001; with the shifts of Ma, Bernoulli 18, 2012).

    Parameters
    ----------
    count, size : int
        Number of the vectors, of unit variance, and their length.
    """
    if size == 0:
        return 0.0
    rows, columns = (count - 0.5) ** 0.5, (size - 0.5) ** 0.5
    scatter = (rows + columns) * (1 / rows + 1 / columns) ** (1 / 3)
    return float(((rows + columns) ** 2 + WIDOM * scatter) / count)


def shrink_singular_values(values: Floats, *, rows: int, columns: int) -> Floats:
    """Return the best singular values for a matrix of low rank in white noise of unit variance.

    Best in the mean squared error (Gavish and Donoho, IEEE Trans. Inf. Theory 63, 2017): with y in units of
    the square root of the longer side and b the aspect, sqrt((y^2 - b - 1)^2 - 4 b) / y above 1 + sqrt(b).

    Parameters
    ----------
    values : shape (r,)
    rows, columns : int
    """
    long, short = max(rows, columns), min(rows, columns)
    aspect, scaled = short / long, values / long**0.5
    inside = np.maximum((scaled**2 - aspect - 1) ** 2 - 4 * aspect, 0)
    above = scaled > 1 + aspect**0.5
    best: Floats = np.zeros_like(scaled)
    np.divide(np.sqrt(inside * long), scaled, out=best, where=above)
    return best


def noise_of_singular_values(values: Floats, *, rows: int, columns: int) -> float:
    """Estimate the standard deviation of the noise of a matrix from its singular values.

    The largest tail of eigenvalues that is no wider than the law of Marchenko and Pastur allows is noise
    (Veraart, Fieremans and Novikov, Magn. Reson. Med. 76, 2016).

    Parameters
    ----------
    values : shape (r,)
        All singular values, largest first; r is the smaller of rows and columns.
    rows, columns : int
    """
    long, short = max(rows, columns), min(rows, columns)
    eigenvalues = values**2 / long
    for dropped in range(short - 1):
        tail = eigenvalues[dropped:]
        left = short - dropped
        mean = float(tail.mean())
        width = float(tail[0] - tail[-1]) / (4 * np.sqrt(left / (long - dropped)))
        if width <= mean:
            return float(np.sqrt(mean * long / (long - dropped)))
    return float(np.sqrt(eigenvalues[-1]))


def fit_noise2noise(views: Sequence[Floats], *, variance: float = 1.0) -> LowRankFilter:
    """Learn the linear filter that best predicts one noisy view of a signal from another.

    Closed form of Noise2Noise (Lehtinen et al., ICML 2018) for linear maps, W = Cs (Cs + Cn)^-1: the
    covariance of different views is that of the clean signals, Cs. Its eigenvalues scatter around 0 by noise;
    those above twice the most negative one are kept. What single views have beyond it on the diagonal is
    their noise, Cn.
    Nothing is assumed on the level.

    Parameters
    ----------
    views : sequence of arrays, each of shape (M, R, P)
        R views of each of M clean signals with independent noise, R > 1; M and R may differ.
    variance : float
        Noise power of a view; that of what will be filtered is 1.

    Returns
    -------
    LowRankFilter
    """
    size = views[0].shape[-1]
    if size == 0:
        return LowRankFilter(np.zeros((0, 0)), np.zeros((0, 0)))
    noise = _noise_of_views(views) / variance
    pairs = np.concatenate([_pairs(group) for group in views])
    if size > MOST_DIRECTIONS:
        pairs = pairs[_spread(len(pairs), MOST_DIRECTIONS // 2)]
    every = pairs.reshape(-1, size)
    # more coefficients than views: the covariance lives in the span of the views
    basis = np.linalg.qr(every.T)[0] if size > len(every) else np.eye(size)
    one, other = (pairs[:, view] @ basis for view in (0, 1))
    crossed = (one.T @ other + other.T @ one) / (2 * len(pairs))
    values, vectors = np.linalg.eigh(crossed)
    kept = values > max(-2 * values[0], 1e-12 * abs(values[-1]))
    directions, power = basis @ vectors[:, kept], values[kept]
    # Woodbury: the inverse of a matrix of r x r instead of P x P
    weighted = directions / noise[:, None]
    inner = np.linalg.inv(np.diag(1 / power) + directions.T @ weighted)
    return LowRankFilter(directions @ inner, weighted)


def _pairs(views: Floats) -> Floats:
    """Average every second view (M, R, P) and the others, (M, 2, P).

    The eigenvalues of the covariance of two views scatter alike to either side of 0; over all pairs of many
    views they would not.
    """
    return np.stack([views[:, ::2].mean(axis=1), views[:, 1::2].mean(axis=1)], axis=1)


def _spread(count: int, most: int) -> NDArray[np.intp]:
    """Choose some of many, evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))


def _noise_of_views(views: Sequence[Floats]) -> Floats:
    """Mean square of the difference of two views over two, on each coefficient, (P,); above 0."""
    squares: Floats = sum((np.sum(group**2, axis=(0, 1)) for group in views), np.zeros(()))
    common = sum((np.sum(group.sum(axis=1) ** 2, axis=0) / group.shape[1] for group in views), np.zeros(()))
    freedom = sum(len(group) * (group.shape[1] - 1) for group in views)
    mean = squares / sum(group.shape[0] * group.shape[1] for group in views)
    noise: Floats = np.maximum((squares - common) / freedom, np.maximum(1e-12 * mean, TINY))
    return noise


def shrink_matrix(matrix: Floats, noise: float | None = 1.0) -> tuple[Floats, int]:
    """Remove white noise from a matrix of low rank.

    Parameters
    ----------
    matrix : shape (m, n)
    noise : float or None
        Standard deviation of the noise; None takes it from the singular values.

    Returns
    -------
    matrix : shape (m, n)
        With the singular values of `shrink_singular_values`.
    rank : int
        How many of these are not zero.
    """
    rows, columns = matrix.shape
    if rows > columns:
        found, rank = shrink_matrix(matrix.T, noise)
        return found.T, rank
    squares, left = np.linalg.eigh(matrix @ matrix.T)
    values, left = np.sqrt(np.maximum(squares[::-1], 0)), left[:, ::-1]
    if noise is None:
        noise = noise_of_singular_values(values, rows=rows, columns=columns)
    if noise == 0:
        return matrix.copy(), int(np.sum(values > 1e-6 * values.max(initial=0)))
    best = noise * shrink_singular_values(values / noise, rows=rows, columns=columns)
    kept = best > 0
    left = left[:, kept]
    return (left * (best[kept] / values[kept])) @ (left.T @ matrix), int(kept.sum())
