"""The empty-scanner signal, and its subtraction at the true times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Scan


def background_blocks(scan: Scan) -> list[NDArray[np.intp]]:
    """Group the background frames that were acquired one after the other.

    Returns
    -------
    list of arrays
        Positions on the first axis of ``scan.background``, in order of acquisition.
    """
    order = np.argsort(scan.background_index)
    breaks = np.flatnonzero(np.diff(scan.background_index[order]) > 1) + 1
    return np.split(order, breaks)


def background_at(scan: Scan, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Empty-scanner signal at given places in the order of acquisition.

    Each block of consecutive background frames becomes its mean; between the centres of two blocks the
    signal is interpolated linearly, before the first and after the last it is constant.

    Parameters
    ----------
    scan : Scan
        With at least one background frame (E > 0).
    index : shape (n,)
        Places in the order of acquisition.

    Returns
    -------
    shape (n, J, C, V), unit of the scan

    Raises
    ------
    ValueError
        When the scan has no background frame.
    """
    if len(scan.background) == 0:
        raise ValueError("the scan has no background frame")
    blocks = background_blocks(scan)
    centres = np.array([scan.background_index[block].mean() for block in blocks])
    means = np.stack([scan.background[block].mean(axis=0, dtype=np.float64) for block in blocks])
    if len(blocks) == 1:
        return np.repeat(means, len(index), axis=0)
    left = np.clip(np.searchsorted(centres, index, side="right") - 1, 0, len(centres) - 2)
    share = np.clip((index - centres[left]) / np.diff(centres)[left], 0, 1)[:, None, None, None]
    between: NDArray[np.float64] = (1 - share) * means[left] + share * means[left + 1]
    return between


def subtract_background(scan: Scan) -> Scan:
    """Return the scan without the empty-scanner signal, interpolated at the time of each frame.

    The background frames are treated likewise. A scan that is corrected already, or that has no background
    frame, comes back as it is: nothing is ever subtracted twice.
    """
    if scan.corrections.background or len(scan.background) == 0:
        return scan
    return replace(
        scan,
        signal=(scan.signal - background_at(scan, scan.foreground_index)).astype(np.float32),
        background=(scan.background - background_at(scan, scan.background_index)).astype(np.float32),
        corrections=replace(scan.corrections, background=True),
    )
