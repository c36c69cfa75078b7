"""From a linear system to images, by the method that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, Finding, Warned
from mpikit.reconstruct import solvers
from mpikit.reconstruct.choosing import Choice, choose_lambda
from mpikit.reconstruct.kaczmarz import kaczmarz, row_energies
from mpikit.reconstruct.options import Admm, Cgls, Fista, Kaczmarz, SystemMatrix, Tikhonov
from mpikit.reconstruct.streamed import FileRows
from mpikit.reconstruct.system_matrix import LinearSystem

Array = NDArray[Any]
_LEAST = 1e-12  # a diagonal penalty has to be above 0


@dataclass(frozen=True)
class Solution:
    """Images of a linear system.

    Parameters
    ----------
    images : shape (P, Q)
    relative, absolute : float
        The λ that was used.
    choice : Choice or None
        How it was chosen, if it was.
    """

    images: Array
    relative: float
    absolute: float
    choice: Choice | None = None


def solve(system: LinearSystem, options: SystemMatrix, *, tell: Callable[[Event], None]) -> Solution:
    """Minimise ``||W (S c - u)||² + λ ||c||² + µ g(c)`` for each column of the data.

    Parameters
    ----------
    system : LinearSystem
    options : SystemMatrix
        Of the class of a method.
    tell : callable

    Raises
    ------
    UsageError, InputError, NumericalError
        See the methods.
    """
    relative, choice = _lambda(system, options, tell)
    images = _method(options)(system, options, relative, tell)
    return Solution(images, relative, relative * _scale(system), choice)


def _scale(system: LinearSystem) -> float:
    """Return what a relative λ is multiplied with, ``||W S||_F² / P``."""
    matrix = system.matrix
    if isinstance(matrix, np.ndarray):
        return solvers.penalty_scale(matrix, system.weights)
    weights = np.ones(matrix.shape[0]) if system.weights is None else system.weights
    parts = (weights[matrix.rows(part)] ** 2 @ row_energies(matrix.load(part)) for part in range(len(matrix)))
    return float(sum(parts)) / matrix.shape[1]


def _lambda(
    system: LinearSystem, options: SystemMatrix, tell: Callable[[Event], None]
) -> tuple[float, Choice | None]:
    if isinstance(options.lambda_, float):
        return options.lambda_, None
    choice = choose_lambda(
        _held(system),
        system.data,
        criterion=options.lambda_,
        noise=system.noise,
        weights=system.weights,
        rng=np.random.default_rng(0),
    )
    for warning in choice.warnings:
        tell(Warned(warning))
    tell(Finding("lambda", choice.relative, f"lambda {choice.relative:.3g} chosen by {choice.reason}"))
    return choice.relative, choice


def _method(options: SystemMatrix) -> Callable[..., Array]:
    methods: dict[type[SystemMatrix], Callable[..., Array]] = {
        Kaczmarz: _kaczmarz,
        Cgls: _cgls,
        Fista: _fista,
        Admm: _admm,
        Tikhonov: _tikhonov,
    }
    return methods[type(options)]


def _kaczmarz(
    system: LinearSystem, options: Kaczmarz, relative: float, tell: Callable[[Event], None]
) -> Array:
    voxels = system.matrix.shape[1]
    matrix, more = _joint(system, options, relative)
    images = kaczmarz(
        matrix,
        system.data,
        iterations=options.iterations,
        enforce_real=options.enforce_real,
        enforce_positive=options.enforce_positive,
        exact=options.exact,
        weights=system.weights,
        order=options.seed if options.row_order == "random" else None,
        device=options.device,
        tell=tell,
        **more,
    )
    return images[:voxels]


def _joint(
    system: LinearSystem, options: Kaczmarz, relative: float
) -> tuple[Array | FileRows, dict[str, Any]]:
    """Put the signals of the empty scanner beside the matrix: columns whose weights are found with the image.

    They are penalised by a λ of their own, and neither real nor positive.
    """
    if system.dictionary is None:
        return system.matrix, {"lambda_": relative}
    held, known, voxels = _held(system), system.dictionary, system.matrix.shape[1]
    scale = solvers.penalty_scale(held, system.weights)
    own = solvers.penalty_scale(known, system.weights)
    matrix = np.concatenate([held, known.astype(held.dtype)], axis=1)
    penalty = np.full(matrix.shape[1], max(relative, _LEAST) * scale)
    penalty[voxels:] = max(options.dictionary_lambda, _LEAST) * own
    return matrix, {"lambda_": penalty, "relative": False, "mask": np.arange(len(penalty)) < voxels}


def _cgls(system: LinearSystem, options: Cgls, relative: float, tell: Callable[[Event], None]) -> Array:
    return solvers.cgls(
        *_whole(system),
        lambda_=relative,
        iterations=options.iterations,
        tolerance=options.tolerance,
        weights=system.weights,
        enforce_real=options.enforce_real,
        tell=tell,
    )


def _fista(system: LinearSystem, options: Fista, relative: float, tell: Callable[[Event], None]) -> Array:
    return solvers.fista(*_whole(system), lambda_=relative, tell=tell, **_composite(system, options))


def _admm(system: LinearSystem, options: Admm, relative: float, tell: Callable[[Event], None]) -> Array:
    return solvers.admm(*_whole(system), lambda_=relative, tell=tell, **_composite(system, options))


def _tikhonov(
    system: LinearSystem, options: Tikhonov, relative: float, tell: Callable[[Event], None]
) -> Array:
    del tell  # one product, over before anybody looks
    return solvers.tikhonov(
        *_whole(system), lambda_=relative, weights=system.weights, enforce_real=options.enforce_real
    )


def _whole(system: LinearSystem) -> tuple[Array, Array]:
    return _held(system), system.data


def _held(system: LinearSystem) -> Array:
    """Return the matrix, which is in memory: a streamed one was refused for what needs it whole."""
    assert isinstance(system.matrix, np.ndarray)  # noqa: S101
    return system.matrix


def _composite(system: LinearSystem, options: Fista | Admm) -> dict[str, Any]:
    shape = cast("tuple[int, int, int]", tuple(system.grid.shape))
    priors: dict[str, Callable[[], solvers.Prior | None]] = {
        "none": lambda: None,
        "l1": solvers.L1,
        "tv": lambda: solvers.TotalVariation(shape, isotropic=options.isotropic),
        "wavelet": lambda: solvers.Wavelet(shape, name=options.wavelet),
    }
    return {
        "iterations": options.iterations,
        "tolerance": options.tolerance,
        "prior": priors[options.prior](),
        "mu": options.mu,
        "weights": system.weights,
        "enforce_real": options.enforce_real,
        "enforce_positive": options.enforce_positive,
    }
