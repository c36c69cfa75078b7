"""What is measured behind the receive chain: noise, ADC and averages, in blocks of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import NumericalError, UsageError
from mpikit.records import Noise, WholeNoise
from mpikit.scan import Corrections, Repeats, Scan
from mpikit.scanner import DriveField, SelectionField
from mpikit.simulate.presets import Preset
from mpikit.simulate.receive import Receiver

Floats = NDArray[np.float64]
LARGEST = 1e30  # V, which single precision holds


@dataclass(frozen=True)
class Acquired:
    """Some frames as the scanner gives them.

    Parameters
    ----------
    stored : shape (n, J, C, V)
        What a file holds: V as float32, or counts of the ADC, summed over the averages.
    volts : shape (n, J, C, V), V
        The same in volts; shares memory with ``stored`` if that is in volts.
    clipped : float
        Share of the samples that were beyond the range of the ADC.
    """

    stored: NDArray[np.float32] | NDArray[np.int16] | NDArray[np.int32]
    volts: NDArray[np.float32]
    clipped: float = 0.0


class Acquisition:
    """The electronics of one measurement.

    Parameters
    ----------
    preset : Preset
    noise : sequence of Noise
        Their draws are added.
    periods : int
        J, of a frame as it is stored.
    power : shape (C,), V²
        Mean square of the particle signal in each channel.
    rng : numpy.random.Generator
        Fixes what the noise of all frames has in common.
    """

    def __init__(
        self, preset: Preset, noise: Sequence[Noise], *, periods: int, power: Floats, rng: np.random.Generator
    ) -> None:
        self.preset, self.periods = preset, periods
        self._drive_field, _ = fields(preset, periods * preset.receiver.averages)
        self._stored_drive_field, _ = fields(preset, periods)
        for model in noise:
            _check_averages(model, preset.receiver.averages)
        self.noise = [
            self._begun(model, power, each) for model, each in zip(noise, rng.spawn(len(noise)), strict=True)
        ]

    def acquire(
        self, particles: Floats, empty: Floats, frame_index: NDArray[np.int64], rng: np.random.Generator
    ) -> Acquired:
        """Measure some frames.

        Parameters
        ----------
        particles : shape (n, P, C, V), V
            Particle signal, P = 1 or J; zero for empty frames.
        empty : shape (P, C, V), V
            Signal of the scanner without tracer, in every frame.
        frame_index : shape (n,)
            Place of each frame in the order of acquisition.
        rng : numpy.random.Generator
            For these frames alone.

        Raises
        ------
        NumericalError
            When a noise model gives values that are no numbers.
        """
        averages = self.preset.receiver.averages
        shape = (len(particles), self.periods, averages, *particles.shape[2:])
        clean = np.broadcast_to(particles[:, :, None], shape).reshape(len(particles), -1, *shape[3:])
        total = np.broadcast_to((particles + empty)[:, :, None], shape).reshape(clean.shape)
        for model in self.noise:
            if getattr(model, "averages", 1) > 1:  # as it is stored: the same over the averaged periods
                whole = clean.reshape(shape)[:, :, 0]
                drawn = self._draw(model, whole, self._stored_drive_field, frame_index, rng)
                total = total + np.repeat(drawn, averages, axis=1)
            else:
                total = total + self._draw(model, clean, self._drive_field, frame_index, rng)
        if not np.max(np.abs(total), initial=0) < LARGEST:  # which NaN is not, either
            raise NumericalError(
                "the noise has values that are no numbers, or far too large",
                hint="look at the options of --noise",
            )
        return self._digitised(total.reshape(shape))

    def _begun(self, model: Noise, power: Floats, rng: np.random.Generator) -> Noise:
        if not isinstance(model, WholeNoise):
            return model
        return model.begin(
            power=power,
            samples=self.preset.samples,
            sampling_rate=self.preset.receiver.sampling_rate,
            drive_field=self._drive_field,
            rng=rng,
        )

    def _draw(
        self,
        model: Noise,
        clean: Floats,
        drive_field: DriveField,
        frame_index: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.floating]:
        return model(
            clean,
            frame_index=frame_index,
            sampling_rate=self.preset.receiver.sampling_rate,
            drive_field=drive_field,
            rng=rng,
        )

    def _digitised(self, total: Floats) -> Acquired:
        """Convert and average, (n, J, A, C, V) to (n, J, C, V)."""
        adc, averages = self.preset.receiver.adc, self.preset.receiver.averages
        if adc is None:
            volts = (total[:, :, 0] if averages == 1 else total.mean(axis=2)).astype(np.float32)
            return Acquired(volts, volts)
        counts = adc.count(total)
        stored = counts[:, :, 0] if averages == 1 else counts.sum(axis=2, dtype=np.int32)  # see `Receiver`
        volts = (stored * (adc.step / averages)).astype(np.float32)
        return Acquired(stored, volts, adc.clipped(total))


def conversion(receiver: Receiver) -> float | None:
    """Volts for each stored count, V; None when volts are stored."""
    return None if receiver.adc is None else receiver.adc.step / receiver.averages


def stored_type(receiver: Receiver) -> np.dtype[Any]:
    """Type of the stored values: counts of an ADC, or volts."""
    if receiver.adc is None:
        return np.dtype(np.float32)
    return np.dtype(np.int16 if receiver.adc.bits <= 16 and receiver.averages == 1 else np.int32)


def _check_averages(model: Noise, averages: int) -> None:
    stored = getattr(model, "averages", 1)
    if stored not in (1, averages):
        raise UsageError(
            f"the noise was measured with {stored} averages, the scan has {averages}",
            hint=f"simulate with -p receiver.averages={stored}",
        )


def header(
    preset: Preset,
    foreground: NDArray[np.int64],
    background: NDArray[np.int64],
    *,
    periods: int,
    repeats: Repeats,
    name: str,
) -> Scan:
    """Return all that is known of a scan but its samples, which are zero and take no memory.

    Parameters
    ----------
    preset : Preset
    foreground, background : shapes (N,) and (E,)
        Place of each frame in the order of acquisition.
    periods : int
        J.
    repeats, name
        As in `Scan`.
    """
    drive_field, selection_field = fields(preset, periods)
    shape = (periods, preset.receiver.channels, preset.samples)
    return Scan(
        signal=np.broadcast_to(np.float32(0), (len(foreground), *shape)),
        background=np.broadcast_to(np.float32(0), (len(background), *shape)),
        foreground_index=foreground,
        background_index=background,
        sampling_rate=preset.receiver.sampling_rate,
        unit="V",
        drive_field=drive_field,
        selection_field=selection_field,
        stored_lines=np.ones(shape[-1] // 2 + 1, bool),
        corrections=Corrections(averages=preset.receiver.averages),
        repeats=repeats,
        name=name,
    )


def streams(rng: np.random.Generator, count: int) -> list[np.random.SeedSequence]:
    """Return a seed for each of so many blocks: a block that is drawn again is the same.

    Parameters
    ----------
    rng : numpy.random.Generator
        Made from a seed, as by `numpy.random.default_rng`.
    count : int
    """
    return [np.random.SeedSequence(int(number)) for number in rng.integers(1 << 63, size=count)]


def fields(preset: Preset, periods: int) -> tuple[DriveField, SelectionField]:
    """Return the fields of all periods of a frame.

    Parameters
    ----------
    preset : Preset
    periods : int
        J; a multiple of the periods with a selection field of their own, each of which comes J / P times.
    """
    drive, selection = preset.drive_field, preset.selection_field
    each = periods // preset.patches

    def tile(values: Floats, times: int) -> Floats:
        return np.repeat(values, times, axis=0)

    return (
        replace(drive, amplitudes=tile(drive.amplitudes, periods), phases=tile(drive.phases, periods)),
        SelectionField(tile(selection.gradient, each), tile(selection.offset, each)),
    )
