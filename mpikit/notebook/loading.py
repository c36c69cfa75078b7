"""Open an MDF file as what it holds."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.provenance import HISTORY, read_history
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.other_formats import refuse_other
from mpikit.reconstruct.stored import read_images
from mpikit.scan import Repeats, Scan
from mpikit.scan_file import about_file
from mpikit.scan_set import read_repeated, refuse_calibration


def load(path: str | Path, *, repeats: Repeats | None = None) -> Scan | Images | mdf.File:
    """Open an MDF file as what it holds.

    Parameters
    ----------
    path : str or Path
    repeats : {"frames", "periods", "both", "none"} or None
        Of a measurement: along which axis the same signal was measured again. None finds out.

    Returns
    -------
    Scan
        Of a measurement, in memory.
    Images
        Of a reconstruction, in memory, with the unit and the concentration that mpikit wrote with them; of
        other files the unit is "value as stored".
    mdf.File
        Of a system matrix: it stays open, and is read when it is asked for; `mdf.File.close` closes it.

    Raises
    ------
    InputError
        When the file holds none of them, or no foreground frame.
    UsageError
        When ``repeats`` is given for another kind of file, or nothing repeats that way.
    mdf.MdfError
        When it is no MDF file, or a damaged one.

    Examples
    --------
    >>> import mpikit
    >>> scan = mpikit.load("scan.mdf")  # doctest: +SKIP
    """
    path = Path(path)
    refuse_other(path)
    file = mdf.open(path)
    if file.is_calibration:
        _refuse_repeats(path, repeats, "a system matrix", file)
        return file
    with file:
        if file.measurement is None:
            _refuse_repeats(path, repeats, "no measurement", file)
            if file.images is None:
                raise InputError(
                    f"{path.name} holds neither signals nor images", hint="mpikit info shows what a file is"
                )
            return read_images(file)
        about = about_file(file)
    return replace(read_repeated(path, repeats=repeats), about=about)


def _refuse_repeats(path: Path, repeats: Repeats | None, what: str, file: mdf.File) -> None:
    if repeats is not None:
        file.close()
        raise UsageError(f"{path.name} is {what}, in which nothing repeats", hint="leave repeats out")


def measured(scan: Scan | str | Path) -> Scan:
    """Return a scan, of a file too; of a simulated one without its truth, which no method may see."""
    if isinstance(scan, Scan):
        return Scan(**of_scan(scan))
    path = path_of(scan)
    refuse_calibration(path)
    found = load(path)
    if not isinstance(found, Scan):
        raise InputError(
            f"{path.name} holds images, expected a measurement",
            hint="name the file that was measured or denoised",
        )
    return found


def path_of(given: object) -> Path:
    """Return the path of a file that was named or opened; `UsageError` for anything else."""
    if isinstance(given, str | Path):
        return Path(given)
    if isinstance(given, mdf.File):
        return given.path
    raise UsageError(
        f"{type(given).__name__} is no measurement and no file",
        hint="give a scan, as mpikit.load and mpikit.denoise make one, or the path of an MDF file",
    )


def history_of(scan: Scan) -> list[dict[str, Any]]:
    """Return the history of a scan, see `mpikit.provenance.read_history`."""
    history = scan.about.get(HISTORY)
    return read_history(history if isinstance(history, str) else None)


def of_scan(scan: Scan) -> dict[str, Any]:
    """Return the fields of a scan, for a class that has more."""
    return {each.name: getattr(scan, each.name) for each in fields(Scan)}
