"""Scanners with their sequences, as data: one TOML file for each in ``scanners/``, which cites its source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from mdf import Grid
from mpikit.errors import InputError, UsageError
from mpikit.options import did_you_mean
from mpikit.scanner import DriveField, SelectionField
from mpikit.simulate.particles import Particle
from mpikit.simulate.receive import Adc, HighPass, Notch, Receiver, TransferFunction
from mpikit.simulate.tables import PartTable, PresetTable, ReceiverTable, RegionTable

Floats = NDArray[np.float64]
LARGEST = 100_000  # bytes of a preset file: tomllib takes the longer the more names are joined by dots
MOST_SAMPLES = 20_000_000  # of one period
_INSTEAD = {
    "drive_field.frequencies": ("base_frequency", "dividers"),
    "drive_field.dividers": ("frequencies",),
    "drive_field.base_frequency": ("frequencies",),
}
_FOLDER = files("mpikit.simulate") / "scanners"


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What the file says about the scanner."""

    name: str
    manufacturer: str
    topology: str
    bore_size: float | None = None  # m


@dataclass(frozen=True, kw_only=True)
class Region:
    """The default volume of a phantom or of a calibration.

    Parameters
    ----------
    size : shape (3,)
        Voxels along x, y, z.
    field_of_view : shape (3,), m
        Extent along x, y, z.
    concentration : float, mol(Fe)/L
        The highest of a phantom; that of the delta sample of a calibration.
    """

    size: tuple[int, int, int]
    field_of_view: tuple[float, float, float]
    concentration: float

    def grid(self, size: Sequence[int] = (), field_of_view: Sequence[float] = ()) -> Grid:
        """Return the grid of this volume, around the scanner centre.

        Parameters
        ----------
        size : two or three int
            Other voxels along x, y and z than those of the region.
        field_of_view : two or three float, m
            Another extent along x, y and z.

        Raises
        ------
        UsageError
            When a size is no positive number, or several slices have no thickness.
        """
        sizes = (*size, *self.size[len(size) :])
        extent = (*field_of_view, *self.field_of_view[len(field_of_view) :])
        if (
            len(sizes) != 3
            or len(extent) != 3
            or min(sizes) < 1
            or not 0 < min(extent) <= max(extent) < np.inf
        ):
            raise UsageError(
                f"a grid of {list(sizes)} voxels over {[1e3 * length for length in extent]} mm is impossible",
                hint="give two or three positive numbers, as in --grid 19x19 --fov 38x38",
            )
        if sizes[2] > self.size[2] and len(field_of_view) < 3:
            raise UsageError(
                f"a grid of {sizes[2]} slices needs its extent in z", hint="add it, as in --fov 38x38x19"
            )
        return Grid(np.array(sizes), np.array(extent, float), np.zeros(3))


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of a data set that has several.

    Parameters
    ----------
    name : str
        Of the file, without suffix.
    kind : {"samples", "empty", "calibration"}
        Point samples at some places with some concentrations, the empty scanner, or a system matrix.
    positions : tuple of float, m
        Of the samples, along x.
    concentrations : tuple of float, mol(Fe)/L
        Of the samples; each is measured at each position.
    frames : int
        N of the empty scanner.
    periods : int or None
        J; None is that of the preset.
    averages : int
        Periods that are averaged into each stored one, times those of the receiver.
    """

    name: str
    kind: Literal["samples", "empty", "calibration"]
    positions: tuple[float, ...]
    concentrations: tuple[float, ...]
    frames: int
    periods: int | None
    averages: int


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A scanner, its particles, its sequence, and what is usually scanned.

    Parameters
    ----------
    name, summary, source : str
        What the command line takes, one line about it, and the publication.
    particle : Particle
    drive_field : DriveField
        Of one period.
    selection_field : SelectionField
        Of one period, or of the periods of a frame with several patches.
    receiver : Receiver
    scanner : Hardware
    repeats : {"frames", "periods"}
        ``"frames"``: one phantom is measured in every frame. ``"periods"``: every frame is another phantom.
    periods, frames, background_frames : int
        J, N and E when nothing else is asked for.
    noise : tuple of str
        Noise when nothing else is asked for, as ``--noise`` takes it.
    phantom_name : str
        See `mpikit.simulate.phantoms`.
    phantom, calibration : Region
    parts : tuple of Part
        Files of a data set that has several; empty for a preset that makes one file.
    table : mapping
        All of this as the preset file says it, with the changes of the user.
    file : Path or None
        The preset file, if it is not one of ours.
    """

    name: str
    summary: str
    source: str
    particle: Particle
    drive_field: DriveField
    selection_field: SelectionField
    receiver: Receiver
    scanner: Hardware
    repeats: Literal["frames", "periods"]
    periods: int
    frames: int
    background_frames: int
    noise: tuple[str, ...] = ()
    phantom_name: str
    phantom: Region
    calibration: Region
    parts: tuple[Part, ...] = ()
    table: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None

    @property
    def samples(self) -> int:
        """Samples V of one drive-field period."""
        return round(self.drive_field.cycle * self.receiver.sampling_rate)

    @property
    def patches(self) -> int:
        """Different selection fields of the periods of a frame; 1 when all periods are alike."""
        return len(self.selection_field.gradient)


