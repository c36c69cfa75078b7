"""``mpikit validate``: whether files follow the standard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import mdf


def validate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", show_default=False, help="MDF files, or folders of them."),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check whether files follow the MDF standard, and list everything that does not.

    An error keeps readers from understanding a file, a warning is a deviation that can be read, a note is
    worth knowing. The exit code is 3 if any file has an error. Files are checked in a process of their own,
    with limits on time and memory, so a damaged file does no harm.

    mpikit validate scan.mdf sm.mdf

    mpikit validate scans
    """
    from mdf.isolation import Isolation
    from mpikit.cli.console import show_json
    from mpikit.errors import InputError

    found: list[tuple[Path, list[mdf.Problem]]] = []
    with Isolation() as child:
        for path in _all_files(files):
            found.append((path, child.validate(path)))
            if not json:
                _show_file(*found[-1])
    if json:
        show_json({"files": [_as_json(path, problems) for path, problems in found]})
    else:
        _summarize([problems for _, problems in found])
    if any(_count(problems)["error"] for _, problems in found):
        raise typer.Exit(InputError.exit_code)


def _all_files(sources: Sequence[Path]) -> list[Path]:
    """Return the files that are named, and the MDF files of a folder (not of those inside it)."""
    from mpikit.errors import InputError

    found: list[Path] = []
    for source in sources:
        inside = [source]
        if source.is_dir():
            inside = sorted(
                path for path in source.iterdir() if path.suffix.lower() == ".mdf" and path.is_file()
            )
            if not inside:
                raise InputError(f"the folder {source} has no MDF file", hint="name the files one by one")
        found += inside
    return found


def _count(problems: Sequence[mdf.Problem]) -> Counter[str]:
    return Counter(problem.severity for problem in problems)


def _as_json(path: Path, problems: Sequence[mdf.Problem]) -> dict[str, Any]:
    count = _count(problems)
    return {
        "file": str(path),
        "valid": not count["error"] and not count["warning"],
        "errors": count["error"],
        "warnings": count["warning"],
        "notes": count["note"],
        "problems": [asdict(problem) for problem in problems],
    }


def _show_file(path: Path, problems: Sequence[mdf.Problem]) -> None:
    from mdf.rules.problem import printable
    from mpikit.cli.console import show, show_table

    show(f"{printable(str(path), 1000)}: {_verdict(problems)}")
    if problems:
        rows = [(problem.severity, problem.rule, problem.path, problem.message) for problem in problems]
        show_table(["severity", "rule", "path", "message"], rows)
        show("")


def _verdict(problems: Sequence[mdf.Problem]) -> str:
    count = _count(problems)
    parts = [
        _number(count[severity], severity) for severity in ("error", "warning", "note") if count[severity]
    ]
    if count["error"] or count["warning"]:
        return ", ".join(parts)
    return ", ".join(["valid", *parts])


def _number(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _summarize(found: Sequence[Sequence[mdf.Problem]]) -> None:
    from mpikit.cli.console import say

    counts = [_count(problems) for problems in found]
    bad = sum(count["error"] > 0 for count in counts)
    odd = sum(count["error"] == 0 and count["warning"] > 0 for count in counts)
    good = len(counts) - bad - odd
    say(f"{_number(len(counts), 'file')}: {good} valid, {odd} with warnings only, {bad} with errors")
