"""What a reconstruction would do, before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mdf
from mpikit.errors import MpikitError
from mpikit.events import Event, silent
from mpikit.files import planned_outputs, reading
from mpikit.reconstruct.choices import (
    check_cache,
    check_choices,
    check_ending,
    check_known,
    check_sharing,
    matrix_paths,
)
from mpikit.reconstruct.files import find_matrices
from mpikit.reconstruct.making import no_measurement
from mpikit.reconstruct.many import planned_jobs
from mpikit.reconstruct.match import check_kinds, check_match
from mpikit.reconstruct.rerun import read_rerun
from mpikit.reconstruct.resuming import was_made
from mpikit.reconstruct.writing import extras_of, find_outputs, plain_options

Tell = Callable[[Event], None]


def plan_reconstruction(  # noqa: PLR0913 - as many as of `reconstruct_file`
    source: Path,
    *,
    system_matrix: Path | Sequence[Path] | None = None,
    background_files: Sequence[Path] = (),
    output: Path | None = None,
    method: str = "kaczmarz",
    average_frames: bool = False,
    allow_mismatch: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    tell: Tell = silent,
    **options: Any,
) -> dict[str, Any]:
    """Say what `mpikit.reconstruct.files.reconstruct_file` would do, ready for JSON; nothing is made.

    Parameters
    ----------
    source, system_matrix, background_files, output, method, average_frames, allow_mismatch, workers
        As of `reconstruct_file`.
    scheduler, overwrite, tell, **options
        As of `reconstruct_file`.

    Raises
    ------
    UsageError, InputError, mdf.MdfError
        As `reconstruct_file` before its work; of several system matrices the sequence is not compared.
    """
    chosen = check_choices(
        method=method,
        system_matrix=system_matrix,
        background_files=background_files,
        average_frames=average_frames,
        allow_mismatch=allow_mismatch,
        **options,
    )
    check_ending(output)
    check_sharing(chosen, method, workers, scheduler)
    with mdf.open(source) as measurement:
        matrices = find_matrices(matrix_paths(system_matrix), measurement, tell)
        check_cache(chosen, matrices)
        if not matrices and (measurement.is_calibration or measurement.measurement is None):
            raise no_measurement(measurement)
        for path in matrices:
            with mdf.open(path) as calibration:
                check_kinds(measurement, calibration)
                if len(matrices) == 1:
                    grouping = getattr(chosen, "period_grouping", 1)
                    check_match(
                        measurement,
                        calibration,
                        patches=True,
                        grouping=grouping,
                        allow_mismatch=allow_mismatch,
                        tell=tell,
                    )
        frames = measurement.num_frames
    for path in background_files:
        mdf.open(path).close()
    extras = extras_of(chosen)
    beside = find_outputs(source, output, (source, *matrices, *background_files), overwrite, extras)
    return {
        "source": str(source),
        "frames": frames,
        "system_matrix": [str(path) for path in matrices],
        "background_file": [str(path) for path in background_files],
        "method": method,
        "average_frames": average_frames,
        "allow_mismatch": allow_mismatch,
        "options": plain_options(chosen),
        "outputs": planned_outputs(beside.wanted(**extras)),
    }


def plan_reconstructions(
    sources: Sequence[Path],
    *,
    output: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tell: Tell = silent,
    **choices: Any,
) -> list[dict[str, Any]]:
    """Say what `mpikit.reconstruct.many.reconstruct_files` would do; a file that fails says why.

    Parameters
    ----------
    sources, output, workers, scheduler, resume, overwrite, tell, **choices
        As of `reconstruct_files`.
    """
    jobs = planned_jobs(sources, output, workers, scheduler, choices, tell)
    made_later = output is not None and not output.exists()
    plans = []
    for source, made in jobs:
        place = None if made_later else made
        try:
            if resume and was_made(source, made, choices | {"overwrite": overwrite}):
                plans.append({"source": str(source), "output": str(made), "kept": True})
                continue
            replaced = overwrite or made_later or resume  # what may not be replaced was refused just now
            told = plan_reconstruction(source, output=place, overwrite=replaced, tell=tell, **choices)
        except (MpikitError, mdf.MdfError) as error:
            plans.append({"source": str(source), "error": {"message": str(error), "hint": error.hint}})
            continue
        if made_later:
            names = [made.with_name(Path(each["path"]).name) for each in told["outputs"]]
            told["outputs"] = planned_outputs(names)
        plans.append(told)
    return plans


def plan_rerun(
    made: Path,
    *,
    places: Sequence[Path] = (),
    output: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    tell: Tell = silent,
) -> dict[str, Any]:
    """Say what `mpikit.reconstruct.files.rerun_file` would do, ready for JSON; nothing is made.

    Parameters
    ----------
    made, places, output, workers, scheduler, overwrite, tell
        As of `rerun_file`.
    """
    found = read_rerun(made, places=places, tell=tell)
    check_known(found.options, made)
    with reading(made):
        return plan_reconstruction(
            found.source,
            workers=workers,
            scheduler=scheduler,
            overwrite=overwrite,
            tell=tell,
            **found.arguments(made, output),
        )
