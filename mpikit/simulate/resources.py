"""Work that no machine could do is refused before it begins."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mpikit.errors import UsageError


def check_memory(needed: float, what: str) -> None:
    """Refuse work that needs more memory than the machine has.

    Parameters
    ----------
    needed : float, bytes
    what : str
        What needs it, in words.

    Raises
    ------
    UsageError
    """
    present = _memory()
    if present is not None and needed > 0.9 * present:
        raise UsageError(
            f"{what} would need {_gib(needed)} of memory, this machine has {_gib(present)}",
            hint="ask for fewer voxels, frames or periods",
        )


def check_disk(path: Path, needed: float) -> None:
    """Refuse a file that is larger than the room left beside it.

    Parameters
    ----------
    path : Path
        File to be written.
    needed : float, bytes

    Raises
    ------
    UsageError
    """
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise UsageError(
            f"{path.name} would take {_gib(needed)}, its disk has {_gib(free)} left",
            hint="ask for fewer voxels, frames or periods, or choose another place with --output",
        )


def _memory() -> int | None:
    """Physical memory in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _gib(size: float) -> str:
    return f"{size / 2**30:.3g} GiB"
