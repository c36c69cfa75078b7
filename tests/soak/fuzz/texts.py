"""Plans and presets: TOML files."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.damage import as_toml, damage_tree
from fuzz.kinds import Kind, Rng

PLAN = {
    "denoise": {
        "files": ["a.mdf"],
        "method": "unet-gd",
        "repeats": "frames",
        "seed": 3,
        "force": True,
        "param": {"steps": 10, "level": [0.1, 0.2], "inner": {"a": True}},
    },
    "reconstruct": {
        "system-matrix": ["sm.mdf"],
        "iterations": 3,
        "lambda": 0.01,
        "average_frames": False,
        "param": ["best=10"],
    },
    "simulate": {"preset": "openmpi-2d", "phantom": "dots", "param": {"particle": {"diameter": 2e-8}}},
    "train": {"files": ["a.mdf"], "method": "unet-gd", "output": "m.safetensors", "param": {"steps": 10}},
    "compare": {"file": "a.mdf", "methods": "wiener,average", "reference": "b.mdf", "param": ["level=0.1"]},
    "convert": {"file": "a.mdf", "domain": "time", "channels": "0,1", "best": 3, "sparsity": "DCT-II"},
    "noise": {"file": "a.mdf", "output": "noise.html", "model": "m.toml"},
    "plot": {"files": ["a.mdf", "b.mdf"], "output": "figures", "kind": "spectrum"},
    "report": {"files": ["a.mdf"], "before": ["b.mdf"], "output": "r.html", "with-subject": True},
    "reproduce": {"names": ["peng-table2"], "scale": "quick", "seed": 1, "resume": True},
    "info": {"files": ["a.mdf"], "json": True},
    "validate": {"files": "a.mdf"},
    "view": {"files": ["a.mdf"], "dry_run": True},
    "demo": {"output": "demo", "seed": 3},
    "doctor": {"json": True},
}


def make_plan(rng: Rng, folder: Path) -> Path:
    """Write a plan for one command, now and then for all: then less of the damage is to that one."""
    verb = list(PLAN)[rng.integers(len(PLAN))]
    path = folder / f"{verb}.toml"
    tree = PLAN if rng.random() < 0.2 else {verb: PLAN[verb]}
    path.write_bytes(as_toml(rng, damage_tree(rng, tree)))
    return path


@cache
def _commands() -> Any:
    import typer

    from mpikit.cli import app

    return typer.main.get_command(app)


def read_plan(path: Path) -> None:
    """Take the words of a plan, as the command line does; what Typer refuses it refuses in its own words."""
    import typer

    refusal = typer.BadParameter.__mro__[1]  # the UsageError of Click, wherever Typer keeps it
    group = _commands()
    parent = group.make_context("mpikit", ["doctor"], resilient_parsing=True)
    command = group.commands[path.stem]
    try:
        command.make_context(path.stem, ["--config", str(path)], parent=parent)
    except refusal:
        return


@cache
def _presets() -> tuple[dict[str, Any], ...]:
    from mpikit.simulate.presets import preset_names, preset_text

    return tuple(tomllib.loads(preset_text(name)) for name in preset_names())


def make_preset(rng: Rng, folder: Path) -> Path:
    path = folder / "own.toml"
    presets = _presets()
    path.write_bytes(as_toml(rng, damage_tree(rng, presets[rng.integers(len(presets))])))
    return path


def read_preset(path: Path) -> None:
    from mpikit.simulate.presets import preset

    found = preset(str(path))
    assert found.samples >= 0
    assert found.patches > 0


KINDS = (
    Kind("plan", make_plan, read_plan),
    Kind("preset", make_preset, read_preset),
)
