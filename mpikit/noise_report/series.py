"""The same empty signal again and again: what the noise of a scan is measured from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.scan import Repeats, Scan
from mpikit.scanner import SelectionField
from mpikit.signal.stacks import stack_repeats

Source = Literal["background frames", "repeats"]


@dataclass(frozen=True)
class Series:
    """Acquisitions of B signals, R of each.

    Parameters
    ----------
    stack : shape (B, R, C, V)
        In the order of acquisition along R.
    places : shape (R,)
        When each was acquired, in frames.
    neighbours : shape (R - 1,)
        Whether nothing was acquired between one and the next.
    source : {"background frames", "repeats"}
        With "repeats" the mean is the signal of the object, and says nothing about the background.
    """

    stack: NDArray[np.float32]
    places: NDArray[np.float64]
    neighbours: NDArray[np.bool_]
    source: Source

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Which steps along R measure the random part, shape (R - 1,).

        Those between neighbours, where the background has no time to drift; all, if there are none.
        """
        return self.neighbours if self.neighbours.any() else np.ones_like(self.neighbours)

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of each acquisition, 1 from the first to the last, 0 in the mean; shape (R,)."""
        since = (self.places - self.places[0]) / (self.places[-1] - self.places[0])
        times: NDArray[np.float64] = since - since.mean()
        return times

    def step_freedom(self) -> float:
        """Complex degrees of freedom of the mean square of the compared steps.

        Steps that share an acquisition are not independent. In a run of n acquisitions the sum of the n - 1
        squares, a quadratic form of Gaussian variables, has the mean n - 1 and the variance (3n - 4) / 2, in
        units of the power of one acquisition and of its square; the equivalent chi-squared distribution has
        the same two (von Neumann et al., Ann. Math. Stat. 12, 1941; Satterthwaite, Biometrics 2, 1946).
        """
        ends = np.flatnonzero(np.concatenate([~self.compared, [True]])) + 1
        runs = np.diff(ends, prepend=0)
        runs = runs[runs > 1]
        return float(len(self.stack) * np.sum(runs - 1) ** 2 / np.sum((3 * runs - 4) / 2))

    def spread_freedom(self) -> int:
        """Complex degrees of freedom of the variance over R, B (R - 1)."""
        signals, acquisitions = self.stack.shape[:2]
        return int(signals * (acquisitions - 1))


def enough_background(scan: Scan) -> bool:
    """Say whether the background frames show an empty signal at least twice."""
    frames, periods = scan.background.shape[:2]
    return frames > 1 or (frames == 1 and periods > 1 and periods_are_alike(scan))


def series_of(scan: Scan) -> Series:
    """Arrange the background frames of a scan, or its repeats if there are too few.

    Periods with the same fields are acquisitions of one signal; patches are signals of their own.

    Parameters
    ----------
    scan : Scan

    Raises
    ------
    InputError
        With too few background frames and no repeats, or with values that are no numbers.
    """
    if enough_background(scan):
        kind: Repeats = "both" if periods_are_alike(scan) else "frames"
        series = _arranged(scan.background, scan.background_index, kind, "background frames")
    elif scan.repeats != "none":
        series = _arranged(scan.signal, scan.foreground_index, scan.repeats, "repeats")
    else:
        found = len(scan.background)
        raise InputError(
            f"{scan.name} has {found or 'no'} background frame{'' if found == 1 else 's'} and no repeats, "
            "expected at least two empty acquisitions to measure the noise from",
            hint="name a file with an empty measurement",
        )
    if not all(np.isfinite(acquisition).all() for acquisition in series.stack):
        raise InputError(
            f"{scan.name}: the {series.source} have values that are no numbers", hint="repair the file first"
        )
    return series


def periods_are_alike(scan: Scan) -> bool:
    """Say whether drive field, gradient and offset are the same in all periods of a frame."""
    fields = [scan.drive_field.amplitudes, scan.drive_field.phases]
    if scan.selection_field is not None:
        fields += [scan.selection_field.gradient, scan.selection_field.offset]
    return all(np.allclose(np.ptp(field, axis=0), 0, atol=1e-9) for field in fields)


def _arranged(frames: NDArray[np.float32], index: NDArray[np.int64], kind: Repeats, source: Source) -> Series:
    order = np.argsort(index)
    if not np.array_equal(order, np.arange(len(order))):
        frames, index = frames[order], index[order]
    periods = frames.shape[1]
    follows = np.diff(index) == 1
    if kind == "frames":
        places, neighbours = index.astype(float), follows
    elif kind == "periods":
        places, neighbours = np.arange(periods) / periods, np.ones(periods - 1, bool)
    else:
        places = (index[:, None] + np.arange(periods) / periods).ravel()
        steps = np.ones((len(frames), periods), bool)
        steps[:, -1] = np.append(follows, True)
        neighbours = steps.ravel()[:-1]
    return Series(stack_repeats(frames, kind), places, neighbours, source)


def noise_alone(scan: Scan) -> Scan:
    """Return a scan whose background frames are differences of repeats, scaled to the noise of one.

    So a noise model can be fitted to a scan without background frames. What repeats in all of them, a
    phase-locked background too, is lost.

    Parameters
    ----------
    scan : Scan
        With repeats.

    Returns
    -------
    Scan
        N = 0, J = 1; each pair of repeats gives one frame.
    """
    stack = stack_repeats(scan.signal, scan.repeats)
    pairs = stack.shape[1] // 2
    differences = (stack[:, 1 : 2 * pairs : 2] - stack[:, : 2 * pairs : 2]) / np.float32(np.sqrt(2))
    frames = differences.reshape(-1, 1, *stack.shape[2:])
    drive, selection = scan.drive_field, scan.selection_field
    return replace(
        scan,
        signal=frames[:0],
        background=frames,
        foreground_index=np.arange(0),
        background_index=np.arange(len(frames)),
        drive_field=replace(drive, amplitudes=drive.amplitudes[:1], phases=drive.phases[:1]),
        selection_field=selection and SelectionField(selection.gradient[:1], selection.offset[:1]),
        repeats="none",
    )


def places_in(shape: tuple[int, ...], largest: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of B and R whose pieces hold at most so many samples, those of one signal in order."""
    signals, acquisitions, channels, samples = shape
    together = max(1, largest // (acquisitions * channels * samples))
    at_once = min(acquisitions, max(1, largest // (channels * samples)))
    for signal in range(0, signals, together):
        for first in range(0, acquisitions, at_once):
            yield slice(signal, signal + together), slice(first, first + at_once)
