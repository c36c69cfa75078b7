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
SHORTER = ("db4", "db2", "haar")  # the longest first
Floats = NDArray[np.float64]
Signals = NDArray[np.float32]
Spectra = NDArray[np.complexfloating[Any]]


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
        signal = clear(scan, self.options).signal
        self.filter.check(signal.shape)
        thresholds = self.options.threshold * np.sqrt(2 * np.log(signal.shape[-1])) * self.deviations
        flat = signal.reshape(-1, *signal.shape[2:])
        output: Signals = np.empty(flat.shape, np.float32)
        for part in parts_of(flat.shape):
            output[part] = self._shrunk(flat[part], self.filter, thresholds.astype(np.float32))
        return output.reshape(signal.shape)

    def _shrunk(self, signal: Signals, harmonic: HarmonicFilter, thresholds: Signals) -> Signals:
        """Filter signals (n, C, V), shrink their coefficients by thresholds (C, L) over shifts, filter again.

        The filter acts on the spectra that lead to the finer grid and back, so that it costs no transform.
        """
        options, samples, levels = self.options, signal.shape[-1], thresholds.shape[1]
        length = padded_length(samples, levels)
        padded = on_grid(_filtered(np.fft.rfft(signal), harmonic), samples, length)
        total = np.zeros_like(padded)
        for shift in np.arange(options.shifts) * 2**levels // options.shifts:
            moved = np.roll(padded, shift, axis=-1) if shift else padded
            found = _shrink(moved, options, thresholds)
            total += np.roll(found, -shift, axis=-1) if shift else found
        spectra = np.fft.rfft(total)[..., : samples // 2 + 1]
        spectra *= np.float32(samples / length / options.shifts)
        if length != samples and samples % 2 == 0:
            spectra[..., -1] = 0  # the finer grid cannot tell its sign
        return np.fft.irfft(_filtered(spectra, harmonic), n=samples).astype(np.float32, copy=False)

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
    return signal if samples == before else on_grid(np.fft.rfft(signal), before, samples)


def on_grid(spectra: Spectra, before: int, samples: int) -> Signals:
    """Return the periods of spectra (..., K) of so many samples with another number of samples."""
    lines = spectra.shape[-1] if samples == before else (min(before, samples) - 1) // 2 + 1
    found = np.fft.irfft(spectra[..., :lines], n=samples).astype(np.float32, copy=False)
    found *= np.float32(samples / before)
    return found


def _filtered(spectra: Spectra, harmonic: HarmonicFilter) -> Spectra:
    """Keep what the filter keeps of spectra (n, C, K), in place."""
    spectra *= harmonic.keep
    if harmonic.symmetry is None:
        return spectra
    return harmonic.symmetry.project(spectra.astype(np.complex128))


def _levels(samples: int, options: WaveletOptions) -> int:
    most, asked = _most_levels(samples, options.wavelet), options.level or 1
    if asked > most:
        words = "a level" if asked == 1 else f"{asked} levels"
        raise InputError(
            f"{samples} samples in a period are too few for {words} of {options.wavelet}",
            hint=_what_fits(samples, most),
        )
    return options.level or max(min(most, int(np.log2(samples / LEAST_COARSE))), 1)


def _most_levels(samples: int, wavelet: str) -> int:
    import pywt

    return int(pywt.dwt_max_level(samples, pywt.Wavelet(wavelet).dec_len))


def _what_fits(samples: int, most: int) -> str:
    """Say how many levels fit, or which wavelet is short enough for one."""
    if most:
        return f"take level={most} or less"
    shorter = [name for name in SHORTER if _most_levels(samples, name)]
    return f"take a shorter wavelet, as wavelet={shorter[0]}" if shorter else "use another method"


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
