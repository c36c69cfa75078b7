"""The limit: the best linear estimator, which knows the covariance of the clean signals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Scan
from mpikit.signal import noise_statistics

Floats = NDArray[np.float64]
WEAK = 1e-3  # lines with less signal than this share of the noise are left out


def oracle_linear(scan: Scan, clean: NDArray[Any], noisy: NDArray[Any]) -> Floats:
    """Denoise by the linear estimator with the least mean squared error, C (C + S)⁻¹ y.

    C is the covariance of clean signals and S that of the noise, of the lines of all channels. No method can
    know C: what it gives is a limit for linear methods, not for all of them.

    Parameters
    ----------
    scan : Scan
        Noisy, with repeats: the power of the noise in each line is measured on it.
    clean : shape (M, C, V)
        Clean signals of the kind that is to be denoised, but not the same ones.
    noisy : shape (N, C, V)
        What to denoise, single periods.

    Returns
    -------
    shape (N, C, V)
    """
    power = noise_statistics(scan).line_power
    spectra = np.fft.rfft(clean.astype(np.float64))
    strong = np.mean(np.abs(spectra) ** 2, axis=0) > WEAK * power
    strong[:, 0] = False

    known, seen = _real(spectra[:, strong]), _real(np.fft.rfft(noisy.astype(np.float64))[:, strong])
    covariance = known.T @ known / len(known)
    noise = np.tile(power[strong] / 2, 2)
    found = seen @ np.linalg.solve(covariance + np.diag(noise), covariance)
    half = np.zeros((len(found), *strong.shape), complex)
    count = int(strong.sum())
    half[:, strong] = found[:, :count] + 1j * found[:, count:]
    return np.asarray(np.fft.irfft(half, n=clean.shape[-1]), np.float64)


def _real(values: NDArray[Any]) -> Floats:
    return np.concatenate([values.real, values.imag], axis=1)
