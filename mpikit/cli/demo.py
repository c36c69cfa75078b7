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
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Simulate a noisy scan, denoise it with unet-gd, and reconstruct it before and after.

    mpikit demo
    """
    from mpikit.cli.console import listener, say, show
    from mpikit.cli.denoise import show_scores
    from mpikit.demo import run_demo

    with listener("demo", quiet=quiet) as tell:
        done = run_demo(output, seed=seed, overwrite=force, tell=tell)
    if quiet:
        return
    show_scores(done.denoised)
    true = done.true_snr_db
    show(f"against the clean simulation: {true['before']:.1f} dB before, {true['after']:.1f} dB after")
    say(f"wrote {done.folder}; look at {done.picture}")
