"""Pictures and pages that we made: at a name that nobody gave they may be replaced, other files never."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"
LOOKED_AT = 4096  # bytes at the beginning
MAKER = "mpikit"


def software() -> str:
    """Return what the pictures and pages say that made them: ``mpikit`` and the version."""
    return f"{MAKER} {version('mpikit')}"


def is_made_here(path: Path) -> bool:
    """Say whether a file is a PNG picture or an HTML page that says that mpikit made it.

    Such a one is replaced where the user did not name it: the verb chose the name itself.

    Parameters
    ----------
    path : Path
        It may be absent.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(LOOKED_AT)
    except OSError:
        return False
    if begin.startswith(PNG):
        return f"tEXtSoftware\0{MAKER} ".encode() in begin
    page = begin.lstrip().lower()
    return page.startswith(b"<!doctype html>") and f'name="generator" content="{MAKER} '.encode() in page
