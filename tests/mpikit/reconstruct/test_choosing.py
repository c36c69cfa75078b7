from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.reconstruct.choosing import LAMBDAS, background_noise, choose_lambda, decomposition
from mpikit.reconstruct.choosing.noise import noise_level
from mpikit.reconstruct.solvers import penalty_scale, tikhonov
from mpikit.reconstruct.weights import whitening

CRITERIA = ("discrepancy", "l-curve", "gcv")


def spectra(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def unitary(rng, rows, columns):
    return np.linalg.qr(spectra(rng, rows, columns))[0]


def smooth(rows, voxels):
    """A smooth kernel and an image: an ill-posed problem."""
    at, to = np.linspace(0, 1, voxels), np.linspace(0, 1, rows)[:, None]
    matrix = np.exp(-((to - at) ** 2) / 2 / 0.02**2 + 6j * np.pi * to * at)
    image = np.exp(-(((at - 0.3) / 0.05) ** 2)) + 0.7 * ((at > 0.5) & (at < 0.7))
    return matrix, image


def measured(rng, rows, voxels, frames, relative):
    """Matrix, noisy data, image and the noise of the rows."""
    matrix, image = smooth(rows, voxels)
    clean = matrix @ image
    sigma = relative * np.linalg.norm(clean) / rows**0.5
    noise = sigma * spectra(rng, rows, frames) / 2**0.5
    return matrix, clean[:, None] + noise, image, np.full(rows, sigma)


@pytest.mark.parametrize("rows", [12, 9])
def test_discrepancy_of_orthogonal_columns(rng, rows):
    """Residual λ/(a² + λ) of the part in the columns' space, and all of the rest."""
    matrix = 3 * unitary(rng, rows, 9)
    data = spectra(rng, rows, 4)
    inside = np.linalg.norm(matrix.conj().T @ data) ** 2 / 9 / 4
    outside = np.linalg.norm(data) ** 2 / 4 - inside
    sigma = np.linspace(0.5, 1.5, rows)
    sigma *= np.sqrt((outside + 0.2 * inside) / np.sum(sigma**2))
    choice = choose_lambda(matrix, data, criterion="discrepancy", noise=sigma, enforce_real=False)
    part = 0.2**0.5
    assert choice.relative == pytest.approx(part / (1 - part), rel=1e-8)
    assert choice.absolute == pytest.approx(9 * part / (1 - part), rel=1e-8)
    assert choice.target == pytest.approx(np.linalg.norm(sigma))


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("shape", [(40, 15), (11, 30), (20, 30)])
def test_the_residual_of_the_chosen_image_is_the_noise(rng, shape, real):
    matrix = spectra(rng, *shape)
    data = 5 * spectra(rng, shape[0], 3)
    weights = rng.uniform(0.5, 2, shape[0])
    least = tikhonov(matrix, data, lambda_=1e-6, weights=weights, enforce_real=real)
    low = np.linalg.norm(weights[:, None] * (matrix @ least - data))
    high = np.linalg.norm(weights[:, None] * data)
    noise = np.full(shape[0], (0.6 * low + 0.4 * high) / 3**0.5 / np.linalg.norm(weights))
    choice = choose_lambda(
        matrix, data, criterion="discrepancy", noise=noise, weights=weights, enforce_real=real
    )
    image = tikhonov(matrix, data, lambda_=choice.relative, weights=weights, enforce_real=real)
    residual = np.linalg.norm(weights[:, None] * (matrix @ image - data)) / 3**0.5
    assert residual == pytest.approx(np.linalg.norm(weights * noise), rel=1e-6)
    assert choice.absolute == pytest.approx(choice.relative * penalty_scale(matrix, weights))


@pytest.mark.parametrize("block", [4, 512])
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("shape", [(20, 7), (6, 17), (9, 13)])
def test_the_curve_is_that_of_the_images(rng, shape, real, block, monkeypatch):
    """Residual, solution and cross-validation from images and from the hat matrix."""
    monkeypatch.setattr(decomposition, "_BLOCK", block)
    matrix, data = spectra(rng, *shape), spectra(rng, shape[0], 5)
    weights = rng.uniform(0.5, 2, shape[0])
    weights[2] = 0
    curve = choose_lambda(matrix, data, criterion="gcv", weights=weights, enforce_real=real).curve
    kept = np.delete(weights[:, None] * matrix, 2, axis=0)
    stacked = np.concatenate([kept.real, kept.imag]) if real else kept
    scale = penalty_scale(matrix, weights)
    for index in (0, 20, 40, 64):
        lambda_ = curve.lambdas[index]
        image = tikhonov(matrix, data, lambda_=lambda_, weights=weights, enforce_real=real)
        residual = np.linalg.norm(weights[:, None] * (matrix @ image - data)) / 5**0.5
        gram = stacked.conj().T @ stacked + lambda_ * scale * np.eye(shape[1])
        trace = len(stacked) - np.trace(stacked @ np.linalg.solve(gram, stacked.conj().T)).real
        assert curve.residuals[index] == pytest.approx(residual, rel=1e-6)
        assert curve.solutions[index] == pytest.approx(np.linalg.norm(image) / 5**0.5, rel=1e-6)
        expected = len(stacked) * residual**2 / trace**2
        assert curve.cross_validation[index] == pytest.approx(expected, rel=1e-4)


def test_cross_validation_leaves_one_row_out(rng):
    """On a circulant system, whose rows are all alike, it is the mean error of predicting each row."""
    first = spectra(rng, 8)
    matrix = np.array([np.roll(first, row) for row in range(8)])
    data = spectra(rng, 8, 3)
    candidates = np.array([0.01, 0.1, 1.0, 10.0])
    curve = choose_lambda(matrix, data, criterion="gcv", enforce_real=False, lambdas=candidates).curve
    for lambda_, value in zip(candidates, curve.cross_validation, strict=True):
        errors = []
        for row in range(8):
            rest, seen = np.delete(matrix, row, axis=0), np.delete(data, row, axis=0)
            absolute = lambda_ * penalty_scale(matrix)
            image = tikhonov(rest, seen, lambda_=absolute, relative=False, enforce_real=False)
            errors.append(np.sum(np.abs(matrix[row] @ image - data[row]) ** 2) / 3)
        assert value == pytest.approx(np.mean(errors), rel=1e-9)


def test_the_chosen_lambda_minimises_cross_validation(rng):
    matrix, data, _, _ = measured(rng, 40, 30, 2, 0.05)
    choice = choose_lambda(matrix, data, criterion="gcv")
    fine = choice.relative * np.array([0.9, 0.99, 1, 1.01, 1.1])
    values = choose_lambda(matrix, data, criterion="gcv", lambdas=fine).curve.cross_validation
    assert values.argmin() == 2


def test_the_curvature_is_that_of_the_drawn_curve(rng):
    matrix, data, _, _ = measured(rng, 40, 30, 2, 0.05)
    curve = choose_lambda(matrix, data, criterion="l-curve", lambdas=np.geomspace(1e-4, 10, 5001)).curve
    x, y, t = np.log(curve.residuals), np.log(curve.solutions), np.log(curve.lambdas)
    x1, y1 = np.gradient(x, t), np.gradient(y, t)
    expected = (x1 * np.gradient(y1, t) - y1 * np.gradient(x1, t)) / np.hypot(x1, y1) ** 3
    inner = slice(3, -3)
    np.testing.assert_allclose(curve.curvature[inner], expected[inner], rtol=1e-3, atol=1e-3)


def two_directions(epsilon):
    """With s = (1, ε) and data (1, √ε) the residual at ε²/λ is √ε times the solution at λ: symmetric."""
    return np.diag([1.0, epsilon]).astype(complex), np.array([[1.0], [epsilon**0.5]])


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("epsilon", [1e-2, 1e-4])
def test_the_corner_of_a_symmetric_curve(epsilon, real):
    matrix, data = two_directions(epsilon)
    candidates = np.geomspace(1e-7, 1.3, 150)
    choice = choose_lambda(matrix, data, criterion="l-curve", lambdas=candidates, enforce_real=real)
    assert choice.absolute == pytest.approx(epsilon, rel=1e-4)
    assert choice.warnings == ("the noise is unknown: the choice cannot be checked against it",)


@pytest.mark.parametrize("seed", range(5))
def test_where_nothing_is_regularised_there_is_no_corner(seed):
    """A well-conditioned system: the curve bends sharply, with rounding, near the least-squares image."""
    matrix, data, _, _ = measured(np.random.default_rng(seed), 40, 30, 2, 0.05)
    choice = choose_lambda(matrix, data, criterion="l-curve", lambdas=np.geomspace(1e-10, 1e2, 400))
    assert choice.relative == pytest.approx(1e-10)
    assert choice.curve.curvature[0] > 10
    assert "no corner inside" in choice.reason


@pytest.mark.parametrize(("low", "high", "end"), [(2, 5, "smallest"), (0.2, 0.5, "largest")])
def test_a_curve_without_a_corner_inside(low, high, end):
    matrix, data = two_directions(1e-3)
    candidates = np.geomspace(low, high, 7) * 1e-3 / penalty_scale(matrix)
    choice = choose_lambda(matrix, data, criterion="l-curve", lambdas=candidates)
    assert choice.relative == candidates[0 if end == "smallest" else -1]
    assert "no corner inside" in choice.reason
    assert any(end in text for text in choice.warnings)


@settings(max_examples=25, deadline=None)
@given(st.floats(-9, 9), st.floats(-9, 9), st.sampled_from(CRITERIA))
def test_relative_lambda_has_no_scale(of_matrix, of_data, criterion):
    rng = np.random.default_rng(5)
    matrix, data, _, noise = measured(rng, 30, 20, 2, 0.05)
    expected = choose_lambda(matrix, data, criterion=criterion, noise=noise)
    a, b = 10**of_matrix, 10**of_data
    found = choose_lambda(a * matrix, b * data, criterion=criterion, noise=b * noise)
    assert found.relative == pytest.approx(expected.relative, rel=1e-4)
    assert found.absolute == pytest.approx(expected.absolute * a**2, rel=1e-4)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_frames_again_and_voxels_in_another_order_change_nothing(rng, criterion):
    matrix, data, _, noise = measured(rng, 30, 20, 2, 0.05)
    expected = choose_lambda(matrix, data, criterion=criterion, noise=noise).relative
    order = rng.permutation(20)
    found = choose_lambda(matrix[:, order], np.tile(data, 3), criterion=criterion, noise=noise)
    assert found.relative == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("criterion", "most"), [("auto", 1.1), ("discrepancy", 1.1), ("gcv", 1.25), ("l-curve", 1.6)]
)
@pytest.mark.parametrize(("rows", "voxels", "relative"), [(100, 90, 0.01), (150, 60, 0.05)])
def test_the_error_is_near_the_least_one(rng, criterion, most, rows, voxels, relative):
    matrix, data, image, noise = measured(rng, rows, voxels, 20, relative)
    chosen = choose_lambda(matrix, data, criterion=criterion, noise=noise).relative

    def error(lambda_):
        return np.linalg.norm(tikhonov(matrix, data, lambda_=lambda_) - image[:, None])

    least = min(error(lambda_) for lambda_ in LAMBDAS)
    assert least < 0.9 * error(LAMBDAS[0])  # else any small one would do
    assert error(chosen) <= most * least


