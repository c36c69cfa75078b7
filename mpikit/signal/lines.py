"""A period as real coefficients of the lines that hold particle signal, in units of their noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Scan
from mpikit.signal.harmonics import HarmonicFilter, SymmetryMode, find_filter
from mpikit.signal.measured import MeasuredLines, measure_lines
from mpikit.signal.stacks import parts_of

LEAST_NOISE = 1e-12  # of the power of a line: rounding to float32 is no noise to divide by
Coefficients = NDArray[np.float64]


@dataclass(frozen=True)
class LineCoefficients:
    """The way from signals to whitened real coefficients of the kept lines, and back.

    A line on which the symmetry holds has one coefficient, its odd part; another line has two. Stationary
    noise of the given power has unit variance in each coefficient, and the coefficients are uncorrelated.
    There and back is the projection of the harmonic filter.

    Parameters
    ----------
    harmonic : HarmonicFilter
        Lines and symmetry.
    line_power : shape (C, K), unit squared
        Expected squared magnitude of the noise of one period on each line of an un-normalised rfft; above 0
        on the lines that are kept.
    """

    harmonic: HarmonicFilter
    line_power: NDArray[np.float64]

    @cached_property
    def _keep(self) -> NDArray[np.bool_]:
        """Lines with a coefficient; DC and Nyquist have no phase, so no part in this."""
        keep = self.harmonic.keep.copy()
        keep[:, 0] = False
        if self.harmonic.samples % 2 == 0:
            keep[:, -1] = False
        return keep

    @cached_property
    def _turn(self) -> NDArray[np.complex128]:
        """What brings each kept line onto the imaginary axis, in units of the noise."""
        symmetry = self.harmonic.symmetry
        angle = np.zeros(self._keep.shape) if symmetry is None else symmetry.angle
        turn: NDArray[np.complex128] = np.exp(1j * angle[self._keep]) * np.sqrt(
            2 / self.line_power[self._keep]
        )
        return turn

    @cached_property
    def _even(self) -> NDArray[np.bool_]:
        """Which of the kept lines have an even part too."""
        symmetry = self.harmonic.symmetry
        held = np.zeros(self._keep.shape, bool) if symmetry is None else symmetry.holds
        even: NDArray[np.bool_] = ~held[self._keep]
        return even

    @property
    def count(self) -> int:
        """Coefficients of one period: P."""
        return len(self._even) + int(self._even.sum())

    @property
    def places(self) -> NDArray[np.intp]:
        """Receive channel and line of each coefficient, shape (P, 2)."""
        lines = np.argwhere(self._keep)
        return np.concatenate([lines, lines[self._even]])

    def forward(self, signal: NDArray[np.floating[Any]]) -> Coefficients:
        """Return the coefficients (..., P) of signals (..., C, V).

        Raises
        ------
        InputError
            When the signals have other channels or samples than those of the fit.
        """
        self.harmonic.check(signal.shape)
        flat = signal.reshape(-1, *signal.shape[-2:])
        output: Coefficients = np.empty((len(flat), self.count))
        for part in parts_of(flat.shape):
            output[part] = self.of_spectra(np.fft.rfft(flat[part].astype(np.float64), axis=-1))
        return output.reshape(*signal.shape[:-2], self.count)

    def of_spectra(self, spectra: NDArray[np.complex128]) -> Coefficients:
        """Return the coefficients (n, P) of un-normalised spectra (n, C, K)."""
        turned = spectra[:, self._keep] * self._turn
        return np.concatenate([turned.imag, turned.real[:, self._even]], axis=1)

    def back(self, coefficients: Coefficients) -> NDArray[np.float32]:
        """Return the signals (..., C, V) of coefficients (..., P)."""
        outer = coefficients.shape[:-1]
        flat = coefficients.reshape(int(np.prod(outer)), self.count)
        channels, lines = self._keep.shape
        output: NDArray[np.float32] = np.empty((len(flat), channels, self.harmonic.samples), np.float32)
        for part in parts_of(output.shape):
            turned = 1j * flat[part, : len(self._even)]
            turned[:, self._even] += flat[part, len(self._even) :]
            spectra = np.zeros((len(turned), channels, lines), complex)
            spectra[:, self._keep] = turned / self._turn
            output[part] = np.fft.irfft(spectra, n=self.harmonic.samples, axis=-1)
        return output.reshape(*outer, *output.shape[1:])

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the map as a flat dict of arrays."""
        return {**self.harmonic.state(), "lines.power": self.line_power}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> LineCoefficients:
        """Take back what `state` returned."""
        return cls(HarmonicFilter.restore(state), np.asarray(state["lines.power"]))


@dataclass(frozen=True)
class CleanSignals:
    """What noisy scans say about the clean signals: the mean of the repeats of each.

    Parameters
    ----------
    means : shape (M, P)
        Whitened coefficients of M clean signals, each the mean of its repeats.
    noise : float
        Variance of their noise; that of one period is 1.
    """

    means: Coefficients
    noise: float


def fit_line_coefficients(
    scans: Sequence[Scan], *, false_alarm: float = 1e-4, symmetry: SymmetryMode = "fit", band: int = 0
) -> tuple[LineCoefficients, CleanSignals]:
    """Find the lines that stand out of the noise, the symmetry on them, and their noise.

    Parameters
    ----------
    scans, false_alarm, symmetry, band
        As in `fit_harmonic_filter`.

    Returns
    -------
    lines : LineCoefficients
    clean : CleanSignals
        The signals of the scans in these coefficients; of many some, evenly chosen.

    Raises
    ------
    InputError
        When the scans do not fit together, or ``"exact"`` is asked for and does not hold.
    """
    measured = measure_lines(scans)
    harmonic = find_filter(measured, scans[0], false_alarm=false_alarm, symmetry=symmetry, band=band)
    lines = LineCoefficients(harmonic, divisible(measured))
    return lines, CleanSignals(lines.of_spectra(measured.signals), measured.share)


def divisible(measured: MeasuredLines) -> NDArray[np.float64]:
    """Return noise powers (C, K) to divide by: at least the rounding of the signals, and above 0."""
    signals = measured.signals
    whole = np.max(np.mean(signals.real**2 + signals.imag**2, axis=0), axis=-1, keepdims=True)
    return np.maximum(measured.period_noise, np.where(whole > 0, LEAST_NOISE * whole, 1))
