"""Fixtures for the tests of plugins and of the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from mpikit.plugins import registry

GOOD_PLUGIN = """
from mpikit import Denoiser, StatelessMethod, hookimpl

class Same(StatelessMethod):
    def denoise(self, scan, /, *, run):
        return scan.signal.copy()

@hookimpl
def mpikit_denoisers():
    yield Denoiser(name="box", summary="Nothing", build=lambda options: Same())
"""


@pytest.fixture
def good_plugin() -> str:
    """Source of a module that offers one denoiser, ``box``."""
    return GOOD_PLUGIN


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Iterator[Callable[[str, str], None]]:
    """Pretend that distributions of one module each are installed, in ``tmp_path``."""

    def install(module: str, source: str) -> None:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[mpikit]\n{module} = {module}\n")

    already = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("MPIKIT_BLOCK_PLUGINS", raising=False)
    registry.cache_clear()
    yield install
    registry.cache_clear()
    for module in [name for name in set(sys.modules) - already if (tmp_path / f"{name}.py").exists()]:
        del sys.modules[module]
