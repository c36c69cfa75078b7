"""``mpikit train``: fit a method to one or many files, and keep it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mpikit.cli.completion import denoiser_names, device_names, options_of_method
from mpikit.cli.denoise import RepeatsChoice, show_scores


def train(  # noqa: PLR0913, PLR0917 - a command has as many arguments as it has options
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="MDF files of one sequence, or folders of them.", show_default=False
        ),
    ],
    method: Annotated[
        str,
        typer.Option(
            "--method", "-m", help="Denoiser to fit.", autocompletion=denoiser_names, show_default=False
        ),
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Model file to write.", show_default=False)
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param", "-p", help="Option of the method, name=value.", autocompletion=options_of_method
        ),
    ] = None,
    repeats: Annotated[
        RepeatsChoice | None,
        typer.Option(
            "--repeats", help="Along which axis the same signal was measured again [default: found out]."
        ),
    ] = None,
    background_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--background-file",
            help="Empty measurement, for files without background frames; given twice, before and after.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")] = 0,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda.", autocompletion=device_names)
    ] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint of an interrupted training.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that exist; without --resume, a checkpoint too.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every score of the training.")
    ] = False,
) -> None:
    """Fit a method to MDF files, and keep the model for mpikit denoise --model.

    While it trains, its state is kept in MODEL.checkpoint: after Ctrl-C, --resume goes on from there.

    mpikit train --method unet-gd scan1.mdf scan2.mdf -o unet-gd.safetensors
    """
    from mpikit.errors import UsageError
    from mpikit.plugins import registry

    if not method:
        raise UsageError(
            "which method? expected --method NAME",
            hint=f"there are {', '.join(sorted(registry().denoisers))}",
        )
    if output is None:
        raise UsageError(
            "no output is named", hint=f"mpikit train --method {method} scan.mdf -o {method}.safetensors"
        )
    from mpikit.cli.console import listener, show_json
    from mpikit.train import plan_training, train_files

    wanted: dict[str, Any] = {
        "method": method,
        "parameters": tuple(param or ()),
        "repeats": repeats.value if repeats else None,
        "background_files": tuple(background_file or ()),
        "resume": resume,
        "overwrite": force,
    }
    if dry_run:
        show_json(plan_training(sources, output, **wanted))
        return
    kept = _saved_at(output)
    try:
        with listener(method, quiet=quiet, verbose=verbose) as tell:
            done = train_files(sources, output, **wanted, seed=seed, device=device, tell=tell)
    except KeyboardInterrupt:
        _say_how_to_go_on(output, begun=sys.argv[1:], is_older=not resume and _saved_at(output) == kept)
        raise
    _report(done, json=json, quiet=quiet)


def _saved_at(output: Path) -> int | None:
    """Time of the checkpoint in ns, None without one."""
    from mpikit.training_outputs import Outputs

    checkpoint = Outputs.beside(output).checkpoint
    return checkpoint.stat().st_mtime_ns if checkpoint.exists() else None


def _say_how_to_go_on(output: Path, *, begun: list[str], is_older: bool) -> None:
    from mpikit.cli.console import say
    from mpikit.training_outputs import Outputs

    checkpoint = Outputs.beside(output).checkpoint
    if is_older or not checkpoint.exists():
        say("the training was interrupted before its first checkpoint: it has to start anew")
        return
    again = begun if "--resume" in begun else [*begun, "--resume"]
    say(f"the training so far is kept in {checkpoint}; to go on:")
    say(f"  mpikit {shlex.join(again)}")


def _report(done: Any, *, json: bool, quiet: bool) -> None:
    from mpikit.cli.console import say, show_json
    from mpikit.scoring import score_table

    files, picture = done.files, done.files.picture if done.has_picture else None
    if json:
        show_json(
            {
                "model": str(files.model),
                "log": [str(files.lines), str(files.table)],
                "picture": str(picture) if picture else None,
                "scores": score_table(done.scores),
                "noise": done.card.noise,
                "signal": done.card.signal,
            }
        )
    elif not quiet:
        show_scores(done.scores)
    if quiet:
        return
    say(f"wrote {files.model}")
    for path in (files.lines, files.table, *([picture] if picture else [])):
        say(f"wrote {path}")
    for doi in done.card.cite:
        say(f"please cite https://doi.org/{doi}")
    say(f"to use it: mpikit denoise --model {files.model} scan.mdf")
