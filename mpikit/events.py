"""What long work tells its caller while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One step of ``total`` is done.

    Parameters
    ----------
    index : int
        Steps done so far, 1 after the first.
    total : int
        Steps there will be at most.
    values : Mapping[str, float]
        Figures of this step by name, for a progress bar or a log.
    bounds : Mapping[str, bool]
        Of figures that may be known as lower bounds only: whether they are.
    """

    index: int
    total: int
    values: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """Something found out about the data that the user should know.

    Parameters
    ----------
    name : str
        A short name, stable over releases (``"repeats"``).
    value : object
        The machine-readable value.
    text : str
        The finding in words.
    """

    name: str
    value: object
    text: str


@dataclass(frozen=True)
class Warned:
    """Something the user should look at, although the work goes on."""

    text: str


Event = Step | Finding | Warned


def silent(event: Event) -> None:
    """Listen to nothing (the default listener)."""
