"""Which lines of a spectrum hold particle signal, and the filter that keeps nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.scan import Scan
from mpikit.signal.measured import MeasuredLines, measure_lines
from mpikit.signal.noise import line_weights
from mpikit.signal.stacks import parts_of
from mpikit.signal.symmetry import Symmetry, exact_symmetry, fit_symmetry, symmetry_center

DOUBT = 0.01  # probability with which phases are fitted to a scan that is odd
CONTRADICTION = 1e-6  # probability with which a scan that is odd is refused
LEAST_NOISE = 1e-10  # of the signal: the rounding of float32 samples contradicts nothing
SymmetryMode = Literal["fit", "exact", "off"]
Spectra = NDArray[np.complex128]


def drive_field_lines(scan: Scan) -> NDArray[np.bool_]:
    """Lines at multiples of the repetition rate of the trajectory, the only ones that particles can emit.

    In a period of one cycle that is every line; in a period of several cycles (averaged or grouped ones)
    it is every second, third, ... line. DC is left out: an induced voltage has none. The Nyquist line is left
    out: sampling keeps no phase of it. Lines that the file does not store are left out too.

    Returns
    -------
    shape (K,)
    """
    samples = scan.signal.shape[-1]
    lines = np.arange(samples // 2 + 1)
    cycles = samples / scan.sampling_rate / scan.drive_field.cycle if scan.drive_field.cycle else 1.0
    step = round(cycles)
    on_grid = lines % step == 0 if step > 1 and abs(cycles - step) < 1e-6 * cycles else lines >= 0
    found: NDArray[np.bool_] = on_grid & (lines > 0) & (2 * lines < samples) & scan.stored_lines
    return found


@dataclass(frozen=True)
class HarmonicFilter:
    """Keeps the lines that hold particle signal, projected on the symmetry of the scan.

    Parameters
    ----------
    keep : shape (C, K)
        Lines that stand out of the noise.
    symmetry : Symmetry or None
        None when the drive field is not retraced, or when the projection is switched off.
    samples : int
        V.
    """

    keep: NDArray[np.bool_]
    symmetry: Symmetry | None
    samples: int

    def __call__(self, signal: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Filter signals of shape (..., C, V)."""
        self.check(signal.shape)
        flat = signal.reshape(-1, *signal.shape[-2:])
        output: NDArray[np.float32] = np.empty(flat.shape, np.float32)
        for part in parts_of(flat.shape):
            spectra = np.fft.rfft(flat[part].astype(np.float64), axis=-1) * self.keep
            if self.symmetry is not None:
                spectra = self.symmetry.project(spectra)
            output[part] = np.fft.irfft(spectra, n=self.samples, axis=-1)
        return output.reshape(signal.shape)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse signals of another shape than those of the fit.

        Raises
        ------
        InputError
        """
        fitted = (len(self.keep), self.samples)
        if shape[-2:] != fitted:
            raise InputError(
                f"the scan has {shape[-2]} receive channels and {shape[-1]} samples in a period, "
                f"the method was fitted to {fitted[0]} and {fitted[1]}",
                hint="fit the method on this scan",
            )

    def passed_noise(self, line_power: NDArray[np.float64]) -> float:
        """Mean squared sample of noise behind the filter.

        Parameters
        ----------
        line_power : shape (C, K), unit squared
            Expected squared magnitude of the noise on each line of an un-normalised rfft.
        """
        share = self.keep.astype(np.float64)
        if self.symmetry is not None:
            share[self.symmetry.holds] /= 2
        return float(np.sum((share * line_power) @ line_weights(self.samples))) / (
            self.samples**2 * len(self.keep)
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the filter as a flat dict of arrays."""
        state: dict[str, NDArray[Any]] = {"filter.keep": self.keep, "filter.samples": np.array(self.samples)}
        if self.symmetry is not None:
            state["filter.angle"] = self.symmetry.angle
            state["filter.holds"] = self.symmetry.holds
            state["filter.coherence"] = self.symmetry.coherence
        return state

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> HarmonicFilter:
        """Take back what `state` returned."""
        symmetry = None
        if "filter.angle" in state:
            symmetry = Symmetry(state["filter.angle"], state["filter.holds"], state["filter.coherence"])
        return cls(state["filter.keep"], symmetry, int(state["filter.samples"]))


def fit_harmonic_filter(
    scans: Sequence[Scan], *, false_alarm: float = 1e-4, symmetry: SymmetryMode = "fit", band: int = 0
) -> HarmonicFilter:
    """Find the lines that stand out of the noise, and the symmetry on them.

    A line is kept when its power, averaged over the repeats of each clean signal and over all of these, is
    larger than noise of the measured level gives with probability ``false_alarm`` (an F test, see
    `noise_threshold`).

    Parameters
    ----------
    scans : sequence of Scan
        Free of background, or the background counts as signal. All of one sampling and drive field.
    false_alarm : float
        Probability with which a line of noise is kept.
    symmetry : {"fit", "exact", "off"}
        Fit the phase of each line, unless those of the ideal scan, without relaxation and receive chain, are
        not contradicted by the data; insist on these; or project nothing.
    band : int
        Keep also the lines that are so close to one that stands out, in steps of `drive_field_lines`.

    Returns
    -------
    HarmonicFilter

    Raises
    ------
    InputError
        When the scans do not fit together, or ``"exact"`` is asked for and does not hold.
    """
    return find_filter(measure_lines(scans), scans[0], false_alarm=false_alarm, symmetry=symmetry, band=band)


