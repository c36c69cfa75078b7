"""Cells of CSV files that no spreadsheet takes for a formula."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# a figure, or several: "-3.1 ± 0.2", "+1e-3"
_FIGURES = re.compile(r"[+-]?[\d.]+([eE][+-]?\d+)?( ± [\d.]+([eE][+-]?\d+)?)?")


def plain_cell(value: Any) -> Any:
    """Return a cell that stands for itself: texts that start like a formula get an apostrophe in front.

    Names in a file may come from anywhere, and spreadsheets run formulas when they open a CSV file (OWASP,
    "CSV Injection"). Numbers stay numbers.

    >>> plain_cell("=HYPERLINK(A1)"), plain_cell("-3.1 ± 0.2"), plain_cell(-3.1)
    ("'=HYPERLINK(A1)", '-3.1 ± 0.2', -3.1)
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA) or _FIGURES.fullmatch(value):
        return value
    return f"'{value}"


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of a row by their columns, see `plain_cell`."""
    return {name: plain_cell(value) for name, value in row.items()}
