"""Paired losses: exact differences, and standard errors that say how much they scatter."""

from __future__ import annotations

import numpy as np
import pytest

from mpikit.metrics import View, excess, losses, score_repeats

CHANNELS, SAMPLES = 2, 30


def behind(one, other):
    return excess([one], [other])


def drawn(rng, signals, repeats, noise=0.5):
    clean = rng.normal(size=(signals, 1, CHANNELS, SAMPLES))
    return clean, clean + noise * rng.normal(size=(signals, repeats, CHANNELS, SAMPLES))


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_a_difference_of_losses_is_that_of_the_reference_free_errors(rng, repeats):
    _, noisy = drawn(rng, 3, repeats)
    one, other = 0.7 * noisy, np.roll(noisy, 1, axis=-1)
    found, error = behind(losses(one, noisy), losses(other, noisy))
    wanted = score_repeats(one, noisy).error - score_repeats(other, noisy).error
    assert found == pytest.approx(wanted, rel=1e-9)
    assert error > 0
    assert behind(losses(one, noisy), losses(one, noisy)) == (0, 0)


def test_a_view_of_its_own_is_the_plain_squared_difference(rng):
    clean, noisy = drawn(rng, 4, 1)
    judge = clean + rng.normal(size=noisy.shape)
    one, other = 0.7 * noisy, 0.2 * noisy
    view = View(np.full((CHANNELS, SAMPLES // 2 + 1), float(SAMPLES)), 0.2, 1.6, 1, np.inf)
    found, _ = behind(losses(one, judge, view=view), losses(other, judge, view=view))
    assert found == pytest.approx(np.mean((one - judge) ** 2) - np.mean((other - judge) ** 2), rel=1e-9)


@pytest.mark.parametrize(
    ("signals", "repeats", "by_signals", "high"),
    [(1, 2, False, 2.3), (1, 4, False, 1.4), (2, 6, False, 1.4), (30, 3, True, 1.3)],
)
@pytest.mark.parametrize("kind", ["shrunk", "fixed"])
def test_the_standard_error_is_that_of_many_draws(rng, signals, repeats, by_signals, high, kind):
    """Root mean square of what is told, over the scatter of the estimate around its expectation."""
    noise, errors, told = 0.5, [], []
    clean, _ = drawn(rng, signals, repeats)
    off = 0.3 * rng.normal(size=clean.shape)
    for _ in range(300):
        noisy = clean + noise * rng.normal(size=(signals, repeats, CHANNELS, SAMPLES))
        if kind == "shrunk":
            one, other = noisy, 0.6 * noisy
            expected = noise**2 - 0.36 * noise**2 - 0.16 * np.mean(clean**2)
        else:  # what was fitted elsewhere, whatever the input
            one, other = (np.broadcast_to(each, noisy.shape) for each in (clean + off, 0.9 * clean))
            expected = np.mean(off**2) - 0.01 * np.mean(clean**2)
        pair = [losses(each, noisy, by_signals=by_signals) for each in (one, other)]
        found, error = behind(*pair)
        errors.append(found - expected)
        told.append(error)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors))
    ratio = np.sqrt(np.mean(np.square(told))) / np.std(errors)
    assert ratio > 0.85
    if not by_signals:  # the spread over signals holds that of the signals too, which are the same here
        assert ratio < high


def test_a_background_that_judges_share_counts(rng):
    _, noisy = drawn(rng, 1, 4)
    one, other = noisy, noisy + 0.3
    common = np.full((CHANNELS, SAMPLES // 2 + 1), 2.0 * SAMPLES)
    plain = behind(losses(one, noisy), losses(other, noisy))
    shared = [losses(each, noisy, common_noise=common) for each in (one, other)]
    found = behind(*shared)
    # a constant offset lies on DC alone: 4 |offset|² / 2 times the variance of a sample of the background
    extra = 2 * (0.3 * SAMPLES) ** 2 * 2.0 * SAMPLES * CHANNELS / (SAMPLES**2 * CHANNELS) ** 2
    assert found[0] == pytest.approx(plain[0])
    assert found[1] ** 2 == pytest.approx(plain[1] ** 2 + extra)


def test_methods_judged_on_other_repeats_are_not_paired(rng):
    _, noisy = drawn(rng, 1, 4)
    one, other = losses(noisy, noisy), losses(noisy[:, :3], noisy[:, :3])
    assert one.is_paired_with(losses(0.5 * noisy, noisy))
    assert not one.is_paired_with(other)


@pytest.mark.parametrize(("in_common", "share"), [(0.0, 1 / 4), (0.2, 0.4), (1.0, 1.0)])
def test_parts_in_turn_are_averaged(rng, in_common, share):
    clean, noisy = drawn(rng, 2, 1)
    shape = (CHANNELS, SAMPLES // 2 + 1)
    view = View(np.full(shape, float(SAMPLES)), in_common, 1.6, 3, 20.0)
    about = {"view": view, "apart": noisy, "common_noise": np.full(shape, 2.0 * SAMPLES)}
    one, other = (losses(each, clean, **about) for each in (noisy, clean + 0 * noisy))
    difference, error = behind(one, other)
    own, shared = one.doubt(other)
    assert error**2 == pytest.approx(own + shared)
    assert min(own, shared) > 0
    again = excess([one] * 4, [other] * 5)  # a part that only one has does not count
    assert again[0] == pytest.approx(difference)
    assert again[1] ** 2 == pytest.approx(share * own + shared)


def test_the_error_of_a_noise_level_counts(rng):
    """One relative error for all lines: the loss of y against another view changes by twice the leak."""
    _, noisy = drawn(rng, 3, 1)
    apart = rng.normal(size=noisy.shape)
    view = View(np.zeros((CHANNELS, SAMPLES // 2 + 1)), 0.0, 1.6, SAMPLES, 25.0)
    one, other = (losses(each, noisy, view=view, apart=apart) for each in (noisy, 0.5 * noisy))
    leak = [1.6 * np.mean(0.5 * noisy * apart, axis=(0, 1, 3))[channel] / CHANNELS for channel in (0, 1)]
    assert behind(one, other)[1] ** 2 == pytest.approx(sum(each**2 / 25 for each in leak))
