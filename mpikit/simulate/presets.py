"""Scanners with their sequences, as data: one TOML file for each in ``scanners/``, which cites its source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.options import did_you_mean
from mpikit.scanner import DriveField, SelectionField
from mpikit.simulate.particles import Particle

Floats = NDArray[np.float64]
_FOLDER = files("mpikit.simulate") / "scanners"


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Receive coils and sampling.

    Parameters
    ----------
    sensitivity : shape (C, 3), T/A
        Field that a coil would make with a current of 1 A, the same everywhere (principle of reciprocity).
    bandwidth : float, Hz
        Half of the sampling rate.
    """

    sensitivity: Floats
    bandwidth: float

    @property
    def sampling_rate(self) -> float:
        """Samples in a second, Hz."""
        return 2 * self.bandwidth


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
        Of one period.
    receiver : Receiver
    scanner : Hardware
    repeats : {"frames", "periods"}
        ``"frames"``: one phantom is measured in every frame. ``"periods"``: every frame is another phantom.
    periods, frames, background_frames : int
        J, N and E when nothing else is asked for.
    phantom_name : str
        See `mpikit.simulate.phantoms`.
    phantom, calibration : Region
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
    phantom_name: str
    phantom: Region
    calibration: Region

    @property
    def samples(self) -> int:
        """Samples V of one drive-field period."""
        return round(self.drive_field.cycle * self.receiver.sampling_rate)


def preset_names() -> list[str]:
    """Return the names of all presets, in alphabetical order."""
    return sorted(entry.name.removesuffix(".toml") for entry in _FOLDER.iterdir())


def listing() -> str:
    """Return the names of all presets as words."""
    return ", ".join(preset_names())


def preset(name: str) -> Preset:
    """Return the preset of this name.

    Parameters
    ----------
    name : str
        For instance ``"openmpi-2d"``.

    Raises
    ------
    UsageError
        When there is none; the hint lists them all.
    """
    if name not in preset_names():
        near = did_you_mean(name, preset_names())
        raise UsageError(f"there is no preset {name!r}", hint=f"{near} choose one of {listing()}".strip())
    return _read(tomllib.loads((_FOLDER / f"{name}.toml").read_text("utf-8")))


def _read(table: Mapping[str, Any]) -> Preset:
    phantom, calibration, receiver = table["phantom"], table["calibration"], table["receiver"]
    keys = ("name", "summary", "source", "repeats", "periods", "frames", "background_frames")
    return Preset(
        **{key: table[key] for key in keys},
        particle=Particle(**table["particle"]),
        drive_field=_cosines(table["drive_field"]),
        selection_field=SelectionField(
            np.diag(table["selection_field"]["gradient"])[None, None], np.zeros((1, 1, 3))
        ),
        receiver=Receiver(sensitivity=np.array(receiver["sensitivity"]), bandwidth=receiver["bandwidth"]),
        scanner=Hardware(**table["scanner"]),
        phantom_name=phantom["name"],
        phantom=_region(phantom),
        calibration=_region(calibration),
    )


def _cosines(table: Mapping[str, Any]) -> DriveField:
    channels = len(table["dividers"])
    return DriveField(
        base_frequency=table["base_frequency"],
        dividers=np.array(table["dividers"])[:, None],
        amplitudes=np.array(table["amplitudes"])[None, :, None],
        phases=np.full((1, channels, 1), np.pi / 2),
        waveforms=np.full((channels, 1), "sine"),
    )


def _region(table: Mapping[str, Any]) -> Region:
    nx, ny, nz = table["size"]
    x, y, z = table["field_of_view"]
    return Region(size=(nx, ny, nz), field_of_view=(x, y, z), concentration=table["concentration"])
