"""From measured signals to spectra: grouping, leakage correction, averages.

The letters are those of the MDF standard: N frames, J periods, C receive channels, V samples,
K = V // 2 + 1 lines. An array of complex numbers holds spectra, one of real numbers the time domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, UsageError

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Preparation:
    """How measured periods become those that are reconstructed.

    Parameters
    ----------
    grouping : int
        Consecutive periods of a frame that make one longer period.
    leakage : bool
        Correct the spectral leakage.
    averages : int or None
        Consecutive periods of a frame, after grouping, of which the mean is taken; None: all of them.
    """

    grouping: int = 1
    leakage: bool = False
    averages: int | None = None

    @property
    def needs_time(self) -> bool:
        """Whether it takes signals in the time domain."""
        return self.leakage or self.grouping != 1


def prepare(signal: Array, preparation: Preparation, *, frame_index: Ints | None = None) -> Array:
    """Take signals through all steps up to the spectra of which rows are picked.

    The order is: grouping, leakage correction, Fourier transform, average of periods. Grouping comes first,
    so that longer periods which repeat are corrected by and averaged with each other (MPIFiles.jl averages
    periods before it groups them, which mixes the parts of a longer period). All else is linear, and done on
    the picked rows: transfer function, background and the average of frames.

    Parameters
    ----------
    signal : shape (N, J, C, V), or spectra (N, J, C, K)
        Spectra can neither be grouped nor corrected for leakage.
    preparation : Preparation
    frame_index : shape (N,), optional
        Place of the frames in acquisition, for the leakage correction. None: one after the other.

    Returns
    -------
    shape (N, J', C, K'), complex
        Spectra, an un-normalised rfft, with J' = J / (grouping * averages), or 1.

    Raises
    ------
    InputError, UsageError
    """
    if np.iscomplexobj(signal) and preparation.needs_time:
        wanted = "spectral leakage correction" if preparation.leakage else "grouping of periods"
        raise InputError(
            f"{wanted} needs signals in the time domain, the file stores spectra",
            hint="mpikit convert --domain time",
        )
    if not np.iscomplexobj(signal):
        signal = group_periods(signal, preparation.grouping)
        if preparation.leakage:
            signal = correct_leakage(signal, frame_index=frame_index)
        signal = np.fft.rfft(signal, axis=-1)
    return average_periods(signal, preparation.averages or signal.shape[1])


def columns_of_images(frames: int, blocks: int, count: int) -> tuple[Ints, Ints]:
    """Put the columns of each image side by side.

    An image is the mean of one column of each of ``count`` consecutive frames; the last frames may be fewer.

    Parameters
    ----------
    frames : int
        N.
    blocks : int
        Columns B that each frame has.
    count : int
        Consecutive frames that are averaged.

    Returns
    -------
    order : shape (N B,)
        Columns in the order of the images, of those of a frame after the other.
    sizes : shape (Q,)
        Columns of each image.
    """
    _check_count("frames to average", count)
    columns = np.arange(frames * blocks).reshape(frames, blocks)
    together = [columns[start : start + count] for start in range(0, frames, count)]
    order = np.concatenate([part.T.ravel() for part in together])
    sizes = np.repeat([len(part) for part in together], blocks)
    return order, sizes


def average_columns(data: Array, sizes: Ints) -> Array:
    """Take the mean of consecutive columns.

    Parameters
    ----------
    data : shape (M, n)
    sizes : shape (Q,)
        Columns in each mean.

    Returns
    -------
    shape (M, Q)
    """
    if np.all(sizes == 1):
        return data
    kind = np.result_type(data, np.float64)
    sums = np.add.reduceat(data, np.cumsum(sizes) - sizes, axis=1, dtype=kind)
    return _like(sums / sizes, data)


def average_periods(signal: Array, count: int) -> Array:
    """Take the mean of blocks of consecutive periods.

    Parameters
    ----------
    signal : shape (N, J, ...)
    count : int

    Returns
    -------
    shape (N, J / count, ...)

    Raises
    ------
    UsageError
        When the number of periods is no multiple of ``count``.
    """
    blocks = _blocks_of_periods(signal, count, "average")
    if count == 1:
        return signal
    return _like(blocks.mean(axis=2, dtype=np.result_type(signal, np.float64)), signal)


def group_periods(signal: Array, count: int) -> Array:
    """Join consecutive periods to longer ones, which have ``count`` times as many lines.

    Parameters
    ----------
    signal : shape (N, J, C, V)
    count : int

    Returns
    -------
    shape (N, J / count, C, count V)

    Raises
    ------
    UsageError
        When the number of periods is no multiple of ``count``.
    """
    blocks = _blocks_of_periods(signal, count, "group")  # (N, J / count, count, C, V)
    frames, periods, _, channels, samples = blocks.shape
    return np.swapaxes(blocks, 2, 3).reshape(frames, periods, channels, count * samples)


def _blocks_of_periods(signal: Array, count: int, verb: str) -> Array:
    _check_count(f"periods to {verb}", count)
    periods = signal.shape[1]
    if periods % count:
        raise UsageError(
            f"{periods} periods of a frame cannot be taken {count} at a time to {verb} them, "
            "expected a number that divides theirs"
        )
    return signal.reshape(len(signal), periods // count, count, *signal.shape[2:])


def _check_count(name: str, count: int) -> None:
    if count < 1:
        raise UsageError(f"the number of {name} is {count}, expected 1 or more")


def _like(values: Array, signal: Array) -> Array:
    return values.astype(signal.dtype) if np.issubdtype(signal.dtype, np.inexact) else values


def leakage_weights(samples: int, periods: int, *, symmetric: bool = False) -> Floats:
    """Return what the samples of neighbouring periods are weighted with, a Hann window folded to one period.

    Parameters
    ----------
    samples : int
        V.
    periods : int
        Length of the window: 3, or 2 at the ends.
    symmetric : bool
        False: the periodic window. Its weights of one sample sum to 1, so that a signal that repeats exactly
        is left as it is. True: the symmetric window scaled to mean 1, as in MPIFiles.jl, for comparison
        with it. Its sums differ from 1 by up to 0.013 for V = 8 and 1.3e-4 for V = 1000.

    Returns
    -------
    shape (periods, samples)
    """
    length = periods * samples
    steps = length - 1 if symmetric else length
    window = (1 - np.cos(2 * np.pi * np.arange(length) / steps)) * length / steps
    return window.reshape(periods, samples) / periods


def correct_leakage(signal: Array, *, frame_index: Ints | None = None) -> Array:
    """Suppress what leaks into the lines from a drift or a disturbance that does not repeat with the period.

    Each period is replaced by itself and its two neighbours under a Hann window over all three, folded to one
    period. Its lines are every third line of the windowed spectrum. The first and the last period have one
    neighbour. Neighbours are the periods of the same frame, or the frames if these have one period. It is not
    for patches, whose periods do not repeat, and not for system matrices. Frames with and without the object
    are no neighbours either: the object would be missing in a part of the window. They come one kind at a
    time, with their `frame_index`.

    A period shares samples with its neighbours afterwards. White noise of one period falls by the factor
    0.71 (root mean square), 0.87 at the ends, and is correlated with that of the neighbours: by 0.47 with the
    next, by 0.03 with the one after it. So the mean of many periods has the noise that it has without the
    correction, not the smaller one that their spread suggests.

    Parameters
    ----------
    signal : shape (N, J, C, V)
    frame_index : shape (N,), optional
        Place of the frames in acquisition: with one period in a frame, those that do not follow each other
        are no neighbours. None: they all follow each other.

    Returns
    -------
    shape (N, J, C, V)

    Raises
    ------
    InputError
        When a period has no neighbour.
    """
    if signal.shape[1] > 1:
        return np.moveaxis(_folded(np.moveaxis(signal, 1, 0)), 0, 1)
    if not len(signal):
        return signal
    index = np.arange(len(signal)) if frame_index is None else frame_index
    runs = np.split(signal, np.flatnonzero(np.diff(index) != 1) + 1)
    if min(len(run) for run in runs) < 2:
        raise InputError(
            "a frame has no neighbour, spectral leakage correction needs two or more that follow each other, "
            "with the object or without",
            hint="leave out the spectral leakage correction",
        )
    return np.concatenate([_folded(run) for run in runs])


def _folded(run: Array) -> Array:
    """Fold periods (n, ..., V) that follow each other."""
    first, second = leakage_weights(run.shape[-1], 2)
    before, itself, after = leakage_weights(run.shape[-1], 3)
    folded = np.empty(run.shape, np.result_type(run, np.float64))
    folded[1:-1] = before * run[:-2] + itself * run[1:-1] + after * run[2:]
    folded[0] = first * run[0] + second * run[1]
    folded[-1] = first * run[-2] + second * run[-1]
    return _like(folded, run)
