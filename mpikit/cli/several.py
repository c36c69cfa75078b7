"""Several files at once: what goes wrong with one does not stop the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import mdf
    from mpikit.errors import MpikitError

SOME_FAILED = 6


def exit_code(error: MpikitError | mdf.MdfError) -> int:
    """Return the exit code that a file would have alone."""
    from mpikit.errors import InputError, MpikitError

    return error.exit_code if isinstance(error, MpikitError) else InputError.exit_code


def error_as_json(error: MpikitError | mdf.MdfError) -> dict[str, Any]:
    """Return what went wrong with a file, ready for JSON."""
    return {"message": str(error), "hint": error.hint, "exit_code": exit_code(error)}


def end_if_failed(outcomes: Mapping[Path, MpikitError | mdf.MdfError | None]) -> None:
    """Show what went wrong with each file, and end with 6; with their own code when all of them failed."""
    from mpikit.cli.console import show_error
    from mpikit.files import named_once

    failed = {path: error for path, error in outcomes.items() if error is not None}
    for path, error in failed.items():
        show_error(named_once(path, str(error)), error.hint)
    if failed:
        codes = [exit_code(error) for error in failed.values()]
        raise typer.Exit(max(codes) if len(failed) == len(outcomes) else SOME_FAILED)
