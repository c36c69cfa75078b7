"""The noise that R2R takes for known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpikit import Scan
from mpikit.signal import noise_statistics
from mpikit_plugins.r2r.options import RecorruptedOptions


def noise_power(scans: Sequence[Scan], options: RecorruptedOptions) -> NDArray[np.float64]:
    """Return the expected squared magnitude of the noise on each line of an un-normalised rfft of a period.

    Parameters
    ----------
    scans : sequence of Scan
        Free of background. Measured by `mpikit.signal.noise_statistics`: from repeats, background frames or
        the spectrum.
    options : RecorruptedOptions

    Returns
    -------
    shape (C, K), unit squared
        Mean over the scans.
    """
    channels, samples = scans[0].signal.shape[2:]
    stored = np.mean([scan.stored_lines for scan in scans], axis=0)
    if options.sigma is not None:
        return np.tile(options.sigma**2 * samples * stored, (channels, 1))
    measured: NDArray[np.float64] = np.mean([noise_statistics(scan).line_power for scan in scans], axis=0)
    if options.noise == "coloured":
        return measured
    level = np.sum(measured, axis=-1, keepdims=True) / np.sum(stored)
    white: NDArray[np.float64] = level * stored
    return white
