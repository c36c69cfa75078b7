"""``mpikit reconstruct``: from signals to images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.sizes import read_extent, read_size

if TYPE_CHECKING:
    from mpikit.reconstruct import Result

Iterations = Annotated[
    int | None, typer.Option(min=1, help="kaczmarz: sweeps over all rows (10).", show_default=False)
]
Lambda = Annotated[
    float | None,
    typer.Option(
        "--lambda", min=0, help="kaczmarz: weight relative to ||S||² / P (0.01).", show_default=False
    ),
]
MinFrequency = Annotated[
    float | None, typer.Option(help="kaczmarz: lowest frequency, Hz (80e3).", show_default=False)
]
MaxFrequency = Annotated[
    float | None, typer.Option(help="kaczmarz: highest frequency, Hz.", show_default=False)
]
SnrThreshold = Annotated[
    float | None,
    typer.Option(
        help="kaczmarz: leave out rows with a lower SNR in the system matrix (2).", show_default=False
    ),
]
Background = Annotated[
    str | None,
    typer.Option(
        help="static: subtract the mean background frame, of measurement and system matrix; none; or auto: "
        "static where it can be done (auto).",
        show_default=False,
    ),
]
Grid = Annotated[
    str | None, typer.Option(help="x-space: voxels along x, y, z, for instance 32x32.", show_default=False)
]
FieldOfView = Annotated[
    str | None,
    typer.Option(
        "--fov", help="x-space: extent along x, y, z in mm, for instance 30x30.", show_default=False
    ),
]


MinSpeed = Annotated[
    float | None,
    typer.Option(
        help="x-space: leave out samples slower than this share of the highest speed (0.1).",
        show_default=False,
    ),
]


def reconstruct(  # noqa: PLR0913
    source: Annotated[Path, typer.Argument(help="MDF file, measured or denoised.", show_default=False)],
    *,
    system_matrix: Annotated[
        Path | None, typer.Option("--system-matrix", help="Calibration file.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="MDF file to write.", show_default=False)
    ] = None,
    method: Annotated[str, typer.Option("--method", "-m", help="kaczmarz or x-space.")] = "kaczmarz",
    iterations: Iterations = None,
    lambda_: Lambda = None,
    min_frequency: MinFrequency = None,
    max_frequency: MaxFrequency = None,
    snr_threshold: SnrThreshold = None,
    background: Background = None,
    grid: Grid = None,
    fov: FieldOfView = None,
    min_speed: MinSpeed = None,
    average_frames: Annotated[
        bool, typer.Option("--average-frames", help="One image, of the mean over all frames.")
    ] = False,
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="Go on with a system matrix that does not match.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Reconstruct images from the signals of an MDF file.

    mpikit reconstruct scan.mdf --system-matrix sm.mdf --iterations 5 --lambda 0.8
    """
    from mpikit.cli.console import listener, show_json
    from mpikit.reconstruct import reconstruct_file

    options = {
        "iterations": iterations,
        "lambda_": lambda_,
        "min_frequency": min_frequency,
        "max_frequency": max_frequency,
        "snr_threshold": snr_threshold,
        "background": background,
        "grid": read_size("--grid", grid) or None,
        "field_of_view": read_extent("--fov", fov) or None,
        "min_speed": min_speed,
    }
    with listener("reconstruct", quiet=quiet) as tell:
        result = reconstruct_file(
            source,
            system_matrix=system_matrix,
            output=output,
            method=method,
            average_frames=average_frames,
            allow_mismatch=allow_mismatch,
            overwrite=force,
            tell=tell,
            **{name: value for name, value in options.items() if value is not None},
        )
    if json:
        show_json(_as_json(result))
    elif not quiet:
        _report(result)


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
    }


def _report(result: Result) -> None:
    from mpikit.cli.console import say

    position, value = result.images.peak()
    x, y, z = (f"{1e3 * coordinate:.3g}" for coordinate in position)
    count = len(result.images.values)
    say(f"wrote {result.output}: {count} image{'s' if count > 1 else ''}")
    say(f"wrote {result.picture}")
    if "lambda" in result.figures:
        weight = result.figures["lambda"]
        say(f"lambda {weight['relative']:g} relative, {weight['absolute']:.4g} absolute")
        say(f"{result.figures['rows']} rows")
    mean = " of the mean image" if count > 1 else ""
    scale = 1.0 if result.images.concentration is None else 1e3 * result.images.concentration
    say(f"peak{mean} {scale * value:.4g} {result.images.shown[1]} at x {x}, y {y}, z {z} mm")
