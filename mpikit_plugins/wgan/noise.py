"""Noise samples: what the background frames hold, as the option ``background`` says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpikit import Run, Scan, Warned
from mpikit.errors import InputError
from mpikit.signal import subtract_background
from mpikit.signal.background import background_blocks, background_weights
from mpikit_plugins.training.repeats import Signals
from mpikit_plugins.wgan.options import WassersteinOptions

FEW = 32  # noise samples below which their distribution is hardly known


def noise_samples(scans: Sequence[Scan], options: WassersteinOptions, *, run: Run) -> Signals:
    """Return the periods of the background frames that are noise samples, (E, C, V).

    Frames that several scans share, as those of one empty measurement, count once.

    Parameters
    ----------
    scans : sequence of Scan
        As they were measured.
    options : WassersteinOptions
        With ``background=learn`` the frames are taken as they are; else their means are taken out, over each
        block of frames and for each period of a frame, and what is left is made as large as the noise of a
        period that the same is done to: the mean of n frames takes 1/n of the noise power with it.
    run : Run
        Gets a warning when there are few.

    Raises
    ------
    InputError
        When there are no background frames, or a single sample.
    """
    if not any(len(scan.background) for scan in scans):
        raise InputError(
            f"{scans[0].name} has no background frames, which are the noise samples to learn from",
            hint="name an empty measurement with --background-file",
        )
    parts, seen = [], set()
    for scan in scans:
        name = hashlib.sha256(scan.background.tobytes()).digest()
        if len(scan.background) and name not in seen:
            parts += [scan.background] if options.background == "learn" else _residuals(scan, options)
        seen.add(name)
    samples = sum(part.shape[0] * part.shape[1] for part in parts)
    if not parts:
        raise InputError(
            f"every block of background frames of {scans[0].name} has one frame alone, and nothing is left "
            f"of it with background={options.background}",
            hint="choose background=learn, or measure two or more empty frames one after the other",
        )
    if samples < 2:
        raise InputError(
            f"{scans[0].name} has a single noise sample: one background frame of one period, expected many",
            hint="measure more empty frames; a hundred periods are few",
        )
    if samples < FEW:
        run.tell(Warned(f"there are {samples} noise samples alone: hardly anything is learnt of the noise"))
    return np.concatenate([part.reshape(-1, *part.shape[2:]) for part in parts])


def _residuals(scan: Scan, options: WassersteinOptions) -> list[Signals]:
    """Return what background frames differ from the mean of their block by, (n, J, C, V) each."""
    if scan.corrections.background:  # that has been done, and the gain with it cannot be known
        return [scan.background]
    lost = 0.0  # noise that the subtraction adds to a period of the foreground
    if options.background == "subtract":
        weights = background_weights(scan, scan.foreground_index)
        lost = float(np.sum(weights**2)) / len(weights)
    parts = []
    for block in background_blocks(scan):
        if len(block) > 1:
            frames = scan.background[block].astype(np.float64)
            gain = np.sqrt((1 + lost) / (1 - 1 / len(block)))
            parts.append((gain * (frames - frames.mean(axis=0))).astype(np.float32))
    return parts


def foreground(scan: Scan, options: WassersteinOptions) -> Scan:
    """Return the scan as the generator sees it."""
    return subtract_background(scan) if options.background == "subtract" else scan


def judged(scan: Scan, options: WassersteinOptions) -> Scan:
    """Return the scan as what the generator gives should be: without what it takes for noise."""
    return scan if options.background == "keep" else subtract_background(scan)


def mean_sample(samples: Signals, options: WassersteinOptions) -> NDArray[np.float32]:
    """Return the mean of noise samples (E, C, V), (C, V); zero where it was taken out."""
    if options.background != "learn":
        return np.zeros(samples.shape[1:], np.float32)
    mean: NDArray[np.float32] = samples.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean
