"""Field-free lines: projections at several angles, and their filtered back-projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import InputError, UsageError
from mpikit.reconstruct.gridding import FEWEST, MOST, weighted_mean
from mpikit.reconstruct.partial_fov import check_overlap, gridded, outer_edge, recovered
from mpikit.reconstruct.xspace import Trajectory, driven_axes, moving, single_field, three_axes
from mpikit.scanner import DriveField, SelectionField

Floats = NDArray[np.float64]

_SAME = 1e-6  # rad: lines that differ by less are parallel
_STRAY = 1e-6  # of the largest field: what may point along the line, or out of the plane
FILTERS = ("ramp", "shepp-logan", "cosine", "hamming", "hann")


@dataclass(frozen=True)
class LineScan:
    """A field-free line that stays in one plane and is perpendicular to its motion, over J periods.

    Parameters
    ----------
    plane : tuple of int
        The two axes p < q of the plane, 0 is x.
    height : float, m
        Where the plane is, on the third axis.
    angles : shape (J,), rad
        Between 0 and π, from p towards q: direction in which the position of the line is counted. The line
        is perpendicular to it.
    paths : tuple of J Trajectory
        ``positions[:, 0]`` is the distance of the line from the scanner centre along that direction, m.
    """

    plane: tuple[int, int]
    height: float
    angles: Floats
    paths: tuple[Trajectory, ...]


@dataclass(frozen=True)
class Sinogram:
    """Projections of images at several angles.

    Parameters
    ----------
    values : shape (Q, A, S)
        Bin i is at the distance (i - S // 2) · spacing from the scanner centre.
    angles : shape (A,), rad
        Rising, between 0 and π.
    spacing : float, m
    """

    values: Floats
    angles: Floats
    spacing: float


def line_scan(
    drive_field: DriveField, selection_field: SelectionField | None, *, samples: int, sampling_rate: float
) -> LineScan:
    """Follow a field-free line that turns from period to period.

    The gradient matrix of a line has an empty direction n. The line is where the field across n vanishes, at
    r = -G⁺ (H_drive + H_offset) with the pseudo-inverse.

    Parameters
    ----------
    drive_field : DriveField
        With amplitudes for each of J periods: the field has to be perpendicular to the line.
    selection_field : SelectionField or None
    samples : int
        Samples V of one period.
    sampling_rate : float, Hz

    Raises
    ------
    InputError
        Without a gradient; when a period has no field-free line; when the lines have no common plane, do not
        turn, or are moved out of the plane.
    """
    axes = driven_axes(drive_field)
    times = np.arange(samples) / sampling_rate
    normals, places, rates = [], [], []
    for period in range(len(drive_field.amplitudes)):
        gradient, offset = single_field(selection_field, period)
        normal = _empty_direction(gradient, period)
        field = three_axes(drive_field.field(times, period)) + offset
        if np.abs(field @ normal).max() > _STRAY * np.abs(field).max():
            raise InputError(
                f"the drive field of period {period} has a part along the field-free line, expected none",
                hint="with this part there is no line on which the field vanishes",
            )
        normals.append(normal)
        places.append(-field @ np.linalg.pinv(gradient, rcond=1e-6).T)
        rates.append(three_axes(drive_field.rate(times, period)))
    plane, third = _plane(np.array(normals))
    heights = np.array(places)[..., third]
    if np.ptp(heights) > _STRAY * np.abs(places).max():
        raise InputError(
            f"the field-free line is moved along {'xyz'[third]}, out of the plane in which it turns",
            hint="reconstruct with --system-matrix instead",
        )
    angles, paths = [], []
    for normal, place, rate in zip(normals, places, rates, strict=True):
        angle = np.arctan2(-normal[plane[0]], normal[plane[1]]) % np.pi
        angle = 0.0 if np.pi - angle < _SAME else float(angle)
        distance = place[:, plane[0]] * np.cos(angle) + place[:, plane[1]] * np.sin(angle)
        angles.append(angle)
        paths.append(Trajectory(distance[:, None] * np.array([1.0, 0, 0]), rate, axes))
    return LineScan(plane, float(heights.mean()), np.array(angles), tuple(paths))


def sinogram(
    signal: NDArray[np.floating],
    scan: LineScan,
    *,
    bins: int | None = None,
    min_speed: float = 0.1,
    recover: bool = False,
    min_overlap: float = 0.05,
) -> Sinogram:
    """Make projections of the signals of a field-free line: signal over speed, at the place of the line.

    Parameters
    ----------
    signal : shape (Q, J, C, V)
        Channel c = 0, 1, 2 receives along x, y, z. The transfer function should have been divided out.
    scan : LineScan
        Periods at the same angle are joined, and may cover different parts of the projection.
    bins : int, optional
        Bins S of a projection. Not given: about two samples in a bin.
    min_speed : float
        Samples slower than this fraction of the highest speed are left out.
    recover : bool
        Recover the drive frequency that the receiver took away, as in `x_space_patches`: each period misses
        a constant; projections are zero at their ends.
    min_overlap : float
        As in `x_space_patches`.

    Returns
    -------
    Sinogram
        Unit of the signal per T/s, mainly positive.

    Raises
    ------
    InputError
        When an axis of the plane has no receive channel.
    UsageError
        When there is no bin, or periods at the same angle do not overlap and ``recover`` is wanted.
    NumericalError
        When the signal is not finite.
    """
    missing = [axis for axis in scan.paths[0].axes if axis >= signal.shape[2]]
    if missing:
        raise InputError(
            f"no receive channel for the driven axis {'xyz'[missing[0]]}: the signal has {signal.shape[2]} "
            "of them",
            hint="a line that turns is seen from all sides only with both channels",
        )
    grid = _bins(scan, bins)
    angles, members = _by_angle(scan.angles)
    values = np.empty((len(signal), len(angles), int(grid.size[0])))
    one = np.zeros(int(grid.size[0]), np.int64)
    for number, periods in enumerate(members):
        samples = [moving(signal[:, period], scan.paths[period], min_speed) for period in periods]
        patches = [gridded(each, grid, (0,), one) for each in samples]
        weight = np.sum([patch.weight for patch in patches], axis=0)
        total = np.sum([patch.total for patch in patches], axis=0)
        if recover:
            check_overlap(patches, grid, (0,), min_overlap)
            total = recovered(patches, outer_edge(weight > 0, grid, (0,)))
        values[:, number] = weighted_mean(total, weight, grid, (0,))
    return Sinogram(-values if values.sum() < 0 else values, angles, float(grid.spacing[0]))


def filtered_back_projection(projections: Sinogram, *, filter_name: str = "ramp") -> Floats:
    """Reconstruct images from their projections.

    Parameters
    ----------
    projections : Sinogram
        Angles need not be evenly spaced: each counts with the angle that it stands for.
    filter_name : {"ramp", "shepp-logan", "cosine", "hamming", "hann"}
        The ramp is exact; the others also smooth.

    Returns
    -------
    shape (Q, S, S), unit of the projections per m
        Axes q, p of the plane; the scanner centre is in the middle of voxel (S // 2, S // 2). Zero outside
        the circle that all projections cover. A point keeps a blur: the round function whose projections are
        the point spread function of the line. For the Langevin function it is 3.5 B_sat / G wide (FWHM).

    Raises
    ------
    UsageError
        For an unknown filter, or fewer than two angles.

    Notes
    -----
    A. C. Kak, M. Slaney: Principles of Computerized Tomographic Imaging, 1988, chapter 3.
    """
    import skimage.transform

    inverse: Any = skimage.transform.iradon  # without annotations
    if filter_name not in FILTERS:
        raise UsageError(
            f"no filter of the back-projection is called {filter_name!r}", hint=f"choose {', '.join(FILTERS)}"
        )
    angles = projections.angles
    if len(angles) < 2:
        raise UsageError(
            "the projections are all at the same angle, expected two or more",
            hint="let the field-free line turn from period to period",
        )
    around = np.concatenate([angles[-1:] - np.pi, angles, angles[:1] + np.pi])
    stands_for = (around[2:] - around[:-2]) / 2 * len(angles) / np.pi
    weighted = projections.values * stands_for[:, None]
    # scikit-image counts rows downwards, and so turns the other way
    theta = -np.degrees(angles)
    images = [inverse(image.T, theta=theta, filter_name=filter_name, circle=True) for image in weighted]
    return np.stack(images) / projections.spacing


def back_projected(
    signal: NDArray[np.floating],
    scan: LineScan,
    *,
    bins: int | None = None,
    min_speed: float = 0.1,
    recover: bool = False,
    filter_name: str = "ramp",
) -> tuple[Floats, Grid]:
    """Reconstruct images from the signals of a field-free line: `sinogram`, `filtered_back_projection`.

    Parameters
    ----------
    signal : shape (Q, J, C, V)
    scan : LineScan
    bins : int, optional
        Voxels along each axis of the plane.
    min_speed, recover
        As in `sinogram`.
    filter_name : str
        As in `filtered_back_projection`.

    Returns
    -------
    images : shape (Q, z, y, x), unit of the signal per T/s and m
    grid : mdf.Grid
        Around the scanner centre.

    Raises
    ------
    InputError, UsageError, NumericalError
    """
    projections = sinogram(signal, scan, bins=bins, min_speed=min_speed, recover=recover)
    images = filtered_back_projection(projections, filter_name=filter_name)
    third = 3 - sum(scan.plane)
    side = images.shape[1]
    size, center = np.ones(3, np.int64), np.zeros(3)
    extent = np.full(3, projections.spacing)
    size[list(scan.plane)] = side
    extent[list(scan.plane)] *= side
    center[list(scan.plane)] = ((side - 1) / 2 - side // 2) * projections.spacing
    center[third] = scan.height
    return np.expand_dims(images, 3 - third), Grid(size, extent, center)


def _empty_direction(gradient: Floats, period: int) -> Floats:
    """Return the direction of the field-free line, shape (3,)."""
    _, strengths, directions = np.linalg.svd(gradient)
    if strengths[2] > _STRAY * strengths[0] or strengths[1] <= _STRAY * strengths[0]:
        raise InputError(
            f"the selection field of period {period} has no field-free line",
            hint="back-projection is for field-free lines; x-space is for a field-free point",
        )
    direction: Floats = directions[2]
    return direction


def _plane(normals: Floats) -> tuple[tuple[int, int], int]:
    """Return the two axes of the plane in which lines (J, 3) lie, and the third one."""
    flat = np.flatnonzero(np.abs(normals).max(axis=0) < _SAME)
    if len(flat) != 1:
        raise InputError(
            "the field-free lines of all periods do not turn in a plane of two axes",
            hint="expected lines that turn around x, y or z",
        )
    first, second = (axis for axis in range(3) if axis != flat[0])
    return (first, second), int(flat[0])


def _bins(scan: LineScan, bins: int | None) -> Grid:
    """Return the bins of a projection as a grid along x."""
    reach = max(float(np.abs(path.positions[:, 0]).max()) for path in scan.paths)
    count = int(np.clip(round(len(scan.paths[0].positions) / 2), FEWEST, MOST)) if bins is None else bins
    if count < 2:
        raise UsageError(f"projections of {count} bins, expected 2 or more", hint="as in --grid 64")
    spacing = 2 * reach / count
    center = ((count - 1) / 2 - count // 2) * spacing
    extent = np.array([2 * reach, spacing, spacing])
    return Grid(np.array([count, 1, 1]), extent, np.array([center, 0.0, 0.0]))


def _by_angle(angles: Floats) -> tuple[Floats, Sequence[NDArray[np.int64]]]:
    """Return different angles in rising order, and the periods at each."""
    order = np.argsort(angles, kind="stable")
    starts = np.flatnonzero(np.diff(angles[order]) > _SAME) + 1
    members = np.split(order, starts)
    return np.array([angles[group[0]] for group in members]), members
