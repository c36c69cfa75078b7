"""``wavelet``: shrinkage of periodic wavelet coefficients, each level by the noise that it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from mpikit import Run, Scan
from mpikit.errors import InputError
from mpikit.signal import HarmonicFilter
from mpikit.signal.noise import line_weights
from mpikit.signal.stacks import parts_of
from mpikit_plugins.background import clear
from mpikit_plugins.harmonic.lines import not_fitted
from mpikit_plugins.harmonic.options import SymmetryOptions
from mpikit_plugins.harmonic.projection import Projection, describe_symmetry, fit_projection

LEAST_COARSE = 8  # samples on the coarsest level
Floats = NDArray[np.float64]
Signals = NDArray[np.float32]


class WaveletOptions(SymmetryOptions):
    """Options of the wavelet shrinkage."""

    wavelet: str = Field(
        "sym8", description="An orthogonal wavelet by its name in PyWavelets, as sym8 or db4"
    )
    level: int | None = Field(
        None, ge=1, description="Levels of the decomposition; none takes as many as fit"
    )
    threshold: float = Field(
        1.0, gt=0, description="Threshold in units of sigma sqrt(2 ln V), that of noise alone in V samples"
    )
    rule: Literal["soft", "hard"] = Field(
        "soft", description="Shrink what is above the threshold by it, or keep it as it is"
    )
    shifts: int = Field(
        1, ge=1, le=64, description="Average over so many shifts of the period against the wavelets"
    )

    @field_validator("wavelet")
    @classmethod
    def _is_orthogonal(cls, name: str) -> str:
        import pywt

        if name not in pywt.wavelist(kind="discrete") or not pywt.Wavelet(name).orthogonal:
            raise ValueError("an orthogonal wavelet of PyWavelets was expected, as sym8 or db4")
        return name


class WaveletShrinkage:
    """Project on the symmetry, shrink the coefficients, project again."""

    def __init__(self, options: WaveletOptions) -> None:
        self.options = options
        self.filter: HarmonicFilter | None = None
        self.deviations: Floats | None = None

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Fit the symmetry, and find the noise of each level."""
        options = self.options
        found = fit_projection(
            [clear(scan, options) for scan in scans],
            false_alarm=options.false_alarm,
            symmetry=options.symmetry,
        )
        run.tell(describe_symmetry(found))
        self.filter = found.filter
        self.deviations = _deviations(found, options.wavelet, _levels(found.filter.samples, options))

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the denoised foreground, shape (N, J, C, V)."""
        if self.filter is None or self.deviations is None:
            raise not_fitted("wavelet")
        signal = self.filter(clear(scan, self.options).signal)
        samples = signal.shape[-1]
        thresholds = self.options.threshold * np.sqrt(2 * np.log(samples)) * self.deviations
        flat = signal.reshape(-1, *signal.shape[2:])
        for part in parts_of(flat.shape):
            flat[part] = self._shrunk(flat[part], thresholds.astype(np.float32))
        return self.filter(signal)

    def _shrunk(self, signal: Signals, thresholds: Signals) -> Signals:
        """Shrink the coefficients of signals (n, C, V) by thresholds (C, L), as a mean over shifts."""
        options, samples, levels = self.options, signal.shape[-1], thresholds.shape[1]
        padded = resample(signal, padded_length(samples, levels))
        total = np.zeros_like(padded)
        for shift in np.arange(options.shifts) * 2**levels // options.shifts:
            moved = np.roll(padded, shift, axis=-1)
            total += np.roll(_shrink(moved, options, thresholds), -shift, axis=-1)
        return resample(np.divide(total, options.shifts, dtype=np.float32), samples)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return lines, phases and the noise of the levels."""
        if self.filter is None or self.deviations is None:
            return {}
        return {**self.filter.state(), "deviations": self.deviations}

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back lines, phases and the noise of the levels."""
        self.filter = HarmonicFilter.restore(state) if state else None
        self.deviations = np.asarray(state["deviations"]) if state else None


def padded_length(samples: int, levels: int) -> int:
    """Return the samples of a finer grid of the period that can be halved so many times."""
    return -(-samples >> levels) << levels


def resample(signal: Signals, samples: int) -> Signals:
    """Give periods (..., V) another number of samples; exact below the Nyquist line of both."""
    before = signal.shape[-1]
    if samples == before:
        return signal
    lines = (min(before, samples) - 1) // 2 + 1
    found = np.fft.irfft(np.fft.rfft(signal)[..., :lines], n=samples).astype(np.float32, copy=False)
    return found * np.float32(samples / before)


def _levels(samples: int, options: WaveletOptions) -> int:
    import pywt

    most = int(pywt.dwt_max_level(samples, pywt.Wavelet(options.wavelet).dec_len))
    if most < 1 or (options.level is not None and options.level > most):
        raise InputError(
            f"{samples} samples in a period are too few for {options.level or 1} levels of {options.wavelet}",
            hint=f"at most {most} levels fit" if most else "take a shorter wavelet, as db2",
        )
    return options.level or max(min(most, int(np.log2(samples / LEAST_COARSE))), 1)


def _deviations(projection: Projection, wavelet: str, levels: int) -> Floats:
    """Return the noise in the coefficients of each level, standard deviations (C, L), coarsest first."""
    import pywt

    samples = projection.filter.samples
    length = padded_length(samples, levels)
    share = projection.filter.keep.astype(np.float64)
    if projection.filter.symmetry is not None:
        share[projection.filter.symmetry.holds] /= 2
    power = share * projection.measured.period_noise * (length / samples) ** 2
    lines = (samples - 1) // 2 + 1
    weights = line_weights(length)[:lines]
    blank = [np.zeros(length >> levels)] + [np.zeros(length >> level) for level in range(levels, 0, -1)]
    found = []
    for level in range(1, levels + 1):
        parts = [part.copy() for part in blank]
        parts[level][0] = 1
        atom = np.fft.rfft(pywt.waverec(parts, wavelet, mode="periodization"))[:lines]
        found.append(power[:, :lines] @ (weights * np.abs(atom) ** 2) / length**2)
    deviations: Floats = np.sqrt(np.stack(found, axis=1))
    return deviations


def _shrink(signal: Signals, options: WaveletOptions, thresholds: Signals) -> Signals:
    """Shrink the details of signals (n, C, W) by thresholds (C, L), coarsest first."""
    import pywt

    coarse, *details = pywt.wavedec(
        signal, options.wavelet, mode="periodization", level=thresholds.shape[1], axis=-1
    )
    for level, detail in enumerate(details):
        limit = thresholds[:, level, None]
        if options.rule == "soft":
            details[level] = detail - np.clip(detail, -limit, limit)
        else:
            details[level] = np.where(np.abs(detail) > limit, detail, 0)
    found: Signals = pywt.waverec([coarse, *details], options.wavelet, mode="periodization", axis=-1)
    return found
