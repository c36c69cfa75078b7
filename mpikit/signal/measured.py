"""What the repeats of noisy scans say about each line: the mean of each clean signal, and the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.scan import Scan
from mpikit.signal.background import noise_shares, shared_background_noise
from mpikit.signal.noise import NoiseStatistics, noise_statistics
from mpikit.signal.stacks import mean_of_repeats, stack_repeats

MOST_SIGNALS = 2000  # enough for any phase or covariance, and a bound on time for large training sets
MOST_VALUES = 2**25  # of their spectra, a bound on memory


@dataclass(frozen=True)
class MeasuredLines:
    """Spectra of noisy scans.

    Parameters
    ----------
    signals : shape (M, C, K)
        Spectra of M clean signals, each the mean of its repeats.
    share : float
        Noise power of these means; that of one period is 1.
    period_noise : shape (C, K)
        Noise power of one period on each line.
    shares : shape (M,)
        Powers of the independent parts of the noise in the means, see `noise_shares`.
    freedom : float
        Complex degrees of freedom of the noise power.
    """

    signals: NDArray[np.complex128]
    share: float
    period_noise: NDArray[np.float64]
    shares: NDArray[np.float64]
    freedom: float

    @property
    def noise(self) -> NDArray[np.float64]:
        """Noise power of the means on each line, shape (C, K)."""
        return self.period_noise * self.share


def measure_lines(scans: Sequence[Scan]) -> MeasuredLines:
    """Average the repeats of each clean signal, and measure the noise.

    Parameters
    ----------
    scans : sequence of Scan
        Free of background, or the background counts as signal. All of one sampling and drive field. Of
        many clean signals some are chosen, evenly.

    Raises
    ------
    InputError
        When the scans do not fit together.
    """
    _check_alike(scans)
    channels, samples = scans[0].signal.shape[2:]
    most = min(MOST_SIGNALS, MOST_VALUES // (channels * (samples // 2 + 1))) // len(scans)
    parts = [_measure(scan, max(most, 1)) for scan in scans]
    return MeasuredLines(
        np.concatenate([part.signals for part in parts]),
        float(np.mean([part.share for part in parts])),
        np.mean([part.period_noise for part in parts], axis=0),
        np.concatenate([part.shares for part in parts]),
        sum(part.freedom for part in parts),
    )


def _check_alike(scans: Sequence[Scan]) -> None:
    first = scans[0]
    for scan in scans[1:]:
        same = scan.signal.shape[2:] == first.signal.shape[2:] and scan.sampling_rate == first.sampling_rate
        if not same:
            raise InputError(
                f"{scan.name} and {first.name} differ in receive channels, samples or sampling rate",
                hint="fit one method to scans of one sequence",
            )


def _measure(scan: Scan, most: int) -> MeasuredLines:
    stacked = stack_repeats(scan.signal, scan.repeats)
    chosen = np.unique(np.linspace(0, len(stacked) - 1, min(len(stacked), most)).astype(int))
    noise: NoiseStatistics = noise_statistics(scan)
    shares = noise_shares(scan, len(chosen))
    freedom = noise.freedom / (1 if scan.repeats == "none" else np.mean(shares**2) / np.mean(shares) ** 2)
    return MeasuredLines(
        np.fft.rfft(mean_of_repeats(stacked, chosen), axis=-1),
        1 / stacked.shape[1] + shared_background_noise(scan),
        noise.line_power,
        shares,
        float(freedom),
    )
