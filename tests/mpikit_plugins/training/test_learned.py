"""A learned denoiser of a stranger, and what every one gets from the base class."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from mpikit import Denoiser, Finding, Run, Warned
from mpikit.errors import InputError, PluginError
from mpikit.events import silent
from mpikit.testing import check_denoiser, example_scan
from mpikit_plugins.training import LearnedMethod, LearnedOptions, PairOptions, without_repeats


class Smooth(LearnedMethod):
    """A convolution around the period, and least squares."""

    name = "smooth"

    def new_network(self, channels, *, coarse):  # noqa: ARG002
        inputs = channels + self.conditions
        return nn.Conv1d(inputs, channels, 5, padding=2, padding_mode="circular", bias=False)

    def distance(self, output, target):
        return (output - target).square().mean()


class SmoothOptions(LearnedOptions, PairOptions):
    pass


FAST = {"steps": 30, "evaluate_every": 10, "learning_rate": 3e-2}


def make(**options):
    return Smooth(SmoothOptions(**(FAST | options)))


def run(tell=silent):
    return Run(rng=np.random.default_rng(0), tell=tell)


@pytest.fixture(scope="module")
def scan():
    return example_scan(frames=9, periods=2, repeats="both", background_frames=3)


@pytest.mark.parametrize(("pairs", "scale"), [("pair", "rms"), ("mean", "peak"), ("subset", "rms")])
def test_a_strangers_method_keeps_the_contract(pairs, scale):
    record = Denoiser(
        name="smooth",
        summary="One convolution",
        options=SmoothOptions,
        build=partial(Smooth),  # this module may import torch
        missing=without_repeats,
        homogeneous=True,
        learned=True,
        removes_background=True,
    )
    check_denoiser(record, SmoothOptions(**FAST, pairs=pairs, scale=scale))


@pytest.mark.parametrize("pairs", ["pair", "mean", "subset"])
def test_it_learns(scan, pairs):
    told = []
    method = make(pairs=pairs, steps=60)
    method.fit([scan], run=run(told.append))
    scores = [score.snr_db for _, score in method.history]
    assert len(scores) == 6
    assert scores[-1] > scores[0] + 3
    assert [event.name for event in told if isinstance(event, Finding)] == ["harmonics", "training"]


def test_a_network_that_knows_how_noisy_its_input_is(scan):
    """The condition is the noise of the mean of m repeats, 1 / sqrt(m), and 1 for a period by itself."""
    method, seen = make(pairs="subset"), []

    class Look(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(()))

        def forward(self, signal):
            assert torch.all(signal[:, 2] == signal[:, 2, :1])
            seen.append((self.training, signal[:, 2, 0]))
            return self.gain * signal[:, :2]

    method.new_network = lambda *_, **__: Look()
    method.fit([scan], run=run())
    trained = torch.cat([condition for training, condition in seen if training])
    wanted = torch.arange(1.0, 14) ** -0.5
    assert torch.isclose(trained[:, None], wanted).any(dim=1).all()
    assert len(torch.unique(trained)) > 8
    assert all(torch.all(condition == 1) for training, condition in seen if not training)


def test_two_fixed_repeats_of_each_signal(scan):
    taken = {
        resample: make(resample=resample).split([scan.signal.reshape(1, 18, 2, 162)])
        for resample in (True, False)
    }
    assert taken[True].training[0].shape[1] == 14
    np.testing.assert_array_equal(taken[False].training[0], taken[True].training[0][:, :2])
    assert taken[False].validation[0].shape == taken[True].validation[0].shape == (1, 4, 2, 162)


def test_pairs_with_a_lag_that_no_scan_has(scan):
    make(lag=7).fit([scan], run=run())
    with pytest.raises(InputError, match="8 apart need 16 repeats of each signal, one has 14"):
        make(lag=8).fit([scan], run=run())


@pytest.mark.parametrize("where", ["signal", "background"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers(scan, where, bad):
    values = getattr(scan, where).copy()
    values[1, 1, 0, 3] = bad
    broken = replace(scan, **{where: values})
    with pytest.raises(InputError, match="values that are no numbers"):
        make().fit([broken], run=run())
    method = make()
    method.fit([scan], run=run())
    with pytest.raises(InputError, match="values that are no numbers"):
        method.denoise(broken, run=run())


def test_what_a_scan_lacks(scan):
    assert without_repeats(scan, None) is None
    assert without_repeats(replace(scan, repeats="none"), None) == "frames or periods that repeat"
    alone = replace(
        scan, signal=scan.signal[:1], foreground_index=scan.foreground_index[:1], repeats="frames"
    )
    assert without_repeats(alone, None) == "a second repeat of the same signal (it has one alone)"
    with pytest.raises(InputError, match="smooth learns from repeats, and no scan has any"):
        make().fit([alone], run=run())


def test_an_interrupted_fit_leaves_nothing_half_done(scan):
    method = make()
    method.fit([scan], run=run())

    def stop(event):
        if not isinstance(event, Finding):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method.fit([scan], run=run(stop))
    assert method.state() == {}
    with pytest.raises(PluginError, match="smooth has not been fitted"):
        method.denoise(scan, run=run())


def test_a_coarser_grid_gives_the_same_kind_of_result():
    """A period of 1620 samples with twelve lines: the network works on 29."""
    scan = example_scan(frames=9, periods=2, repeats="both", background_frames=3)
    rng = np.random.default_rng(5)

    def longer(signal):
        spectra = 10 * np.fft.rfft(signal.astype(float))[..., :80]
        return np.fft.irfft(spectra, n=1620)

    fine = replace(
        scan,
        signal=(longer(scan.signal) + rng.normal(0, 0.05, (9, 2, 2, 1620))).astype(np.float32),
        background=longer(scan.background).astype(np.float32),
        sampling_rate=25e3 * 1620,
        stored_lines=np.ones(811, bool),
    )
    coarse, full = make(), make(decimate="off")
    outputs = []
    for method in (coarse, full):
        method.fit([fine], run=run())
        outputs.append(method.denoise(fine, run=run()))
    assert coarse.preparation.grid < 40
    assert full.preparation.grid == 1620
    spread = [np.mean(np.var(output.reshape(18, -1), axis=0)) for output in outputs]
    noisy = np.mean(np.var(fine.signal.reshape(18, -1), axis=0))
    assert max(spread) < 0.1 * noisy
    kept = coarse.preparation.harmonic.keep
    left = np.abs(np.fft.rfft(outputs[0])).max(axis=(0, 1))
    assert left[~kept].max() < 1e-5 * left.max()


def test_noise_that_pairs_share_is_warned_of(scan):
    drift = np.linspace(-3, 3, 15)[:, None, None, None] * np.sin(2 * np.pi * np.arange(162) * 3 / 162)
    rng = np.random.default_rng(2)
    empty = rng.normal(0, 0.05, (15, 2, 2, 162))
    told = []
    for background in (empty, empty + drift):
        given = replace(
            scan,
            repeats="frames",
            background=background.astype(np.float32),
            background_index=np.arange(100, 115),
        )
        make(background="keep", steps=1).fit([given], run=run(told.append))
    (warned,) = [event.text for event in told if isinstance(event, Warned)]
    assert warned.startswith("example: the noise of one repeat and the next is correlated (0.")
    assert "on the lines that carry signal" in warned


def test_what_is_kept_back_changes_neither_the_preparation_nor_what_is_learnt(scan):
    """Of 18 repeats the last four are kept back: other ones there, and all but the score is the same."""
    other = replace(scan, signal=scan.signal.copy())
    other.signal[-2:] *= -7
    one, two = make(background="keep"), make(background="keep")
    one.fit([scan], run=run())
    two.fit([other], run=run())
    states = one.preparation.state(), two.preparation.state()
    for name, value in states[0].items():
        np.testing.assert_array_equal(states[1][name], value)
    assert one.history[0][1] != two.history[0][1]
