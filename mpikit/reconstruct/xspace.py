"""X-space reconstruction: the signal over the speed of the field-free point, gridded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import InputError, NumericalError
from mpikit.reconstruct.gridding import covering_grid, spread_sums, spreading, weighted_mean
from mpikit.scanner import DriveField, SelectionField

Floats = NDArray[np.float64]


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

    @property
    def motion(self) -> Floats:
        """Mean direction of motion, ``Σ v vᵀ / Σ |v|²`` over the samples, shape (3, 3), 1; its trace is 1."""
        share: Floats = self.rate.T @ self.rate / np.sum(self.rate**2)
        return share


@dataclass(frozen=True)
class Moving:
    """Samples taken while the field-free point moves, ready for a mean with weights speed².

    Parameters
    ----------
    along : shape (Q, n), unit of the signal times T/s
        Product of signal and velocity.
    rate : shape (n, 3), T/s
        Velocity in units of field.
    positions : shape (n, 3), m
    seen : tuple of int
        Driven axes with a receive channel: signal and speed are those along them.
    """

    along: Floats
    rate: Floats
    positions: Floats
    seen: tuple[int, ...]

    @property
    def weights(self) -> Floats:
        """Squared speed, shape (n,), T²/s²."""
        return np.asarray(np.sum(self.rate[:, self.seen] ** 2, axis=1))


def trajectory(
    drive_field: DriveField,
    selection_field: SelectionField | None,
    *,
    samples: int,
    sampling_rate: float,
    period: int = 0,
) -> Trajectory:
    """Follow the field-free point, r = -G⁻¹ (H_drive + H_offset).

    Parameters
    ----------
    drive_field : DriveField
    selection_field : SelectionField or None
    samples : int
        Samples V of one period.
    sampling_rate : float, Hz
    period : int
        Index j of the period, whose drive, selection and focus fields are used.

    Raises
    ------
    InputError
        Without a gradient, with one that has no field-free point, or without a drive field that is known.
    """
    gradient, offset = single_field(selection_field, period)
    if abs(np.linalg.det(gradient)) <= 1e-6 * np.linalg.norm(gradient) ** 3:
        raise InputError(
            "the selection field has no single field-free point",
            hint="x-space is for field-free-point scans with one gradient in a period",
        )
    axes = driven_axes(drive_field)
    times = np.arange(samples) / sampling_rate
    field = three_axes(drive_field.field(times, period))
    rate = three_axes(drive_field.rate(times, period))
    positions = -np.linalg.solve(gradient, (field + offset).T).T
    return Trajectory(np.asarray(positions, np.float64), rate, axes)


def single_field(selection_field: SelectionField | None, period: int) -> tuple[Floats, Floats]:
    """Return gradient (3, 3) in T/m and offset (3,) in T of a period that has one selection field.

    Raises
    ------
    InputError
        Without a gradient, or with several in the period.
    """
    if selection_field is None:
        raise InputError(
            "the file has no gradient, x-space needs one",
            hint="reconstruct with --system-matrix instead",
        )
    gradient, offset = selection_field.gradient[period], selection_field.offset[period]
    if len(gradient) != 1:
        raise InputError(
            f"the selection field has {len(gradient)} parts in a period, expected one",
            hint="reconstruct with --system-matrix instead",
        )
    return gradient[0], offset[0]


def driven_axes(drive_field: DriveField) -> tuple[int, ...]:
    """Return the axes with a drive field, 0 is x.

    Raises
    ------
    InputError
        When there is none, one beyond z, or a waveform without a formula.
    """
    axes = tuple(int(axis) for axis in np.flatnonzero(drive_field.active.any(axis=1)))
    if not axes or axes[-1] > 2:
        raise InputError(f"drive channels {axes} are active, x-space expects one to three: x, y, z")
    if np.any(drive_field.waveforms[drive_field.active] == "custom"):
        raise InputError(
            "the drive field has a custom waveform, x-space expects sines or triangles",
            hint="reconstruct with --system-matrix instead",
        )
    return axes


def three_axes(values: Floats) -> Floats:
    """Return the components along x, y, z of values (V, D), with 0 along axes without a channel."""
    return np.pad(values, ((0, 0), (0, max(0, 3 - values.shape[1]))))[:, :3]


def moving(signal: NDArray[np.floating], path: Trajectory, min_speed: float) -> Moving:
    """Return the samples that are fast enough, multiplied with the velocity.

    Parameters
    ----------
    signal : shape (Q, C, V)
    path : Trajectory
    min_speed : float
        Fraction of the highest speed.

    Raises
    ------
    InputError
        When no driven axis has a receive channel.
    NumericalError
        When the signal is not finite.
    """
    seen = tuple(axis for axis in path.axes if axis < signal.shape[1])
    if not seen:
        raise InputError(
            f"no receive channel for the driven axis {'xyz'[path.axes[0]]}: the signal has {signal.shape[1]} "
            "of them",
            hint="reconstruct with --system-matrix instead",
        )
    if not np.isfinite(signal).all():
        raise NumericalError("the signal holds values that are not finite", hint="repair the file")
    speed = np.linalg.norm(path.rate[:, seen], axis=1)
    fast = speed >= min_speed * speed.max()
    # Numerator and denominator of a mean with weights speed²: (u · h / |h|) / |h| times |h|² is u · h.
    along = np.einsum("qcv,vc->qv", signal[:, seen][..., fast], path.rate[fast][:, seen])
    return Moving(along, path.rate[fast], path.positions[fast], seen)


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

    A point appears as the point spread function. Along the motion that is the derivative of the Langevin
    function, across it L(x)/x, which is 2.3 times as wide.

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
    samples = moving(signal, path, min_speed)
    grid = covering_grid(path.positions, path.axes, size=size, field_of_view=field_of_view)
    spread = spreading(samples.positions, grid, path.axes)
    total, weight = spread_sums(spread, samples.along), spread_sums(spread, samples.weights)
    images = weighted_mean(total, weight, grid, path.axes)
    if images.sum() < 0:
        images = -images
    return images.reshape(len(signal), *grid.shape), grid
