"""The signal-to-noise ratio by which rows of a system matrix are chosen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.events import Event, Warned
from mpikit.reconstruct.reading import Reader

Floats = NDArray[np.float64]


def matrix_snr(
    of_matrix: Reader, channels: int, *, room: float, tell: Callable[[Event], None]
) -> Floats | None:
    """Return the SNR of the first period on the full frequency axis.

    It is computed when the file has none, or has that of single periods and they are grouped.

    Parameters
    ----------
    of_matrix : Reader
        Of the calibration.
    channels : int
        So many receive channels are needed.
    room : float
        Bytes of memory that the computation may take.
    tell : callable

    Returns
    -------
    shape (channels, K), or None when it is not known
        0 on lines that are not stored.
    """
    grouped = of_matrix.grouping > 1
    snr = None if grouped else of_matrix.file.value("/calibration/snr")
    if snr is None:
        snr = _computed(of_matrix, room)
        text = f"stores no SNR{' of grouped periods' if grouped else ''}, "
        if snr is not None:
            text += "it is computed from its background frames"
        else:
            text += (
                "and it cannot be computed (background frames with noise, 20 lines and memory are needed): "
                "no row is left out for it; mpikit convert computes it in parts"
            )
        tell(Warned(f"{of_matrix.file.path.name} {text}"))
    if snr is None:
        return None
    full = np.zeros((channels, len(of_matrix.frequencies)))
    full[:, of_matrix.lines] = snr[0, :channels]
    return full


def _computed(of_matrix: Reader, room: float) -> Floats | None:
    file, lines = of_matrix.file, len(of_matrix.lines)
    if 8.0 * lines * file.num_frames * file.num_channels * file.num_periods > room:
        return None
    if int(np.sum(file.is_background)) < 2 or lines < mdf.snr.STRONGEST:
        return None
    if of_matrix.grouping > 1:
        foreground, background = (
            of_matrix.spectra(np.flatnonzero(file.is_background == empty)) for empty in (False, True)
        )
    else:
        foreground = file.read_signal("foreground", domain="frequency")
        background = file.read_signal("background", domain="frequency")
    snr = mdf.snr.signal_to_noise(foreground, background)
    return snr if np.any(snr > 0) else None  # background frames without noise say nothing
