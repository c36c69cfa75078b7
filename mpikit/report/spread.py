"""The spread of the repeats of a denoised scan, and whether it tells how much noise is left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Repeats, Scan
from mpikit.signal import stack_repeats

Floats = NDArray[np.float64]

MOST_REPEATS = 128  # whose directions are counted: more tell nothing new
FEWEST_DIRECTIONS = 1.5  # fewer than two of them before: less cannot be told from it
LEFT = 0.6  # part of the directions before; methods that treat each repeat by itself leave more


def noise_left(scan: Scan, repeats: Repeats) -> Floats | None:
    """Return the spread of the repeats on each line (C, K), unit squared; None when nothing repeats.

    Unlike `mpikit.signal.noise_statistics` it smooths over no lines, for a denoised signal has noise on some
    of them alone.
    """
    stacked = stack_repeats(scan.signal, repeats)
    signals, count, channels, samples = stacked.shape
    if count < 2:
        return None
    total = np.zeros((channels, samples // 2 + 1))
    for each in stacked:  # one clean signal at a time bounds the memory
        spectra = np.fft.rfft(each.astype(np.float64), axis=-1)
        spectra -= spectra.mean(axis=0)
        total += np.sum(spectra.real**2 + spectra.imag**2, axis=0)
    spread: Floats = total / (signals * (count - 1))
    return spread


def follows_itself(before: Scan, after: Scan, lines: NDArray[np.bool_]) -> bool:
    """Say whether the repeats after denoising still differ as freely as those before.

    A method that treats each repeat by itself leaves the differences between the repeats about as many
    directions as the noise had. One that projects them on few directions, found from all of them, leaves
    those few: the spread is then that of some amplitudes, and an error of the directions is in no difference.

    Parameters
    ----------
    before, after : Scan
        Of the same shape; the axis of ``before`` repeats.
    lines : shape (C, K)
        Those that are looked at.

    Returns
    -------
    bool
        False too where there are too few repeats or lines to tell.
    """
    were = directions(before, before.repeats, lines)
    return were >= FEWEST_DIRECTIONS and directions(after, before.repeats, lines) >= LEFT * were


def directions(scan: Scan, repeats: Repeats, lines: NDArray[np.bool_]) -> float:
    """Return along how many directions the repeats differ from their mean, each line in units of its spread.

    It is the participation ratio (Σ λ)² / Σ λ² of the eigenvalues λ of their covariance: n for n that are
    equally strong, 1 where all lines rise and fall together, 0 where nothing differs.

    Parameters
    ----------
    scan : Scan
    repeats : {"none", "frames", "periods", "both"}
    lines : shape (C, K)
    """
    stacked = stack_repeats(scan.signal, repeats)
    count = stacked.shape[1]
    if count < 2 or not lines.any():
        return 0.0
    rows = []
    for each in stacked[: max(1, MOST_REPEATS // count)]:
        spectra = np.fft.rfft(each[:MOST_REPEATS].astype(np.float64), axis=-1)[:, lines]
        spectra -= spectra.mean(axis=0)
        rows.append(np.concatenate([spectra.real, spectra.imag], axis=1))
    differences = np.concatenate(rows)
    spread = np.sqrt(np.mean(differences**2, axis=0))
    there = spread > 1e-6 * spread.max()
    if not there.any():
        return 0.0
    scaled = differences[:, there] / spread[there]
    gram = scaled @ scaled.T
    return float(np.trace(gram) ** 2 / np.sum(gram**2))
