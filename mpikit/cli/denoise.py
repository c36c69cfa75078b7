"""``mpikit denoise``: a better signal from a noisy file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.completion import denoiser_names_and_auto, device_names, options_of_method

if TYPE_CHECKING:
    from mpikit.denoise import Denoised
    from mpikit.denoise_outcome import Outcome
    from mpikit.judging import Score
    from mpikit.scoring import Scores

SOME_FAILED = 6


class RepeatsChoice(StrEnum):
    """What ``--repeats`` takes."""

    frames = "frames"
    periods = "periods"
    both = "both"
    none = "none"


def denoise(  # noqa: PLR0913, PLR0917 - a command has as many arguments as it has options
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="MDF file to denoise; or several, or a folder.", show_default=False
        ),
    ],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            help="Denoiser to use [default: auto, which tries several; or that of --model].",
            autocompletion=denoiser_names_and_auto,
            show_default=False,
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="MDF file to write, a folder for several [default: FILE-stem.METHOD.mdf beside FILE].",
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            help="Option of the method, name=value; of auto, candidates=NAME,... and METHOD.name=value.",
            autocompletion=options_of_method,
        ),
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="Use this fitted model, fit nothing.")] = None,
    save_model: Annotated[
        Path | None, typer.Option("--save-model", help="Keep the fitted model here.")
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
            help="Empty measurement, instead of background frames of FILE; given twice, before and after.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")] = 0,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda.", autocompletion=device_names)
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Processes on this machine that share several files, through Dask.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            help="Dask scheduler whose workers share several files, as tcp://host:8786.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep outputs that were made in the same way, and go on.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every score of the training.")
    ] = False,
) -> None:
    """Denoise the signals of an MDF file, or of several.

    mpikit denoise scan.mdf

    mpikit denoise scan.mdf -p candidates=harmonic,low-rank,unet-gd

    mpikit denoise --method unet-gd scan.mdf

    mpikit denoise --model unet-gd.safetensors scans -o denoised

    mpikit denoise --method harmonic scans -o denoised --workers 2 --resume
    """
    from mpikit.errors import UsageError

    wanted: dict[str, Any] = {
        "method": method,
        "parameters": tuple(param or ()),
        "model": model,
        "repeats": repeats.value if repeats else None,
        "background_files": tuple(background_file or ()),
        "overwrite": force,
    }
    how: dict[str, Any] = {"seed": seed, "device": device}
    who: dict[str, Any] = {"workers": workers, "scheduler": scheduler}
    label = method or ("denoise" if model else "auto")
    shown = _Shown(label=label, json=json, quiet=quiet, verbose=verbose, dry_run=dry_run)
    many = len(sources) > 1 or sources[0].is_dir()
    if not (many or resume or workers is not None or scheduler is not None):
        _one(sources[0], wanted | {"output": output, "keep_model": save_model}, how, shown)
        return
    if save_model is not None:
        raise UsageError(
            "--save-model keeps the model of one file, and there are several"
            if many
            else "--save-model goes with none of --resume, --workers and --scheduler",
            hint="mpikit train fits one model to several files, and has --resume",
        )
    _several(sources, wanted | {"folder": output, "resume": resume}, how | who, shown)


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """What the user wants to see."""

    label: str
    json: bool
    quiet: bool
    verbose: bool
    dry_run: bool


def _one(source: Path, wanted: dict[str, Any], how: dict[str, Any], shown: _Shown) -> None:
    from mpikit.cli.console import listener, say, show_json
    from mpikit.denoise_file import denoise_file, plan
    from mpikit.scoring import score_table

    if shown.dry_run:
        show_json(plan(source, **wanted))
        return
    with listener(shown.label, quiet=shown.quiet, verbose=shown.verbose) as tell:
        done = denoise_file(source, **wanted, **how, tell=tell)
    if shown.json:
        show_json(
            {
                "output": str(done.path),
                "model": str(wanted["model"]) if wanted["model"] else None,
                "saved_model": str(done.model) if done.model else None,
                "auto": done.choice.as_json() if done.choice else None,
                "scores": score_table(done.result),
                "no_score": done.result.no_score or None,
            }
        )
    elif not shown.quiet:
        show_scores(done.result)
    if not shown.quiet:
        say(f"wrote {done.path}")
        _say_citations(done.cite)
        say(f"to see the image: mpikit reconstruct {done.path} --system-matrix SM.mdf")


def _several(sources: list[Path], wanted: dict[str, Any], how: dict[str, Any], shown: _Shown) -> None:
    from mpikit.cli.console import listener, say, show_error, show_json
    from mpikit.denoise_files import denoise_files, plan_files
    from mpikit.files import named_once
    from mpikit.workers import check_workers

    if shown.dry_run:
        check_workers(how["workers"], how["scheduler"])
        show_json({"files": plan_files(sources, **wanted, seed=how["seed"])})
        return
    with listener(shown.label, quiet=shown.quiet, verbose=shown.verbose) as tell:
        outcomes = denoise_files(sources, **wanted, **how, tell=tell)
    failed = [each for each in outcomes if each.output is None]
    if shown.json:
        show_json({"files": [each.as_json() for each in outcomes], "failed": len(failed)})
    elif not shown.quiet:
        _show_outcomes(outcomes)
    for each in failed:
        show_error(named_once(each.source, each.error), each.hint)
    if not shown.quiet:
        _say_citations([doi for each in outcomes for doi in each.cite])
        say(_summary(outcomes))
    if failed:
        raise typer.Exit(SOME_FAILED)


def _say_citations(cite: Iterable[str]) -> None:
    from mpikit.cli.console import say

    for doi in dict.fromkeys(cite):
        say(f"please cite https://doi.org/{doi}")


def _summary(outcomes: list[Outcome]) -> str:
    count, kept = len(outcomes), sum(each.kept for each in outcomes)
    failed = sum(each.output is None for each in outcomes)
    words = [f"{count - kept - failed} denoised", *([f"{kept} kept"] if kept else []), f"{failed} failed"]
    return f"{count} file{'' if count == 1 else 's'}: {', '.join(words)}"


def _show_outcomes(outcomes: list[Outcome]) -> None:
    from mpikit.cli.console import show_table

    rows = []
    for each in outcomes:
        written = "failed" if each.output is None else f"{each.output}{' (kept)' if each.kept else ''}"
        rows.append((str(each.source), written, each.before, each.after))
    show_table(("file", "written", "SNR before", "SNR after"), rows, right=(2, 3))


def show_scores(result: Denoised | Scores) -> None:
    """Show the reference-free figures beside those of the best simple methods, and say which is better."""
    from mpikit.cli.console import say, show_table

    if result.before is None:
        say(f"no reference-free score: {result.no_score}")
        return
    if result.before.figures.is_free_of_noise:
        say(f"the repeats show no noise, so there is nothing to remove{_what_was_lost(result.after)}")
        return
    rows = [_row("before (noisy)", result.before)]
    best = result.simple[:1]
    if result.after is None:
        say("no reference-free score of the output: it uses every repeat, and none is left to judge by")
    else:
        rows.append(_row(f"after ({result.after.method})", result.after))
    rows += [_row(f"best simple ({score.method})", score) for score in best]
    one_period = tuple(score for score in result.simple if score.periods_used == 1)[:1]
    if one_period != best:
        rows += [_row(f"best simple from one period ({score.method})", score) for score in one_period]
    show_table(("signal", "reference-free SNR", "standard error", "periods used"), rows, right=(1, 2, 3))
    if result.after is not None:
        _say_if_worse(result.after, result.before, "the noisy signal")
        for score in best:
            _say_if_worse(result.after, score, f"the simple method {score.method}")


def _what_was_lost(after: Score | None) -> str:
    from mpikit.scoring import snr_words

    if after is None or after.figures.is_free_of_noise:
        return ""
    return f"; {after.method} is worse here than the signal as it was: {snr_words(after)}"


def _row(name: str, score: Score) -> tuple[str, str, str, str]:
    from mpikit.scoring import snr_words

    doubt = score.figures.snr_error_db
    return name, snr_words(score), "" if doubt is None else f"{doubt:.1f} dB", str(score.periods_used)


def _say_if_worse(after: Score, other: Score, name: str) -> None:
    from mpikit.cli.console import say
    from mpikit.scoring import snr_words

    lost = after.figures.error - other.figures.error
    if lost <= 0:
        return
    doubt = max(after.figures.uncertainty, other.figures.uncertainty)
    verdict = "worse here than" if lost > 2 * doubt else "not better here (within two standard errors) than"
    more = other.periods_used > after.periods_used
    why = f", which uses {other.periods_used} periods for one" if more else ""
    say(f"{after.method} is {verdict} {name}{why}: {snr_words(after)} against {snr_words(other)}")
