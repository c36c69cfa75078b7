"""Values of the user's own, whose names start with an underscore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mdf import spec
from mdf.check import check_text
from mdf.errors import MdfError


def user_content(user: Mapping[str, Any]) -> dict[str, Any]:
    """Check values of the user's own: path to a str, or an array."""
    checked = {}
    for path, value in user.items():
        group, _, rest = _split_user_path(path)
        if not group or not rest.startswith("_") or "//" in path or path.endswith("/"):
            raise MdfError(
                f"{path!r} is no name for a value of your own", hint="like /_name or /tracer/_name"
            )
        array = np.asarray(value)
        if array.dtype.kind in "UO":
            array = np.asarray(value, dtype=object)
            for text in array.reshape(-1):
                if not isinstance(text, str):
                    raise MdfError(f"{path} has the type {type(text).__name__}, expected text or numbers")
                check_text(path, text)
        elif array.dtype.kind == "b":
            array = array.astype("i1")
        elif array.dtype.kind not in "iufc":
            raise MdfError(f"{path} has the type {array.dtype}, expected text or numbers")
        checked[path] = array
    return checked


def _split_user_path(path: str) -> tuple[str, str, str]:
    """Split into the longest group of the standard, and the rest."""
    group = max(
        (group for group in spec.GROUPS if path.startswith(group.rstrip("/") + "/")), key=len, default=""
    )
    return group, "/", path[len(group.rstrip("/")) + 1 :]
