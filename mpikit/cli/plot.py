"""``mpikit plot``: one figure of a file, in the terminal or as a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.completion import plot_kinds
from mpikit.cli.several import end_if_failed, error_as_json

if TYPE_CHECKING:
    import mdf
    from mpikit.cli.terminal import Protocol
    from mpikit.errors import MpikitError


def plot(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="MDF files, or logs of trainings.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="PNG, SVG or PDF file to write, a folder for several. If not said, the figure is shown in a "
            "terminal that shows pictures (kitty, iTerm2, sixel), and is FILE-stem.plot.png beside FILE "
            "elsewhere.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="Of a measurement: spectrum, frames or snr; of a calibration: rows or snr; of a "
            "reconstruction: slices; of a log: training. The first one if not said.",
            autocompletion=plot_kinds,
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace a file that exists; a figure of ours at the default name is replaced without.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Draw one figure of a file: a spectrum, rows of a system matrix, slices of an image.

    mpikit plot scan.mdf -o spectrum.svg

    mpikit plot systemmatrix.mdf --kind snr

    mpikit plot scan.mdf sm.mdf -o figures
    """
    from mpikit.cli.console import say, show_json
    from mpikit.cli.terminal import protocol

    shows = None if output or json or quiet or not sys.stdout.isatty() else protocol(os.environ)
    if len(sources) == 1:
        made = _plot(sources[0], output, kind, force=force, dry_run=dry_run, shows=shows)
        if json or dry_run:
            show_json(made)
        elif not quiet and shows is None:
            say(f"wrote {made['output']}")
        return
    places = dict.fromkeys(sources) if output is None else _places(sources, output, make=not dry_run)
    if shows is None:
        _refuse_inputs(places)
    told: list[dict[str, Any]] = []
    outcomes: dict[Path, MpikitError | mdf.MdfError | None] = {}
    for source, place in places.items():
        made, outcomes[source] = _tried(source, place, kind, force=force, dry_run=dry_run, shows=shows)
        told.append(made)
        if outcomes[source] is None and not (json or dry_run or quiet) and shows is None:
            say(f"wrote {made['output']}")
    if json or dry_run:
        show_json({"files": told})
    end_if_failed(outcomes)


def _plot(
    source: Path, output: Path | None, kind: str | None, *, force: bool, dry_run: bool, shows: Protocol | None
) -> dict[str, Any]:
    """Draw one file; return what is told of it."""
    from mpikit.cli.terminal import show_picture
    from mpikit.made_here import is_made_here
    from mpikit.report.plot import default_output, plan_plot, plot_file

    place = output or (None if shows else default_output(source))
    overwrite = force or (output is None and place is not None and is_made_here(place))
    if dry_run:
        return plan_plot(source, kind=kind, output=place, overwrite=overwrite)
    drawn = plot_file(source, kind=kind, output=place, overwrite=overwrite)
    if shows is not None:
        show_picture(drawn.content("png"), shows)
    return {"file": str(source), "kind": drawn.kind, "output": None if place is None else str(place)}


def _tried(
    source: Path, output: Path | None, kind: str | None, *, force: bool, dry_run: bool, shows: Protocol | None
) -> tuple[dict[str, Any], MpikitError | mdf.MdfError | None]:
    """Draw one of several files; return what is told of it, and what went wrong."""
    import mdf
    from mpikit.errors import MpikitError
    from mpikit.files import planned_outputs
    from mpikit.report.plot import plan_plot

    try:
        if dry_run and output is not None and not output.parent.exists():  # the folder is made later
            return plan_plot(source, kind=kind) | {"outputs": planned_outputs([output])}, None
        return _plot(source, output, kind, force=force, dry_run=dry_run, shows=shows), None
    except (MpikitError, mdf.MdfError) as error:
        return {"file": str(source), "error": error_as_json(error)}, error


def _refuse_inputs(places: Mapping[Path, Path | None]) -> None:
    """Refuse figures of which one would replace a file that is drawn."""
    from mpikit.files import refuse_inputs
    from mpikit.report.plot import default_output

    refuse_inputs({place or default_output(source): source for source, place in places.items()}, places)


def _places(sources: list[Path], folder: Path, *, make: bool) -> dict[Path, Path]:
    """Return where the figure of each file goes in a folder, which is made."""
    from mpikit.errors import InputError, UsageError
    from mpikit.report.plot import FORMATS, default_output

    if folder.is_file() or (not folder.exists() and folder.suffix.lower().removeprefix(".") in FORMATS):
        raise UsageError(
            f"--output {folder} is the name of a file, and there are several figures",
            hint="name a folder with --output: it is made if it does not exist",
        )
    places: dict[Path, Path] = {}
    for source in sources:
        place = folder / default_output(source).name
        if place in places.values() and source not in places:
            raise UsageError(
                f"two figures would both become {place}", hint="leave --output out, or rename a file"
            )
        places[source] = place
    try:
        if make:
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
    return places