def test_auto_takes_the_discrepancy_principle_with_plausible_noise(rng):
    matrix, data, _, noise = measured(rng, 100, 90, 20, 0.01)
    choice = choose_lambda(matrix, data, noise=noise)
    assert choice.criterion == "discrepancy"
    assert "because the noise is known and plausible" in choice.reason
    assert choice.warnings == ()
    assert choice.relative == choose_lambda(matrix, data, criterion="discrepancy", noise=noise).relative


@pytest.mark.parametrize(
    ("factor", "why"),
    [
        (0.3, "below the smallest residual"),
        (200.0, "above the largest residual"),
        (3.0, "far above that of the part"),
    ],
)
def test_auto_takes_cross_validation_with_implausible_noise(rng, factor, why):
    matrix, data, _, noise = measured(rng, 150, 60, 20, 0.05)
    choice = choose_lambda(matrix, data, noise=factor * noise)
    assert choice.criterion == "gcv"
    assert choice.relative == choose_lambda(matrix, data, criterion="gcv").relative
    assert why in choice.reason
    assert any(why in text for text in choice.warnings)


def test_one_frame_of_many_rows_is_too_uncertain(rng):
    matrix, data, _, _ = measured(rng, 800, 20, 1, 0.1)
    residual = choose_lambda(matrix, data).curve.residuals
    noise = np.full(800, 1.005 * residual[0] / 800**0.5)
    assert "too uncertain" in choose_lambda(matrix, data, noise=noise).reason
    frames = np.tile(data, 400)
    assert choose_lambda(matrix, frames, noise=noise).criterion == "discrepancy"


