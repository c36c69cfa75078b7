"""What a preset file may say: the tables of a TOML file, checked, and what they become."""

from __future__ import annotations

import math
from fractions import Fraction
from math import lcm
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mpikit.errors import UsageError
from mpikit.scanner import DriveField, SelectionField

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]
Vector = Annotated[list[Number], Field(min_length=3, max_length=3)]

_LARGEST_DIVIDER = 10**9
_LARGEST_RATIO = 10_000  # of two drive frequencies in lowest terms


class Table(BaseModel):
    """One table of a preset file: frozen, and an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ScannerTable(Table):
    """What the file says about the scanner."""

    name: Name
    manufacturer: Name
    topology: Literal["FFP", "FFL", "MPS"]
    bore_size: Positive | None = None  # m


class ParticleTable(Table):
    """See `mpikit.simulate.Particle`."""

    core_diameter: Positive
    saturation_magnetisation: Positive
    temperature: Positive
    boltzmann: Positive | None = None
    diameter_spread: Annotated[float, Field(ge=0, le=1)] = 0.0
    relaxation_time: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class DriveFieldTable(Table):
    """Drive channels x, y, z: a number for each, or a list of numbers for its components.

    Frequencies follow from a clock and dividers, or are said in Hz.
    """

    base_frequency: Positive | None = None
    dividers: list[Any] | None = None
    frequencies: list[Any] | None = None
    amplitudes: list[Any]
    phases: list[Any] | None = None
    waveforms: list[Any] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        clock = (self.base_frequency is not None, self.dividers is not None)
        if any(clock) == (self.frequencies is not None) or (any(clock) and not all(clock)):
            raise ValueError("give base_frequency and dividers, or frequencies in Hz")
        return self

    def drive_field(self) -> DriveField:
        """Return the drive field of one period.

        Raises
        ------
        UsageError
            When lengths differ, a value is impossible, or the frequencies have no common period.
        """
        amplitudes = _components("amplitudes", self.amplitudes, float)
        if np.any(amplitudes < 0) or not np.any(amplitudes > 0):
            raise UsageError("drive_field.amplitudes must be 0 or more, in T, and one of them above 0")
        shape = amplitudes.shape
        phases = np.full(shape, np.pi / 2)
        if self.phases:
            phases = _components("phases", self.phases, float, shape)
        waveforms = np.full(shape, "sine")
        if self.waveforms:
            waveforms = _components("waveforms", self.waveforms, str, shape)
        base, dividers = self._clock(amplitudes)
        if not set(waveforms.ravel()) <= {"sine", "triangle"}:
            raise UsageError(f"drive_field.waveforms are {self.waveforms}, expected 'sine' or 'triangle'")
        return DriveField(base, dividers, amplitudes[None], phases[None], waveforms)

    def _clock(self, amplitudes: NDArray[np.float64]) -> tuple[float, NDArray[np.int64]]:
        if self.frequencies is not None:
            frequencies = _components("frequencies", self.frequencies, float, amplitudes.shape)
            if np.any(frequencies <= 0):
                raise UsageError(f"drive_field.frequencies are {self.frequencies}, expected Hz above 0")
            return common_clock(frequencies, amplitudes > 0)
        assert self.base_frequency is not None  # noqa: S101 - checked by the model
        dividers = _components("dividers", self.dividers or [], int, amplitudes.shape)
        if np.any((dividers < 1) | (dividers > _LARGEST_DIVIDER)):
            raise UsageError(
                f"drive_field.dividers are {self.dividers}, expected whole numbers from 1 to 1e9"
            )
        if lcm(*dividers[amplitudes > 0].tolist()) > _LARGEST_DIVIDER**2:
            raise UsageError(
                f"drive_field.dividers are {self.dividers}, which have no short common period",
                hint="choose dividers with common factors",
            )
        return self.base_frequency, dividers.astype(np.int64)


class SelectionFieldTable(Table):
    """Gradient: its diagonal, a matrix, or a matrix for each period; offset: a vector, or one for each."""

    gradient: list[Any]
    offset: list[Any] = Field(default_factory=lambda: [0.0, 0.0, 0.0])

    def selection_field(self) -> SelectionField:
        """Return the selection field of all periods.

        Raises
        ------
        UsageError
            When gradients and offsets differ in number, or the field has a divergence or a curl.
        """
        gradient = _numbers("gradient", self.gradient, ((3,), (3, 3), (-1, 3, 3)))
        offset = _numbers("offset", self.offset, ((3,), (-1, 3))).reshape(-1, 3)
        if gradient.ndim == 1:
            gradient = np.diag(gradient)
        gradient = gradient.reshape(-1, 3, 3)
        periods = max(len(gradient), len(offset))
        if {len(gradient), len(offset)} - {1, periods}:
            raise UsageError(
                f"selection_field has {len(gradient)} gradients and {len(offset)} offsets",
                hint="give one of each, or as many as there are periods",
            )
        scale = np.abs(gradient).max()
        if np.any(np.abs(np.trace(gradient, axis1=1, axis2=2)) > 1e-6 * scale):
            raise UsageError(
                "the diagonal of selection_field.gradient does not add up to 0",
                hint="no magnetic field has a divergence: for instance -1, -1, 2 T/m",
            )
        if np.any(np.abs(gradient - gradient.swapaxes(1, 2)) > 1e-6 * scale):
            raise UsageError(
                "selection_field.gradient is not symmetric", hint="a static field in air has no curl"
            )
        return SelectionField(
            np.broadcast_to(gradient[:, None], (periods, 1, 3, 3)).copy(),
            np.broadcast_to(offset[:, None], (periods, 1, 3)).copy(),
        )


class TransferFunctionTable(Table):
    """See `mpikit.simulate.receive.TransferFunction`."""

    frequencies: list[Number]
    gain: list[Number] | list[list[Number]]
    phase: list[Number] | list[list[Number]]


class HighPassTable(Table):
    """See `mpikit.simulate.receive.HighPass`."""

    frequency: Positive
    order: int = 2


class NotchTable(Table):
    """See `mpikit.simulate.receive.Notch`."""

    quality: Positive


class AdcTable(Table):
    """See `mpikit.simulate.receive.Adc`."""

    bits: int
    full_scale: Positive


class ReceiverTable(Table):
    """See `mpikit.simulate.receive.Receiver`."""

    sensitivity: Annotated[list[Vector], Field(min_length=1)]
    bandwidth: Positive
    oversampling: int = 1
    averages: int = 1
    feed_through: list[list[Number]] | None = None
    transfer_function: TransferFunctionTable | None = None
    high_pass: HighPassTable | None = None
    notch: NotchTable | None = None
    adc: AdcTable | None = None


class RegionTable(Table):
    """A volume: voxels and extent along x, y, z, and the highest concentration in it."""

    size: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3, max_length=3)]
    field_of_view: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    concentration: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PhantomTable(RegionTable):
    """What is scanned if nothing else is asked for."""

    name: str


class PartTable(Table):
    """One file of a data set that has several."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    kind: Literal["samples", "empty", "calibration"] = "samples"
    positions: list[Number] = Field(default_factory=list)  # m, along x
    concentrations: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=list)
    frames: Annotated[int, Field(ge=1)] = 1
    periods: Annotated[int, Field(ge=1)] | None = None
    averages: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _what_counts(self) -> Self:
        ignored = {
            "samples": {"frames"},
            "empty": {"positions", "concentrations"},
            "calibration": {"positions", "concentrations", "frames", "periods", "averages"},
        }[self.kind] & self.model_fields_set
        if ignored:
            raise ValueError(f"{sorted(ignored)[0]} say nothing about a part of the kind {self.kind!r}")
        if self.kind == "samples" and not (self.positions and self.concentrations):
            raise ValueError("a part with samples needs positions and concentrations")
        return self


