"""The choice of one λ among candidates, by one of three criteria."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.reconstruct.choosing.curve import Curve, Directions, make_curve
from mpikit.reconstruct.choosing.decomposition import directions_of
from mpikit.reconstruct.choosing.noise import Level, noise_level
from mpikit.reconstruct.solvers.problem import Problem, make_problem

Array = NDArray[Any]
Floats = NDArray[np.float64]
Criterion = Literal["auto", "discrepancy", "l-curve", "gcv"]
Chosen = Literal["discrepancy", "l-curve", "gcv"]

LAMBDAS: Floats = np.geomspace(1e-6, 1e2, 65)  # relative, 8 in a decade
LAMBDAS.flags.writeable = False

_SURE = 2.0  # standard deviations
_MANY = 50.0  # degrees of freedom that give the noise of the data itself to a fifth
_NAMES = {"discrepancy": "discrepancy principle", "l-curve": "L-curve", "gcv": "generalised cross-validation"}


@dataclass(frozen=True)
class Choice:
    """A λ, and why this one.

    Parameters
    ----------
    criterion : {"discrepancy", "l-curve", "gcv"}
        The one that was used.
    relative, absolute : float
        The chosen λ; the absolute one is in the unit of ``||W A||²``.
    curve : Curve
        What each candidate leads to.
    target : float or None
        Expected norm of the weighted noise of one frame, what the residual norm should be; None when the
        noise is unknown.
    reason : str
        Why this criterion, and this λ.
    warnings : tuple of str
        What speaks against trusting it.
    """

    criterion: Chosen
    relative: float
    absolute: float
    curve: Curve
    target: float | None
    reason: str
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what a drawing needs, ready for JSON; what is not finite is None."""
        return {
            "criterion": self.criterion,
            "relative": self.relative,
            "absolute": self.absolute,
            "target": self.target,
            "reason": self.reason,
            "curve": {
                each.name: [_rounded(value) for value in getattr(self.curve, each.name)]
                for each in fields(Curve)
            },
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Choice:
        """Return the choice that `as_json` described, without its warnings.

        Raises
        ------
        ValueError
            When something is missing, or of another kind.
        """
        try:
            curve = Curve(*(np.array(kept["curve"][each.name], dtype=float) for each in fields(Curve)))
            criterion, target = kept["criterion"], kept["target"]
            relative, absolute = float(kept["relative"]), float(kept["absolute"])
            choice = cls(
                criterion,
                relative,
                absolute,
                curve,
                None if target is None else float(target),
                str(kept["reason"]),
                (),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no choice of lambda: {error}") from error
        shapes = {values.shape for values in vars(curve).values()}
        if criterion not in _NAMES or len(shapes) != 1 or curve.lambdas.ndim != 1 or curve.lambdas.size < 2:
            raise ValueError(f"no choice of lambda: criterion {criterion!r}, arrays of {shapes}")
        drawn = (curve.lambdas, curve.residuals, curve.solutions, curve.cross_validation, [relative])
        if not all(np.all(np.isfinite(each)) and np.all(np.asarray(each) > 0) for each in drawn):
            raise ValueError("no choice of lambda: norms or candidates are not positive")
        if not np.all(np.diff(curve.lambdas) > 0):
            raise ValueError("no choice of lambda: its candidates do not ascend")
        return choice


def choose_lambda(
    matrix: Array,
    data: Array,
    *,
    criterion: Criterion = "auto",
    noise: Floats | None = None,
    weights: Floats | None = None,
    enforce_real: bool = True,
    lambdas: Floats | None = None,
    rank: int | None = None,
    rng: np.random.Generator | None = None,
) -> Choice:
    """Choose one λ for all frames of the objective ``||W (A c - b)||² + λ ||c||²``.

    The theory of all three criteria is that of the exact minimiser: over real images (``enforce_real``) or
    complex ones. It is a guide only where a solver returns something else:

    * with non-negativity the image is not linear in the data, and usually a smaller λ does;
    * a few sweeps of Kaczmarz regularise too. The λ is that of the limit of many sweeps;
    * other penalties (L1, total variation) have no place in it.

    Parameters
    ----------
    matrix : shape (M, P), complex
        System matrix A.
    data : shape (M, Q), complex
        One column for each frame. Energies are averaged over the frames.
    criterion : {"auto", "discrepancy", "l-curve", "gcv"}
        The discrepancy principle takes the λ at which the residual has the energy of the noise, which must be
        known. Generalised cross-validation (gcv) minimises the error of predicting a row from the others. It
        takes the noise for equal on all rows: whiten them if it is not. The L-curve takes the corner of
        the log-log curve of solution norm over residual norm: it needs no noise and endures correlated
        noise, but has no guarantee. "auto" is the discrepancy principle, as it alone uses what was
        measured of the noise, where the noise is known and plausible, and else gcv, whose λ tends to the
        best prediction with many rows, as the L-curve's does not.
    noise : shape (M,), unit of the data, optional
        Standard deviation of the data on each row, without the weights (see `background_noise`).
    weights : shape (M,), optional
        Diagonal of W. Rows of weight 0 are left out.
    enforce_real : bool
        Images are real.
    lambdas : shape (L,), optional
        Relative candidates, at least three; the choice is refined between them. Not given: `LAMBDAS`.
    rank : int, optional
        Number of singular directions. Not given: all, or the 500 strongest if the smaller side of the matrix
        (of its real and imaginary part, over real images) is above 4000. When directions are left out,
        candidates too small for that are left out too: those for which the filter factor s² / (s² + λ) of
        such a direction may be above 5 %. The residual norms and the degrees of freedom are then right to
        some per cent.
    rng : Generator, optional
        Needed when not all directions are computed.

    Returns
    -------
    Choice

    Raises
    ------
    UsageError
        Candidates that are too few, or not positive; an unknown criterion.
    InputError
        Shapes that do not fit, values that are not finite, no frames or nothing but zeros, or the discrepancy
        principle without noise.
    NumericalError
        No candidate is left because of the rank.

    Notes
    -----
    One eigendecomposition serves all candidates. Discrepancy principle: V. A. Morozov (1966), with the factor
    1. Generalised cross-validation: G. H. Golub, M. Heath and G. Wahba, Technometrics 21 (1979). L-curve:
    P. C. Hansen and D. P. O'Leary, SIAM J. Sci. Comput. 14 (1993); its limits: C. R. Vogel, Inverse Problems
    12 (1996).

    The noise is plausible when its energy, give or take two standard deviations of the mean over the frames,
    lies between the residuals of the smallest and of the largest candidate. Below them the model has errors
    (noise of the system matrix), above them there is nothing but noise; and with many more rows than voxels
    and few frames the energy is too uncertain to find λ by. Nor is it plausible when all rows are equally
    noisy and its variance is more than twice that of the part of the data that no image explains.
    """
    if criterion not in ("auto", *_NAMES):
        raise UsageError(f"no criterion is called {criterion!r}", hint=f"there are auto, {', '.join(_NAMES)}")
    candidates = _checked(LAMBDAS if lambdas is None else lambdas)
    problem = make_problem(matrix, data, lambda_=1.0, relative=True, weights=weights, real=enforce_real)
    if not data.shape[1]:
        raise InputError("there are no frames to choose lambda for, expected at least one")
    level = None if noise is None else noise_level(_fitting(noise, len(matrix)), weights, data.shape[1])
    directions = directions_of(problem, rank=rank, rng=rng)
    if not directions.energies.any():
        raise InputError(
            "the data hold nothing that the system matrix explains: the image is 0 with every lambda",
            hint="look whether data and matrix have the same rows, and whether the data are empty",
        )
    case = _make_case(directions, problem, candidates, level)
    chosen, why = _criterion(case, criterion)
    relative, words = _CHOOSERS[chosen](case)
    return Choice(
        chosen,
        relative,
        relative * problem.scale,
        case.curve,
        None if level is None else level.energy**0.5,
        f"{_NAMES[chosen]}{why}: {words}",
        _warnings(case, chosen, relative, short=len(case.curve.lambdas) < len(candidates)),
    )


@dataclass(frozen=True)
class _Case:
    """One system: its directions, and the candidates that these allow."""

    directions: Directions
    scale: float
    curve: Curve
    level: Level | None

    @property
    def doubt(self) -> str:
        """Why the noise is not plausible, or nothing when it is."""
        if self.level is None:
            return "the noise is unknown"
        least, most = self.curve.residuals[[0, -1]] ** 2
        energy, spread = self.level.energy, _SURE * self.level.spread
        norm = f"the noise (norm {energy**0.5:.3g})"
        if energy <= least:
            why = "it is taken too low, or the model has errors"
            return f"{norm} is below the smallest residual ({least**0.5:.3g}): {why}"
        if energy >= most:
            return f"{norm} is above the largest residual ({most**0.5:.3g}): there is little but noise"
        if not least + spread < energy < most - spread:
            return f"{norm} is too uncertain beside the residuals from {least**0.5:.3g} to {most**0.5:.3g}"
        left = self.at(self.directions.freedom, float(np.log(self.curve.lambdas[0])))
        if self.level.white and left >= _MANY and energy > 2 * least * self.directions.equations / left:
            return f"{norm} is far above that of the part of the data that no image explains"
        return ""

    def at(self, function: Callable[[Floats], Floats], log_relative: float) -> float:
        """One value of a function of absolute λ."""
        return float(function(np.array([np.exp(log_relative) * self.scale]))[0])


def _make_case(directions: Directions, problem: Problem, candidates: Floats, level: Level | None) -> _Case:
    reliable = directions.reliable(candidates * problem.scale)
    if not reliable.any():
        raise NumericalError(
            f"the {len(directions.squares)} strongest directions do not tell enough for any candidate lambda",
            hint="use a larger rank or larger candidates, or give a lambda",
        )
    return _Case(
        directions, problem.scale, make_curve(directions, candidates[reliable], problem.scale), level
    )


def _criterion(case: _Case, asked: Criterion) -> tuple[Chosen, str]:
    """Return the criterion, and why it was taken if nobody asked for it."""
    if asked == "discrepancy" and case.level is None:
        raise InputError(
            "the discrepancy principle needs the noise of the data, and it is unknown",
            hint="use background frames, or choose lambda by gcv or l-curve",
        )
    if asked != "auto":
        return asked, ""
    if case.doubt:
        return "gcv", f", because {case.doubt}"
    return "discrepancy", ", because the noise is known and plausible"


def _by_discrepancy(case: _Case) -> tuple[float, str]:
    """Find where the residual, which grows with λ, meets the noise."""
    from scipy.optimize import brentq

    assert case.level is not None  # noqa: S101  `_criterion` has looked
    energy, lambdas = case.level.energy, case.curve.lambdas
    if energy <= case.curve.residuals[0] ** 2:
        return float(lambdas[0]), "every candidate leaves a larger residual than the noise"
    if energy >= case.curve.residuals[-1] ** 2:
        return float(lambdas[-1]), "every candidate leaves a smaller residual than the noise"
    low, high = np.log(lambdas[[0, -1]])
    found = brentq(lambda at: case.at(case.directions.residuals, at) / energy - 1, low, high, xtol=1e-10)
    return float(np.exp(found)), f"the residual has the norm of the noise, {energy**0.5:.3g}"


def _by_cross_validation(case: _Case) -> tuple[float, str]:
    values = case.curve.cross_validation
    index = int(np.argmin(values))
    relative = _refined(case, lambda at: float(np.log(case.at(case.directions.cross_validation, at))), index)
    return relative, "the least error of predicting a row from the others"


def _by_corner(case: _Case) -> tuple[float, str]:
    """Take the sharpest corner inside the curve; without one, the end that is bent more.

    Below the smallest s² next to nothing is regularised: there the curve runs into the point of the
    least-squares image and may be bent most sharply, but that is no corner.
    """
    lambdas, bend = case.curve.lambdas, case.curve.curvature
    inside = lambdas[1:-1] * case.scale >= case.directions.squares.min()
    top = (bend[1:-1] >= bend[:-2]) & (bend[1:-1] >= bend[2:]) & (bend[1:-1] > 0)
    corners = 1 + np.flatnonzero(inside & top)
    if not corners.size:
        end = 0 if bend[0] > bend[-1] else len(bend) - 1
        return float(lambdas[end]), "the curve has no corner inside, this end is bent more"
    index = int(corners[np.argmax(bend[corners])])
    relative = _refined(case, lambda at: -case.at(case.directions.curvature, at), index)
    return relative, "the corner, where the log-log curve is bent most"


_CHOOSERS: dict[Chosen, Callable[[_Case], tuple[float, str]]] = {
    "discrepancy": _by_discrepancy,
    "l-curve": _by_corner,
    "gcv": _by_cross_validation,
}


def _refined(case: _Case, function: Callable[[float], float], index: int) -> float:
    """Minimise between the neighbours of the best candidate; at an end, the end itself."""
    from scipy.optimize import minimize_scalar

    lambdas = case.curve.lambdas
    if index in (0, len(lambdas) - 1):
        return float(lambdas[index])
    bounds = (float(np.log(lambdas[index - 1])), float(np.log(lambdas[index + 1])))
    found = minimize_scalar(function, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def _warnings(case: _Case, chosen: Chosen, relative: float, *, short: bool) -> tuple[str, ...]:
    lambdas = case.curve.lambdas
    found = []
    if relative <= lambdas[0]:
        why = "which the number of singular directions allows" if short else "of the candidates"
        found.append(f"the chosen lambda is the smallest {why}, {relative:.3g}: a smaller one may be better")
    if relative >= lambdas[-1]:
        found.append(
            f"the chosen lambda is the largest of the candidates, {relative:.3g}: a larger one may be better"
        )
    if case.level is None:
        found.append("the noise is unknown: the choice cannot be checked against it")
    elif case.doubt:
        found.append(case.doubt)
    if chosen == "gcv" and case.level is not None and not case.level.white:
        found.append(
            "the rows have unequal noise, cross-validation takes it for equal: use whitening weights"
        )
    return tuple(found)


def _checked(lambdas: Floats) -> Floats:
    values = np.unique(np.asarray(lambdas, np.float64))
    if len(values) < 3 or not (np.isfinite(values).all() and values[0] > 0):
        raise UsageError(
            f"the candidates for lambda are {values.tolist()}, "
            "expected three or more different finite numbers above 0"
        )
    return values


def _fitting(noise: Floats, rows: int) -> Floats:
    if noise.shape != (rows,):
        raise InputError(f"noise {noise.shape} does not fit: expected one number for each of {rows} rows")
    return noise


def _rounded(value: float) -> float | None:
    """Six digits are more than a drawing shows."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
