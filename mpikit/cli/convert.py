"""``mpikit convert``: the same measurement in another layout, or a part of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.errors import UsageError

if TYPE_CHECKING:
    import mdf


class DomainChoice(StrEnum):
    """What ``--domain`` takes."""

    time = "time"
    frequency = "frequency"


class OrderChoice(StrEnum):
    """What ``--order`` takes."""

    grid = "grid"
    acquisition = "acquisition"


class SparsityChoice(StrEnum):
    """What ``--sparsity`` takes."""

    dct_1 = "DCT-I"
    dct_2 = "DCT-II"
    dct_3 = "DCT-III"
    dct_4 = "DCT-IV"
    none = "none"


def _option(help_text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help_text, show_default=False, **more)


Source = Annotated[Path, typer.Argument(metavar="FILE", help="MDF file to convert.", show_default=False)]
Output = Annotated[Path | None, _option("MDF file to write.", "--output", "-o")]
Domain = Annotated[DomainChoice | None, _option("Store time signals or spectra.", "--domain")]
Order = Annotated[OrderChoice | None, _option("Store the frames as acquired, or along the grid.", "--order")]
Frames = Annotated[str | None, _option("all, foreground, background, 0,3,5 or 10:20 (from 0).", "--frames")]
Channels = Annotated[str | None, _option("Receive channels, from 0, as 0,2.", "--channels")]
Band = Annotated[str | None, _option("Frequencies to keep, in kHz, as 80:625, 80: or :625.", "--band")]
Threshold = Annotated[
    float | None, _option("Keep frequencies of at least this signal-to-noise ratio.", "--snr-threshold")
]
Best = Annotated[int | None, _option("Keep that many frequencies, the best ones.", "--best", min=1)]
Average = Annotated[int | None, _option("Average blocks of so many frames.", "--average-frames", min=1)]
FastFrameAxis = Annotated[
    bool | None, _option("Store the frame axis last, or first.", "--fast-frame-axis/--no-fast-frame-axis")
]
Sparsity = Annotated[
    SparsityChoice | None, _option("Compress a calibration by cosines; none undoes it.", "--sparsity")
]
Kept = Annotated[str | None, _option("Coefficients that --sparsity keeps: 500, or 10%.", "--kept")]
Compression = Annotated[
    str | None, _option("gzip level 0 to 9, or lzf; Julia readers cannot open the file.", "--compression")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")]


def convert(  # noqa: PLR0913, PLR0917 - a command has as many arguments as it has options
    source: Source,
    output: Output = None,
    domain: Domain = None,
    order: Order = None,
    frames: Frames = None,
    channels: Channels = None,
    band: Band = None,
    snr_threshold: Threshold = None,
    best: Best = None,
    average_frames: Average = None,
    fast_frame_axis: FastFrameAxis = None,
    sparsity: Sparsity = None,
    kept: Kept = None,
    compression: Compression = None,
    dry_run: DryRun = False,
    json: Json = False,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write a file anew, as MDF 2.1.0, in another layout or in part.

    mpikit convert scan.mdf -o spectra.mdf --domain frequency --band 80:

    mpikit convert systemmatrix.mdf -o small.mdf --snr-threshold 3 --order grid
    """
    from mpikit.cli.console import listener, show_json
    from mpikit.convert import convert_file

    if output is None:
        raise UsageError("no output is named", hint=f"mpikit convert {source} -o converted.mdf")
    asked = {
        "domain": domain.value if domain else None,
        "order": order.value if order else None,
        "frames": None if frames is None else _frames(frames),
        "channels": None if channels is None else _indices("--channels", channels),
        "band": None if band is None else _band(band),
        "snr_threshold": snr_threshold,
        "best": best,
        "average_frames": average_frames,
        "fast_frame_axis": fast_frame_axis,
        "sparsity": sparsity.value if sparsity else None,
        "kept": None if kept is None else _kept(kept),
        "compression": None if compression is None else _compression(compression),
    }
    options = {name: value for name, value in asked.items() if value is not None}
    with listener("convert", quiet=quiet) as tell:
        done = convert_file(source, output, options=options, overwrite=force, dry_run=dry_run, tell=tell)
    if json:
        show_json(_summary(source, output, done, dry_run=dry_run))
    elif not quiet:
        _report(output, done, dry_run=dry_run)


def _summary(source: Path, output: Path, done: mdf.Conversion, *, dry_run: bool) -> dict[str, Any]:
    return {
        "input": str(source),
        "output": str(output),
        "written": not dry_run,
        "steps": done.steps,
        "remarks": done.remarks,
        "shape": done.shape,
        "domain": done.domain,
    }


def _report(output: Path, done: mdf.Conversion, *, dry_run: bool) -> None:
    from mpikit.cli.console import say

    for step in done.steps or ("nothing but a new copy",):
        say(f"  {step}")
    verb = "would write" if dry_run else "wrote"
    if not any(done.shape):
        say(f"{verb} {output}: no signal in it")
        return
    frames, periods, channels, values = done.shape
    what = "samples" if done.domain == "time" else "frequencies"
    say(f"{verb} {output}: frames {frames}, periods {periods}, channels {channels}, {what} {values}")


def _frames(text: str) -> Any:
    """Read ``foreground``, ``0,3,5`` or ``10:20``."""
    if text in {"all", "foreground", "background"}:
        return text
    if ":" not in text:
        return _indices("--frames", text)
    try:
        parts = [int(part) if part.strip() else None for part in text.split(":")]
        if len(parts) > 3 or parts[2:] == [0]:
            raise ValueError
    except ValueError:
        raise UsageError(f"--frames is {text!r}, expected numbers, as 10:20 or 0:100:5") from None
    return slice(*parts)


def _indices(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        words = ", or all, foreground, background" if option == "--frames" else ""
        raise UsageError(f"{option} is {text!r}, expected numbers from 0, as 0,2{words}") from None


def _band(text: str) -> tuple[float | None, float | None]:
    """Read ``80:625`` in kHz as frequencies in Hz."""
    try:
        low, high = (1e3 * float(part) if part.strip() else None for part in text.split(":"))
    except ValueError:
        raise UsageError(f"--band is {text!r}, expected two frequencies in kHz, as 80:625 or 80:") from None
    return low, high


def _kept(text: str) -> int | float:
    """Read ``500`` or ``10%``."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else int(text)
    except ValueError:
        raise UsageError(f"--kept is {text!r}, expected a number or percents, as 500 or 10%") from None


def _compression(text: str) -> int | str:
    if text == "lzf":
        return text
    try:
        level = int(text)
    except ValueError:
        level = -1
    if not 0 <= level <= 9:
        raise UsageError(f"--compression is {text!r}, expected a level from 0 to 9, or lzf")
    return level
