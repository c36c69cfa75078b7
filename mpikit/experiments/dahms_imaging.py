"""Images of point samples, their position errors, and the least error that anybody can have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.experiments.dahms_data import Matrix, Samples, grouped
from mpikit.experiments.published_dahms import GROUP, LAMBDA, SWEEPS
from mpikit.metrics import PositionErrors, position_errors
from mpikit.reconstruct import kaczmarz, kaczmarz_sweeps, select_rows
from mpikit.signal import noise_statistics, subtract_background

Floats = NDArray[np.float64]
Emptied = NDArray[np.bool_] | None
LAMBDAS, SWEEP_COUNTS = (0.01, 0.03, 0.1, 0.3, 0.8, 3.0, 10.0), (1, 2, 5, 10, 20, 50)  # of Figure 3
THRESHOLD, LEAST_FREQUENCY = 2.0, 80e3  # SNR and Hz; those of `mpikit reconstruct`, the paper has none
FARTHEST, LEAST_SNR, DOSES = 0.0111, 5.0, 60  # of the limit: m, SNR of a line, concentrations that are tried


class Imaging:
    """Reconstruction of signals (N, G, C, V) of the test samples, G images of each.

    Parameters
    ----------
    matrix : Matrix
    test : Samples
        For the true places and the sequence.
    """

    def __init__(self, matrix: Matrix, test: Samples) -> None:
        self.matrix, self.test = matrix, test
        self.lines = np.arange(test.scan.signal.shape[-1] // 2 + 1)

    def images(self, signals: NDArray[Any], emptied: Emptied = None) -> Floats:
        """Return images (N, G, z, y, x), mol/L, with the setting of the paper.

        Parameters
        ----------
        signals : shape (N, G, C, V), V
        emptied : shape (C, K) or None
            Lines on which a method left nothing: they are no measured zeros.
        """
        system, data = self._system(signals, emptied)
        found = kaczmarz(system, data, lambda_=LAMBDA, iterations=SWEEPS)
        return self._shaped(found, signals)

    def errors(self, images: Floats) -> PositionErrors:
        """Return the distances of the largest voxels from the true places, (N, G)."""
        return position_errors(images, self.test.positions[:, None], self.matrix.grid)

    def grid(self, signals: NDArray[Any], emptied: Emptied = None) -> Floats:
        """Return the mean position error in mm for each λ of `LAMBDAS` and number of sweeps."""
        system, data = self._system(signals, emptied)
        found = np.empty((len(LAMBDAS), len(SWEEP_COUNTS)))
        for row, weight in zip(found, LAMBDAS, strict=True):
            sweeps = kaczmarz_sweeps(system, data, lambda_=weight, iterations=max(SWEEP_COUNTS))
            for count, state in enumerate(sweeps, start=1):
                if count in SWEEP_COUNTS:
                    images = self._shaped(state.image, signals)
                    row[SWEEP_COUNTS.index(count)] = 1e3 * self.errors(images).mean
        return found

    def _system(self, signals: NDArray[Any], emptied: Emptied) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = select_rows(
            np.ones(self.lines.size, bool),
            self.test.scan.frequencies,
            channels=signals.shape[2],
            emptied=emptied,
            min_frequency=LEAST_FREQUENCY,
            snr=self.matrix.snr,
            snr_threshold=THRESHOLD,
        )
        flat = signals.reshape(-1, *signals.shape[2:]).astype(np.float64)
        system, data = (
            rows.pick(each, self.lines).astype(np.complex64)
            for each in (self.matrix.spectra, np.fft.rfft(flat))
        )
        return system, data

    def _shaped(self, columns: NDArray[Any], signals: NDArray[Any]) -> Floats:
        images = np.real(columns).T.astype(np.float64)
        return images.reshape(*signals.shape[:2], *self.matrix.grid.shape)


def best_guess(matrix: Matrix, test: Samples) -> PositionErrors:
    """Return the errors of the posterior median, which knows the clean signals: the limit of all methods.

    The signals are those of the calibration, whose noise hardly counts; all its places within 11 mm are
    equally probable, and so is the logarithm of the concentration. The noise is white, as that of the
    simulated session is. No method has a smaller mean error, unless by chance.

    Parameters
    ----------
    matrix : Matrix
    test : Samples
        Of which ten periods make a guess.
    """
    noise = noise_statistics(test.scan).sigma[0] / GROUP**0.5
    seen = grouped(subtract_background(test.scan).signal)[:, :, 0] / noise
    places = matrix.grid.positions()
    possible = np.abs(places[:, 0]) < FARTHEST
    spectra = np.where(matrix.snr[0] >= LEAST_SNR, matrix.spectra[possible, 0], 0)
    signals = np.fft.irfft(spectra, n=seen.shape[-1]) / noise
    doses = np.geomspace(test.concentrations.min(), test.concentrations.max(), DOSES)
    powers = np.sum(signals**2, axis=1) / 2
    products = seen @ signals.T
    share = np.empty(products.shape)
    for row, product in zip(share, products, strict=True):  # a sample at a time bounds the memory
        likelihood = product[:, None] * doses[:, None] - powers * doses[:, None] ** 2
        weight = np.exp(likelihood - likelihood.max(axis=(1, 2), keepdims=True)).sum(axis=1)
        row[:] = np.cumsum(weight, axis=-1) / weight.sum(axis=-1, keepdims=True)
    guess = places[possible][np.argmax(share >= 0.5, axis=-1)]
    errors = np.abs(guess - test.positions[:, None])[..., 0]
    return PositionErrors(errors, np.zeros(errors.shape, bool), matrix.grid.spacing)
