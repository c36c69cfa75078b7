"""``mpikit reconstruct``: from signals to images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.sizes import read_extent, read_size
from mpikit.errors import UsageError

if TYPE_CHECKING:
    from mpikit.reconstruct import Result


def method_names(incomplete: str) -> list[str]:
    """Names for the shell completion of ``--method``."""
    from mpikit.reconstruct.options import METHODS

    return [name for name in METHODS if name.startswith(incomplete)]


def _option(help_text: str, *names: str, **more: Any) -> Any:
    """Describe an option whose default is that of the method."""
    return typer.Option(*names, help=help_text, show_default=False, **more)


SystemMatrix = Annotated[
    Path | None,
    _option("Calibration file, or a folder of them: the matching one is taken.", "--system-matrix"),
]
Output = Annotated[
    Path | None,
    _option(
        "File to write: .mdf, .nii.gz, .npz or .gif [default: SOURCE-stem.reconstruction.mdf].",
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
        autocompletion=method_names,
    ),
]
Iterations = Annotated[int | None, _option("Sweeps or iterations (kaczmarz 10).", min=1)]
Lambda = Annotated[
    str | None,
    _option("Weight relative to ||S||² / P (0.01); or auto, discrepancy, l-curve, gcv.", "--lambda"),
]
MinFrequency = Annotated[float | None, _option("Lowest frequency of the rows, Hz (80e3).")]
MaxFrequency = Annotated[float | None, _option("Highest frequency of the rows, Hz.")]
SnrThreshold = Annotated[float | None, _option("Leave out rows with a lower SNR in the system matrix (2).")]
Background = Annotated[
    str | None,
    _option(
        "static: subtract the mean background frame, of measurement and system matrix; interpolated: between "
        "the background frames; dictionary: estimate it with the image; none; or auto: static where it can "
        "be done (auto)."
    ),
]
BackgroundFiles = Annotated[
    list[Path] | None,
    _option(
        "Empty measurement; given twice, one before and one after, with linear drift.", "--background-file"
    ),
]
Grid = Annotated[str | None, _option("x-space: voxels along x, y, z, for instance 32x32.")]
FieldOfView = Annotated[
    str | None, _option("x-space: extent along x, y, z in mm, for instance 30x30.", "--fov")
]
MinSpeed = Annotated[
    float | None, _option("x-space: leave out samples slower than this share of the highest speed (0.1).")
]
Params = Annotated[
    list[str] | None,
    _option("Any option of the method, name=value; --list-options shows them.", "--param", "-p"),
]
RerunOf = Annotated[
    Path | None,
    _option(
        "Repeat the reconstruction that made this file, and compare; files and folders that are named tell "
        "where its inputs are now.",
        "--rerun",
    ),
]


def reconstruct(  # noqa: PLR0913
    source: Annotated[
        Path | None, typer.Argument(help="MDF file, measured or denoised.", show_default=False)
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
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Reconstruct images from the signals of an MDF file.

    mpikit reconstruct scan.mdf --system-matrix sm.mdf --iterations 5 --lambda 0.8

    mpikit reconstruct scan.mdf --system-matrix sm.mdf --method fista -p prior=tv -p mu=0.01
    """
    from mpikit.cli.console import listener, show_json
    from mpikit.reconstruct.files import reconstruct_file, rerun_file

    if list_options:
        _list_options(method or "kaczmarz")
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
    }
    options: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    _add_params(options, method or "kaczmarz", param or ())
    with listener("reconstruct", quiet=quiet) as tell:
        more: dict[str, Any] = {"output": output, "overwrite": force, "tell": tell}
        if rerun is not None:
            _refuse_beside_rerun(options, method is not None, average_frames, allow_mismatch)
            places = [path for path in (source, system_matrix, *(background_file or ())) if path is not None]
            result = rerun_file(rerun, places=places, **more)
        elif source is None:
            raise UsageError("no file is named", hint="mpikit reconstruct scan.mdf --system-matrix sm.mdf")
        else:
            result = reconstruct_file(
                source,
                system_matrix=system_matrix,
                background_files=background_file or (),
                method=method or "kaczmarz",
                average_frames=average_frames,
                allow_mismatch=allow_mismatch,
                **more,
                **options,
            )
    if json:
        show_json(_as_json(result))
    elif not quiet:
        _report(result)


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

    for name, value in read_pairs(method, options_class(method), pairs).items():
        if name in options:
            raise UsageError(f"the option {name.rstrip('_')!r} is said twice", hint="leave the -p out")
        options[name] = value


def _refuse_beside_rerun(options: dict[str, Any], *flags: bool) -> None:
    if options or any(flags):
        raise UsageError(
            "--rerun takes its options from the history of its file",
            hint="leave the others out, or reconstruct anew without --rerun",
        )


def _list_options(method: str) -> None:
    from mpikit.cli.console import show_table
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
    show_table(("option", "type", "default", "help"), rows)


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
        "lambda": result.figures.get("lambda"),
        "rows": result.figures.get("rows"),
        "repeated": result.repeated,
    }


def _report(result: Result) -> None:
    from mpikit.cli.console import say

    position, value = result.images.peak()
    x, y, z = (f"{1e3 * coordinate:.3g}" for coordinate in position)
    count = len(result.images.values)
    say(f"wrote {result.output}: {count} image{'s' if count > 1 else ''}")
    say(f"wrote {result.picture}")
    if result.curve is not None:
        say(f"wrote {result.curve}")
    if "lambda" in result.figures:
        weight = result.figures["lambda"]
        say(f"lambda {weight['relative']:g} relative, {weight['absolute']:.4g} absolute")
        say(f"{result.figures['rows']} rows")
    mean = " of the mean image" if count > 1 else ""
    scale = 1.0 if result.images.concentration is None else 1e3 * result.images.concentration
    say(f"peak{mean} {scale * value:.4g} {result.images.shown[1]} at x {x}, y {y}, z {z} mm")
