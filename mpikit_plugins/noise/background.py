"""The signal of the empty scanner: harmonics of the drive field that drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mpikit import DriveField, Options
from mpikit.errors import InputError, UsageError
from mpikit_plugins.noise.level import filled_power, mean_power, signal_power

Floats = NDArray[np.floating[Any]]

WAVES = 16  # cosines that make up a drift


class BackgroundOptions(Options):
    """Options of a harmonic background; ``sbr_db`` and ``amplitude`` exclude each other."""

    sbr_db: float | None = Field(
        10.0,
        allow_inf_nan=False,
        description="Signal-to-background ratio in dB: 20 log10 of the rms of the signals of a channel, over "
        "the whole measurement, over the rms of its background",
    )
    amplitude: tuple[float, ...] = Field(
        (),
        description="Rms of the background in the unit of the signal, instead of sbr_db: one value, or one "
        "for each receive channel",
    )
    lines: int = Field(12, ge=1, description="How many harmonics of each frequency of the drive field")
    decay_db: float = Field(
        3.0, ge=0, allow_inf_nan=False, description="How much weaker each harmonic is than the one before, dB"
    )
    drift: float = Field(0.05, ge=0, le=1, description="Relative change of an amplitude over the frames, rms")
    phase_drift: float = Field(
        0.03, ge=0, allow_inf_nan=False, description="Change of a phase over the frames, rad rms"
    )
    drift_frames: float = Field(
        100.0, gt=0, allow_inf_nan=False, description="Frames over which the drift is correlated"
    )

    @model_validator(mode="before")
    @classmethod
    def _amplitude_replaces_the_default(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("amplitude") and "sbr_db" not in values:
            return {**values, "sbr_db": None}
        return values

    @model_validator(mode="after")
    def _one_level(self) -> Self:
        if (self.sbr_db is None) == (not self.amplitude):
            raise ValueError("give either sbr_db or amplitude")
        if not all(0 <= value < np.inf for value in self.amplitude):
            raise ValueError("amplitude must be at least 0")
        return self


class Background:
    """Harmonics of the drive field that are the same in every period, but for a slow drift.

    Line k of channel c in frame n is A_ck · (1 + drift · u_ck(n)) · exp(i (φ_ck + phase_drift · v_ck(n))).
    The phases φ are drawn once for a measurement. u and v are smooth stationary processes of variance one and
    correlation exp(-n² / (2 drift_frames²)), as sums of random cosines (Rahimi and Recht 2007), so that they
    are known at every frame. An object that has not begun begins a measurement with each call.

    Parameters
    ----------
    options : BackgroundOptions
    """

    def __init__(self, options: BackgroundOptions) -> None:
        self.options = options

    def begin(
        self,
        *,
        power: Floats,
        samples: int,
        sampling_rate: float,
        drive_field: DriveField,
        rng: np.random.Generator,
    ) -> BegunBackground:
        """Draw phases and drift of a measurement; see `mpikit.WholeNoise`.

        Raises
        ------
        UsageError
            When the scanner is empty throughout and only a ratio is given, or when the amplitudes are of
            another number of channels.
        InputError
            When no harmonic of the drive field falls on a line.
        """
        options = self.options
        level = self._level(power)
        lines, order = drive_harmonics(drive_field, samples, sampling_rate, options.lines)
        if not len(lines):
            raise InputError(
                "no harmonic of the drive field falls on a line of the signal below half the sampling rate, "
                "so there is no background to draw",
                hint="leave the background noise out, or drive the field",
            )
        weight = 10 ** (-options.decay_db * (order - order[0]) / 20)
        shape = (len(power), len(lines))
        return BegunBackground(
            options=options,
            lines=lines,
            amplitudes=level[:, None] * weight * np.sqrt(2 / np.sum(weight**2)),
            phases=rng.uniform(0, 2 * np.pi, shape),
            rates=rng.standard_normal((WAVES, 2, *shape)) / options.drift_frames,
            offsets=rng.uniform(0, 2 * np.pi, (WAVES, 2, *shape)),
        )

    def __call__(
        self,
        clean: Floats,
        /,
        *,
        frame_index: NDArray[np.int64],
        sampling_rate: float,
        drive_field: DriveField,
        rng: np.random.Generator,
    ) -> Floats:
        """Draw a background of its own for these frames; see `mpikit.Noise`.

        Parameters
        ----------
        clean : shape (N, J, C, V), unit of the signal

        Returns
        -------
        shape (N, J, C, V), unit of the signal

        Raises
        ------
        UsageError, InputError
            See `begin`.
        """
        scanner: dict[str, Any] = {"sampling_rate": sampling_rate, "drive_field": drive_field, "rng": rng}
        begun = self.begin(power=mean_power(signal_power(clean)), samples=clean.shape[-1], **scanner)
        return begun(clean, frame_index=frame_index, **scanner)

    def _level(self, power: Floats) -> Floats:
        """Return the rms of the background in each channel (C,)."""
        if self.options.sbr_db is not None:
            filled = filled_power(power, instead="background:amplitude")
            level: Floats = np.sqrt(filled) * 10 ** (-self.options.sbr_db / 20)
            return level
        amplitude = np.array(self.options.amplitude)
        if len(amplitude) not in (1, len(power)):
            raise UsageError(
                f"{len(amplitude)} amplitudes were given, the scan has {len(power)} receive channels",
                hint="give one amplitude, or one for each channel",
            )
        return np.broadcast_to(amplitude, len(power))


@dataclass(frozen=True)
class BegunBackground:
    """The background of one measurement, a function of ``frame_index`` alone.

    Parameters
    ----------
    options : BackgroundOptions
    lines : shape (L,)
    amplitudes : shape (C, L), unit of the signal
        Of a cosine.
    phases : shape (C, L), rad
    rates : shape (W, 2, C, L), rad per frame
        Frequencies of the W cosines of the drift of amplitude and phase.
    offsets : shape (W, 2, C, L), rad
    """

    options: BackgroundOptions
    lines: NDArray[np.intp]
    amplitudes: Floats
    phases: Floats
    rates: Floats
    offsets: Floats

    def __call__(
        self,
        clean: Floats,
        /,
        *,
        frame_index: NDArray[np.int64],
        sampling_rate: float,  # noqa: ARG002
        drive_field: DriveField,  # noqa: ARG002
        rng: np.random.Generator,  # noqa: ARG002
    ) -> Floats:
        """Return the background of these frames; see `mpikit.Noise`."""
        samples = clean.shape[-1]
        single = clean.dtype == np.float32
        spectra = np.zeros((*clean.shape[:1], *clean.shape[2:3], samples // 2 + 1), "c8" if single else "c16")
        spectra[..., self.lines] = samples / 2 * self.coefficients(frame_index)
        frames = np.fft.irfft(spectra, n=samples, axis=-1)
        noise = np.empty(clean.shape, clean.dtype)
        noise[:] = frames[:, None]
        return noise

    def coefficients(self, frame_index: NDArray[np.int64]) -> NDArray[np.complex128]:
        """Complex amplitudes (N, C, L) of the lines at frames (N,)."""
        drift = np.zeros((len(frame_index), *self.rates.shape[1:]))
        for rate, offset in zip(self.rates, self.offsets, strict=True):  # one by one bounds the memory
            drift += np.cos(frame_index[:, None, None, None] * rate + offset)
        drift *= np.sqrt(2 / len(self.rates))
        strength = self.amplitudes * (1 + self.options.drift * drift[:, 0])
        turned: NDArray[np.complex128] = strength * np.exp(
            1j * (self.phases + self.options.phase_drift * drift[:, 1])
        )
        return turned


def drive_harmonics(
    drive_field: DriveField, samples: int, sampling_rate: float, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the lines at harmonics of the active frequencies of a drive field.

    Parameters
    ----------
    drive_field : DriveField
    samples : int
        V.
    sampling_rate : float, Hz
    count : int
        Harmonics of each frequency, the fundamental included.

    Returns
    -------
    lines : shape (L,)
        Lines of the rfft of a period above DC and below Nyquist, by rising order.
    order : shape (L,)
        Which harmonic each is, 1 for a fundamental; of two frequencies that meet on a line the lower order.
    """
    base = np.unique(drive_field.frequencies[drive_field.active]) * samples / sampling_rate
    order = np.repeat(np.arange(1, count + 1), len(base))
    place = order * np.tile(base, count)
    lines = np.rint(place).astype(np.intp)
    fits = (np.abs(place - lines) < 1e-6 * place) & (lines > 0) & (2 * lines < samples)
    first = np.sort(np.unique(lines[fits], return_index=True)[1])
    return lines[fits][first], order[fits][first]
