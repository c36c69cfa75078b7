"""Bring values into the standard's shape: the habits of real files that deviate, and what is made of them.

The rules have the names of the validator's rules (F09, D02, ...) that such a file breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mdf import spec
from mdf.spec import Field

Array = np.ndarray[Any, Any]
Note = Callable[[str, str], None]
Letters = Mapping[str, int]


@dataclass(frozen=True)
class Repair:
    """One thing that a file has otherwise than the standard says, and what was made of it.

    Parameters
    ----------
    rule : str
        Short name, stable over releases.
    path : str
        The dataset.
    text : str
        What was found and how it is read.
    """

    rule: str
    path: str
    text: str


def fit(field: Field, value: Array, letters: Letters, note: Note) -> Array:
    """Return a value in the shape that the standard gives its field.

    Parameters
    ----------
    field : Field
    value : array
        As stored.
    letters : mapping of str to int
        Sizes of the axes that are known (J, C, D, K, ...); an unknown letter takes any size.
    note : callable
        Takes rule and text of every repair.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If no repair makes the shape right.
    """
    before = value.shape
    unknown = [axis for axis in field.shape if axis in {*spec.COUNTS, "K"} and axis not in letters]
    if unknown:
        raise ValueError(f"the file does not say the size of its axis {unknown[0]}")
    reshape = _RESHAPE.get(field.path, _any_value)
    rule, fitted = reshape(field, value, letters)
    if fitted.shape != before:
        note(rule, f"shape {_print(before)} read as {_print(fitted.shape)}")
    if field.path in _OVER_PERIODS:
        fitted = _fit_periods(fitted, letters["J"], note)
    if not _fits(field, fitted, letters):
        raise ValueError(f"it has the shape {_print(before)}, expected {_print(_wanted(field, letters))}")
    return fitted


def _wanted(field: Field, letters: Letters) -> tuple[str | int, ...]:
    known = letters if field.path != spec.TRANSFER_FUNCTION else {"C": letters["C"]}
    return tuple(known.get(axis, axis) if isinstance(axis, str) else axis for axis in field.shape)


def _fits(field: Field, value: Array, letters: Letters) -> bool:
    wanted = _wanted(field, letters)
    return value.ndim == len(wanted) and all(
        isinstance(size, str) or size == found for size, found in zip(wanted, value.shape, strict=True)
    )


def _print(shape: tuple[str | int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


Reshaped = tuple[str, Array]


def _any_value(field: Field, value: Array, letters: Letters) -> Reshaped:
    """Single values in arrays, and scalars where a vector of length 1 is expected."""
    if field.shape == () and value.size == 1:
        return "F10", value.reshape(())
    if value.ndim == 0 and len(field.shape) == 1:
        return "T01" if field.group == "/tracer" else "F10", value.reshape(1)
    if field.shape[:1] == ("J",) and letters.get("J") == 1 and value.ndim == len(field.shape) - 1:
        return "C06", value[None]
    return "F10", value


def _amplitudes(_: Field, value: Array, letters: Letters) -> Reshaped:
    """Strength and phase (J, D, F) that lack an axis."""
    channels = letters["D"]
    if value.ndim == 2 and value.shape[1] == channels:
        value = value[..., None]
    elif value.ndim == 2 and value.shape[0] == channels:
        value = value[None]
    elif value.ndim < 2 and value.size == channels:
        value = value.reshape(1, channels, 1)
    return "D02", value


def _divider(field: Field, value: Array, letters: Letters) -> Reshaped:
    """Divider of shape (F, D), or without the axis F, or a single waveform for all channels."""
    wanted = (letters["D"], letters["F"])
    if value.shape == wanted:
        return "D02", value
    if value.shape == wanted[::-1]:
        return "D02", value.T
    if value.ndim < 2 and value.size == wanted[0] * wanted[1]:
        return "D02", value.reshape(wanted)
    if field.is_text and value.size == 1:
        return "D02", np.full(wanted, value.reshape(-1)[0])
    return "D02", value


def _gradient(_: Field, value: Array, __: Letters) -> Reshaped:
    """Gradient given as a diagonal, one matrix, or one matrix for each period."""
    if value.shape == (3,):
        value = np.diag(value)
    if value.shape == (3, 3):
        value = value[None]
    if value.ndim == 3 and value.shape[1:] == (3, 3):
        value = value[:, None]
    return "A02", value


def _offset(_: Field, value: Array, __: Letters) -> Reshaped:
    """Offset field given as one vector, or one vector for each period."""
    if value.shape == (3,):
        value = value[None]
    if value.ndim == 2 and value.shape[1] == 3:
        value = value[:, None]
    return "A02", value


def _conversion(_: Field, value: Array, letters: Letters) -> Reshaped:
    """One pair for all receive channels; a factor of 0 or NaN is no factor."""
    if value.shape in {(2,), (1, 2)}:
        value = np.tile(value.reshape(1, 2), (letters.get("C", 1), 1))
    if not np.all(np.isfinite(value)) or (value.ndim == 2 and np.any(value[:, 0] == 0)):
        raise ValueError("expected finite numbers and no factor of 0")
    return "R02", value


def _images(_: Field, value: Array, __: Letters) -> Reshaped:
    """Images without the axis of contrasts."""
    return "P01", value[..., None] if value.ndim == 2 else value


_OVER_PERIODS = {
    "/acquisition/drivefield/strength",
    "/acquisition/drivefield/phase",
    "/acquisition/gradient",
    "/acquisition/offsetField",
}
_RESHAPE: dict[str, Callable[[Field, Array, Letters], Reshaped]] = {
    "/acquisition/drivefield/strength": _amplitudes,
    "/acquisition/drivefield/phase": _amplitudes,
    "/acquisition/drivefield/divider": _divider,
    "/acquisition/drivefield/waveform": _divider,
    "/acquisition/gradient": _gradient,
    "/acquisition/offsetField": _offset,
    "/acquisition/receiver/dataConversionFactor": _conversion,
    "/reconstruction/data": _images,
}


def _fit_periods(value: Array, periods: int, note: Note) -> Array:
    """Give the axis J its length where the entries of the file leave no doubt."""
    found = len(value) if value.ndim else 0
    if found == periods:
        return value
    if found == 1:
        note("D02", f"one entry read as the same for all {periods} periods")
        return np.repeat(value, periods, axis=0)
    if found and found % periods == 0:
        blocks = value.reshape(periods, found // periods, *value.shape[1:])
        if np.all(blocks == blocks[:, :1]):
            note(
                "D02", f"{found} entries for {periods} periods, equal within each period: one of each is kept"
            )
            return blocks[:, 0]
    return value


def tidy_time(text: str) -> str:
    """Return a time in the form of MDF if it is one with a zone, a space or microseconds.

    >>> tidy_time("2026-03-02 10:15:30.123456+01:00")
    '2026-03-02T09:15:30.123'
    """
    if spec.TIME.fullmatch(text):
        return text
    try:
        time = datetime.fromisoformat(text.strip())
        if time.tzinfo is not None:
            time = time.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return text
    return time.isoformat(timespec="milliseconds")
