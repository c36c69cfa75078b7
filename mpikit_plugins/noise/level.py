"""How strong noise is: a standard deviation, or a ratio to the signal."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mpikit import Options
from mpikit.errors import UsageError

Floats = NDArray[np.floating[Any]]


class LevelOptions(Options):
    """Level of Gaussian noise; ``snr_db`` and ``sigma`` exclude each other."""

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
    reference: Literal["rms", "peak"] = Field(
        "rms",
        description="What snr_db compares with sigma: the rms of a signal, or its largest absolute sample",
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
        if self.reference == "peak" and self.level == "channel":
            raise ValueError("reference=peak is the peak of a signal, and goes with level=signal only")
        return self


def deviation(options: LevelOptions, clean: Floats, power: Floats | None) -> Floats | float:
    """Return the standard deviation of the noise of each signal.

    An empty signal has the mean power of its channel, and for ``reference="peak"`` the peak of a sine of
    that power.

    Parameters
    ----------
    options : LevelOptions
    clean : shape (N, J, C, V), unit of the signal
    power : shape (C,), unit of the signal squared, or None
        Mean power of the signals of the whole measurement, nowhere 0. None takes that of ``clean``.

    Returns
    -------
    a number, or shape (N, J, C, 1) or (C, 1), unit of the signal

    Raises
    ------
    UsageError
        When all signals are empty, and neither a power nor sigma is known.
    """
    if options.sigma is not None:
        return options.sigma
    assert options.snr_db is not None  # noqa: S101 - the options have checked it
    factor = 10 ** (-options.snr_db / 20)
    if options.level == "channel" and power is not None:
        return factor * np.sqrt(power)[:, None]
    each = signal_power(clean)
    if power is None:
        power = filled_power(mean_power(each))
    if options.level == "channel":
        wanted = power
    elif options.reference == "peak":
        peak = np.maximum(np.max(clean, axis=-1), -np.min(clean, axis=-1)).astype(float)
        wanted = np.where(each > 0, peak**2, 2 * power)
    else:
        wanted = np.where(each > 0, each, power)
    return factor * np.sqrt(wanted)[..., None]


def signal_power(clean: Floats) -> Floats:
    """Mean square over the samples, (N, J, C) for signals (N, J, C, V)."""
    power: Floats = np.einsum("njcv,njcv->njc", clean, clean, dtype=np.float64)
    power /= clean.shape[-1]
    return power


def mean_power(each: Floats) -> Floats:
    """Mean power (C,) of the signals (N, J, C) that are not empty; 0 where there is none."""
    mean: Floats = np.sum(each, axis=(0, 1)) / np.maximum(np.sum(each > 0, axis=(0, 1)), 1)
    return mean


def filled_power(power: Floats, *, instead: str = "sigma") -> Floats:
    """Give a channel that sees nothing the mean power of the others.

    Parameters
    ----------
    power : shape (C,), unit of the signal squared
    instead : str
        Option that needs no signal, for the hint.

    Raises
    ------
    UsageError
        When no channel sees anything.
    """
    power = np.asarray(power, dtype=float)
    if not np.any(power > 0):
        raise UsageError(
            "every signal is empty, so that a ratio of the signal to the noise says nothing",
            hint=f"give {instead}=..., in the unit of the signal, as in gaussian:sigma=2e-6",
        )
    return np.where(power > 0, power, np.mean(power[power > 0]))
