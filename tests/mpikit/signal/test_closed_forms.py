"""Small cases whose results are known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from mpikit.signal.harmonics import LEAST_NOISE, HarmonicFilter, _even_part
from mpikit.signal.lines import LEAST_NOISE as LEAST_OF_A_LINE
from mpikit.signal.lines import divisible
from mpikit.signal.lowrank import clean_power, fit_low_rank, principal_directions
from mpikit.signal.measured import MeasuredLines
from mpikit.signal.symmetry import Symmetry, exact_symmetry


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
        assert self.measured([0.0, 7.0, 0.0]).ratio == pytest.approx((2.5 + 5) / 18.5 / LEAST_NOISE)

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
    one, two = 25 * LEAST_OF_A_LINE, 4 * LEAST_OF_A_LINE
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
