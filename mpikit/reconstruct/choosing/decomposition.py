"""Singular directions of a system matrix: all of them, or the strongest of a large one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError
from mpikit.reconstruct.choosing.curve import Directions
from mpikit.reconstruct.solvers.problem import Problem

Array = NDArray[Any]
Floats = NDArray[np.float64]

LARGEST = 4000  # smaller side of a matrix of which all directions are computed: a minute on two cores
RANK = 500  # directions of a larger one
_MORE = 20  # directions that are drawn beside those that are kept
_POWERS = 2  # passes that turn the drawn directions to the strong ones
_BLOCK = 512  # rows or voxels that are in double precision at once


def directions_of(problem: Problem, *, rank: int | None, rng: np.random.Generator | None) -> Directions:
    """Compute singular directions of the problem's matrix, and the data in them.

    Parameters
    ----------
    problem : Problem
    rank : int or None
        Directions that are computed; None means all of a matrix whose smaller side is at most 4000, and
        500 of a larger one.
    rng : Generator or None
        Needed when not all are computed.

    Raises
    ------
    UsageError
        A rank below 1.
    ValueError
        Without a generator where one is needed.
    """
    rows = len(problem.matrix) * (2 if problem.real else 1)
    smaller = min(rows, problem.voxels)
    if rank is None:
        rank = smaller if smaller <= LARGEST else RANK
    if rank < 1:
        raise UsageError(f"the number of singular directions must be at least 1, it is {rank}")
    if rank + _MORE >= smaller:
        return _all(problem, tall=rows >= problem.voxels)
    if rng is None:
        raise ValueError("the strongest directions of a large matrix are found with a random generator")
    return _strongest(problem, rank, rng)


def _all(problem: Problem, *, tall: bool) -> Directions:
    """From the eigenvectors of the smaller Gram matrix, in double precision."""
    gram, seen = _tall(problem) if tall else _wide(problem)
    squares, vectors = np.linalg.eigh(gram)
    # squaring costs half of the digits: below this an eigenvalue is rounding
    kept = squares > squares[-1] * np.finfo(np.float64).eps * max(problem.matrix.shape)
    squares, vectors = squares[kept], vectors[:, kept]
    parts = vectors.conj().T @ seen
    if tall:
        outside = _distance(problem, vectors @ (parts / squares[:, None]))
        energies = _mean_energies(parts) / squares
    else:
        outside = float(_mean_energies(seen - vectors @ parts).sum())
        energies = _mean_energies(parts)
    return Directions(squares, energies, outside, _equations(problem))


def _tall(problem: Problem) -> tuple[Array, Array]:
    """B^H B and B^H b."""
    gram: Array = np.zeros(())
    seen: Array = np.zeros(())
    for rows in _slices(len(problem.matrix)):
        part = _weighted(problem, rows, slice(None))
        adjoint = part.conj().T
        gram = gram + adjoint @ part
        seen = seen + adjoint @ _doubled(problem.data[rows], real=problem.real)
    return gram, seen


def _wide(problem: Problem) -> tuple[Array, Array]:
    """B B^H and b."""
    gram: Array = np.zeros(())
    for voxels in _slices(problem.voxels):
        part = _weighted(problem, slice(None), voxels)
        gram = gram + part @ part.conj().T
    return gram, _doubled(problem.data, real=problem.real)


def _distance(problem: Problem, image: Array) -> float:
    """``||B c - b||²``, mean over the frames."""
    total = 0.0
    for rows in _slices(len(problem.matrix)):
        data = _doubled(problem.data[rows], real=problem.real)
        total += float(_mean_energies(_weighted(problem, rows, slice(None)) @ image - data).sum())
    return total


def _strongest(problem: Problem, rank: int, rng: np.random.Generator) -> Directions:
    """By a randomised range finder with power iterations (Halko, Martinsson and Tropp, 2011, alg. 4.4).

    In the precision of the matrix: what rounding blurs lies far below the λ that are `reliable`.
    """
    kind = problem.empty().dtype
    drawn = rng.normal(size=(problem.voxels, rank + _MORE)).astype(kind)
    basis = _orthonormal(problem.forward(drawn), problem.real)
    for _ in range(_POWERS):
        drawn = np.linalg.qr(problem.adjoint(_signals(basis, problem.real)))[0]
        basis = _orthonormal(problem.forward(drawn), problem.real)
    small = problem.adjoint(_signals(basis, problem.real)).astype(np.result_type(kind, np.float64))
    squares, vectors = np.linalg.eigh(small.conj().T @ small)
    squares, vectors = squares[-rank:], vectors[:, -rank:]
    data = _doubled(problem.data, real=problem.real)
    found = basis @ vectors
    parts = found.conj().T @ data
    outside = float(_mean_energies(data - found @ parts).sum())
    return Directions(squares, _mean_energies(parts), outside, _equations(problem), complete=False)


def _equations(problem: Problem) -> int:
    """Rows with a weight, each of them two equations over real images."""
    rows = len(problem.matrix) if problem.weights is None else int(np.count_nonzero(problem.weights))
    return rows * (2 if problem.real else 1)


def _orthonormal(signals: Array, real: bool) -> Array:
    return np.linalg.qr(_parts(signals, real=real))[0]


def _signals(equations: Array, real: bool) -> Array:
    """Undo `_parts`."""
    if not real:
        return equations
    of_real, of_imaginary = np.split(equations, 2)
    return np.asarray(of_real + 1j * of_imaginary)


def _parts(values: Array, *, real: bool) -> Array:
    return np.concatenate([values.real, values.imag]) if real else values


def _doubled(values: Array, *, real: bool) -> Array:
    return _parts(values, real=real).astype(np.float64 if real else np.complex128)


def _weighted(problem: Problem, rows: slice, voxels: slice) -> Array:
    """Part of B."""
    part = problem.matrix[rows, voxels]
    return _doubled(part if problem.weights is None else problem.weights[rows] * part, real=problem.real)


def _mean_energies(values: Array) -> Floats:
    """Squared modulus of each row, mean over the columns."""
    return np.asarray(np.vecdot(values, values).real / values.shape[1], np.float64)


def _slices(count: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, count, _BLOCK)]
