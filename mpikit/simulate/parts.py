"""A data set of several files: samples at known places, references, empty scanner, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mpikit.errors import InputError, UsageError
from mpikit.events import Finding
from mpikit.files import check_output
from mpikit.simulate.calibration_files import simulate_calibration_file
from mpikit.simulate.files import How, Simulated, simulate_file
from mpikit.simulate.phantoms import Digits, Phantom
from mpikit.simulate.presets import Part, Preset
from mpikit.simulate.request import Recipe

POSITIONS = "/_mpikit/sample_positions"  # (N, 3), m
CONCENTRATIONS = "/_mpikit/sample_concentrations"  # (N,), mol(Fe)/L


def simulate_parts(
    preset: Preset, folder: Path, *, noise: Sequence[str] | None = None, how: How | None = None
) -> list[Simulated]:
    """Simulate all files of a preset that has several.

    They are measured one after the other, in one session: a background has the same phases in all of them,
    and drifts on from file to file.

    Parameters
    ----------
    preset : Preset
    folder : Path
        Made if it does not exist; each part is a file in it.
    noise : sequence of str or None
        None: that of the preset. The calibration has its own.
    how : How
        Each file has a seed of its own, which follows from this one.

    Raises
    ------
    UsageError, InputError
        When the preset has no parts, or a file cannot be written.
    """
    how = how or How()
    if not preset.parts:
        raise UsageError(f"preset {preset.name} is one file, and no data set of several")
    paths = [folder / f"{part.name}.mdf" for part in preset.parts]
    _make_folder(folder, paths, overwrite=how.overwrite)
    chosen = preset.noise if noise is None else noise
    done: list[Simulated] = []
    first = 0
    for index, (part, path) in enumerate(zip(preset.parts, paths, strict=True)):
        how.tell(Finding("part", part.name, f"== {part.name}"))
        own = replace(how, seed=_own_seed(how.seed, index), session=how.seed, first_frame=first)
        done.append(_part(preset, part, path, chosen, own))
        first += done[-1].frames + done[-1].background_frames
    return done


def simulate_splits(
    preset: Preset,
    folder: Path,
    splits: Sequence[tuple[str, Digits]],
    *,
    noise: Sequence[str] = (),
    recipe: Recipe | None = None,
    how: How | None = None,
) -> list[Simulated]:
    """Simulate one file for each set of phantoms.

    Parameters
    ----------
    preset : Preset
    folder : Path
    splits : sequence of (str, Digits)
        Name of each file, and what it shows.
    noise : sequence of str
    recipe : Recipe or None
        What the history says about the phantoms.
    how : How

    Raises
    ------
    UsageError, InputError
        When a file cannot be written.
    """
    how = how or How()
    counts = {"split": [digits.count for _, digits in splits]}
    told = Recipe({**(recipe.options if recipe else {}), **counts}, recipe.inputs if recipe else ())
    paths = [folder / f"{name}.mdf" for name, _ in splits]
    _make_folder(folder, paths, overwrite=how.overwrite)
    done = []
    for index, (path, (name, digits)) in enumerate(zip(paths, splits, strict=True)):
        how.tell(Finding("part", name, f"== {name}"))
        own = replace(how, seed=_own_seed(how.seed, index))
        frames = digits.count
        made = simulate_file(preset, path, phantom=digits, frames=frames, noise=noise, recipe=told, how=own)
        done.append(made)
    return done


def samples(preset: Preset, part: Part) -> Phantom:
    """Return the point samples of a part: each concentration at each position, the position fastest.

    Parameters
    ----------
    preset : Preset
        A sample fills one voxel of its phantom grid.
    part : Part

    Returns
    -------
    Phantom
        Q = concentrations · positions images.

    Raises
    ------
    UsageError
        When a position is the centre of no voxel.
    """
    grid = preset.phantom.grid()
    centres = grid.positions()[: int(grid.size[0]), 0]
    positions = np.array(part.positions)
    columns = np.abs(centres[:, None] - positions).argmin(axis=0)
    wrong = np.abs(centres[columns] - positions) > 1e-6
    if np.any(wrong) or not len(positions) or not part.concentrations:
        raise UsageError(
            f"part {part.name!r} of preset {preset.name}: the samples at {1e3 * positions[wrong]} mm are at "
            f"the centre of no voxel, expected some of {1e3 * centres} mm"
        )
    images = np.zeros((len(part.concentrations), len(positions), *grid.shape))
    for row, concentration in zip(images, part.concentrations, strict=True):
        row[np.arange(len(positions)), 0, 0, columns] = concentration
    return Phantom(images.reshape(-1, *grid.shape), grid, "point samples")


def _part(preset: Preset, part: Part, path: Path, noise: Sequence[str], how: How) -> Simulated:
    if part.kind == "calibration":
        return simulate_calibration_file(preset, path, how=how)
    scanner = replace(preset, receiver=replace(preset.receiver, averages=part.averages))
    if part.kind == "empty":
        grid = preset.phantom.grid()
        nothing = Phantom(np.zeros((1, *grid.shape)), grid, "empty scanner")
        return simulate_file(
            scanner, path, phantom=nothing, frames=0, periods=part.periods, background_frames=part.frames,
            noise=noise, how=how,
        )  # fmt: skip
    phantom = samples(preset, part)
    places = np.zeros((phantom.count, 3))
    places[:, 0] = np.tile(part.positions, len(part.concentrations))
    doses = np.repeat(part.concentrations, len(part.positions))
    known = Recipe(values={POSITIONS: places, CONCENTRATIONS: doses})
    return simulate_file(
        scanner, path, phantom=phantom, frames=phantom.count, periods=part.periods, background_frames=0,
        noise=noise, recipe=known, how=how,
    )  # fmt: skip


def _own_seed(seed: int, index: int) -> int:
    return int(np.random.SeedSequence((seed, 3, index)).generate_state(1)[0])


def _make_folder(folder: Path, paths: Sequence[Path], *, overwrite: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be made: {error.strerror}",
            hint="several files need a folder as --output",
        ) from error
    for path in paths:
        check_output(path, overwrite=overwrite)
