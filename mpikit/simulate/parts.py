"""A data set of several files: samples at known places, references, empty scanner, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mpikit.errors import InputError, UsageError
from mpikit.events import Finding
from mpikit.files import reading
from mpikit.simulate.calibration_files import CalibrationFile
from mpikit.simulate.files import How, ScanFile, Simulated
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
    chosen = preset.noise if noise is None else noise
    jobs: list[ScanFile | CalibrationFile] = []
    first = 0
    for index, part in enumerate(preset.parts):
        own = replace(how, seed=_own_seed(how.seed, index), session=how.seed, first_frame=first)
        path = folder / f"{part.name}.mdf"
        told = {"part": part.name, "data_set_seed": how.seed}
        if part.kind == "calibration":
            jobs.append(CalibrationFile(preset, path, how=own))
            continue
        job = _scan_job(preset, part, path, chosen, told, own)
        jobs.append(job)
        first += job.made.frames + job.made.background_frames
    _share_power([job for job in jobs if isinstance(job, ScanFile)])
    return _run(folder, jobs, how)


def simulate_splits(
    preset: Preset,
    folder: Path,
    splits: Sequence[tuple[str, Digits]],
    *,
    periods: int | None = None,
    background_frames: int | None = None,
    noise: Sequence[str] = (),
    clean: Path | None = None,
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
    periods, background_frames, noise
        See `simulate_file`.
    clean : Path or None
        Folder for the particle signals alone, under the same names.
    recipe : Recipe or None
        What the history says about the phantoms.
    how : How

    Raises
    ------
    UsageError, InputError
        When a file cannot be written.
    """
    how = how or How()
    sizes = [digits.count for _, digits in splits]
    options, inputs = (recipe.options, recipe.inputs) if recipe else ({}, ())
    jobs = []
    for index, (name, digits) in enumerate(splits):
        told = {**options, "split": sizes, "part": name, "data_set_seed": how.seed}
        jobs.append(
            ScanFile(
                preset,
                folder / f"{name}.mdf",
                phantom=digits,
                frames=digits.count,
                periods=periods,
                background_frames=background_frames,
                noise=noise,
                clean=None if clean is None else clean / f"{name}.mdf",
                recipe=Recipe(told, inputs),
                how=replace(how, seed=_own_seed(how.seed, index)),
            )
        )
    if clean is not None and not how.dry_run:
        _make_folder(clean)
    return _run(folder, jobs, how)


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
    if np.any(wrong):
        raise UsageError(
            f"part {part.name!r} of preset {preset.name}: the sample at {1e3 * positions[wrong][0]:g} mm is "
            "at the centre of no voxel",
            hint=f"there are {len(centres)} voxels from {1e3 * centres[0]:g} to {1e3 * centres[-1]:g} mm",
        )
    images = np.zeros((len(part.concentrations), len(positions), *grid.shape))
    for row, concentration in zip(images, part.concentrations, strict=True):
        row[np.arange(len(positions)), 0, 0, columns] = concentration
    return Phantom(images.reshape(-1, *grid.shape), grid, "point samples")


def _scan_job(
    preset: Preset, part: Part, path: Path, noise: Sequence[str], told: dict[str, Any], how: How
) -> ScanFile:
    averages = preset.receiver.averages * part.averages
    scanner = replace(preset, receiver=replace(preset.receiver, averages=averages))
    if part.kind == "empty":
        grid = preset.phantom.grid()
        phantom = Phantom(np.zeros((1, *grid.shape)), grid, "empty scanner")
        frames, empty, recipe = 0, part.frames, Recipe(told)
    else:
        phantom = samples(preset, part)
        frames, empty = phantom.count, 0
        places = np.zeros((frames, 3))
        places[:, 0] = np.tile(part.positions, len(part.concentrations))
        doses = np.repeat(part.concentrations, len(part.positions))
        recipe = Recipe(told, values={POSITIONS: places, CONCENTRATIONS: doses})
    return ScanFile(
        scanner,
        path,
        phantom=phantom,
        frames=frames,
        periods=part.periods,
        background_frames=empty,
        noise=noise,
        recipe=recipe,
        how=how,
    )


def _share_power(jobs: Sequence[ScanFile]) -> None:
    """Let the noise of all files refer to one power, that of all samples."""
    filled = [job.simulation for job in jobs if job.simulation.frames]
    if not filled:
        return  # the empty scanner alone
    total = sum(simulation.frames for simulation in filled)
    power = sum(simulation.frames / total * simulation.mean_power() for simulation in filled)
    for job in jobs:
        job.simulation.power = np.asarray(power)


def _run(folder: Path, jobs: Sequence[ScanFile | CalibrationFile], how: How) -> list[Simulated]:
    """Write all files of a data set, or none if one cannot be written."""
    if how.dry_run:
        return [job.made for job in jobs]
    _make_folder(folder)
    with reading(*(file for job in jobs for file in job.inputs)):  # no part may replace what another reads
        for job in jobs:
            job.check_outputs()
    done = []
    for job in jobs:
        name = job.path.stem
        how.tell(Finding("part", name, f"== {name}"))
        done.append(job.write())
    return done


def _own_seed(seed: int, index: int) -> int:
    return int(np.random.SeedSequence((seed, 3, index)).generate_state(1)[0])


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be made: {error.strerror}",
            hint="several files need a folder as --output",
        ) from error
