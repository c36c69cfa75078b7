"""The noise that R2R takes for known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpikit import Scan
from mpikit.signal import noise_statistics
from mpikit.signal.noise import line_weights
from mpikit_plugins.r2r.limits import noise_samples
from mpikit_plugins.r2r.options import RecorruptedOptions

NEVER_SINGULAR = 1e-6  # channels that are copies of each other still have a Cholesky factor


def noise_correlation(scans: Sequence[Scan]) -> NDArray[np.float64]:
    """Return the correlation of the noise of the channels, one for all lines.

    Measured on differences of repeats, or of neighbouring background frames, each line of each channel made
    equally strong; without either the channels count as independent.

    Parameters
    ----------
    scans : sequence of Scan
        Free of background.

    Returns
    -------
    shape (C, C)
        Positive definite, ones on the diagonal.
    """
    channels = scans[0].signal.shape[2]
    product = np.zeros((channels, channels))
    for scan in scans if channels > 1 else []:
        found = noise_samples(scan)
        if found is None:
            continue
        power = noise_statistics(scan).line_power
        gain = np.zeros(power.shape)
        np.divide(1, np.sqrt(power), out=gain, where=power > 0)
        spectra = np.fft.rfft(found[0], axis=-1) * gain
        product += np.einsum("ncl,ndl->cd", spectra, spectra.conj()).real
    size = np.sqrt(np.diag(product))
    size[size == 0] = 1
    correlation: NDArray[np.float64] = (1 - NEVER_SINGULAR) * product / np.outer(size, size)
    np.fill_diagonal(correlation, 1)
    return correlation


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
        # all of it is on the lines that are stored
        share = stored @ line_weights(samples) / samples
        return np.tile(options.sigma**2 * samples * stored / share, (channels, 1))
    measured: NDArray[np.float64] = np.mean([noise_statistics(scan).line_power for scan in scans], axis=0)
    if options.noise == "coloured":
        return measured
    level = np.sum(measured, axis=-1, keepdims=True) / np.sum(stored)
    white: NDArray[np.float64] = level * stored
    return white
