"""What has changed between two runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpikit.errors import InputError

RESULTS = "results.json"
SAME = 1e-9  # relative: less is rounding
_NAMES = ("table", "group", "method", "metric")
_FIGURES = ("value", "low", "high")


@dataclass(frozen=True)
class Change:
    """A figure that is not what it was.

    Parameters
    ----------
    where : str
        Table, group, method and metric.
    before, after : float or None
        None where there was, or is, no such figure.
    is_clear : bool
        The intervals of the two do not overlap.
    """

    where: str
    before: float | None
    after: float | None
    is_clear: bool

    @property
    def text(self) -> str:
        """The change in words."""
        if self.before is None or self.after is None:
            word, value = ("new", self.after) if self.before is None else ("gone", self.before)
            return f"{self.where}: {word}, {_shown(value)}"
        sign = "clear" if self.is_clear else "within the intervals"
        difference = self.after - self.before
        return f"{self.where}: {self.before:.4g} before, {self.after:.4g} now ({difference:+.3g}, {sign})"


def _shown(value: float | None) -> str:
    return "no value" if value is None else f"{value:.4g}"


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Return the figures of a run before.

    Parameters
    ----------
    folder : Path
        Its output.

    Raises
    ------
    InputError
        When there are none.
    """
    path = folder / RESULTS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["figures"]
        return [_checked(each) for each in found]
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", hint="--compare takes the --output of a run before"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} holds no results of mpikit reproduce") from error


def _checked(record: Any) -> dict[str, Any]:
    """Return a record that `changes` can compare, or raise `TypeError` or `KeyError`."""
    if not all(isinstance(record[name], str) for name in _NAMES):
        raise TypeError("the names of a figure must be texts")
    if not all(record[name] is None or isinstance(record[name], float | int) for name in _FIGURES):
        raise TypeError("a figure must be a number")
    return {**record, **{name: None if record[name] is None else float(record[name]) for name in _FIGURES}}


def changes(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Change]:
    """Return the figures that differ between two runs, of tables that are in both.

    Parameters
    ----------
    before, after : sequence of mapping
        See `mpikit.experiments.tables.records`.
    """
    tables = {each["table"] for each in before} & {each["table"] for each in after}
    old, new = ({_place(each): each for each in some if each["table"] in tables} for some in (before, after))
    found = []
    for place in dict.fromkeys([*new, *old]):
        one, other = old.get(place), new.get(place)
        first, second = (None if each is None else each["value"] for each in (one, other))
        if one is not None and other is not None and _is_same(first, second):
            continue
        clear = one is not None and other is not None and _are_apart(one, other)
        found.append(Change(", ".join(part for part in place if part), first, second, clear))
    return found


def _place(figure: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return figure["table"], figure["group"], figure["method"], figure["metric"]


def _is_same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= SAME * max(abs(first), abs(second))


def _are_apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    limits = (one["low"], one["high"], other["low"], other["high"])
    if any(each is None for each in limits):
        return False
    return bool(one["high"] < other["low"] or other["high"] < one["low"])
