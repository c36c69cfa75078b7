"""From an MDF file to an MDF file with images, and a picture of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mdf
from mpikit.errors import UsageError
from mpikit.events import Event, silent
from mpikit.figures import save_images
from mpikit.files import reading
from mpikit.provenance import run_record
from mpikit.reconstruct.choices import (
    check_cache,
    check_choices,
    check_ending,
    check_known,
    check_sharing,
    matrix_paths,
)
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.library import pick_calibrations
from mpikit.reconstruct.making import by_matrix, field_free
from mpikit.reconstruct.options import SystemMatrix
from mpikit.reconstruct.rerun import check_repeat, read_rerun, repeatable
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.writing import (
    extras_of,
    find_outputs,
    known_hash,
    plain_options,
    save_curve,
    write_made,
)


@dataclass(frozen=True)
class Result:
    """What `reconstruct_file` made.

    Parameters
    ----------
    output, picture : Path
        The MDF file and the PNG file.
    method : str
    images : Images
    figures : dict
        Figures of the run, ready for JSON: with a system matrix ``rows`` and ``lambda`` (relative and
        absolute).
    rows : Rows or None
        Rows of the system matrix that were used.
    curve : Path or None
        Picture of the choice of λ.
    repeated : bool or None
        The images are those of the file that was repeated, bit for bit.
    deviation : Images or None
        Standard deviation of the images, one for each or one for all.
    deviation_picture : Path or None
    """

    output: Path
    picture: Path
    method: str
    images: Images
    figures: dict[str, Any]
    rows: Rows | None = None
    curve: Path | None = None
    repeated: bool | None = None
    deviation: Images | None = None
    deviation_picture: Path | None = None


def reconstruct_file(  # noqa: PLR0913 - each is a choice of its own
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
    pictures: bool = True,
    tell: Callable[[Event], None] = silent,
    **options: Any,
) -> Result:
    """Reconstruct the images of a measurement and write them.

    Parameters
    ----------
    source : Path
        Measured or denoised MDF file.
    system_matrix : Path, or sequence of Path, optional
        Calibration file, or a folder of them of which the matching one is taken (of a measurement with
        several patches, the nearest one for each). Several are those of several tracers, or of patches. All
        methods but x-space and fbp need one.
    background_files : sequence of Path
        One empty measurement, or two (before and after), instead of the background frames of the source.
    output : Path, optional
        File to write: MDF, or by its ending NIfTI (.nii, .nii.gz), .npz or an animation (.gif). Beside the
        source as ``STEM.reconstruction.mdf`` if not given. The picture is ``STEM.png`` of an MDF file, and
        of another one its whole name with ``.png`` behind it.
    method : {"kaczmarz", "cgls", "fista", "admm", "tikhonov", "x-space", "fbp"}
    average_frames : bool
        Make one image of the mean of all foreground frames, instead of one image for each.
    allow_mismatch : bool
        Go on with a system matrix that does not match, with a warning.
    workers : int, optional
        Processes on this machine that share the frames, through Dask. The images do not depend on it.
    scheduler : str, optional
        Address of a Dask scheduler whose workers share the frames, as ``tcp://host:8786``.
    overwrite : bool
        Replace existing files.
    pictures : bool
        Draw the images, their deviation and the choice of λ. If not, `Result.picture` is a name alone.
    tell : callable
    **options
        Options of the method by name: see `mpikit.reconstruct.options`.

    Returns
    -------
    Result

    Raises
    ------
    UsageError, InputError, NumericalError, mdf.MdfError
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
    sharing = check_sharing(chosen, method, workers, scheduler)
    with ExitStack() as files:
        measurement = files.enter_context(mdf.open(source))
        matrices = find_matrices(matrix_paths(system_matrix), measurement, tell)
        check_cache(chosen, matrices)
        roles = {"source": [source], "background_file": list(background_files)}
        if matrices:
            roles["system_matrix"] = matrices
        inputs = tuple(path for paths in roles.values() for path in paths)
        extras = extras_of(chosen)
        beside = find_outputs(source, output, inputs, overwrite, extras)
        output, picture, replaced = beside.output, beside.picture, beside.output.exists()
        empty = [files.enter_context(mdf.open(path)) for path in background_files]
        more: dict[str, Any] = {"average_frames": average_frames, "tell": tell}
        if isinstance(chosen, SystemMatrix):
            made = by_matrix(
                measurement,
                [files.enter_context(mdf.open(path)) for path in matrices],
                chosen,
                empty=empty,
                allow_mismatch=allow_mismatch,
                sharing=sharing,
                **more,
            )
        else:
            made = field_free(measurement, chosen, **more)
        said = {
            "method": method,
            "average_frames": average_frames,
            "allow_mismatch": allow_mismatch,
            **plain_options(chosen),
        }
        record = run_record("reconstruct", inputs=(), options=said, **made.figures)
        record["inputs"] = {path.name: known_hash(path) for path in inputs}
        record = repeatable(
            record, inputs=roles, images=made.images, rows=made.rows, deviation=made.deviation
        )
        write_made(output, measurement, made, record, overwrite)
    drawn = spread = None
    if pictures:
        _draw(picture, made.images, overwrite)
        drawn = save_curve(beside.curve, made, overwrite)
        spread = beside.save_deviation(made.deviation, overwrite=overwrite, tell=tell)
    if replaced:
        beside.remove_stale(**extras, inputs=inputs, tell=tell)
    return Result(
        output,
        picture,
        method,
        made.images,
        made.figures,
        made.rows,
        drawn,
        deviation=made.deviation,
        deviation_picture=spread,
    )


