"""Whether a figure grows in proportion to the dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpikit.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Linearity:
    """How far a figure is proportional to the concentration.

    Parameters
    ----------
    slope : float
        Of log A against log c: 1 when they are proportional.
    r2_log : float
        Coefficient of determination R² = 1 - SS_res / SS_tot of that line.
    gain : float, unit of the figure per unit of concentration
        Of the line A = gain · c through the origin, by least squares: the highest concentrations decide.
    r2_origin : float
        R² of that line, about the mean of A.
    decades : shape (D,)
        Exponents of the decades of concentration that occur, ascending: -2 for 0.01 up to 0.1.
    deviations : shape (D,)
        Mean of A / (gain · c) - 1 in each decade.
    left_out : int
        Values of 0 or below, which have no logarithm: they count for all but ``slope`` and ``r2_log``.
    """

    slope: float
    r2_log: float
    gain: float
    r2_origin: float
    decades: NDArray[np.int64]
    deviations: Floats
    left_out: int


def dose_linearity(concentrations: ArrayLike, values: ArrayLike) -> Linearity:
    """Measure how far a figure is proportional to the concentration of a dilution series.

    Parameters
    ----------
    concentrations : shape (n,), above 0
    values : shape (n,)
        The figure, for instance the brightness of a sample. Take a signed one: the magnitude of noise is not
        zero on average.

    Returns
    -------
    Linearity
        Slope and R² of the logarithms are NaN where fewer than two concentrations have positive values.

    Raises
    ------
    InputError
        When there are not as many values as concentrations, or fewer than two different concentrations, or
        one is not above 0 or not finite.
    """
    dose = np.asarray(concentrations, np.float64).ravel()
    figure = np.asarray(values, np.float64).ravel()
    _check(dose, figure)
    gain = float(dose @ figure / (dose @ dose))
    slope, r2_log, positive = float("nan"), float("nan"), figure > 0
    if len(np.unique(dose[positive])) > 1:
        logs, wanted = np.log10(dose[positive]), np.log10(figure[positive])
        slope, start = (float(each) for each in np.polyfit(logs, wanted, 1))
        r2_log = _determination(wanted, slope * logs + start)
    decade = np.floor(np.log10(dose) + 1e-9).astype(np.int64)  # 0.1 is not quite a power of ten
    with np.errstate(divide="ignore", invalid="ignore"):
        off = figure / (gain * dose) - 1
    decades = np.unique(decade)
    deviations = np.array([off[decade == each].mean() for each in decades])
    r2_origin = _determination(figure, gain * dose)
    left_out = int(np.count_nonzero(~positive))
    return Linearity(slope, r2_log, gain, r2_origin, decades, deviations, left_out)


def _determination(values: Floats, fitted: Floats) -> float:
    spread = float(np.sum((values - values.mean()) ** 2))
    return 1 - float(np.sum((values - fitted) ** 2)) / spread if spread > 0 else float("nan")


def _check(dose: Floats, figure: Floats) -> None:
    if dose.shape != figure.shape:
        raise InputError(f"{figure.size} values of {dose.size} concentrations, expected as many")
    if not np.isfinite(figure).all() or not np.isfinite(dose).all() or np.any(dose <= 0):
        raise InputError(
            "a concentration or a value is no number, or a concentration is not above 0",
            hint="leave blanks out: they belong to the detection limit",
        )
    if len(np.unique(dose)) < 2:
        raise InputError("the linearity needs two different concentrations or more")
