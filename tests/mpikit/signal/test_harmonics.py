"""Lines that stand out of the noise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from scipy.stats import f as f_distribution

from mpikit.errors import InputError
from mpikit.signal import HarmonicFilter, drive_field_lines, fit_harmonic_filter, subtract_background
from mpikit.signal.harmonics import noise_threshold

SAMPLES = 400


def odd(rng, *shape, lines=(3, 4, 9, 20), samples=SAMPLES, angle=0.0):
    """Signals (*shape, samples) with these lines alone, odd about 0 if the angle is 0."""
    spectra = np.zeros((*shape, samples // 2 + 1), complex)
    strength = rng.uniform(0.1, 0.4, (*shape, len(lines))) * rng.choice([-1, 1], (*shape, len(lines)))
    spectra[..., lines] = 1j * np.exp(1j * angle) * strength * samples
    return np.fft.irfft(spectra, n=samples)


# --- lines that particles can emit -----------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "last"), [(40, 19), (41, 20)])
def test_all_lines_of_one_cycle_but_dc_and_nyquist(make_scan, samples, last):
    found = drive_field_lines(make_scan(np.zeros((2, 1, 3, samples))))
    np.testing.assert_array_equal(np.flatnonzero(found), np.arange(1, last + 1))


def test_every_third_line_of_three_cycles(make_scan, make_field):
    scan = make_scan(np.zeros((2, 1, 3, 60)), field=make_field([20]))
    np.testing.assert_array_equal(np.flatnonzero(drive_field_lines(scan)), np.arange(3, 30, 3))


def test_lines_that_are_not_stored_are_left_out(make_scan):
    stored = np.arange(31) % 4 != 1
    found = drive_field_lines(make_scan(np.zeros((2, 1, 3, 60)), stored_lines=stored))
    np.testing.assert_array_equal(found[1:30], stored[1:30])


def test_a_field_that_is_off_or_fits_in_no_period(make_scan, make_field):
    signal = np.zeros((2, 1, 3, 60))
    for field in (replace(make_field([60]), amplitudes=np.zeros((1, 1, 1))), make_field([27])):
        assert drive_field_lines(make_scan(signal, field=field)).sum() == 29


# --- the threshold ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("signals", "freedom"), [(1, 30), (7, 31), (400, 1000)])
def test_threshold_of_equal_shares_is_an_f_test(signals, freedom):
    exact = f_distribution.isf(1e-3, 2 * signals, 2 * freedom)
    assert noise_threshold(1e-3, np.full(signals, 5.0), freedom) == pytest.approx(exact)


def test_threshold_of_one_large_share(rng):
    """A constant and one exponential: the tail is known."""
    shares = np.ones(20_000)
    shares[0] = 10_000
    exact = (20_000 + 10_000 * -np.log(1e-3)) / 30_000
    assert noise_threshold(1e-3, shares, 1e7) == pytest.approx(exact, rel=0.01)


# --- pure noise ------------------------------------------------------------------------------------------

CASES = [  # repeats, N, J, E, how much worse than nominal the small numbers make it
    ("frames", 32, 1, 0, 1.0),
    ("periods", 40, 2, 0, 1.0),
    ("both", 8, 5, 0, 1.0),
    ("frames", 6, 7, 0, 1.0),
    ("frames", 4, 1, 0, 2.0),  # smoothed over lines
    ("frames", 40, 1, 10, 1.0),
    ("frames", 40, 3, 6, 1.0),
    ("both", 12, 4, 6, 1.0),
    ("periods", 12, 60, 5, 1.0),
    ("none", 3, 40, 6, 1.5),  # what frames share is approximated
    ("periods", 60, 2, 4, 1.5),
]


@pytest.mark.parametrize(("repeats", "frames", "periods", "empty", "slack"), CASES)
def test_false_alarms_keep_to_their_rate(make_scan, repeats, frames, periods, empty, slack):
    rng = np.random.default_rng(3)
    rate, kept, lines = 0.01, 0, 0
    while lines < 6000:
        scan = make_scan(
            2 * rng.normal(size=(frames, periods, 3, SAMPLES)),
            2 * rng.normal(size=(empty, periods, 3, SAMPLES)),
            repeats=repeats,
        )
        found = fit_harmonic_filter([subtract_background(scan)], false_alarm=rate)
        kept += found.keep.sum()
        lines += found.keep[:, drive_field_lines(scan)].size
    assert kept <= binom.isf(1e-4, lines, slack * rate)
    assert kept >= binom.ppf(1e-4, lines, rate / 2)


# --- signals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", ["frames", "periods", "both", "none"])
def test_strong_lines_are_kept_and_the_noise_goes(make_scan, rng, repeats):
    clean = odd(rng, 1, 1, 3)
    noise = 0.05 * rng.normal(size=(9, 5, 3, SAMPLES))
    scan = make_scan(clean + noise, 0.05 * rng.normal(size=(8, 5, 3, SAMPLES)), repeats=repeats)
    found = fit_harmonic_filter([scan], false_alarm=1e-5)
    assert found.keep[:, [3, 4, 9, 20]].all()
    assert found.keep.sum() <= 3 * 4 + 1
    out = found(scan.signal)
    assert out.shape == scan.signal.shape
    assert out.dtype == np.float32
    left = np.mean((out - clean) ** 2) / np.mean(noise**2)
    assert left == pytest.approx(4 / SAMPLES, rel=0.2)  # 4 of 200 lines, half of each


def test_off_keeps_both_halves_of_a_line(make_scan, rng):
    clean = odd(rng, 1, 1, 3)
    noise = 0.05 * rng.normal(size=(30, 2, 3, SAMPLES))
    scan = make_scan(clean + noise, repeats="both")
    found = fit_harmonic_filter([scan], false_alarm=1e-6, symmetry="off")
    assert found.symmetry is None
    assert found.keep.sum() == 3 * 4
    left = np.mean((found(scan.signal) - clean) ** 2) / np.mean(noise**2)
    assert left == pytest.approx(2 * 4 / SAMPLES, rel=0.15)


def test_noise_free_signals_are_kept_as_they_are(make_scan, rng):
    clean = np.broadcast_to(odd(rng, 1, 1, 3, lines=np.arange(1, 200)), (4, 2, 3, SAMPLES))
    scan = make_scan(clean, repeats="both")
    found = fit_harmonic_filter([scan], symmetry="exact")
    np.testing.assert_allclose(found(scan.signal), scan.signal, atol=2e-6 * np.abs(clean).max())


def test_exact_is_taken_for_an_ideal_scan(make_scan, rng):
    clean = odd(rng, 30, 1, 3)
    scan = make_scan(clean + 0.05 * rng.normal(size=(30, 4, 3, SAMPLES)), repeats="periods")
    found = fit_harmonic_filter([scan], symmetry="exact")
    assert found.symmetry.holds.all()
    assert np.mean((found(scan.signal) - clean) ** 2) < 1.3 * 4 / SAMPLES * 0.05**2


def test_exact_is_refused_when_phases_are_rotated(make_scan, rng):
    rotated = odd(rng, 30, 1, 3, angle=1.0) + 0.05 * rng.normal(size=(30, 4, 3, SAMPLES))
    scan = make_scan(rotated, repeats="periods")
    with pytest.raises(InputError, match="not odd about its turning point") as caught:
        fit_harmonic_filter([scan], symmetry="exact")
    assert "symmetry=fit" in caught.value.hint
    assert fit_harmonic_filter([scan]).symmetry.holds[:, [3, 4, 9, 20]].all()


def test_a_field_that_is_not_retraced(make_scan, make_field, rng):
    clean = odd(rng, 1, 1, 3, lines=(16, 17, 33), samples=272)
    scan = make_scan(
        clean + 0.05 * rng.normal(size=(9, 1, 3, 272)), repeats="frames", field=make_field([16, 17], [0, 0])
    )
    with pytest.raises(InputError, match="not retraced"):
        fit_harmonic_filter([scan], symmetry="exact")
    found = fit_harmonic_filter([scan])
    assert found.symmetry is None
    assert found.keep[:, [16, 17, 33]].all()


def test_lines_off_the_grid_of_the_field_are_dropped(make_scan, make_field, rng):
    """Two cycles in a period: what is on an odd line cannot come from particles."""
    clean = odd(rng, 1, 1, 3, lines=(4, 7))
    field = make_field([200])
    scan = make_scan(clean + 0.01 * rng.normal(size=(9, 1, 3, SAMPLES)), repeats="frames", field=field)
    keep = fit_harmonic_filter([scan], false_alarm=1e-6).keep
    assert keep[:, 4].all()
    assert not keep[:, 7].any()


def test_several_scans_are_one_training_set(make_scan, rng):
    """A line that is weak in each of many scans is found in all of them together."""
    scans = []
    for _ in range(30):
        clean = 0.015 * odd(rng, 5, 1, 3, lines=(11,))
        scans.append(make_scan(clean + rng.normal(size=(5, 2, 3, SAMPLES)) / 10, repeats="periods"))
    assert not fit_harmonic_filter(scans[:1]).keep[:, 11].all()
    assert fit_harmonic_filter(scans).keep[:, 11].all()


@pytest.mark.parametrize("change", ["samples", "channels", "rate"])
def test_scans_of_different_sequences_do_not_mix(make_scan, rng, change):
    shape = {"samples": (2, 1, 3, 50), "channels": (2, 1, 2, 40), "rate": (2, 1, 3, 40)}[change]
    first = make_scan(rng.normal(size=(4, 1, 3, 40)), repeats="frames")
    rate = 2e6 if change == "rate" else 1e6
    other = make_scan(rng.normal(size=shape), repeats="frames", sampling_rate=rate, name="other")
    with pytest.raises(InputError, match="other and scan differ"):
        fit_harmonic_filter([first, other])


@pytest.mark.parametrize("shape", [(4, 1, 3, SAMPLES + 1), (4, 1, 2, SAMPLES)])
def test_signals_of_another_shape_are_refused(make_scan, rng, shape):
    found = fit_harmonic_filter([make_scan(rng.normal(size=(4, 1, 3, SAMPLES)), repeats="frames")])
    with pytest.raises(InputError, match="fitted to 3 and 400"):
        found(np.zeros(shape))


@pytest.mark.parametrize("symmetry", ["fit", "off"])
def test_state_round_trip(make_scan, rng, symmetry):
    signal = odd(rng, 1, 1, 3) + 0.05 * rng.normal(size=(9, 2, 3, SAMPLES))
    found = fit_harmonic_filter([make_scan(signal, repeats="both")], symmetry=symmetry)
    state = found.state()
    assert all(isinstance(value, np.ndarray) for value in state.values())
    back = HarmonicFilter.restore(state)
    np.testing.assert_array_equal(back(signal), found(signal))
    assert back.samples == SAMPLES
    assert (back.symmetry is None) == (symmetry == "off")
    for name, value in back.state().items():
        np.testing.assert_array_equal(value, state[name])
