"""The standard deviation of reconstructed images: which way suits a linear system, and the way itself.

The ways are those of `mpikit.reconstruct.uncertainty`; λ, rows, weights and matrix are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Finding, Step, Warned
from mpikit.reconstruct import solvers
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.linear_system import LinearSystem
from mpikit.reconstruct.options import Admm, Fista, Kaczmarz, SystemMatrix, Tikhonov
from mpikit.reconstruct.single import SingleFrames
from mpikit.reconstruct.solving import Solution, images_of
from mpikit.reconstruct.uncertainty import (
    DRAWS,
    Solve,
    bootstrap_deviation,
    linear_deviation,
    simulated_deviation,
)

Array = NDArray[Any]
Floats = NDArray[np.float64]
Tell = Callable[[Event], None]
Way = Literal["exact", "bootstrap", "drawn"]

MOST_ROWS = 2000  # of a solver that is linear but has no closed form: exact takes two images for each row
FEWEST_FRAMES = 8  # whose bootstrap is better than noise that is known: 1 / sqrt(2 (N - 1)) is 27 %


@dataclass(frozen=True)
class Spread:
    """How far noise moves each voxel.

    Parameters
    ----------
    values : shape (Q, P), or (1, P) when it is the same for all images
        Standard deviation, unit of the images.
    way : {"exact", "bootstrap", "drawn"}
        How it was found.
    """

    values: Floats
    way: Way

    def beside(self, images: Images) -> Images:
        """Return the standard deviation as images, on the grid and in the unit of those it belongs to."""
        values = self.values.reshape(-1, *images.values.shape[1:]).astype(np.float32)
        return replace(images, values=values, frames=images.frames if len(values) > 1 else images.frames[:0])


def choose_way(system: LinearSystem, options: SystemMatrix) -> Way:
    """Say how the standard deviation is found, before anything is reconstructed.

    ``exact`` where the solver is linear, ``bootstrap`` where each image is the mean of several frames,
    ``drawn`` where the noise is known from background frames.

    Parameters
    ----------
    system : LinearSystem
        With single frames.
    options : SystemMatrix
        ``uncertainty`` names a way, or is "auto".

    Raises
    ------
    InputError
        When neither the noise is known nor there are frames to resample.
    UsageError
        When the way that is asked for does not suit the solver.
    """
    single = _single(system)
    fewest = min(part.stop - part.start for part in single.groups)
    wanted = options.uncertainty
    if wanted == "exact" and not is_linear(options):
        raise UsageError(
            "the uncertainty is exact for linear solvers alone, those without positivity and without a prior",
            hint="use -p uncertainty=auto, or leave positivity and prior out: -p enforce_positive=false",
        )
    if wanted == "bootstrap" and fewest < 2:
        raise InputError(
            "there is an image of a single frame, and the bootstrap needs two or more frames for each",
            hint="average frames of one object with --average-frames, or use -p uncertainty=drawn",
        )
    if single.noise is None and (fewest < 2 or wanted in {"exact", "drawn"}):
        raise InputError(
            "the uncertainty needs the noise of the measurement, and there are no two background frames with "
            "noise",
            hint="name an empty measurement with --background-file, or average frames of one object with "
            "--average-frames",
        )
    if wanted != "auto":
        return "exact" if wanted == "exact" else "bootstrap" if wanted == "bootstrap" else "drawn"
    if single.noise is None:
        return "bootstrap"
    if is_linear(options):
        return "exact" if _is_quick(system, options) else "drawn"
    return "bootstrap" if fewest >= FEWEST_FRAMES else "drawn"


def is_linear(options: SystemMatrix) -> bool:
    """Say whether images are linear in the data, as far as the iterations go."""
    if isinstance(options, Kaczmarz):
        return not options.enforce_positive
    if isinstance(options, Fista | Admm):
        return options.prior == "none" and not options.enforce_positive
    return True


def find_spread(
    system: LinearSystem, options: SystemMatrix, solution: Solution, way: Way, *, tell: Tell
) -> Spread:
    """Find the standard deviation of the images of a solution.

    Parameters
    ----------
    system : LinearSystem
        With single frames.
    options : SystemMatrix
    solution : Solution
        Its λ is used.
    way : {"exact", "bootstrap", "drawn"}
        See `choose_way`.
    tell : callable
        Hears which way it was, and the steps.

    Raises
    ------
    UsageError
        When a solver that was to be exact has not come to its linear limit.
    NumericalError
        When an image is not finite.
    """
    rng = np.random.default_rng([options.seed, 1])  # the order of the rows is drawn from the seed alone
    solve = images_of(system, options, solution.relative)
    if way == "bootstrap":
        return _bootstrap(_single(system), solve, rng, tell)
    if way == "exact":
        try:
            return _exact(system, options, solution, solve, rng, tell)
        except UsageError as error:
            if options.uncertainty == "exact":
                raise UsageError(
                    str(error), hint="allow more iterations, or use -p uncertainty=drawn"
                ) from None
            tell(Warned("the solver stops before it is linear in the data: noise is drawn instead"))
            return _drawn(system, solve, rng, tell, alike=False)
    return _drawn(system, solve, rng, tell, alike=is_linear(options))


def _single(system: LinearSystem) -> SingleFrames:
    if system.single is None:
        raise ValueError("the system was read without single frames: its options ask for no uncertainty")
    return system.single


def _is_quick(system: LinearSystem, options: SystemMatrix) -> bool:
    if isinstance(options, Tikhonov):
        return True
    return isinstance(system.matrix, np.ndarray) and len(system.rows) <= MOST_ROWS


def _exact(
    system: LinearSystem,
    options: SystemMatrix,
    solution: Solution,
    solve: Solve,
    rng: np.random.Generator,
    tell: Tell,
) -> Spread:
    if isinstance(options, Tikhonov):
        assert isinstance(system.matrix, np.ndarray)  # noqa: S101 - a streamed one was refused
        closed = solvers.tikhonov_operator(
            system.matrix,
            lambda_=solution.relative,
            weights=system.weights,
            enforce_real=options.enforce_real,
        )
        deviation = replace(closed, real=True).standard_deviation  # real parts are what is kept of images
    else:
        counted = _counted(solve, 2 * len(system.rows) + 3, tell)

        def deviation(noise: Array) -> Floats:
            return linear_deviation(counted, noise, rng=rng)

    values = _for_each_size(_single(system), deviation)
    text = "the noise of the background frames, propagated through the linear solver"
    return _told(Spread(values, "exact"), text, tell)


def _bootstrap(single: SingleFrames, solve: Solve, rng: np.random.Generator, tell: Tell) -> Spread:
    counted = _counted(solve, DRAWS * len(single.groups), tell)
    values = [
        bootstrap_deviation(
            counted, single.data[:, part], rng=rng, resamples=DRAWS, shared_noise=single.shared_noise
        )
        for part in single.groups
    ]
    text = f"bootstrap over {single.averages} frames, {DRAWS} resamples"
    if single.shared and single.shared_noise is None:
        text += "; the noise of the subtracted background is unknown, and not in it"
    return _told(Spread(np.array(values), "bootstrap"), text, tell)


def _drawn(
    system: LinearSystem, solve: Solve, rng: np.random.Generator, tell: Tell, *, alike: bool
) -> Spread:
    single = _single(system)
    text = f"{DRAWS} draws of the noise of the background frames"
    if alike:  # the images do not matter to a linear solver, so that none is needed

        def deviation(noise: Array) -> Floats:
            nothing = np.zeros(len(noise), system.data.dtype)
            return simulated_deviation(_counted(solve, DRAWS, tell), nothing, noise, rng=rng, draws=DRAWS)

        return _told(Spread(_for_each_size(single, deviation), "drawn"), text, tell)
    counted = _counted(solve, DRAWS * len(single.groups), tell)
    values = [
        simulated_deviation(counted, data, _noise(single, part), rng=rng, draws=DRAWS)
        for data, part in zip(system.data.T, single.groups, strict=True)
    ]
    return _told(Spread(np.array(values), "drawn"), text, tell)


def _for_each_size(single: SingleFrames, deviation: Callable[[Array], Floats]) -> Floats:
    """Find the standard deviation of images that differ in the number of averaged frames alone."""
    sizes = [part.stop - part.start for part in single.groups]
    known = {part.stop - part.start: deviation(_noise(single, part)) for part in _different(single.groups)}
    return np.array([known[size] for size in (sizes if len(known) > 1 else sizes[:1])])


def _different(groups: list[slice]) -> list[slice]:
    """Return the first, and the last one if it is shorter."""
    sizes = [part.stop - part.start for part in groups]
    return [groups[0], groups[-1]] if sizes[0] != sizes[-1] else [groups[0]]


def _noise(single: SingleFrames, part: slice) -> Floats:
    noise = single.noise_of(part.stop - part.start)
    assert noise is not None  # noqa: S101 - `choose_way` has looked
    return noise


def _counted(solve: Solve, total: int, tell: Tell) -> Solve:
    """Tell how many images are reconstructed."""
    done = 0

    def counted(data: Array) -> Array:
        nonlocal done
        images = solve(data)
        done = min(done + data.shape[1], total)
        tell(Step(done, total))
        return images

    return counted


def _told(spread: Spread, text: str, tell: Tell) -> Spread:
    maps = "one map for all images" if len(spread.values) == 1 else f"{len(spread.values)} maps"
    tell(Finding("uncertainty", spread.way, f"standard deviation: {text}; {maps}"))
    return spread
