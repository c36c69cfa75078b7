"""Particles, fields and coils of one drive-field period: what the voltage at given times depends on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.scanner import DriveField
from mpikit.simulate.particles import Particle
from mpikit.simulate.presets import Preset

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What one period of a scan needs of the scanner.

    Parameters
    ----------
    particle : Particle
    drive_field : DriveField
    period : int
        Index j of the period.
    gradient : shape (3, 3), T/m
    offset : shape (3,), T
    sensitivity : shape (C, 3), T/A
    times : shape (T,), s
        When the voltage is wanted.
    """

    particle: Particle
    drive_field: DriveField
    period: int
    gradient: Floats
    offset: Floats
    sensitivity: Floats
    times: Floats

    def static(self, positions: Floats) -> Floats:
        """Return selection and focus field at positions (P, 3) in m, shape (P, 3), T."""
        return positions @ self.gradient.T + self.offset

    def drive(self) -> Floats:
        """Return the drive field at all times, shape (T, 3), T."""
        return _three_axes(self.drive_field.field(self.times, self.period))

    def rate(self) -> Floats:
        """Return the time derivative of the drive field at all times, shape (T, 3), T/s."""
        return _three_axes(self.drive_field.rate(self.times, self.period))

    def reach(self) -> Floats:
        """Return the largest magnitude that each component of the drive field may have, shape (3,), T."""
        total = np.abs(self.drive_field.amplitudes[self.period]).sum(axis=-1)
        return np.pad(total, (0, 3 - len(total)))


def fields_of(preset: Preset, period: int = 0, oversampling: int | None = None) -> Fields:
    """Return the fields of a preset in one period.

    Parameters
    ----------
    preset : Preset
    period : int
        Index j of the period; it counts when the preset has several selection fields.
    oversampling : int or None
        Times for each stored sample; None: as the receiver says.
    """
    factor = preset.receiver.oversampling if oversampling is None else oversampling
    selection = preset.selection_field
    return Fields(
        particle=preset.particle,
        drive_field=preset.drive_field,
        period=0,
        gradient=selection.gradient[period, 0],
        offset=selection.offset[period, 0],
        sensitivity=preset.receiver.sensitivity,
        times=np.arange(preset.samples * factor) / (preset.receiver.sampling_rate * factor),
    )


def _three_axes(values: Floats) -> Floats:
    """Append the axes that are not driven: (T, D) to (T, 3)."""
    return np.pad(values, ((0, 0), (0, 3 - values.shape[1])))
