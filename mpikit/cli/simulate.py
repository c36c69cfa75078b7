"""``mpikit simulate``: scans and calibrations of a simulated scanner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.sizes import read_extent, read_size
from mpikit.errors import UsageError

if TYPE_CHECKING:
    from mpikit.scan import Scan
    from mpikit.simulate.presets import Preset


def preset_names(incomplete: str) -> list[str]:
    """Names for the shell completion of the preset."""
    from mpikit.simulate import presets

    return [name for name in presets.preset_names() if name.startswith(incomplete)]


def _option(help_text: str, *names: str) -> Any:
    """Describe an option whose default is up to the preset."""
    return typer.Option(*names, help=help_text, show_default=False)


PresetName = Annotated[
    str | None,
    typer.Argument(
        help="Scanner with its sequence: openmpi-2d or peng2023.",
        show_default=False,
        autocompletion=preset_names,
    ),
]
Output = Annotated[Path | None, _option("MDF file to write.", "--output", "-o")]
PhantomName = Annotated[str | None, _option("dots, smile or digits; if not said, the preset's.")]
Frames = Annotated[int | None, _option("Frames of one phantom; if not said, the preset's number.")]
Count = Annotated[int | None, _option("Phantoms, where every frame is another one (peng2023).")]
BackgroundFrames = Annotated[int | None, _option("Empty frames, half of them before the others.")]
NoiseSpecs = Annotated[
    list[str] | None,
    _option(
        "Noise to add, for instance gaussian:snr_db=15; may be given again. If not said, a scan has none and "
        "a calibration gaussian:level=channel,snr_db=40."
    ),
]
IsCalibration = Annotated[
    bool, typer.Option("--calibration", help="Write the system matrix of the scanner instead of a scan.")
]
GridSize = Annotated[str | None, _option("Voxels of the calibration, as 19x19 or 19x19x9.")]
Fov = Annotated[str | None, _option("Extent of the calibration in mm, as 38x38.")]
Clean = Annotated[Path | None, _option("Also write the scan without noise, for evaluation only.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random draw.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")]


def simulate(  # noqa: PLR0913, PLR0917 - a command has as many arguments as it has options
    preset: PresetName = None,
    output: Output = None,
    phantom: PhantomName = None,
    frames: Frames = None,
    count: Count = None,
    background_frames: BackgroundFrames = None,
    noise: NoiseSpecs = None,
    calibration: IsCalibration = False,
    grid: GridSize = None,
    fov: Fov = None,
    clean: Clean = None,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a scan, or the calibration of a scanner, and write it as MDF.

    mpikit simulate openmpi-2d -o scan.mdf --noise gaussian:snr_db=15

    mpikit simulate openmpi-2d --calibration --grid 19x19 -o systemmatrix.mdf
    """
    from mpikit.cli.console import listener
    from mpikit.simulate import presets

    if preset is None:
        raise UsageError("no preset is named", hint=f"choose one of {presets.listing()}")
    chosen = presets.preset(preset)
    if output is None:
        raise UsageError("no output is named", hint=f"mpikit simulate {preset} -o scan.mdf")
    of_a_scan: dict[str, Any] = {"phantom": phantom, "frames": frames, "count": count}
    of_a_scan |= {"background_frames": background_frames, "clean": clean}
    of_a_calibration: dict[str, Any] = {"grid": grid, "fov": fov}
    _refuse(of_a_scan if calibration else of_a_calibration, calibration=calibration)
    with listener("simulate", quiet=quiet) as tell:
        both: dict[str, Any] = {"noise": noise or (), "seed": seed, "overwrite": force, "tell": tell}
        make = _calibration if calibration else _scan
        made = make(chosen, output, **(of_a_calibration if calibration else of_a_scan), **both)
    if not quiet:
        _report(output, made)


def _scan(preset: Preset, output: Path, *, frames: int | None, count: int | None, **more: Any) -> Scan:
    from mpikit.simulate.files import simulate_file

    if preset.repeats == "frames" and count is not None:
        raise UsageError(
            f"{preset.name} measures one phantom in every frame, so that it takes no --count",
            hint="say --frames for the number of frames",
        )
    if preset.repeats == "periods" and frames is not None:
        raise UsageError(
            f"{preset.name} measures another phantom in every frame, so that it takes no --frames",
            hint="say --count for the number of phantoms",
        )
    return simulate_file(preset, output, frames=count if frames is None else frames, **more)


def _calibration(preset: Preset, output: Path, *, grid: str | None, fov: str | None, **more: Any) -> Scan:
    from mpikit.simulate.files import simulate_calibration_file

    size = read_size("--grid", grid, axes=2)
    extent = read_extent("--fov", fov, axes=2)
    return simulate_calibration_file(preset, output, size=size, field_of_view=extent, **more).scan


def _report(output: Path, scan: Scan) -> None:
    from mpikit.cli.console import say

    frames, periods, channels, samples = scan.signal.shape
    say(
        f"wrote {output}: frames {frames} + {len(scan.background)} empty, periods {periods}, "
        f"channels {channels}, samples {samples}"
    )


def _refuse(options: dict[str, Any], *, calibration: bool) -> None:
    """Refuse the options that would do nothing."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given and calibration:
        raise UsageError(
            f"{given[0]} says nothing about a calibration", hint=f"leave out {' and '.join(given)}"
        )
    if given:
        raise UsageError(f"{given[0]} is for a calibration", hint="add --calibration, or leave it out")
