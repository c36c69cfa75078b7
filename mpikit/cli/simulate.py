"""``mpikit simulate``: scans and calibrations of a simulated scanner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.completion import noise_specs, phantom_names, preset_names
from mpikit.cli.sizes import read_extent, read_place, read_size
from mpikit.errors import UsageError
from mpikit.events import Finding
from mpikit.files import check_output

if TYPE_CHECKING:
    from mpikit.simulate.files import How, Simulated
    from mpikit.simulate.presets import Preset
    from mpikit.simulate.request import Subject

_SETS = ("train", "validation", "test")


def _option(help_text: str, *names: str, **more: Any) -> Any:
    """Describe an option whose default is up to the preset."""
    return typer.Option(*names, help=help_text, show_default=False, **more)


PresetName = Annotated[
    str | None,
    typer.Argument(
        help="Scanner with its sequence (leave it out for the list), or the path of a preset file (.toml).",
        show_default=False,
        autocompletion=preset_names,
    ),
]
Output = Annotated[
    Path | None,
    _option("MDF file to write; a folder with --split, or for a preset of several files.", "--output", "-o"),
]
PhantomName = Annotated[
    str | None,
    _option(
        "dots, smile, bars, vessels, shepp-logan, point, digits, concentration, resolution, shape; or a "
        "picture or .npy file. If not said, the preset's.",
        autocompletion=phantom_names,
    ),
]
Mnist = Annotated[
    Path | None, _option("Digits of the full MNIST set: IDX or NPZ file, or a folder of IDX files.")
]
Dose = Annotated[float | None, _option("Highest concentration of the phantom in mol(Fe)/L.")]
At = Annotated[
    str | None, _option("Place of the phantom in mm, as 0,0,3; where it would be by itself is 0,0,0.")
]
Frames = Annotated[int | None, _option("Frames of one phantom; if not said, the preset's number.")]
Count = Annotated[int | None, _option("Phantoms, where every frame is another one (peng2023).")]
Periods = Annotated[int | None, _option("Drive-field periods in a frame; if not said, the preset's number.")]
BackgroundFrames = Annotated[int | None, _option("Empty frames, half of them before the others.")]
NoiseSpecs = Annotated[
    list[str] | None,
    _option(
        "Noise to add, for instance gaussian:snr_db=15; may be given again, 'none' is none. If not said, a "
        "scan has that of its preset (openmpi: none) and a calibration gaussian:level=channel,snr_db=40.",
        autocompletion=noise_specs,
    ),
]
Params = Annotated[
    list[str] | None,
    _option(
        "Another value for the preset, as particle.relaxation_time=2e-6; may be given again.", "--param", "-p"
    ),
]
IsCalibration = Annotated[
    bool, typer.Option("--calibration", help="Write the system matrix of the scanner instead of a scan.")
]
GridSize = Annotated[str | None, _option("Voxels of phantom or calibration, as 19x19 or 19x19x9.")]
Fov = Annotated[str | None, _option("Extent of phantom or calibration in mm, as 38x38.")]
Clean = Annotated[
    Path | None,
    _option("Also write the particle signal alone, for evaluation only; a folder with --split."),
]
Split = Annotated[
    str | None,
    _option("Digits in two or three files of a folder (train, validation, test), as 8000,1000,1000."),
]
Workers = Annotated[int | None, _option("Processes on this machine, through Dask.")]
Scheduler = Annotated[str | None, _option("Dask scheduler whose workers are used, as tcp://host:8786.")]
Show = Annotated[bool, typer.Option("--show", help="Print the preset as a file to copy and change.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything and say what would be made.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random draw.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")]


def simulate(  # noqa: PLR0913, PLR0917 - a command has as many arguments as it has options
    preset: PresetName = None,
    output: Output = None,
    phantom: PhantomName = None,
    mnist: Mnist = None,
    concentration: Dose = None,
    at: At = None,
    grid: GridSize = None,
    fov: Fov = None,
    frames: Frames = None,
    count: Count = None,
    periods: Periods = None,
    background_frames: BackgroundFrames = None,
    noise: NoiseSpecs = None,
    param: Params = None,
    calibration: IsCalibration = False,
    clean: Clean = None,
    split: Split = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    show: Show = False,
    dry_run: DryRun = False,
    seed: Seed = 0,
    json: Json = False,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a scan, or the calibration of a scanner, and write it as MDF.

    mpikit simulate openmpi-2d -o scan.mdf --noise gaussian:snr_db=15

    mpikit simulate openmpi-2d --calibration --grid 19x19 -o systemmatrix.mdf

    mpikit simulate peng2023 --count 10000 --noise gaussian:snr_db=5 -o set.mdf --clean set.clean.mdf
    """
    from mpikit.cli.console import listener
    from mpikit.cli.console import show as print_out
    from mpikit.simulate import presets
    from mpikit.simulate.files import How

    if preset is None:
        raise UsageError("no preset is named", hint=f"choose one of {presets.listing()}, or a preset file")
    if show:
        given: dict[str, Any] = {
            "param": param,
            "output": output,
            "phantom": phantom,
            "noise": noise,
            "split": split,
        }
        given |= {"frames": frames, "count": count, "clean": clean, "grid": grid, "fov": fov}
        _refuse(given, "a preset that is shown as it is")
        print_out(presets.preset_text(preset).rstrip())
        return
    chosen = presets.preset(preset, param or ())
    if output is None:
        raise UsageError("no output is named", hint=f"mpikit simulate {preset} -o scan.mdf")
    of_a_scan: dict[str, Any] = {"phantom": phantom, "mnist": mnist, "concentration": concentration, "at": at}
    of_a_scan |= {"frames": frames, "count": count, "periods": periods}
    of_a_scan |= {"background_frames": background_frames, "clean": clean, "split": split}
    several = bool(chosen.parts) and not calibration
    if calibration or several:
        _refuse(of_a_scan, "a calibration" if calibration else f"{preset}, whose files are all laid down")
    if several:
        _refuse({"grid": grid, "fov": fov}, f"{preset}, whose files are all laid down")
    with listener("simulate", quiet=quiet) as tell:
        how = How(
            seed=seed, overwrite=force, workers=workers, scheduler=scheduler, dry_run=dry_run, tell=tell
        )
        specs = chosen.noise if noise is None else [spec for spec in noise if spec != "none"]
        if noise is None and specs and not calibration:
            text = f"noise of the preset: {' + '.join(specs)}; --noise takes another, or none"
            tell(Finding("noise", list(specs), text))
        if several:
            made = _parts(chosen, output, None if noise is None else specs, how)
        elif calibration:
            made = [_calibration(chosen, output, grid, fov, None if noise is None else specs, how)]
        else:
            subject = _subject(grid=grid, fov=fov, **{key: of_a_scan[key] for key in _OF_THE_SUBJECT})
            more = {"periods": periods, "background_frames": background_frames}
            made = _scans(chosen, output, subject, specs, how, clean=clean, split=split, **more)
    told = {"preset": preset, "seed": seed, "written": not dry_run}
    _report(made, told, json=json, quiet=quiet)


