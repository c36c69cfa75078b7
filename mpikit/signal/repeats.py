"""Along which axis the same clean signal was measured again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Repeats, Scan
from mpikit.signal.background import background_weights, subtract_background
from mpikit.signal.noise import median_of_mean, running_median

Spectra = NDArray[np.complex128]
MOST_FRAMES = 64  # so that a training set of ten thousand frames is judged in a second


def find_repeats(scan: Scan) -> Repeats:
    """Find out from the data which axis repeats.

    Periods can repeat when drive field, gradient and offset are equal over J; patches never do. Then the
    spread over the axis is compared with what noise alone would give, on the lines that hold signal: with
    the spread of the background frames when there are some (it holds their drift too), else with the
    median spread of all lines, most of which are taken to be empty.

    Parameters
    ----------
    scan : Scan
        Its own ``repeats`` is not looked at.
    """
    cleared = subtract_background(scan)
    chosen = np.unique(
        np.linspace(0, len(cleared.signal) - 1, min(len(cleared.signal), MOST_FRAMES)).astype(int)
    )
    spectra = np.fft.rfft(cleared.signal[chosen].astype(np.float64), axis=-1)[..., scan.stored_lines]
    over_frames, over_periods = _empty_steps(scan)
    comparable = _fields_repeat(scan)
    if not comparable:
        over_periods = over_periods[:0]
    for_frames, for_periods = _background_shares(cleared)
    empty = over_frames if over_frames.size else over_periods
    frames = _repeats_over(spectra, empty * for_frames**0.5, axis=0)
    empty = over_periods if over_periods.size else over_frames
    if comparable and _repeats_over(spectra, empty * for_periods**0.5, axis=1):
        return "both" if frames else "periods"
    return "frames" if frames else "none"


def _empty_steps(scan: Scan) -> tuple[Spectra, Spectra]:
    """Return the steps from one background frame, or one of its periods, to the next, each (n, j, C, K)."""
    order = np.argsort(scan.background_index)
    empty = np.fft.rfft(scan.background[order].astype(np.float64), axis=-1)[..., scan.stored_lines]
    neighbours = np.diff(scan.background_index[order]) == 1
    return np.diff(empty, axis=0)[neighbours], np.diff(empty, axis=1)


def _background_shares(cleared: Scan) -> tuple[float, float]:
    """Return the noise of a spread over frames and over periods, relative to that of background frames.

    The background that was subtracted has noise too: each period lost one of its own, and frames lost nearly
    the same.
    """
    if len(cleared.background) == 0:
        return 1.0, 1.0
    weights = background_weights(cleared, cleared.foreground_index)
    own = np.sum(weights**2) / len(weights)
    spread = np.sum(np.var(weights, axis=0, ddof=1)) if len(weights) > 1 else 0.0
    return float(1 + spread), float(1 + own)


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
    power = np.mean(np.abs(spectra) ** 2, axis=(0, 1))
    if empty_steps.size:
        quiet = np.mean(np.abs(empty_steps) ** 2, axis=(0, 1)) / 2
        noise = running_median(quiet, empty_steps.shape[0] * empty_steps.shape[1])
    else:  # signals that differ do so on whole bands, where a local median would take them for noise
        level = np.median(spread, axis=-1, keepdims=True) / median_of_mean(freedom)
        noise = np.minimum(running_median(spread, freedom), level)
    noise = np.maximum(noise, 1e-10 * power.max() + np.finfo(float).tiny)  # rounding to float32 is no noise
    lines = power > 4 * noise
    if not lines.any():
        lines[:] = True
    # the median forgives the few lines on which a background drifts
    found = np.median(spread[lines] / noise[lines])
    return bool(found / median_of_mean(freedom) <= 1 + max(1.0, 4 / np.sqrt(freedom * lines.sum())))
