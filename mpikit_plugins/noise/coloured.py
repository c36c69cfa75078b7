"""Gaussian noise with a spectrum, and with a covariance of the channels."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mpikit import DriveField, Scan
from mpikit.errors import InputError, UsageError
from mpikit_plugins.noise.empty import empty_noise
from mpikit_plugins.noise.level import LevelOptions, deviation, filled_power

Floats = NDArray[np.floating[Any]]

BANDS = 48  # of a fitted spectrum
FULL_RANK = 1e-5  # least eigenvalue of a fitted covariance, relative to the largest: it survives rounding
ROUNDING = 1e-6  # how negative an eigenvalue of a covariance may be, relative to the largest


class ColouredOptions(LevelOptions):
    """Options of coloured noise: a level, a spectrum, and a covariance of the channels."""

    exponent: float = Field(
        1.0,
        ge=0,
        le=8,
        description="Power spectral density 1 + (corner/f)^exponent: white noise and 1/f noise",
    )
    corner: float = Field(
        10e3,
        ge=0,
        allow_inf_nan=False,
        description="Frequency in Hz at which both are equal; 0 leaves the white noise, or the table, alone",
    )
    frequencies: tuple[float, ...] = Field(
        (), description="Frequencies in Hz of a table, increasing; a table switches the default corner off"
    )
    levels: tuple[float, ...] = Field(
        (), description="Relative power spectral density at these frequencies; multiplies that of corner"
    )
    correlation: float = Field(
        0.0, ge=-1, le=1, description="Correlation of the noise of any two receive channels"
    )
    covariance: tuple[float, ...] = Field(
        (), description="Covariance of the receive channels in units of sigma², C · C values, row by row"
    )

    @model_validator(mode="before")
    @classmethod
    def _table_replaces_the_default(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("frequencies") and "corner" not in values:
            return {**values, "corner": 0.0}
        return values

    @model_validator(mode="after")
    def _table_and_covariance(self) -> Self:
        _check_table(np.array(self.frequencies), np.array(self.levels))
        if self.covariance and self.correlation:
            raise ValueError("give either correlation or covariance")
        if self.covariance:
            matrix = _square(self.covariance)
            if self.sigma is None and not np.allclose(np.diag(matrix), 1):
                raise ValueError(
                    "with snr_db the diagonal of covariance must be 1, for the ratio sets the level"
                )
        return self


def _check_table(frequencies: Floats, levels: Floats) -> None:
    if len(frequencies) != len(levels):
        raise ValueError(f"{len(frequencies)} frequencies and {len(levels)} levels make no table")
    if not np.all(np.isfinite(levels) & (levels > 0)):
        raise ValueError("levels must be above 0")
    if not np.all(np.isfinite(frequencies) & (np.diff(frequencies, prepend=0) > 0)):
        raise ValueError("frequencies must be above 0 and increase")


def _square(covariance: tuple[float, ...]) -> Floats:
    """Return the covariance as a matrix (C, C); a ValueError when it is none."""
    channels = round(len(covariance) ** 0.5)
    if channels**2 != len(covariance):
        raise ValueError(f"covariance has {len(covariance)} values, expected C · C for C channels")
    matrix = np.reshape(covariance, (channels, channels))
    if not np.all(np.isfinite(matrix)) or not np.allclose(matrix, matrix.T):
        raise ValueError("covariance must be symmetric")
    values = np.linalg.eigvalsh(matrix)
    if values[0] < -ROUNDING * values[-1] or values[-1] <= 0:
        raise ValueError("covariance must have no negative eigenvalue")
    return matrix


class Coloured:
    """Stationary Gaussian noise of any spectrum.

    Each period is drawn by itself, from independent lines of the DFT of its V samples: it is periodic as the
    signal is, and two periods are independent however slow the noise. All channels have one spectrum. DC has
    the power of the first line. The standard deviation of a sample is that of the level, whatever the
    spectrum.

    Parameters
    ----------
    options : ColouredOptions
    power : shape (C,), unit of the signal squared, or None
        Mean power of the signals of the whole measurement; None takes that of each block by itself.
    """

    def __init__(self, options: ColouredOptions, power: Floats | None = None) -> None:
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
    ) -> Coloured:
        """Take the level of a channel, and of empty signals, from the whole; see `mpikit.WholeNoise`.

        Raises
        ------
        UsageError
            When the scanner is empty throughout and only an SNR is given, or when the covariance is of
            another number of channels, or is between channels and there is one.
        """
        channel_root(self.options, len(power))
        return Coloured(self.options, filled_power(power) if self.options.sigma is None else None)

    def __call__(
        self,
        clean: Floats,
        /,
        *,
        frame_index: NDArray[np.int64],  # noqa: ARG002
        sampling_rate: float,
        drive_field: DriveField,  # noqa: ARG002
        rng: np.random.Generator,
    ) -> Floats:
        """Draw noise; see `mpikit.Noise`.

        Parameters
        ----------
        clean : shape (N, J, C, V), unit of the signal

        Returns
        -------
        shape (N, J, C, V), unit of the signal

        Raises
        ------
        UsageError
            When all signals are empty and only an SNR is given, or when the covariance is of another number
            of channels.
        """
        samples = clean.shape[-1]
        dtype = np.float32 if clean.dtype == np.float32 else np.float64
        root = channel_root(self.options, clean.shape[2])
        lines = np.sqrt(samples * line_density(self.options, samples, sampling_rate) / 2)
        lines[0] *= np.sqrt(2)  # DC and Nyquist are real
        if samples % 2 == 0:
            lines[-1] *= np.sqrt(2)
        parts = rng.standard_normal((*clean.shape[:-1], len(lines), 2), dtype=dtype)
        parts *= lines[:, None].astype(dtype)
        spectra = parts.view(np.result_type(dtype, np.complex64))[..., 0]
        draw: Floats = np.fft.irfft(spectra, n=samples, axis=-1)
        if root is not None:
            draw = np.matmul(root.astype(dtype), draw)
        draw *= np.asarray(deviation(self.options, clean, self.power), dtype=dtype)
        return draw.astype(clean.dtype, copy=False)


def line_density(options: ColouredOptions, samples: int, sampling_rate: float) -> Floats:
    """Power spectral density of each line, 1 in the mean over all V lines of the DFT; shape (K,)."""
    frequencies = np.fft.rfftfreq(samples, 1 / sampling_rate)
    frequencies[0] = sampling_rate / samples  # DC like the first line
    density = 1 + (options.corner / frequencies) ** options.exponent
    if options.frequencies:
        density *= _table(frequencies, np.array(options.frequencies), np.array(options.levels))
    full = np.r_[density, density[(samples - 1) // 2 : 0 : -1]]
    normalised: Floats = density / np.mean(full)
    return normalised


def _table(at: Floats, frequencies: Floats, levels: Floats) -> Floats:
    """Interpolate on two logarithmic axes; constant beyond the ends."""
    between: Floats = np.exp(np.interp(np.log(at), np.log(frequencies), np.log(levels)))
    return between


def channel_root(options: ColouredOptions, channels: int) -> Floats | None:
    """Return the symmetric root (C, C) of the covariance of the channels; None when they are independent.

    Raises
    ------
    UsageError
        When no such covariance exists for this number of channels.
    """
    if options.covariance:
        matrix = _square(options.covariance)
    elif options.correlation:
        if channels == 1:
            raise UsageError(
                f"correlation={options.correlation:g} is between receive channels, and the scan has one",
                hint="leave correlation out",
            )
        matrix = np.full((channels, channels), options.correlation)
        np.fill_diagonal(matrix, 1)
    else:
        return None
    if len(matrix) != channels:
        raise UsageError(
            f"the covariance is of {len(matrix)} receive channels, the scan has {channels}",
            hint=f"give covariance={channels**2} values, row by row",
        )
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -ROUNDING * values[-1]:
        raise UsageError(
            f"{channels} receive channels cannot all have the correlation {options.correlation:g}",
            hint=f"the lowest that is possible is {-1 / (channels - 1):.3g}",
        )
    root: Floats = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


def fit_coloured(scan: Scan) -> ColouredOptions:
    """Estimate level, spectrum and covariance from the background frames of a scan.

    As for `fit_gaussian`, neither a phase-locked background nor its drift counts. The spectrum is the mean
    over frames, periods and channels in up to 48 bands that are equally wide on a logarithmic axis; what the
    file does not store is filled from the bands beside it. The covariance is that of samples at one time.

    Parameters
    ----------
    scan : Scan
        With at least two background frames, or with one whose periods are alike.

    Returns
    -------
    ColouredOptions
        Of a stored sample: with averages, of their mean.

    Raises
    ------
    InputError
        With fewer, or when they have no noise at all.
    """
    samples = scan.signal.shape[-1]
    noise = empty_noise(scan)
    power = np.mean(noise.spectrum.raw, axis=0) / samples
    frequencies, levels = _bands(scan.frequencies, power, scan.stored_lines)
    covariance = _full_rank(np.nan_to_num(noise.correlation) * np.outer(noise.level.sigma, noise.level.sigma))
    if not len(levels) or not np.any(np.diag(covariance) > 0):
        raise InputError(
            f"the background frames of {scan.name} have no noise above 0 Hz, so they show no spectrum",
            hint="use another file, or give the options yourself",
        )
    density = _table(np.maximum(scan.frequencies, scan.frequencies[1]), frequencies, levels)
    total = np.mean(np.r_[density, density[(samples - 1) // 2 : 0 : -1]])
    return ColouredOptions(
        sigma=float(f"{np.sqrt(total):.6g}"),
        frequencies=tuple(float(f"{value:.6g}") for value in frequencies),
        levels=tuple(float(f"{value:.4g}") for value in levels / total),
        covariance=tuple(np.round(covariance / np.mean(np.diag(covariance)), 6).ravel().tolist()),
    )


def _full_rank(covariance: Floats) -> Floats:
    """Lift the least eigenvalues (C, C): estimates from few lines may be negative."""
    values, vectors = np.linalg.eigh(covariance)
    lifted: Floats = (vectors * np.maximum(values, FULL_RANK * values[-1])) @ vectors.T
    return (lifted + lifted.T) / 2


def _bands(frequencies: Floats, power: Floats, stored: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Mean frequency and power of the lines (K,) in each band that has any; DC is left out."""
    used = stored & (frequencies > 0)
    if not used.any():
        return frequencies[:0], power[:0]
    edges = np.geomspace(frequencies[1], frequencies[-1], BANDS + 1)
    band = np.digitize(frequencies[used], edges[1:-1])
    count = np.bincount(band, minlength=BANDS)
    means = [np.bincount(band, values[used], BANDS) / np.maximum(count, 1) for values in (frequencies, power)]
    filled = means[1] > 0
    return means[0][filled], means[1][filled]
