"""Which lines of a spectrum hold particle signal, and the filter that keeps nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.scan import Scan
from mpikit.signal.background import noise_shares, shared_background_noise
from mpikit.signal.noise import line_weights, noise_statistics
from mpikit.signal.stacks import stack_repeats
from mpikit.signal.symmetry import Symmetry, exact_symmetry, fit_symmetry, symmetry_center

MOST_SIGNALS = 2000  # enough for any phase, and a bound on memory for large training sets
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
        spectra = np.fft.rfft(signal.astype(np.float64), axis=-1) * self.keep
        if self.symmetry is not None:
            spectra = self.symmetry.project(spectra)
        return np.fft.irfft(spectra, n=self.samples, axis=-1).astype(np.float32)

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
    scans: Sequence[Scan], *, false_alarm: float = 1e-4, symmetry: SymmetryMode = "fit"
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
        Fit the phase of each line; take the ideal scan without relaxation and receive chain; or project
        nothing.

    Returns
    -------
    HarmonicFilter

    Raises
    ------
    InputError
        When the scans do not fit together, or ``"exact"`` is asked for and does not hold.
    """
    first = scans[0]
    _check_alike(scans)
    means, noises, shares, freedom = zip(*(_mean_spectra(scan) for scan in scans), strict=True)
    signals = np.concatenate(means)
    noise = np.mean(noises, axis=0)
    ratio = np.zeros(noise.shape)
    np.divide(np.mean(np.abs(signals) ** 2, axis=0), noise, out=ratio, where=noise > 0)
    threshold = noise_threshold(false_alarm, np.concatenate(shares), sum(freedom))
    noise_free = (noise == 0) & (np.abs(signals).max(axis=0) > 0)
    keep = ((ratio > threshold) | noise_free) & drive_field_lines(first)
    center = symmetry_center(first.drive_field)
    found = None
    if symmetry == "exact":
        found = _exact_or_refuse(signals, noise, center, first.frequencies, keep)
    elif symmetry == "fit" and center is not None:
        found = fit_symmetry(signals, noise, center=center, frequencies=first.frequencies, detected=keep)
    return HarmonicFilter(keep, found, first.signal.shape[-1])


def _check_alike(scans: Sequence[Scan]) -> None:
    first = scans[0]
    for scan in scans[1:]:
        same = scan.signal.shape[2:] == first.signal.shape[2:] and scan.sampling_rate == first.sampling_rate
        if not same:
            raise InputError(
                f"{scan.name} and {first.name} differ in receive channels, samples or sampling rate",
                hint="fit one method to scans of one sequence",
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


def _mean_spectra(scan: Scan) -> tuple[Spectra, NDArray[np.float64], NDArray[np.float64], float]:
    """Mean spectrum of each clean signal (M, C, K), noise power (C, K), shares (M,), freedom of the power."""
    stacked = stack_repeats(scan.signal, scan.repeats)
    chosen = np.unique(np.linspace(0, len(stacked) - 1, min(len(stacked), MOST_SIGNALS)).astype(int))
    means = stacked[chosen].mean(axis=1, dtype=np.float64)
    noise = noise_statistics(scan)
    share = 1 / stacked.shape[1] + shared_background_noise(scan)
    shares = noise_shares(scan, len(means))
    freedom = noise.freedom / (1 if scan.repeats == "none" else np.mean(shares**2) / np.mean(shares) ** 2)
    return np.fft.rfft(means, axis=-1), noise.line_power * share, shares, float(freedom)


def _exact_or_refuse(
    signals: Spectra,
    noise: NDArray[np.float64],
    center: float | None,
    frequencies: NDArray[np.float64],
    keep: NDArray[np.bool_],
) -> Symmetry:
    if center is None:
        raise InputError(
            "the drive field is not retraced, so the scan has no symmetry", hint="use symmetry=off"
        )
    exact = exact_symmetry(center, frequencies, len(keep))
    power = np.sum(np.abs(signals * keep) ** 2)
    lost = (
        np.sum(np.abs((signals - exact.project(signals)) * keep) ** 2)
        - len(signals) * np.sum(noise * keep) / 2
    )
    if lost > 0.1 * power:
        raise InputError(
            f"the scan is not odd about its turning point, {100 * lost / power:.0f} % of it would be lost",
            hint="use symmetry=fit, which fits the phase of each line",
        )
    return exact