def _draw(picture: Path, images: Images, overwrite: bool) -> None:
    values, unit = images.shown
    frames, tracers = images.frames.tolist(), images.tracers
    save_images(picture, values, images.grid, unit=unit, frames=frames, tracers=tracers, overwrite=overwrite)


def rerun_file(
    made: Path,
    *,
    places: Sequence[Path] = (),
    output: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    cache: Path | None = None,
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> Result:
    """Repeat a reconstruction from what its file says, and compare.

    Parameters
    ----------
    made : Path
        File that a reconstruction wrote.
    places : sequence of Path
        Folders or files in which its inputs are looked for, beside its own folder.
    output : Path, optional
        If not given, ``STEM.rerun.mdf`` beside the file.
    cache : Path, optional
        Of the system matrix, if the file was made with one, wherever that was. Without it the rows are
        rounded as they are read, which gives the same.
    workers, scheduler, overwrite, tell
        As in `reconstruct_file`.

    Raises
    ------
    UsageError
        A cache, and the file was made without one.
    InputError
        When an input is missing or another than it was.
    """
    found = read_rerun(made, places=places, tell=tell)
    check_known(found.options, made)
    if cache is not None and not found.options.get("int16"):
        raise UsageError(
            f"{made.name} was made without a cache of the system matrix, which changes last digits",
            hint="leave --cache out",
        )
    more: dict[str, Any] = {} if cache is None else {"cache": cache}
    with reading(made):
        result = reconstruct_file(
            found.source,
            workers=workers,
            scheduler=scheduler,
            overwrite=overwrite,
            tell=tell,
            **found.arguments(made, output),
            **more,
        )
    same = check_repeat(found, result.images, result.rows, result.deviation, tell=tell)
    return replace(result, repeated=same)


def find_matrices(paths: Sequence[Path], measurement: mdf.File, tell: Callable[[Event], None]) -> list[Path]:
    """Return the files of system matrices, each once; a folder stands for those in it that match."""
    named = [path.resolve() for path in paths]
    twice = [path for path, place in zip(paths, named, strict=True) if named.count(place) > 1]
    if twice:
        raise UsageError(f"the system matrix {twice[0]} is named twice", hint="leave one out")
    found: dict[Path, Path] = {}
    for path in paths:
        for each in pick_calibrations(path, measurement, tell=tell) if path.is_dir() else [path]:
            found.setdefault(each.resolve(), each)
    return list(found.values())
