"""The receive chain: what becomes of the voltage of the coils on its way into the file.

The steps are, in this order: feed-through of the drive field, transfer function, high-pass, notch,
decimation. Each is there only when the `Receiver` has it. The signal is periodic, so every filter is exact:
a product on the lines of one period, without transients and without leakage. Noise, ADC and averages come
after these steps, and are up to the simulation of a scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError
from mpikit.scanner import DriveField
from mpikit.signal.noise import line_weights
from mpikit.simulate.adc import Adc
from mpikit.simulate.filters import HighPass, Notch, TransferFunction
from mpikit.simulate.quantities import check_positive, check_whole, real_array

__all__ = [
    "Adc",
    "HighPass",
    "Notch",
    "Receiver",
    "TransferFunction",
    "chain_response",
    "check_sampling",
    "empty_signal",
    "receive",
    "steps",
]

Floats = NDArray[np.float64]

MOST_ALIASED = 1e-3  # of the rms of the signal may lie beyond the Nyquist frequency
_FAINTEST = 1e-6  # channels with less than this of the strongest one hold rounding errors, or might as well


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Receive coils, sampling, and the chain between them.

    Parameters
    ----------
    sensitivity : shape (C, 3), T/A
        Field that a coil would make with a current of 1 A, the same everywhere (principle of reciprocity).
    bandwidth : float, Hz
        Half of the sampling rate of the stored signal.
    oversampling : int
        The voltage of the coils is formed at this many times the sampling rate; above 1 it is decimated: an
        ideal filter keeps the lines below the bandwidth, and the Nyquist line of an even number of samples is
        zero.
    feed_through : shape (C, D), m², or None
        Effective turn area A that a coil has left towards each drive coil: it receives -Σ_d A_d dB_d/dt, in
        empty frames too.
    transfer_function : TransferFunction or None
    high_pass : HighPass or None
    notch : Notch or None
        At every active frequency of the drive field.
    adc : Adc or None
    averages : int
        Periods that the scanner averages into a stored one.

    Raises
    ------
    UsageError
        When a value is impossible, or the steps are for different numbers of channels.
    """

    sensitivity: Floats
    bandwidth: float
    oversampling: int = 1
    feed_through: Floats | None = None
    transfer_function: TransferFunction | None = None
    high_pass: HighPass | None = None
    notch: Notch | None = None
    adc: Adc | None = None
    averages: int = 1

    def __post_init__(self) -> None:
        sensitivity = real_array("the sensitivity of the receive coils", self.sensitivity)
        if sensitivity.ndim != 2 or sensitivity.shape[1] != 3 or not sensitivity.size:
            raise UsageError(
                f"the sensitivity of the receive coils has the shape {sensitivity.shape}, "
                "expected three numbers in T/A for each coil"
            )
        object.__setattr__(self, "sensitivity", sensitivity)
        check_positive("the bandwidth of the receiver", self.bandwidth, "Hz")
        check_whole("the oversampling of the receiver", self.oversampling, least=1)
        check_whole("the number of averages of the receiver", self.averages, least=1)
        if not np.any(sensitivity):
            raise UsageError("the receive coils have no sensitivity: they see nothing")
        if self.adc is not None and self.adc.levels // 2 * self.averages > 1 << 31:
            raise UsageError(
                f"the sum of {self.averages} averages with {self.adc.bits} bits does not fit 32 bits",
                hint="take fewer averages or bits",
            )
        self._check_feed_through()
        self._check_transfer_function()

    @property
    def sampling_rate(self) -> float:
        """Stored samples in a second, Hz."""
        return 2 * self.bandwidth

    @property
    def channels(self) -> int:
        """Number C of receive channels."""
        return len(self.sensitivity)

    def _check_feed_through(self) -> None:
        if self.feed_through is None:
            return
        areas = real_array("the feed-through of the receiver", self.feed_through)
        if areas.ndim != 2 or len(areas) != self.channels or not areas.size:
            raise UsageError(
                f"the feed-through of the receiver has the shape {areas.shape}, expected "
                f"{self.channels} rows (receive channels) with an area in m² for each drive channel"
            )
        object.__setattr__(self, "feed_through", areas)

    def _check_transfer_function(self) -> None:
        table = self.transfer_function
        if table is None:
            return
        for name, values in (("gain", table.gain), ("phase", table.phase)):
            if values.ndim == 2 and len(values) != self.channels:
                raise UsageError(
                    f"the {name} of the transfer function is for {len(values)} receive channels, "
                    f"expected {self.channels}"
                )


