"""Write a denoised scan as an MDF file in the layout of its source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.denoise import Denoised
from mpikit.provenance import HISTORY, REPEATS, append_history
from mpikit.scan import Scan
from mpikit.scan_file import EMPTY_LINES

FOURIER = "/measurement/isFourierTransformed"


def write_denoised(
    source: Path, output: Path, scan: Scan, result: Denoised, record: Mapping[str, Any], *, overwrite: bool
) -> None:
    """Write the denoised frames in the layout of the source: domain, axes, order and flags.

    Parameters
    ----------
    source, output : Path
        MDF file that was denoised, and the one to write.
    scan : Scan
        Read from the source.
    result : Denoised
    record : mapping
        What is added to the history of the file, see `mpikit.provenance.run_record`.
    overwrite : bool
        Replace a file of this name.

    Raises
    ------
    mdf.MdfError
        When the file cannot be written.
    """
    frames = np.concatenate([result.signal, result.background])
    index = np.concatenate([scan.foreground_index, scan.background_index])
    by_time = frames[np.argsort(index)]
    with mdf.open(source) as file:
        contents = file.contents()
        stored = by_time[file.frame_index("all", order="stored")]
        if contents[FOURIER]:
            stored = np.fft.rfft(stored, axis=-1)[..., file.stored_lines].astype(np.complex64)
        contents.pop("/acquisition/receiver/dataConversionFactor", None)
        if result.without_background:
            contents["/measurement/isBackgroundCorrected"] = 1
        user: dict[str, Any] = {
            HISTORY: append_history(_text(file.user_value(HISTORY)), record),
            REPEATS: scan.repeats,
        }
        emptied = emptied_lines(scan.signal, result.signal)
        if emptied.any():
            user[EMPTY_LINES] = emptied.astype(np.int8)
        mdf.write(output, contents, stored, user=user, copy_user_from=file, overwrite=overwrite)


def emptied_lines(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find the lines on which a method left nothing, (C, K), in signals of shape (N, J, C, V).

    Whoever reconstructs must not take them for measured zeros.
    """
    power = [_line_power(signal) for signal in (before, after)]
    # what is left of an emptied line is the rounding of its neighbours
    rounding = np.finfo(np.float32).eps ** 2 * power[1].max(axis=-1, keepdims=True)
    emptied: NDArray[np.bool_] = power[1] <= 1e-6 * power[0] + rounding
    return emptied


def _line_power(signal: NDArray[np.float32]) -> NDArray[np.float64]:
    total = np.zeros((signal.shape[2], signal.shape[3] // 2 + 1))
    for frame in signal:  # one frame at a time bounds the memory
        total += np.mean(np.abs(np.fft.rfft(frame.astype(np.float64), axis=-1)) ** 2, axis=0)
    return total / max(len(signal), 1)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
