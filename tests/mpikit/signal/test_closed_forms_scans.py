"""What is taken from scans: small cases whose results are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gamma

from mpikit.scan import Corrections
from mpikit.signal import LowRankFilter, SureFilter, even_part_noise, fit_sure, noise_statistics, stacks, sure
from mpikit.signal import measured as measuring
from mpikit.signal import symmetry_center as center_of
from mpikit.signal.background import background_weights, noise_shares
from mpikit.signal.harmonics import HarmonicFilter
from mpikit.signal.lines import LineCoefficients
from mpikit.signal.measured import measure_lines
from mpikit.signal.repeats import (
    _background_shares,
    _empty_steps,
    _fields_repeat,
    _repeats_over,
)
from mpikit.signal.stacks import mean_of_repeats, parts_of
from mpikit.signal.sure import BlockShrinkage, _directions, _whole, _within, fit_blocks
from mpikit.signal.symmetry import Symmetry


@pytest.mark.parametrize(
    ("values", "signals", "scans", "chosen"),
    [
        (24, 99, 1, 3),
        (31, 99, 1, 3),
        (32, 99, 1, 4),
        (999, 5, 1, 5),
        (999, 5, 2, 2),
        (24, 99, 2, 1),
        (1, 9, 2, 1),
    ],
)
def test_a_bound_on_the_signals_that_are_measured(
    make_scan, rng, monkeypatch, values, signals, scans, chosen
):
    """By their number, and by that of the values (C, K) = (2, 4) of their spectra."""
    monkeypatch.setattr(measuring, "MOST_VALUES", values)
    monkeypatch.setattr(measuring, "MOST_SIGNALS", signals)
    scan = make_scan(rng.normal(size=(9, 3, 2, 6)), repeats="periods")
    found = measure_lines([scan] * scans)
    places = np.linspace(0, 8, chosen).astype(int)
    wanted = np.fft.rfft(scan.signal[places].astype(float).mean(axis=1))
    np.testing.assert_allclose(found.signals, np.concatenate([wanted] * scans), atol=1e-12)
    assert found.share == pytest.approx(1 / 3)
    assert found.shares.shape == (scans * chosen,)
    single = measure_lines([scan])
    assert found.freedom == pytest.approx(scans * single.freedom)
    np.testing.assert_allclose(found.period_noise, single.period_noise)
    np.testing.assert_allclose(found.noise, single.period_noise / 3)


@pytest.mark.parametrize("repeats", ["none", "periods", "frames", "both"])
def test_the_freedom_of_noise_that_frames_share(make_scan, rng, repeats):
    """Of M parts of unequal power (Σ s)² / Σ s² count, unless one level is that of all lines."""
    signal, background = rng.normal(size=(6, 3, 2, 8)), rng.normal(size=(4, 3, 2, 8))
    scan = make_scan(signal, background, repeats=repeats, corrections=Corrections(background=True))
    found, noise = measure_lines([scan]), noise_statistics(scan)
    shares = noise_shares(scan, {"none": 18, "periods": 6, "frames": 3, "both": 1}[repeats])
    np.testing.assert_allclose(found.shares, shares)
    effective = 1 if repeats == "none" else len(shares) * np.sum(shares**2) / np.sum(shares) ** 2
    assert found.freedom == pytest.approx(noise.freedom / effective)


class TestBackgroundOfRepeats:
    """What empty frames say of the spread over frames and periods."""

    @pytest.mark.parametrize("frames", [2, 6])
    def test_the_noise_that_a_subtraction_adds(self, make_scan, rng, frames):
        background = rng.normal(size=(4, 3, 2, 8))
        scan = make_scan(rng.normal(size=(frames, 3, 2, 8)), background)
        weights = background_weights(scan, scan.foreground_index)
        mean, own = weights.mean(axis=0), np.sum(weights**2) / frames
        wanted = (1 + np.sum((weights - mean) ** 2) / (frames - 1), 1 + own)
        assert _background_shares(scan) == pytest.approx(wanted)
        assert wanted[0] > 1.03
        one = make_scan(rng.normal(size=(1, 3, 2, 8)), background[:1])
        assert _background_shares(one) == (1.0, 2.0)
        assert _background_shares(make_scan(rng.normal(size=(6, 3, 2, 8)))) == (1.0, 1.0)

    def test_steps_between_neighbours(self, make_scan, rng):
        background = rng.normal(size=(5, 3, 2, 8)).astype(np.float32)
        stored = np.array([True, True, False, True, True])
        scan = make_scan(
            rng.normal(size=(4, 3, 2, 8)),
            background,
            background_index=np.array([8, 1, 0, 7, 3]),
            foreground_index=np.array([2, 4, 5, 6]),
            stored_lines=stored,
        )
        over_frames, over_periods = _empty_steps(scan)
        spectra = np.fft.rfft(background.astype(float))[..., stored]
        np.testing.assert_allclose(over_frames, [spectra[1] - spectra[2], spectra[0] - spectra[3]])
        np.testing.assert_allclose(over_periods, np.diff(spectra[[2, 1, 4, 3, 0]], axis=1))

    @pytest.mark.parametrize(
        ("repeats", "others", "lines", "bound"), [(2, 1, 4, 3), (5, 3, 40, 2), (3, 2, 1, 3)]
    )
    def test_the_spread_that_noise_allows(self, repeats, others, lines, bound):
        """Twice that of the noise, or four standard errors above it."""
        wave = np.resize([1.0, -1.0], repeats)
        wave /= wave.std(ddof=1)
        steps = np.full((4, 2, 1, lines), 1.0 + 1j)  # the noise is 1
        freedom = (repeats - 1) * others
        spread = bound * gamma.median(freedom) / freedom / (gamma.median(8) / 8)
        for factor, found in [(0.999, True), (1.001, False)]:
            one = 1e3 + (factor * spread) ** 0.5 * wave[:, None, None, None]
            spectra = np.broadcast_to(one, (repeats, others, 1, lines)) + 0j
            assert _repeats_over(spectra, steps, axis=0) is found
            assert _repeats_over(spectra.swapaxes(0, 1), steps, axis=1) is found

    def test_fields_of_all_periods(self, make_scan, rng):
        assert _fields_repeat(make_scan(rng.normal(size=(2, 2, 1, 8)))) is True
        assert _fields_repeat(make_scan(rng.normal(size=(2, 1, 1, 8)))) is False
        for part, size, same in [
            ("gradient", 1e-5, False),
            ("gradient", 1e-7, True),
            ("offset", 1e-8, False),
        ]:
            scan = make_scan(rng.normal(size=(2, 3, 1, 8)))
            getattr(scan.selection_field, part)[2, 0, 1] += size
            assert _fields_repeat(scan) is same


def test_parts_hold_not_too_many_values(monkeypatch):
    monkeypatch.setattr(stacks, "AT_ONCE", 24)
    assert parts_of((5, 3, 4)) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert parts_of((4, 6)) == [slice(0, 4)]
    assert parts_of((2, 25)) == [slice(0, 1), slice(1, 2)]
    assert parts_of((0, 25)) == []


def test_the_mean_of_repeats(rng):
    stacked = rng.normal(size=(5, 3, 2, 7)).astype(np.float32)
    found = mean_of_repeats(stacked, np.array([4, 0]))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, stacked[[4, 0]].astype(float).mean(axis=1), rtol=1e-14)


class TestChoiceOfTheLeastError:
    """The parts of `fit_sure`."""

    def test_a_filter_of_some_coefficients(self, rng):
        places = np.array([False, True, True, False, True])
        found = _within(LowRankFilter(rng.normal(size=(3, 2)), right := rng.normal(size=(3, 2))), places)
        vector = rng.normal(size=5)
        assert found.rank == 2
        np.testing.assert_array_equal(found(vector)[~places], 0)
        np.testing.assert_allclose(found.right[places], right)
        np.testing.assert_allclose(found(vector), found(np.where(places, vector, 0)))

    def test_directions_are_learnt_from_eight_signals_that_stand_out(self, rng):
        along = np.linalg.qr(rng.normal(size=(30, 1)))[0][:, 0]
        vectors = 40 * rng.normal(size=(64, 1)) * along + rng.normal(size=(64, 30))
        every, blocks = np.ones(30, bool), fit_blocks(vectors)
        found = _directions(vectors, every, blocks)
        assert found.rank == 1
        np.testing.assert_allclose(np.abs(found.right[:, 0] @ along), 1, atol=0.02)
        strong = 1e3 * np.sign(vectors @ along)[:, None] * along
        assert _directions(strong[:8], every, BlockShrinkage(1, 0.0)).rank == 1
        assert _directions(strong[:7], every, BlockShrinkage(1, 0.0)) is None
        assert _directions(vectors, ~every, blocks) is None
        assert _directions(rng.normal(size=(64, 30)), every, BlockShrinkage(30, 9.0)) is None

    def test_fitted_phases_need_eight_signals(self, make_scan, rng):
        scan = make_scan(rng.normal(size=(2, 3, 2, 8)))
        holds = np.ones((2, 5), bool)
        for kept, fewest in [(holds, 0), (holds & (np.arange(5) != 2), 8)]:
            symmetry = Symmetry(np.zeros((2, 5)), kept, np.ones((2, 5)))
            for signals in (0, 7, 8):
                whole = _whole(HarmonicFilter(np.zeros((2, 5), bool), symmetry, 8), scan, signals)
                assert whole.symmetry is (symmetry if signals >= fewest else None)
                np.testing.assert_array_equal(whole.keep, [[False, True, True, True, False]] * 2)
                assert whole.samples == 8

    def test_periods_that_the_choice_is_made_on(self, make_scan, monkeypatch):
        monkeypatch.setattr(sure, "MOST", 8)
        signal = np.arange(30).reshape(10, 3, 1, 1) * np.ones((1, 1, 2, 6))
        scan = make_scan(signal, repeats="periods")
        np.testing.assert_array_equal(
            sure._some_periods([scan])[:, 0, 0], 3 * np.linspace(0, 9, 8).astype(int)
        )
        two = sure._some_periods([scan, scan])
        np.testing.assert_array_equal(two[:, 1, 5], [0, 9, 18, 27] * 2)
        assert len(sure._some_periods([scan] * 20)) == 20

    def test_the_estimated_error_of_what_was_chosen(self, rng):
        keep = np.ones((1, 5), bool)
        lines = LineCoefficients(HarmonicFilter(keep, None, 8), 8.0 * keep)
        signal = rng.normal(size=(4, 1, 8)).astype(np.float32)
        vectors, blocks = lines.forward(signal), BlockShrinkage(2, 1.5)
        np.testing.assert_allclose(SureFilter(lines, blocks, None).risk(signal), blocks.risk(vectors))
        linear = LowRankFilter(rng.normal(size=(6, 2)), rng.normal(size=(6, 2)))
        matrix = linear.left @ linear.right.T
        wanted = np.sum((vectors @ matrix.T - vectors) ** 2, axis=1) - 6 + 2 * np.trace(matrix)
        np.testing.assert_allclose(SureFilter(lines, blocks, linear).risk(signal), wanted)

    def test_some_of_very_many_scans(self, make_scan):
        scan = make_scan(np.ones((2, 1, 1, 6)))
        assert len(sure._some_periods([scan] * (sure.MOST + 1))) == sure.MOST + 1

    @pytest.mark.parametrize("own_level", [False, True])
    def test_nothing_stays_nothing(self, own_level):
        keep = np.array([[False, True, True, True, False]])
        lines = LineCoefficients(
            HarmonicFilter(keep, Symmetry(0.0 * keep, keep, 1.0 * keep), 8), 8.0 * keep + 1
        )
        found = SureFilter(lines, BlockShrinkage(2, 1.5), None, own_level)
        np.testing.assert_array_equal(found(np.zeros((3, 1, 8), np.float32)), 0)

    @pytest.mark.parametrize(
        ("symmetric", "loudest", "own"), [(True, 1, False), (True, 6, True), (False, 6, False)]
    )
    def test_a_level_for_each_period_where_the_levels_differ_and_the_symmetry_tells(
        self, make_scan, rng, symmetric, loudest, own
    ):
        """The odd signal stands at every second line; the noise of every second frame is louder."""
        spectra = np.zeros((40, 1, 1, 201), complex)
        spectra[..., 3:160:2] = 300j * np.exp(0 if symmetric else 1j * rng.uniform(0, 6, (40, 1, 1, 79)))
        noise = rng.normal(size=(40, 1, 1, 400)) * np.resize([1, loudest], 40)[:, None, None, None]
        scan = make_scan(np.fft.irfft(spectra, n=400) + noise)
        power = np.full((1, 201), 400 * (1 + loudest**2) / 2)
        found = fit_sure([scan], line_power=(power, 2000.0), band=0)
        assert found.unlike is (loudest > 1)
        assert found.own_level is own


@pytest.mark.parametrize("samples", [9, 10])
def test_the_even_part_of_every_line(make_scan, make_field, samples):
    """Lines A + i B about the turning point, the same in each: 2 A², and the median of the chi-squared."""
    field = make_field([samples], [0.3])
    scan = make_scan(np.zeros((3, 1, 2, samples)), field=field)
    delay = 2 * np.pi * scan.frequencies * center_of(field)
    assert center_of(field) > 1e-7
    spectra = np.array([[1.5 + 4j], [0.5 - 2j]]) * np.exp(-1j * delay)
    scan = make_scan(np.tile(np.fft.irfft(spectra, n=samples), (3, 1, 1, 1)), field=field)
    power, freedom = even_part_noise([scan, scan])
    wanted = np.array([[2 * 1.5**2], [2 * 0.5**2]]) * 3 / gamma.median(3) * np.ones(samples // 2 + 1)
    wanted[:, 0] = 0
    if samples % 2 == 0:
        wanted[:, -1] = 0
    np.testing.assert_allclose(power, wanted, rtol=1e-5)
    assert freedom == 3 * 33 / 2
