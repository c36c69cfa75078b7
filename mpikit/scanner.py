"""The fields of a scanner: drive field and selection field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DriveField:
    """The oscillating field of one scan, D channels of F components over J periods.

    Channel d = 0, 1, 2 drives the axis x, y, z.

    Parameters
    ----------
    base_frequency : float, Hz
        Clock from which all frequencies are divided.
    dividers : shape (D, F)
        Frequency of a component is ``base_frequency / divider``.
    amplitudes : shape (J, D, F), T
        A component of amplitude 0 is inactive.
    phases : shape (J, D, F), rad
        A cosine is a sine with phase π/2.
    waveforms : shape (D, F)
        ``"sine"``, ``"triangle"`` or ``"custom"``.
    """

    base_frequency: float
    dividers: NDArray[np.int64]
    amplitudes: Floats
    phases: Floats
    waveforms: NDArray[np.str_]

    @property
    def frequencies(self) -> Floats:
        """Frequencies of all components, shape (D, F), Hz."""
        return self.base_frequency / self.dividers

    @property
    def active(self) -> NDArray[np.bool_]:
        """Components with an amplitude in any period, shape (D, F)."""
        active: NDArray[np.bool_] = np.any(self.amplitudes > 0, axis=0)
        return active

    @property
    def cycle(self) -> float:
        """Time in s after which the trajectory repeats: the least common multiple of the active dividers."""
        dividers = self.dividers[self.active]
        return float(np.lcm.reduce(dividers)) / self.base_frequency if dividers.size else 0.0

    def field(self, times: Floats, period: int = 0) -> Floats:
        """Drive field at the given times.

        Parameters
        ----------
        times : shape (T,), s
        period : int
            Index j of the period, whose amplitudes and phases are used.

        Returns
        -------
        shape (T, D), T
        """
        if np.any(self.waveforms[self.active] == "custom"):
            raise ValueError("a custom waveform has no formula")
        angle = 2 * np.pi * self.frequencies * times[:, None, None] + self.phases[period]
        triangle = 2 / np.pi * np.arcsin(np.sin(angle))
        shape = np.where(self.waveforms == "triangle", triangle, np.sin(angle))
        summed: Floats = np.sum(self.amplitudes[period] * shape, axis=-1)
        return summed

    def rate(self, times: Floats, period: int = 0) -> Floats:
        """Time derivative of the drive field.

        Parameters
        ----------
        times : shape (T,), s
        period : int
            Index j of the period, whose amplitudes and phases are used.

        Returns
        -------
        shape (T, D), T/s
        """
        if np.any(self.waveforms[self.active] == "custom"):
            raise ValueError("a custom waveform has no formula")
        speed = 2 * np.pi * self.frequencies
        slope = np.cos(speed * times[:, None, None] + self.phases[period])
        shape = np.where(self.waveforms == "triangle", 2 / np.pi * np.sign(slope), slope)
        summed: Floats = np.sum(self.amplitudes[period] * speed * shape, axis=-1)
        return summed


@dataclass(frozen=True)
class SelectionField:
    """The static field near the scanner centre, offset + gradient · r, for Y parts of J periods.

    Parameters
    ----------
    gradient : shape (J, Y, 3, 3), T/m
        ``gradient[j, y, a, b]`` is the derivative of component a along axis b.
    offset : shape (J, Y, 3), T
        Field at the scanner centre (the focus field).
    """

    gradient: Floats
    offset: Floats
