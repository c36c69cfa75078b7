"""Interference that is locked in phase to the drive field, which no repeat can tell from signal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, Warned
from mpikit.scan import Scan
from mpikit.signal.background import background_blocks, interpolation_weights
from mpikit.signal.noise import ENOUGH, line_weights, running_median
from mpikit.signal.stacks import stack_repeats

FALSE_ALARM = 2e-4  # probability that any line of background frames without locked lines is called locked
ROUNDING = 1e-13  # of the power of the strongest line: float32 shows no spread below it


@dataclass(frozen=True)
class LockedBackground:
    """Lines on which the background frames have a mean that no chance explains.

    Parameters
    ----------
    lines : int
        How many, over all receive channels.
    strongest : float, Hz
        Frequency of the one with the largest mean; 0 without any.
    to_noise : float
        Power of all of them over that of the noise of one period.
    text : str
        What that means for scores, in words.
    """

    lines: int
    strongest: float
    to_noise: float
    text: str


def warn_of_locked_lines(scan: Scan, tell: Callable[[Event], None], *, subtracted: bool) -> None:
    """Warn of what `locked_background` finds."""
    found = locked_background(scan, subtracted=subtracted)
    if found is not None and found.lines:
        tell(Warned(f"{scan.name}: {found.text}"))


def locked_background(scan: Scan, *, subtracted: bool) -> LockedBackground | None:
    """Find interference that repeats in every period, which repeats cannot tell from signal.

    The background frames show it. On each line n |mean|² over the spread follows an F distribution when
    there is noise alone; the threshold shares the probability of a false alarm over all lines (Bonferroni).
    With few frames the spread is the larger one of a line's own and of the median over its neighbours.
    Where the background frames themselves are to be subtracted, half of them is subtracted from the others.

    Parameters
    ----------
    scan : Scan
    subtracted : bool
        The background is removed, or was: what is left of it is looked at.

    Returns
    -------
    LockedBackground or None
        None when the background frames are too few to say.
    """
    if not len(scan.background):
        return None
    frames, shared = scan.background, 0.0
    if subtracted and not scan.corrections.background:
        if min(map(len, background_blocks(scan))) < 2:
            return None
        frames, shared = _left_of_background(scan)
    mean, spread, count, freedom = _mean_and_spread(scan, frames)
    if freedom < 1:
        return None
    tested = np.flatnonzero((line_weights(scan.signal.shape[-1]) == 2) & scan.stored_lines)
    mean, spread = mean[..., tested], spread[:, tested]
    if freedom < ENOUGH and len(tested):
        spread = np.maximum(spread, running_median(spread, freedom))
        freedom = ENOUGH
    return _found_lines(scan, tested, mean, spread, 1 / count + shared, freedom, subtracted=subtracted)


def _left_of_background(scan: Scan) -> tuple[NDArray[np.float32], float]:
    """Subtract the first half of each block from the rest, and say how much noise all the rest then shares.

    Returns
    -------
    frames : shape (E', J, C, V)
    shared : float
        In units of the noise power of one period; of the mean over the periods, where these repeat.
    """
    blocks = background_blocks(scan)
    first = np.concatenate([block[: (len(block) + 1) // 2] for block in blocks])
    rest = np.concatenate([block[(len(block) + 1) // 2 :] for block in blocks])
    weights = interpolation_weights(scan.background_index[first], scan.background_index[rest])
    expected = np.tensordot(weights, scan.background[first].astype(np.float64), axes=1)
    shared = float(np.sum(weights.mean(axis=0) ** 2))
    periods = scan.signal.shape[1] if scan.repeats in ("periods", "both") else 1
    return (scan.background[rest] - expected).astype(np.float32), shared / periods


def _mean_and_spread(
    scan: Scan, frames: NDArray[np.float32]
) -> tuple[NDArray[np.complex128], NDArray[np.float64], int, int]:
    """Return means (B, C, K) of B signals, spread (C, K), acquisitions of each, and degrees of freedom."""
    alike = scan.repeats in ("periods", "both")
    stacked = stack_repeats(frames, "both" if alike else "frames")
    signals, count, channels, samples = stacked.shape
    mean = np.zeros((signals, channels, samples // 2 + 1), complex)
    spread = np.zeros(mean.shape[1:])
    for index, group in enumerate(stacked):  # one signal at a time bounds the memory
        spectra = np.fft.rfft(group.astype(np.float64), axis=-1)
        mean[index] = spectra.mean(axis=0)
        spread += np.sum(np.abs(spectra - mean[index]) ** 2, axis=0)
    freedom = signals * (count - 1)
    return mean, spread / max(freedom, 1), count, freedom


def _found_lines(
    scan: Scan,
    tested: NDArray[np.intp],
    mean: NDArray[np.complex128],
    spread: NDArray[np.float64],
    share: float,
    freedom: int,
    *,
    subtracted: bool,
) -> LockedBackground:
    from scipy.stats import f

    power = np.mean(np.abs(mean) ** 2, axis=0)
    rounding = ROUNDING * np.max(power, initial=0.0) + np.finfo(float).tiny
    noise = np.maximum(spread, rounding)
    limit = f.isf(FALSE_ALARM / max(power.size, 1), 2 * len(mean), 2 * freedom)
    found = power > limit * share * noise
    beyond = float(np.sum((power - share * noise)[found])) / float(np.sum(noise)) if noise.size else 0.0
    count = int(found.sum())
    if not count:
        return LockedBackground(0, 0.0, 0.0, "")
    line = tested[int(np.argmax(np.where(found, power, 0).max(axis=0)))]
    frequency = float(scan.frequencies[line])
    many = count > 1
    lines = f"{count} lines that repeat" if many else "1 line that repeats"
    where = f"the strongest at {frequency / 1e3:.6g} kHz, with {_as_decibels(beyond)} of the noise in all"
    left = "also after the subtraction" if subtracted else f"and {'are' if many else 'is'} not subtracted"
    text = (
        f"the background frames hold {lines} in every period, {left} ({where}): repeats cannot tell "
        f"{'such lines' if many else 'it'} from signal, so that methods learn, and the score counts, "
        f"{'them' if many else 'it'} as signal"
    )
    return LockedBackground(count, frequency, beyond, text)


def _as_decibels(ratio: float) -> str:
    return f"{10 * np.log10(max(ratio, 1e-12)):+.1f} dB"
