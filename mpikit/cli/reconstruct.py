"""``mpikit reconstruct``: from signals to images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.completion import (
    backgrounds,
    lambda_rules,
    options_of_reconstruction,
    reconstruction_names,
)
from mpikit.cli.sizes import read_extent, read_size
from mpikit.errors import NumericalError, UsageError

if TYPE_CHECKING:
    from mpikit.reconstruct import Result
    from mpikit.reconstruct.many import Outcome

    Done = Result | list[Outcome] | dict[str, Any]  # made, made of several, or only planned

SOME_FAILED = 6


def _option(help_text: str, *names: str, **more: Any) -> Any:
    """Describe an option whose default is that of the method."""
    return typer.Option(*names, help=help_text, show_default=False, **more)


SystemMatrix = Annotated[
    list[Path] | None,
    _option(
        "Calibration file, or a folder of them: the matching one is taken; given several times, one for each "
        "tracer or patch.",
        "--system-matrix",
    ),
]
Output = Annotated[
    Path | None,
    _option(
        "File to write: .mdf, .nii.gz, .npz or .gif [default: SOURCE-stem.reconstruction.mdf]; of several "
        "files, the folder for theirs.",
        "--output",
        "-o",
    ),
]
MethodName = Annotated[
    str | None,
    typer.Option(
        "--method",
        "-m",
        help="kaczmarz (if not said), cgls, fista, admm or tikhonov, with a system matrix; x-space or fbp.",
        show_default=False,
        autocompletion=reconstruction_names,
    ),
]
Iterations = Annotated[int | None, _option("Sweeps or iterations (kaczmarz 10).", min=1)]
Lambda = Annotated[
    str | None,
    _option(
        "Weight relative to ||S||² / P (0.01); or auto, discrepancy, l-curve, gcv.",
        "--lambda",
        autocompletion=lambda_rules,
    ),
]
MinFrequency = Annotated[float | None, _option("Lowest frequency of the rows, Hz (80e3).")]
MaxFrequency = Annotated[float | None, _option("Highest frequency of the rows, Hz.")]
SnrThreshold = Annotated[float | None, _option("Leave out rows with a lower SNR in the system matrix (2).")]
Background = Annotated[
    str | None,
    _option(
        "static: subtract the mean background frame, of measurement and system matrix; interpolated: between "
        "the background frames; dictionary: estimate it with the image; none; or auto: static where it can "
        "be done (auto).",
        autocompletion=backgrounds,
    ),
]
BackgroundFiles = Annotated[
    list[Path] | None,
    _option(
        "Empty measurement; given twice, one before and one after, with linear drift.", "--background-file"
    ),
]
Grid = Annotated[
    str | None,
    _option(
        "Voxels along x, y, z, for instance 32x32; those of a system matrix are interpolated (as calibrated; "
        "x-space: by the trajectory)."
    ),
]
FieldOfView = Annotated[
    str | None,
    _option(
        "Extent along x, y, z in mm, for instance 30x30; without --grid a system matrix is cropped to it. "
        "Its centre, in m: -p center=0.002,0,0.",
        "--fov",
    ),
]
MinSpeed = Annotated[
    float | None, _option("x-space: leave out samples slower than this share of the highest speed (0.1).")
]
Uncertainty = Annotated[
    bool,
    typer.Option(
        "--uncertainty",
        help="Also the standard deviation of each voxel, from background frames or by resampling frames.",
    ),
]
Cache = Annotated[
    Path | None,
    _option(
        "Keep the selected rows of the system matrix as 16-bit integers in this file, or in a folder of such "
        "files, and read them from there next time.",
        "--cache",
    ),
]
Params = Annotated[
    list[str] | None,
    _option(
        "Any option of the method, name=value; --list-options shows them.",
        "--param",
        "-p",
        autocompletion=options_of_reconstruction,
    ),
]
RerunOf = Annotated[
    Path | None,
    _option(
        "Repeat the reconstruction that made this file, and compare; files and folders that are named tell "
        "where its inputs are now.",
        "--rerun",
    ),
]
Workers = Annotated[int | None, _option("Processes on this machine, through Dask.")]
Scheduler = Annotated[str | None, _option("Dask scheduler whose workers are used, as tcp://host:8786.")]


def reconstruct(  # noqa: PLR0913
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="MDF files, measured or denoised, or folders of them.",
            show_default=False,
        ),
    ] = None,
    *,
    system_matrix: SystemMatrix = None,
    output: Output = None,
    method: MethodName = None,
    iterations: Iterations = None,
    lambda_: Lambda = None,
    min_frequency: MinFrequency = None,
    max_frequency: MaxFrequency = None,
    snr_threshold: SnrThreshold = None,
    background: Background = None,
    background_file: BackgroundFiles = None,
    grid: Grid = None,
    fov: FieldOfView = None,
    min_speed: MinSpeed = None,
    uncertainty: Uncertainty = False,
    cache: Cache = None,
    param: Params = None,
    list_options: Annotated[
        bool, typer.Option("--list-options", help="List the options of the method, and do nothing.")
    ] = False,
    average_frames: Annotated[
        bool, typer.Option("--average-frames", help="One image, of the mean over all frames.")
    ] = False,
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="Go on with a system matrix that does not match.")
    ] = False,
    rerun: RerunOf = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep images that were made in the same way, and go on.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Reconstruct images from the signals of an MDF file.

    mpikit reconstruct scan.mdf --system-matrix sm.mdf --iterations 5 --lambda 0.8

    mpikit reconstruct scan.mdf --system-matrix sm.mdf --method fista -p prior=tv -p mu=0.01

    mpikit reconstruct scans/ --system-matrix sm.mdf -o images/ --workers 4
    """
    from mpikit.cli.console import listener

    if list_options:
        _list_options(method or "kaczmarz", json=json)
        return
    said = {
        "iterations": iterations,
        "lambda_": _number_or_word(lambda_),
        "min_frequency": min_frequency,
        "max_frequency": max_frequency,
        "snr_threshold": snr_threshold,
        "background": background,
        "grid": read_size("--grid", grid) or None,
        "field_of_view": read_extent("--fov", fov) or None,
        "min_speed": min_speed,
        "uncertainty": "auto" if uncertainty else None,
        "cache": cache,
    }
    options: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    _add_params(options, method or "kaczmarz", param or ())
    files: dict[str, Any] = {"output": output, "overwrite": force, "workers": workers, "scheduler": scheduler}
    with listener("reconstruct", quiet=quiet) as tell:
        files["tell"] = tell
        if rerun is not None:
            cache = options.pop("cache", None)
            _refuse_beside_rerun(options, method is not None, average_frames, allow_mismatch, resume)
            files["places"] = [*(sources or ()), *(system_matrix or ()), *(background_file or ())]
            done: Done = _rerun(rerun, files, cache, dry_run=dry_run)
        else:
            choices: dict[str, Any] = {
                "system_matrix": system_matrix,
                "background_files": background_file or (),
                "method": method or "kaczmarz",
                "average_frames": average_frames,
                "allow_mismatch": allow_mismatch,
            }
            done = _reconstruct(sources or [], files, choices | options, dry_run=dry_run, resume=resume)
    _finish(done, rerun, json=json, quiet=quiet)


