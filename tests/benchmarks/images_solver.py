"""Reconstruction for `images_denoise.py`: many settings at once, and the best one by the clean image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from mpikit.metrics import nrmse
from mpikit.reconstruct import kaczmarz, kaczmarz_sweeps, select_rows

LEAST_FREQUENCY = 80e3  # Hz, as `mpikit reconstruct` has it


@dataclass(frozen=True)
class Setting:
    """Rows of the system matrix, weight of the penalty, and sweeps."""

    threshold: float
    lambda_: float
    sweeps: int


@dataclass(frozen=True)
class Choices:
    """The grid of settings."""

    thresholds: tuple[float, ...]
    lambdas: tuple[float, ...]
    sweeps: tuple[int, ...]

    @classmethod
    def of(cls, matrix, *, quick):
        """Settings for a matrix: thresholds that leave at least 3 % of its rows."""
        wanted = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
        kept = [each for each in wanted if np.mean(matrix.snr >= each) > 0.03]
        lambdas = 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e4  # the last one where nothing is to be seen
        if quick:
            return cls(tuple(kept[1::2]), (*lambdas[1::2], lambdas[-1]), (1, 3, 10))
        return cls(tuple(kept), lambdas, (1, 3, 10, 20))

    def on_edge(self, setting):
        """Names of what is at the end of its range, where the best may lie outside."""
        ends = {
            "threshold": (setting.threshold, self.thresholds),
            "lambda": (setting.lambda_, self.lambdas),
            "sweeps": (setting.sweeps, self.sweeps),
        }
        return [name for name, (value, known) in ends.items() if value in (min(known), max(known))]


class Solver:
    """Kaczmarz with a measured system matrix."""

    def __init__(self, matrix, sampling_rate, samples):
        self.matrix = matrix
        self.frequencies = np.fft.rfftfreq(samples, 1 / sampling_rate)

    def _system(self, signals, threshold, emptied):
        rows = select_rows(
            np.ones(len(self.frequencies), bool),
            self.frequencies,
            channels=signals.shape[1],
            emptied=emptied,
            min_frequency=LEAST_FREQUENCY,
            snr=self.matrix.snr,
            snr_threshold=threshold,
        )
        lines = np.arange(len(self.frequencies))
        system = rows.pick(self.matrix.spectra, lines).astype(np.complex64)
        spectra = np.fft.rfft(signals.astype(np.float64), axis=-1)
        return system, rows.pick(spectra, lines).astype(np.complex64)

    def images(self, signals, setting, *, emptied=None, positive=True):
        """Images (n, z, y, x), mol/L, of signals (n, C, V); rows of emptied lines (C, K) are left out."""
        system, data = self._system(signals, setting.threshold, emptied)
        found = kaczmarz(
            system,
            data,
            lambda_=setting.lambda_,
            iterations=setting.sweeps,
            enforce_real=True,
            enforce_positive=positive,
        )
        return self._shaped(found)

    def _shaped(self, columns):
        return np.real(columns).T.reshape(-1, *self.matrix.grid.shape)

    def errors(self, signals, references, choices, *, emptied=None):
        """NRMSE of each image with every setting: {Setting: (n,)}."""
        found = {}
        for threshold, lambda_ in product(choices.thresholds, choices.lambdas):
            system, data = self._system(signals, threshold, emptied)
            sweeps = kaczmarz_sweeps(
                system, data, lambda_=lambda_, iterations=max(choices.sweeps), enforce_positive=True
            )
            for count, state in enumerate(sweeps, start=1):
                if count in choices.sweeps:
                    images = self._shaped(state.image)
                    found[Setting(threshold, lambda_, count)] = nrmse(images, references)
        return found


def best(errors, part):
    """Return the setting with the least mean error over some images, and that error."""
    setting = min(errors, key=lambda each: errors[each][part].mean())
    return setting, float(errors[setting][part].mean())
