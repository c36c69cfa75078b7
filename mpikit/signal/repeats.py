"""Along which axis the same clean signal was measured again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Repeats, Scan
from mpikit.signal.background import subtract_background
from mpikit.signal.noise import median_of_mean, running_median

Spectra = NDArray[np.complex128]
MOST_FRAMES = 64  # so that a training set of ten thousand frames is judged in a second


def find_repeats(scan: Scan) -> Repeats:
    """Find out from the data which axis repeats.

    Periods can repeat when drive field, gradient and offset are equal over J; patches never do. Then the
    spread over the axis is compared with what noise alone would give, on the lines that hold signal: with
    the spread of the background frames when there are some (it holds their drift too), else with the
    spread on the lines without signal.

    Parameters
    ----------
    scan : Scan
        Its own ``repeats`` is not looked at.
    """
    cleared = subtract_background(scan).signal
    chosen = np.unique(np.linspace(0, len(cleared) - 1, min(len(cleared), MOST_FRAMES)).astype(int))
    spectra = np.fft.rfft(cleared[chosen].astype(np.float64), axis=-1)[..., scan.stored_lines]
    order = np.argsort(scan.background_index)
    empty = np.fft.rfft(scan.background[order].astype(np.float64), axis=-1)[..., scan.stored_lines]
    neighbours = np.diff(scan.background_index[order]) == 1
    over_frames = _repeats_over(spectra, np.diff(empty, axis=0)[neighbours], axis=0)
    if _fields_repeat(scan) and _repeats_over(spectra, np.diff(empty, axis=1), axis=1):
        return "both" if over_frames else "periods"
    return "frames" if over_frames else "none"


def _fields_repeat(scan: Scan) -> bool:
    if scan.signal.shape[1] < 2:
        return False
    fields: list[NDArray[Any]] = [scan.drive_field.amplitudes, scan.drive_field.phases]
    if scan.selection_field is not None:
        fields += [scan.selection_field.gradient, scan.selection_field.offset]
    return all(np.allclose(field, field[:1], rtol=1e-6, atol=1e-9) for field in fields)


def _repeats_over(spectra: Spectra, empty_steps: Spectra, *, axis: int) -> bool:
    """Compare the spread over an axis of (N, J, C, K) with what noise allows.

    The noise is half the power of the steps from one background frame or period to the next, (n, J, C, K).
    """
    repeats = spectra.shape[axis]
    if repeats < 2:
        return False
    spread = np.var(spectra, axis=axis, ddof=1).mean(axis=0)
    freedom = (repeats - 1) * spectra.shape[1 - axis]
    quiet, quiet_freedom = spread, freedom
    if empty_steps.size:
        quiet = np.mean(np.abs(empty_steps) ** 2, axis=(0, 1)) / 2
        quiet_freedom = empty_steps.shape[0] * empty_steps.shape[1]
    noise = running_median(quiet, quiet_freedom)
    power = np.mean(np.abs(spectra) ** 2, axis=(0, 1))
    lines = power > 4 * noise
    if not lines.any():
        lines[:] = True
    # rounding to float32 is no noise, and the median forgives the few lines on which a background drifts
    found = np.median(spread[lines] / np.maximum(noise[lines], 1e-10 * power.max() + np.finfo(float).tiny))
    return bool(found / median_of_mean(freedom) <= 1 + max(1.0, 4 / np.sqrt(freedom * lines.sum())))
