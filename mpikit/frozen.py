"""Arrays that cannot be written into, and cannot be made writable again, for code of plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Scan

Value = TypeVar("Value")


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written into, of the same memory.

    NumPy makes a view of an array writable again when it is asked to; not one of a buffer that is for
    reading alone.
    """
    try:
        return np.asarray(memoryview(cast("Any", array)).toreadonly())
    except (ValueError, NotImplementedError):  # times, for one, are no buffers
        view = array.view()
        view.flags.writeable = False
        return view


def frozen(value: Value) -> Value:
    """Return a copy with arrays that cannot be written into.

    Parameters
    ----------
    value : object
        Records (dataclasses), mappings, lists, tuples and arrays are copied, with all that is in them;
        anything else is returned as it is.
    """
    made: Any = value
    if isinstance(value, np.ndarray):
        made = read_only(value.copy())
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: frozen(getattr(value, each.name)) for each in fields(value) if each.init}
        made = replace(value, **parts)
    elif isinstance(value, Mapping):
        made = {name: frozen(each) for name, each in value.items()}
    elif type(value) in (list, tuple):
        made = type(value)(map(frozen, made))  # type: ignore[call-arg]
    return cast("Value", made)


def protected(scan: Scan) -> Scan:
    """Return a scan through which nothing that the caller holds can be changed.

    Signals and background are views, for they may be large; all else is copied.
    """
    parts: dict[str, Any] = {each.name: getattr(scan, each.name) for each in fields(scan) if each.init}
    views = {name: read_only(parts.pop(name)) for name in ("signal", "background")}
    return replace(scan, **(frozen(parts) | views))
