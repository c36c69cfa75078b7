"""mpikit-box: a running mean over each period, and mains hum."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from mpikit import Denoiser, NoiseModel, Options, StatelessMethod, hookimpl


class BoxOptions(Options):
    """Options of the running mean."""

    width: int = Field(5, ge=1, description="Width of the window, in samples")


class Box(StatelessMethod):
    """Replace every sample by the mean of the samples around it; a period is a circle."""

    def __init__(self, options: BoxOptions) -> None:
        self.options = options

    def denoise(self, scan, /, *, run):
        from scipy.ndimage import uniform_filter1d

        return uniform_filter1d(scan.signal, self.options.width, axis=-1, mode="wrap")


class HumOptions(Options):
    """Options of the hum."""

    frequency: float = Field(50.0, gt=0, description="Frequency of the mains, in Hz")
    sir_db: float = Field(20.0, description="Signal-to-interference ratio, in dB")


class Hum:
    """Add a sine of the mains to every channel, with one phase for the whole scan."""

    def __init__(self, options: HumOptions) -> None:
        self.options = options

    def __call__(self, clean, /, *, frame_index, sampling_rate, drive_field, rng):
        _, periods, _, samples = clean.shape
        sample = np.arange(periods * samples).reshape(periods, 1, samples)
        time = (frame_index[:, None, None, None] * periods * samples + sample) / sampling_rate
        phase = rng.uniform(0, 2 * np.pi)
        level = np.sqrt(2 * np.mean(np.square(clean, dtype=float))) * 10 ** (-self.options.sir_db / 20)
        hum = level * np.sin(2 * np.pi * self.options.frequency * time + phase)
        return np.broadcast_to(hum, clean.shape).astype(clean.dtype)


@hookimpl
def mpikit_denoisers():
    yield Denoiser(
        name="box",
        summary="Running mean over each period",
        options=BoxOptions,
        build=Box,
        homogeneous=True,
    )


@hookimpl
def mpikit_noise_models():
    yield NoiseModel(name="hum", summary="Hum of the mains", options=HumOptions, build=Hum)
