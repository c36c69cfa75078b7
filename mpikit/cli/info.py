"""``mpikit info``: what a person asks first of a strange file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.several import end_if_failed, error_as_json

if TYPE_CHECKING:
    import mdf
    from mpikit.errors import MpikitError


def info(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="MDF files to look at.", show_default=False)
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, in SI units.")] = False,
) -> None:
    """Show what MDF files hold, how they were measured, and what in them deviates from the standard.

    mpikit info scan.mdf

    mpikit info scan.mdf sm.mdf
    """
    from mpikit.cli.console import show, show_json
    from mpikit.file_facts import describe

    if len(files) == 1:
        facts = describe(files[0])
        show_json(facts) if json else _show(facts)
        return
    import mdf
    from mpikit.errors import MpikitError

    told: list[dict[str, Any]] = []
    outcomes: dict[Path, MpikitError | mdf.MdfError | None] = {}
    for path in files:
        try:
            told.append({"source": str(path), **describe(path)})
            outcomes[path] = None
        except (MpikitError, mdf.MdfError) as error:
            told.append({"source": str(path), "error": error_as_json(error)})
            outcomes[path] = error
            continue
        if not json:
            _show(told[-1])
            show("")
    if json:
        show_json({"files": told})
    end_if_failed(outcomes)


def _show(facts: Mapping[str, Any]) -> None:
    from mpikit.cli.console import show
    from mpikit.file_facts import in_words, printable

    lines = in_words(facts)
    width = max(len(label) for label, _ in lines) + 2
    for label, text in lines:
        show(f"{label:{width}}{printable(text)}".rstrip())
