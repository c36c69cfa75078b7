"""White Gaussian noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit import DriveField, Scan
from mpikit_plugins.noise.empty import empty_noise
from mpikit_plugins.noise.level import LevelOptions, deviation, filled_power

Floats = NDArray[np.floating[Any]]


class GaussianOptions(LevelOptions):
    """Options of white Gaussian noise; ``snr_db`` and ``sigma`` exclude each other."""


class Gaussian:
    """White Gaussian noise, independent in every sample.

    With ``level="signal"`` the standard deviation is sigma = rms · 10^(-snr_db/20), rms over the V samples
    of each signal, which is what the noisy rows of Peng et al. 2023, Table II, amount to.

    Parameters
    ----------
    options : GaussianOptions
    power : shape (C,), unit of the signal squared, or None
        Mean power of the signals of the whole measurement; None takes that of each block by itself.
    """

    def __init__(self, options: GaussianOptions, power: Floats | None = None) -> None:
        self.options = options
        self.power = power

    def begin(
        self,
        *,
        power: Floats,
        samples: int,  # noqa: ARG002
        sampling_rate: float,  # noqa: ARG002
        drive_field: DriveField,  # noqa: ARG002
        rng: np.random.Generator,  # noqa: ARG002
    ) -> Gaussian:
        """Take the level of a channel, and of empty signals, from the whole; see `mpikit.WholeNoise`.

        Raises
        ------
        UsageError
            When the scanner is empty throughout and only an SNR is given.
        """
        return Gaussian(self.options, filled_power(power) if self.options.sigma is None else None)

    def __call__(
        self,
        clean: Floats,
        /,
        *,
        frame_index: NDArray[np.int64],  # noqa: ARG002
        sampling_rate: float,  # noqa: ARG002
        drive_field: DriveField,  # noqa: ARG002
        rng: np.random.Generator,
    ) -> Floats:
        """Draw noise; see `mpikit.Noise`.

        An empty signal, which is all zero, gets the noise of the mean power of its channel, with
        ``reference="peak"`` that of a sine of this power; a channel without any signal that of the others.

        Parameters
        ----------
        clean : shape (N, J, C, V), unit of the signal

        Returns
        -------
        shape (N, J, C, V), unit of the signal

        Raises
        ------
        UsageError
            When all signals are empty and only an SNR is given.
        """
        single = clean.dtype == np.float32
        draw: Floats = rng.standard_normal(clean.shape, dtype=np.float32 if single else np.float64)
        draw *= np.asarray(deviation(self.options, clean, self.power), dtype=draw.dtype)
        return draw.astype(clean.dtype, copy=False)


def fit_gaussian(scan: Scan) -> GaussianOptions:
    """Estimate sigma from the background frames of a scan.

    Neither a phase-locked background nor its drift counts as noise: from the steps between neighbouring
    acquisitions, and where phase-locked lines drift, from the lines beside them. The result is the rms over
    all channels and periods. Lines that the file does not store are taken to have as much noise as others.

    Parameters
    ----------
    scan : Scan
        With at least two background frames, or with one whose periods are alike.

    Returns
    -------
    GaussianOptions
        Of a stored sample: with averages, of their mean.

    Raises
    ------
    InputError
        With fewer, or when they have no noise at all.
    """
    samples = scan.signal.shape[-1]
    full = np.r_[scan.stored_lines, scan.stored_lines[(samples - 1) // 2 : 0 : -1]]  # all V lines of the DFT
    power = np.mean(empty_noise(scan).level.sigma ** 2) / np.mean(full)
    return GaussianOptions(sigma=float(f"{np.sqrt(power):.6g}"))
