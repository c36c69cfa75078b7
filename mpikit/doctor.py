"""What a report about a problem should say of the machine: versions, devices, plugins; no personal paths."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from mpikit.plugins import blocked, labelled, registry

REQUIREMENT = re.compile(r"""(?P<name>[\w.-]+)[^;]*(;\s*extra\s*==\s*["'](?P<extra>[\w-]+)["'])?""")
OUR_OWN_EXTRAS = ("docs", "test", "bench")  # for developers: no feature waits for them
BROKEN_TORCH = "torch does not load"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def examine() -> dict[str, Any]:
    """Collect what `mpikit doctor` prints.

    Returns
    -------
    dict
        Ready for JSON, with the keys ``versions``, ``machine``, ``cuda``, ``extras``, ``plugins``,
        ``failures``, ``blocked`` and ``samples``; then ``todo``, what is to be mended, in words, and
        ``verdict``.
    """
    report = _found()
    todo = [*_broken_packages(report), *_broken_plugins()]
    return report | {"todo": todo, "verdict": _verdict(report, todo)}


def _broken_packages(report: dict[str, Any]) -> list[str]:
    """Say what to do about packages that are missing, do not load, or are other people's."""
    todo = [
        f"{name} is missing: pip install {name}"
        for name, found in report["versions"].items()
        if found is None and name != "mpikit"
    ]
    if report["versions"]["mpikit"] is None:
        todo.append("mpikit is not installed, and finds no plugins: pip install it, as docs/install.md says")
    if str(report["cuda"]).startswith(BROKEN_TORCH):
        todo.append("torch does not load, so that no network can be used: install it again")
    if _version("mdf") is not None:
        todo.append(
            "the package mdf of other people is installed, and ours has the same name: pip uninstall mdf, "
            "then install mpikit again"
        )
    return todo


def _broken_plugins() -> list[str]:
    found = registry()
    todo = [
        f"the plugin {each.plugin} failed: update or remove {labelled(each.distribution)}, or leave it out "
        f"with MPIKIT_BLOCK_PLUGINS={each.plugin}"
        for each in found.failures
    ]
    offered = {"denoiser": _providers(found.denoisers), "noise model": _providers(found.noise_models)}
    for kind, offers in offered.items():
        todo += [
            f"the {kind} {name} is offered by {' and '.join(owners)}, so that none can be used: remove one"
            for name, owners in offers.items()
            if len(owners) > 1
        ]
    return todo


def _verdict(report: dict[str, Any], todo: list[str]) -> str:
    if todo:
        return f"{len(todo)} thing{'s' if len(todo) > 1 else ''} to mend, see todo"
    denoisers, models = (len(report["plugins"][kind]) for kind in ("denoisers", "noise_models"))
    gpu = f"networks run on {report['cuda']}" if report["cuda"] else "no GPU, networks run on the processor"
    return f"all is well: {denoisers} denoisers, {models} noise models; {gpu}"


def _found() -> dict[str, Any]:
    needed = _requirements()
    found = registry()
    return {
        "versions": {
            "mpikit": _version("mpikit"),
            "python": platform.python_version(),
            **{name: _version(name) for name in needed.pop("", [])},
        },
        "machine": {
            "platform": platform.platform(),
            "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "threads": _threads(),
            **{name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        },
        "cuda": _cuda(),
        "extras": {
            extra: {name: _version(name) for name in names}
            for extra, names in sorted(needed.items())
            if extra not in OUR_OWN_EXTRAS
        },
        "plugins": {
            "denoisers": _providers(found.denoisers),
            "noise_models": _providers(found.noise_models),
        },
        "failures": [
            f"{each.plugin} ({labelled(each.distribution)}): {_impersonal(each.text)}"
            for each in found.failures
        ],
        "blocked": sorted(blocked()),
        "samples": _samples(),
    }


def _requirements() -> dict[str, list[str]]:
    """Names of the distributions that mpikit asks for, by extra; those always needed under the empty name."""
    names: dict[str, list[str]] = {"": []}
    for text in requires("mpikit") or []:
        match = REQUIREMENT.match(text)
        if match and match["name"] != "mpikit":
            names.setdefault(match["extra"] or "", []).append(match["name"])
    return names


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _threads() -> dict[str, int]:
    """Threads of each numerical library that is loaded once NumPy and SciPy are."""
    import scipy.linalg  # noqa: F401 - loads its BLAS
    from threadpoolctl import threadpool_info

    return {pool["prefix"]: pool["num_threads"] for pool in threadpool_info()}


def _cuda() -> str | None:
    from mpikit.device import cuda_name

    try:
        return cuda_name()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with torch is what the report is for
        return f"{BROKEN_TORCH}: {_impersonal(str(error))}"


def _providers(offers: dict[str, list[Any]]) -> dict[str, list[str]]:
    return {name: [labelled(each.distribution) for each in offers[name]] for name in sorted(offers)}


def _samples() -> str:
    folder = os.environ.get("MPIKIT_SAMPLES")
    if not folder:
        return "MPIKIT_SAMPLES is not set"
    return f"MPIKIT_SAMPLES is set, {len(list(Path(folder).glob('*.mdf')))} files"


def _impersonal(text: str) -> str:
    return text.replace(str(Path.home()), "~")