def _rerun(made: Path, files: dict[str, Any], cache: Path | None, *, dry_run: bool) -> Done:
    from mpikit.reconstruct.files import rerun_file
    from mpikit.reconstruct.planning import plan_rerun

    return plan_rerun(made, **files) if dry_run else rerun_file(made, cache=cache, **files)


def _reconstruct(
    sources: list[Path], files: dict[str, Any], choices: dict[str, Any], *, dry_run: bool, resume: bool
) -> Done:
    """Return the result of one file, the outcomes of several, or what would be done."""
    from mpikit.reconstruct.files import reconstruct_file
    from mpikit.reconstruct.many import reconstruct_files
    from mpikit.reconstruct.planning import plan_reconstruction, plan_reconstructions

    if not sources:
        raise UsageError("no file is named", hint="mpikit reconstruct scan.mdf --system-matrix sm.mdf")
    if len(sources) > 1 or sources[0].is_dir() or resume:
        files["resume"] = resume
        if dry_run:
            return {"files": plan_reconstructions(sources, **files, **choices)}
        return reconstruct_files(sources, keep=_as_json, **files, **choices)
    files["output"] = _in_folder(files["output"], sources[0])
    make = plan_reconstruction if dry_run else reconstruct_file
    return make(sources[0], **files, **choices)


def _finish(done: Done, rerun: Path | None, *, json: bool, quiet: bool) -> None:
    """Show what was made, or would be."""
    from mpikit.cli.console import show_json

    if isinstance(done, list):
        _finish_several(done, json=json, quiet=quiet)
        return
    if isinstance(done, dict):
        show_json(done)
        return
    if json:
        show_json(_as_json(done))
    elif not quiet:
        _report(done)
    if done.repeated is False:
        raise NumericalError(
            f"{rerun} is not repeated: the images of {done.output} are others",
            hint="both files are kept: compare them, and look at the warnings; other versions, another "
            "machine or another number of threads change the last bits",
        )


def _number_or_word(text: str | None) -> float | str | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _add_params(options: dict[str, Any], method: str, pairs: Sequence[str]) -> None:
    """Add what ``-p`` says; each option is said once."""
    from mpikit.options import read_pairs
    from mpikit.reconstruct.options import options_class

    named = [f"field_of_view{pair[3:]}" if pair.startswith("fov=") else pair for pair in pairs]
    for name, value in read_pairs(method, options_class(method), named).items():
        if name in options:
            raise UsageError(f"the option {name.rstrip('_')!r} is said twice", hint="leave the -p out")
        options[name] = value


def _refuse_beside_rerun(options: dict[str, Any], *flags: bool) -> None:
    if options or any(flags):
        raise UsageError(
            "--rerun takes its options from the history of its file",
            hint="leave the others out, or reconstruct anew without --rerun",
        )


