"""From a linear system to images, by the method that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.events import Event, Finding, Warned, silent
from mpikit.reconstruct import solvers
from mpikit.reconstruct.choosing import Choice, Criterion, choose_lambda
from mpikit.reconstruct.frames import ALONE, Sharing, Stored, solve_frames
from mpikit.reconstruct.kaczmarz import absolute_lambda, kaczmarz
from mpikit.reconstruct.linear_system import LinearSystem
from mpikit.reconstruct.options import Admm, Cgls, Fista, Kaczmarz, SystemMatrix, Tikhonov
from mpikit.reconstruct.patch_rows import PatchRows
from mpikit.reconstruct.solvers.each import Each
from mpikit.reconstruct.streamed import FileRows

Array = NDArray[Any]


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


def solve(
    system: LinearSystem,
    options: SystemMatrix,
    *,
    sharing: Sharing = ALONE,
    stored: Stored | None = None,
    tell: Callable[[Event], None],
) -> Solution:
    """Minimise ``||W (S c - u)||² + λ ||c||² + µ g(c)`` for each column of the data.

    Parameters
    ----------
    system : LinearSystem
    options : SystemMatrix
        Of the class of a method.
    sharing : Sharing
        Who solves the frames; this process if the method does not go `by_frames`.
    stored : Stored, optional
        Where a streamed matrix comes from; needed for other workers.
    tell : callable

    Raises
    ------
    UsageError, InputError, NumericalError
        See the methods.
    """
    relative, choice = _lambda(system, options, tell)
    method = partial(_images, options=options, relative=relative)
    if isinstance(options, Tikhonov):
        images = method(system, tell)
    else:
        images = solve_frames(
            system,
            method,
            own_threads=isinstance(options, Kaczmarz),
            together=isinstance(options, Kaczmarz) and system.dictionary is None,
            sharing=sharing if by_frames(options) else ALONE,
            stored=stored,
            tell=tell,
        )
    return Solution(images, relative, relative * _scale(system), choice)


def by_frames(options: SystemMatrix) -> bool:
    """Say whether workers can share the frames of one file.

    The closed form is made once for all frames, and a CUDA device is fastest with many at once.
    """
    if isinstance(options, Kaczmarz):
        return options.device == "cpu"
    return not isinstance(options, Tikhonov)


def _images(
    system: LinearSystem, tell: Callable[[Event], None], *, options: SystemMatrix, relative: float
) -> Array:
    return _method(options)(system, options, relative, tell)


def images_of(system: LinearSystem, options: SystemMatrix, relative: float) -> Callable[[Array], Array]:
    """Return what takes other data (M, q) to their images (P, q), real and each column by itself.

    Parameters
    ----------
    system : LinearSystem
    options : SystemMatrix
    relative : float
        The λ.
    """

    def images(data: Array) -> Array:
        found = _method(options)(replace(system, data=data), options, relative, silent)
        return np.asarray(found.real)

    return images


def _scale(system: LinearSystem) -> float:
    """Return what a relative λ is multiplied with, ``||W S||_F² / P``."""
    matrix = system.matrix
    if isinstance(matrix, np.ndarray):
        return solvers.penalty_scale(matrix, system.weights)
    known = matrix.energies() if isinstance(matrix, FileRows) else None
    return absolute_lambda(matrix, 1.0, weights=system.weights, energies=known)


def _lambda(
    system: LinearSystem, options: SystemMatrix, tell: Callable[[Event], None]
) -> tuple[float, Choice | None]:
    if isinstance(options.lambda_, float):
        return options.lambda_, None
    criterion: Criterion = options.lambda_
    if system.denoised:
        criterion = _of_denoised(system.denoised, criterion, tell)
    choice = choose_lambda(
        _held(system),
        system.data,
        criterion=criterion,
        noise=None if system.denoised else system.noise,
        weights=system.weights,
        rng=np.random.default_rng(0),
    )
    for warning in choice.warnings:
        tell(Warned(warning))
    tell(Finding("lambda", choice.relative, f"lambda {choice.relative:.3g} chosen by {choice.reason}"))
    return choice.relative, choice


def _of_denoised(name: str, asked: Criterion, tell: Callable[[Event], None]) -> Criterion:
    """Return the criterion for a measurement that was denoised; ``auto`` is the L-curve.

    The empty frames were denoised too, so that the discrepancy principle has no noise to compare with. The
    noise that is left is of few shapes, which frames and rows share: generalised cross-validation takes it
    for independent from row to row, then finds that it can be predicted, and keeps it with a tiny λ. The
    corner of the L-curve endures correlated noise (P. C. Hansen, SIAM Review 34 (1992)).

    Raises
    ------
    InputError
        When the discrepancy principle is asked for.
    """
    better = (
        "reconstruct the noisy file with --average-frames --lambda auto, and give the lambda that it finds"
    )
    if asked == "discrepancy":
        raise InputError(
            f"{name} was denoised, its empty frames too: they do not tell the noise that the discrepancy "
            "principle needs",
            hint=better,
        )
    guess = "cross-validation takes it for signal" if asked == "gcv" else "the L-curve is a guess"
    unknown = "they do not tell how much noise is left"
    tell(
        Warned(
            f"{name} was denoised, its empty frames too: {unknown}, and {guess}. For a safer lambda, {better}"
        )
    )
    return "l-curve" if asked == "auto" else asked


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
    matrix, data, more = _with_empty_signals(system, options, relative)
    return kaczmarz(
        matrix,
        data,
        iterations=options.iterations,
        enforce_real=options.enforce_real,
        enforce_positive=options.enforce_positive,
        exact=options.exact,
        order=options.seed if options.row_order == "random" else None,
        device=options.device,
        tell=tell,
        **more,
    )


def _with_empty_signals(
    system: LinearSystem, options: Kaczmarz, relative: float
) -> tuple[Array | FileRows | PatchRows, Array, dict[str, Any]]:
    """Return matrix, data, λ and weights; signals of the empty scanner are estimated exactly on the way.

    With a dictionary D, ``W D = U s V^H``, the least of ``||r - W D d||² + l ||d||²`` over its weights d is
    ``||T r||²`` with ``T = I - U (1 - sqrt(l / (l + s²))) U^H``. So T W S and T W u have the image that is
    found jointly with d. Columns for D beside those of S would need very many sweeps.
    """
    if system.dictionary is None:
        return system.matrix, system.data, {"lambda_": relative, "weights": system.weights}
    held = _held(system)
    column = np.ones((len(held), 1)) if system.weights is None else system.weights[:, None]
    left, sizes, _ = np.linalg.svd(column * system.dictionary, full_matrices=False)
    penalty = options.dictionary_lambda * float(np.mean(sizes**2))
    kept = np.sqrt(penalty / (penalty + sizes**2)) if penalty else np.zeros(len(sizes))

    def without(values: Array) -> Array:
        weighted = column * values
        return np.asarray(weighted - left @ ((1 - kept)[:, None] * (left.conj().T @ weighted)), values.dtype)

    absolute = relative * solvers.penalty_scale(held, system.weights)
    return without(held), without(system.data), {"lambda_": absolute, "relative": False}


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


def _for_each_tracer(prior: solvers.Prior | None, tracers: int) -> solvers.Prior | None:
    """Return a prior for several tracers, each of which has an image: neighbours are those of one image."""
    return Each(prior, tracers) if prior is not None and prior.shape is not None and tracers else prior


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
        "prior": _for_each_tracer(priors[options.prior](), len(system.tracers)),
        "mu": options.mu,
        "weights": system.weights,
        "enforce_real": options.enforce_real,
        "enforce_positive": options.enforce_positive,
    }
