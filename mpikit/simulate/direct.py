"""The voltage as a direct sum over voxels and time: slow, exact, and independent of the x-space form."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, Step, silent
from mpikit.simulate.scanner_fields import Fields

Floats = NDArray[np.float64]

_CACHED = 1 << 15  # values of one elementwise step: its dozen arrays stay in the cache
_WORTH_TELLING = 10  # blocks: fewer are over before anybody looks
_HELD = 1 << 22  # values of the responses that are held at once


def summed(
    fields: Fields, positions: Floats, moments: Floats, *, tell: Callable[[Event], None] = silent
) -> Floats:
    """Return the voltages of several distributions of saturated moments on the same places.

    Places without moment in any distribution cost nothing.

    Parameters
    ----------
    fields : Fields
    positions : shape (P, 3), m
    moments : shape (Q, P), A m²
    tell : callable
        Takes a `Step` for each block of places.

    Returns
    -------
    shape (Q, C, T), V
    """
    filled = np.flatnonzero(np.any(moments != 0, axis=0))
    channels, times = len(fields.sensitivity), len(fields.times)
    total = np.zeros((len(moments), channels * times))
    blocks = _blocks(len(filled), max(1, _HELD // (channels * times)))
    for index, block in enumerate(blocks, start=1):
        voltages = responses(fields, positions[filled[block]]).reshape(-1, channels * times)
        total += moments[:, filled[block]] @ voltages
        if len(blocks) >= _WORTH_TELLING:
            tell(Step(index, len(blocks)))
    return total.reshape(len(moments), channels, times)


def responses(fields: Fields, positions: Floats) -> Floats:
    """Return the voltage of one drive-field period for a unit of saturated magnetic moment at each position.

    With the coil sensitivity p and the mean moment direction L(β|B|) B/|B|, the voltage of a coil is
    u(t) = -d/dt p · L(β|B|) B/|B|, where B = offset + gradient · r + drive field (reciprocity; Knopp and
    Buzug, Magnetic Particle Imaging, 2012, chapter 2). The time derivative is the analytic one, by the chain
    rule through the drive field. A drive field even about t = 0 (all cosines) so gives an odd voltage.

    Parameters
    ----------
    fields : Fields
    positions : shape (P, 3), m

    Returns
    -------
    shape (P, C, T), V for each A m²
    """
    static, drive, rate = fields.static(positions), fields.drive(), fields.rate()
    out = np.empty((len(positions), len(fields.sensitivity), len(fields.times)))

    def fill(block: slice) -> None:
        _voltages(fields, static[block], drive, rate, out[block])

    blocks = _blocks(len(positions), max(1, _CACHED // len(fields.times)))
    with ThreadPoolExecutor(min(len(blocks), os.cpu_count() or 1) or 1) as threads:
        list(threads.map(fill, blocks))
    return out


def planned_cost(fields: Fields, voxels: int, images: int) -> float:
    """Estimate the time that `summed` takes, in ns of one core."""
    values = len(fields.times) * voxels
    return values * (25.0 * len(fields.particle.sizes()[0]) + len(fields.sensitivity) * (4 + 0.1 * images))


def _voltages(fields: Fields, static: Floats, drive: Floats, rate: Floats, out: Floats) -> None:
    """Fill in the voltages (P, C, T) in static fields (P, 3), a drive field (T, 3) and its rate (T, 3)."""
    square = np.sum(static**2, axis=1)[:, None] + 2 * static @ drive.T + np.sum(drive**2, axis=1)
    # Rounding may leave a square below zero at the field-free point.
    even, growth = fields.particle.magnetisation(np.maximum(square, 0))
    growth *= static @ rate.T + np.sum(drive * rate, axis=1)
    sensitivity = fields.sensitivity
    seen, seen_rate = sensitivity @ drive.T, sensitivity @ rate.T
    for channel, offset in enumerate((static @ sensitivity.T).T):
        np.multiply(even, -seen_rate[channel], out=out[:, channel])
        out[:, channel] -= growth * (offset[:, None] + seen[channel])


def _blocks(length: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, length, size)]
