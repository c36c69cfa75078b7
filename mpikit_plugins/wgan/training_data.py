"""What the networks learn from, and what is kept back of the noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit_plugins.training.repeats import Signals
from mpikit_plugins.wgan.amplitude import clean_amplitudes
from mpikit_plugins.wgan.batches import Measured
from mpikit_plugins.wgan.options import WassersteinOptions
from mpikit_plugins.wgan.response import TEMPLATES, Denoise, Response, measure_response

EVERY = 5  # of so many noise samples one is kept back
ENOUGH = 10  # noise samples from which on some are kept back


@dataclass(frozen=True)
class TrainingData:
    """Samples in units of the noise, free of its mean.

    Parameters
    ----------
    measured : Measured
        Noisy periods.
    noise, blanks : shape (E, C, W)
        Noise samples to learn from, and those that were kept back: the same where there are few.
    noise_power : float
        Mean squared sample of the noise.
    size : float
        Root mean square of the noisy periods.
    templates : shape (T, C, W)
        The strongest signals.
    repeated : bool
        They are means of repeats; else single noisy periods.
    scale : callable
        Size and condition of a measurement, from amplitudes (B,).
    """

    measured: Measured
    noise: Signals
    blanks: Signals
    noise_power: float
    size: float
    templates: Signals
    repeated: bool
    scale: Callable[[NDArray[np.float64]], tuple[NDArray[np.float32], NDArray[np.float32]]]

    def response(self, denoise: Denoise) -> Response:
        """Measure what the generator does with noise alone and with amplitudes."""
        templates = self.templates if self.repeated else denoise(self.templates)
        found = self.measured.amplitude
        trained = float(found.min()), float(found.max())
        return measure_response(denoise, templates, self.blanks, trained, self.noise_power**0.5)


def training_data(
    groups: Sequence[Signals],
    pool: Signals,
    seen: Callable[[Signals], Signals],
    options: WassersteinOptions,
) -> TrainingData:
    """Bring the data of a training together.

    Parameters
    ----------
    groups : sequence of shape (B, R, C, V)
        Noisy repeats of clean signals.
    pool : shape (E, C, V)
        Noise samples.
    seen : callable
        What is done to signals before the networks.
    options : WassersteinOptions
    """
    noise = seen(pool)
    power = float(np.mean(noise.astype(np.float64) ** 2)) or 1.0  # noise of nothing needs no unit
    kept = np.arange(len(noise)) % EVERY == EVERY - 1 if len(noise) >= ENOUGH else np.ones(len(noise), bool)
    learnt = ~kept if len(noise) >= ENOUGH else kept
    arrays = [seen(group) for group in groups]
    strengths = [clean_amplitudes(array, power)[0] for array in arrays]
    scale = _scale(np.concatenate(strengths), power, options)
    measured = _measured(arrays, strengths, scale)
    repeated = any(array.shape[1] > 1 for array in arrays)
    return TrainingData(
        measured,
        noise[learnt],
        noise[kept],
        power,
        float(np.sqrt(np.mean(measured.signal.astype(np.float64) ** 2))) or 1.0,
        _strongest(arrays, strengths, repeated=repeated),
        repeated,
        scale,
    )


def _scale(
    strengths: NDArray[np.float64], power: float, options: WassersteinOptions
) -> Callable[[NDArray[np.float64]], tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Say what critics divide by, and what they are told: a logarithm of mean 0 and deviation 1."""
    logs = np.log(strengths)
    middle, spread = logs.mean(), max(logs.std(), 1e-6)

    def scale(amplitude: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        signal = amplitude**2 if options.divide == "measurement" else np.zeros_like(amplitude)
        told = (np.log(amplitude) - middle) / spread
        return np.sqrt(signal + power).astype(np.float32), told.astype(np.float32)

    return scale


def _measured(
    arrays: Sequence[Signals],
    strengths: Sequence[NDArray[np.float64]],
    scale: Callable[[NDArray[np.float64]], tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> Measured:
    counts = np.concatenate([np.full(len(array), array.shape[1]) for array in arrays])
    amplitude = np.repeat(np.concatenate(strengths), counts)
    signal = np.concatenate([array.reshape(-1, *array.shape[2:]) for array in arrays])
    return Measured(signal, *scale(amplitude), amplitude, np.repeat(np.arange(len(counts)), counts))


def _strongest(
    arrays: Sequence[Signals], strengths: Sequence[NDArray[np.float64]], *, repeated: bool
) -> Signals:
    """Return the strongest signals (T, C, W), means of repeats where some scan has any."""
    used = [number for number, array in enumerate(arrays) if array.shape[1] > 1 or not repeated]
    means = np.concatenate([arrays[number].mean(axis=1) for number in used])
    order = np.argsort(-np.concatenate([strengths[number] for number in used]), kind="stable")
    return means[order[:TEMPLATES]].astype(np.float32)