class PresetTable(Table):
    """A whole preset file."""

    name: Name
    summary: Name
    source: Name
    repeats: Literal["frames", "periods"]
    periods: Annotated[int, Field(ge=1)] = 1
    frames: Annotated[int, Field(ge=1)] = 1
    background_frames: Count = 0
    noise: list[str] = Field(default_factory=list)
    scanner: ScannerTable
    particle: ParticleTable
    drive_field: DriveFieldTable
    selection_field: SelectionFieldTable
    receiver: ReceiverTable
    phantom: PhantomTable
    calibration: RegionTable
    parts: list[PartTable] = Field(default_factory=list)


def common_clock(
    frequencies: NDArray[np.float64], active: NDArray[np.bool_]
) -> tuple[float, NDArray[np.int64]]:
    """Return a base frequency and whole dividers of it for given frequencies.

    Parameters
    ----------
    frequencies : shape (D, F), Hz
    active : shape (D, F)
        Components that count; the others get the divider 1.

    Raises
    ------
    UsageError
        When the ratio of two of them is no fraction of small whole numbers.
    """
    first = frequencies[active][0]
    ratios = [Fraction(value / first).limit_denominator(_LARGEST_RATIO) for value in frequencies[active]]
    exact = np.array([float(ratio) for ratio in ratios])
    if (
        np.any(np.abs(exact * first / frequencies[active] - 1) > 1e-9)
        or max(max(ratio.numerator, ratio.denominator) for ratio in ratios) >= _LARGEST_RATIO
    ):
        raise UsageError(
            f"the drive frequencies {', '.join(f'{value:.12g}' for value in frequencies[active])} Hz "
            "have no common period",
            hint="their ratios must be fractions of whole numbers, as those of 2.5 MHz over 102 and over 96",
        )
    base = first * lcm(*(ratio.numerator for ratio in ratios))
    dividers = np.ones(frequencies.shape, np.int64)
    dividers[active] = [
        lcm(*(each.numerator for each in ratios)) // ratio.numerator * ratio.denominator for ratio in ratios
    ]
    return base, dividers


