"""Sizes on the command line: ``19x19x9``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mpikit.errors import UsageError

Number = TypeVar("Number", int, float)


def read_size(option: str, text: str | None, *, axes: int = 1) -> tuple[int, ...]:
    """Read voxels along x, y, z from ``19x19``; nothing for None.

    Raises
    ------
    UsageError
        When the text is not one to three whole numbers with x between them, or fewer than ``axes``.
    """
    return _read(option, text, int, axes, "19x19 or 19x19x9")


def read_extent(option: str, text: str | None, *, axes: int = 1) -> tuple[float, ...]:
    """Read lengths along x, y, z in m from ``38x38`` in mm; nothing for None.

    Raises
    ------
    UsageError
        When the text is not one to three numbers with x between them, or fewer than ``axes``.
    """
    return tuple(length / 1e3 for length in _read(option, text, float, axes, "38x38 or 38x38x19, in mm"))


def read_place(option: str, text: str | None) -> tuple[float, float, float]:
    """Read a place in m from ``0,0,3`` in mm; the origin for None.

    Raises
    ------
    UsageError
        When the text is not one to three numbers with commas between them.
    """
    if text is None:
        return (0.0, 0.0, 0.0)
    try:
        numbers = [float(part) / 1e3 for part in text.split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3:
        raise UsageError(f"{option} is {text!r}, expected one to three numbers with commas, as 0,0,3 in mm")
    x, y, z = (*numbers, 0.0, 0.0)[:3]
    return (x, y, z)


def _read(
    option: str, text: str | None, kind: Callable[[str], Number], axes: int, example: str
) -> tuple[Number, ...]:
    if text is None:
        return ()
    try:
        numbers = tuple(kind(part) for part in text.lower().split("x"))
    except ValueError:
        numbers = ()
    if not axes <= len(numbers) <= 3:
        raise UsageError(f"{option} is {text!r}, expected numbers with x between them, as {example}")
    return numbers
