"""``mpikit info``: what a person asks first of a strange file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def info(
    file: Annotated[Path, typer.Argument(help="MDF file to look at.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, in SI units.")] = False,
) -> None:
    """Show what an MDF file holds, how it was measured, and what in it deviates from the standard.

    mpikit info scan.mdf
    """
    from mpikit.cli.console import show, show_json
    from mpikit.file_facts import describe, in_words, printable

    facts = describe(file)
    if json:
        show_json(facts)
        return
    lines = in_words(facts)
    width = max(len(label) for label, _ in lines) + 2
    for label, text in lines:
        show(f"{label:{width}}{printable(text)}".rstrip())