def find_filter(
    measured: MeasuredLines, scan: Scan, *, false_alarm: float, symmetry: SymmetryMode, band: int = 0
) -> HarmonicFilter:
    """Find lines and symmetry in spectra, as `fit_harmonic_filter` does in scans.

    Parameters
    ----------
    measured : MeasuredLines
    scan : Scan
        One of those that were measured, for sampling and drive field.
    false_alarm, symmetry, band
        As in `fit_harmonic_filter`.

    Raises
    ------
    InputError
        When ``"exact"`` is asked for and does not hold.
    """
    signals, noise = measured.signals, measured.noise
    power = np.mean(signals.real**2 + signals.imag**2, axis=0)
    ratio = np.zeros(noise.shape)
    np.divide(power, noise, out=ratio, where=noise > 0)
    grid = drive_field_lines(scan)
    noise_free = (noise == 0) & (power > 0)
    above = ratio > noise_threshold(false_alarm, measured.shares, measured.freedom)
    keep = (above | noise_free) & grid
    found = None if symmetry == "off" else _find_symmetry(measured, scan, keep, exactly=symmetry == "exact")
    return HarmonicFilter(_beside(keep, grid, band), found, scan.signal.shape[-1])


def _beside(keep: NDArray[np.bool_], grid: NDArray[np.bool_], band: int) -> NDArray[np.bool_]:
    """Add the lines of the grid (K,) that are at most so many of its steps from a kept one (C, K)."""
    on_grid = keep[:, grid]
    wide = on_grid.copy()
    for step in range(1, band + 1):
        wide[:, step:] |= on_grid[:, :-step]
        wide[:, :-step] |= on_grid[:, step:]
    found = keep.copy()
    found[:, grid] = wide
    return found


def _find_symmetry(
    measured: MeasuredLines, scan: Scan, keep: NDArray[np.bool_], *, exactly: bool
) -> Symmetry | None:
    center = symmetry_center(scan.drive_field)
    if center is None:
        if exactly:
            raise InputError(
                "the drive field is not retraced, so the scan has no symmetry", hint="use symmetry=off"
            )
        return None
    ideal = exact_symmetry(center, scan.frequencies, len(keep))
    even = _even_part(measured.signals, measured.noise, ideal, keep)
    chance = _Chance(measured.shares, measured.freedom)
    if exactly:
        even.refuse(chance)
        return ideal
    if even.ratio <= chance.threshold(even.lines, DOUBT):
        return ideal
    return fit_symmetry(
        measured.signals, measured.noise, center=center, frequencies=scan.frequencies, detected=keep
    )


def noise_threshold(false_alarm: float, shares: NDArray[np.float64], freedom: float) -> float:
    """Ratio of mean noise power to measured noise power that is exceeded with a given probability.

    Exact for equal shares (F distribution). For others the mean power is taken for a gamma variate, shifted
    and scaled to its first three cumulants (Buckley and Eagleson, Austral. J. Statist. 30A, 1988).

    Parameters
    ----------
    false_alarm : float
    shares : shape (M,)
        Powers of the independent complex Gaussians whose squares are averaged.
    freedom : float
        Complex degrees of freedom of the measured noise power.
    """
    from scipy.stats import f as f_distribution
    from scipy.stats import gamma

    first, second, third = (float(np.sum(shares**order)) for order in (1, 2, 3))
    squares = second**3 / third**2
    scale = (second * squares) ** 0.5 / first
    known = gamma.isf(false_alarm, squares) / squares
    measured = f_distribution.isf(false_alarm, 2 * squares, 2 * freedom)
    return float((1 + scale * (known - 1)) * measured / known)


@dataclass(frozen=True)
class _Chance:
    """What noise alone gives: shares (M,) and degrees of freedom as in `noise_threshold`."""

    shares: NDArray[np.float64]
    freedom: float

    def threshold(self, lines: int, false_alarm: float) -> float:
        """Bound on the mean over real parts of so many lines of all signals, in units of the noise."""
        pairs = np.tile(self.shares, (lines + 1) // 2)  # two real parts make a complex number
        return noise_threshold(false_alarm, pairs, self.freedom)


@dataclass(frozen=True)
class _EvenPart:
    """What an ideal scan cannot hold: `ratio` to its noise, as a mean over `lines`; `share` of all power."""

    ratio: float
    lines: int
    share: float

    def refuse(self, chance: _Chance) -> None:
        """Raise `InputError` when noise does not explain it."""
        if self.ratio > chance.threshold(self.lines, CONTRADICTION):
            raise InputError(
                f"the scan is not odd about its turning point, {100 * self.share:.2g} % of it would be lost",
                hint="use symmetry=fit, which fits the phase of each line",
            )


def _even_part(
    signals: Spectra, noise: NDArray[np.float64], exact: Symmetry, keep: NDArray[np.bool_]
) -> _EvenPart:
    """Measure the even part of the kept lines: half of their noise, if the symmetry is right."""
    kept = signals[:, keep]
    power = np.mean(kept.real**2 + kept.imag**2, axis=0)
    whole = float(power.sum())
    if whole == 0:
        return _EvenPart(0.0, 1, 0.0)
    even = np.mean((kept * np.exp(1j * exact.angle[keep])).real ** 2, axis=0)
    level = np.maximum(noise[keep], LEAST_NOISE * whole) / 2
    share = max(float(np.sum(even - noise[keep] / 2)) / whole, 0.0)
    return _EvenPart(float(np.mean(even / level)), len(level), share)
