"""Noise as the differences of successive background frames show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpikit import Scan
from mpikit.errors import InputError


def background_differences(scan: Scan) -> NDArray[np.float64]:
    """Return differences of successive background frames over the root of two.

    They have the covariance of the noise, and neither the constant background nor its slow drift. Frames
    between which others were acquired are not compared, unless there is no other pair.

    Parameters
    ----------
    scan : Scan

    Returns
    -------
    shape (n, J, C, V), unit of the signal

    Raises
    ------
    InputError
        With fewer than two background frames.
    """
    if len(scan.background) < 2:
        raise InputError(
            f"{scan.name} has {len(scan.background)} background frames, and an estimate needs two",
            hint="use a file with an empty measurement, or give the options yourself",
        )
    order = np.argsort(scan.background_index)
    next_to = np.diff(scan.background_index[order]) == 1
    if not np.any(next_to):
        next_to[:] = True
    frames = scan.background[order].astype(float)
    differences: NDArray[np.float64] = np.diff(frames, axis=0)[next_to]
    differences /= np.sqrt(2)
    return differences
