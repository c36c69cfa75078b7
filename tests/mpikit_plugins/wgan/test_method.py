"""``wgan-sn`` and ``wgan-gp`` as methods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mpikit import Finding, Step, Warned
from mpikit.denoise import denoise_scan
from mpikit.errors import InputError, NumericalError
from mpikit.plugins import registry
from mpikit.testing import check_denoiser, example_scan
from mpikit_plugins.wgan import mpikit_denoisers
from mpikit_plugins.wgan.options import PenaltyOptions, SpectralOptions

NAMES = ("wgan-sn", "wgan-gp")
RECORDS = list(mpikit_denoisers())


class Memory:
    state = None

    def load(self):
        return self.state

    def save(self, state, /):
        self.state = {name: np.array(value) for name, value in state.items()}


def stop_at(step):
    def tell(event):
        if isinstance(event, Step) and event.index == step:
            raise KeyboardInterrupt

    return tell


def texts(told, kind):
    return [event.text for event in told if isinstance(event, kind)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("repeats", ["periods", "none"])
def test_a_training_goes_on_as_if_nothing_had_been(make, run, many_amplitudes, name, repeats):
    scan = many_amplitudes(repeats=repeats)
    whole, kept = make(name, paired_weight=1.0), Memory()
    whole.fit([scan], run=run(5))
    with pytest.raises(KeyboardInterrupt):
        make(name, paired_weight=1.0).fit([scan], run=run(5, stop_at(4), kept))
    torch.manual_seed(99)
    resumed = make(name, paired_weight=1.0)
    resumed.fit([scan], run=run(5, checkpoint=kept))
    assert resumed.history == whole.history
    assert [step for step, _ in whole.history] == [4, 8, 10]
    for key, value in whole.state().items():
        np.testing.assert_array_equal(resumed.state()[key], value, err_msg=key)
    with pytest.raises(InputError, match="of a training with other options or other data"):
        make(name, paired_weight=2.0).fit([scan], run=run(5, checkpoint=kept))
    other = replace(scan, background=scan.background * np.float32(1.5))
    with pytest.raises(InputError, match="of a training with other options or other data"):
        make(name, paired_weight=1.0).fit([other], run=run(5, checkpoint=kept))


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_one_result(make, run, many_amplitudes, name):
    states = []
    for seed in (1, 1, 2):
        method = make(name)
        method.fit([many_amplitudes()], run=run(seed))
        states.append(method.state()["network.head.weight"])
    np.testing.assert_array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])


@pytest.mark.parametrize("scale", ["rms", "fixed"])
def test_it_is_homogeneous_above_the_background(make, run, many_amplitudes, scale):
    """f(b + a x) = a f(b + x), where b is the mean of the noise samples."""
    scan = many_amplitudes()
    method = make(scale=scale)
    method.fit([scan], run=run())
    mean = scan.background.mean(axis=(0, 1), dtype=np.float64)
    above = (scan.signal - mean).astype(np.float64)
    once, thrice = (
        method.denoise(replace(scan, signal=(mean + factor * above).astype(np.float32)), run=run())
        for factor in (1, 3)
    )
    assert np.abs(once).max() > 1e-3
    np.testing.assert_allclose(thrice, 3 * once, atol=1e-4 * np.abs(once).max())


def test_with_a_subtracted_background_it_is_homogeneous(make, run, many_amplitudes):
    scan = many_amplitudes()
    method = make(background="subtract")
    method.fit([scan], run=run())
    thrice = replace(scan, signal=3 * scan.signal, background=3 * scan.background)
    once, other = (method.denoise(each, run=run()) for each in (scan, thrice))
    np.testing.assert_allclose(other, 3 * once, atol=1e-4 * np.abs(once).max())


def test_as_in_the_paper_it_need_not_be(make, run, many_amplitudes):
    method = make(preset="paper", steps=4)
    method.fit([many_amplitudes(background=0)], run=run())
    scan = many_amplitudes(background=0)
    once, thrice = (
        method.denoise(replace(scan, signal=factor * scan.signal), run=run()) for factor in (1, 3)
    )
    assert not np.allclose(thrice, 3 * once, atol=1e-2 * np.abs(once).max())


def test_it_learns_from_single_periods_and_removes_the_background(make, run, many_amplitudes):
    """A short training on one kind of signal: most of noise and background goes, blanks stay empty."""
    told = []
    method = make(
        steps=60,
        batch=32,
        features=6,
        learning_rate=5e-3,
        critic_learning_rate=5e-3,
        ema=0.8,
        evaluate_every=20,
    )
    method.fit([many_amplitudes(periods=20, empty=12)], run=run(tell=told.append))
    scan = many_amplitudes(periods=20, empty=12)
    output = method.denoise(scan, run=run())
    locked = np.cos(2 * np.pi * 3 * np.arange(162) / 162)
    left = np.abs(np.mean(output * locked, axis=(1, 3))).min()
    assert left < 0.1  # of 0.5
    values = {event.name: event.value for event in told if isinstance(event, Finding)}
    frames = replace(scan, signal=scan.background, foreground_index=scan.background_index)
    empty = method.denoise(frames, run=run())
    noise = method.seen(scan.background)
    power = np.mean((empty / 0.1) ** 2) / np.mean(noise**2)
    assert values["blank response"]["power_ratio"] == pytest.approx(power, rel=0.5)
    scores = [score.error for _, score in method.history]
    assert scores[-1] < scores[0]


def test_several_scans_train_together_and_share_an_empty_measurement(make, run, many_amplitudes):
    one, other = (many_amplitudes(largest=largest) for largest in (1.0, 10.0))
    bare = replace(other, background=other.background[:0], background_index=other.background_index[:0])
    method, told = make(), []
    method.fit([one, bare], run=run(tell=told.append))
    assert method.response.trained[1] > 5 * method.response.trained[0]
    assert not texts(told, Warned)
    # a fitted method needs no background frames
    assert np.isfinite(method.denoise(bare, run=run())).all()


@pytest.mark.parametrize("background", ["learn", "subtract", "keep"])
def test_a_model_is_applied_to_a_scan_without_background_frames(make, run, many_amplitudes, background):
    offer = registry().denoiser("wgan-sn")
    method = make(background=background)
    method.fit([many_amplitudes(background=5.0)], run=run())
    bare = many_amplitudes(background=5.0, empty=0)
    done = denoise_scan(bare, offer, method.options, run=run(), state=method.state())
    np.testing.assert_array_equal(done.signal, method.denoise(bare, run=run()))
    assert done.background.shape[0] == 0
    assert done.without_background == (background == "learn")


def test_a_restored_model_tells_what_was_measured(make, run, many_amplitudes):
    scan, method = many_amplitudes(), make()
    method.fit([scan], run=run())
    again, told = make(), []
    again.restore(method.state())
    output = again.denoise(scan, run=run(tell=told.append))
    np.testing.assert_array_equal(output, method.denoise(scan, run=run()))
    assert [event.name for event in told] == ["blank response", "amplitude linearity"]
    told.clear()
    frames = replace(scan, signal=scan.background, foreground_index=scan.background_index)
    again.denoise(frames, run=run(tell=told.append))
    assert told == []


def test_an_amplitude_outside_of_the_training_is_warned_of(make, run, many_amplitudes):
    method = make()
    method.fit([many_amplitudes()], run=run())
    for largest, count in ((1.0, 0), (5.0, 1)):
        told = []
        method.denoise(many_amplitudes(largest=largest), run=run(tell=told.append))
        assert len(texts(told, Warned)) == count
    assert "above the trained range" in texts(told, Warned)[0]


def test_one_concentration_is_warned_of(make, run):
    told = []
    make().fit([example_scan(frames=9, background_frames=40)], run=run(tell=told.append))
    [warning] = texts(told, Warned)
    assert "have about one amplitude" in warning


def test_without_repeats_the_critics_judge(make, run, many_amplitudes):
    told, method = [], make()
    method.fit([many_amplitudes(repeats="none")], run=run(tell=told.append))
    steps = [event for event in told if isinstance(event, Step)]
    name = "distance seen by the critics, of that without a generator"
    assert all(name in event.values for event in steps)
    assert set(steps[0].values) >= {"loss generator", "loss noise critic", "loss signal critic"}
    assert not any("SNR" in key for event in steps for key in event.values)
    assert any(name in text for text in texts(told, Finding))


def test_no_background_frames(make, run, many_amplitudes):
    with pytest.raises(InputError, match="has no background frames"):
        make().fit([many_amplitudes(empty=0)], run=run())


def test_a_signal_with_gaps(make, run, many_amplitudes):
    scan = many_amplitudes()
    scan.background[1, 0, 0, 3] = np.nan
    with pytest.raises(InputError, match="values that are no numbers"):
        make().fit([scan], run=run())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, 1e9])
def test_exploding_critics_are_stopped_and_the_last_good_state_is_kept(
    make, run, many_amplitudes, monkeypatch, name, bad
):
    from mpikit_plugins.wgan.game import Game

    whole = make(name, steps=4, ema=0.0)
    whole.fit([many_amplitudes(repeats="none")], run=run())
    calls, loss = iter(range(1000)), Game.noise_loss
    per_step = 2 if name == "wgan-gp" else 1
    first = [5 * per_step]

    def failing(self, *batch):
        wrong = next(calls) >= first[0]
        return loss(self, *batch) * (bad if wrong else 1.0)

    monkeypatch.setattr(Game, "noise_loss", failing)
    told, method = [], make(name, ema=0.0)
    method.fit([many_amplitudes(repeats="none")], run=run(tell=told.append))
    [warning] = [text for text in texts(told, Warned) if "diverged" in text]
    assert "training diverged at step 8: it was stopped, and the weights of step 4 are used" in warning
    for key, value in whole.state().items():
        if key.startswith("network."):
            np.testing.assert_array_equal(method.state()[key], value)
    first[0] = 0  # from the start on, there is nothing to keep
    with pytest.raises(NumericalError, match="diverged at step 4"):
        make(name).fit([many_amplitudes(repeats="none")], run=run())


@pytest.mark.parametrize(
    ("options", "repeats", "words"),
    [
        ({"paired_weight": 5.0}, "none", "paired_weight=5.0 does nothing: no signal was measured again"),
        ({"paired_weight": 5.0}, "periods", ""),
        ({"dropout": 0.5}, "none", "dropout does nothing: generator=auto takes the autoencoder"),
        ({}, "none", ""),
    ],
)
def test_options_that_do_nothing_for_these_scans(make, run, many_amplitudes, options, repeats, words):
    told = []
    make(steps=2, **options).fit([many_amplitudes(repeats=repeats)], run=run(tell=told.append))
    said = [event.text for event in told if isinstance(event, Warned) and "does nothing" in event.text]
    assert len(said) == (1 if words else 0)
    assert all(words in text for text in said)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"generator": "autoencoder", "odd": True}, "odd does nothing for generator=autoencoder"),
        ({"generator": "unet", "bottleneck": 3}, "bottleneck=3 does nothing for generator=unet"),
        ({"background": "subtract", "centre": False}, "centre=false does nothing"),
        ({"penalty": 3}, "Extra inputs"),
    ],
)
def test_options_that_do_nothing(options, words):
    with pytest.raises(ValidationError, match=words):
        SpectralOptions(**options)


def test_the_presets():
    for options in (SpectralOptions, PenaltyOptions):
        paper = options(preset="paper")
        assert (paper.background, paper.centre, paper.bias, paper.condition) == ("learn", False, True, False)
        assert paper.critic_updates == 1
        assert options(preset="paper", batch=5).batch == 5
        assert not options().bias
        assert all(field.description for field in options.model_fields.values())
    assert SpectralOptions().critic_learning_rate == 2 * SpectralOptions().learning_rate
    assert PenaltyOptions().penalty == 10


@pytest.mark.parametrize("background", ["learn", "subtract", "keep"])
def test_who_removes_the_background(background):
    scan, bare = example_scan(), example_scan(background_frames=0)
    for record in RECORDS:
        options = record.options(background=background)
        assert record.frees_from_background(scan, options) == (background != "keep")
        assert record.frees_from_background(bare, options) == (background == "learn")


CONTRACT = {
    "features": 3,
    "steps": 4,
    "evaluate_every": 2,
    "critic_features": 4,
    "critic_widest": 8,
    "critic_updates": 2,
}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"background": "subtract", "strata": 3, "paired_weight": 2.0, "loss": "hinge"},
        {
            "background": "keep",
            "generator": "unet",
            "residual": True,
            "divide": "noise",
            "critic_head": "mean",
        },
        {"preset": "paper"},
    ],
    ids=["mpikit", "subtract", "unet", "paper"],
)
def test_the_contract(record, options):
    scan = example_scan(frames=3, periods=5, repeats="periods", background_frames=4)
    check_denoiser(record, record.options(**CONTRACT, **options), scan)