def test_without_noise_auto_is_cross_validation_and_says_so(rng):
    matrix, data, _, _ = measured(rng, 40, 30, 2, 0.05)
    choice = choose_lambda(matrix, data)
    assert (choice.criterion, choice.target) == ("gcv", None)
    assert "because the noise is unknown" in choice.reason
    assert choice.warnings == ("the noise is unknown: the choice cannot be checked against it",)


@pytest.mark.parametrize("criterion", ["discrepancy", "gcv"])
@pytest.mark.parametrize(
    ("low", "high", "word"), [(10, 100, "smallest of the candidates"), (1e-9, 1e-8, "largest")]
)
def test_a_choice_at_an_end_is_warned_of(rng, criterion, low, high, word):
    matrix, data, _, noise = measured(rng, 100, 90, 20, 0.05)
    candidates = np.geomspace(low, high, 9)
    choice = choose_lambda(matrix, data, criterion=criterion, noise=noise, lambdas=candidates)
    assert choice.relative == candidates[0 if word.startswith("small") else -1]
    assert any(word in text for text in choice.warnings)


def test_unequal_noise_needs_whitening_for_cross_validation(rng):
    matrix, clean = unitary(rng, 60, 25), spectra(rng, 60, 4)
    noise = np.geomspace(0.01, 0.2, 60)
    text = "use whitening weights"
    plain = choose_lambda(matrix, clean, criterion="gcv", noise=noise)
    white = choose_lambda(matrix, clean, criterion="gcv", noise=noise, weights=1 / noise)
    assert any(text in each for each in plain.warnings)
    assert not any(text in each for each in white.warnings)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("shape", [(110, 140), (150, 90)])
