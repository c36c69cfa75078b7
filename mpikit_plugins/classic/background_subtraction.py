"""``background-subtraction``: the empty-scanner signal, and what it fluctuates by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mpikit import Finding, Options, Run, Scan
from mpikit.errors import InputError
from mpikit.signal import (
    HarmonicFilter,
    LineCoefficients,
    LowRankFilter,
    fit_harmonic_filter,
    subtract_background,
)
from mpikit.signal.lowrank import clean_power, principal_directions
from mpikit.signal.noise import running_median
from mpikit_plugins.harmonic.lines import not_fitted

ENOUGH = 30  # degrees of freedom above which a line speaks for itself
LEAST_FRAMES = 4  # of the empty scanner, to tell what fluctuates from noise
ROUNDS = 4  # of finding noise and components in turn


class SubtractionOptions(Options):
    """Options of the background subtraction."""

    mode: Literal["interpolated", "static", "dictionary"] = Field(
        "interpolated",
        description="Subtract the background interpolated at the time of each frame; its mean; or the "
        "interpolated one, then the ways in which it fluctuates, fitted to what holds no particle signal",
    )
    components: int = Field(5, ge=1, description="Ways to fluctuate in the dictionary, at most")
    false_alarm: float = Field(
        1e-4,
        gt=0,
        lt=1,
        description="Dictionary: probability with which a line of noise counts as signal",
    )
    symmetry: Literal["fit", "off"] = Field(
        "fit",
        description="Dictionary: half of each line with signal is free of it by the scan symmetry; off uses "
        "the other lines alone",
    )


class BackgroundSubtraction:
    """Subtract the background frames; with a dictionary, what is left of the background too."""

    def __init__(self, options: SubtractionOptions) -> None:
        self.options = options
        self.lines: LineCoefficients | None = None
        self.filter: LowRankFilter | None = None

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Learn the dictionary, when there is to be one."""
        if self.options.mode != "dictionary":
            return
        options, stored = self.options, scans[0].stored_lines
        fluctuations = _fluctuations(scans)
        lines = _whitening(fluctuations, scans[0].signal.shape[-1], stored, options.components)
        atoms, _ = fluctuations.components(lines, options.components)
        # to see where the particles are, all that looks like a component is left out: little of their signal
        calm = [_without(subtract_background(scan), lines, LowRankFilter(atoms, atoms)) for scan in scans]
        harmonic = fit_harmonic_filter(calm, false_alarm=options.false_alarm, symmetry=options.symmetry)
        self.lines = _turned(lines, harmonic)
        atoms, power = fluctuations.components(self.lines, options.components)
        self.filter = _posterior_mean(atoms, power, _free_of_particles(harmonic, self.lines))
        text = f"the background fluctuates in {len(power)} ways that stand out of the noise"
        run.tell(Finding("components", len(power), text))

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the foreground without background, shape (N, J, C, V)."""
        if self.options.mode == "static":
            mean = scan.background.mean(axis=0, dtype=np.float64)
            static: NDArray[np.float32] = (scan.signal - mean).astype(np.float32)
            return static
        cleared = subtract_background(scan).signal
        if self.options.mode == "interpolated":
            return np.array(cleared, np.float32)
        if self.lines is None or self.filter is None:
            raise not_fitted("background-subtraction")
        found: NDArray[np.float32] = cleared - self.lines.back(self.filter(self.lines.forward(cleared)))
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the dictionary."""
        if self.lines is None or self.filter is None:
            return {}
        learnt = {f"learnt.{key}": value for key, value in self.filter.state().items()}
        return {**self.lines.state(), **learnt}

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back the dictionary."""
        if not state:
            self.lines = self.filter = None
            return
        self.lines = LineCoefficients.restore(state)
        self.filter = LowRankFilter.restore(
            {key.removeprefix("learnt."): value for key, value in state.items()}
        )


def missing(scan: Scan, options: Any) -> str | None:
    """Say which background frames are missing."""
    if scan.corrections.background:
        return "a background that has not been subtracted yet"
    if len(scan.background) == 0:
        return "background frames"
    if options.mode == "dictionary" and len(scan.background) < LEAST_FRAMES:
        return f"{LEAST_FRAMES} background frames for a dictionary"
    return None


def removes_background(scan: Scan, options: Any) -> bool:  # noqa: ARG001
    """Say that the output is free of background, as the method exists for that."""
    return scan.corrections.background or len(scan.background) > 0


@dataclass(frozen=True)
class _Fluctuations:
    """How the background frames differ from their mean: spectra (n, C, K), and their degrees of freedom."""

    spectra: NDArray[np.complex128]
    freedom: int

    def components(
        self, lines: LineCoefficients, most: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the directions (P, r) in which they fluctuate together, and the power of each, (r,)."""
        samples = lines.of_spectra(self.spectra)
        directions, values = principal_directions(samples)
        power = clean_power(values, 1.0, shape=samples.shape)[:most]
        return directions[:, :most][:, power > 0], power[power > 0]

    def noise(
        self, lines: LineCoefficients, atoms: NDArray[np.float64], stored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the noise power (C, K) of what is left without some components."""
        shares = lines.of_spectra(self.spectra) @ atoms
        shares /= np.linalg.norm(shares, axis=0)
        flat = self.spectra.reshape(len(self.spectra), -1)
        return self.power(
            (flat - shares @ (shares.T @ flat)).reshape(self.spectra.shape), atoms.shape[1], stored
        )

    def power(
        self, spectra: NDArray[np.complex128], removed: int, stored: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the mean power (C, K) of spectra (n, C, K) from which so many components were removed."""
        freedom = max(self.freedom - removed, 1)
        power: NDArray[np.float64] = np.sum(spectra.real**2 + spectra.imag**2, axis=0) / freedom
        if freedom < ENOUGH:
            power[:, stored] = running_median(power[:, stored], freedom)
        return power


def _fluctuations(scans: Sequence[Scan]) -> _Fluctuations:
    spectra, freedom = [], 0
    for scan in scans:
        deviation = scan.background - scan.background.mean(axis=0, dtype=np.float64)
        spectra.append(np.fft.rfft(deviation.reshape(-1, *deviation.shape[2:])))
        freedom += (len(deviation) - 1) * deviation.shape[1]
    return _Fluctuations(np.concatenate(spectra), freedom)


def _whitening(
    fluctuations: _Fluctuations, samples: int, stored: NDArray[np.bool_], components: int
) -> LineCoefficients:
    """Whiten all lines that are stored; what fluctuates on many of them together is no noise."""
    channels = fluctuations.spectra.shape[1]
    every = HarmonicFilter(np.tile(stored, (channels, 1)), None, samples)
    power = fluctuations.power(fluctuations.spectra, 0, stored)
    for _ in range(ROUNDS):  # noise and components in turn
        lines = LineCoefficients(every, power)
        if not np.all(power[tuple(lines.places.T)] > 0):
            raise InputError(
                "the background frames are equal on some lines, so that they show no noise",
                hint="use mode=interpolated",
            )
        atoms, _ = fluctuations.components(lines, components)
        power = fluctuations.noise(lines, atoms, stored)
    return LineCoefficients(every, power)


def _without(scan: Scan, lines: LineCoefficients, component: LowRankFilter) -> Scan:
    """Subtract what some components hold, from background frames as well."""
    return replace(
        scan,
        signal=scan.signal - lines.back(component(lines.forward(scan.signal))),
        background=scan.background - lines.back(component(lines.forward(scan.background))),
    )


def _turned(lines: LineCoefficients, harmonic: HarmonicFilter) -> LineCoefficients:
    """Return coefficients of the same lines by odd and even part of the symmetry."""
    if harmonic.symmetry is None:
        return lines
    both = replace(harmonic.symmetry, holds=np.zeros_like(harmonic.symmetry.holds))
    return replace(lines, harmonic=replace(lines.harmonic, symmetry=both))


def _free_of_particles(harmonic: HarmonicFilter, lines: LineCoefficients) -> NDArray[np.bool_]:
    """Find coefficients without particle signal, (P,): lines of noise, and the even part of odd ones."""
    channel, line = lines.places.T
    quiet: NDArray[np.bool_] = ~harmonic.keep[channel, line]
    odd = np.zeros_like(quiet)
    if harmonic.symmetry is not None:
        odd = harmonic.symmetry.holds[channel, line]
    even_part = np.arange(lines.count) >= lines.count // 2
    return np.logical_or(quiet, odd & even_part)


def _posterior_mean(
    atoms: NDArray[np.float64], power: NDArray[np.float64], free: NDArray[np.bool_]
) -> LowRankFilter:
    """Map a period to the mean of its fluctuation, given the part that is free of particles.

    A fluctuation is a sum of components B b with b ~ N(0, p), p their power in the background frames; with
    unit noise its posterior mean is B (B'^T B' + 1/p)^-1 B'^T y, where B' is B on the free part.
    """
    seen = atoms * free[:, None]
    return LowRankFilter(atoms, seen @ np.linalg.inv(seen.T @ seen + np.diag(1 / power)))
