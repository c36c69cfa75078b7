"""``mpikit demo``: the whole path on simulated data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path(
        "mpikit-demo"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Simulate a noisy scan, denoise it with unet-gd, and reconstruct it before and after.

    mpikit demo
    """
    from mpikit.cli.console import listener, say, show, show_json
    from mpikit.cli.denoise import show_scores
    from mpikit.demo import plan_demo, run_demo
    from mpikit.scoring import score_table

    if dry_run:
        show_json(plan_demo(output, seed=seed, overwrite=force))
        return
    with listener("demo", quiet=quiet) as tell:
        done = run_demo(output, seed=seed, overwrite=force, tell=tell)
    if json:
        show_json(
            {
                "folder": str(done.folder),
                "picture": str(done.picture),
                "scores": score_table(done.denoised),
                "true_snr_db": done.true_snr_db,
            }
        )
    if quiet or json:
        return
    show_scores(done.denoised)
    true = done.true_snr_db
    show(f"against the clean simulation: {true['before']:.1f} dB before, {true['after']:.1f} dB after")
    say(f"wrote {done.folder}; look at {done.picture}")
