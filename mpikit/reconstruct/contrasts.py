"""Several tracers in one measurement: their system matrices stand side by side, S = [S_1 S_2 ...].

J. Rahmer, A. Halkola, B. Gleich, I. Schmale and J. Borgert, First experimental evidence of the feasibility of
multi-color magnetic particle imaging, Physics in Medicine and Biology 60 (2015) 1775.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import File, Grid
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Finding
from mpikit.reconstruct.cache import check_cache_place
from mpikit.reconstruct.combining import once
from mpikit.reconstruct.empty import empty_rows
from mpikit.reconstruct.linear_system import LinearSystem
from mpikit.reconstruct.match import differences
from mpikit.reconstruct.matrix_rows import read_matrix
from mpikit.reconstruct.options import SystemMatrix
from mpikit.reconstruct.pair import (
    Pair,
    asked_grid,
    calibration_grid,
    check_pair,
    data_of_pair,
    matrix_backgrounds,
    plan_pair,
    select_pair_rows,
)
from mpikit.reconstruct.placing import common_grid, onto
from mpikit.reconstruct.regrid import in_words
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.weighting import dictionary_of, for_one, weights_of, with_row_norms

Array = NDArray[Any]
Tell = Callable[[Event], None]


def read_tracers(
    measurement: File,
    calibrations: Sequence[File],
    options: SystemMatrix,
    *,
    empty: Sequence[File] = (),
    average_frames: bool = False,
    allow_mismatch: bool = False,
    tell: Tell,
) -> LinearSystem:
    """Read the linear system of a measurement of several tracers, with a calibration for each.

    Rows are used that are selected for every calibration. All matrices are brought to one grid: that part of
    space which every calibration knows, with the smallest voxels. Their columns are neither scaled nor
    weighted against each other: the objective says what is penalised.

    Parameters
    ----------
    measurement : mdf.File
    calibrations : sequence of mdf.File
    options, empty, average_frames, allow_mismatch, tell
        See `mpikit.reconstruct.system_matrix.read_system`.

    Returns
    -------
    LinearSystem
        With the columns of one tracer after those of the other.

    Raises
    ------
    InputError, UsageError
    """
    tell = once(tell)
    pair: dict[str, Any] = {"empty": empty, "allow_mismatch": allow_mismatch, "tell": tell}
    for calibration in calibrations:
        _check_focus(measurement, calibration)
        check_pair(measurement, calibration, grouping=options.period_grouping, **pair)
    if options.cache is not None:
        check_cache_place(options.cache, len(calibrations))
    one = for_one(options, len(calibrations))
    pairs = [plan_pair(measurement, calibration, one, **pair) for calibration in calibrations]
    _check_alike(pairs)
    selected = [select_pair_rows(each, one, tell) for each in pairs]
    rows = common_rows(selected, [calibration.path.name for calibration in calibrations])
    common = common_grid([calibration_grid(calibration) for calibration in calibrations])
    grid = asked_grid(common, options, tell)
    matrix = _side_by_side(pairs, rows, common, grid, one, tell)
    nothing = empty_rows(pairs[0].of_object, pairs[0].of_empty, rows)
    data = data_of_pair(pairs[0], rows, nothing, options, average_frames=average_frames)
    of_matrices = matrix_backgrounds(pairs, rows, options)
    names = tracer_names(calibrations)
    text = f"{len(names)} tracers, {', '.join(names)}; {len(rows)} rows in common, {in_words(grid)}"
    tell(Finding("tracers", list(names), text))
    return LinearSystem(
        matrix,
        data.values,
        rows,
        grid,
        data.frames,
        weights=with_row_norms(weights_of(one, rows, None, of_matrices, nothing), matrix, options),
        noise=data.noise,
        dictionary=dictionary_of(options, of_matrices, nothing),
        background=tuple(sorted({name for each in pairs for name in each.corrected.values()})),
        single=data.single,
        tracers=names,
    )


def common_rows(selected: Sequence[Rows], names: Sequence[str]) -> Rows:
    """Return the rows that are selected for all matrices, in the order of the first.

    Parameters
    ----------
    selected : sequence of Rows
    names : sequence of str
        Of the matrices.

    Raises
    ------
    InputError
        When there are none.
    """
    first, *others = selected
    lines = 1 + max(int(rows.lines.max()) for rows in selected)
    number = first.channels * lines + first.lines
    kept = np.ones(len(first), bool)
    removed = dict(first.removed)
    for rows, name in zip(others, names[1:], strict=True):
        shared = np.isin(number, rows.channels * lines + rows.lines)
        removed[f"not selected for {name}"] = int(np.count_nonzero(kept & ~shared))
        kept &= shared
    if not kept.any():
        counts = ", ".join(f"{len(rows)} for {name}" for rows, name in zip(selected, names, strict=True))
        raise InputError(
            f"the tracers have no selected row in common: {counts}",
            hint="lower --snr-threshold, or leave out -p best=...",
        )
    return Rows(first.channels[kept], first.lines[kept], removed)


def tracer_names(calibrations: Sequence[File]) -> tuple[str, ...]:
    """Return a name for the tracer of each calibration: that of the file where names are missing or equal.

    Parameters
    ----------
    calibrations : sequence of mdf.File
    """
    found = [_tracer_name(calibration) for calibration in calibrations]
    names = [
        name if name and found.count(name) == 1 else file.path.stem
        for name, file in zip(found, calibrations, strict=True)
    ]
    twice = len(set(names)) < len(names)
    return tuple(f"{name} ({index})" if twice else name for index, name in enumerate(names))


def _tracer_name(calibration: File) -> str:
    names = calibration.tracer.name if calibration.tracer is not None else None
    known = [str(name).strip() for name in (() if names is None else names)]
    return known[0] if len(known) == 1 and known[0].casefold() != "n.a." else ""


def _check_focus(measurement: File, calibration: File) -> None:
    """Refuse a calibration of another place by words of its own: it may be meant for patches."""
    if differences(measurement, calibration) == differences(measurement, calibration, patches=True):
        return
    raise InputError(
        f"{calibration.path.name} has another focus field than {measurement.path.name}, expected the same "
        "for each of several tracers",
        hint="calibrations of several places, of which the nearest is wanted, go with -p combine=patches",
    )


def _check_alike(pairs: Sequence[Pair]) -> None:
    """Refuse calibrations whose state asks for different corrections of one measurement."""
    for pair in pairs[1:]:
        if pair.treatment != pairs[0].treatment:
            names = " and ".join(each.of_matrix.file.path.name for each in (pairs[0], pair))
            raise InputError(
                f"{names} are in different states: background or transfer function would be taken out of the "
                "measurement for one of them only",
                hint="bring them to one state, or use --background none and -p transfer-function=none",
            )


def _side_by_side(
    pairs: Sequence[Pair], rows: Rows, common: Grid, grid: Grid, options: SystemMatrix, tell: Tell
) -> Array:
    """Read the matrices (M, P) on one grid inside the common one, as (M, S P)."""
    parts = []
    for pair in pairs:
        regridding = onto(calibration_grid(pair.of_matrix.file), common, grid)
        corrected = "system matrix" in pair.corrected
        matrix = read_matrix(pair.of_matrix, rows, regridding, options, corrected=corrected, tell=tell)
        if not isinstance(matrix, np.ndarray):
            matrix.close()
            raise UsageError(
                f"the matrices of {len(pairs)} tracers are too large to hold together",
                hint="use fewer rows (--snr-threshold, -p best=...), or allow more with -p memory=...",
            )
        parts.append(matrix)
    return np.concatenate(parts, axis=1)
