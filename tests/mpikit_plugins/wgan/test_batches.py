"""Unpaired batches: what is drawn independently of what, and how often."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mpikit_plugins.wgan.batches import Measured, Unpaired

COUNTS = (3, 1, 5, 2)  # repeats of four signals


def make(noise=7, batch=6, ranges=1, paired=False, amplitude=(1.0, 10.0, 11.0, 100.0)):
    signal_of = np.repeat(np.arange(4), COUNTS)
    periods = len(signal_of)
    signal = np.arange(periods, dtype=np.float32)[:, None, None] * np.ones((1, 2, 5), np.float32)
    size, told = np.full(periods, 2, np.float32), -np.arange(periods, dtype=np.float32)
    measured = Measured(signal, size, told, np.repeat(amplitude, COUNTS), signal_of)
    pool = 100 + np.arange(noise, dtype=np.float32)[:, None, None] * np.ones((1, 2, 5), np.float32)
    given = {"batch": batch, "ranges": ranges, "paired": paired, "device": "cpu"}
    return Unpaired(measured, pool, **given, rng=np.random.default_rng(1))


@pytest.mark.parametrize("noise", [2, 3, 7, 50])
def test_added_noise_is_none_that_a_critic_sees_as_noise(noise):
    drawn = make(noise).draw(400, np.random.default_rng(2))
    assert drawn.shape == (400, 3, 6)
    for _, added, other in drawn:
        assert not set(added) & set(other)
    for row in (1, 2):  # every sample is as likely as any other, in either role
        often = np.bincount(drawn[:, row].ravel(), minlength=noise)
        assert often.min() > 0.5 * often.mean()
        assert often.max() < 1.6 * often.mean()


def test_noise_and_periods_are_independent():
    """The joint distribution of two draws is the product of theirs, by its largest deviation."""
    drawn = make(noise=6, batch=4).draw(30_000, np.random.default_rng(5))
    joint = np.zeros((11, 6))
    np.add.at(joint, (drawn[:, 0].ravel(), drawn[:, 1].ravel()), 1)
    joint /= joint.sum()
    product = joint.sum(1, keepdims=True) * joint.sum(0)
    # a cell of 1/66 has a standard error of 0.00035
    assert np.abs(joint - product).max() < 5 * 0.00035


def test_two_draws_of_one_batch_are_no_neighbours():
    """Halves are mixed: noise that was measured first is not all in one of them."""
    drawn = make(noise=50, batch=200).draw(50, np.random.default_rng(2))
    early = (drawn[:, 1] < 25).mean(axis=1)
    assert 0.2 < early.min() < early.max() < 0.8


def test_the_tensors_of_a_batch():
    batches = make(paired=True)
    assert batches.items == 11
    drawn = batches.draw(1, np.random.default_rng(0))[0]
    signal, size, told, added, other, repeat, known = batches.take(torch.from_numpy(drawn))
    np.testing.assert_array_equal(signal[:, 1, 4], drawn[0])
    np.testing.assert_array_equal(told, -drawn[0])
    assert set(size.tolist()) == {2}
    np.testing.assert_array_equal(added[:, 0, 0], 100 + drawn[1])
    np.testing.assert_array_equal(other[:, 0, 0], 100 + drawn[2])
    np.testing.assert_array_equal(repeat[:, 0, 0], drawn[3])
    np.testing.assert_array_equal(known, np.repeat(np.array(COUNTS) > 1, COUNTS)[drawn[0]])


def test_partners_are_other_repeats_of_the_same_signal():
    drawn = make(paired=True).draw(2000, np.random.default_rng(3))
    period, partner = drawn[:, 0].ravel(), drawn[:, 3].ravel()
    signal_of = np.repeat(np.arange(4), COUNTS)
    np.testing.assert_array_equal(signal_of[period], signal_of[partner])
    alone = signal_of[period] == 1
    assert (period[alone] == partner[alone]).all()
    assert (period[~alone] != partner[~alone]).all()
    assert {*partner[signal_of[period] == 2].tolist()} == {4, 5, 6, 7, 8}


def test_every_range_of_amplitudes_has_its_places():
    """Two decades in two ranges: one signal below 10, three above; the latter have 8 of 11 periods."""
    drawn = make(ranges=2, batch=6, amplitude=(1, 50, 60, 100)).draw(500, np.random.default_rng(3))[:, 0]
    weak = drawn < 3
    assert weak[:, 0::2].all()
    assert not weak[:, 1::2].any()
    as_they_come = make(ranges=1).draw(500, np.random.default_rng(3))[:, 0] < 3
    assert as_they_come.mean() == pytest.approx(3 / 11, abs=0.03)


def test_a_seed_repeats_a_draw():
    one, other = (make().draw(9, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
