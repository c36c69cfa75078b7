"""How far noise moves each voxel: the standard deviation of an image.

All of these describe noise alone. They know nothing of what regularisation hides: a strong λ makes an image
smooth and its standard deviation small, although it may be far from the truth.

| solver | data | use |
|---|---|---|
| closed-form Tikhonov | noise of each row | `TikhonovOperator.standard_deviation`: exact and fast |
| linear: a fixed number of sweeps without positivity | noise of each row | `linear_deviation`: exact |
| any | several frames of one object | `bootstrap_deviation`: needs no noise model |
| any | noise of each row | `simulated_deviation`: by drawing noise |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, NumericalError, UsageError

Array = NDArray[Any]
Floats = NDArray[np.float64]
Solve = Callable[[Array], Array]  # data (M, q) to images (P, q), each column by itself

DRAWS = 200  # the standard deviation of a voxel is then known to 5 %
BLOCK = 256  # columns that are reconstructed at once

_LINEAR = 1e-3  # relative error of the sum rule that single precision and a last iteration may have


def linear_deviation(solve: Solve, noise: Floats, *, rng: np.random.Generator) -> Floats:
    """Propagate the noise of each row through a linear solver, exactly.

    Two data sets are reconstructed for each row: its noise alone in the real part, and in the imaginary
    part, so that a projection to real images after each sweep is treated right.

    Parameters
    ----------
    solve : callable, (M, q) -> (P, q)
        Linear over the real numbers: Kaczmarz with a fixed number of sweeps, or FISTA, with real images or
        complex ones but without positivity; closed forms.
    noise : shape (M,), unit of the data
        Standard deviation sigma of the data on each row, ``E|n|² = sigma²``. The noise is circular, and that
        of a row knows nothing of the others'.
    rng : Generator
        Draws the data on which it is seen whether the solver is linear.

    Returns
    -------
    shape (P,), unit of the image
        ``sqrt(E|c - E c|²)``.

    Raises
    ------
    UsageError
        When the solver is not linear.
    InputError
        When the noise is no vector of finite numbers from 0 on.
    NumericalError
        When an image is not finite.

    Notes
    -----
    With c = L (Re b, Im b) and the covariance ``sigma² / 2`` of each part:
    ``Var c = sum_m sigma_m² / 2 (|L e_m|² + |L i e_m|²)``. For images that are the real part of ``R b`` this
    is ``diag(R Σ R^H) / 2``, and for complex ones ``diag(R Σ R^H)``.
    """
    noise = _checked_noise(noise)
    _check_linear(solve, noise, rng)
    variance: Floats = np.zeros(0)
    for block in _unit_noise(noise):
        images = _finite(solve(block))
        variance = variance + _energies(images) if variance.size else _energies(images)
    return np.sqrt(variance)


def bootstrap_deviation(
    solve: Solve,
    data: Array,
    *,
    rng: np.random.Generator,
    resamples: int = DRAWS,
    shared_noise: Floats | None = None,
) -> Floats:
    """Return the standard deviation of the image of averaged frames, by resampling the frames.

    N frames are drawn from the N with replacement, averaged and reconstructed, again and again; the spread of
    the images is that of the image of the mean of all frames.

    Parameters
    ----------
    solve : callable, (M, q) -> (P, q)
        Any solver.
    data : shape (M, N), complex
        Frames of one object that did not move, two or more, each with noise of its own. A slow drift is
        noise only as far as it differs between frames.
    rng : Generator
    resamples : int
        B. The relative error that resampling adds is about ``1 / sqrt(2 B)``; that of N frames is larger when
        they are few.
    shared_noise : shape (M,), unit of the data, optional
        Standard deviation of what all frames have in common, as the noise of a background that was
        subtracted from them. Resampling cannot see it; it is drawn.

    Returns
    -------
    shape (P,), unit of the image

    Raises
    ------
    UsageError
        With fewer than two resamples.
    InputError
        With fewer than two frames, or shared noise that does not fit or is negative or not finite.
    NumericalError
        When an image is not finite.

    Notes
    -----
    B. Efron, Annals of Statistics 7 (1979). The spread of the resampled means is too small by
    ``sqrt((N - 1) / N)``, as their variance is that of the frames with denominator N; their deviations from
    the mean are made larger by that before they are reconstructed.
    """
    frames = data.shape[1] if data.ndim == 2 else 0
    if frames < 2:
        raise InputError(
            f"there are {frames} frames to resample, expected two or more",
            hint="do not average the frames, or draw noise from background frames",
        )
    _check_draws(resamples)
    shared = None if shared_noise is None else _fitting_noise(shared_noise, len(data))
    counts = rng.multinomial(frames, np.full(frames, 1 / frames), size=resamples).T
    shares = 1 / frames + (frames / (frames - 1)) ** 0.5 * (counts - 1) / frames
    kind = np.result_type(data.dtype, np.complex64)

    def means(draws: slice) -> Array:
        mean = data @ shares[:, draws].astype(data.real.dtype)
        if shared is not None:
            mean = mean + _circular(shared, draws.stop - draws.start, rng)
        return np.asarray(mean, kind)

    return _spread(solve, (means(draws) for draws in _slices(resamples)))


def simulated_deviation(
    solve: Solve, data: Array, noise: Floats, *, rng: np.random.Generator, draws: int = DRAWS
) -> Floats:
    """Return the standard deviation of the image of one frame, by drawing noise and adding it to the data.

    For solvers that are not linear when frames cannot be resampled, and for linear ones with very many rows.

    Parameters
    ----------
    solve : callable, (M, q) -> (P, q)
        Any solver.
    data : shape (M,), complex
        One frame, or the average of several.
    noise : shape (M,), unit of the data
        Standard deviation of these data on each row, ``E|n|² = sigma²``.
    rng : Generator
    draws : int
        B. The relative error of the result is about ``1 / sqrt(2 B)``.

    Returns
    -------
    shape (P,), unit of the image

    Raises
    ------
    UsageError
        With fewer than two draws.
    InputError
        When data and noise do not fit, or the noise is negative or not finite.
    NumericalError
        When an image is not finite.

    Notes
    -----
    The parametric bootstrap. The data hold noise already, and more is added: exact for linear solvers, but a
    little too large with positivity where the image is near 0.
    """
    if data.ndim != 1:
        raise InputError(f"data {data.shape} and noise {noise.shape} do not fit: expected (M,) and (M,)")
    noise = _fitting_noise(noise, len(data))
    _check_draws(draws)
    kind = np.result_type(data.dtype, np.complex64)
    blocks = (
        (data[:, None] + _circular(noise, part.stop - part.start, rng)).astype(kind)
        for part in _slices(draws)
    )
    return _spread(solve, blocks)


def _spread(solve: Solve, blocks: Iterator[Array]) -> Floats:
    """Sample standard deviation over the images of all blocks."""
    images = np.concatenate([_finite(solve(block)) for block in blocks], axis=1)
    kind = np.result_type(images.dtype, np.float64)
    deviations = images - images.mean(axis=1, keepdims=True, dtype=kind)
    return np.asarray(np.sqrt(_energies(deviations) / (images.shape[1] - 1)))


def _unit_noise(noise: Floats) -> Iterator[Array]:
    """Yield data with one standard deviation in one part of one row, in blocks of columns."""
    for rows in _slices(len(noise)):
        block = np.zeros((len(noise), rows.stop - rows.start), np.complex128)
        columns = np.arange(rows.stop - rows.start)
        block[rows.start + columns, columns] = noise[rows] / 2**0.5
        yield block
        yield 1j * block


def _check_linear(solve: Solve, noise: Floats, rng: np.random.Generator) -> None:
    """Look whether the images of two data sets add to that of their sum."""
    drawn = _circular(noise, 2, rng)
    first, second, both = _finite(solve(np.column_stack([drawn, drawn.sum(axis=1)]))).T
    error = float(np.linalg.norm(first + second - both))
    if error > _LINEAR * float(np.linalg.norm(first) + np.linalg.norm(second)):
        raise UsageError(
            "the solver is not linear, so noise cannot be propagated through it row by row",
            hint="without positivity Kaczmarz is; for other solvers resample the frames, or draw noise",
        )


def _circular(noise: Floats, count: int, rng: np.random.Generator) -> Array:
    parts = rng.normal(size=(2, len(noise), count))
    return np.asarray(noise[:, None] / 2**0.5 * (parts[0] + 1j * parts[1]))


def _checked_noise(noise: Floats) -> Floats:
    if noise.ndim != 1 or not noise.size or not (np.isfinite(noise).all() and (noise >= 0).all()):
        raise InputError(
            f"the noise of the rows, shape {noise.shape}, must be a vector of finite numbers from 0 on"
        )
    return np.asarray(noise, np.float64)


def _fitting_noise(noise: Floats, rows: int) -> Floats:
    noise = _checked_noise(noise)
    if len(noise) != rows:
        raise InputError(f"data of {rows} rows and noise of {len(noise)} do not fit: expected one each")
    return noise


def _check_draws(draws: int) -> None:
    if draws < 2:
        raise UsageError(f"a standard deviation needs two draws or more, not {draws}")


def _finite(images: Array) -> Array:
    if not np.isfinite(images).all():
        raise NumericalError(
            "an image is not finite", hint="look at lambda and at the scale of matrix and data"
        )
    return images


def _energies(values: Array) -> Floats:
    return np.asarray(np.vecdot(values, values).real, np.float64)


def _slices(count: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
