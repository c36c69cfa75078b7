"""From an MDF file to an MDF file with images, and a picture of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mdf
from mpikit.device import arrays_on
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, silent
from mpikit.figures import save_choice, save_images
from mpikit.files import check_output
from mpikit.provenance import HISTORY, append_history, run_record
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.library import pick_calibration
from mpikit.reconstruct.making import Made, by_matrix, field_free
from mpikit.reconstruct.options import METHODS, Kaczmarz, SystemMatrix, make_options
from mpikit.reconstruct.outputs import suffix_of, write_images
from mpikit.reconstruct.rerun import check_repeat, read_rerun, repeatable
from mpikit.reconstruct.selection import Rows
from mpikit.records import Options

_MDF = (".mdf", ".h5", ".hdf5")
_NOT_KEPT = ("/measurement/", "/calibration/", "/reconstruction/")
_ITSELF = {"/version", "/uuid", "/time"}  # a new file has its own


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
    """

    output: Path
    picture: Path
    method: str
    images: Images
    figures: dict[str, Any]
    rows: Rows | None = None
    curve: Path | None = None
    repeated: bool | None = None


def reconstruct_file(
    source: Path,
    *,
    system_matrix: Path | None = None,
    background_files: Sequence[Path] = (),
    output: Path | None = None,
    method: str = "kaczmarz",
    average_frames: bool = False,
    allow_mismatch: bool = False,
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
    **options: Any,
) -> Result:
    """Reconstruct the images of a measurement and write them.

    Parameters
    ----------
    source : Path
        Measured or denoised MDF file.
    system_matrix : Path, optional
        Calibration file, or a folder of them of which the matching one is taken. All methods but x-space and
        fbp need one.
    background_files : sequence of Path
        One empty measurement, or two (before and after), instead of the background frames of the source.
    output : Path, optional
        File to write: MDF, or by its ending NIfTI (.nii, .nii.gz), .npz or an animation (.gif). Beside the
        source as ``STEM.reconstruction.mdf`` if not given. The picture has the same name with the ending
        ``.png``.
    method : {"kaczmarz", "cgls", "fista", "admm", "tikhonov", "x-space", "fbp"}
    average_frames : bool
        Make one image of the mean of all foreground frames, instead of one image for each.
    allow_mismatch : bool
        Go on with a system matrix that does not match, with a warning.
    overwrite : bool
        Replace existing files.
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
    chosen = make_options(method, options)
    _check_ending(output)
    _check_roles(chosen, method, system_matrix, background_files, allow_mismatch)
    _check_together(chosen, background_files, average_frames)
    with ExitStack() as files:
        measurement = files.enter_context(mdf.open(source))
        if system_matrix is not None and system_matrix.is_dir():
            system_matrix = pick_calibration(system_matrix, measurement, tell=tell)
        roles = {"source": [source], "background_file": list(background_files)}
        if system_matrix is not None:
            roles["system_matrix"] = [system_matrix]
        inputs = tuple(path for paths in roles.values() for path in paths)
        curve = isinstance(chosen, SystemMatrix) and not isinstance(chosen.lambda_, float)
        output, picture = _outputs(source, output, inputs, overwrite, curve=curve)
        empty = [files.enter_context(mdf.open(path)) for path in background_files]
        more: dict[str, Any] = {"average_frames": average_frames, "tell": tell}
        if isinstance(chosen, SystemMatrix):
            assert system_matrix is not None  # noqa: S101 - `_check_roles` has seen to it
            calibration = files.enter_context(mdf.open(system_matrix))
            made = by_matrix(
                measurement, calibration, chosen, empty=empty, allow_mismatch=allow_mismatch, **more
            )
        else:
            made = field_free(measurement, chosen, **more)
        said = {
            "method": method,
            "average_frames": average_frames,
            "allow_mismatch": allow_mismatch,
            **_plain_options(chosen),
        }
        record = run_record("reconstruct", inputs=inputs, options=said, **made.figures)
        record = repeatable(record, inputs=roles, images=made.images, rows=made.rows)
        _write(output, measurement, made.images, record, overwrite)
    values, unit = made.images.shown
    frames = made.images.frames.tolist()
    save_images(picture, values, made.images.grid, unit=unit, frames=frames, overwrite=overwrite)
    drawn = _save_choice(picture, made, overwrite)
    return Result(output, picture, method, made.images, made.figures, made.rows, drawn)


def rerun_file(
    made: Path,
    *,
    places: Sequence[Path] = (),
    output: Path | None = None,
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
    overwrite, tell
        As in `reconstruct_file`.

    Raises
    ------
    InputError
        When an input is missing or another than it was.
    """
    found = read_rerun(made, places=places, tell=tell)
    _check_known(found.options, made)
    matrix = found.inputs.get("system_matrix")
    result = reconstruct_file(
        found.source,
        system_matrix=matrix[0] if matrix else None,
        background_files=found.inputs.get("background_file", ()),
        output=output or made.with_name(f"{made.name.partition('.')[0]}.rerun.mdf"),
        overwrite=overwrite,
        tell=tell,
        **found.options,
    )
    same = check_repeat(found, result.images, result.rows, tell=tell)
    return replace(result, repeated=same)


