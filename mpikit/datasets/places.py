"""Where data sets are kept, and where they come from."""

from __future__ import annotations

import os
from pathlib import Path

from mpikit.datasets.catalogue import Dataset, dataset
from mpikit.errors import PluginError
from mpikit.extras import install_hint

CACHE = "MPIKIT_DATASETS"
MIRROR = "MPIKIT_DATASETS_MIRROR"


def cache_folder() -> Path:
    """Return the folder of the data sets: ``MPIKIT_DATASETS``, or else the system's place for caches.

    Raises
    ------
    PluginError
        When the variable is not set, and pooch, which knows the system's place, is not installed.
    """
    named = os.environ.get(CACHE)
    if named:
        return Path(named).expanduser().absolute()
    require_extra()
    import pooch

    return Path(pooch.os_cache("mpikit")) / "datasets"


def place(of: Dataset | str, folder: Path | None = None) -> Path:
    """Return where a data set is kept, whether it is there or not.

    Parameters
    ----------
    of : Dataset or str
        The data set or its name.
    folder : Path, optional
        Cache; `cache_folder` if not given.

    Raises
    ------
    UsageError
        When no data set has this name.
    PluginError
        As `cache_folder`.
    """
    known = dataset(of) if isinstance(of, str) else of
    return (cache_folder() if folder is None else folder.absolute()).joinpath(*known.file.split("/"))


def fetched_path(of: Dataset | str, folder: Path | None = None) -> Path | None:
    """Return the file of a data set that was fetched, None if it was not; arguments as of `place`.

    Its hash is not looked at: `mpikit.datasets.fetch` does that.
    """
    path = place(of, folder)
    return path if path.is_file() else None


def address(of: Dataset) -> str:
    """Return the address that a data set is fetched from: its own one, or ``MPIKIT_DATASETS_MIRROR``.

    A mirror has the folders and files of a cache, so that any web server shares a cache.
    """
    mirror = os.environ.get(MIRROR)
    return f"{mirror.rstrip('/')}/{of.file}" if mirror else of.url


def is_mirrored() -> bool:
    """Tell whether files come from a mirror."""
    return bool(os.environ.get(MIRROR))


def require_extra() -> None:
    """Refuse to go on without the extra ``datasets``.

    Raises
    ------
    PluginError
    """
    try:
        import pooch
        import requests  # noqa: F401 - both are asked for
    except ImportError as error:
        raise PluginError(
            f"fetching data sets needs {error.name}, which is not installed",
            hint=install_hint("datasets"),
        ) from error
    pooch.get_logger().setLevel("WARNING")  # it would say on stderr what the events say
