"""Filters that minimise Stein's unbiased estimate of their own error: no clean data, no second period.

For u = x + n with white noise of unit variance, and f differentiable almost everywhere, the mean of
|f(u) - u|^2 - P + 2 div f(u) is that of |f(u) - x|^2 (Stein, Ann. Statist. 9, 1981). All divergences here are
exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.scan import Scan
from mpikit.signal.harmonics import HarmonicFilter, SymmetryMode, drive_field_lines, find_filter
from mpikit.signal.lines import LineCoefficients, divisible
from mpikit.signal.lowrank import LowRankFilter, fit_low_rank
from mpikit.signal.measured import measure_lines
from mpikit.signal.period_levels import (
    levels_differ,
    levels_of,
    odd_and_even,
    of_equal_noise,
    symmetry_tells,
)
from mpikit.signal.stacks import stack_repeats
from mpikit.signal.symmetry import exact_symmetry, symmetry_center

Floats = NDArray[np.float64]
LENGTHS = (1, 2, 4, 8, 16, 32)  # of blocks
FEWEST = 8  # signals from which directions or phases are learnt
DOUBT = 2.0  # standard errors by which directions must be better than blocks
MOST = 1000  # vectors that the choice is made on
MOST_COEFFICIENTS = 2**20  # of them that the blocks are chosen on: they have two parameters only
WIDTH = 33  # lines over which the noise of even parts is smoothed


def linear_risk(found: LowRankFilter, vectors: Floats) -> Floats:
    """Estimate the squared error of a linear filter on each vector: |Wu - u|^2 - P + 2 tr W.

    Parameters
    ----------
    found : LowRankFilter
        Fixed beforehand: not learnt from these vectors.
    vectors : shape (M, P)
        Unit noise.

    Returns
    -------
    shape (M,)
    """
    trace = float(np.sum(found.left * found.right))
    left = found(vectors) - vectors
    risk: Floats = np.sum(left**2, axis=1) - vectors.shape[1] + 2 * trace
    return risk


@dataclass(frozen=True)
class BlockShrinkage:
    """Shrinkage of neighbouring coefficients together: u_b times max(0, 1 - t d / |u_b|^2).

    The positive-part estimator of James and Stein in each block of d coefficients; t = 0 does nothing.

    Parameters
    ----------
    length : int
        Coefficients in a block; the last one may be shorter.
    threshold : float
        t, in units of the noise.
    """

    length: int
    threshold: float

    def __call__(self, coefficients: Floats) -> Floats:
        """Filter coefficients of shape (..., P)."""
        powers, sizes = _blocks(coefficients, self.length)
        gains = np.zeros(powers.shape)
        limit = self.threshold * sizes
        np.divide(powers - limit, powers, out=gains, where=powers > limit)
        return coefficients * np.repeat(gains, sizes, axis=-1)

    def risk(self, coefficients: Floats) -> Floats:
        """Estimate the squared error on each vector, (...) (Cai and Zhou, Ann. Statist. 37, 2009)."""
        powers, sizes = _blocks(coefficients, self.length)
        found: Floats = _block_risks(powers, sizes, self.threshold).sum(axis=-1)
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Return length and threshold as a flat dict of arrays."""
        return {"blocks.length": np.array(self.length), "blocks.threshold": np.array(self.threshold)}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> BlockShrinkage:
        """Take back what `state` returned."""
        return cls(int(state["blocks.length"]), float(state["blocks.threshold"]))


def _blocks(coefficients: Floats, length: int) -> tuple[Floats, NDArray[np.intp]]:
    """Sum of squares in each block (..., b), and how many coefficients it has (b,)."""
    size = coefficients.shape[-1]
    starts = np.arange(0, size, length)
    powers: Floats = np.add.reduceat(coefficients**2, starts, axis=-1)
    return powers, np.diff(np.append(starts, size))


