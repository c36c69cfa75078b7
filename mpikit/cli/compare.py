"""``mpikit compare``: which method is best for a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.completion import denoiser_list, device_names, options_of_methods
from mpikit.cli.denoise import RepeatsChoice

if TYPE_CHECKING:
    from mpikit.compare import Comparison, Row


def compare(  # noqa: PLR0913, PLR0917 - a command has as many arguments as it has options
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Noisy MDF file.", show_default=False)],
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            help="Denoisers with commas between them; all that the file allows if not said.",
            autocompletion=denoiser_list,
            show_default=False,
        ),
    ] = "",
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference", help="Clean MDF file of the same frames; only evaluated, never learnt from."
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Table (.csv), figures of each signal (.signals.csv, with --reference) or picture (.png) to "
            "write; may be given again.",
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-p",
            help="Option of a method, METHOD.name=value.",
            autocompletion=options_of_methods,
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
            help="Empty measurement, instead of background frames of FILE; given twice, before and after.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")] = 0,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda.", autocompletion=device_names)
    ] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every score of the training.")
    ] = False,
) -> None:
    """Compare denoisers on one file, each fitted to a part of it and judged by the rest.

    mpikit compare scan.mdf --methods average,harmonic,unet-gd

    mpikit compare scan.mdf --reference scan.clean.mdf -p unet-gd.steps=1000 -o table.csv -o picture.png
    """
    from mpikit.cli.console import listener, say, show_json
    from mpikit.compare import Interrupted, NotWrittenError, compare_file, plan_comparison, table

    wanted: dict[str, Any] = {
        "methods": [name.strip() for name in methods.split(",") if name.strip()],
        "parameters": param or (),
        "reference": reference,
        "repeats": repeats.value if repeats else None,
        "background_files": background_file or (),
        "outputs": output or (),
        "overwrite": force,
    }
    if dry_run:
        show_json(plan_comparison(source, **wanted) | {"seed": seed, "device": device})
        return
    stopped: Interrupted | NotWrittenError | None = None
    try:
        with listener("compare", quiet=quiet, verbose=verbose) as tell:
            comparison = compare_file(source, **wanted, seed=seed, device=device, tell=tell)
    except (Interrupted, NotWrittenError) as failure:  # what is finished is shown first
        comparison, stopped = failure.comparison, failure
    written = [path for path in output or () if stopped is None or path not in stopped.unwritten]
    if json:
        show_json(
            {
                "file": str(source),
                "reference": str(reference) if reference else None,
                "without_background": comparison.without_background,
                "no_score": comparison.no_score or None,
                "seed": comparison.seed,
                "device": comparison.device,
                "rows": table(comparison),
                "skipped": [vars(each) for each in comparison.skipped],
                "interrupted": list(comparison.interrupted),
                "outputs": [str(path) for path in written],
            }
        )
    else:
        show_comparison(comparison)
    if not quiet:
        for path in written:
            say(f"wrote {path}")
    if stopped:
        raise stopped


def show_comparison(comparison: Comparison) -> None:
    """Show the rows as a table, and what is to be said about them."""
    from mpikit.cli.console import show_table

    rows = [comparison.noisy, *comparison.rows]
    heads = ["method"]
    columns = [[row.method for row in rows]]
    if not comparison.no_score:
        heads += ["SNR", "gain", "± (1 s.e.)"]
        columns += [list(each) for each in zip(*(_reference_free(row) for row in rows), strict=True)]
    if any(row.true for row in rows):
        heads += ["true SNR", "true gain (95 %)"]
        columns += [list(each) for each in zip(*(_true(row) for row in rows), strict=True)]
    heads += ["periods used", "residual", "fit", "per period", "needs"]
    columns += [list(each) for each in zip(*(_about(row) for row in rows), strict=True)]
    right = tuple(range(1, len(heads) - 1))
    show_table(heads, list(zip(*columns, strict=True)), right=right)
    _say_remarks(comparison)


def _say_remarks(comparison: Comparison) -> None:
    from mpikit.cli.console import say

    if comparison.no_score:
        say(f"no reference-free score: {comparison.no_score}")
    if comparison.without_background:
        say("all figures are of signals free of the background")
    for row in comparison.rows:
        if row.score is None and not (row.error or comparison.no_score):
            say(f"no score of {row.method}: it uses every repeat, and none is left to judge by")
    for each in comparison.skipped:
        say(f"skipped {each.method}: it lacks {each.lacks}")
    for row in comparison.rows:
        if row.error:
            say(f"failed {row.method}: {row.error}")
    if comparison.interrupted:
        say(f"interrupted before these were finished: {', '.join(comparison.interrupted)}")


def _reference_free(row: Row) -> tuple[str, str, str]:
    from mpikit.scoring import snr_words

    if row.score is None:
        return "", "", ""
    snr = snr_words(row.score)
    if row.gain is None:
        return snr, "", ""
    doubt = "" if row.gain.error_db is None else f"{row.gain.error_db:.2f}"
    bound = "> " if row.gain.is_bound else ""
    return snr, f"{bound}{row.gain.db:+.1f} dB", doubt


def _true(row: Row) -> tuple[str, str]:
    if row.true is None:
        return "", ""
    gain = row.true.gain
    known = gain.low == gain.low  # not NaN
    limits = f" ({gain.low:+.1f} to {gain.high:+.1f})" if known else ""
    # of a signal without noise that comes out without error there is no gain
    unknown = row.offer is None or gain.mean != gain.mean
    return f"{row.true.snr.mean:.1f} dB", "" if unknown else f"{gain.mean:+.1f} dB{limits}"


def _about(row: Row) -> tuple[str, str, str, str, str]:
    if row.error:
        return "", "failed", "", "", row.needs
    if row.offer is None:
        return "1", "", "", "", ""
    each = row.denoise_seconds / max(row.periods, 1)
    return (str(row.periods_used), _residual(row), _time(row.fit_seconds), _time(each), row.needs)


def _residual(row: Row) -> str:
    """Say noise, or by what it is not: autocorrelation over what noise has, correlation with the estimate."""
    residual = row.residual
    if residual is None:
        return ""
    if residual.is_noise:
        return "noise"
    return f"{residual.autocorrelation / residual.expected:.1f}x, {residual.correlation:+.3f}"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1e3 * seconds:.2g} ms"
