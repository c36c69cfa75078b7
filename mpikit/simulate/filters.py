"""Linear filters of a receive chain, as responses H(i 2π f): a spectrum behind one is H times that before.

A positive phase is an advance, as it is for a numpy ``rfft``, whose kernel is exp(-i 2π f t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError
from mpikit.simulate.quantities import check_positive, check_whole, real_array

Floats = NDArray[np.float64]
Response = NDArray[np.complex128]


@dataclass(frozen=True, kw_only=True)
class TransferFunction:
    """A table of gain and phase, linear in frequency between its entries and constant outside of them.

    Parameters
    ----------
    frequencies : shape (F,), Hz
        In rising order.
    gain : shape (C, F) or (F,), 1
        One row for each receive channel, or one for all.
    phase : shape (C, F) or (F,), rad
        Unwrapped: a jump by 2π would be interpolated.

    Raises
    ------
    UsageError
        When this is no table.
    """

    frequencies: Floats
    gain: Floats
    phase: Floats

    def __post_init__(self) -> None:
        for name in ("frequencies", "gain", "phase"):
            values = real_array(f"the {name} of the transfer function", getattr(self, name))
            object.__setattr__(self, name, values)
        frequencies = self.frequencies
        rising = frequencies.ndim == 1 and frequencies.size > 0 and bool(np.all(np.diff(frequencies) > 0))
        if not rising or frequencies[0] < 0:
            raise UsageError(
                "the frequencies of the transfer function have to be one row in rising order, from 0 Hz on"
            )
        for name, values in (("gain", self.gain), ("phase", self.phase)):
            if values.ndim not in (1, 2) or values.shape[-1] != len(frequencies) or not values.size:
                raise UsageError(
                    f"the {name} of the transfer function has the shape {values.shape}, expected "
                    f"{len(frequencies)} values, or a row of as many for each receive channel"
                )
        if np.any(self.gain < 0):
            raise UsageError("the transfer function has a negative gain; give it a phase of pi instead")

    def response(self, frequencies: Floats) -> Response:
        """Return the response, shape (C, K), or (1, K) for all channels, at frequencies (K,) in Hz."""

        def at(table: Floats) -> Floats:
            rows = [np.interp(frequencies, self.frequencies, row) for row in np.atleast_2d(table)]
            return np.array(rows)

        response: Response = at(self.gain) * np.exp(1j * at(self.phase))
        return response


@dataclass(frozen=True, kw_only=True)
class HighPass:
    """A Butterworth high-pass filter.

    Parameters
    ----------
    frequency : float, Hz
        Where the power is halved.
    order : int

    Raises
    ------
    UsageError
    """

    frequency: float
    order: int

    def __post_init__(self) -> None:
        check_positive("the frequency of the high-pass", self.frequency, "Hz")
        check_whole("the order of the high-pass", self.order, least=1)

    def response(self, frequencies: Floats) -> Response:
        """Return the response at frequencies (K,) in Hz, shape (K,).

        The low-pass 1/Π(s - p) with poles p evenly on the left half of the unit circle, at s = ω0/(iω)
        (Butterworth, Experimental Wireless 7, 1930). Its squared magnitude is x²ⁿ/(1 + x²ⁿ) at x = ω/ω0.
        """
        turn = 1j * np.asarray(frequencies) / self.frequency
        response = np.ones(np.shape(frequencies), complex)
        for index in range(self.order):
            pole = np.exp(1j * np.pi * (self.order + 1 + 2 * index) / (2 * self.order))
            response *= turn / (1 - pole * turn)  # 1/(1/turn - pole), which needs no limit at 0 Hz
        return response


@dataclass(frozen=True, kw_only=True)
class Notch:
    """A second-order notch at every frequency of the drive field.

    Parameters
    ----------
    quality : float, 1
        Frequency of a notch over the width between its two points of half power.

    Raises
    ------
    UsageError
    """

    quality: float

    def __post_init__(self) -> None:
        check_positive("the quality factor of the notch", self.quality, "")

    def response(self, frequencies: Floats, centres: Floats) -> Response:
        """Return the response at frequencies (K,) in Hz, shape (K,), to notches at the centres in Hz.

        The product of (s² + ω0²)/(s² + s ω0/Q + ω0²) at s = iω over all different centres.
        """
        response = np.ones(np.shape(frequencies), complex)
        for centre in np.unique(centres):
            ratio = np.asarray(frequencies) / centre
            stop = (1 - ratio) * (1 + ratio)
            response *= stop / (stop + 1j * ratio / self.quality)
        return response
