"""White Gaussian noise."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mpikit import DriveField, Options, Scan
from mpikit.errors import InputError, UsageError

Floats = NDArray[np.floating[Any]]


class GaussianOptions(Options):
    """Options of white Gaussian noise; ``snr_db`` and ``sigma`` exclude each other."""

    snr_db: float | None = Field(
        15.0,
        allow_inf_nan=False,
        description="Signal-to-noise ratio in dB: 20 log10 of the rms of a signal over one period over sigma",
    )
    sigma: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Standard deviation in the unit of the signal, instead of snr_db",
    )
    level: Literal["signal", "channel"] = Field(
        "signal",
        description="What snr_db refers to: each signal by itself, or the mean power of all in its channel",
    )

    @model_validator(mode="before")
    @classmethod
    def _sigma_replaces_the_default(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("sigma") is not None and "snr_db" not in values:
            return {**values, "snr_db": None}
        return values

    @model_validator(mode="after")
    def _one_level(self) -> Self:
        if (self.snr_db is None) == (self.sigma is None):
            raise ValueError("give either snr_db or sigma")
        return self


class Gaussian:
    """White Gaussian noise, independent in every sample.

    With ``level="signal"`` the standard deviation is sigma = rms · 10^(-snr_db/20), rms over the V samples
    of each signal, which is what the noisy rows of Peng et al. 2023, Table II, amount to.

    Parameters
    ----------
    options : GaussianOptions
    """

    def __init__(self, options: GaussianOptions) -> None:
        self.options = options

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

        An empty signal, which is all zero, gets the noise of the mean power of the others in its channel.

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
        draw: Floats = rng.standard_normal(clean.shape)
        draw *= self._deviation(clean)
        return draw.astype(clean.dtype, copy=False)

    def _deviation(self, clean: Floats) -> Floats | float:
        """Return the standard deviation, a number or of shape (N, J, C, 1) or (C, 1)."""
        if self.options.sigma is not None:
            return self.options.sigma
        assert self.options.snr_db is not None  # noqa: S101 - the options have checked it
        power = np.mean(np.square(clean, dtype=float), axis=-1)
        mean = _mean_of_filled(power)
        wanted = np.where(power > 0, power, mean) if self.options.level == "signal" else mean
        deviation: Floats = np.sqrt(wanted)[..., None] * 10 ** (-self.options.snr_db / 20)
        return deviation


def _mean_of_filled(power: Floats) -> Floats:
    """Mean power (C,) of the signals (N, J, C) that are not empty; a channel without any takes all."""
    filled = power > 0
    if not np.any(filled):
        raise UsageError(
            "every signal is empty, so that a signal-to-noise ratio says nothing",
            hint="give the noise as gaussian:sigma=..., in the unit of the signal",
        )
    mean: Floats = np.sum(power, axis=(0, 1)) / np.maximum(np.sum(filled, axis=(0, 1)), 1)
    return np.where(mean > 0, mean, np.mean(power[filled]))


def fit_gaussian(scan: Scan) -> GaussianOptions:
    """Estimate sigma from the background frames of a scan.

    The differences of successive frames are used, so that neither the constant background nor its slow
    drift counts as noise. The result is the rms over all channels and periods.

    Parameters
    ----------
    scan : Scan
        With at least two background frames.

    Raises
    ------
    InputError
        With fewer than two.
    """
    if len(scan.background) < 2:
        raise InputError(
            f"{scan.name} has {len(scan.background)} background frames, and an estimate needs two",
            hint="use a file with an empty measurement, or give sigma",
        )
    ordered = scan.background[np.argsort(scan.background_index)].astype(float)
    return GaussianOptions(sigma=float(np.sqrt(np.mean(np.diff(ordered, axis=0) ** 2) / 2)))
