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
    return consecutive(scan.background_index)


def consecutive(index: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Group places in the order of acquisition that follow each other.

    Parameters
    ----------
    index : shape (E,)

    Returns
    -------
    list of arrays
        Positions in ``index``, in order of acquisition.
    """
    order = np.argsort(index)
    breaks = np.flatnonzero(np.diff(index[order]) > 1) + 1
    return np.split(order, breaks)


def background_weights(scan: Scan, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much each background frame counts at given places in the order of acquisition.

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
    shape (n, E)
        Each row sums to 1.

    Raises
    ------
    ValueError
        When the scan has no background frame.
    """
    return interpolation_weights(scan.background_index, index)


def interpolation_weights(
    background_index: NDArray[np.int64], index: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return `background_weights` for background frames at some places in the order of acquisition.

    Parameters
    ----------
    background_index : shape (E,)
        At least one.
    index : shape (n,)

    Returns
    -------
    shape (n, E)

    Raises
    ------
    ValueError
        Without background frames.
    """
    if len(background_index) == 0:
        raise ValueError("the scan has no background frame")
    blocks = consecutive(background_index)
    centres = np.array([background_index[block].mean() for block in blocks])
    means = np.zeros((len(blocks), len(background_index)))
    for row, block in zip(means, blocks, strict=True):
        row[block] = 1 / len(block)
    if len(blocks) == 1:
        return np.repeat(means, len(index), axis=0)
    left = np.clip(np.searchsorted(centres, index, side="right") - 1, 0, len(centres) - 2)
    share = np.clip((index - centres[left]) / np.diff(centres)[left], 0, 1)[:, None]
    between: NDArray[np.float64] = (1 - share) * means[left] + share * means[left + 1]
    return between


def background_at(scan: Scan, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Empty-scanner signal at given places in the order of acquisition, (n, J, C, V) for an index of (n,).

    See `background_weights`.
    """
    return np.tensordot(background_weights(scan, index), scan.background.astype(np.float64), axes=1)


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


def shared_background_noise(scan: Scan) -> float:
    """Noise that a subtracted background left in all repeats of a clean signal alike.

    Frames that repeat lose nearly the same background, so its noise is in their mean as well, and their
    spread does not show it. Periods that repeat lose different ones. Without repeats the noise is that
    within blocks of background frames, which does not show it either.

    Parameters
    ----------
    scan : Scan

    Returns
    -------
    float
        Covariance of two repeats, relative to the noise of one period as `noise_statistics` finds it; 0 when
        nothing was subtracted.
    """
    if not scan.corrections.background or len(scan.background) == 0:
        return 0.0
    frames, periods = scan.signal.shape[:2]
    weights = background_weights(scan, scan.foreground_index)
    own = float(np.sum(weights**2)) / frames
    repeats = {"frames": frames, "periods": periods, "both": frames * periods, "none": 1}[scan.repeats]
    if repeats == 1:
        return own if any(len(block) > 1 for block in background_blocks(scan)) else 0.0
    if scan.repeats == "periods":
        return 0.0
    pairs = float(np.sum(weights.sum(axis=0) ** 2)) - frames * own  # two frames, the same period
    shared = pairs / (frames * (repeats - 1))
    return float(shared / (1 + own - shared))


def noise_shares(scan: Scan, signals: int) -> NDArray[np.float64]:
    """Powers of the independent parts of the noise in the means over the repeats of clean signals.

    They are equal, except that frames which do not repeat one signal share the noise of the background that
    was subtracted from all of them.

    Parameters
    ----------
    scan : Scan
    signals : int
        M clean signals, evenly chosen from all.

    Returns
    -------
    shape (M,)
        Eigenvalues of the covariance over the signals, up to a factor.
    """
    shares = np.ones(signals)
    if not scan.corrections.background or len(scan.background) == 0 or scan.repeats in ("frames", "both"):
        return shares
    frames, periods = scan.signal.shape[:2]
    alike = 1 if scan.repeats == "periods" else periods  # each period has a background of its own
    weights = background_weights(scan, scan.foreground_index)
    common = np.repeat(np.linalg.eigvalsh(weights.T @ weights)[::-1], alike)[:signals]
    shares[: len(common)] += np.maximum(common, 0) * signals / (frames * alike)
    return shares
