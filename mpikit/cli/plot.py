"""``mpikit plot``: one figure of a file, in the terminal or as a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mpikit.cli.completion import plot_kinds


def plot(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="MDF file, or log of a training.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="PNG, SVG or PDF file to write. If not said, the figure is shown in a terminal that shows "
            "pictures (kitty, iTerm2, sixel), and is FILE-stem.plot.png beside FILE elsewhere.",
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
    force: Annotated[bool, typer.Option("--force", help="Replace a figure that exists.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Draw one figure of a file: a spectrum, rows of a system matrix, slices of an image.

    mpikit plot scan.mdf -o spectrum.svg

    mpikit plot systemmatrix.mdf --kind snr
    """
    from mpikit.cli.console import say, show_json
    from mpikit.cli.terminal import protocol, show_picture
    from mpikit.report.plot import check_figure_output, default_output, plan_plot, plot_file

    shows = None if output or json or quiet or not sys.stdout.isatty() else protocol(os.environ)
    place = output or (None if shows else default_output(source))
    if dry_run:
        show_json(plan_plot(source, kind=kind, output=place, overwrite=force))
        return
    if place is not None:
        check_figure_output(source, place, overwrite=force)
    drawn = plot_file(source, kind=kind, output=place, overwrite=force)
    if shows is not None:
        show_picture(drawn.content("png"), shows)
        return
    if json:
        show_json({"file": str(source), "kind": drawn.kind, "output": str(place)})
    elif not quiet:
        say(f"wrote {place}")
