"""The voltage that tracer at known places induces in the receive coils."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, Step, silent
from mpikit.simulate.particles import langevin_ratios
from mpikit.simulate.phantoms import Phantom
from mpikit.simulate.presets import Preset

Floats = NDArray[np.float64]

_CACHED = 1 << 15  # values of one elementwise step: its dozen arrays stay in the cache
_HELD = 1 << 22  # values of the responses that are held at once


def signals(preset: Preset, phantom: Phantom, *, tell: Callable[[Event], None] = silent) -> Floats:
    """Return the noise-free voltage of one drive-field period for each image of a phantom.

    The voltage is the sum over all voxels of concentration times `responses`, so it is linear in the
    concentration. Voxels without tracer in any image cost nothing.

    Parameters
    ----------
    preset : Preset
    phantom : Phantom
        Q images.
    tell : callable
        Takes a `Step` for each block of voxels.

    Returns
    -------
    shape (Q, C, V), V
    """
    images = phantom.images.reshape(len(phantom.images), -1)
    voxels = np.flatnonzero(np.any(images > 0, axis=0))
    positions = phantom.grid.positions()[voxels]
    volume = float(np.prod(phantom.grid.spacing))
    channels, samples = len(preset.receiver.sensitivity), preset.samples
    total = np.zeros((len(images), channels * samples))
    blocks = _blocks(len(voxels), max(1, _HELD // (channels * samples)))
    for index, block in enumerate(blocks, start=1):
        moments = preset.particle.saturated(images[:, voxels[block]]) * volume
        total += moments @ responses(preset, positions[block]).reshape(-1, channels * samples)
        tell(Step(index, len(blocks)))
    return total.reshape(len(images), channels, samples)


def responses(preset: Preset, positions: Floats) -> Floats:
    """Return the voltage of one drive-field period for a unit of saturated magnetic moment at each position.

    With the coil sensitivity p and the mean moment direction L(β|B|) B/|B|, the voltage of a coil is
    u(t) = -d/dt p · L(β|B|) B/|B|, where B = offset + gradient · r + drive field (reciprocity; Knopp and
    Buzug, Magnetic Particle Imaging, 2012, chapter 2). The time derivative is the analytic one, by the chain
    rule through the drive field. A drive field even about t = 0 (all cosines) so gives an odd voltage.

    Parameters
    ----------
    preset : Preset
    positions : shape (P, 3), m

    Returns
    -------
    shape (P, C, V), V for each A m²
    """
    times = np.arange(preset.samples) / preset.receiver.sampling_rate
    selection = preset.selection_field
    static = positions @ selection.gradient[0, 0].T + selection.offset[0, 0]
    drive = _three_axes(preset.drive_field.field(times))
    rate = _three_axes(preset.drive_field.rate(times))
    out = np.empty((len(positions), len(preset.receiver.sensitivity), len(times)))
    for block in _blocks(len(positions), max(1, _CACHED // len(times))):
        out[block] = _voltages(preset, static[block], drive, rate)
    return out


def _voltages(preset: Preset, static: Floats, drive: Floats, rate: Floats) -> Floats:
    """Return the voltages (P, C, V) in static fields (P, 3), a drive field (V, 3) and its rate (V, 3)."""
    beta = 1 / preset.particle.saturation_field
    square = np.sum(static**2, axis=1)[:, None] + 2 * static @ drive.T + np.sum(drive**2, axis=1)
    # Rounding may leave a square below zero at the field-free point.
    ratio, curvature = langevin_ratios(beta * np.sqrt(np.maximum(square, 0)))
    growth = curvature * (static @ rate.T + np.sum(drive * rate, axis=1))
    sensitivity = preset.receiver.sensitivity
    seen, seen_rate = sensitivity @ drive.T, sensitivity @ rate.T
    out = np.empty((len(static), len(sensitivity), len(drive)))
    for channel, offset in enumerate((static @ sensitivity.T).T):
        out[:, channel] = ratio * (-beta * seen_rate[channel])
        out[:, channel] -= beta**3 * growth * (offset[:, None] + seen[channel])
    return out


def _three_axes(values: NDArray[Any]) -> Floats:
    """Append the axes that are not driven: (T, D) to (T, 3)."""
    return np.pad(values, ((0, 0), (0, 3 - values.shape[1])))


def _blocks(length: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, length, size)]
