"""Regularised Kaczmarz: the solver that the field uses, in an exact blocked form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, Step, silent
from mpikit.reconstruct.iteration import begin, checked_iterations
from mpikit.reconstruct.rows import Order, RowSource, absolute_lambda, row_energies
from mpikit.reconstruct.sweep import Sweep

__all__ = ["Sweep", "absolute_lambda", "kaczmarz", "kaczmarz_sweeps", "row_energies"]

Array = NDArray[Any]


def kaczmarz(  # noqa: PLR0913 - each is a choice that an image depends on
    matrix: Array | RowSource,
    data: Array,
    *,
    lambda_: float | NDArray[np.floating],
    relative: bool = True,
    iterations: int = 10,
    enforce_real: bool = True,
    enforce_positive: bool = True,
    exact: bool = False,
    mask: NDArray[np.bool_] | None = None,
    weights: NDArray[np.floating] | None = None,
    order: Order = None,
    start: Sweep | None = None,
    device: str = "cpu",
    block: int | None = None,
    tell: Callable[[Event], None] = silent,
) -> Array:
    """Reconstruct images by regularised Kaczmarz.

    Minimises ``||W (A x - b)||² + λ ||x||²`` for each column b of the data with a few sweeps over the rows.
    Few sweeps regularise too: an image is reproducible only with λ, the number of sweeps and the order of
    the rows.

    Parameters
    ----------
    matrix : shape (M, P), or RowSource
        System matrix A. Its type, complex64 or complex128, is the type of the computation.
    data : shape (M, Q)
        One column for each frame.
    lambda_ : float, or shape (P,)
        Weight λ of the penalty, or the diagonal L > 0 of the penalty ``Σ L_n |x_n|²``.
    relative : bool
        Multiply ``lambda_`` by ``||W A||_F² / P``, so that scaling A and b alike changes nothing.
    iterations : int
        Sweeps over all rows.
    enforce_real : bool
        Set the imaginary part to zero after each sweep. The limit is the minimiser over real images.
    enforce_positive : bool
        Set negative values to zero after each sweep. Implies ``enforce_real``. The limit is non-negative but
        in general not the minimiser over non-negative images.
    exact : bool
        Correct the projection on positive values so that the limit is that minimiser. It takes many more
        sweeps to get there.
    mask : shape (P,), optional
        The voxels that are made real and positive. The others stay complex, and so does the result.
    weights : shape (M,), optional
        Weights w of the rows, the diagonal of W; a row of weight 0 is left out.
    order : int or shape (M,), optional
        In which order a sweep meets the rows: the seed of one random permutation for all sweeps and frames,
        or the order itself; ascending if not given. Another order than ascending copies the matrix.
    start : Sweep, optional
        Go on from there, also with other data or another λ. The limit is the same as from zero.
    device : {"cpu", "cuda", "torch-cpu"}
        NumPy, torch on a CUDA device, or the same code of torch on the CPU.
    block : int, optional
        Rows that are treated at once. The result does not depend on it, apart from rounding.
    tell : callable
        Is told each sweep.

    Returns
    -------
    shape (P, Q)
        Real when a projection makes all of it real, else complex.

    Raises
    ------
    UsageError
        λ below 0, no sweeps, a block without rows, an option that another one makes meaningless, or a
        device that is not there.
    InputError
        Shapes that do not fit, values that are not finite, no row with energy, or a start that belongs to
        another problem.
    NumericalError
        The iteration diverges.

    Notes
    -----
    Kaczmarz on the consistent system ``[W A  √λ I] [x; v] = W b`` (S. Kaczmarz, 1937, for λ = 0). Blocks of
    rows make the same iterates. The correction of ``exact`` is that of Boyle and Dykstra (1986).
    With λ = 0 and data that contradict each other there is no limit, but a cycle that depends on the order.
    """
    run = begin(
        matrix,
        data,
        lambda_=lambda_,
        relative=relative,
        enforce_real=enforce_real,
        enforce_positive=enforce_positive,
        exact=exact,
        mask=mask,
        weights=weights,
        order=order,
        start=start,
        device=device,
        block=block,
    )
    for done in range(1, checked_iterations(iterations) + 1):
        run.sweep()
        tell(Step(done, iterations, {"residual": run.residual}))
    return run.image


def kaczmarz_sweeps(  # noqa: PLR0913
    matrix: Array | RowSource,
    data: Array,
    *,
    lambda_: float | NDArray[np.floating],
    relative: bool = True,
    iterations: int = 10,
    enforce_real: bool = True,
    enforce_positive: bool = True,
    exact: bool = False,
    mask: NDArray[np.bool_] | None = None,
    weights: NDArray[np.floating] | None = None,
    order: Order = None,
    start: Sweep | None = None,
    device: str = "cpu",
    block: int | None = None,
) -> Iterator[Sweep]:
    """Yield the state of `kaczmarz`, which has the same parameters, after each sweep.

    Yields
    ------
    Sweep
        With copies: the caller may keep or change them.
    """
    run = begin(
        matrix,
        data,
        lambda_=lambda_,
        relative=relative,
        enforce_real=enforce_real,
        enforce_positive=enforce_positive,
        exact=exact,
        mask=mask,
        weights=weights,
        order=order,
        start=start,
        device=device,
        block=block,
    )
    for _ in range(checked_iterations(iterations)):
        run.sweep()
        yield run.state
