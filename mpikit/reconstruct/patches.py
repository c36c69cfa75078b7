"""Several patches: periods whose focus fields differ see different places, each with a matrix of its own.

A focus field o moves the field-free point to -G⁻¹ o, and with homogeneous drive fields and receive coils all
that a calibration knows moves along: the grid of a calibration is shifted by the difference of the field-free
points of patch and calibration. The patches are solved together, on one grid that covers them all.

T. Knopp, K. Them, M. Kaul and N. Gdaniec, Joint reconstruction of non-overlapping magnetic particle imaging
focus-field data, Physics in Medicine and Biology 60 (2015) L15.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import File, Grid
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Finding, Warned
from mpikit.reconstruct.cache import check_cache_place
from mpikit.reconstruct.combining import once
from mpikit.reconstruct.focus import Focus, choose_matrices, focuses
from mpikit.reconstruct.image import concentration_of
from mpikit.reconstruct.linear_system import LinearSystem
from mpikit.reconstruct.match import check_external
from mpikit.reconstruct.matrix_rows import memory_for
from mpikit.reconstruct.options import Kaczmarz, SystemMatrix
from mpikit.reconstruct.pair import asked_grid, read_pair
from mpikit.reconstruct.patch_rows import PatchMatrix, PatchRows, regridded
from mpikit.reconstruct.periods import of_periods
from mpikit.reconstruct.placing import Placement, joint_grid, moved_grid, place
from mpikit.reconstruct.regrid import in_words
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.single import SingleFrames
from mpikit.reconstruct.weighting import for_one, with_row_norms

Floats = NDArray[np.float64]
Tell = Callable[[Event], None]

_SAMPLE = 0.01  # of the concentration of a delta sample


def read_patches(
    measurement: File,
    calibrations: Sequence[File],
    options: SystemMatrix,
    *,
    empty: Sequence[File] = (),
    average_frames: bool = False,
    allow_mismatch: bool = False,
    tell: Tell,
) -> LinearSystem:
    """Read the linear system of a measurement with several patches.

    Periods with the same focus field are one patch, and averaged. Each patch has the calibration of the same
    sequence and gradient whose focus field is nearest, or the one that the option ``mapping`` says; its rows
    are those that are selected for this calibration, and stand behind those of the patches before it. A
    calibration may have several patches too: then each of its periods is one by itself. Background, averages
    and noise are those of the periods of a patch. A new grid or field of view is that of the image of all
    patches.

    Parameters
    ----------
    measurement : mdf.File
    calibrations : sequence of mdf.File
    options, empty, average_frames, allow_mismatch, tell
        See `mpikit.reconstruct.system_matrix.read_system`.

    Raises
    ------
    InputError, UsageError
    """
    tell = once(tell)
    patches = focuses(measurement)
    _check_options(options, patches)
    for file in empty:
        check_external(file, measurement, patches=True)
    used = choose_matrices(
        measurement,
        calibrations,
        patches,
        options.mapping,
        allow_mismatch=allow_mismatch,
        tell=tell,
    )
    _check_samples(used)
    different = len({id(focus) for focus in used})
    if options.cache is not None:
        check_cache_place(options.cache, different)
    one = for_one(options, different)
    more: dict[str, Any] = {"average_frames": average_frames, "allow_mismatch": allow_mismatch, "tell": tell}
    systems: list[LinearSystem] = []
    for index, (patch, focus) in enumerate(zip(patches, used, strict=True)):
        before = next((systems[i] for i in range(index) if used[i] is focus), None)
        if before is not None:
            more |= {"rows": before.rows, "matrix": before.matrix}
        else:
            more |= {"rows": None, "matrix": None}
        own = [of_periods(file, patch.periods) for file in empty]
        systems.append(read_pair(patch.file, focus.file, one, empty=own, **more))
    grids = [
        moved_grid(system.grid, patch.position - focus.position)
        for system, patch, focus in zip(systems, patches, used, strict=True)
    ]
    grid = asked_grid(joint_grid(grids), options, tell)
    matrix = _matrix(systems, grids, grid, options, tell)
    _tell_patches(used, grid, tell)
    return _together(systems, matrix, grid, options, tuple(focus.number for focus in used))


def _check_options(options: SystemMatrix, patches: Sequence[Focus]) -> None:
    """Refuse what has no meaning for several patches."""
    if options.background == "dictionary":
        raise UsageError(
            "a dictionary of the background is for one patch, as each patch has a background of its own",
            hint="use --background static or interpolated",
        )
    scattered = any(np.any(np.diff(patch.periods) != 1) for patch in patches)
    if options.leakage and (scattered or any(len(patch.periods) < 2 for patch in patches)):
        raise UsageError(
            "the leakage is corrected between neighbouring periods, and those of a patch are no neighbours",
            hint="leave out -p leakage=true",
        )


def _check_samples(used: Sequence[Focus]) -> None:
    """Refuse delta samples of different concentrations: the parts of the image would have different units."""
    known = {focus.number: (concentration_of(focus.file), focus.file.path.name) for focus in used}
    said = [(value, name) for value, name in known.values() if value is not None]
    if said and max(said)[0] > (1 + _SAMPLE) * min(said)[0]:
        (low, one), (high, other) = min(said), max(said)
        raise InputError(
            f"the delta samples of {one} and {other} have {1e3 * low:.4g} and {1e3 * high:.4g} mmol/L, "
            "expected the same in all patches",
            hint="use calibrations with one sample",
        )


def _matrix(
    systems: Sequence[LinearSystem], grids: Sequence[Grid], grid: Grid, options: SystemMatrix, tell: Tell
) -> PatchRows | NDArray[Any]:
    """Put the matrices of the patches on the grid of the image."""
    placements = [place(each, grid) for each in grids]
    for index, placement in enumerate(placements):
        _tell_moved(index, placement, grid, tell)
    _tell_unseen(placements, grid, tell)
    known: dict[tuple[Any, ...], NDArray[Any]] = {}
    room = memory_for(options)
    patches = []
    for system, placement, own in zip(systems, placements, grids, strict=True):
        matrix, regridding = system.matrix, placement.regridding
        if regridding is not None and isinstance(matrix, np.ndarray):
            shift = (regridding.target.center - own.center) / np.where(grid.spacing > 0, grid.spacing, 1)
            key = (id(matrix), *np.round(shift, 6), *regridding.target.size)
            size = float(len(matrix) * len(placement.columns) * matrix.itemsize)
            if key not in known and sum(each.nbytes for each in known.values()) + size <= room:
                known[key] = regridded(matrix, regridding)
            if key in known:
                matrix, regridding = known[key], None
        assert not isinstance(matrix, PatchRows)  # noqa: S101 - of one patch
        patches.append(PatchMatrix(matrix, placement.columns, regridding))
    rows = PatchRows(patches, int(np.prod(grid.size)))
    needs = _what_needs_all(options)
    if not needs:
        return rows
    size = float(np.prod(rows.shape)) * rows.dtype.itemsize
    if size <= room:
        values = rows.whole()
        rows.close()
        return values
    raise UsageError(
        f"the matrix of all patches takes {size / 2**30:.3g} GiB, too much to hold, and {needs} needs all "
        "of it",
        hint="use --method kaczmarz with a given lambda, which takes the patches one by one, fewer rows "
        "(--snr-threshold, -p best=...), or more -p memory=...",
    )


def _what_needs_all(options: SystemMatrix) -> str:
    """Name what sweeps over one patch after the other cannot do; empty for nothing."""
    if not isinstance(options, Kaczmarz):
        return "this method"
    if options.row_order == "random":
        return "a random order of the rows"
    return "" if isinstance(options.lambda_, float) else "a lambda that is chosen"


def _tell_moved(index: int, placement: Placement, grid: Grid, tell: Tell) -> None:
    """Say what was done to a patch whose nodes are none of the image."""
    spacing = np.where(grid.spacing > 0, grid.spacing, 1.0)
    if np.any(np.abs(placement.moved) > 1e-6 * spacing):
        text = ", ".join(f"{1e6 * length:.3g}" for length in placement.moved)
        tell(Warned(f"patch {index} is moved by ({text}) µm onto the voxels of the image"))
    if placement.interpolated:
        text = f"patch {index} lies between the voxels of the image: its matrix is interpolated"
        tell(Finding("interpolated patch", index, text))


def _tell_unseen(placements: Sequence[Placement], grid: Grid, tell: Tell) -> None:
    """Say how many voxels are 0 because no calibration reaches them."""
    seen = np.unique(np.concatenate([placement.columns for placement in placements]))
    total = int(np.prod(grid.size))
    if len(seen) < total:
        text = f"{total - len(seen)} of {total} voxels of the image lie in no patch: they are 0"
        tell(Warned(text))


def _tell_patches(used: Sequence[Focus], grid: Grid, tell: Tell) -> None:
    numbers = [focus.number for focus in used]
    names = {focus.number: focus.file.path.name for focus in used}
    where = [
        f"{names[number]} for {_listed([i for i, each in enumerate(numbers) if each == number])}"
        for number in sorted(names)
    ]
    count = "1 patch" if len(used) == 1 else f"{len(used)} patches"
    text = f"{count}, {', '.join(where)}; the image has {in_words(grid)}"
    tell(Finding("patches", numbers, text))


def _listed(patches: list[int]) -> str:
    return f"patch{'es' if len(patches) > 1 else ''} {', '.join(map(str, patches))}"


def _together(
    systems: Sequence[LinearSystem],
    matrix: PatchRows | NDArray[Any],
    grid: Grid,
    options: SystemMatrix,
    used: tuple[int, ...],
) -> LinearSystem:
    """Join the systems of the patches, one below the other."""
    removed: dict[str, int] = {}
    for system in {id(system.rows): system for system in systems}.values():
        for name, count in system.rows.removed.items():
            removed[name] = removed.get(name, 0) + count
    rows = Rows(
        np.concatenate([system.rows.channels for system in systems]),
        np.concatenate([system.rows.lines for system in systems]),
        removed,
    )
    return replace(
        systems[0],
        matrix=matrix,
        data=np.concatenate([system.data for system in systems]),
        rows=rows,
        grid=grid,
        weights=with_row_norms(_weights(systems, options), matrix, options),
        noise=_joined([system.noise for system in systems]),
        background=tuple(sorted({name for system in systems for name in system.background})),
        single=_single([system.single for system in systems]),
        patches=used,
    )


def _joined(values: Sequence[Floats | None]) -> Floats | None:
    """Put numbers for the rows of all patches together; None as soon as one is unknown."""
    known = [each for each in values if each is not None]
    return np.asarray(np.concatenate(known)) if len(known) == len(values) else None


def _weights(systems: Sequence[LinearSystem], options: SystemMatrix) -> Floats | None:
    """Weights of all rows but for their norms; white noise is as strong in each patch, as far as it is known.

    The weights of one patch alone have no scale of their own.
    """
    weights = _joined([system.weights for system in systems])
    noise = _joined([system.noise for system in systems])
    if weights is None or noise is None or "whitening" not in options.weighting:
        return weights
    counts = [len(system.rows) for system in systems]
    first = np.cumsum([0, *counts[:-1]])
    levels = np.sqrt(np.add.reduceat((weights * noise) ** 2, first) / counts)
    return np.asarray(weights * np.repeat(levels.min() / levels, counts))


def _single(parts: Sequence[SingleFrames | None]) -> SingleFrames | None:
    known = [part for part in parts if part is not None]
    if not known:
        return None
    return replace(
        known[0],
        data=np.concatenate([part.data for part in known]),
        noise=_joined([part.noise for part in known]),
    )
