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

LEARNER = """
import json
import signal

import numpy as np
from pydantic import Field

from mpikit import Denoiser, Options, Step, hookimpl
from mpikit.signal import stack_repeats


class LearnerOptions(Options):
    steps: int = Field(6, ge=1, description="Steps")
    save_every: int = Field(1, ge=1, description="Steps from one checkpoint to the next")
    stop_after: int = Field(0, ge=0, description="Step after which Ctrl-C comes, unless resumed")


class Learner:
    def __init__(self, options):
        self.options, self.gain = options, None

    def fit(self, scans, /, *, run):
        kept = run.checkpoint.load() if run.checkpoint else None
        gain, begun = np.zeros((scans[0].signal.shape[2], 1)), 0
        if kept:
            gain, begun = kept["gain"], int(kept["step"])
            run.rng.bit_generator.state = json.loads(bytes(kept["rng"]).decode())
        for step in range(begun + 1, self.options.steps + 1):
            scan = scans[run.rng.integers(len(scans))]
            repeats = stack_repeats(scan.signal, scan.repeats)
            first, second = repeats[run.rng.integers(len(repeats)), run.rng.permutation(repeats.shape[1])[:2]]
            slope = np.mean(first * (second - gain * first), axis=-1, keepdims=True)
            gain = gain + 0.3 * slope / np.mean(first**2, axis=-1, keepdims=True)
            if run.checkpoint and step % self.options.save_every == 0:
                words = json.dumps(run.rng.bit_generator.state).encode()
                state = {"gain": gain, "step": np.array(step), "rng": np.frombuffer(words, np.uint8)}
                run.checkpoint.save(state)
            run.tell(Step(step, self.options.steps, {"loss": float(np.sum(slope**2)), "learning rate": 0.3}))
            if step == self.options.stop_after and not kept:
                signal.raise_signal(signal.SIGINT)
        self.gain = gain

    def denoise(self, scan, /, *, run):
        return (self.gain * scan.signal).astype(np.float32)

    def state(self):
        return {} if self.gain is None else {"gain": self.gain}

    def restore(self, state, /):
        self.gain = state["gain"]


def missing(scan, options):
    return "frames or periods that repeat" if scan.repeats == "none" else None


@hookimpl
def mpikit_denoisers():
    yield Denoiser(
        name="learner", summary="One gain for each channel", build=Learner, options=LearnerOptions,
        missing=missing, homogeneous=True, learned=True, cite=("10.1000/learner",),
    )
"""


@pytest.fixture
def learner(installed) -> None:
    """Install a method that learns in steps, with a checkpoint, beside our own ones."""
    installed("learner", LEARNER)


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
