"""Small cases whose results are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from mpikit.signal import LineGains, sure
from mpikit.signal.harmonics import HarmonicFilter, _even_part
from mpikit.signal.lines import LineCoefficients, divisible
from mpikit.signal.lowrank import (
    clean_power,
    fit_low_rank,
    largest_of_noise,
    noise_of_singular_values,
    principal_directions,
    shrink_matrix,
)
from mpikit.signal.measured import MeasuredLines
from mpikit.signal.period_levels import (
    _beyond_chance,
    _empty_parts,
    _some_periods,
    odd_and_even,
    symmetry_tells,
)
from mpikit.signal.sure import BlockShrinkage, _evenly, _thresholds, fit_blocks
from mpikit.signal.symmetry import Symmetry, _weights, exact_symmetry, fit_symmetry


@pytest.mark.parametrize("samples", [9, 10])
def test_noise_behind_a_filter(samples):
    """Twice each line but DC and Nyquist, half of a line on which the symmetry holds; mean over channels."""
    keep = np.zeros((2, samples // 2 + 1), bool)
    keep[0, [0, 2]], keep[1, [1, -1]] = True, True
    power = np.arange(1.0, keep.size + 1).reshape(keep.shape)
    last = 1 if samples % 2 == 0 else 2
    wanted = power[0, 0] + 2 * power[0, 2] + 2 * power[1, 1] + last * power[1, -1]
    found = HarmonicFilter(keep, None, samples).passed_noise(power)
    assert found == pytest.approx(wanted / (2 * samples**2))
    holds = np.zeros(keep.shape, bool)
    holds[0, 2] = holds[1, 0] = True
    symmetric = HarmonicFilter(keep, Symmetry(np.zeros(keep.shape), holds, np.ones(keep.shape)), samples)
    assert symmetric.passed_noise(power) == pytest.approx((wanted - power[0, 2]) / (2 * samples**2))


def test_white_noise_of_every_line_passes_a_filter_that_keeps_all():
    samples, power = 12, np.full((3, 7), 12 * 0.25)  # of noise of variance 1/4
    assert HarmonicFilter(np.ones((3, 7), bool), None, samples).passed_noise(power) == pytest.approx(0.25)


class TestEvenPart:
    """What an ideal scan with the centre 0 cannot hold is the real part."""

    signals = np.array([[[1 + 2j, 9, 3 - 1j]], [[-2 + 1j, 9, 1 + 4j]]])  # (M, C, K)
    keep = np.array([[True, False, True]])

    def measured(self, noise, signals=signals):
        return _even_part(signals, np.array([noise]), exact_symmetry(0.0, np.arange(3.0), 1), self.keep)

    def test_its_ratio_to_half_of_the_noise(self):
        found = self.measured([0.5, 7.0, 0.2])
        assert found.ratio == pytest.approx((2.5 / 0.25 + 5 / 0.1) / 2)
        assert found.lines == 2

    def test_its_share_of_all_power(self):
        assert self.measured([0.5, 7.0, 0.2]).share == pytest.approx((2.5 + 5 - 0.25 - 0.1) / 18.5)
        assert self.measured([40.0, 7.0, 0.2]).share == 0

    def test_rounding_is_no_contradiction(self):
        assert self.measured([0.0, 7.0, 0.0]).ratio == pytest.approx((2.5 + 5) / 18.5 / 1e-10)

    def test_of_nothing(self):
        found = self.measured([0.5, 7.0, 0.2], 0 * self.signals)
        assert (found.ratio, found.lines, found.share) == (0.0, 1, 0.0)


def test_noise_to_divide_by():
    """At least the rounding of the strongest line of a channel, and above 0 where there is nothing."""
    signals = np.zeros((2, 3, 4), complex)
    signals[:, 0, 1], signals[:, 0, 2] = [3 + 4j, 5], 1  # mean power 25, and 1
    signals[:, 1, 3] = 2j
    noise = np.array([[0, 0, 7.0, 0], [1e-30, 3, 0, 0], [0, 0.25, 4, 0]])
    found = divisible(MeasuredLines(signals, 0.5, noise, np.ones(2), 9.0))
    one, two = 25 * 1e-12, 4 * 1e-12
    np.testing.assert_allclose(found, [[one, one, 7, one], [two, 3, two, two], [1, 1, 4, 1]], rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_principal_directions_do_not_depend_on_the_scale(scale, shape):
    samples = np.random.default_rng(3).normal(size=shape)
    directions, values = principal_directions(scale * samples)
    assert directions.shape == (shape[1], 4)
    np.testing.assert_allclose(values, scale**2 * principal_directions(samples)[1], rtol=1e-9)


class TestCleanPower:
    """A spike l in white noise shows as the eigenvalue (1 + l) (1 + g / l), g = P / M (Donoho et al.)."""

    @pytest.mark.parametrize(("count", "size"), [(1000, 500), (300, 600)])
    def test_of_a_spike(self, count, size):
        spike, aspect, noise = 6.0, size / count, 0.7
        seen = noise * np.array([(1 + spike) * (1 + aspect / spike), 1.0])
        shrunk = noise * spike * (1 - aspect / spike**2) / (1 + aspect / spike)
        np.testing.assert_allclose(clean_power(seen, noise, shape=(count, size)), [shrunk, 0], rtol=1e-12)
        edge = clean_power(seen, noise, shape=(count, size), shrinkage="edge")
        np.testing.assert_allclose(edge, [seen[0] - noise, 0], rtol=1e-12)

    @pytest.mark.parametrize("shrinkage", ["optimal", "edge"])
    def test_it_says_the_gain(self, shrinkage):
        """P / (P + 1) along the one direction there is."""
        along, count = np.array([0.6, 0.0, -0.8]), 50
        means = 2 * np.tile(along, (count, 1))
        power = clean_power(np.array([4.0]), 0.3, shape=means.shape, shrinkage=shrinkage)[0]
        found = fit_low_rank(means, 0.3, shrinkage=shrinkage)
        assert found.rank == 1
        np.testing.assert_allclose(found(along), power / (power + 1) * along, atol=1e-12)

    def test_where_there_is_nothing(self):
        assert largest_of_noise(5, 0) == 0.0


@pytest.mark.parametrize(
    ("eigenvalues", "long", "noise"),
    [
        ([4, 4, 4], 10, 2),
        ([100, 4, 4, 4], 100, 2 / 0.99**0.5),  # one direction of the longer side is taken by the signal
        ([100, 10, 1], 1000, 1),  # none of the tails is narrow enough but the last
        ([1.01, 1.0, 0.25], 1000, 0.5),
        ([9], 7, 3),
    ],
)
def test_the_noise_of_singular_values(eigenvalues, long, noise):
    values = np.sqrt(np.array(eigenvalues) * long)
    for sides in ({"rows": long, "columns": len(values)}, {"rows": len(values), "columns": long}):
        assert noise_of_singular_values(values, **sides) == pytest.approx(noise)


class TestLevels:
    """Whether periods have noise of one level."""

    @pytest.mark.parametrize(("periods", "counts"), [(2, [40, 90]), (50, [40, 90]), (200, [5000, 9000])])
    @pytest.mark.parametrize("channel", [0, 1])
    def test_the_bound_on_their_spread(self, periods, counts, channel):
        chance = max(2.0, chi2.isf(1e-3 / 2, periods - 1) / (periods - 1)) * 1.3605 / counts[channel]
        bound = np.sqrt(max(chance, 0.05**2))
        wave = np.resize([1.0, -1.0], periods)
        wave /= wave.std(ddof=1)
        for factor, found in [(0.999, False), (1.001, True)]:
            levels = np.full((periods, 2), 3.0)
            levels[:, channel] = 5 * (1 + factor * bound * wave)
            assert _beyond_chance(levels, np.array(counts)) is found

    def test_one_period_or_no_channel_or_no_noise_has_one_level(self):
        assert _beyond_chance(np.array([[1.0, 9.0]]), np.array([40, 40])) is False
        assert _beyond_chance(np.ones((5, 0)), np.array([], int)) is False
        assert _beyond_chance(np.zeros((5, 2)), np.array([40, 40])) is False

    @pytest.mark.parametrize(("failing", "told"), [(0, True), (2, True), (3, False)])
    def test_of_forty_lines_two_may_break_the_symmetry(self, failing, told):
        keep = np.zeros((2, 50), bool)
        keep[:, 1:41] = True
        detected, holds = np.ones((2, 50), bool), np.ones((2, 50), bool)
        holds[1, 1 : failing + 1] = holds[0, 45:] = False
        lines = LineCoefficients(
            HarmonicFilter(keep, Symmetry(0.0 * keep, holds, 1.0 * keep), 98), 1.0 + keep
        )
        assert symmetry_tells(lines, detected) is told
        assert symmetry_tells(lines, ~holds & (np.arange(50) > 40)) is True
        none = LineCoefficients(HarmonicFilter(keep, None, 98), 1.0 + keep)
        assert symmetry_tells(none, detected) is False

    def test_the_weaker_half_where_nearly_all_stand_out(self):
        keep = np.zeros((2, 52), bool)
        keep[0, 1:50], keep[1, 1:5] = True, True
        lines = LineCoefficients(
            HarmonicFilter(keep, Symmetry(0.0 * keep, keep, 1.0 * keep), 103), 1.0 + keep
        )
        detected = np.zeros(keep.shape, bool)
        detected[0, 32 + 1 : 50] = True  # so many of the first channel do not
        parts = np.arange(1.0, 54)[None] * [[1], [-1]]
        found = _empty_parts(parts, lines, detected)
        np.testing.assert_array_equal(found[:49], np.arange(1, 50) <= 32)
        np.testing.assert_array_equal(found[49:], [True, True, False, False])  # of few the weaker half
        detected[0, 1] = True  # now one less, and the weaker half is taken
        found = _empty_parts(parts, lines, detected)
        weak = np.arange(1, 50) <= 25
        np.testing.assert_array_equal(found[:49], weak)

    def test_some_periods_of_many(self, make_scan):
        signal = np.arange(90 * 4).reshape(90, 4, 1, 1) * np.ones((1, 1, 2, 6))
        scan = make_scan(signal)
        found = _some_periods([scan, scan])
        assert found.shape == (200, 2, 6)
        np.testing.assert_array_equal(found[:100, 0, 0], np.linspace(0, 359, 100).astype(int))
        np.testing.assert_array_equal(found[100:], found[:100])
        assert len(_some_periods([scan] * 201)) == 201


class TestBlocks:
    """Shrinkage of neighbours."""

    def test_the_thresholds_go_from_that_of_james_and_stein_to_what_noise_hardly_exceeds(self):
        for length, size in [(1, 1), (1, 40), (4, 40), (32, 1000)]:
            found, logarithm = _thresholds(length, size), np.log(max(size, 2))
            assert found[0] == pytest.approx(max(1 - 2 / length, 0.05))
            assert found[-1] == pytest.approx(1 + np.sqrt(8 * logarithm / length) + 4 * logarithm / length)
            np.testing.assert_allclose(found[1:] / found[:-1], (found[-1] / found[0]) ** (1 / 23))

    def test_a_gain_for_each_block(self):
        found = BlockShrinkage(2, 1.5)(np.array([[3.0, 4.0, 1.0, 1.0, 2.0], [0.0, 0.0, 1.0, 2.0, 1.0]]))
        np.testing.assert_allclose(found[0], [3 * 22 / 25, 4 * 22 / 25, 0, 0, 2 * 2.5 / 4])
        np.testing.assert_allclose(found[1], [0, 0, 0.4, 0.8, 0])

    def test_the_risk_of_each_block(self):
        vectors = np.array([[3.0, 4.0, 2.0], [1.0, 1.0, 2.0]])
        last = 1 + (1.5**2 + 2 * 1.5) / 4
        np.testing.assert_allclose(BlockShrinkage(2, 1.5).risk(vectors), [2 + 9 / 25 + last, 0 + last])
        np.testing.assert_allclose(BlockShrinkage(2, 0.0).risk(vectors), [3, 3])

    def test_doing_nothing_costs_the_noise(self):
        strong = np.full((3, 7), 1e6)
        np.testing.assert_allclose(fit_blocks(strong)(strong), strong, rtol=1e-11)
        assert fit_blocks(np.zeros((3, 0))) == BlockShrinkage(1, 0.0)

    def test_of_many_rows_some_are_looked_at(self, rng, monkeypatch):
        monkeypatch.setattr(sure, "MOST_COEFFICIENTS", 24)
        rows = 3 * rng.normal(size=(10, 6))
        assert fit_blocks(rows) == fit_blocks(rows[[0, 3, 6, 9]])
        rows[[1, 2, 4, 5, 7, 8]] = 1e9
        assert fit_blocks(rows) == fit_blocks(rows[[0, 3, 6, 9]])

    def test_rows_are_chosen_evenly(self):
        rows = np.arange(10.0)[:, None]
        assert _evenly(rows, 10) is rows
        np.testing.assert_array_equal(_evenly(rows, 4)[:, 0], [0, 3, 6, 9])


class TestPhases:
    """The phase of each line, fitted without noise or with a known one."""

    frequencies, detected = np.array([0.0, 1, 2, 3]), np.array([[False, True, True, False]])

    def fitted(self, signals, noise=0.0):
        level = np.full((1, 4), noise)
        return fit_symmetry(signals, level, center=0.2, frequencies=self.frequencies, detected=self.detected)

    def test_signals_on_one_axis(self, rng):
        """2 pi f c less the phase: it turns the signals onto the imaginary axis."""
        phase, delay = np.array([0, 0.4, -0.7, 0]), 2 * np.pi * self.frequencies * 0.2
        signals = 1j * rng.normal(size=(9, 1, 4)) * np.exp(1j * (phase - delay))
        found = self.fitted(signals)
        np.testing.assert_allclose(found.angle[0], delay - phase, atol=1e-12)
        np.testing.assert_array_equal(found.holds, self.detected)
        np.testing.assert_allclose(found.coherence, self.detected, atol=1e-12)

    @pytest.mark.parametrize(("other", "holds"), [(0.2, True), (0.25, False)])
    def test_nine_tenths_of_the_power_on_one_axis(self, other, holds):
        """Powers 1 and b² on two axes: (1 - b²) / (1 + b²) of it is on one, in this measure."""
        signals = np.zeros((2, 1, 4), complex)
        signals[:, 0, 1:3] = np.array([1j, other])[:, None] * np.exp(-0.4j * np.pi * self.frequencies[1:3])
        found = self.fitted(signals)
        np.testing.assert_allclose(found.coherence[0, 1:3], (1 - other**2) / (1 + other**2))
        assert found.holds[0].tolist() == [False, holds, holds, False]

    @pytest.mark.parametrize(("other", "holds"), [(0.35, True), (0.355, False)])
    def test_two_standard_errors_are_forgiven(self, other, holds):
        """Of a power P beside the noise n: sqrt((n² + 2 n P) / M) / P is one."""
        count, noise = 400, 0.1
        signals = np.zeros((count, 1, 4), complex)
        signals[::2, 0, 1], signals[1::2, 0, 1] = 1j * 2**0.5, other * 2**0.5
        signals[:, 0, 1] *= np.exp(-0.4j * np.pi)
        found, power = self.fitted(signals, noise), 1 + other**2 - noise
        share = (1 - other**2) / power
        doubt = float(2 * np.sqrt((noise**2 + 2 * noise * power) / count) / power)
        assert found.coherence[0, 1] == pytest.approx(min(share, 1))
        assert bool(found.holds[0, 1]) is (share >= 0.9 - doubt) is holds

    def test_lines_of_nothing_have_no_phase(self):
        found = self.fitted(np.zeros((3, 1, 4), complex))
        assert not found.holds.any()
        assert not found.coherence.any()

    def test_weak_measurements_weigh_by_their_noise(self):
        signals = np.zeros((3, 1, 4), complex)
        signals[:, 0, 0], signals[:, 0, 3] = [1, 2j, 0], [1j, 2, 0]
        noise = np.array([[1.0, 9, 9, 0.5]])
        level = np.array([1.5, 6.0, 0])
        wanted = 1 / np.maximum(level, 1e-3 * level.mean())
        np.testing.assert_allclose(_weights(signals, noise, ~self.detected), wanted)
        np.testing.assert_array_equal(_weights(signals, noise, self.detected), 1)
        np.testing.assert_array_equal(_weights(signals, 0 * noise, ~self.detected), 1)


def test_matrices_of_any_shape_without_noise():
    for shape, rank in [((3, 3), 3), ((2, 5), 2), ((5, 2), 2), ((0, 4), 0), ((4, 0), 0)]:
        matrix = np.random.default_rng(1).normal(size=shape)
        for noise in (0.0, 1e-9):
            found, kept = shrink_matrix(matrix, noise)
            assert (found.shape, kept) == (shape, rank)
            np.testing.assert_allclose(found, matrix, atol=1e-6)


class TestOddAndEven:
    """Coefficients, and beside them the even part of every line."""

    def test_of_signals_of_any_shape(self, rng):
        keep = np.array([[False, True, True, False, True], [False, True, True, True, True]])
        holds = np.array([[True, True, False, True, True], [True, True, False, False, True]])
        symmetry = Symmetry(rng.normal(size=(2, 5)), holds, 1.0 * holds)
        lines = LineCoefficients(HarmonicFilter(keep, symmetry, 9), rng.uniform(1, 2, (2, 5)))
        signal = rng.normal(size=(3, 4, 2, 9))
        coefficients, even = odd_and_even(lines, signal)
        assert coefficients.shape == (3, 4, 10)
        assert even.shape == (3, 4, 7)
        np.testing.assert_allclose(coefficients, lines.forward(signal), atol=1e-12)
        np.testing.assert_allclose(even[..., [1, 4, 5]], coefficients[..., 7:], atol=1e-12)
        np.testing.assert_allclose(odd_and_even(lines, signal[1, 2])[1], even[1, 2], atol=1e-12)
        turned = np.fft.rfft(signal) * np.exp(1j * symmetry.angle) * np.sqrt(2 / lines.line_power)
        np.testing.assert_allclose(even, turned.real[..., keep], atol=1e-12)


def test_gains_come_back():
    found = LineGains.restore(LineGains(np.array([0.5, 0.25, 0.0])).state())
    np.testing.assert_array_equal(found(np.array([2.0, 4.0, 8.0])), [1, 1, 0])
