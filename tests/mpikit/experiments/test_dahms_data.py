"""The simulated session of Dahms et al., its images, amplitudes and limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.experiments.dahms_amplitudes import (
    amplitudes,
    at_place,
    harmonic,
    limits,
    proportion,
    signal_phases,
)
from mpikit.experiments.dahms_data import (
    LADDER,
    LIMIT_LEVELS,
    PLACE,
    PLACES,
    Samples,
    first_periods,
    grouped,
    highest_trained,
    make_session,
    micrograms,
    sample_levels,
    ten_together,
    tens,
)
from mpikit.experiments.dahms_imaging import LAMBDAS, SWEEP_COUNTS, Imaging, best_guess
from mpikit.experiments.dahms_pieces import session_of
from mpikit.experiments.published_dahms import LAMBDA, SWEEPS
from mpikit.testing import example_scan


@pytest.fixture(scope="module")
def session():
    return session_of("smoke", 0)


# --- the session -----------------------------------------------------------------------------------------


def test_what_is_trained_is_not_tested(session):
    assert session.training.scan.signal.shape == (44, 20, 1, 102)
    assert session.test.scan.signal.shape == (50, 20, 1, 102)
    assert session.reference.scan.signal.shape == (50, 1, 1, 102)
    assert not np.isin(session.test.concentrations, session.training.concentrations).any()
    trained, tested = (each.positions[:, 0] for each in (session.training, session.test))
    assert np.abs(trained[:, None] - tested).min() == pytest.approx(1e-3)
    assert len(np.unique(tested)) == 10
    np.testing.assert_allclose(np.unique(session.test.concentrations), sample_levels())
    assert session.training.concentrations.max() == pytest.approx(highest_trained())
    assert max(sample_levels()) / highest_trained() == pytest.approx(10**0.5, rel=1e-4)


def test_the_order_that_tables_and_figures_take_for_granted(session):
    levels, places = sample_levels(), session.test.positions[:10, 0]
    np.testing.assert_allclose(session.test.concentrations, np.repeat(levels, 10))
    np.testing.assert_allclose(session.test.positions[:, 0], np.tile(places, 5))
    np.testing.assert_allclose(session.series.concentrations, np.repeat(LADDER, 3))
    np.testing.assert_allclose(session.series.positions[:, 0], np.tile(PLACES, len(LADDER)))
    np.testing.assert_allclose(session.new_series.concentrations, LADDER)
    assert at_place(session.test).sum() == 5


def test_all_methods_learn_noise_from_the_same_empty_frames(session):
    for each in (session.test, session.series, session.blanks, session.new_blanks):
        periods = each.scan.signal.shape[1]
        np.testing.assert_array_equal(each.scan.background, session.training.scan.background[:, :periods])
    assert not np.array_equal(session.blanks.scan.signal[:, :10], session.new_blanks.scan.signal)
    assert not np.array_equal(session.blanks.scan.signal, session.blanks.scan.background)


def test_a_period_lasts_longer_than_printed(session):
    scan = session.test.scan
    assert scan.signal.shape[-1] / scan.sampling_rate == pytest.approx(40.8e-6)


def test_the_levels_are_those_of_the_paper():
    found = [micrograms(each) for each in (*sample_levels(), LIMIT_LEVELS[0], LIMIT_LEVELS[-1])]
    np.testing.assert_allclose(found, [0.085, 0.85, 8.5, 85, 850, 8.5, 85], rtol=1e-4)


def test_the_seed_decides(session):
    other = make_session(periods=20, judged=10, blanks=10, seed=1)
    assert not np.array_equal(other.training.scan.signal, session.training.scan.signal)
    np.testing.assert_array_equal(other.test.positions, session.test.positions)
    assert other.test.scan.signal.shape[1] == other.new_blanks.scan.signal.shape[1] == 10
    assert other.blanks.scan.signal.shape[1] == 20


def test_ten_periods_joined_have_the_harmonics_of_their_mean(rng):
    signals = rng.normal(size=(3, 40, 2, 12))
    means = grouped(signals)
    assert means.shape == (3, 4, 2, 12)
    np.testing.assert_allclose(means[1, 2, 0], signals[1, 20:30, 0].mean(axis=0))
    joined = np.moveaxis(signals[:, 10:20], 2, 1).reshape(3, 2, 120)
    np.testing.assert_allclose(np.fft.rfft(joined)[..., ::10] / 10, np.fft.rfft(means[:, 1]), atol=1e-12)
    assert grouped(signals[:, :37]).shape == (3, 3, 2, 12)


def test_parts_of_scans():
    scan = example_scan(frames=3, background_frames=2, periods=24)
    parts = tens(scan)
    assert [part.signal.shape[1] for part in parts] == [10, 10]
    np.testing.assert_array_equal(parts[1].signal, scan.signal[:, 10:20])
    np.testing.assert_array_equal(parts[1].background, scan.background[:, 10:20])
    fewer = ten_together(scan)
    wanted = scan.signal[:, 10:20].mean(axis=1, dtype=np.float64)
    np.testing.assert_allclose(fewer.signal[:, 1], wanted, rtol=1e-6)
    assert fewer.background.shape[:2] == (2, 2)
    assert first_periods(scan, 7).drive_field.amplitudes.shape[0] == 7


# --- images ----------------------------------------------------------------------------------------------


def clean_signals(session, places):
    """Signals of the calibration at some voxels, one image each, and the samples they stand for."""
    signals = np.fft.irfft(session.matrix.spectra[places], n=102)[:, None]
    positions = session.matrix.grid.positions()[places]
    return signals, replace(session.test, positions=positions, concentrations=np.ones(len(places)))


def test_clean_samples_are_seen_where_they_are(session):
    signals, samples = clean_signals(session, [3, 11, 20, 24])
    imaging = Imaging(session.matrix, samples)
    images = imaging.images(signals)
    assert images.shape == (4, 1, 1, 1, 27)
    np.testing.assert_allclose(imaging.errors(images).errors, 0, atol=1e-9)
    moved = Imaging(session.matrix, replace(samples, positions=samples.positions + np.array([2e-3, 0, 0])))
    np.testing.assert_allclose(moved.errors(images).errors, 0.002, atol=1e-9)


def test_the_grid_has_the_setting_of_the_paper_in_it(session):
    signals = grouped(session.test.scan.signal)
    imaging = Imaging(session.matrix, session.test)
    grid = imaging.grid(signals)
    assert grid.shape == (len(LAMBDAS), len(SWEEP_COUNTS))
    here = 1e3 * imaging.errors(imaging.images(signals)).mean
    assert grid[LAMBDAS.index(LAMBDA), SWEEP_COUNTS.index(SWEEPS)] == pytest.approx(here)


def test_lines_that_a_method_emptied_are_left_out(session):
    signals, samples = clean_signals(session, [5, 18])
    imaging = Imaging(session.matrix, samples)
    emptied = np.zeros((1, 52), bool)
    emptied[0, 7] = True
    without = np.fft.irfft(np.where(emptied, 0, np.fft.rfft(signals)), n=102)
    whole, left = (imaging.images(each, emptied) for each in (signals, without))
    np.testing.assert_allclose(whole, left, atol=1e-6 * whole.max())
    assert not np.allclose(imaging.images(without), left, atol=1e-3 * whole.max())


def test_the_best_guess_is_right_where_the_signal_is_large_and_in_the_middle_where_there_is_none(session):
    errors = best_guess(session.matrix, session.test).errors.reshape(5, 10, 2)
    np.testing.assert_allclose(errors[2:], 0, atol=1e-9)
    assert 4e-3 < errors[0].mean() < 8e-3  # of the middle of all places it would be 5 mm


def test_no_other_method_has_a_smaller_error_than_the_best_guess(session):
    imaging = Imaging(session.matrix, session.test)
    limit = best_guess(session.matrix, session.test).mean
    for signals in (grouped(session.test.scan.signal), session.reference.scan.signal):
        assert imaging.errors(imaging.images(signals)).mean > limit


# --- amplitudes and limits -------------------------------------------------------------------------------


def tone(amplitude, phase, samples=102):
    return amplitude * np.cos(2 * np.pi * 5 * np.arange(samples) / samples + phase)


def test_the_fifth_harmonic():
    other = np.cos(2 * np.pi * 6 * np.arange(102) / 102)
    assert harmonic(tone(3.0, 0.4) + 7 + other) == pytest.approx(3 * np.exp(0.4j))
    signals = np.array([tone(2.0, 0.3), tone(2.0, 0.3 + np.pi / 2)])[:, None, None]
    found = amplitudes(signals, np.array([0.3, 0.3]))
    np.testing.assert_allclose(found.magnitude, 2)
    np.testing.assert_allclose(found.projected[:, 0], [2, 0], atol=1e-12)
    np.testing.assert_allclose(amplitudes(signals, 0.3).projected, found.projected)


def series_of(places=PLACES, levels=LADDER):
    positions = np.zeros((len(levels) * len(places), 3))
    positions[:, 0] = np.tile(places, len(levels))
    return Samples(None, positions, np.repeat(levels, len(places)))


def test_the_phase_is_that_of_the_strongest_sample_there():
    series = series_of()
    phases = np.tile([0.1, 0.7, -1.2], len(LADDER)) + np.repeat(np.r_[np.ones(len(LADDER) - 1), 0], 3)
    reference = np.array([tone(1.0, phase) for phase in phases])[:, None, None]
    np.testing.assert_allclose(signal_phases(series, reference), np.tile([0.1, 0.7, -1.2], len(LADDER)))


def test_a_proportional_method_has_the_slope_one():
    series = series_of()
    right = 5.0 * series.concentrations
    found = proportion(series, 0.8 * right, right, above=LADDER[7], highest=LADDER[14])
    assert found == pytest.approx({"slope": 1, "r2": 1, "levels": 12, "gain": 0.8, "gain_above": 0.8})
    dropped = np.where(series.concentrations > LADDER[14] * 1.01, 0.5, 0.8) * right
    found = proportion(series, dropped, right, above=LADDER[7], highest=LADDER[14])
    assert (found["gain"], found["gain_above"]) == pytest.approx((0.8, 0.5))


def test_the_worst_place_counts():
    series = series_of()
    right = 5.0 * series.concentrations
    means = np.where(at_place(series, PLACES[2]), series.concentrations**1.2, right)
    assert proportion(series, means, right, above=0, highest=LADDER[14])["slope"] == pytest.approx(1.2)
    few = proportion(series, means, right, above=LADDER[-2], highest=LADDER[14])
    assert set(few) == {"levels", "gain", "gain_above"}
    assert few["levels"] == 0


def drawn(rng, series, noise):
    """Amplitudes of 50 periods of each sample, as large as the concentration."""
    return series.concentrations[:, None] + noise * rng.normal(size=(len(series.concentrations), 50))


def test_a_limit_of_plain_noise_holds(rng):
    series, new = series_of(), series_of((PLACE,))
    noise = LADDER[10] / 3.3  # the limit of the rule is 3.3 standard deviations
    values, new_values = (2 * drawn(rng, each, noise) for each in (series, new))  # a factor changes nothing
    blanks, new_blanks = (2 * noise * rng.normal(size=(20, count)) for count in (1000, 50))
    found = limits(series, values, blanks, new, new_values, new_blanks)
    assert found["claimed"] == pytest.approx(LADDER[10], rel=0.05)
    assert found["checked_at"] == pytest.approx(LADDER[10])
    assert found["failures"] == ""
    assert found["verified"] == pytest.approx(LADDER[10])
    assert found["false_positives"] == pytest.approx(0.05, abs=0.02)


def test_a_method_that_shrinks_weak_signals_claims_what_does_not_hold(rng):
    series, new = series_of(), series_of((PLACE,))
    noise = LADDER[10] / 3.3

    def shrunk(values):
        return np.where(np.abs(values) < LADDER[11], 1e-3 * values, values)

    values, new_values = (shrunk(drawn(rng, each, noise)) for each in (series, new))
    blanks, new_blanks = (shrunk(noise * rng.normal(size=(20, 50))) for _ in range(2))
    found = limits(series, values, blanks, new, new_values, new_blanks)
    assert found["claimed"] < LADDER[2]
    assert found["failures"]
    assert found["verified"] > LADDER[9]


def test_too_few_blanks_make_no_limit(rng):
    series, new = series_of(), series_of((PLACE,))
    blanks = rng.normal(size=(2, 4))
    found = limits(series, drawn(rng, series, 1), blanks, new, drawn(rng, new, 1), blanks)
    assert list(found) == ["failures"]
    assert "8 blanks" in found["failures"]
