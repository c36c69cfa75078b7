"""Which code a piece was made with: a hash of the sources, for versions do not change with every change."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path
from typing import Any

from mpikit.plugins import Offer, registry

OURS = ("mdf", "mpikit")
SOURCES = {".py", ".toml"}  # presets of scanners are TOML


def code_of(method: str | None) -> str:
    """Return a hash of the sources of mdf, mpikit, our plugins, and the package that brings a method.

    Parameters
    ----------
    method : str or None
        Of the registry; other names count as none.
    """
    offers = [each for many in registry().denoisers.values() for each in many]
    wanted = [each for each in offers if each.distribution == "mpikit" or each.record.name == method]
    return _hash_of(tuple(sorted({*OURS, *(name for each in wanted if (name := _package(each)))})))


def _package(offer: Offer[Any]) -> str:
    """Top-level package of the code that builds a method; empty if that cannot be told."""
    build = getattr(offer.record.build, "func", offer.record.build)  # a partial hides its function
    return str(getattr(build, "__module__", None) or "").partition(".")[0]


@cache
def _hash_of(packages: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in packages:
        module = sys.modules.get(name)
        for folder in sorted(getattr(module, "__path__", [])):
            for path in sorted(Path(folder).rglob("*")):
                if path.suffix in SOURCES:
                    digest.update(f"{name}/{path.relative_to(folder).as_posix()}\0".encode())
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