def _list_options(method: str, *, json: bool) -> None:
    from mpikit.cli.console import show_json, show_table
    from mpikit.options import as_text, expected, option_fields
    from mpikit.reconstruct.options import options_class

    rows = [
        (
            name.rstrip("_"),
            expected(field),
            as_text(field.get_default(call_default_factory=True)),
            field.description or "",
        )
        for name, field in option_fields(options_class(method)).items()
    ]
    heads = ("option", "type", "default", "help")
    if json:
        show_json({"method": method, "options": [dict(zip(heads, row, strict=True)) for row in rows]})
        return
    show_table(heads, rows)


def _as_json(result: Result) -> dict[str, Any]:
    position, value = result.images.peak()
    return {
        "output": str(result.output),
        "picture": str(result.picture),
        "method": result.method,
        "images": len(result.images.values),
        "unit": result.images.unit,
        "mol_per_litre": result.images.concentration,
        "peak_mm": [round(1e3 * float(coordinate), 6) for coordinate in position],
        "peak": value,
        "tracers": _tracers_as_json(result),
        "lambda": result.figures.get("lambda"),
        "rows": result.figures.get("rows"),
        "repeated": result.repeated,
        "uncertainty": result.figures.get("uncertainty"),
        "uncertainty_picture": None if result.deviation_picture is None else str(result.deviation_picture),
    }


def _tracers_as_json(result: Result) -> list[dict[str, Any]]:
    """Peak of each of several tracers."""
    found = []
    for name, images in zip(result.images.tracers, result.images.each(), strict=False):
        position, value = images.peak()
        peak_mm = [round(1e3 * float(coordinate), 6) for coordinate in position]
        found.append({"name": name, "peak_mm": peak_mm, "peak": value, "mol_per_litre": images.concentration})
    return found


def _in_folder(output: Path | None, source: Path) -> Path | None:
    """Return the file to write: a pattern that meets a single file may come with a folder."""
    from mpikit.reconstruct.writing import default_output

    if output is None or not output.is_dir():
        return output
    return output / default_output(source).name


def _finish_several(outcomes: Sequence[Outcome], *, json: bool, quiet: bool) -> None:
    """Show what became of each file; end with the code of the failures, if there are any."""
    from mpikit.cli.console import say, show_error, show_json

    if json:
        show_json({"files": [_outcome_as_json(outcome) for outcome in outcomes]})
    for outcome in outcomes:
        if outcome.error is not None:
            where = "" if str(outcome.source) in str(outcome.error) else f"{outcome.source}: "
            show_error(f"{where}{outcome.error}", outcome.error.hint)
        elif outcome.there is not None:
            if not (quiet or json):
                say(f"kept {outcome.there}")
        elif not (quiet or json):
            count = outcome.kept["images"]
            say(f"wrote {outcome.kept['output']}: {count} image{'s' if count > 1 else ''}")
    failed = [_exit_code(outcome) for outcome in outcomes if outcome.error is not None]
    if not quiet:
        kept = sum(outcome.there is not None for outcome in outcomes)
        words = f"{len(outcomes) - kept - len(failed)} reconstructed{f', {kept} kept' if kept else ''}"
        say(f"{len(outcomes)} files: {words}, {len(failed)} failed")
    if failed:
        raise typer.Exit(max(failed) if len(failed) == len(outcomes) else SOME_FAILED)


def _exit_code(outcome: Outcome) -> int:
    from mpikit.errors import InputError, MpikitError

    return outcome.error.exit_code if isinstance(outcome.error, MpikitError) else InputError.exit_code


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"source": str(outcome.source)}
    if outcome.there is not None:
        return told | {"output": str(outcome.there), "kept": True}
    if outcome.error is None:
        return {**told, **outcome.kept}
    error = {"message": str(outcome.error), "hint": outcome.error.hint, "exit_code": _exit_code(outcome)}
    return told | {"error": error}


def _report(result: Result) -> None:
    from mpikit.cli.console import say
    from mpikit.reconstruct.outputs import deviation_file

    count = len(result.images.values)
    say(f"wrote {result.output}: {count} image{'s' if count > 1 else ''}")
    say(f"wrote {result.picture}")
    apart = None if result.deviation is None else deviation_file(result.output)
    for path in (result.curve, apart, result.deviation_picture):
        if path is not None:
            say(f"wrote {path}")
    if "lambda" in result.figures:
        weight = result.figures["lambda"]
        say(f"lambda {weight['relative']:g} relative, {weight['absolute']:.4g} absolute")
        say(f"{result.figures['rows']} rows")
    mean = " of the mean image" if count > 1 else ""
    for name, images in zip(result.images.tracers or [""], result.images.each(), strict=True):
        position, value = images.peak()
        x, y, z = (f"{round(1e3 * coordinate, 6) + 0:.3g}" for coordinate in position)
        scale = 1e3 * images.concentration if isinstance(images.concentration, float) else 1.0
        of = f" of {name}" if name else ""
        say(f"peak{of}{mean} {scale * value:.4g} {images.shown[1]} at x {x}, y {y}, z {z} mm")
