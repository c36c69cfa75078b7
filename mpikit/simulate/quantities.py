"""Checks of the numbers that describe a device."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError


def check_positive(what: str, value: object, unit: str) -> None:
    """Refuse a value that is no finite number above 0.

    Parameters
    ----------
    what : str
        As it stands in the message: ``"the bandwidth of the receiver"``.
    value
    unit : str
        ``""`` for a bare number.

    Raises
    ------
    UsageError
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < np.inf:
        wanted = f"a number above 0 in {unit}" if unit else "a number above 0"
        raise UsageError(f"{what} is {value!r}, expected {wanted}")


def check_whole(what: str, value: object, *, least: int, most: int | None = None) -> None:
    """Refuse a value that is no whole number from ``least`` to ``most``.

    Raises
    ------
    UsageError
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    number = int(value) if isinstance(value, Integral) else least
    if not whole or number < least or (most is not None and number > most):
        wanted = f"{least} or more" if most is None else f"{least} to {most}"
        raise UsageError(f"{what} is {value!r}, expected a whole number, {wanted}")


def real_array(what: str, values: Any) -> NDArray[np.float64]:
    """Return values as an array of real, finite numbers.

    Raises
    ------
    UsageError
    """
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf" or not np.all(np.isfinite(array)):
        raise UsageError(f"{what} has to be a regular array of real, finite numbers")
    return array.astype(np.float64)
