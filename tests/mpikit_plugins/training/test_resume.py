"""A training that was interrupted goes on as if it had not been, bit for bit; any other one is refused."""

from __future__ import annotations

import signal
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

from mpikit import Run, Step
from mpikit.errors import InputError
from mpikit.events import silent
from mpikit.testing import example_scan
from mpikit_plugins.n2n.method import Noise2Noise
from mpikit_plugins.n2n.options import Noise2NoiseOptions
from mpikit_plugins.r2r.method import Recorrupted
from mpikit_plugins.r2r.options import RecorruptedOptions
from mpikit_plugins.training import Player, Singles, TrainingOptions, play
from mpikit_plugins.training.interruption import waiting_interruption
from mpikit_plugins.unet.method import UNetGradientDifference
from mpikit_plugins.unet.options import UNetOptions

SMALL = {"features": 3, "kernel": 3, "batch": 4, "evaluate_every": 4, "steps": 14, "dropout": 0.3, "ema": 0.7}
METHODS = {
    "unet-gd": (UNetGradientDifference, UNetOptions),
    "n2n": (Noise2Noise, Noise2NoiseOptions),
    "r2r": (Recorrupted, RecorruptedOptions),
}


class Memory:
    """A checkpoint that keeps copies."""

    def __init__(self):
        self.state, self.saves = None, 0

    def load(self):
        return self.state

    def save(self, state, /):
        self.state = {name: np.array(value) for name, value in state.items()}
        self.saves += 1


def make(name, **options):
    method, model = METHODS[name]
    return method(model(**(SMALL | options)))


def stop_at(step):
    def tell(event):
        if isinstance(event, Step) and event.index == step:
            raise KeyboardInterrupt

    return tell


@pytest.fixture(scope="module")
def scan():
    return example_scan(frames=9, periods=2, repeats="both", background_frames=3)


@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
@pytest.mark.parametrize("name", METHODS)
def test_an_interruption_changes_nothing(scan, name, schedule):
    whole = make(name, schedule=schedule)
    whole.fit([scan], run=Run(rng=np.random.default_rng(5)))
    kept = Memory()
    for step in (4, 12):  # interrupted twice
        broken = make(name, schedule=schedule)
        with pytest.raises(KeyboardInterrupt):
            broken.fit([scan], run=Run(rng=np.random.default_rng(5), tell=stop_at(step), checkpoint=kept))
        assert broken.state() == {}
        assert kept.state["step"] == step
    torch.manual_seed(99)  # whatever happened in between
    resumed, told = make(name, schedule=schedule), []
    resumed.fit([scan], run=Run(rng=np.random.default_rng(5), tell=told.append, checkpoint=kept))
    assert [event.index for event in told if isinstance(event, Step)] == [14]
    assert resumed.history == whole.history
    assert [step for step, _ in whole.history] == [4, 8, 12, 14]
    for key, value in whole.state().items():
        np.testing.assert_array_equal(resumed.state()[key], value, err_msg=key)


@pytest.mark.parametrize("name", METHODS)
def test_an_interruption_between_two_scores_changes_nothing(scan, name, monkeypatch):
    """Ctrl-C comes in the middle of a step; the step is finished, and everything is saved."""
    whole, lost = make(name), []
    whole.fit([scan], run=Run(rng=np.random.default_rng(5), tell=lost.append))
    kept = Memory()
    for calls, step in ((2, 2), (4, 6), (3, 9)):  # of the loss, since the last interruption
        broken, count = make(name), iter(range(1, 99))
        loss = broken.loss

        def interrupted(network, *batch, loss=loss, count=count, calls=calls):
            if next(count) == calls:
                signal.raise_signal(signal.SIGINT)
            return loss(network, *batch)

        monkeypatch.setattr(broken, "loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            broken.fit([scan], run=Run(rng=np.random.default_rng(5), checkpoint=kept))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert (kept.state["step"], kept.state["interval.done"]) == (step, step % 4)
    torch.manual_seed(99)
    resumed, told = make(name), []
    resumed.fit([scan], run=Run(rng=np.random.default_rng(5), tell=told.append, checkpoint=kept))
    assert resumed.history == whole.history
    steps = [[event for event in events if isinstance(event, Step)] for events in (told, lost)]
    assert [event.index for event in steps[0]] == [12, 14]
    assert [event.values for event in steps[0]] == [event.values for event in steps[1][-2:]]
    for key, value in whole.state().items():
        np.testing.assert_array_equal(resumed.state()[key], value, err_msg=key)


def test_an_interruption_at_a_score_waits_for_it(scan):
    kept, told = Memory(), []

    def tell(event):
        told.append(event)
        if isinstance(event, Step) and event.index == 8:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        make("n2n").fit([scan], run=Run(rng=np.random.default_rng(5), tell=tell, checkpoint=kept))
    assert (told[-1].index, kept.saves, int(kept.state["step"])) == (8, 2, 8)
    assert "interval.done" not in kept.state


def test_a_second_interruption_does_not_wait():
    with waiting_interruption() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_foreign_handler_is_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("mine"))
    try:
        with waiting_interruption() as interrupted:
            signal.raise_signal(signal.SIGINT)
            assert not interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["mine"]