def _components(
    name: str, values: list[Any], kind: type, shape: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """Read one value a channel, or several, as an array of shape (D, F)."""
    lists = [value if isinstance(value, list) else [value] for value in values]
    if not lists or len(lists) > 3 or len({len(each) for each in lists}) != 1 or not lists[0]:
        raise UsageError(
            f"drive_field.{name} are {values}, expected one to three channels with as many components each"
        )
    if not all(_is(kind, value) for each in lists for value in each):
        what = {float: "finite numbers", int: "whole numbers", str: "words"}[kind]
        raise UsageError(f"drive_field.{name} are {values}, expected {what}")
    found = (len(lists), len(lists[0]))
    if shape is not None and found != shape:
        raise UsageError(
            f"drive_field.{name} are {list(found)} channels and components, drive_field.amplitudes "
            f"{list(shape)}",
            hint="give one value for each component of each channel",
        )
    big = object if kind is int else kind  # beyond 64 bits the caller has a message of its own
    return np.array(lists, dtype=big)


def _is(kind: type, value: Any) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and not isinstance(value, bool)


def _numbers(name: str, values: list[Any], shapes: tuple[tuple[int, ...], ...]) -> NDArray[np.float64]:
    """Read nested lists of finite numbers in one of some shapes; -1 is any length."""
    try:
        array = np.array(values, float)
    except (ValueError, TypeError):
        array = np.zeros(0)
    fits = any(
        array.ndim == len(shape)
        and all(want in (-1, got) for want, got in zip(shape, array.shape, strict=True))
        for shape in shapes
    )
    if not fits or not array.size or not np.all(np.isfinite(array)):
        words = " or ".join(" x ".join("J" if size < 0 else str(size) for size in shape) for shape in shapes)
        raise UsageError(f"selection_field.{name} is {values}, expected {words} finite numbers")
    return array