def test_the_strongest_directions_give_the_same_choice(rng, shape, real):
    matrix, data, _, noise = measured(rng, *shape, 3, 0.1)
    weights = rng.uniform(0.5, 2, shape[0])
    common = {"noise": noise, "weights": weights, "enforce_real": real}
    for criterion in ("discrepancy", "gcv"):
        expected = choose_lambda(matrix, data, criterion=criterion, **common)
        found = choose_lambda(matrix, data, criterion=criterion, rank=60, rng=rng, **common)
        assert found.relative == pytest.approx(expected.relative, rel=0.05)
        count = len(found.curve.lambdas)
        assert 20 < count < len(LAMBDAS)
        np.testing.assert_allclose(found.curve.residuals, expected.curve.residuals[-count:], rtol=0.02)
        np.testing.assert_allclose(found.curve.solutions, expected.curve.solutions[-count:], rtol=0.02)
        close = expected.curve.cross_validation[-count:]
        np.testing.assert_allclose(found.curve.cross_validation, close, rtol=0.1)


def test_too_few_directions_are_warned_of_or_refused(rng):
    matrix, data, _, _ = measured(rng, 150, 90, 3, 0.001)
    choice = choose_lambda(matrix, data, rank=24, rng=rng)
    assert any("smallest which the number of singular directions allows" in text for text in choice.warnings)
    with pytest.raises(NumericalError, match="the 10 strongest directions do not tell enough") as raised:
        choose_lambda(matrix, data, lambdas=np.geomspace(1e-6, 1e-5, 4), rank=10, rng=rng)
    assert "larger rank" in raised.value.__str__() + raised.value.hint


def test_large_systems_need_a_generator(rng, monkeypatch):
    monkeypatch.setattr(decomposition, "LARGEST", 30)
    monkeypatch.setattr(decomposition, "RANK", 25)
    matrix, data, _, _ = measured(rng, 150, 60, 3, 0.05)
    with pytest.raises(ValueError, match="random generator"):
        choose_lambda(matrix, data)
    pair = [choose_lambda(matrix, data, rng=np.random.default_rng(3)) for _ in range(2)]
    assert pair[0].relative == pair[1].relative
    assert len(pair[0].curve.lambdas) < len(LAMBDAS)
    whole = choose_lambda(matrix, data, rank=45)  # 45 and some more are all
    assert len(whole.curve.lambdas) == len(LAMBDAS)


