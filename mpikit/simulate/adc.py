"""The analogue-to-digital converter at the end of a receive chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import NumericalError
from mpikit.simulate.quantities import check_positive, check_whole

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Adc:
    """A converter that rounds to the nearest of 2**bits levels and clips what is beyond them.

    The levels are the whole multiples of a step from -full_scale up to full_scale less one step, as two's
    complement counts: 0 V is a level, so an empty channel stays empty.

    Parameters
    ----------
    bits : int
        1 to 32.
    full_scale : float, V

    Raises
    ------
    UsageError
    """

    bits: int
    full_scale: float

    def __post_init__(self) -> None:
        check_whole("the number of bits of the ADC", self.bits, least=1, most=32)
        check_positive("the full scale of the ADC", self.full_scale, "V")

    @property
    def step(self) -> float:
        """Volts for each count, V."""
        return 2 * self.full_scale / self.levels

    @property
    def levels(self) -> int:
        """Number of different counts."""
        return 1 << int(self.bits)

    def count(self, volts: NDArray[np.floating[Any]]) -> NDArray[np.int16] | NDArray[np.int32]:
        """Convert a voltage; times `step` the counts are volts again.

        Parameters
        ----------
        volts : any shape, V

        Returns
        -------
        same shape
            int16 up to 16 bits, int32 above.

        Raises
        ------
        NumericalError
            When a voltage is no number.
        """
        rounded = self._rounded(volts)
        if np.any(np.isnan(rounded)):
            raise NumericalError("the ADC got voltages that are no numbers")
        half = self.levels // 2
        counts = np.clip(rounded, -half, half - 1)
        return counts.astype(np.int16) if self.bits <= 16 else counts.astype(np.int32)

    def clipped(self, volts: NDArray[np.floating[Any]]) -> float:
        """Return the share of samples that are beyond the levels; 0 of no samples at all.

        Parameters
        ----------
        volts : any shape, V
        """
        rounded = self._rounded(volts)
        half = self.levels // 2
        beyond = np.count_nonzero((rounded < -half) | (rounded > half - 1))
        return beyond / rounded.size if rounded.size else 0.0

    def _rounded(self, volts: NDArray[np.floating[Any]]) -> Floats:
        # Single precision cannot hold the highest of 32-bit counts: clipping would round it up, out of range.
        return np.rint(np.asarray(volts, np.float64) / self.step)
