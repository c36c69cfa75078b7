"""The quadratic objective: every solver has one and the same limit, the closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpikit.errors import InputError, NumericalError
from mpikit.reconstruct import kaczmarz
from mpikit.reconstruct.solvers import admm, cgls, fista, penalty_scale, tikhonov, tikhonov_operator
from mpikit.reconstruct.solvers.fista import largest_curvature
from mpikit.reconstruct.solvers.problem import make_problem

TIKHONOV = [
    0.893082415948 - 0.060919369235j,
    1.878897649509 - 0.010681344838j,
    0.548423088367 + 0.056039869087j,
]
COMPLEX = {"enforce_real": False}
REAL = {"enforce_real": True}


def free(solver):
    """Call fista or admm without positivity, to the end."""

    def call(matrix, data, **options):
        return solver(matrix, data, iterations=4000, tolerance=1e-11, enforce_positive=False, **options)

    return call


def exact_cgls(matrix, data, **options):
    return cgls(matrix, data, iterations=300, tolerance=1e-13, **options)


def applied_operator(matrix, data, **options):
    return tikhonov_operator(matrix, **options)(data)


SOLVERS = {
    "cgls": exact_cgls,
    "fista": free(fista),
    "admm": free(admm),
    "tikhonov": tikhonov,
    "operator": applied_operator,
}
every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


def normal_equations(matrix, data, lambda_, *, real):
    if real:
        matrix = np.concatenate([matrix.real, matrix.imag])
        data = np.concatenate([data.real, data.imag])
    normal = matrix.conj().T @ matrix + lambda_ * np.eye(matrix.shape[1])
    return np.linalg.solve(normal, matrix.conj().T @ data)


def close(found, wanted, digits=1e-10):
    np.testing.assert_allclose(np.squeeze(found), np.squeeze(wanted), rtol=0, atol=digits)


def test_oracle_t10_conjugate_gradients(oracle):
    wanted = [
        [0.8021697856 + 0.0871923680j, 1.8571974385 - 0.0348769472j, 0.5929081024 - 0.0871923680j],
        [0.8872589845 - 0.0455895802j, 1.8814230869 - 0.0214866693j, 0.5462083327 + 0.0684664135j],
        TIKHONOV,
    ]
    for count, image in enumerate(wanted, start=1):
        options = {"lambda_": 0.25, "relative": False, "iterations": count, "tolerance": 0, **COMPLEX}
        close(cgls(*oracle, **options), image)


@every_solver
def test_oracle_limits(oracle, solver):
    matrix, data = oracle
    close(solver(matrix, data, lambda_=0.25, relative=False, **COMPLEX), TIKHONOV)
    t2 = [
        0.917277991208 - 0.065940723255j,
        1.925837285939 - 0.010198758011j,
        0.561090115529 + 0.060256053070j,
    ]
    close(solver(matrix, data, lambda_=0.01, **COMPLEX), t2)
    t3 = [0.891387644423, 1.870814666352, 0.545832350861]
    real = solver(matrix, data, lambda_=0.25, relative=False, **REAL)
    assert real.dtype == np.float64
    close(real, t3)
    t5 = [
        0.872040892193 - 0.146107806691j,
        1.686561338290 + 0.016780669145j,
        0.410412639405 + 0.043847583643j,
    ]
    weights = np.array([1, 0.5, 2, 0.25])
    close(solver(matrix, data, lambda_=0.25, relative=False, weights=weights, **COMPLEX), t5)


def test_oracle_t12_no_factor_of_two(oracle):
    # What others write as 1/2 ||.||^2 + 0.25 ||.||^2 is 0.5 here, and in Kaczmarz.
    wanted = [
        0.8598801258 - 0.0542552614j,
        1.8142221740 - 0.0112822738j,
        0.5309042092 + 0.0504041007j,
    ]
    for solver in (free(fista), tikhonov):
        close(solver(*oracle, lambda_=0.5, relative=False, **COMPLEX), wanted)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize(("rows", "voxels"), [(19, 7), (7, 11), (5, 13)])
def test_the_same_lambda_means_the_same_in_every_solver(make_system, real, rows, voxels):
    matrix, data = make_system(1, rows, voxels)
    weights = np.linspace(0.3, 2, rows)
    wanted = kaczmarz(
        weights[:, None] * matrix,
        weights[:, None] * data,
        lambda_=0.3,
        iterations=400,
        enforce_real=real,
        enforce_positive=False,
    )
    options = {"lambda_": 0.3, "weights": weights, "enforce_real": real}
    for name, solver in SOLVERS.items():
        found = solver(matrix, data, **options)
        distance = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
        assert distance < 1e-5, name


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 14),
    voxels=st.integers(1, 11),
    frames=st.integers(1, 4),
    lambda_=st.floats(1e-3, 10),
    real=st.booleans(),
)
def test_closed_form_solves_the_normal_equations(seed, rows, voxels, frames, lambda_, real):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, voxels)) + 1j * rng.normal(size=(rows, voxels))
    data = rng.normal(size=(rows, frames)) + 1j * rng.normal(size=(rows, frames))
    wanted = normal_equations(matrix, data, lambda_, real=real)
    options = {"lambda_": lambda_, "relative": False, "enforce_real": real}
    np.testing.assert_allclose(tikhonov(matrix, data, **options), wanted, rtol=0, atol=1e-9)
    np.testing.assert_allclose(tikhonov_operator(matrix, **options)(data), wanted, rtol=0, atol=1e-9)
    np.testing.assert_allclose(exact_cgls(matrix, data, **options), wanted, rtol=0, atol=1e-7)


def test_relative_and_absolute_weight(make_system):
    matrix, data = make_system(2, 9, 5)
    weights = np.linspace(0.5, 3, 9)
    factor = np.linalg.norm(weights[:, None] * matrix) ** 2 / 5
    assert penalty_scale(matrix, weights) == pytest.approx(factor, rel=1e-12)
    assert penalty_scale(matrix) == pytest.approx(np.linalg.norm(matrix) ** 2 / 5, rel=1e-12)
    assert tikhonov_operator(matrix, lambda_=0.07, weights=weights).lambda_ == pytest.approx(0.07 * factor)
    relative = tikhonov(matrix, data, lambda_=0.07, weights=weights)
    close(tikhonov(matrix, data, lambda_=0.07 * factor, relative=False, weights=weights), relative, 1e-13)


@settings(deadline=None, max_examples=10)
@given(scale=st.floats(1e-6, 1e6), angle=st.floats(0, 6.2))
def test_a_common_factor_changes_nothing(make_system, scale, angle):
    matrix, data = make_system(3, 13, 6)
    factor = scale * np.exp(1j * angle)
    for solver in SOLVERS.values():
        wanted = solver(matrix, data, lambda_=0.05, **COMPLEX)
        close(solver(factor * matrix, factor * data, lambda_=0.05, **COMPLEX), wanted, 1e-9)


@every_solver
def test_a_weight_of_zero_leaves_the_row_out(make_system, solver):
    matrix, data = make_system(4, 12, 5)
    weights = np.where(np.arange(12) % 3 == 1, 0.0, 1.0)
    kept = weights > 0
    wanted = solver(matrix[kept], data[kept], lambda_=0.1, **REAL)
    close(solver(matrix, data, lambda_=0.1, weights=weights, **REAL), wanted, 1e-9)


@every_solver
def test_single_precision_is_kept(make_system, solver):
    matrix, data = make_system(5, 12, 5, kind=np.complex64)
    before = matrix.copy(), data.copy()
    found = solver(matrix, data, lambda_=0.05, **REAL)
    assert found.dtype == np.float32
    assert found.shape == (5, 3)
    assert solver(matrix, data, lambda_=0.05, **COMPLEX).dtype == np.complex64
    close(found, tikhonov(matrix.astype(complex), data, lambda_=0.05, **REAL), 5e-6)
    np.testing.assert_array_equal(matrix, before[0])
    np.testing.assert_array_equal(data, before[1])


def test_closed_form_keeps_its_digits_in_single_precision():
    # Squaring a matrix of condition 1e3 in single precision would leave nothing.
    rng = np.random.default_rng(6)
    left = np.linalg.qr(rng.normal(size=(40, 9)))[0]
    right = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    matrix = ((left * np.logspace(0, -4, 9)) @ right.T).astype(np.complex64)
    data = matrix @ np.ones((9, 1), np.complex64)
    wanted = tikhonov(matrix.astype(complex), data, lambda_=1e-9, relative=False)
    assert np.linalg.norm(tikhonov(matrix, data, lambda_=1e-9, relative=False) - wanted) < 1e-5


def test_without_lambda_the_smallest_image_or_an_error(make_system):
    matrix, data = make_system(7, 4, 9)
    close(tikhonov(matrix, data, lambda_=0, **COMPLEX), np.linalg.pinv(matrix) @ data)
    with pytest.raises(NumericalError, match="normal equations are singular"):
        tikhonov(np.ones((5, 3), complex), np.ones((5, 1), complex), lambda_=0)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("correlated", [True, False])
def test_covariance_of_the_voxels_is_that_of_many_noisy_frames(make_system, real, correlated):
    rng = np.random.default_rng(8)
    matrix, _ = make_system(8, 7, 4)
    deviations = np.linspace(0.2, 2, 7)
    draws = 40_000
    noise = (rng.normal(size=(7, draws)) + 1j * rng.normal(size=(7, draws))) / np.sqrt(2)
    mixing = np.diag(deviations).astype(complex)
    if correlated:
        mixing[0, 1:4] = [0.5, 0.7j, -0.3 + 0.2j]
    sigma = mixing @ mixing.conj().T if correlated else deviations
    operator = tikhonov_operator(matrix, lambda_=0.1, weights=1 / deviations, enforce_real=real)
    images = operator(mixing @ noise)
    found = operator.covariance(sigma)
    wanted = images @ images.conj().T / draws
    assert np.isrealobj(found) == real
    scale = np.abs(found.diagonal()).max()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=6 * scale / np.sqrt(draws))
    assert np.abs(found - np.diag(found.diagonal())).max() > 0.1 * scale  # voxels know of each other
    np.testing.assert_allclose(operator.standard_deviation(sigma) ** 2, found.diagonal().real, rtol=1e-12)


def test_operator_refuses_what_does_not_fit(make_system):
    matrix, data = make_system(9, 7, 4)
    operator = tikhonov_operator(matrix, lambda_=0.1)
    with pytest.raises(InputError, match=r"data \(6, 3\) do not fit: expected \(7, Q\)"):
        operator(data[:6])
    with pytest.raises(NumericalError, match="not finite"):
        operator(data * np.inf)
    with pytest.raises(InputError, match=r"noise \(4,\) does not fit"):
        operator.standard_deviation(np.ones(4))


@pytest.mark.parametrize("real", [True, False])
def test_power_iteration_finds_the_largest_curvature(make_system, real):
    matrix, data = make_system(10, 23, 9)
    weights = np.linspace(1, 2, 23)
    problem = make_problem(matrix, data, lambda_=0.7, relative=False, weights=weights, real=real)
    weighted = weights[:, None] * matrix
    stacked = np.concatenate([weighted.real, weighted.imag]) if real else weighted
    wanted = np.linalg.norm(stacked, 2) ** 2 + 0.7
    assert wanted <= largest_curvature(problem) <= 1.03 * wanted
