"""``mpikit report``: one HTML file that shows files, and what denoising changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.several import end_if_failed, error_as_json

if TYPE_CHECKING:
    from mpikit.report import Report


def report(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="MDF files of any kind, models (.safetensors), logs of trainings (.jsonl).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="HTML file to write [default: FILE-stem.report.html beside the first FILE].",
        ),
    ] = None,
    before: Annotated[
        list[Path] | None,
        typer.Option(
            "--before",
            help="Noisy measurement, or its images, to show beside; may be given again. If not said, what a "
            "denoised FILE names in its history, when it is among FILE... or beside it.",
            show_default=False,
        ),
    ] = None,
    with_subject: Annotated[
        bool, typer.Option("--with-subject", help="Show the name of the subject.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be shown beside what, and write nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace a file that exists; a report of ours at the default name is replaced without.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Write one HTML file that shows what files hold, and what denoising changed.

    It opens from disk, without a network, and can be printed. Of several files those that cannot be read have
    a section that says why; the exit code is then 6.

    mpikit report scan.denoised.mdf image.mdf -o report.html
    """
    from mpikit.cli.console import listener, say, show_json
    from mpikit.made_here import is_made_here
    from mpikit.report import write_report

    place = output or sources[0].with_name(f"{sources[0].stem}.report.html")
    ours = output is None and is_made_here(place)
    with listener("report", quiet=quiet) as tell:
        written = write_report(
            sources,
            place,
            before=before or (),
            with_subject=with_subject,
            overwrite=force or ours,
            dry_run=dry_run,
            tell=tell,
        )
    if json:
        show_json(_as_json(written, dry_run=dry_run))
    elif dry_run:
        for line in _in_words(written):
            say(line)
    elif not quiet:
        say(f"wrote {written.output}")
    end_if_failed({item.path: item.error for item in written.items})


def _as_json(written: Report, *, dry_run: bool) -> dict[str, Any]:
    titles = [[section.title for section in part.sections] for part in written.parts]
    return {
        "output": str(written.output),
        "written": not dry_run,
        "files": [
            {
                "file": str(item.path),
                "kinds": list(item.kinds),
                "before": {kind: str(path) for kind, path in item.before.items()},
                "sections": titles[index] if titles else None,
                "error": None if item.error is None else error_as_json(item.error),
            }
            for index, item in enumerate(written.items)
        ],
    }


def _in_words(written: Report) -> list[str]:
    lines = [f"would write {written.output}"]
    for item in written.items:
        if item.error is not None:
            continue
        beside = ", ".join(str(path) for path in dict.fromkeys(item.before.values()))
        kinds = " and ".join(item.kinds) or "no data"
        lines.append(f"{item.path}: {kinds}" + (f", beside {beside}" if beside else ""))
    return lines
