"""The extras of mpikit: what to install for what the core does without."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires

EXTRA = re.compile(r"""\bextra\s*==\s*['"]([^'"]+)['"]""")


def packages_of(extra: str) -> list[str]:
    """Return the requirements of an extra, as pip takes them; none where mpikit itself is not installed.

    Parameters
    ----------
    extra : str
        For instance ``"napari"``.
    """
    try:
        lines = requires("mpikit") or []
    except PackageNotFoundError:
        return []
    found = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        if extra in EXTRA.findall(marker):
            found.append(requirement.strip())
    return found


def install_hint(extra: str, *, upgrade: bool = False) -> str:
    """Return how to install what an extra asks for, from wherever mpikit itself was installed.

    Parameters
    ----------
    extra : str
    upgrade : bool
        An older version is there.
    """
    packages = packages_of(extra)
    if not packages:
        return f"install the extra {extra} of mpikit"
    words = " ".join(f"'{each}'" for each in packages)
    return f"pip install {'-U ' if upgrade else ''}{words} (the extra {extra} of mpikit)"
