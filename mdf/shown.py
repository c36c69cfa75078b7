"""What a notebook shows of a file: a small table, without scripts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from mdf.errors import MdfError

if TYPE_CHECKING:
    from mdf.file import File


def as_html(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values, everything in it escaped.

    >>> as_html("scan", [("a < b", "1")])
    '<table><caption>scan</caption><tr><th>a &lt; b</th><td>1</td></tr></table>'

    Parameters
    ----------
    title : str
    rows : iterable of (str, str)
    """
    cells = (f"<tr><th>{_escaped(name)}</th><td>{_escaped(value)}</td></tr>" for name, value in rows)
    return f"<table><caption>{_escaped(title)}</caption>{''.join(cells)}</table>"


def _escaped(text: str) -> str:
    """Return text without markup, and without what a terminal or an editor would obey."""
    return escape("".join(letter if letter.isprintable() else " " for letter in text))


def file_as_html(file: File) -> str:
    """Return what an open file is, as a small HTML table; no signal of a measurement is read.

    Parameters
    ----------
    file : File
    """
    title = f"mdf.File {file.path.name}"
    if not file._hdf:
        return as_html(title, [("state", "closed")])
    try:
        return as_html(title, _facts(file))
    except MdfError as error:  # what it is shown for must not hide behind a traceback
        return as_html(title, [("damaged", str(error))])


def _facts(file: File) -> list[tuple[str, str]]:
    rows = [("holds", _kind(file)), ("version", f"MDF {file.version}")]
    if file.measurement is not None:
        names = ("frames", "periods", "channels", "samples")
        sizes = (file.num_frames, file.num_periods, file.num_channels, file.num_samples)
        rows += [(name, str(size)) for name, size in zip(names, sizes, strict=True)]
        rows.append(("sampling rate", f"{file.sampling_rate:.6g} Hz"))
    if file.grid is not None:
        rows.append(("voxels (x, y, z)", " x ".join(map(str, file.grid.size))))
        extent = " x ".join(f"{1e3 * length:.4g}" for length in file.grid.field_of_view)
        rows.append(("field of view (x, y, z)", f"{extent} mm"))
    if file.images is not None:
        rows.append(("images", str(len(file.images))))
    return rows


def _kind(file: File) -> str:
    if file.is_calibration:
        return "a system matrix"
    kinds = {"a measurement": file.measurement, "images": file.reconstruction}
    return " and ".join(kind for kind, group in kinds.items() if group is not None) or "no signal"
