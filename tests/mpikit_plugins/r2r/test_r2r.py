"""``r2r`` as a method: single periods teach it, and its score without repeats is unbiased."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mpikit import Finding, Run, Warned
from mpikit.errors import InputError
from mpikit.events import silent
from mpikit.testing import example_scan
from mpikit_plugins.r2r.method import Recorrupted
from mpikit_plugins.r2r.options import RecorruptedOptions
from mpikit_plugins.training import RepeatedSignals

SMALL = {"features": 4, "kernel": 3, "batch": 8, "evaluate_every": 10, "steps": 20}


def make(**options):
    return Recorrupted(RecorruptedOptions(**(SMALL | options)))


def run(seed=0, tell=silent):
    return Run(rng=np.random.default_rng(seed), tell=tell)


def toy(signals=60, sigma=0.3, seed=8):
    """Many clean signals, each measured once; background frames; and the clean ones."""
    scan = example_scan(frames=signals, repeats="none", background_frames=20)
    rng = np.random.default_rng(seed)
    waves = np.sin(2 * np.pi * np.outer(np.arange(1, 13), np.arange(162)) / 162)
    clean = (rng.normal(size=(signals, 1, 2, 12)) / np.arange(1, 13)) @ waves
    clean = clean / clean.std()
    noisy, empty = (rng.normal(0, sigma, (count, 1, 2, 162)) for count in (signals, 20))
    return replace(
        scan, signal=(clean + noisy).astype(np.float32), background=empty.astype(np.float32)
    ), clean


def test_it_learns_from_single_periods():
    """Nothing but the network: all lines, no symmetry."""
    scan, clean = toy()
    told = []
    options = {"lines": "all", "symmetry": "off", "features": 8, "learning_rate": 4e-3}
    method = make(steps=120, evaluate_every=20, background="keep", **options)
    method.fit([scan], run=run(tell=told.append))
    output = method.denoise(scan, run=run())
    assert np.mean((output - clean) ** 2) < 0.6 * 0.3**2
    assert not any(isinstance(event, Warned) for event in told)
    assert [event.name for event in told if isinstance(event, Finding)] == ["training"]


class Shrink(nn.Module):
    def forward(self, signal):
        return 0.8 * signal


@pytest.mark.parametrize("level", ["scan", "period"])
def test_the_score_without_repeats_is_unbiased(level):
    """For a filter whose error is known: (1 - g)² times the signal plus g² times the noise that passes.

    On all lines but DC and the last one, the input has 1 + alpha² times the noise.
    """
    sigma, alpha, gain = 0.3, 0.5, 0.8
    scan, clean = toy(signals=20, sigma=sigma)
    how = {"scan": {"sigma": sigma, "lines": "all"}, "period": {"noise": "white", "decimate": "off"}}[level]
    method = make(alpha=alpha, steps=1, symmetry="off", level=level, **how)
    method.fit([scan], run=run())
    share = method.preparation.keep.double().mean(dim=0)[1:-1].sum().item() * 2 / 162
    wanted = (1 - gain) ** 2 * np.mean(clean**2) + gain**2 * (1 + alpha**2) * sigma**2 * share
    rng, scores = np.random.default_rng(1), []
    for seed in range(200):
        noisy = (clean + rng.normal(0, sigma, clean.shape)).astype(np.float32)
        judge = method.evaluation(Shrink(), RepeatedSignals([], [noisy]), "cpu")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            scores.append(judge())
    errors = np.array([score.error for score in scores])
    doubt = errors.std() / np.sqrt(len(errors))
    assert abs(errors.mean() - wanted) < 3 * doubt
    assert doubt < 0.1 * wanted
    assert np.mean([score.uncertainty for score in scores]) == pytest.approx(errors.std(), rel=0.25)
    assert np.mean([score.power for score in scores]) == pytest.approx(np.mean(clean**2), rel=0.01)


def test_what_is_kept_back():
    """Repeats where there are enough; else whole signals; nothing of a few single ones."""
    method, rng = make(), np.random.default_rng(0)
    many, few, repeated = (rng.normal(size=(*shape, 2, 5)) for shape in ((30, 1), (9, 1), (2, 12)))
    split = method.split([many])
    assert (split.training[0].shape[:2], split.validation[0].shape[:2]) == ((24, 1), (6, 1))
    split = method.split([few])
    assert (split.training[0].shape[:2], split.validation) == ((9, 1), [])
    split = method.split([repeated, many])
    assert [group.shape[:2] for group in split.training] == [(2, 10), (30, 1)]
    assert [group.shape[:2] for group in split.validation] == [(2, 2)]
    assert split.kept_back == "repeats"
    assert method.split([many]).kept_back == "periods"
    pairs = rng.normal(size=(30, 2, 2, 5))
    assert method.split([pairs]).kept_back == "whole signals"
    assert method.split([pairs, repeated]).kept_back == "repeats and whole signals"


def test_a_single_period_is_enough():
    scan = example_scan(frames=1, repeats="none", background_frames=6)
    told = []
    method = make()
    method.fit([scan], run=run(tell=told.append))
    assert method.denoise(scan, run=run()).shape == scan.signal.shape
    assert any(
        "trained for 20 steps without early stopping" in event.text
        for event in told
        if isinstance(event, Warned)
    )


def test_more_draws_bring_the_mean():
    """The outputs of single draws scatter; their mean is that of many draws, up to a scatter over sqrt(J)."""
    scan, _ = toy()
    method = make(draws=1)
    method.fit([scan], run=run())
    single = np.array([method.denoise(scan, run=run(seed)) for seed in range(12)])
    scatter = single.var(axis=0, ddof=1).mean()
    many = make(draws=12)
    many.restore(method.state())
    distance = np.mean((many.denoise(scan, run=run(99)) - single.mean(axis=0)) ** 2)
    assert distance == pytest.approx(2 * scatter / 12, rel=0.2)
    none = make(draws=0)
    none.restore(method.state())
    np.testing.assert_array_equal(none.denoise(scan, run=run(1)), none.denoise(scan, run=run(2)))
    assert scatter > 0


def test_the_state_holds_the_noise():
    scan, _ = toy()
    method = make()
    method.fit([scan], run=run())
    other = make()
    other.restore(method.state())
    np.testing.assert_array_equal(other.denoise(scan, run=run(5)), method.denoise(scan, run=run(5)))
    without = {name: value for name, value in method.state().items() if name != "noise"}
    with pytest.raises(InputError, match="does not say what the noise is"):
        make().restore(without)
    good = method.state()
    for name, wrong, words in (
        ("noise", good["noise"][:1], "noise of the shapes"),
        ("noise", -good["noise"], "impossible noise"),
        ("noise_correlation", np.array([[1, 2], [2, 1.0]]), "impossible noise"),
        ("noise_correlation", np.full((2, 2), np.nan), "impossible noise"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            make().restore({**good, name: wrong})
        assert caught.value.hint == "train anew"
    other.restore({})
    assert other.state() == {}


def test_a_level_of_each_period_needs_lines_without_signal():
    scan, _ = toy()
    with pytest.raises(InputError, match="too few lines without signal") as caught:
        make(level="period", lines="all").fit([scan], run=run())
    assert "lines=detected" in caught.value.hint


def test_with_a_level_of_each_period_it_is_homogeneous():
    scan, _ = toy()
    method = make(level="period", draws=3, background="keep")
    method.fit([scan], run=run())
    output = method.denoise(scan, run=run(4))
    scaled = method.denoise(replace(scan, signal=4 * scan.signal), run=run(4))
    np.testing.assert_allclose(scaled, 4 * output, rtol=0, atol=1e-4 * np.abs(scaled).max())
