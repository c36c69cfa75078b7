"""Images in MDF files: how they are written, and read with unit and concentration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import mdf
from mpikit.errors import InputError
from mpikit.provenance import HISTORY, read_history
from mpikit.reconstruct.beside import DEVIATION
from mpikit.reconstruct.image import Images

TRACERS = "/_mpikit/tracers"  # (S,): names of the channels of /reconstruction/data
UNIT = "/_mpikit/unit"  # of the values of /reconstruction/data
CONCENTRATION = "/_mpikit/concentration"  # (S,), mol/L of a value of 1; not there when it is not known
AS_STORED = "value as stored"  # the unit of files that say none

_NOT_KEPT = ("/measurement/", "/calibration/", "/reconstruction/")
_ITSELF = {"/version", "/uuid", "/time"}  # a new file has its own
_TRANSFER = "/acquisition/receiver/transferFunction"


def about_images(file: mdf.File) -> dict[str, Any]:
    """Return what an open file says of sequence, scanner and the like: what images of it keep."""
    kept = {
        name: value
        for name, value in file.contents().items()
        if name not in _ITSELF and not name.startswith(_NOT_KEPT)
    }
    if file.measurement is not None and not file.stored_lines.all():
        kept.pop(_TRANSFER, None)  # it has the stored lines alone, and images do not say which
    return kept


def write_mdf(
    path: Path,
    images: Images,
    *,
    about: Mapping[str, Any],
    history: str,
    deviation: Images | None = None,
    copy_user_from: mdf.File | None = None,
    overwrite: bool = False,
) -> None:
    """Write images as an MDF reconstruction, whose unit and concentration stand in ``/_mpikit``.

    Parameters
    ----------
    path : Path
    images : Images
    about : mapping
        See `about_images`.
    history : str
        Text of `/_mpikit/history`.
    deviation : Images, optional
        Standard deviation of each image, or one for all.
    copy_user_from : mdf.File, optional
        Whose other own values are copied.
    overwrite : bool

    Raises
    ------
    mdf.MdfError
        When something mandatory is missing, or the file exists or cannot be written.
    """
    user: dict[str, Any] = {HISTORY: history, UNIT: images.unit}
    if images.concentration is not None:
        user[CONCENTRATION] = np.atleast_1d(np.array(images.concentration, np.float64))
    elif copy_user_from is not None and copy_user_from.user_value(CONCENTRATION) is not None:
        user[CONCENTRATION] = np.full(max(len(images.tracers), 1), np.nan)  # not that of other images
    if images.tracers:
        user[TRACERS] = np.array(images.tracers)
    if deviation is not None:
        user[DEVIATION] = deviation.contents()["/reconstruction/data"]
    contents = {**about, **images.contents()}
    mdf.write(path, contents, user=user, copy_user_from=copy_user_from, overwrite=overwrite)


def read_images(file: mdf.File) -> Images:
    """Read the images of an open MDF file.

    Parameters
    ----------
    file : mdf.File

    Returns
    -------
    Images
        With unit and concentration where the file says them, else in `AS_STORED`. Which frames they are of
        is not known.

    Raises
    ------
    InputError
        When there are no images, or they have no grid.
    mdf.MdfError
        When they are damaged.
    """
    values, grid = file.images, file.grid
    if values is None:
        raise InputError(f"{file.path.name} has no images", hint="mpikit reconstruct makes some")
    if grid is None:
        raise InputError(
            f"the images of {file.path.name} have no grid: /reconstruction/fieldOfView is missing"
        )
    history = file.user_value(HISTORY)
    history = history if isinstance(history, str) else ""
    count = values.shape[-1]
    unit, concentration = stored_unit(file, count)
    channels = np.moveaxis(np.asarray(values, np.float32), -1, 1)
    return Images(
        channels if count > 1 else channels[:, 0],
        grid,
        np.zeros(0, np.int64),
        unit,
        concentration,
        tracers=stored_tracers(file, count),
        history=history,
        frame_interval=_interval(file, history, len(channels)),
        about=about_images(file),
    )


def stored_unit(file: mdf.File, count: int) -> tuple[str, float | tuple[float, ...] | None]:
    """Return the unit of stored images of so many tracers, and the concentration of a value of 1, mol/L."""
    unit, values = file.user_value(UNIT), file.user_value(CONCENTRATION)
    if not isinstance(unit, str) or not unit:
        return AS_STORED, None
    try:
        known = np.atleast_1d(np.asarray(values, np.float64))
    except (TypeError, ValueError):  # not ours
        return unit, None
    if known.shape != (count,) or not (np.isfinite(known).all() and (known > 0).all()):
        return unit, None
    return unit, float(known[0]) if count == 1 else tuple(known.tolist())


def stored_tracers(file: mdf.File, count: int) -> tuple[str, ...]:
    """Return the names of several tracers, ``channel 0`` and so on where the file has none; none of one."""
    if count == 1:
        return ()
    stored = file.user_value(TRACERS)
    names = [] if stored is None else [str(name) for name in np.atleast_1d(stored)]
    return tuple(names if len(names) == count else [f"channel {index}" for index in range(count)])


def _interval(file: mdf.File, history: str, images: int) -> float | None:
    records = read_history(history)
    options = records[-1].get("options") if records else None
    return frame_interval(file, options, images) if isinstance(options, dict) else None


def frame_interval(file: mdf.File, options: Mapping[str, Any], images: int) -> float | None:
    """Return the time between two images, s; None for a single one, or where the file does not say.

    Parameters
    ----------
    file : mdf.File
        The measurement, or its images.
    options : mapping
        Of the reconstruction, as its history has them.
    images : int
        How many there are.
    """
    cycle = file.acquisition.drivefield.cycle
    if images < 2 or not cycle:
        return None
    frames = options.get("frame_averages", 1)
    periods = options.get("period_averages")
    if periods is None:
        return float(cycle * file.acquisition.num_averages * file.num_periods * frames)
    periods *= options["period_grouping"]
    if frames > 1 and periods < file.num_periods:
        return None  # images of the same frames follow each other sooner than those of the next ones
    return float(cycle * file.acquisition.num_averages * periods * frames)