def _block_risks(powers: Floats, sizes: NDArray[np.intp], threshold: float) -> Floats:
    limit = threshold * sizes
    inside = powers <= limit
    # divergence d - (d - 2) limit / |u|^2, and |f - u|^2 = limit^2 / |u|^2
    safe = np.where(inside, 1, powers)
    above = sizes + (limit**2 - 2 * (sizes - 2) * limit) / safe
    found: Floats = np.where(inside, powers - sizes, above)
    return found


def fit_blocks(coefficients: Floats) -> BlockShrinkage:
    """Choose length and threshold of the blocks by the least estimated error.

    Parameters
    ----------
    coefficients : shape (M, P)
        Unit noise. M may be 1; of many some are looked at, evenly chosen.
    """
    chosen = _evenly(coefficients, max(MOST_COEFFICIENTS // max(coefficients.shape[1], 1), 1))
    best, least = BlockShrinkage(1, 0.0), float(chosen.size)  # doing nothing costs the noise
    for length in LENGTHS:
        if length > 1 and length > chosen.shape[1]:
            break
        thresholds = _thresholds(length, chosen.shape[1])
        risks = _risks_of_all(*_blocks(chosen, length), thresholds)
        place = int(np.argmin(risks)) if len(risks) else 0
        if risks[place] < least:
            best, least = BlockShrinkage(length, float(thresholds[place])), float(risks[place])
    return best


def _evenly(values: Floats, most: int) -> Floats:
    """Choose so many rows at most."""
    if len(values) <= most:
        return values
    chosen: Floats = values[np.linspace(0, len(values) - 1, most).astype(int)]
    return chosen


def _risks_of_all(powers: Floats, sizes: NDArray[np.intp], thresholds: Floats) -> Floats:
    """Sum the risks of blocks (M, b) for each of the rising thresholds (T,), in one pass over the blocks.

    The risk of a block is linear in its power below the threshold, and in the inverse of it above; so three
    sums between neighbouring thresholds tell the risks for all.
    """
    risks: Floats = np.zeros(len(thresholds))
    for size in np.unique(sizes):  # the last block may be shorter
        limits = thresholds * size
        found = powers[:, sizes == size].ravel()
        place = np.searchsorted(limits, found)  # outside of so many
        inverse = 1 / np.maximum(found, limits[0])
        count, inside, outside = (
            np.bincount(place, weights, len(limits) + 1) for weights in (None, found, inverse)
        )
        below = np.cumsum(count)[:-1]
        outside = np.cumsum(outside[::-1])[-2::-1]
        risks += np.cumsum(inside)[:-1] + (len(found) - 2 * below) * size
        risks += (limits**2 - 2 * (size - 2) * limits) * outside
    return risks


def _thresholds(length: int, size: int) -> Floats:
    """Return thresholds from (d - 2) / d, the one of James and Stein, to what noise hardly ever exceeds."""
    most = 1 + 2 * np.sqrt(2 * np.log(max(size, 2)) / length) + 2 * np.log(max(size, 2)) / length * 2
    return np.geomspace(max((length - 2) / length, 0.05), most, 24)


def even_part_noise(scans: Sequence[Scan]) -> tuple[Floats, float]:
    """Measure the noise by what no particle can emit: the even part of the periods themselves.

    Its running median over some lines: the few on which relaxation or receive chain turn signal into the even
    part are outvoted.

    Parameters
    ----------
    scans : sequence of Scan
        Free of background.

    Returns
    -------
    line_power : shape (C, K), unit squared
        Noise power of one period on each line of an un-normalised rfft.
    freedom : float
        Complex degrees of freedom of each entry.

    Raises
    ------
    InputError
        When the drive field is not retraced, so that there is no even part.
    """
    from scipy.ndimage import median_filter
    from scipy.stats import gamma

    center = symmetry_center(scans[0].drive_field)
    if center is None:
        raise InputError(
            "the drive field is not retraced, so no part of a period is known to be noise",
            hint="use noise=measured, or say sigma",
        )
    total, periods = np.zeros(()), 0
    for scan in scans:
        channels, samples = scan.signal.shape[2:]
        ideal = exact_symmetry(center, scan.frequencies, channels)
        turn = np.exp(1j * ideal.angle)
        for frame in scan.signal:
            total = total + np.sum((np.fft.rfft(frame.astype(np.float64)) * turn).real ** 2, axis=0)
            periods += len(frame)
    power = 2 * total / periods
    stored = scans[0].stored_lines.copy()
    stored[0] = False  # these two are real
    if samples % 2 == 0:
        stored[-1] = False
    smooth = np.zeros(power.shape)
    smooth[:, stored] = median_filter(power[:, stored], size=(1, WIDTH), mode="reflect")
    freedom = periods / 2  # an even part is half of a complex number
    return smooth * freedom / float(gamma.median(freedom)), freedom * WIDTH / 2


@dataclass(frozen=True)
class SureFilter:
    """The whole filter for one period: lines, noise, and what is done to the coefficients.

    Parameters
    ----------
    lines : LineCoefficients
        Of all lines of the drive field.
    blocks : BlockShrinkage
        Used if there are no directions.
    directions : LowRankFilter or None
    own_level : bool
        The level of the noise is that of each period, by its even part; `lines` says its colour alone.
    unlike : bool
        The noise of the periods of the fit differed in level beyond chance. No part of the state.
    """

    lines: LineCoefficients
    blocks: BlockShrinkage
    directions: LowRankFilter | None
    own_level: bool = False
    unlike: bool = False

    def __call__(self, signal: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Filter signals (..., C, V)."""
        chosen = self.blocks if self.directions is None else self.directions
        vectors, levels = self._vectors(signal)
        return self.lines.back(chosen(vectors) * levels)

    def _vectors(self, signal: NDArray[np.floating[Any]]) -> tuple[Floats, Floats]:
        """Coefficients (..., P) of unit noise, and the level of the noise of each."""
        if not self.own_level:
            return self.lines.forward(signal), np.ones(1)
        vectors, even = odd_and_even(self.lines, signal)
        channels = self.lines.places[:, 0]
        found = levels_of(even, channels[: even.shape[-1]], signal.shape[-2])
        levels = np.where(found > 0, found, 1)
        # one channel needs no level for each coefficient
        each = levels if levels.shape[-1] == 1 else levels[..., channels]
        return vectors / each, each

    def risk(self, signal: NDArray[np.floating[Any]]) -> Floats:
        """Estimate the squared error of the coefficients of each signal (n, C, V), in units of the noise."""
        vectors, _ = self._vectors(signal)
        if self.directions is None:
            return self.blocks.risk(vectors)
        return linear_risk(self.directions, vectors)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all as a flat dict of arrays."""
        directions = {} if self.directions is None else self.directions.state()
        renamed = {key.replace("filter.", "directions."): value for key, value in directions.items()}
        level = {"sure.own_level": np.array(self.own_level)}
        return {**self.lines.state(), **self.blocks.state(), **renamed, **level}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> SureFilter:
        """Take back what `state` returned."""
        directions = None
        if "directions.left" in state:
            directions = LowRankFilter(
                np.asarray(state["directions.left"]), np.asarray(state["directions.right"])
            )
        level = bool(state["sure.own_level"])
        return cls(LineCoefficients.restore(state), BlockShrinkage.restore(state), directions, level)


def fit_sure(
    scans: Sequence[Scan],
    *,
    false_alarm: float = 1e-4,
    symmetry: SymmetryMode = "fit",
    band: int = 2,
    line_power: tuple[Floats, float] | None = None,
    own_level: bool | None = None,
) -> SureFilter:
    """Choose the filter for single periods that has the least estimated error.

    There are two families: shrinkage of blocks of neighbouring lines, for which one period is enough; and
    principal directions of the lines that stand out, from eight signals on. These are learnt from one half
    of the signals and judged on the other, twice, for the estimate holds for a fixed filter only.

    Parameters
    ----------
    scans, false_alarm, symmetry, band
        As in `fit_harmonic_filter`. Phases are fitted from eight signals on; to fewer only the ideal ones.
    line_power : (array of shape (C, K), float) or None
        Noise power of one period on each line, unit squared, and its complex degrees of freedom; None
        measures it, see `noise_statistics`.
    own_level : bool or None
        Take the level of the noise from the even part of each period, and the colour alone from the above.
        None does so when the levels differ beyond chance and the symmetry holds, see `levels_differ`.

    Raises
    ------
    InputError
        As `fit_harmonic_filter`; or when each period shall say its level and the scan has no symmetry.
    """
    measured = measure_lines(scans)
    if line_power is not None:
        measured = replace(measured, period_noise=line_power[0], freedom=line_power[1])
    found = find_filter(measured, scans[0], false_alarm=false_alarm, symmetry=symmetry, band=band)
    lines = LineCoefficients(_whole(found, scans[0], len(measured.signals)), divisible(measured))
    if own_level and lines.harmonic.symmetry is None:
        raise InputError(
            "the scan has no symmetry, so no part of a period is known to be noise",
            hint="use noise=measured, or say sigma",
        )
    unlike = levels_differ(scans, lines, found.keep)
    if own_level is None:
        own_level = unlike and symmetry_tells(lines, found.keep)
    if own_level and unlike:
        equal = of_equal_noise(measured, lines)
        again = find_filter(equal, scans[0], false_alarm=false_alarm, symmetry=symmetry, band=band)
        whole = _whole(again, scans[0], len(equal.signals))
        if whole.symmetry is not None:
            found, lines = again, LineCoefficients(whole, lines.line_power)
    undecided = SureFilter(lines, BlockShrinkage(1, 0.0), None, own_level, unlike)
    vectors, _ = undecided._vectors(_some_periods(scans))
    blocks = fit_blocks(vectors)
    places = lines.places
    directions = _directions(vectors, found.keep[places[:, 0], places[:, 1]], blocks)
    return replace(undecided, blocks=blocks, directions=directions)


def _whole(found: HarmonicFilter, scan: Scan, signals: int) -> HarmonicFilter:
    """Take all lines of the drive field; fitted phases only if there are signals to fit them to."""
    grid = np.tile(drive_field_lines(scan), (len(found.keep), 1))
    symmetry = found.symmetry
    if symmetry is not None and not symmetry.holds.all() and signals < FEWEST:
        symmetry = None
    return HarmonicFilter(grid, symmetry, found.samples)


def _some_periods(scans: Sequence[Scan]) -> NDArray[np.float32]:
    """Choose one period (C, V) of each clean signal, of many signals some, evenly."""
    most = max(MOST // len(scans), 1)
    chosen = []
    for scan in scans:
        stacked = stack_repeats(scan.signal, scan.repeats)
        places = np.unique(np.linspace(0, len(stacked) - 1, min(len(stacked), most)).astype(int))
        chosen.append(stacked[places, 0])
    return np.concatenate(chosen)


def _directions(
    vectors: Floats,
    standing_out: NDArray[np.bool_],
    blocks: BlockShrinkage,
) -> LowRankFilter | None:
    """Learn directions, if by halves they are better than the blocks beyond doubt."""
    if len(vectors) < FEWEST or not standing_out.any():
        return None
    gained = np.zeros(len(vectors))
    for half in (0, 1):
        judged = np.arange(len(vectors)) % 2 == half
        found = _within(fit_low_rank(vectors[~judged][:, standing_out], 1.0), standing_out)
        gained[judged] = linear_risk(found, vectors[judged]) - blocks.risk(vectors[judged])
    doubt = gained.std(ddof=1) / len(gained) ** 0.5
    if gained.mean() > -DOUBT * doubt:
        return None
    return _within(fit_low_rank(vectors[:, standing_out], 1.0), standing_out)


def _within(found: LowRankFilter, places: NDArray[np.bool_]) -> LowRankFilter:
    """Apply a filter of some coefficients; nothing else passes."""
    whole = np.zeros((2, len(places), found.rank))
    whole[0, places], whole[1, places] = found.left, found.right
    return LowRankFilter(whole[0], whole[1])
