"""X-space reconstruction: the signal over the speed of the field-free point, gridded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.scanner import DriveField, SelectionField

Floats = NDArray[np.float64]

FEWEST, MOST = 8, 100  # voxels along an axis when the grid is not given


@dataclass(frozen=True)
class Trajectory:
    """Path of the field-free point over one period.

    Parameters
    ----------
    positions : shape (V, 3), m
    rate : shape (V, 3), T/s
        Time derivative of the drive field: the velocity of the field-free point in units of field.
    axes : tuple of int
        Axes (0 is x) along which the field is driven.
    """

    positions: Floats
    rate: Floats
    axes: tuple[int, ...]


def trajectory(
    drive_field: DriveField, selection_field: SelectionField | None, *, samples: int, sampling_rate: float
) -> Trajectory:
    """Follow the field-free point, r = -G⁻¹ (H_drive + H_offset).

    Parameters
    ----------
    drive_field : DriveField
    selection_field : SelectionField or None
    samples : int
        Samples V of one period.
    sampling_rate : float, Hz

    Raises
    ------
    InputError
        Without a gradient, with one that has no field-free point, or without a drive field.
    """
    if selection_field is None:
        raise InputError(
            "the file has no gradient, x-space needs one",
            hint="reconstruct with --system-matrix instead",
        )
    gradient, offset = selection_field.gradient[0], selection_field.offset[0]
    if len(gradient) != 1 or abs(np.linalg.det(gradient[0])) <= 1e-6 * np.linalg.norm(gradient[0]) ** 3:
        raise InputError(
            "the selection field has no single field-free point",
            hint="x-space is for field-free-point scans with one gradient in a period",
        )
    times = np.arange(samples) / sampling_rate
    axes = tuple(int(axis) for axis in np.flatnonzero(drive_field.active.any(axis=1)))
    if not axes or axes[-1] > 2:
        raise InputError(f"drive channels {axes} are active, x-space expects one to three: x, y, z")
    step = 1e-3 / sampling_rate
    field, rate = np.zeros((samples, 3)), np.zeros((samples, 3))
    driven = min(3, drive_field.dividers.shape[0])
    field[:, :driven] = drive_field.field(times)[:, :driven]
    ahead, behind = drive_field.field(times + step), drive_field.field(times - step)
    rate[:, :driven] = (ahead - behind)[:, :driven] / (2 * step)
    return Trajectory(-np.linalg.solve(gradient[0], (field + offset[0]).T).T, rate, axes)


def x_space(
    signal: NDArray[np.floating],
    path: Trajectory,
    *,
    size: tuple[int, ...] | None = None,
    field_of_view: tuple[float, ...] | None = None,
    min_speed: float = 0.1,
) -> tuple[NDArray[np.float64], Grid]:
    """Reconstruct images from time signals along the path of the field-free point.

    A sample becomes the component of the signal along the direction of motion, divided by the speed. Speed
    and direction are those of the drive field (T/s), so that an anisotropic gradient favours no direction.
    The value is spread linearly to the voxels around the field-free point; a voxel is the mean of what it
    gets with weights speed², which is the density compensation with the least noise. Voxels without a sample
    are interpolated linearly between their neighbours and are 0 outside the trajectory.

    Parameters
    ----------
    signal : shape (Q, C, V)
        Channel c = 0, 1, 2 receives along x, y, z. The transfer function should have been divided out.
        Where a driven axis has no channel, signal and motion along the others alone make the image.
    path : Trajectory
    size : tuple of int, optional
        Voxels along x, y, z; trailing ones may be left out. Not given: about two samples in a voxel.
    field_of_view : tuple of float, m, optional
        Extent along x, y, z. Not given: that of the trajectory.
    min_speed : float
        Samples slower than this fraction of the highest speed are left out.

    Returns
    -------
    images : shape (Q, z, y, x), unit of the signal per T/s
        The sign is chosen so that they are mainly positive: the polarity of a coil is not known.
    grid : mdf.Grid

    Raises
    ------
    InputError
        When no driven axis has a receive channel.
    UsageError
        For a grid with voxels along an axis that is not driven, or one that the trajectory does not meet.
    NumericalError
        When the signal is not finite.

    Notes
    -----
    P. W. Goodwill, S. M. Conolly: The X-space formulation of the magnetic particle imaging process, IEEE
    Transactions on Medical Imaging, 2010. DOI 10.1109/TMI.2010.2052284
    """
    seen = [axis for axis in path.axes if axis < signal.shape[1]]
    if not seen:
        raise InputError(
            f"no receive channel for the driven axis {'xyz'[path.axes[0]]}: the signal has {signal.shape[1]} "
            "of them",
            hint="reconstruct with --system-matrix instead",
        )
    if not np.isfinite(signal).all():
        raise NumericalError("the signal holds values that are not finite", hint="repair the file")
    grid = _grid(path, size, field_of_view)
    rate = path.rate[:, seen]
    speed = np.linalg.norm(rate, axis=1)
    fast = speed >= min_speed * speed.max()
    along = np.einsum("qcv,vc->qv", signal[:, seen][..., fast], rate[fast])
    # Numerator and denominator of a mean with weights speed²: (u · h / |h|) / |h| times |h|² is u · h.
    images = _gridded(along, speed[fast] ** 2, path.positions[fast], grid, path.axes)
    if images.sum() < 0:
        images = -images
    return images.reshape(len(signal), *grid.shape), grid


def _grid(path: Trajectory, size: tuple[int, ...] | None, field_of_view: tuple[float, ...] | None) -> Grid:
    low, high = path.positions.min(axis=0), path.positions.max(axis=0)
    driven = list(path.axes)
    voxels = np.ones(3, np.int64)
    if size is None:
        each = round((len(path.positions) / 2) ** (1 / len(driven)))
        voxels[driven] = np.clip(each, FEWEST, MOST)
    else:
        voxels[: len(size)] = size
        _check_axes(voxels, path.axes)
    extent = np.zeros(3)
    extent[driven] = (high - low)[driven]
    given = field_of_view or ()
    if not all(0 < length < np.inf for length in given) or np.any(voxels < 1):
        raise UsageError(
            f"a grid of {_by(voxels)} voxels over {_by(given, 1e3)} mm, expected numbers above 0",
            hint="as in --grid 32x32 --fov 30x30",
        )
    extent[: len(given)] = given
    # A slice as thick as a voxel is wide, where nothing else is known.
    extent[extent == 0] = (extent[driven] / voxels[driven]).min()
    return Grid(voxels, extent, (low + high) / 2 + 0.0)  # which turns -0 into 0


def _by(numbers: Iterable[float], scale: float = 1.0) -> str:
    return " x ".join(f"{scale * number:g}" for number in numbers) or "?"


def _check_axes(voxels: NDArray[np.int64], driven: tuple[int, ...]) -> None:
    for axis, count in enumerate(voxels):
        if count > 1 and axis not in driven:
            raise UsageError(
                f"the grid has {count} voxels along {'xyz'[axis]}, where the field-free point does not move",
                hint=f"the drive field moves it along {', '.join('xyz'[each] for each in driven)}",
            )


def _gridded(values: Floats, weights: Floats, positions: Floats, grid: Grid, axes: tuple[int, ...]) -> Floats:
    """Spread weighted samples linearly over the voxels around them and divide by the weights, (Q, P)."""
    place = ((positions - grid.center) / grid.field_of_view + 0.5) * grid.size - 0.5
    count = int(np.prod(grid.size))
    strides = np.array([1, grid.size[0], grid.size[0] * grid.size[1]])
    total, weight = np.zeros((len(values), count)), np.zeros(count)
    for corner in np.ndindex(*(2 if axis in axes else 1 for axis in range(3))):
        cell = np.floor(place).astype(np.int64) + corner
        share = np.prod(np.where(np.isin(range(3), axes), 1 - np.abs(place - cell), 1), axis=1)
        cell[:, np.isin(range(3), axes, invert=True)] = 0
        inside = np.all((cell >= 0) & (cell < grid.size), axis=1)
        voxel, share = (cell[inside] @ strides), share[inside]
        weight += np.bincount(voxel, share * weights[inside], count)
        for image, value in enumerate(values[:, inside]):
            total[image] += np.bincount(voxel, share * value, count)
    met = weight > 1e-3 * weight.max()
    if not met.any():
        raise UsageError(
            f"no sample falls into the field of view of {_by(grid.field_of_view, 1e3)} mm",
            hint="give a larger --fov, or leave it out",
        )
    total[:, met] /= weight[met]
    total[:, ~met] = 0
    return _filled(total, met, grid, axes)


def _filled(images: Floats, met: NDArray[np.bool_], grid: Grid, axes: tuple[int, ...]) -> Floats:
    """Fill voxels without a sample linearly from those with one; 0 outside their hull."""
    from scipy.interpolate import LinearNDInterpolator

    if met.all():
        return images
    index = np.indices(grid.shape).reshape(3, -1)[::-1].T[:, list(axes)].astype(float)
    if len(axes) == 1:
        line = index[:, 0]
        for image in images:
            image[~met] = np.interp(line[~met], line[met], image[met], left=0, right=0)
        return images
    if np.linalg.matrix_rank(index[met] - index[met][0]) == len(axes):
        fill = LinearNDInterpolator(index[met], images[:, met].T, fill_value=0)
        images[:, ~met] = fill(index[~met]).T
    return images