def preset_names() -> list[str]:
    """Return the names of all presets, in alphabetical order."""
    return sorted(entry.name.removesuffix(".toml") for entry in _FOLDER.iterdir())


def listing() -> str:
    """Return the names of all presets as words."""
    return ", ".join(preset_names())


def preset(name: str, changes: Sequence[str] = ()) -> Preset:
    """Return the preset of this name, or of this file.

    Parameters
    ----------
    name : str
        For instance ``"openmpi-2d"``, or the path of a TOML file of the same form as those in the package.
    changes : sequence of str
        Other values for it, each ``table.name=value`` with a value as TOML writes it, for instance
        ``"particle.relaxation_time=2e-6"`` or ``"receiver.adc={bits=14, full_scale=1e-3}"``.

    Raises
    ------
    UsageError
        When there is none (the hint lists them all), or a value is impossible.
    InputError
        When the file cannot be read.
    """
    table = preset_table(name)
    for change in changes:
        _change(table, change)
    try:
        checked = PresetTable.model_validate(table)
    except ValidationError as error:
        raise _in_our_words(name, error) from None
    made = _read(checked, table)
    _check(made)
    return made if name in preset_names() else replace(made, file=Path(name))


def preset_text(name: str) -> str:
    """Return the TOML text of a preset: a file of your own begins as a copy of it.

    Raises
    ------
    UsageError, InputError
        As `preset`.
    """
    if name in preset_names():
        return (_FOLDER / f"{name}.toml").read_text("utf-8")
    path = Path(name)
    if path.suffix != ".toml" and not _is_file(path):
        near = did_you_mean(name, preset_names())
        hint = f"{near} choose one of {listing()}, or the path of a preset file (.toml)".strip()
        raise UsageError(f"there is no preset {name!r}", hint=hint)
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise InputError(f"the preset file {name} has more than {LARGEST} bytes, expected a few thousand")
        return text.decode("utf-8")
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(f"the preset file {name} cannot be read: {what}") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def preset_table(name: str) -> dict[str, Any]:
    """Return what the TOML text of a preset says, unchecked."""
    try:
        return tomllib.loads(preset_text(name))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the preset file {name} is no TOML: {error}") from error
    except RecursionError as error:
        raise InputError(f"the preset file {name} has tables within tables without end") from error


def _change(table: dict[str, Any], change: str) -> None:
    """Set one value, ``table.name=value``; ``parts.train.periods=10`` sets one of a part."""
    path, equals, text = change.partition("=")
    names = [part.strip() for part in path.split(".")]
    if not equals or not all(names):
        raise UsageError(
            f"{change!r} sets nothing, expected table.name=value", hint="as particle.relaxation_time=2e-6"
        )
    *outer, last = names
    inner: Any = table
    for name in outer:
        inner = _inside(inner, name, change)
    for other in _INSTEAD.get(".".join(names), ()):  # one way of saying it replaces the other
        inner.pop(other, None)
    value = _value(text, change)
    if isinstance(inner.get(last), dict) and not isinstance(value, dict):
        known = ", ".join(f"{path.strip()}.{key}" for key in inner[last])
        raise UsageError(f"{change!r}: {path.strip()!r} is a table", hint=f"change one of {known}")
    inner[last] = value


class _Parts(dict[str, Any]):
    """The parts of a data set by their names."""


def _inside(outer: dict[str, Any], name: str, change: str) -> dict[str, Any]:
    """Return a table inside of another; the parts are found by their names."""
    if isinstance(outer, _Parts) and name not in outer:
        raise UsageError(f"{change!r}: no part is called {name!r}", hint=f"there are {', '.join(outer)}")
    inner = outer.setdefault(name, {})
    if isinstance(inner, list):
        return _Parts((each["name"], each) for each in inner if isinstance(each, dict) and "name" in each)
    if not isinstance(inner, dict):
        raise UsageError(f"{change!r}: {name!r} is a value and holds no others")
    return inner


