"""``savgol``: the Savitzky-Golay filter around the period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mpikit import Finding, Run, Scan
from mpikit.errors import InputError
from mpikit.signal import HarmonicFilter, MeasuredLines
from mpikit_plugins.background import clear
from mpikit_plugins.harmonic.lines import not_fitted
from mpikit_plugins.harmonic.options import SymmetryOptions
from mpikit_plugins.harmonic.projection import describe_symmetry, fit_projection

MOST_WINDOWS = 60  # that are tried


class SavitzkyGolayOptions(SymmetryOptions):
    """Options of the Savitzky-Golay filter."""

    order: int = Field(3, ge=0, le=12, description="Degree of the polynomials")
    window: int | None = Field(
        None,
        ge=3,
        description="Samples that a polynomial is fitted to, an odd number; none takes the length with the "
        "least expected error in the noisy data, for each receive channel",
    )


class SavitzkyGolay:
    """Fit a polynomial to the neighbourhood of each sample, the period taken for a ring."""

    def __init__(self, options: SavitzkyGolayOptions) -> None:
        self.options = options
        self.filter: HarmonicFilter | None = None
        self.windows: NDArray[np.int64] | None = None

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Fit the symmetry, and choose the window."""
        options = self.options
        found = fit_projection(
            [clear(scan, options) for scan in scans],
            false_alarm=options.false_alarm,
            symmetry=options.symmetry,
        )
        run.tell(describe_symmetry(found))
        self.filter = found.filter
        self.windows = _windows(found.measured, found.filter, options)
        text = ", ".join(str(window) for window in self.windows)
        run.tell(Finding("window", self.windows.tolist(), f"samples of a window in each channel: {text}"))

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the smoothed foreground, shape (N, J, C, V)."""
        if self.filter is None or self.windows is None:
            raise not_fitted("savgol")
        samples, order = self.filter.samples, self.options.order
        signal = self.filter(clear(scan, self.options).signal)
        gains = np.stack([response(samples, int(window), order) for window in self.windows])
        for frame in signal:  # one at a time bounds the memory
            frame[:] = np.fft.irfft(np.fft.rfft(frame.astype(np.float64)) * gains, n=samples)
        return signal

    def state(self) -> dict[str, NDArray[Any]]:
        """Return lines, phases and windows."""
        if self.filter is None or self.windows is None:
            return {}
        return {**self.filter.state(), "windows": self.windows}

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back lines, phases and windows."""
        self.filter = HarmonicFilter.restore(state) if state else None
        self.windows = np.asarray(state["windows"]) if state else None


def response(samples: int, window: int, order: int) -> NDArray[np.float64]:
    """Gain on each line of the filter around a period, shape (K,); real, for the filter is even."""
    from scipy.signal import savgol_coeffs

    around = np.zeros(samples)
    around[np.arange(-(window // 2), window // 2 + 1)] = savgol_coeffs(window, order)
    gain: NDArray[np.float64] = np.fft.rfft(around).real
    return gain


def _windows(
    measured: MeasuredLines, projection: HarmonicFilter, options: SavitzkyGolayOptions
) -> NDArray[np.int64]:
    """Return the window of each channel, shape (C,)."""
    samples, channels = projection.samples, len(projection.keep)
    longest = samples - 1 + samples % 2
    if options.order >= longest:
        raise InputError(
            f"{samples} samples in a period are too few for polynomials of degree {options.order}",
            hint=f"take order={longest - 1}" if longest > 1 else "use another method",
        )
    if options.window is None:
        return _best_windows(measured, projection, options.order, longest)
    if options.window % 2 == 0 or not options.order < options.window <= longest:
        raise InputError(
            f"a window of {options.window} samples does not suit polynomials of degree {options.order} "
            f"in periods of {samples}",
            hint=f"take an odd number, above the degree and up to {longest}, or window=none",
        )
    return np.full(channels, options.window)


def _best_windows(
    measured: MeasuredLines, projection: HarmonicFilter, order: int, longest: int
) -> NDArray[np.int64]:
    """Minimise the expected error: what is smoothed away of the signal, and what is left of the noise."""
    kept = projection.keep.astype(np.float64)
    halved = kept.copy()
    if projection.symmetry is not None:
        halved[projection.symmetry.holds] /= 2
    signals = measured.signals
    clean = np.mean(signals.real**2 + signals.imag**2, axis=0) - measured.noise
    shortest = order + 1 + order % 2
    lengths = np.geomspace(shortest, max(longest // 2, shortest), MOST_WINDOWS)
    windows = np.unique(np.minimum(lengths.astype(int) // 2 * 2 + 1, longest))
    errors = []
    for window in windows:
        gain = response(projection.samples, int(window), order)
        lost = (1 - gain) ** 2 * clean * kept
        errors.append(np.sum(lost + gain**2 * measured.period_noise * halved, axis=-1))
    best: NDArray[np.int64] = windows[np.argmin(errors, axis=0)]
    return best
