"""Noisy repeats as training data, and a part of them kept back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit import Scan
from mpikit.judging import MANY, PLENTY, take_frames, take_periods
from mpikit.signal import stack_repeats

Signals = NDArray[np.float32]


@dataclass(frozen=True)
class RepeatedSignals:
    """Groups of clean signals with equally many noisy repeats of each.

    Parameters
    ----------
    training : sequence of shape (B, R, C, V)
        One array for each scan; R > 1 for pairs.
    validation : sequence of shape (B, R, C, V)
        Kept back for early stopping, no repeat of it in ``training``; R > 1 unless the method needs no
        repeats. Empty when there is too little to keep any back.
    kept_back : str
        What ``validation`` is, in words.
    common_power : float, unit squared
        Mean squared sample of noise that all repeats share, as that of a subtracted background is.
    common_passed : float, unit squared
        The part of it that the method lets through. Repeats cannot tell it from signal, so it must be counted
        as error; the rest they count as signal that was lost, and must not.
    """

    training: Sequence[Signals]
    validation: Sequence[Signals]
    kept_back: str = "repeats"
    common_power: float = 0.0
    common_passed: float = 0.0


def split_repeats(groups: Sequence[Signals], *, share: float = 0.2) -> RepeatedSignals:
    """Keep a part of the repeats, or of the clean signals, back for early stopping.

    Two or more repeats of each clean signal, so that two are left; or, with fewer than eight repeats of ten
    clean signals or more, some of these whole. A group with fewer than four repeats of fewer than ten
    signals is all training.

    Parameters
    ----------
    groups : sequence of shape (B, R, C, V)
        Noisy repeats; groups with R = 1 teach nothing and are left out.
    share : float
        Part to keep back.

    Returns
    -------
    RepeatedSignals
    """
    training, validation, words = [], [], set()
    for group in groups:
        signals, repeats = group.shape[:2]
        if repeats < 2:
            continue
        if repeats < PLENTY and signals >= MANY:
            kept = min(max(1, round(share * signals)), signals - 1)
            training.append(group[:-kept])
            validation.append(group[-kept:])
            words.add("whole signals")
        elif repeats >= 4:
            kept = min(max(2, round(share * repeats)), repeats - 2)
            training.append(group[:, :-kept])
            validation.append(group[:, -kept:])
            words.add("repeats")
        else:
            training.append(group)
    return RepeatedSignals(training, validation, kept_back=" and ".join(sorted(words)) or "repeats")


def split_signals(groups: Sequence[Signals], *, share: float = 0.2) -> RepeatedSignals:
    """Keep a part of the clean signals back, with all their repeats; for methods that need no repeats.

    Parameters
    ----------
    groups : sequence of shape (B, R, C, V)
        Noisy signals, R may be 1. A group of fewer than ten signals is all training.
    share : float
        Part to keep back.
    """
    training, validation = [], []
    for group in groups:
        kept = min(max(1, round(share * len(group))), len(group) - 1) if len(group) >= MANY else 0
        training.append(group[: len(group) - kept])
        validation += [group[len(group) - kept :]] if kept else []
    single = all(group.shape[1] == 1 for group in groups)
    return RepeatedSignals(training, validation, kept_back="periods" if single else "whole signals")


def without_kept_back(
    scans: Sequence[Scan], split: Callable[[Sequence[Signals]], RepeatedSignals]
) -> list[Scan]:
    """Return scans without the periods that are kept back; what is fitted to them knows nothing of these.

    Parameters
    ----------
    scans : sequence of Scan
    split : callable
        Shares groups of shape (B, R, C, V) out, by their shapes alone: `split_repeats`, say.

    Returns
    -------
    list of Scan
        Whole frames, or whole periods of all frames: with a period that is kept back go those that share
        its frame, or its place in the frames, whichever are fewer.
    """
    places: list[NDArray[Any]] = []  # a number for each period, in the shape of its scan
    for scan in scans:
        frames, periods = scan.signal.shape[:2]
        begin = places[-1].max() + 1 if places else 0.0
        numbers = begin + np.arange(frames * periods, dtype=np.float64)  # exact, other than in float32
        places.append(np.broadcast_to(numbers.reshape(frames, periods, 1, 1), scan.signal.shape))
    groups = [stack_repeats(place, scan.repeats) for scan, place in zip(scans, places, strict=True)]
    kept_back = [group[..., 0, 0].ravel() for group in split(groups).validation]
    gone = np.concatenate([np.empty(0), *kept_back])
    return [_taken(scan, ~np.isin(place[..., 0, 0], gone)) for scan, place in zip(scans, places, strict=True)]


def _taken(scan: Scan, chosen: NDArray[np.bool_]) -> Scan:
    """Take what of the chosen (N, J) makes whole frames, or whole periods."""
    if chosen.all():
        return scan
    frames: NDArray[np.bool_] = np.all(chosen, axis=1)
    periods: NDArray[np.bool_] = np.all(chosen, axis=0)
    return take_frames(scan, frames) if frames.mean() >= periods.mean() else take_periods(scan, periods)
