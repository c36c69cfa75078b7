"""The calibration of a scanner: the signal of a delta sample at every place of a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.events import Event, Step, silent
from mpikit.records import Noise
from mpikit.scan import Scan
from mpikit.simulate.presets import Preset
from mpikit.simulate.scans import add_noise, make_scan
from mpikit.simulate.signals import responses

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_AT_ONCE = 64  # positions between two events


@dataclass(frozen=True)
class Calibration:
    """A simulated calibration.

    Parameters
    ----------
    scan : Scan
        One foreground frame for each place, in grid order (x fastest); ``foreground_index`` says when each
        was acquired.
    grid : mdf.Grid
        The delta sample fills one voxel.
    concentration : float, mol(Fe)/L
        Of the delta sample.
    """

    scan: Scan
    grid: Grid
    concentration: float


def system_matrix(
    preset: Preset, grid: Grid, *, concentration: float, tell: Callable[[Event], None] = silent
) -> Floats:
    """Return the noise-free signal of the delta sample at each place of a grid.

    The delta sample has the volume of a voxel, and all its moment at the centre of the voxel: a phantom on
    the same grid is an exact combination of these signals.

    Parameters
    ----------
    preset : Preset
    grid : mdf.Grid
    concentration : float, mol(Fe)/L
    tell : callable

    Returns
    -------
    shape (O, C, V), V
        In grid order.
    """
    moment = float(preset.particle.saturated(np.array(concentration))) * float(np.prod(grid.spacing))
    positions = grid.positions()
    out = np.empty((len(positions), len(preset.receiver.sensitivity), preset.samples))
    for start in range(0, len(positions), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        out[part] = moment * responses(preset, positions[part])
        tell(Step(min(part.stop, len(positions)), len(positions)))
    return out


def calibrate(
    preset: Preset,
    grid: Grid,
    *,
    concentration: float,
    noise: Sequence[Noise],
    rng: np.random.Generator,
    tell: Callable[[Event], None] = silent,
) -> Calibration:
    """Move a delta sample over a grid, with an empty frame before each line along x and one at the end.

    Parameters
    ----------
    preset : Preset
    grid : mdf.Grid
    concentration : float, mol(Fe)/L
    noise : sequence of Noise
        At least one: without noise the signal-to-noise ratio of the file would be infinite.
    rng : numpy.random.Generator
    tell : callable

    Raises
    ------
    UsageError
        Without noise.
    """
    if not noise:
        raise UsageError(
            "a calibration without noise has no signal-to-noise ratio",
            hint="add some, for instance --noise gaussian:level=channel,snr_db=40",
        )
    foreground, background = robot_path(grid)
    matrix = system_matrix(preset, grid, concentration=concentration, tell=tell)
    clean = np.zeros((len(foreground) + len(background), 1, *matrix.shape[1:]))
    clean[foreground, 0] = matrix
    noisy = add_noise(clean, noise, preset=preset, rng=rng)
    scan = make_scan(preset, noisy, foreground, background, repeats="none", name="calibration")
    return Calibration(scan, grid, concentration)


def robot_path(grid: Grid) -> tuple[Indices, Indices]:
    """Return when each place of a grid is visited on a meandering path.

    Every other line along x and every other plane is run backwards, so that each move is by one voxel.

    Returns
    -------
    foreground : shape (O,)
        Place in the order of acquisition, counted from 0, of each grid point (x fastest).
    background : shape (E,)
        The same of the empty frames: one before each line along x and one at the end.
    """
    depth, height, width = grid.shape
    planes = np.arange(depth * height * width).reshape(depth, height, width)
    planes[1::2] = planes[1::2, ::-1]
    lines = planes.reshape(depth * height, width)
    lines[1::2] = lines[1::2, ::-1]
    places = np.arange(depth * height * (width + 1) + 1)
    background = places[:: width + 1]
    foreground = np.empty(lines.size, np.int64)
    foreground[lines.ravel()] = np.delete(places, background)
    return foreground, background


def snr(foreground: NDArray[np.complexfloating], background: NDArray[np.complexfloating]) -> Floats:
    """Signal-to-noise ratio of each frequency of a calibration.

    MDF does not define it; here it is the mean over the places of abs(signal - mean background), over the
    mean of abs(difference of consecutive background frames). A line without signal so has about 0.7.

    Parameters
    ----------
    foreground : shape (O, J, C, K), V
    background : shape (E, J, C, K), V
        In the order of acquisition; at least two.

    Returns
    -------
    shape (J, C, K), 1

    Raises
    ------
    UsageError
        When a line has no noise at all.
    """
    jitter = np.mean(np.abs(np.diff(background, axis=0)), axis=0)
    if not np.all(jitter > 0):
        raise UsageError(
            "some frequencies of the calibration have no noise, and so an infinite signal-to-noise ratio",
            hint="add noise at all frequencies, for instance --noise gaussian:level=channel,snr_db=40",
        )
    strength = np.mean(np.abs(foreground - background.mean(axis=0)), axis=0)
    ratio: Floats = strength / jitter
    return ratio
