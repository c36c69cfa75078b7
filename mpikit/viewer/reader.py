"""The reader of the napari plugin: napari calls it for each file that is dropped into its window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mpikit.viewer.files import is_mdf, layers_of_file

Paths = str | Sequence[str]
LayerData = tuple[Any, dict[str, Any], str]


def napari_get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Return the reader for some files, or None when one of them is no MDF file.

    Parameters
    ----------
    path : str or sequence of str
    """
    paths = _listed(path)
    return read_layers if paths and all(is_mdf(each) for each in paths) else None


def read_layers(path: Paths) -> list[LayerData]:
    """Read files as image layers.

    Parameters
    ----------
    path : str or sequence of str

    Returns
    -------
    list of (data, options, "image")

    Raises
    ------
    InputError, mdf.MdfError
        As `layers_of_file`.
    """
    return [layer.as_napari() for each in _listed(path) for layer in layers_of_file(each)]


def _listed(path: Paths) -> list[Path]:
    return [Path(path)] if isinstance(path, str) else [Path(each) for each in path]