def _value(text: str, change: str) -> Any:
    try:
        read: dict[str, Any] = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text.strip()  # a word needs no quotes
    if len(read) > 1:
        raise UsageError(f"{change!r} sets more than one value", hint="give each with a --param of its own")
    return read["value"]


def _in_our_words(name: str, error: ValidationError) -> UsageError:
    # a misspelt name before what it leaves missing
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in first["loc"] if not _is_alternative(str(part)))
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        names = _known(first["loc"][:-1])
        near = did_you_mean(str(first["loc"][-1]), names)
        return UsageError(
            f"preset {name}: there is no {place!r}", hint=f"{near} there are {', '.join(names)}".strip()
        )
    if first["type"] == "missing":
        known = ", ".join(_known(first["loc"][:-1]))
        return UsageError(f"preset {name}: {place!r} is missing", hint=f"a preset file needs there: {known}")
    return UsageError(
        f"preset {name}: {place} is {first['input']!r}: {said}" if place else f"preset {name}: {said}"
    )


def _is_alternative(part: str) -> bool:
    """Say whether pydantic means one of several types, and no place in the file."""
    return "[" in part or part in {"float", "int", "str"}


def _known(place: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = PresetTable
    for part in place:
        if isinstance(part, int):
            continue
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        options = [each for each in (inner, *get_args(inner)) if isinstance(each, type)]
        model = next((each for each in options if issubclass(each, BaseModel)), model)
    return list(model.model_fields)


def _read(table: PresetTable, said: Mapping[str, Any]) -> Preset:
    keys = ("name", "summary", "source", "repeats", "frames", "background_frames")
    selection_field = table.selection_field.selection_field()
    patches = len(selection_field.gradient)
    if table.periods > 1 and table.periods % patches:
        raise UsageError(
            f"preset {table.name} has {table.periods} periods and {patches} selection fields",
            hint="leave periods out, or give a multiple: each selection field is a period of the frame",
        )
    return Preset(
        **{key: getattr(table, key) for key in keys},
        periods=max(table.periods, patches),
        noise=tuple(table.noise),
        particle=Particle(**table.particle.model_dump(exclude_none=True)),
        drive_field=table.drive_field.drive_field(),
        selection_field=selection_field,
        receiver=_receiver(table.receiver),
        scanner=Hardware(**table.scanner.model_dump()),
        phantom_name=table.phantom.name,
        phantom=_region(table.phantom),
        calibration=_region(table.calibration),
        parts=tuple(_part(part) for part in table.parts),
        table=said,
    )


def _receiver(table: ReceiverTable) -> Receiver:
    steps: dict[str, Any] = {}
    if table.transfer_function is not None:
        steps["transfer_function"] = TransferFunction(**table.transfer_function.model_dump())
    if table.high_pass is not None:
        steps["high_pass"] = HighPass(**table.high_pass.model_dump())
    if table.notch is not None:
        steps["notch"] = Notch(**table.notch.model_dump())
    if table.adc is not None:
        steps["adc"] = Adc(**table.adc.model_dump())
    if table.feed_through is not None:
        steps["feed_through"] = table.feed_through
    return Receiver(
        sensitivity=np.array(table.sensitivity),
        bandwidth=table.bandwidth,
        oversampling=table.oversampling,
        averages=table.averages,
        **steps,
    )


def _region(table: RegionTable) -> Region:
    nx, ny, nz = table.size
    x, y, z = table.field_of_view
    return Region(size=(nx, ny, nz), field_of_view=(x, y, z), concentration=table.concentration)


def _part(table: PartTable) -> Part:
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.model_dump().items()
    }
    return Part(**plain)


def _check(made: Preset) -> None:
    """Refuse a period without a whole number of samples, or with far too many, and parts of one name."""
    names = [part.name for part in made.parts]
    if len(set(names)) < len(names):
        raise UsageError(f"preset {made.name}: the parts are called {', '.join(names)}, expected each once")
    exact = made.drive_field.cycle * made.receiver.sampling_rate
    if abs(exact - made.samples) > 1e-6 * exact:
        raise UsageError(
            f"preset {made.name}: the drive field repeats after {made.drive_field.cycle * 1e6:.6g} µs, "
            f"which are {exact:.6g} samples at {made.receiver.sampling_rate:g} Hz, expected a whole number",
            hint="choose receiver.bandwidth as half the base frequency of the drive field, or part of it",
        )
    if made.samples * made.receiver.oversampling > MOST_SAMPLES:
        raise UsageError(
            f"preset {made.name}: one period would have {made.samples * made.receiver.oversampling} samples",
            hint="there is no short common period: choose dividers with common factors; or take a lower "
            "bandwidth, or less oversampling",
        )