def _check_roles(
    options: Options,
    method: str,
    system_matrix: Path | None,
    background_files: Sequence[Path],
    allow_mismatch: bool,
) -> None:
    """Refuse files that the method takes no notice of, or lacks."""
    if isinstance(options, SystemMatrix):
        if system_matrix is None:
            raise UsageError(
                f"{method} needs a system matrix", hint="add --system-matrix FILE, or --method x-space"
            )
        return
    if system_matrix is not None or allow_mismatch or background_files:
        raise UsageError(
            f"{method} uses no system matrix, expected neither --system-matrix nor --allow-mismatch nor "
            "--background-file",
            hint="leave them out, or use --method kaczmarz",
        )


def _check_known(options: Mapping[str, Any], made: Path) -> None:
    """Refuse a history that no reconstruction wrote."""
    method = options.get("method")
    known = {"method", "average_frames", "allow_mismatch"}
    known |= set(METHODS[method].model_fields) if method in METHODS else set()
    strange = ", ".join(sorted(set(options) - known))
    if strange or method not in METHODS:
        raise InputError(
            f"the history of {made.name} is that of no reconstruction: {strange or f'the method {method!r}'}",
            hint="reconstruct anew without --rerun",
        )


def _check_together(options: Options, background_files: Sequence[Path], average_frames: bool) -> None:
    """Refuse what would do nothing, and what cannot be done on this machine, before a file is read."""
    if len(background_files) > 2:
        raise UsageError(
            f"{len(background_files)} empty measurements, expected one, or two for before and after",
            hint="leave some --background-file out",
        )
    if not isinstance(options, SystemMatrix):
        return
    if background_files and options.background == "none":
        raise UsageError(
            "with --background none an empty measurement would do nothing", hint="leave one of them out"
        )
    if average_frames and options.frame_averages > 1:
        raise UsageError(
            "--average-frames averages all frames, so that frame_averages would do nothing",
            hint="leave one of them out",
        )
    if isinstance(options, Kaczmarz) and options.device != "cpu":
        arrays_on(options.device)


def _check_ending(output: Path | None) -> None:
    if output is None:
        return
    if output.suffix.lower() == ".png":
        raise UsageError(
            f"the output {output.name} is the name of a picture, expected that of an MDF file",
            hint=f"say {output.with_suffix('.mdf').name}: the picture stands beside it",
        )
    suffix_of(output, also=_MDF)


def _outputs(
    source: Path, output: Path | None, inputs: tuple[Path, ...], overwrite: bool, *, curve: bool
) -> tuple[Path, Path]:
    """Return the file to write and its picture, if they may be written."""
    output = output or source.with_name(f"{source.stem}.reconstruction.mdf")
    stem = output.name[: -len(suffix_of(output, also=_MDF))]
    picture = output.with_name(f"{stem}.png")
    for path in (output, picture, *([_curve(picture)] if curve else [])):
        check_output(path, inputs=inputs, overwrite=overwrite)
    return output, picture


def _curve(picture: Path) -> Path:
    return picture.with_name(f"{picture.stem}.lambda.png")


def _save_choice(picture: Path, made: Made, overwrite: bool) -> Path | None:
    if made.choice is None:
        return None
    path = _curve(picture)
    save_choice(path, made.choice, overwrite=overwrite)
    return path


def _plain_options(options: Options) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in options.model_dump().items()}


def _write(
    output: Path, measurement: mdf.File, images: Images, record: dict[str, Any], overwrite: bool
) -> None:
    before = measurement.user_value(HISTORY)
    history = append_history(before if isinstance(before, str) else None, record)
    if suffix_of(output, also=_MDF) not in _MDF:
        interval = _frame_interval(measurement, record, len(images.frames))
        write_images(output, images, history=history, frame_interval=interval, overwrite=overwrite)
        return
    kept = {
        name: value
        for name, value in measurement.contents().items()
        if name not in _ITSELF and not name.startswith(_NOT_KEPT)
    }
    mdf.write(
        output,
        {**kept, **images.contents()},
        user={HISTORY: history},
        copy_user_from=measurement,
        overwrite=overwrite,
    )


def _frame_interval(measurement: mdf.File, record: dict[str, Any], images: int) -> float | None:
    """Time between two images, s; None for a single one, or where the file does not say."""
    cycle = measurement.acquisition.drivefield.cycle
    if images < 2 or not cycle:
        return None
    averages = measurement.acquisition.num_averages * record["options"].get("frame_averages", 1)
    return float(cycle * measurement.num_periods * averages)
