"""Figures of merit against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.metrics import (
    ReferenceFree,
    amplitude_bias,
    clean_power,
    combine,
    equivalent_averages,
    prd,
    reference_free,
    rmse,
    scale_invariant_snr,
    score_mean,
    score_repeats,
    snr,
)

SAMPLES = 60
COLOUR = 1 / (1 + np.arange(SAMPLES // 2 + 1) / 6)
WHITE = np.ones(SAMPLES // 2 + 1)


def noise(rng, *shape, colour=WHITE):
    """Gaussian noise (*shape, V) and the power of each of its lines."""
    drawn = np.fft.irfft(np.fft.rfft(rng.normal(size=(*shape, SAMPLES))) * colour, n=SAMPLES)
    return drawn, SAMPLES * colour**2


# --- with a reference ------------------------------------------------------------------------------------


def test_known_values():
    reference = np.array([[3.0, 4.0], [1.0, 0.0]])
    estimate = np.array([[3.0, 4.5], [1.0, 1.0]])
    np.testing.assert_allclose(snr(estimate, reference), [20, 0], atol=1e-12)
    np.testing.assert_allclose(rmse(estimate, reference), [0.5 / np.sqrt(2), 1 / np.sqrt(2)])
    np.testing.assert_allclose(prd(estimate, reference), [10, 100])


def test_perfect_and_empty_estimates():
    reference = np.arange(1.0, 6.0)
    assert snr(reference, reference) == np.inf
    assert rmse(reference, reference) == prd(reference, reference) == 0
    assert snr(np.zeros(5), reference) == pytest.approx(0)
    assert prd(np.zeros(5), reference) == pytest.approx(100)


@given(st.integers(0, 2**32 - 1), st.floats(-60, 60))
def test_identities(seed, level):
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=(4, 3, 17))
    estimate = reference + 10 ** (level / 20) * rng.normal(size=(4, 3, 17))
    decibels, root, percent = (figure(estimate, reference) for figure in (snr, rmse, prd))
    assert decibels.shape == root.shape == percent.shape == (4, 3)
    np.testing.assert_allclose(root * 10 ** (decibels / 20), np.sqrt(np.mean(reference**2, axis=-1)))
    np.testing.assert_allclose(percent, 100 * 10 ** (-decibels / 20))
    np.testing.assert_allclose(snr(-7 * estimate, -7 * reference), decibels)
    np.testing.assert_allclose(rmse(7 * estimate, 7 * reference), 7 * root)


def test_single_precision_is_summed_in_double():
    reference = np.ones(1 << 20, np.float32)
    estimate = reference + np.float32(2**-12)
    assert snr(estimate, reference) == pytest.approx(20 * 12 * np.log10(2), abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.floats(-40, 40), st.floats(1e-3, 1e3))
def test_the_scale_invariant_snr_is_that_after_the_best_factor(seed, level, factor):
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=(2, 3, 19))
    estimate = reference + 10 ** (level / 20) * rng.normal(size=reference.shape)
    found = scale_invariant_snr(estimate, reference)
    np.testing.assert_allclose(scale_invariant_snr(-factor * estimate, reference), found, rtol=1e-9)
    cosine = np.sum(estimate * reference, -1) / np.sqrt(np.sum(estimate**2, -1) * np.sum(reference**2, -1))
    np.testing.assert_allclose(found, -10 * np.log10(1 - cosine**2), rtol=1e-6, atol=1e-9)
    assert np.all(found >= snr(estimate, reference) - 1e-9)


def test_amplitude_and_averages():
    rng = np.random.default_rng(2)
    reference = rng.normal(size=(4, 30))
    across = rng.normal(size=(4, 30))
    across -= (
        np.sum(across * reference, -1, keepdims=True) / np.sum(reference**2, -1, keepdims=True) * reference
    )
    np.testing.assert_allclose(amplitude_bias(0.8 * reference + across, reference), 0.8)
    assert np.isnan(amplitude_bias(np.ones(5), np.zeros(5)))
    assert scale_invariant_snr(np.zeros(5), np.ones(5)) == 0
    assert np.isnan(snr(np.zeros(5), np.zeros(5)))
    # the mean of m repeats has 10 log10(m) dB more than one
    assert equivalent_averages(12.0 + 10 * np.log10(16), 12.0) == pytest.approx(16)


# --- without a reference ---------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [WHITE, COLOUR], ids=["white", "coloured"])
def test_the_error_is_unbiased(colour):
    """Shrunk repeats of different objects, 200 draws, three standard errors."""
    rng = np.random.default_rng(1)
    differences = []
    for _ in range(200):
        clean = rng.normal(size=(4, 1, 3, SAMPLES))
        repeats = clean + noise(rng, 4, 5, 3, colour=colour)[0]
        estimate = 0.6 * repeats
        figures = score_repeats(estimate, repeats)
        differences.append(
            [figures.error - np.mean((estimate - clean) ** 2), figures.power - np.mean(clean**2)]
        )
    mean, spread = np.mean(differences, axis=0), np.std(differences, axis=0, ddof=1)
    assert np.all(np.abs(mean) < 3 * spread / np.sqrt(200))
    assert np.all(spread < 0.1)


def common_noise_draws(rng, count, *, told):
    """Noise that all repeats have in common, as a subtracted background leaves it; not in the estimates."""
    differences = []
    for _ in range(count):
        clean = rng.normal(size=(1, 1, 3, SAMPLES))
        shared, power = noise(rng, 1, 1, 3, colour=0.5 * COLOUR)
        repeats = clean + noise(rng, 1, 6, 3)[0] + shared
        estimate = clean + 0.3 * noise(rng, 1, 6, 3)[0]
        figures = score_repeats(estimate, repeats, common_noise=np.tile(power, (3, 1)) if told else 0.0)
        differences.append(
            [figures.error - np.mean((estimate - clean) ** 2), figures.power - np.mean(clean**2)]
        )
    return np.array(differences)


def test_noise_that_all_repeats_share():
    rng = np.random.default_rng(2)
    told = common_noise_draws(rng, 200, told=True)
    assert np.all(np.abs(told.mean(axis=0)) < 3 * told.std(axis=0, ddof=1) / np.sqrt(200))
    untold = common_noise_draws(rng, 200, told=False)
    assert np.all(untold.mean(axis=0) > 3 * untold.std(axis=0, ddof=1) / np.sqrt(200))


@pytest.mark.parametrize("colour", [WHITE, COLOUR], ids=["white", "coloured"])
@pytest.mark.parametrize(
    ("signals", "repeats", "offset"), [(1, 1, 0.0), (1, 1, 0.7), (8, 1, 0.3), (2, 5, 0.3)]
)
def test_the_uncertainty_is_the_spread(colour, signals, repeats, offset):
    """Independent judges, an estimate of a known error."""
    rng = np.random.default_rng(3)
    errors, foretold = [], []
    for _ in range(300):
        judge, power = noise(rng, signals, repeats, 3, colour=colour)
        estimate = np.full(judge.shape, offset)
        figures = reference_free(estimate, judge, np.tile(power, (3, 1)), 1.0)
        errors.append(figures.error)
        foretold.append(figures.uncertainty)
    assert np.mean(errors) == pytest.approx(offset**2, abs=3 * np.std(errors) / np.sqrt(300))
    assert np.std(errors, ddof=1) == pytest.approx(np.mean(foretold), rel=0.15)


LOW = np.arange(SAMPLES // 2 + 1) < 10
ESTIMATORS = {
    "identity": lambda noisy: noisy,
    "shrunk": lambda noisy: 0.6 * noisy,
    "fixed": lambda noisy: np.full_like(noisy, 0.4),
    "low pass": lambda noisy: np.fft.irfft(np.fft.rfft(noisy) * LOW, n=SAMPLES),
}


@pytest.mark.parametrize("colour", [WHITE, COLOUR], ids=["white", "coloured"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("signals", "count"), [(1, 2), (3, 2), (12, 2), (1, 3), (3, 6), (1, 20)])
def test_the_uncertainty_of_a_score_is_the_spread_over_draws(colour, estimator, signals, count):
    rng = np.random.default_rng(4)
    clean, figures = rng.normal(size=(signals, 1, 2, SAMPLES)), []
    for _ in range(250):
        repeats = clean + noise(rng, signals, count, 2, colour=colour)[0]
        figures.append(score_repeats(ESTIMATORS[estimator](repeats), repeats))
    told = np.mean([figure.uncertainty for figure in figures])
    assert 0.85 < np.std([figure.error for figure in figures], ddof=1) / told < 1.15


def test_many_repeats_show_noise_that_lines_and_channels_share():
    """Two channels with the same noise, clipped, so that each line depends on all others."""
    rng = np.random.default_rng(15)
    clean, figures = rng.normal(size=(1, 1, 1, SAMPLES)), []
    for _ in range(250):
        repeats = np.repeat(clean + noise(rng, 1, 20, 1, colour=COLOUR)[0], 2, axis=2)
        figures.append(score_repeats(np.clip(repeats, -1, 1), repeats))
    told = np.mean([figure.uncertainty for figure in figures])
    assert 0.85 < np.std([figure.error for figure in figures], ddof=1) / told < 1.15


@pytest.mark.parametrize("common_to_all", [False, True])
@pytest.mark.parametrize("score", [score_mean, score_repeats])
def test_the_uncertainty_by_noise_that_judges_have_in_common(score, common_to_all):
    """All repeats of a signal, or of all signals, lost the same background."""
    rng, offset, figures = np.random.default_rng(14), 0.3, []
    for _ in range(400):
        shared, power = noise(rng, 1 if common_to_all else 4, 1, 3, colour=0.7 * COLOUR)
        repeats = shared + noise(rng, 4, 6, 3)[0]
        estimate = np.full((4, 1 if score is score_mean else 6, 3, SAMPLES), offset)
        common = np.tile(power, (3, 1))
        figures.append(score(estimate, repeats, common_noise=common, common_to_all=common_to_all))
    errors = np.array([figure.error for figure in figures])
    assert errors.mean() == pytest.approx(offset**2, abs=3 * errors.std() / 20)
    told = np.mean([figure.uncertainty for figure in figures])
    assert 0.85 < errors.std(ddof=1) / told < 1.15


def test_one_judge_by_hand():
    """Without noise the error is the mean squared difference."""
    rng = np.random.default_rng(5)
    estimate, judge = rng.normal(size=(2, 4, 2, 3, SAMPLES + 1))
    figures = reference_free(estimate, judge, np.zeros((3, SAMPLES // 2 + 1)), 2.5)
    assert figures.error == pytest.approx(np.mean((estimate - judge) ** 2))
    assert (figures.uncertainty, figures.power) == (0, 2.5)


def test_score_repeats_is_the_textbook_formula_for_two_repeats():
    """Reference-free MSE: mean (f(y1) - y2)² - ½ mean (y1 - y2)²."""
    rng = np.random.default_rng(6)
    repeats = rng.normal(size=(5, 2, 3, SAMPLES))
    estimate = rng.normal(size=repeats.shape)
    expected = np.mean((estimate - repeats[:, ::-1]) ** 2) - np.mean((repeats[:, 0] - repeats[:, 1]) ** 2) / 2
    figures = score_repeats(estimate, repeats)
    assert figures.error == pytest.approx(expected)
    assert figures.power == pytest.approx(np.mean(repeats[:, 0] * repeats[:, 1]))


def test_clean_power_is_the_mean_product_of_different_repeats():
    rng = np.random.default_rng(7)
    repeats = rng.normal(size=(2, 4, 3, 7))
    products = [
        np.mean(repeats[:, first] * repeats[:, second])
        for first in range(4)
        for second in range(4)
        if first != second
    ]
    assert clean_power(repeats) == pytest.approx(np.mean(products))


@pytest.mark.parametrize("score", [score_mean, score_repeats])
def test_common_noise_is_taken_from_error_and_power(score):
    rng = np.random.default_rng(8)
    repeats = rng.normal(size=(2, 4, 3, SAMPLES))
    power = np.full((3, SAMPLES // 2 + 1), 0.25 * SAMPLES)  # white noise of a variance of 0.25
    with_common, without = (score(repeats[:, :1], repeats, common_noise=c) for c in (power, 0.0))
    assert without.power - with_common.power == pytest.approx(0.25)
    assert without.error - with_common.error == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("signals", "count", "offset"), [(1, 2, 0.0), (1, 2, 0.7), (8, 2, 0.0), (6, 3, 0.3), (1, 12, 0.2)]
)
def test_error_and_uncertainty_of_a_score_by_the_mean(signals, count, offset):
    """The noise is measured from the judges too, with two of them no better than the error itself."""
    rng = np.random.default_rng(9)
    shape = (signals, 1, 3, SAMPLES)
    figures = [
        score_mean(np.full(shape, offset), noise(rng, signals, count, 3, colour=COLOUR)[0])
        for _ in range(300)
    ]
    errors = [figure.error for figure in figures]
    assert np.mean(errors) == pytest.approx(offset**2, abs=3 * np.std(errors) / np.sqrt(300))
    foretold = np.mean([figure.uncertainty for figure in figures])
    assert np.std(errors, ddof=1) == pytest.approx(foretold, rel=0.15)


@pytest.mark.parametrize(
    ("error", "uncertainty", "power", "is_bound", "decibels"),
    [
        (0.1, 0.01, 10, False, 20),
        (0.1, 0.06, 10, True, 10 * np.log10(10 / 0.22)),
        (-0.3, 0.05, 10, True, 20),
        (0.1, 0.01, -1, False, -np.inf),
        (0.0, 0.0, 1, False, np.inf),
    ],
)
def test_decibels(error, uncertainty, power, is_bound, decibels):
    figures = ReferenceFree(error, uncertainty, power)
    assert figures.is_bound == is_bound
    assert figures.snr_db == pytest.approx(decibels)
    if is_bound:
        assert figures.snr_error_db is None


def test_error_of_the_decibels():
    """The slope of 10 log10."""
    figures, more = ReferenceFree(0.5, 1e-4, 3), ReferenceFree(0.5 + 1e-4, 1e-4, 3)
    assert figures.snr_error_db == pytest.approx(figures.snr_db - more.snr_db, rel=1e-3)


def test_an_error_of_zero_has_no_standard_error_in_decibels():
    assert ReferenceFree(0.0, 0.0, 1.0).snr_error_db is None


def test_sets_are_joined_as_if_they_were_one():
    """Equal judges: the figures of all signals are the weighted figures of the parts."""
    rng = np.random.default_rng(10)
    repeats = rng.normal(size=(6, 4, 3, SAMPLES))
    estimate = 0.5 * repeats
    parts = [score_repeats(estimate[each], repeats[each]) for each in (slice(0, 2), slice(2, 6))]
    whole = score_repeats(estimate, repeats)
    joined = combine(parts, [2, 4])
    assert joined.error == pytest.approx(whole.error)
    assert joined.power == pytest.approx(whole.power)
    assert joined.uncertainty == pytest.approx(whole.uncertainty, rel=0.1)
    assert combine(parts[:1], [5]) == parts[0]