def test_single_precision(rng):
    matrix, data, _, noise = measured(rng, 100, 90, 20, 0.01)
    for criterion in CRITERIA:
        double = choose_lambda(matrix, data, criterion=criterion, noise=noise).relative
        single = choose_lambda(
            matrix.astype(np.complex64), data.astype(np.complex64), criterion=criterion, noise=noise
        )
        assert single.relative == pytest.approx(double, rel=1e-3)


def test_mistakes(rng):
    matrix, data = spectra(rng, 6, 4), spectra(rng, 6, 2)
    with pytest.raises(UsageError, match="no criterion is called 'best'"):
        choose_lambda(matrix, data, criterion="best")
    for lambdas in ([0.1, 0.2], [0, 0.1, 1], [0.1, 1, np.inf], [0.1, 0.1, 1]):
        with pytest.raises(UsageError, match="three or more"):
            choose_lambda(matrix, data, lambdas=np.array(lambdas))
    with pytest.raises(InputError, match="needs the noise"):
        choose_lambda(matrix, data, criterion="discrepancy")
    with pytest.raises(InputError, match="nothing that the system matrix explains"):
        choose_lambda(matrix, 0 * data)
    with pytest.raises(InputError, match="no frames"):
        choose_lambda(matrix, data[:, :0])
    with pytest.raises(InputError, match=r"noise \(5,\) does not fit"):
        choose_lambda(matrix, data, noise=np.ones(5))
    for noise in (-np.ones(6), np.full(6, np.nan)):
        with pytest.raises(InputError, match="finite and not negative"):
            choose_lambda(matrix, data, noise=noise)
    with pytest.raises(InputError, match="0 on all rows"):
        choose_lambda(matrix, data, noise=np.zeros(6))
    with pytest.raises(UsageError, match="at least 1"):
        choose_lambda(matrix, data, rank=0)


def test_noise_of_background_frames_is_that_of_whitening(rng):
    background = (np.geomspace(0.1, 5, 9)[:, None] * spectra(rng, 9, 6) + 100).astype(np.complex64)
    expected = 1 / whitening(background.T, averages=3, scaled=False)
    np.testing.assert_allclose(background_noise(background, averages=3), expected, rtol=1e-5)


def test_noise_of_averaged_data_without_their_background(rng):
    """Three frames averaged, the mean of four empty ones subtracted: as drawn."""
    sigma = np.array([0.5, 2.0])
    drawn = sigma[:, None, None] * spectra(rng, 2, 6000, 7) / 2**0.5
    data = drawn[..., :3].mean(axis=-1) - drawn[..., 3:].mean(axis=-1)
    variances = [
        background_noise(drawn[:, index, 3:], averages=3, subtracted=True) ** 2 for index in range(1000)
    ]
    np.testing.assert_allclose(np.mean(variances, axis=0), np.mean(np.abs(data) ** 2, axis=1), rtol=0.06)
    np.testing.assert_allclose(np.mean(np.abs(data) ** 2, axis=1), sigma**2 * (1 / 3 + 1 / 4), rtol=0.06)


@pytest.mark.parametrize("frames", [0, 1])
def test_noise_needs_two_background_frames(rng, frames):
    with pytest.raises(InputError, match=f"{frames} background frames, their noise needs two"):
        background_noise(spectra(rng, 5, frames))


def test_noise_of_bad_background_frames(rng):
    background = spectra(rng, 5, 4)
    with pytest.raises(UsageError, match="averages 0 frames"):
        background_noise(background, averages=0)
    background[3, 1] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        background_noise(background)


def test_the_energy_of_the_noise_and_its_spread(rng):
    sigma, weights = np.array([1.0, 0.5, 3.0, 0.2]), np.array([2.0, 1.0, 0.5, 0.0])
    level = noise_level(sigma, weights, 5)
    drawn = (weights * sigma)[:, None, None] * spectra(rng, 4, 5, 20000) / 2**0.5
    energies = np.sum(np.abs(drawn) ** 2, axis=0).mean(axis=0)
    assert level.energy == pytest.approx(energies.mean(), rel=0.02)
    assert level.spread == pytest.approx(energies.std(), rel=0.02)
    assert level.energy == pytest.approx(6.5)