def test_it_is_saved_at_every_score_before_anyone_is_told(scan):
    kept, seen = Memory(), []

    def tell(event):
        if isinstance(event, Step):
            seen.append((event.index, kept.saves, int(kept.state["step"])))

    make("n2n").fit([scan], run=Run(rng=np.random.default_rng(5), tell=tell, checkpoint=kept))
    assert seen == [(4, 1, 4), (8, 2, 8), (12, 3, 12), (14, 4, 14)]
    assert all(isinstance(value, np.ndarray) and value.dtype.kind in "biuf" for value in kept.state.values())


def test_a_finished_training_is_not_trained_again(scan):
    kept, told = Memory(), []
    whole, again = make("n2n"), make("n2n")
    whole.fit([scan], run=Run(rng=np.random.default_rng(5), checkpoint=kept))
    again.fit([scan], run=Run(rng=np.random.default_rng(5), tell=told.append, checkpoint=kept))
    assert not any(isinstance(event, Step) for event in told)
    assert kept.saves == 4
    for key, value in whole.state().items():
        np.testing.assert_array_equal(again.state()[key], value)


def test_another_training_is_refused(scan):
    kept = Memory()
    make("n2n").fit([scan], run=Run(rng=np.random.default_rng(5), checkpoint=kept))
    other = example_scan(frames=9, periods=2, repeats="both", background_frames=3, seed=4)
    for given, options in (
        (scan, {"steps": 15}),
        (scan, {"features": 4}),
        (scan, {"loss": "l1"}),
        (other, {}),
    ):
        with pytest.raises(InputError, match="of a training with other options or other data") as caught:
            make("n2n", **options).fit([given], run=Run(rng=np.random.default_rng(5), checkpoint=kept))
        assert "start anew" in caught.value.hint
    del kept.state["fingerprint"]
    with pytest.raises(InputError, match="other options or other data"):
        make("n2n").fit([scan], run=Run(rng=np.random.default_rng(5), checkpoint=kept))


@pytest.mark.parametrize("lost", ["step", "rng", "torch", "history", "0.network.head.weight", "average.0"])
def test_a_damaged_checkpoint_is_refused(scan, lost):
    kept = Memory()
    make("n2n").fit([scan], run=Run(rng=np.random.default_rng(5), checkpoint=kept))
    del kept.state[lost]
    with pytest.raises(InputError, match="the checkpoint is damaged, or of another version"):
        make("n2n").fit([scan], run=Run(rng=np.random.default_rng(5), checkpoint=kept))


def test_no_score_and_no_average():
    """With nothing kept back the weights after the last step are those that count."""
    scan = example_scan(frames=3)
    whole, resumed, kept = make("n2n", ema=0.0), make("n2n", ema=0.0), Memory()
    whole.fit([scan], run=Run(rng=np.random.default_rng(5)))
    with pytest.raises(KeyboardInterrupt):
        make("n2n", ema=0.0).fit(
            [scan], run=Run(rng=np.random.default_rng(5), tell=stop_at(8), checkpoint=kept)
        )
    resumed.fit([scan], run=Run(rng=np.random.default_rng(5), checkpoint=kept))
    assert resumed.history == []
    for key, value in whole.state().items():
        np.testing.assert_array_equal(resumed.state()[key], value)


class Weight(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(start)))


def duel(*, stop=None, checkpoint=None):
    """Two players on x y: the first makes it small, the second large, twice in each step."""
    one, other, seen = Weight(1.0), Weight(2.0), []

    def first(batch):
        seen.append(("first", tuple(batch[:, 0, 0].tolist())))
        return one.value * other.value.detach() * batch.mean()

    def second(batch):
        seen.append(("second", tuple(batch[:, 0, 0].tolist())))
        return -one.value.detach() * other.value * batch.mean()

    data = [np.arange(1, 9, dtype=np.float32)[:, None, None, None]]
    options = TrainingOptions(steps=6, batch=3, evaluate_every=2, schedule="constant", weight_decay=0)
    players = [Player(one, first, 0.1, betas=(0.0, 0.9)), Player(other, second, 0.01, updates=2)]
    told = []

    def tell(event):
        told.append(event)
        if isinstance(event, Step) and event.index == stop:
            raise KeyboardInterrupt

    run = Run(rng=np.random.default_rng(3), tell=tell, checkpoint=checkpoint)
    with suppress(KeyboardInterrupt):
        play(players, Singles(data, batch=3, device="cpu"), options, run=run)
    return one.value.item(), other.value.item(), seen, told


def test_two_players():
    """Where gradients keep their sign, AdamW moves a weight by its step size."""
    one, other, seen, told = duel()
    assert one == pytest.approx(1 - 6 * 0.1, abs=1e-5)
    assert other == pytest.approx(2 + 12 * 0.01, abs=1e-5)
    assert [name for name, _ in seen] == 6 * ["first", "second", "second"]
    assert len({batch for _, batch in seen}) > 12  # each update has a batch of its own
    steps = [event for event in told if isinstance(event, Step)]
    assert [event.index for event in steps] == [2, 4, 6]
    assert set(steps[0].values) == {"loss 1", "loss 2", "learning rate"}
    assert steps[0].values["loss 1"] > 0 > steps[0].values["loss 2"]


def test_two_players_go_on_as_well():
    kept = Memory()
    duel(stop=4, checkpoint=kept)
    one, other, seen, _ = duel(checkpoint=kept)
    whole = duel()
    assert (one, other) == whole[:2]
    assert seen == whole[2][-6:]


def test_a_run_without_a_checkpoint_saves_nothing(scan):
    method = make("n2n")
    method.fit([scan], run=Run(rng=np.random.default_rng(5), tell=silent))
    assert method.state() != {}
