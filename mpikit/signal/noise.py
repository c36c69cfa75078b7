"""Level and colour of the noise: the one source for every method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Scan
from mpikit.signal.background import background_blocks
from mpikit.signal.stacks import stack_repeats

ENOUGH = 30  # degrees of freedom above which a line speaks for itself


@dataclass(frozen=True)
class NoiseStatistics:
    """Noise of one period.

    Parameters
    ----------
    line_power : shape (C, K), unit squared
        Expected squared magnitude of the noise on each line of an un-normalised rfft of one period.
    freedom : int
        Degrees of freedom of each entry (complex values, that is half the real ones).
    source : {"repeats", "background frames", "spectrum"}
        What it was measured from. "spectrum" takes the noise to be white and most lines to be empty.
    samples : int
        V, the samples of the period.
    """

    line_power: NDArray[np.float64]
    freedom: int
    source: Literal["repeats", "background frames", "spectrum"]
    samples: int

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Standard deviation of one sample, shape (C,), unit of the scan."""
        weights = line_weights(self.samples)
        level: NDArray[np.float64] = np.sqrt(self.line_power @ weights) / self.samples
        return level


def line_weights(samples: int) -> NDArray[np.float64]:
    """How often each rfft line counts in Parseval's sum: twice, but DC and Nyquist once; shape (K,)."""
    weights = np.full(samples // 2 + 1, 2.0)
    weights[0] = 1
    if samples % 2 == 0:
        weights[-1] = 1
    return weights


def noise_statistics(scan: Scan) -> NoiseStatistics:
    """Measure the noise of a scan.

    From the spread of its repeats; without repeats from its background frames; without those from the
    median over the lines of its spectrum. What is common to all repeats (a phase-locked background) is not
    noise here, and cannot be seen this way.

    Parameters
    ----------
    scan : Scan
    """
    samples = scan.signal.shape[-1]
    stacked = stack_repeats(scan.signal, scan.repeats)
    if stacked.shape[1] > 1:
        power, freedom = _spread([stacked], scan.stored_lines)
        return NoiseStatistics(power, freedom, "repeats", samples)
    # within a block, for between two blocks the background drifts, or was interpolated away
    blocks = [scan.background[block].swapaxes(0, 1) for block in background_blocks(scan) if len(block) > 1]
    if blocks:
        power, freedom = _spread(blocks, scan.stored_lines)
        return NoiseStatistics(power, freedom, "background frames", samples)
    power = np.mean(np.abs(np.fft.rfft(stacked[:, 0].astype(np.float64), axis=-1)) ** 2, axis=0)
    level = np.median(power[:, scan.stored_lines], axis=-1, keepdims=True) / median_of_mean(len(stacked))
    # one level from all lines: it is known far better than a line by itself would be
    freedom = len(stacked) * int(scan.stored_lines.sum())
    return NoiseStatistics(level * scan.stored_lines, freedom, "spectrum", samples)


def _spread(
    groups: Sequence[NDArray[np.float32]], stored: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], int]:
    """Variance over repeats (B, R, C, V) on each line (C, K), with its degrees of freedom."""
    total, freedom = np.zeros(()), 0
    for group in groups:
        for repeats in group:  # one clean signal at a time bounds the memory
            spectra = np.fft.rfft(repeats.astype(np.float64), axis=-1)
            spectra -= spectra.mean(axis=0)
            total = total + np.sum(spectra.real**2 + spectra.imag**2, axis=0)
        freedom += len(group) * (group.shape[1] - 1)
    power = total / freedom
    if freedom < ENOUGH:  # a line that is not stored says nothing of the noise beside it
        power[:, stored] = running_median(power[:, stored], freedom)
        freedom = ENOUGH
    return power, freedom


def running_median(power: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Smooth powers over neighbouring lines, for few repeats say little of one line.

    Parameters
    ----------
    power : shape (C, K)
    freedom : int
        Complex degrees of freedom of each entry.

    Returns
    -------
    shape (C, K)
        Running median, corrected to the mean; beyond either end the lines are mirrored.
    """
    from scipy.ndimage import median_filter

    width = 2 * (ENOUGH // freedom // 2) + 3
    smooth: NDArray[np.float64] = median_filter(power, size=(1, width), mode="reflect")
    return smooth / median_of_mean(freedom)


def median_of_mean(freedom: int) -> float:
    """Median of the mean of so many unit exponentials (the power of a line of complex Gaussian noise)."""
    from scipy.stats import gamma

    return float(gamma.median(freedom)) / freedom
