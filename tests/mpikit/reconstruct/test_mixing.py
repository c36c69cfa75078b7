from __future__ import annotations

import itertools

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.reconstruct.mixing import mixing_table
from mpikit.scanner import DriveField

BASE = 2.5e6


def drive_field(dividers, amplitudes=None):
    """One component in each channel, over two periods."""
    dividers = np.array(dividers)[:, None]
    strength = np.ones(len(dividers)) if amplitudes is None else np.array(amplitudes, float)
    amplitudes = 0.01 * np.stack([strength, 2 * strength])[:, :, None]
    waveforms = np.full(dividers.shape, "sine")
    return DriveField(BASE, dividers, amplitudes, np.zeros(amplitudes.shape), waveforms)


def plainly(harmonics, lines):
    """The definition, loop by loop; None is a channel without amplitude."""
    reach = [0 if m is None else round(lines / m) for m in harmonics]
    orders, factors = np.full(lines, -1), np.zeros((lines, len(harmonics)), int)
    for tried in itertools.product(*(range(-most, most + 1) for most in reach)):
        line = sum(a * (m or 0) for a, m in zip(tried, harmonics, strict=True))
        order = sum(map(abs, tried))
        if 0 <= line < lines and (orders[line] < 0 or orders[line] >= order):
            orders[line], factors[line] = order, tried
    return orders, factors


@pytest.mark.parametrize(
    ("dividers", "amplitudes", "harmonics", "samples", "cycle"),
    [
        ([24, 36], None, [3, 2], 50, 72),
        ([102, 96], None, [16, 17], 300, 1632),  # even: V // 2 + 1 lines
        ([102, 96], None, [16, 17], 301, 1632),
        ([102, 96], [1, 0], [16, None], 300, 1632),  # many lines that nothing reaches
        ([20, 24, 30], None, [6, 5, 4], 90, 120),  # many ties
        ([20, 24, 30], [1, 0, 1], [6, None, 4], 90, 120),
        ([30, 30, 20], None, [4, 4, 6], 70, 120),  # equal frequencies
    ],
)
def test_the_table_is_that_of_all_combinations(dividers, amplitudes, harmonics, samples, cycle):
    field = drive_field(dividers, amplitudes)
    table = mixing_table(field, samples=samples, sampling_rate=samples * BASE / cycle)
    orders, factors = plainly(harmonics, samples // 2 + 1)
    np.testing.assert_array_equal(table.orders, orders)
    np.testing.assert_array_equal(table.factors[:, :, 0], factors)


def test_the_factors_give_the_frequency_and_the_order_of_a_real_scanner():
    """Three channels, 26,929 lines: too many for a loop over all combinations."""
    field = drive_field([102, 96, 99])
    samples, rate = 53856, 2.5e6
    table = mixing_table(field, samples=samples, sampling_rate=rate)
    assert table.factors.shape == (26929, 3, 1)
    reached = table.orders >= 0
    frequencies = np.arange(26929) * rate / samples
    made = np.sum(table.factors * field.frequencies, axis=(1, 2))
    np.testing.assert_allclose(made[reached], frequencies[reached], rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(np.abs(table.factors).sum(axis=(1, 2))[reached], table.orders[reached])
    ways = {}  # lowest order of all combinations up to 6
    for tried in itertools.product(range(-6, 7), repeat=3):
        line = int(np.dot(tried, [528, 561, 544]))
        if 0 <= line < 26929 and sum(map(abs, tried)) <= 6:
            ways[line] = min(sum(map(abs, tried)), ways.get(line, 99))
    low = np.flatnonzero(reached & (table.orders <= 6))
    assert {int(line): int(table.orders[line]) for line in low} == ways


def test_one_channel_has_the_order_of_the_harmonic():
    table = mixing_table(drive_field([100]), samples=41, sampling_rate=41 * 25e3)
    np.testing.assert_array_equal(table.orders, np.arange(21))


def test_lines_between_the_harmonics_have_no_order():
    """Three periods that were grouped."""
    table = mixing_table(drive_field([100]), samples=120, sampling_rate=40 * 25e3)
    k = np.arange(61)
    np.testing.assert_array_equal(table.orders, np.where(k % 3 == 0, k // 3, -1))
    assert not table.factors[k % 3 != 0].any()


def test_several_components_of_a_channel_mix_too():
    dividers, amplitudes = np.array([[20, 30]]), np.full((1, 1, 2), 0.01)
    field = DriveField(BASE, dividers, amplitudes, np.zeros((1, 1, 2)), np.full((1, 2), "sine"))
    table = mixing_table(field, samples=40, sampling_rate=40 * BASE / 60)
    orders, factors = plainly([3, 2], 21)
    np.testing.assert_array_equal(table.orders, orders)
    np.testing.assert_array_equal(table.factors[:, 0], factors)


def test_a_period_of_parts_of_oscillations():
    with pytest.raises(InputError, match=r"holds 1\.5 oscillations"):
        mixing_table(drive_field([24]), samples=36, sampling_rate=BASE)


def test_no_drive_field():
    with pytest.raises(InputError, match="no component with an amplitude"):
        mixing_table(drive_field([24], [0]), samples=48, sampling_rate=BASE)
