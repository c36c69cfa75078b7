"""``mpikit datasets``: public data, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.completion import dataset_names
from mpikit.errors import MpikitError, PluginError

if TYPE_CHECKING:
    from mpikit.datasets import Dataset

SOME_FAILED = 6

datasets_app = typer.Typer(
    help="List, fetch and find public measurements and calibrations.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Folder of the data sets [default: MPIKIT_DATASETS, or the system's place for caches].",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@datasets_app.command("list")
def list_datasets(cache: Cache = None, json: Json = False) -> None:
    """List the data sets: what they hold, how large they are, and which calibration fits.

    Nothing is fetched. A size is about that of the file, as far as it is known; fetch shows the server's own.

    mpikit datasets list
    """
    from mpikit.cli.console import say, show, show_json, show_table
    from mpikit.datasets import DATASETS

    folder, missing = _folder(cache)
    listed = [_listed(each, folder) for each in DATASETS.values()]
    if json:
        show_json({"cache": str(folder) if folder else None, "datasets": listed})
        return
    for kind in ("measurement", "calibration", "phantom"):
        last = "calibrations that fit" if kind == "measurement" else "holds"
        rows = [_row(each) for each in listed if each["kind"] == kind]
        show_table((kind, "sequence", "tracer", "size", "here", last), rows, right=(3,))
        show("")
    say(f"cache: {folder}" if folder else missing)
    for licence, citation, doi in dict.fromkeys(
        (each["licence"], each["citation"], each["doi"]) for each in listed
    ):
        say(f"licence {licence}; please cite {citation}, https://doi.org/{doi}")


@datasets_app.command("fetch")
def fetch_datasets(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Data sets, as list names them.",
            autocompletion=dataset_names,
            show_default=False,
        ),
    ],
    cache: Cache = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Fetch what is there too, and take a file that its makers replaced."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask for the sizes, say what would be done, and stop.")
    ] = False,
    json: Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show warnings, errors and the places only.")
    ] = False,
) -> None:
    """Fetch data sets that are not there yet, check them, and print where they are.

    What was interrupted goes on where it stopped.

    mpikit datasets fetch openmpi-concentration-1d openmpi-calibration-1
    """
    from mpikit.cli.console import show, show_error, show_json
    from mpikit.datasets import dataset, plan

    wanted = [dataset(name) for name in dict.fromkeys(names)]
    if dry_run:
        show_json({"datasets": [plan(each, folder=cache) for each in wanted]})
        return
    failed = 0
    fetched: list[dict[str, str | None]] = []
    for each in wanted:
        try:
            place = _fetch(each, cache, force=force, quiet=quiet)
            fetched.append({"name": each.name, "path": str(place)})
            if not json:
                show(str(place))
        except PluginError:
            raise
        except MpikitError as error:
            if len(wanted) == 1:
                raise
            show_error(str(error), error.hint)
            failed += 1
            fetched.append({"name": each.name, "path": None})
    if json:
        show_json({"datasets": fetched, "failed": failed})
    if failed:
        raise typer.Exit(SOME_FAILED)


@datasets_app.command("path")
def path_of_dataset(
    name: Annotated[
        str,
        typer.Argument(help="A data set that was fetched.", autocompletion=dataset_names, show_default=False),
    ],
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Print where a data set is that was fetched.

    mpikit info "$(mpikit datasets path mdf-example-measurement)"
    """
    from mpikit.cli.console import show, show_json
    from mpikit.datasets import fetched_path
    from mpikit.errors import InputError

    found = fetched_path(name, cache)
    if found is None:
        raise InputError(f"{name} has not been fetched", hint=f"mpikit datasets fetch {name}")
    if json:
        show_json({"name": name, "path": str(found)})
        return
    show(str(found))


def _folder(cache: Path | None) -> tuple[Path | None, str]:
    """Return the cache, or None and why it is not known: the list needs no extra."""
    from mpikit.datasets import cache_folder

    if cache is not None:
        return cache.absolute(), ""
    try:
        return cache_folder(), ""
    except PluginError as error:
        return None, f"{error}: {error.hint}"


def _listed(each: Dataset, folder: Path | None) -> dict[str, Any]:
    from mpikit.datasets import fetched_path

    found = fetched_path(each, folder) if folder else None
    return {
        "name": each.name,
        "kind": each.kind,
        "sequence": each.sequence,
        "tracer": each.tracer,
        "size": each.size,
        "summary": each.summary,
        "calibrations": list(each.calibrations),
        "url": each.url,
        "licence": each.licence,
        "citation": each.citation,
        "doi": each.doi,
        "path": str(found) if found else None,
    }


def _row(listed: dict[str, Any]) -> tuple[str, ...]:
    from mpikit.datasets import in_bytes

    size = "unknown" if listed["size"] is None else f"~{in_bytes(listed['size'])}"
    here = "yes" if listed["path"] else ""
    last = briefly(listed["calibrations"]) if listed["kind"] == "measurement" else listed["summary"]
    return (listed["name"], listed["sequence"], listed["tracer"], size, here, last)


def briefly(names: list[str]) -> str:
    """Return names that differ in a number at the end: the first one whole, of the others the number.

    >>> briefly(["matrix-1", "matrix-4"]), briefly(["matrix-8", "matrix-9", "matrix-10"]), briefly([])
    ('matrix-1, -4', 'matrix-8 to -10', 'none')
    """
    if len(names) < 2:
        return "".join(names) or "none"
    numbers = [name.rpartition("-")[2] for name in names]
    if len(names) > 2 and [int(each) - int(numbers[0]) for each in numbers] == list(range(len(names))):
        return f"{names[0]} to -{numbers[-1]}"
    return ", ".join([names[0], *(f"-{each}" for each in numbers[1:])])


def _fetch(wanted: Dataset, cache: Path | None, *, force: bool, quiet: bool) -> Path:
    from mpikit.cli.console import listener, say
    from mpikit.datasets import fetch

    try:
        with listener(f"{wanted.name}, MB", quiet=quiet) as tell:
            done = fetch(wanted, folder=cache, force=force, tell=tell)
    except KeyboardInterrupt:
        say(f"what has come of {wanted.name} is kept: the same command goes on from there")
        raise
    if not quiet:
        say(f"licence {wanted.licence}; please cite {wanted.citation}, https://doi.org/{wanted.doi}")
    return done
