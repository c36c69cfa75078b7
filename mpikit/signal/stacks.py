"""The repeats of each clean signal, side by side."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Repeats

AT_ONCE = 2**20  # values worked on at a time, a bound on memory
Number = TypeVar("Number", bound=np.generic)


def stack_repeats(array: NDArray[Number], repeats: Repeats) -> NDArray[Number]:
    """Put the repeats of each clean signal side by side.

    Parameters
    ----------
    array : shape (N, J, ...)
        Signals of a scan, or anything with one entry for each frame and period.
    repeats : {"frames", "periods", "both", "none"}

    Returns
    -------
    shape (B, R, ...)
        B clean signals, R repeats of each: (J, N) for frames, (N, J) for periods, (1, N·J) for both and
        (N·J, 1) for none.
    """
    frames, periods, *rest = array.shape
    if repeats == "frames":
        return array.swapaxes(0, 1)
    if repeats == "periods":
        return array
    shape = (1, frames * periods) if repeats == "both" else (frames * periods, 1)
    return array.reshape(*shape, *rest)


def unstack_repeats(stacked: NDArray[Number], repeats: Repeats, frames: int) -> NDArray[Number]:
    """Undo `stack_repeats`.

    Parameters
    ----------
    stacked : shape (B, R, ...)
    repeats : {"frames", "periods", "both", "none"}
    frames : int
        N of the result.

    Returns
    -------
    shape (N, J, ...)
    """
    if repeats == "frames":
        return stacked.swapaxes(0, 1)
    if repeats == "periods":
        return stacked
    return stacked.reshape(frames, -1, *stacked.shape[2:])


def mean_of_repeats(stacked: NDArray[np.float32], chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    """Average the repeats (B, R, C, V) of some clean signals, (n, C, V) for an index of (n,)."""
    total = np.zeros((len(chosen), *stacked.shape[2:]))
    for repeat in range(stacked.shape[1]):  # whole arrays are added faster than a short axis is reduced
        total += stacked[chosen, repeat]
    return np.divide(total, stacked.shape[1])


def parts_of(shape: tuple[int, ...]) -> list[slice]:
    """Return slices of the first axis that hold not too many values each."""
    step = max(AT_ONCE // int(np.prod(shape[1:])), 1)
    return [slice(start, start + step) for start in range(0, shape[0], step)]
