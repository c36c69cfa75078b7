"""A training that diverges: an error, or the weights from before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mpikit import Finding, Run, Step, Warned
from mpikit.errors import NumericalError
from mpikit.metrics import ReferenceFree
from mpikit_plugins.training import Player, Singles, TrainingOptions, play


class Memory:
    state = None

    def load(self):
        return self.state

    def save(self, state, /):
        self.state = {name: np.array(value) for name, value in state.items()}


class Weight(nn.Module):
    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(1.0))


def train(*, bad, at, explosion=100.0, checkpoint=None, stop=None, evaluate=lambda: None, ema=0.0):
    """One weight goes up by a tenth in each of ten steps; from one step on the loss is another one."""
    network, calls, told = Weight(), iter(range(99)), []

    def loss(batch):
        wrong = int(batch[0, 0, 0]) < 0 or next(calls) >= at
        return -network.value * (bad if wrong else 1.0)

    def tell(event):
        told.append(event)
        if isinstance(event, Step) and event.index == stop:
            raise KeyboardInterrupt

    data = [np.ones((4, 1, 1, 1), np.float32)]
    options = TrainingOptions(
        steps=10, evaluate_every=2, schedule="constant", weight_decay=0, ema=ema, clip=None
    )
    run = Run(rng=np.random.default_rng(3), tell=tell, checkpoint=checkpoint)
    players = [Player(network, loss, 0.1, betas=(0.0, 0.9), name="weight")]
    play(
        players,
        Singles(data, batch=2, device="cpu"),
        options,
        run=run,
        explosion=explosion,
        evaluate=evaluate,
        figure="height",
        kept_back="steps",
    )
    return network.value.item(), told


@pytest.mark.parametrize("bad", [np.nan, 1e6])
def test_the_weights_from_before_are_used(bad):
    value, told = train(bad=bad, at=7)
    assert value == pytest.approx(1.6, abs=1e-4)
    [warning] = [event for event in told if isinstance(event, Warned) and "diverged" in event.text]
    assert "training diverged at step 8: it was stopped, and the weights of step 6 are used" in warning.text
    assert [event.index for event in told if isinstance(event, Step)] == [2, 4, 6]


def test_the_best_weights_are_used_where_there_are_scores():
    errors = iter([3.0, 1.0, 2.0])
    value, told = train(bad=np.nan, at=7, evaluate=lambda: ReferenceFree(next(errors), 0.1, 1.0))
    assert value == pytest.approx(1.4, abs=1e-4)
    assert any("the weights of step 4 are used" in event.text for event in told if isinstance(event, Warned))
    steps = [event.values for event in told if isinstance(event, Step)]
    assert [values["height"] for values in steps] == [3.0, 1.0, 2.0]
    assert "loss weight" in steps[0]
    [found] = [event.text for event in told if isinstance(event, Finding)]
    assert found == "best of 8 steps: step 4, height 1 on steps kept back"


def test_the_running_average_is_what_is_kept():
    plain, _ = train(bad=np.nan, at=7)
    averaged, _ = train(bad=np.nan, at=7, ema=0.9)
    assert 1 < averaged < plain


def test_from_the_start_on_it_is_an_error():
    with pytest.raises(NumericalError, match="diverged at step 2"):
        train(bad=np.nan, at=1)


def test_without_a_limit_it_is_an_error():
    with pytest.raises(NumericalError, match="diverged at step 8"):
        train(bad=np.nan, at=7, explosion=None)
    value, _ = train(bad=1e6, at=7, explosion=None)
    assert value > 1.7


def test_a_training_that_went_on_falls_back_as_well():
    kept = Memory()
    with pytest.raises(KeyboardInterrupt):
        train(bad=np.nan, at=7, checkpoint=kept, stop=6)
    value, told = train(bad=np.nan, at=0, checkpoint=kept)
    assert value == pytest.approx(1.6, abs=1e-4)
    assert any("the weights of step 6 are used" in event.text for event in told if isinstance(event, Warned))
