"""The recorded step: each step is done once, recorded or not; and the same on a CUDA device."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mpikit import Run
from mpikit.testing import example_scan
from mpikit_plugins.n2n.method import Noise2Noise
from mpikit_plugins.n2n.options import Noise2NoiseOptions
from mpikit_plugins.training import fit as fit_module
from mpikit_plugins.training import graph as graph_module
from mpikit_plugins.training.chance import seeded
from mpikit_plugins.training.fit import Bfloat16
from mpikit_plugins.training.graph import WARM_UP, RecordedStep


class FakeCuda:
    """Records what is done under `graph` and does it at each replay, as a CUDA graph does."""

    def __init__(self, *, fails):
        self.fails, self.recording, self.recorded, self.replays = fails, False, [], 0
        self.usual = self.used = SimpleNamespace(wait_stream=lambda other: other)
        self.asides, self.states = 0, []
        self.stream = nullcontext
        self.CUDAGraph = lambda: self
        generator = SimpleNamespace(clone_state=lambda: "clean", graphsafe_set_state=self.states.append)
        self.default_generators, self.current_device = [None, generator], lambda: 1

    def Stream(self):  # noqa: N802 - as torch has it
        self.asides += 1
        return self.usual

    def current_stream(self):
        return self.used

    def set_stream(self, stream):
        self.used = stream

    @contextmanager
    def graph(self, target):
        self.recording = target is self
        self.used = "that of the recording"
        yield
        self.recording = False
        if self.fails:  # the stream is left as it is then
            raise RuntimeError("no capture\nof this")
        self.used = self.usual

    def do(self, what):
        if self.recording:
            self.recorded.append(what)
        else:
            what()

    def replay(self):
        self.replays += 1
        for what in self.recorded:
            what()


@pytest.mark.parametrize("fails", [False, True])
def test_each_step_is_done_once(monkeypatch, fails):
    cuda, done, told = FakeCuda(fails=fails), [], []
    namespace = SimpleNamespace(cuda=cuda)
    monkeypatch.setattr(graph_module, "torch", namespace)
    recorded = RecordedStep(lambda index: cuda.do(lambda: done.append(index.tolist())), told.append)
    for number in range(8):
        recorded(torch.tensor([number, 10 * number]))
    assert done == [[number, 10 * number] for number in range(8)]
    assert cuda.replays == (0 if fails else 8 - WARM_UP)
    assert (cuda.asides, cuda.used, cuda.states) == (1, cuda.usual, ["clean"] if fails else [])
    texts = ["the step cannot be recorded as a CUDA graph, training is slower: no capture"]
    assert [event.text for event in told] == (texts if fails else [])


def test_a_network_in_bfloat16():
    torch.manual_seed(0)
    network = nn.Conv1d(2, 3, 5, bias=False)
    signal = torch.randn(4, 2, 50)
    with torch.no_grad():
        exact, rounded = network(signal), Bfloat16(network, "cpu")(signal)
    assert rounded.dtype == torch.float32
    error = (rounded - exact).abs().max() / exact.abs().max()
    assert 1e-4 < error < 2e-2
    Bfloat16(network, "cpu")(signal).sum().backward()
    assert network.weight.grad.dtype == torch.float32


def test_weights_that_are_cast_are_cast_anew_each_time():
    """Under another autocast too: a recorded step would use what was cast before it for ever."""
    network = Bfloat16(nn.Conv1d(1, 1, 1, bias=False), "cpu")
    signal = torch.ones(1, 1, 4)
    with torch.autocast("cpu", torch.bfloat16):
        network.network.weight.data.fill_(1)
        network(signal)
        network.network.weight.data.fill_(2)
        assert network(signal).detach().unique() == 2


def test_bfloat16_only_where_the_device_has_it(monkeypatch):
    asked = []

    def supported(*, including_emulation):
        asked.append(including_emulation)
        return False

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert not fit_module._has_bfloat16()
    assert asked == [False]


def test_drawing_from_a_seed_leaves_the_devices_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: pytest.fail("all devices were seeded"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    before = torch.get_rng_state()
    with seeded(3, "cpu"):
        drawn = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn, torch.rand(4, generator=torch.Generator().manual_seed(3)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_recorded_steps_are_the_same_as_others():
    scan = example_scan(frames=9, periods=2, repeats="both", background_frames=3)
    outputs = []
    for graph in (True, False):
        told = []
        options = {"features": 4, "steps": 40, "evaluate_every": 20, "precision": "single", "graph": graph}
        method = Noise2Noise(Noise2NoiseOptions(**options))
        method.fit([scan], run=Run(rng=np.random.default_rng(0), device="cuda", tell=told.append))
        outputs.append(method.denoise(scan, run=Run(rng=np.random.default_rng(0), device="cuda")))
        assert not any("cannot be recorded" in getattr(event, "text", "") for event in told)
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-2 * np.abs(outputs[1]).max())