def chain_response(
    receiver: Receiver, drive_field: DriveField, samples: int
) -> NDArray[np.complex128] | None:
    """Return what transfer function, high-pass and notch together do to the lines of a stored period.

    It is what MDF calls the transfer function: the stored spectrum over that of the coil voltage. DC and, for
    an even number of samples, the Nyquist line are real, for sampling keeps no phase of them. What decimation
    does to the Nyquist line is not in it.

    Parameters
    ----------
    receiver : Receiver
    drive_field : DriveField
    samples : int
        V.

    Returns
    -------
    shape (C, K), 1, or None
        None when the receiver has no such step.
    """
    frequencies: Floats = np.arange(samples // 2 + 1, dtype=np.float64) * (receiver.sampling_rate / samples)
    parts = []
    if receiver.transfer_function is not None:
        parts.append(receiver.transfer_function.response(frequencies))
    if receiver.high_pass is not None:
        parts.append(receiver.high_pass.response(frequencies))
    if receiver.notch is not None:
        centres = drive_field.frequencies[drive_field.active]
        parts.append(receiver.notch.response(frequencies, centres))
    if not parts:
        return None
    response = np.ones((receiver.channels, len(frequencies)), complex)
    for part in parts:
        response *= part
    response.imag[:, 0] = 0
    if samples % 2 == 0:
        response.imag[:, -1] = 0
    return response


def receive(
    receiver: Receiver, drive_field: DriveField, coil_voltage: Floats, *, period: int = 0, samples: int
) -> Floats:
    """Return what arrives at the converter when particles induce a voltage in the coils.

    Parameters
    ----------
    receiver : Receiver
    drive_field : DriveField
    coil_voltage : shape (..., C, V * oversampling), V
        Of one whole drive-field period; it is not changed.
    period : int
        Index j of the period, whose drive field feeds through.
    samples : int
        V.

    Returns
    -------
    shape (..., C, V), V
        ``coil_voltage`` itself when there is nothing to do.

    Raises
    ------
    UsageError
        When the feed-through is for another number of drive channels.
    ValueError
        When the voltage has another shape.
    """
    expected = (receiver.channels, samples * receiver.oversampling)
    if coil_voltage.shape[-2:] != expected:
        raise ValueError(f"a coil voltage of shape {coil_voltage.shape} does not end in {expected}")
    feed_through = _feed_through(receiver, drive_field, samples, period)
    voltage = coil_voltage if feed_through is None else coil_voltage + feed_through
    response = chain_response(receiver, drive_field, samples)
    if response is None and receiver.oversampling == 1:
        return voltage
    spectra = np.fft.rfft(voltage, axis=-1)[..., : samples // 2 + 1]
    if response is not None:
        spectra = spectra * response
    if receiver.oversampling > 1 and samples % 2 == 0:
        spectra[..., -1] = 0
    return np.fft.irfft(spectra / receiver.oversampling, n=samples, axis=-1)


def empty_signal(receiver: Receiver, drive_field: DriveField, *, samples: int, period: int = 0) -> Floats:
    """Return what arrives at the converter without any particles: the feed-through behind the chain.

    Parameters
    ----------
    receiver : Receiver
    drive_field : DriveField
    samples : int
        V.
    period : int
        Index j of the period.

    Returns
    -------
    shape (C, V), V
        Zero without feed-through.

    Raises
    ------
    UsageError
        When the feed-through is for another number of drive channels.
    """
    if receiver.feed_through is None:
        return np.zeros((receiver.channels, samples))
    silence = np.zeros((receiver.channels, samples * receiver.oversampling))
    return receive(receiver, drive_field, silence, period=period, samples=samples)


def steps(receiver: Receiver) -> dict[str, Any]:
    """Return what each step that the receiver has does, ready for JSON and in SI units.

    A transfer function is told by the ends of its table; the file holds the response of the whole chain.
    """
    described: dict[str, Any] = {}
    if receiver.feed_through is not None:
        described["feed_through"] = {"area": receiver.feed_through.tolist()}
    table = receiver.transfer_function
    if table is not None:
        described["transfer_function"] = {
            "entries": len(table.frequencies),
            "frequencies": [float(table.frequencies[0]), float(table.frequencies[-1])],
            "gain": [float(table.gain.min()), float(table.gain.max())],
            "phase": [float(table.phase.min()), float(table.phase.max())],
        }
    if (high_pass := receiver.high_pass) is not None:
        described["high_pass"] = {"frequency": float(high_pass.frequency), "order": int(high_pass.order)}
    if receiver.notch is not None:
        described["notch"] = {"quality": float(receiver.notch.quality)}
    if receiver.oversampling > 1:
        described["decimation"] = {"oversampling": int(receiver.oversampling)}
    if (adc := receiver.adc) is not None:
        described["adc"] = {"bits": int(adc.bits), "full_scale": float(adc.full_scale)}
    if receiver.averages > 1:
        described["averages"] = {"periods": int(receiver.averages)}
    return described


def check_sampling(
    receiver: Receiver, drive_field: DriveField, coil_voltage: Floats, *, samples: int
) -> None:
    """Refuse a receiver that cannot hold the particle signal.

    The bandwidth has to hold the third harmonic of each drive frequency, the first that particles alone emit
    when nothing else shifts them. Without decimation, no more than `MOST_ALIASED` of the rms of the signal
    may lie beyond the Nyquist frequency, in any channel: it would fold back into the kept lines before a
    filter could take it away.

    Parameters
    ----------
    receiver : Receiver
    drive_field : DriveField
    coil_voltage : shape (C, V * m), V
        The strongest particle signal, formed at m times the stored sampling rate. Without decimation m has to
        be 2 or more, or nothing could be seen.
    samples : int
        V.

    Raises
    ------
    UsageError
        When the bandwidth is too low, or the feed-through is for another number of drive channels.
    ValueError
        When the voltage has another shape.
    """
    factor, rest = divmod(coil_voltage.shape[-1], samples)
    if len(coil_voltage) != receiver.channels or rest or factor < (2 if receiver.oversampling == 1 else 1):
        raise ValueError(f"a coil voltage of shape {coil_voltage.shape} does not show {samples} samples")
    _check_drive_channels(receiver, drive_field)
    _check_third_harmonics(receiver, drive_field, samples)
    if receiver.oversampling == 1:
        _check_aliasing(receiver, coil_voltage, samples)


def _feed_through(receiver: Receiver, drive_field: DriveField, samples: int, period: int) -> Floats | None:
    """Return the voltage (C, V * oversampling) that the drive field leaves in the coils."""
    if receiver.feed_through is None:
        return None
    _check_drive_channels(receiver, drive_field)
    formed = samples * receiver.oversampling
    times = np.arange(formed) / (receiver.sampling_rate * receiver.oversampling)
    return -receiver.feed_through @ drive_field.rate(times, period).T


def _check_drive_channels(receiver: Receiver, drive_field: DriveField) -> None:
    if receiver.feed_through is None:
        return
    found, expected = receiver.feed_through.shape[1], len(drive_field.dividers)
    if found != expected:
        raise UsageError(
            f"the feed-through of the receiver is for {found} drive channels, expected {expected}"
        )


def _check_third_harmonics(receiver: Receiver, drive_field: DriveField, samples: int) -> None:
    active = drive_field.frequencies[drive_field.active]
    if not active.size:
        return
    spacing = receiver.sampling_rate / samples
    line = round(
        3 * float(active.max()) / spacing
    )  # whole numbers, for a bandwidth of exactly 3 f is too low
    if 2 * line >= samples:
        raise UsageError(
            f"a sampling rate of {receiver.sampling_rate:.10g} Hz does not hold the third harmonic of the "
            f"drive field, {line * spacing:.10g} Hz: no particle signal could be told from the excitation",
            hint=f"raise receiver.bandwidth to {(line + 1) * spacing:.10g} Hz or more",
        )


def _check_aliasing(receiver: Receiver, coil_voltage: Floats, samples: int) -> None:
    power = np.abs(np.fft.rfft(coil_voltage, axis=-1)) ** 2 * line_weights(coil_voltage.shape[-1])
    total = power.sum(axis=-1)
    scale = np.maximum(total, _FAINTEST**2 * total.max())
    beyond = np.cumsum(power[:, ::-1], axis=-1)[:, ::-1]  # power of each line and all above it
    reached = np.flatnonzero(np.any(beyond >= MOST_ALIASED**2 * scale[:, None], axis=0) & (total.max() > 0))
    if not reached.size or 2 * reached[-1] < samples:
        return
    highest, spacing = int(reached[-1]), receiver.sampling_rate / samples
    decimate = f"decimate, with receiver.oversampling={2 * highest // samples + 1} or more"
    seen = highest < 0.9 * (power.shape[-1] - 1)  # else it reaches further than can be seen from here
    raise UsageError(
        f"a sampling rate of {receiver.sampling_rate:.10g} Hz is too low: the particle signal reaches up to "
        f"{highest * spacing:.10g} Hz, expected no more than {MOST_ALIASED:g} of its rms from "
        f"{receiver.bandwidth:.10g} Hz on",
        hint=f"raise receiver.bandwidth to {(highest + 1) * spacing:.10g} Hz or more, or {decimate}"
        if seen
        else decimate,
    )