_OF_THE_SUBJECT = ("phantom", "mnist", "concentration", "at", "frames", "count")


def _subject(*, grid: str | None, fov: str | None, at: str | None, **more: Any) -> Subject:
    from mpikit.simulate.request import Subject

    size, extent = read_size("--grid", grid), read_extent("--fov", fov)
    return Subject(size=size, field_of_view=extent, centre=read_place("--at", at), **more)


def _scans(
    preset: Preset,
    output: Path,
    subject: Subject,
    noise: Any,
    how: How,
    *,
    clean: Path | None,
    split: str | None,
    periods: int | None,
    background_frames: int | None,
) -> list[Simulated]:
    from mpikit.simulate.files import simulate_file
    from mpikit.simulate.parts import simulate_splits
    from mpikit.simulate.request import recipe, requested, requested_splits

    told = recipe(preset, subject)
    of_a_file: dict[str, Any] = {"periods": periods, "background_frames": background_frames}
    if split is not None:
        counts = _read_split(split)
        digits = requested_splits(preset, subject, counts, seed=how.seed)
        names = _SETS if len(counts) == 3 else (_SETS[0], _SETS[2])
        sets = list(zip(names, digits, strict=True))
        return simulate_splits(
            preset, output, sets, noise=noise, clean=clean, recipe=told, how=how, **of_a_file
        )
    check_output(output, inputs=told.inputs, overwrite=how.overwrite)  # before the digits are loaded
    phantom, frames = requested(preset, subject, seed=how.seed)
    made = simulate_file(
        preset,
        output,
        phantom=phantom,
        frames=frames,
        noise=noise,
        clean=clean,
        recipe=told,
        how=how,
        **of_a_file,
    )
    return [made]


def _parts(preset: Preset, output: Path, noise: Any, how: How) -> list[Simulated]:
    from mpikit.simulate.parts import simulate_parts

    return simulate_parts(preset, output, noise=noise, how=how)


def _calibration(
    preset: Preset, output: Path, grid: str | None, fov: str | None, noise: Any, how: How
) -> Simulated:
    from mpikit.simulate.calibration_files import simulate_calibration_file

    region = preset.calibration.grid(read_size("--grid", grid), read_extent("--fov", fov))
    return simulate_calibration_file(preset, output, grid=region, noise=noise, how=how)


def _read_split(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if len(counts) not in (2, 3) or min(counts) < 1:
        raise UsageError(f"--split is {text!r}, expected two or three whole numbers, as 8000,1000,1000")
    return counts


def _report(made: list[Simulated], told: dict[str, Any], *, json: bool, quiet: bool) -> None:
    from mpikit.cli.console import say, show_json

    if json:
        show_json(told | {"files": [_as_json(each) for each in made]})
        return
    for each in () if quiet else made:
        say(
            f"{'wrote' if told['written'] else 'would write'} {each.path}: frames {each.frames} + "
            f"{each.background_frames} empty, periods {each.periods}, channels {each.channels}, "
            f"samples {each.samples}, about {each.size / 1e6:.3g} MB"
        )


def _as_json(made: Simulated) -> dict[str, Any]:
    return {
        "path": str(made.path),
        "frames": made.frames,
        "background_frames": made.background_frames,
        "periods": made.periods,
        "channels": made.channels,
        "samples": made.samples,
        "size": made.size,
    }


def _refuse(options: dict[str, Any], what: str) -> None:
    """Refuse the options that would do nothing."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{given[0]} says nothing about {what}", hint=f"leave out {' and '.join(given)}")
