"""The training loop: what it draws, when it stops, what it leaves behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mpikit import Finding, Run, Step, Warned
from mpikit.errors import NumericalError
from mpikit.metrics import ReferenceFree
from mpikit_plugins.training import RepeatedSignals, TrainingOptions, apply, train
from mpikit_plugins.training.loop import one_cycle
from mpikit_plugins.training.selection import step_event

CHANNELS, SAMPLES = 2, 30


class Gain(nn.Module):
    """One weight: the Wiener gain of the least-squares objective is P / (P + noise)."""

    def __init__(self, start=0.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(start))
        self.modes = []

    def forward(self, signal):
        self.modes.append(self.training)
        return self.gain * signal


class LeastSquares:
    """Keeps what it was given."""

    def __init__(self):
        self.losses, self.pairs = [], []

    def loss(self, network, first, second):
        value = (network(first) - second).square().mean()
        self.losses.append(value.item())
        self.pairs.append((first.clone(), second.clone()))
        return value

    def predict(self, network, noisy):
        return network(noisy)


def repeated(rng, signals, repeats, sigma=0.5):
    clean = rng.normal(size=(signals, 1, CHANNELS, SAMPLES))
    return (clean + sigma * rng.normal(size=(signals, repeats, CHANNELS, SAMPLES))).astype(np.float32)


def fit(data, *, seed=0, start=0.0, objective=None, **options):
    network, objective, told = Gain(start), objective or LeastSquares(), []
    run = Run(rng=np.random.default_rng(seed), tell=told.append)
    chosen = {"schedule": "constant", "learning_rate": 0.05, "weight_decay": 0.0, "evaluate_every": 10}
    train(network, objective, data, TrainingOptions(**(chosen | options)), run=run)
    return network, objective, told


@pytest.fixture
def data(rng):
    return RepeatedSignals([repeated(rng, 40, 5)], [repeated(rng, 11, 3)])


def test_it_finds_the_wiener_gain(data):
    network, objective, _ = fit(data, steps=150, batch=32, patience=100)
    assert network.gain.item() == pytest.approx(1 / 1.25, abs=0.03)
    assert np.mean(objective.losses[-30:]) < 0.7 * objective.losses[0]


def test_pairs_are_two_repeats_of_one_signal_in_both_roles():
    """The value of a sample says from which scan, clean signal and repeat it is."""
    groups = [
        (1000 * scan + 100 * np.arange(signals)[:, None] + np.arange(repeats)).astype(np.float32)
        for scan, (signals, repeats) in enumerate([(3, 4), (1, 6)])
    ]
    groups = [np.tile(group[..., None, None], (1, 1, CHANNELS, SAMPLES)) for group in groups]
    _, objective, _ = fit(RepeatedSignals(groups, []), steps=200, batch=7)
    first, second = (torch.cat(part)[:, 0, 0].numpy().astype(int) for part in zip(*objective.pairs))  # noqa: B905
    assert first.shape == (1400,)
    np.testing.assert_array_equal(first // 100, second // 100)
    assert np.all(first != second)
    drawn = set(zip(first.tolist(), second.tolist(), strict=True))
    assert len(drawn) == 3 * 4 * 3 + 6 * 5  # every ordered pair
    assert np.mean(first < 1000) == pytest.approx(12 / 18, abs=0.1)  # a repeat is as likely as any other


def test_one_seed_gives_one_result(data):
    drawn = torch.get_rng_state()
    one, _, _ = fit(data, seed=3, steps=25)
    same, _, _ = fit(data, seed=3, steps=25)
    other, _, _ = fit(data, seed=4, steps=25)
    assert one.gain.item() == same.gain.item()
    assert one.gain.item() != other.gain.item()
    assert torch.equal(torch.get_rng_state(), drawn)


def test_what_was_kept_back_chooses_and_teaches_nothing(data, rng):
    """Without a signal in what was kept back, the smallest gain is the best one: that of the first score."""
    empty = rng.normal(size=data.validation[0].shape).astype(np.float32)
    chosen, objective, told = fit(data, steps=60, patience=50)
    first, other, said = fit(RepeatedSignals(data.training, [empty]), steps=60, patience=50)
    assert objective.losses == other.losses
    assert said[-1].value["step"] == 10
    assert told[-1].value["step"] >= 30
    assert first.gain.item() < 0.6 < chosen.gain.item()
    again, _, _ = fit(data, steps=10)
    assert first.gain.item() == again.gain.item()


def test_patience(data, rng):
    empty = rng.normal(size=data.validation[0].shape).astype(np.float32)
    _, objective, told = fit(RepeatedSignals(data.training, [empty]), steps=500, patience=3)
    assert len(objective.losses) == 40  # best at 10, then three scores without a better one
    assert [event.index for event in told if isinstance(event, Step)] == [10, 20, 30, 40]
    assert told[-1].text.startswith("best of 40 steps: step 10, reference-free SNR ")


def test_nothing_kept_back_is_said(data):
    _, objective, told = fit(RepeatedSignals(data.training, []), steps=25)
    assert len(objective.losses) == 25
    assert [(event.index, event.total) for event in told[:-1]] == [(10, 25), (20, 25), (25, 25)]
    assert all(set(event.values) == {"loss", "learning rate"} for event in told[:-1])
    assert isinstance(told[-1], Warned)
    assert "trained for 25 steps without early stopping" in told[-1].text


def test_with_nothing_kept_back_the_last_weights_stay(rng):
    """One step of AdamW moves a weight by the learning rate."""
    data = RepeatedSignals([repeated(rng, 4, 3)], [])
    assert fit(data, steps=1)[0].gain.item() == pytest.approx(0.05, rel=1e-4)
    assert fit(data, steps=1, start=2.0)[0].gain.item() == pytest.approx(1.95, rel=1e-4)


def test_events_and_modes(data):
    network, objective, told = fit(data, steps=20)
    assert [event.total for event in told[:2]] == [20, 20]
    names = ["reference-free SNR in dB", "standard error in dB", "loss", "learning rate"]
    assert [list(event.values) for event in told[:2]] == [names, names]
    for number, event in enumerate(told[:2]):
        mean = np.mean(objective.losses[10 * number : 10 * number + 10])
        assert event.values["loss"] == pytest.approx(mean, rel=1e-5)
        assert event.values["learning rate"] == 0.05
    assert isinstance(told[-1], Finding)
    assert told[-1].name == "training"
    assert set(told[-1].value) == {"step", "snr_db", "standard_error_db"}
    assert told[-1].value["snr_db"] == told[1].values["reference-free SNR in dB"]
    assert network.modes == 2 * ([True] * 10 + [False] * 3)  # 33 repeats are three batches of 16


def test_a_score_that_is_not_clearly_worse_is_no_reason_to_stop():
    """Half a standard error worse, eight times: the training goes on. Two of them: it stops."""
    from mpikit.metrics import ReferenceFree
    from mpikit_plugins.training.selection import Best

    for worse, stops in ((0.5, False), (2.0, True)):
        best = Best(patience=3)
        best.see(0, ReferenceFree(1.0, 0.1, 5.0), {})
        for step in range(1, 9):
            best.see(step, ReferenceFree(1.0 + 0.1 * worse, 0.1, 5.0), {})
        assert best.is_over == stops
        best.see(9, ReferenceFree(0.9, 0.1, 5.0), {})
        assert (best.is_over, best.step) == (False, 9)


@pytest.mark.parametrize("error", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_not_the_best(error):
    from mpikit.metrics import ReferenceFree
    from mpikit_plugins.training.selection import Best

    best = Best(patience=2)
    best.see(0, ReferenceFree(error, 0.1, 5.0), {})
    assert best.score is None
    best.see(1, ReferenceFree(1.0, 0.1, 5.0), {})
    best.see(2, ReferenceFree(error, 0.1, 5.0), {})
    assert (best.step, best.since, best.score.error) == (1, 0, 1.0)
    best.see(3, ReferenceFree(0.9, 0.1, 5.0), {})
    assert best.step == 3


def test_the_average_of_the_weights(rng):
    """A weight that moves by 0.05 in each step, and its exponential average in closed form."""
    data = RepeatedSignals([repeated(rng, 40, 5)], [])
    decay, steps, weight, mean = 0.8, 6, [], 0.0

    class Loss(LeastSquares):
        def loss(self, network, *_):
            weight.append(network.gain.item())
            return -network.gain

    network, _, _ = fit(data, steps=steps, ema=decay, objective=Loss())
    for value in 0.05 * np.arange(1, steps + 1):
        mean = decay * mean + (1 - decay) * value
    np.testing.assert_allclose(weight, 0.05 * np.arange(steps), rtol=1e-4)
    assert network.gain.item() == pytest.approx(mean, rel=1e-4)


def test_the_average_is_what_is_judged_and_kept(data):
    judged = []

    class Loss(LeastSquares):
        def predict(self, network, noisy):
            judged.append(network.gain.item())
            return super().predict(network, noisy)

    network, objective, _ = fit(data, steps=10, ema=0.9, objective=Loss())
    assert set(judged) == {network.gain.item()}
    plain, other, _ = fit(data, steps=10)
    assert objective.losses == other.losses
    assert network.gain.item() < plain.gain.item()


def test_the_one_cycle_schedule():
    rates = [one_cycle(done) for done in np.linspace(0, 1, 101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[30] == max(rates) == 1
    assert rates[100] == pytest.approx(1e-6)
    assert np.all(np.diff(rates[:31]) > 0)
    assert np.all(np.diff(rates[30:]) < 0)
    assert rates[65] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_go_bad(data, bad):
    class Bad(LeastSquares):
        def loss(self, network, first, second):
            value = super().loss(network, first, second)
            return value * bad if len(self.losses) == 12 else value

    with pytest.raises(NumericalError, match="training diverged at step 20") as caught:
        fit(data, steps=100, objective=Bad())
    assert "learning_rate" in caught.value.hint


def test_divergence(data):
    with pytest.raises(NumericalError, match="diverged"):
        fit(data, steps=60, learning_rate=1e25)


@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10])
def test_schedules_of_any_length(data, schedule, steps):
    network, objective, _ = fit(data, schedule=schedule, steps=steps, learning_rate=0.1)
    assert len(objective.losses) == steps
    assert 0 < network.gain.item() <= 0.1 * steps + 1e-6


def test_epochs_replace_steps(data):
    """40 signals of five repeats hold 80 disjoint pairs."""
    _, objective, _ = fit(data, epochs=3, batch=32, steps=400)
    assert len(objective.losses) == 8


def test_the_gradient_is_clipped():
    big = RepeatedSignals([np.full((1, 2, CHANNELS, SAMPLES), 1e4, np.float32)], [])

    class Loss(LeastSquares):
        def loss(self, network, first, second):
            value = super().loss(network, first, second)
            self.network = network
            return value

    network, _, _ = fit(big, steps=1, clip=1e-3, objective=Loss())
    assert abs(network.gain.grad.item()) == pytest.approx(1e-3, rel=1e-3)


def test_the_training_data_stay_as_they_are(data):
    groups = [group.copy() for group in (*data.training, *data.validation)]
    for group in (*data.training, *data.validation):
        group.flags.writeable = False
    fit(data, steps=12)
    for group, before in zip((*data.training, *data.validation), groups, strict=True):
        np.testing.assert_array_equal(group, before)


@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (4, 5, 2), (33,)])
def test_apply_keeps_any_leading_shape(rng, shape):
    signals = rng.normal(size=(*shape, CHANNELS, SAMPLES)).astype(np.float32)
    network = Gain(0.5)
    found = apply(network, LeastSquares(), signals, run=Run(rng=rng), batch=7)
    np.testing.assert_array_equal(found, np.float32(0.5) * signals)
    assert found.dtype == np.float32
    assert set(network.modes) == {False}
    view = signals[..., ::-1].swapaxes(-1, -2).swapaxes(-1, -2)
    np.testing.assert_array_equal(
        apply(network, LeastSquares(), view, run=Run(rng=rng)), np.float32(0.5) * view
    )


@pytest.mark.parametrize(("error", "is_bound"), [(0.5, False), (0.05, True)])
def test_a_step_says_whether_its_snr_is_a_bound(error, is_bound):
    step = step_event(3, 9, score=ReferenceFree(error, 0.1, 4.0), losses=[0.25], rate=1e-3)
    name = "reference-free SNR in dB"
    assert step.bounds == {name: is_bound}
    assert ("standard error in dB" in step.values) != is_bound
    assert next(iter(step.values)) == name
    assert step_event(3, 9, score=None, losses=[0.25, 0.5], rate=1e-3) == Step(
        3, 9, {"loss 1": 0.25, "loss 2": 0.5, "learning rate": 1e-3}
    )
