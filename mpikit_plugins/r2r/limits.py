"""What speaks against the noise that R2R takes for known: its source, its level, its distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mpikit import Run, Scan, Warned
from mpikit.signal import noise_statistics, stack_repeats
from mpikit.signal.background import background_blocks
from mpikit_plugins.r2r.options import RecorruptedOptions

DISAGREE = 1.25  # of two measured standard deviations
KURTOSIS = 0.3  # excess beyond which noise is far from Gaussian
CERTAIN = 5  # standard errors
MOST_SIGNALS = 500  # enough for a kurtosis
FEW = 4  # values from which no kurtosis can be told


def warn_of_limits(
    scans: Sequence[Scan], lines: NDArray[np.bool_], options: RecorruptedOptions, *, run: Run
) -> None:
    """Warn where the noise is not what R2R needs: Gaussian, of a known level.

    Parameters
    ----------
    scans : sequence of Scan
        Free of background.
    lines : shape (C, K)
        Where the particle signal is.
    options : RecorruptedOptions
    run : Run
    """
    for scan in scans:
        if options.sigma is None and noise_statistics(scan).source == "spectrum":
            of_each = options.level == "period"
            level = "" if of_each else ", of the median level of the lines"
            known = "" if of_each else " (sigma says what it is)"
            run.tell(
                Warned(
                    f"{scan.name} has neither repeats nor background frames: its noise is taken to be "
                    f"white{level}; if it is not, r2r takes noise for signal or signal for noise{known}"
                )
            )
        for words in (_disagreement(scan, options), _not_gaussian(scan, lines, options)):
            if words:
                run.tell(Warned(f"{scan.name}: {words}"))


def _disagreement(scan: Scan, options: RecorruptedOptions) -> str:
    """Say that two measurements of the noise level differ, unless each period is measured by itself."""
    if options.level == "period":
        return ""
    levels = {} if options.sigma is None else {"sigma as given": np.full(scan.signal.shape[2], options.sigma)}
    for candidate in (scan, replace(scan, repeats="none")):
        found = noise_statistics(candidate)
        if found.source != "spectrum":  # which knows white noise alone
            levels.setdefault(found.source, found.sigma)
    names = list(levels)
    for name in names[1:]:
        one, other = levels[names[0]], levels[name]
        known = (one > 0) & (other > 0)
        ratio = other[known] / one[known]
        worst = ratio[np.argmax(np.abs(np.log(ratio)))] if known.any() else 1.0
        if max(worst, 1 / worst) > DISAGREE:
            return (
                f"the noise level from {name} is {worst:.2f} times that from {names[0]}; r2r takes that from "
                f"{names[0]}, and noise that it does not cover stays as signal"
            )
    return ""


def _not_gaussian(scan: Scan, lines: NDArray[np.bool_], options: RecorruptedOptions) -> str:
    """Say that the noise has tails, or none, as no Gaussian has."""
    noise = noise_samples(scan)
    if noise is None:
        return ""
    residuals, share = noise
    of_one_level = _levelled(residuals, lines)
    if options.level == "period":
        return _tails(of_one_level, share, lines)
    words = _tails(residuals, share, lines)
    if words and not _tails(of_one_level, share, lines):
        return (
            "the noise of each period is Gaussian, but its level differs from period to period, so that "
            "r2r adds too much to some and too little to others; -p level=period measures each by itself"
        )
    return words


def _levelled(residuals: NDArray[np.float64], lines: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Divide (n, C, V) by the level on the lines without signal, as level=period measures it."""
    empty = ~lines
    empty[:, 0] = False
    spectra = np.fft.rfft(residuals, axis=-1)
    power = np.sum((spectra.real**2 + spectra.imag**2) * empty, axis=-1, keepdims=True)
    size = np.sqrt(power / np.maximum(empty.sum(axis=-1, keepdims=True), 1))
    return residuals / np.where(size > 0, size, 1)


def _tails(residuals: NDArray[np.float64], share: float, lines: NDArray[np.bool_]) -> str:
    """Say that differences of noise (n, C, V) have tails, or none, as no Gaussian has."""
    spectra = np.ascontiguousarray(np.fft.rfft(residuals, axis=-1)[:, lines])
    parts = {"its samples": residuals, "the lines that carry signal": spectra.view(np.float64)}
    for where, values in parts.items():
        excess, doubt = excess_kurtosis(values)
        if abs(excess) / share > KURTOSIS and abs(excess) > CERTAIN * doubt:
            return (
                f"the noise is not Gaussian (excess kurtosis {excess / share:.1f} of {where}), so that input "
                "and target of r2r are not independent; methods that learn from repeats do not mind"
            )
    return ""


def noise_samples(scan: Scan) -> tuple[NDArray[np.float64], float] | None:
    """Differences of independent noise, without signal.

    Parameters
    ----------
    scan : Scan

    Returns
    -------
    (shape (n, C, V), float) or None
        Differences of repeats, or of neighbouring background frames; and what part of the excess kurtosis
        of the noise they have (half: the sum of two). None where there is neither.
    """
    stacked = stack_repeats(scan.signal, scan.repeats)
    if stacked.shape[1] > 1:
        chosen = stacked[np.linspace(0, len(stacked) - 1, min(len(stacked), MOST_SIGNALS)).astype(int)]
        few = chosen[:, : 2 * max(MOST_SIGNALS // len(chosen), 1)].astype(np.float64)
        even = few.shape[1] // 2 * 2
        return (few[:, 0:even:2] - few[:, 1:even:2]).reshape(-1, *scan.signal.shape[2:]), 0.5
    blocks = (
        [block[: len(block) // 2 * 2] for block in background_blocks(scan)] if len(scan.background) else []
    )
    steps = [
        scan.background[block[::2]].astype(np.float64) - scan.background[block[1::2]] for block in blocks
    ]
    if not sum(len(step) for step in steps):
        return None
    return np.concatenate(steps).reshape(-1, *scan.signal.shape[2:]), 0.5


def excess_kurtosis(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean excess kurtosis over columns, each of a level of its own, with its standard error.

    Unbiased for Gaussian noise of mean zero: the fourth moment over the squared second one is then
    3 n / (n + 2) on average.

    Parameters
    ----------
    values : shape (n, ...)
    """
    flat = values.reshape(len(values), -1)
    count, power = len(flat), np.mean(flat**2, axis=0)
    known = power > 0
    if count < FEW or not known.any():
        return 0.0, 1.0
    ratio = np.mean(flat[:, known] ** 4, axis=0) / power[known] ** 2
    return float(np.mean(ratio)) * (count + 2) / count - 3, float(np.sqrt(24 / (count * known.sum())))
