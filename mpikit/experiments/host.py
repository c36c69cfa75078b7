"""With what a run was made: versions, and facts about the machine that name nobody."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from typing import Any

from mdf.moment import now
from mpikit.experiments.experiment import Plan
from mpikit.resources import physical_memory

PACKAGES = ("mpikit", "numpy", "scipy", "torch", "PyWavelets", "scikit-image")


def run_facts(plan: Plan, names: list[str]) -> dict[str, Any]:
    """Return what it takes to make the figures again, ready for JSON; no names of hosts, users or folders.

    Parameters
    ----------
    plan : Plan
    names : list of str
        Of the experiments.
    """
    from mpikit.device import cuda_name
    from mpikit.experiments.peng_pieces import digits_of

    memory = physical_memory()
    return {
        "experiments": names,
        "command": command(plan, names),
        "scale": plan.scale,
        "seed": plan.seed,
        "device": plan.device,
        "methods": list(plan.methods),
        "digits": digits_of(plan.mnist),
        "at": now().isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "host": {
            "system": sys.platform,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "memory_bytes": memory,
            "threads": os.environ.get("OMP_NUM_THREADS"),
            "gpu": cuda_name() if plan.device == "cuda" else None,
        },
    }


def command(plan: Plan, names: list[str]) -> str:
    """Return the command that makes the figures again; files are left out, they have names of their own."""
    parts = ["mpikit reproduce", *names, f"--scale {plan.scale}"]
    parts += [f"--seed {plan.seed}"] if plan.seed else []
    parts += [f"--methods {','.join(plan.methods)}"] if plan.methods else []
    parts += ["--mnist PATH"] if plan.mnist else []
    return " ".join([*parts, f"--device {plan.device}"])
