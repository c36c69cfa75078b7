"""What a rule finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Severity = Literal["error", "warning", "note"]

_LONGEST = 200  # characters of a file's own that are worth showing


@dataclass(frozen=True)
class Problem:
    """One place where a file does not follow the standard.

    All texts are printable whatever the file holds: other characters are shown as escapes.

    Parameters
    ----------
    rule : str
        Name of the rule, stable over releases: F01, M03, ...
    severity : {"error", "warning", "note"}
        An error keeps readers from understanding the file, a warning is a deviation that can be read, a note
        is worth knowing.
    path : str
        The dataset or group.
    found, expected : str
        Values or shapes, empty where there is nothing to compare.
    message : str
        The finding in words, with `found` and `expected`.
    """

    rule: str
    severity: Severity
    path: str
    found: str
    expected: str
    message: str


Problems = Iterator[Problem]


def error(rule: str, path: str, what: str, found: Any = "", expected: Any = "") -> Problem:
    """Return a problem that keeps readers from understanding the file."""
    return _problem(rule, "error", path, what, found, expected)


def warning(rule: str, path: str, what: str, found: Any = "", expected: Any = "") -> Problem:
    """Return a deviation that can be read."""
    return _problem(rule, "warning", path, what, found, expected)


def note(rule: str, path: str, what: str, found: Any = "", expected: Any = "") -> Problem:
    """Return something worth knowing."""
    return _problem(rule, "note", path, what, found, expected)


def _problem(rule: str, severity: Severity, path: str, what: str, found: Any, expected: Any) -> Problem:
    found, expected = _words(found), _words(expected)
    parts = [f"found {found}" if found else "", f"expected {expected}" if expected else ""]
    details = ", ".join(part for part in parts if part)
    message = f"{what}: {details}" if details else what
    return Problem(rule, severity, printable(path), found, expected, printable(message, 3 * _LONGEST))


def _words(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist() if value.size <= 12 else f"{value.size} values"
    return printable(str(value))


def printable(text: str, longest: int = _LONGEST) -> str:
    r"""Return text that is safe to show: one line, no control characters, not too long.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    if len(text) > longest:
        text = text[:longest] + "..."
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
