"""Where the foreground frames of a calibration stand, before and after their order is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf.conversion.options import ConversionError
from mdf.errors import MdfError
from mdf.file import File
from mdf.grid import Grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SIZE, _ORDER = "/calibration/size", "/calibration/order"
_FOV, _CENTER = "/calibration/fieldOfView", "/calibration/fieldOfViewCenter"
_POSITIONS, _OFFSETS = "/calibration/positions", "/calibration/offsetFields"


def grid_sequence(file: File) -> Ints:
    """Return which stored foreground frame stands at each voxel, x fastest, shape (O,).

    Raises
    ------
    ConversionError
        If the file is no calibration on a full regular grid.
    """
    if not file.is_calibration:
        raise ConversionError("the file is no calibration, its frames have no place on a grid")
    positions, size = file.value(_POSITIONS), file.value(_SIZE)
    if size is None and positions is None:
        raise ConversionError("/calibration has neither size nor positions: the grid is unknown")
    if size is None:
        return _regular(positions)[1]
    stored = file.frame_index("foreground", "stored")
    on_grid = file.frame_index("foreground", "grid")
    if len(on_grid) != np.prod(size):
        raise ConversionError(f"/calibration/size is {size.tolist()}, there are {len(on_grid)} positions")
    by_time = np.argsort(stored)
    sequence: Ints = by_time[np.searchsorted(stored[by_time], on_grid)]
    if positions is not None:
        _check_filled(file, positions[sequence])
    return sequence


def _check_filled(file: File, positions: Floats) -> None:
    """Refuse positions that do not fill the grid: the reader leaves those as they are stored."""
    grid = file.grid
    if grid is None or not np.array_equal(grid.nearest(positions), np.arange(len(positions))):
        raise ConversionError("the positions of the calibration do not fill its grid")


def _regular(positions: Floats) -> tuple[Ints, Ints]:
    """Return the size (3,) of the regular grid that positions fill, and who stands at each voxel."""
    size, places = np.ones(3, np.int64), np.zeros(positions.shape, np.int64)
    for axis, along in enumerate(positions.T):
        low, extent = along.min(), np.ptp(along)
        ordered = np.unique(along)
        steps = np.diff(ordered)
        wide = steps[steps > 1e-3 * extent]
        if len(wide) == 0:
            continue
        places[:, axis] = np.rint((along - low) / wide.mean())
        size[axis] = places[:, axis].max() + 1
        off = np.abs(along - low - places[:, axis] * wide.mean())
        if np.any(off > 1e-2 * wide.mean()):
            raise ConversionError("the positions of the calibration are no regular grid")
    voxel = places @ np.cumprod([1, *size[:2]])
    if not np.array_equal(np.sort(voxel), np.arange(np.prod(size))):
        raise ConversionError("the positions of the calibration do not fill a regular grid")
    return size, np.argsort(voxel)


def contents_of_positions(file: File, chosen: Ints) -> tuple[dict[str, Any], list[str]]:
    """Return what changes in `/calibration` when other foreground frames, or in another order, are stored.

    Parameters
    ----------
    file : File
        A calibration.
    chosen : shape (O',)
        Stored foreground frames, from 0, in their new order.

    Returns
    -------
    dict, list of str
        Contents, where None leaves a dataset out, and remarks.
    """
    count = int(np.sum(~file.is_background))
    if np.array_equal(chosen, np.arange(count)):
        return {}, []
    changed: dict[str, Any] = {}
    for path in (_POSITIONS, _OFFSETS):
        value = file.value(path)
        if value is not None:
            changed[path] = value[chosen]
    try:
        sequence = grid_sequence(file)
    except ConversionError:
        sequence = np.arange(0)
    if np.array_equal(chosen, sequence):
        return changed | _on_grid(file, changed.get(_POSITIONS)), []
    if not changed and file.value(_SIZE) is not None:
        changed[_POSITIONS] = _positions(file)[chosen]
    if file.value(_SIZE) is None:
        return changed, []
    return changed | {_SIZE: None, _ORDER: None}, [
        "the frames do not fill the grid in its order: their positions are stored, the size is left out"
    ]


def _on_grid(file: File, positions: Floats | None) -> dict[str, Any]:
    """Return the grid in the order x, y, z; positions that say no more than it does are left out."""
    if file.value(_SIZE) is not None:
        return {_ORDER: "xyz"} if file.value(_ORDER) is not None else {}
    assert positions is not None  # noqa: S101 - the sequence came from them
    size = _regular(positions)[0]
    spacing = np.ptp(positions, axis=0) / np.maximum(size - 1, 1)
    fov, center = file.value(_FOV), (positions.min(axis=0) + positions.max(axis=0)) / 2
    if fov is None or not np.allclose((fov / size)[size > 1], spacing[size > 1], rtol=1e-3):
        return {}
    stored = file.value(_CENTER)
    center = center if stored is None else stored
    changed = {_SIZE: size, _FOV: fov, _CENTER: center}
    regular = Grid(size, fov, center).positions()
    agrees = np.allclose(regular, positions, rtol=0, atol=1e-6 * float(spacing.max() or 1))
    return changed | ({_POSITIONS: None} if agrees else {})


def _positions(file: File) -> Floats:
    """Return the position of each stored foreground frame, shape (O, 3), m."""
    assert file.calibration is not None  # noqa: S101
    try:
        in_order: Floats = file.calibration.positions
    except MdfError as error:
        raise ConversionError(
            f"the frames would no longer be in grid order, and their positions are unknown: {error}"
        ) from error
    positions = np.empty_like(in_order)
    positions[grid_sequence(file)] = in_order
    return positions
