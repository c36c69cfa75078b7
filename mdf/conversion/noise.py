"""The signal-to-noise ratio of a calibration that does not come with one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdf.conversion.rows import MEMORY, Rows
from mdf.file import File
from mdf.snr import STRONGEST, by_components

_UNUSABLE = {
    "/measurement/isBackgroundCorrected": "its background is subtracted already",
    "/measurement/isTransferFunctionCorrected": "its transfer function is divided out already",
}


def why_not(file: File) -> str:
    """Return why the ratio cannot be computed, or an empty text."""
    background = int(np.sum(file.is_background))
    components = int(np.sum(file.stored_lines))
    for path, reason in _UNUSABLE.items():
        if file.value(path):
            return reason
    if not file.is_calibration:
        return "it is no calibration"
    if background == 0:
        return "it has no background frames"
    if background == file.num_frames:
        return "it has background frames only"
    if components < STRONGEST:
        return f"it stores {components} frequency components, {STRONGEST} are needed"
    return Rows.why_not(file, "frequency")


def of_file(file: File) -> NDArray[np.float64]:
    """Return the ratio of all stored components in ascending order, shape (J, C, K), by blocks.

    See `mdf.snr.signal_to_noise` for the formula.
    """
    acquired = file.frame_index("all", "stored")
    background = file.is_background[acquired]
    empty = np.flatnonzero(background)
    rows = Rows(file, "frequency", np.arange(file.num_channels))
    foreground, empty = np.flatnonzero(~background), empty[np.argsort(acquired[empty])]

    def read(components: NDArray[np.int64]) -> tuple[np.ndarray, np.ndarray]:
        signal = rows.read(components)
        return signal[foreground], signal[empty]

    components = int(np.sum(file.stored_lines))
    row_bytes = 16 * file.num_frames * file.num_periods * file.num_channels
    return by_components(read, components, max(1, MEMORY // (4 * row_bytes)))
