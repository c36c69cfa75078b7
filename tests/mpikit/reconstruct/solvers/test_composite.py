"""The whole objective: closed forms, optimality, and two solvers that know nothing of each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.events import Step, Warned
from mpikit.reconstruct.solvers import L1, TotalVariation, Wavelet, admm, cgls, fista, penalty_scale, tikhonov
from mpikit.reconstruct.solvers.fista import start_fista
from mpikit.reconstruct.solvers.problem import make_problem

SHAPE = (2, 3, 4)
PRIORS = {
    "none": None,
    "l1": L1(),
    "tv": TotalVariation(SHAPE),
    "tv of a plane, anisotropic": TotalVariation((6, 4), isotropic=False),
    "wavelet": Wavelet(SHAPE, "haar"),
}
every_prior = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
both_solvers = pytest.mark.parametrize("solver", [fista, admm])
COMPLEX = {"enforce_real": False, "enforce_positive": False}
REAL = {"enforce_real": True, "enforce_positive": False}
POSITIVE = {"enforce_real": True, "enforce_positive": True}
every_set = pytest.mark.parametrize("images", [COMPLEX, REAL, POSITIVE], ids=["complex", "real", "positive"])
EXACT = {"iterations": 6000, "tolerance": 1e-11}
L1_LIMIT = [
    0.8541669436 - 0.0563993815j,
    1.8686178705 - 0.0106691491j,
    0.5087781379 + 0.0505983593j,
]


def objective(matrix, data, image, *, lambda_, mu=0.0, prior=None, weights=1.0):
    """The objective with absolute weights, for each frame."""
    rest = np.atleast_2d(weights).T * (matrix @ image - data)
    value = (np.abs(rest) ** 2).sum(axis=0) + lambda_ * (np.abs(image) ** 2).sum(axis=0)
    return value if prior is None else value + mu * prior.value(image)


def test_oracle_t11_iterates(oracle):
    wanted = [
        [0.2626463884 + 0.0285485205j, 0.6406294071 - 0.0120305992j, 0.1877660216 - 0.0276126502j],
        [0.4453602752 + 0.0291531110j, 1.0588860805 - 0.0178526646j, 0.3044680288 - 0.0250442750j],
        [0.6078706137 + 0.0151964363j, 1.4103075210 - 0.0204519606j, 0.3983701551 - 0.0086388612j],
    ]
    problem = make_problem(*oracle, lambda_=0, mu=1, relative=False, weights=None, real=False)
    iteration = start_fista(problem, L1(), positive=False, bound=1 / 0.05)
    for image in wanted:
        iteration.advance()
        np.testing.assert_allclose(iteration.image[:, 0], image, atol=1e-10)


@both_solvers
def test_oracle_t11_limit(oracle, solver):
    # 1/2 ||.||^2 + 0.5 |.| of others is mu = 1 here.
    found = solver(*oracle, lambda_=0, mu=1, prior=L1(), relative=False, **COMPLEX, **EXACT)
    np.testing.assert_allclose(found[:, 0], L1_LIMIT, atol=1e-9)


@both_solvers
@pytest.mark.parametrize(("rows", "voxels"), [(29, 13), (9, 17)])
def test_positive_images_are_those_of_non_negative_least_squares(make_system, solver, rows, voxels):
    matrix, data = make_system(1, rows, voxels)
    data[:, 1] -= 2 * matrix[:, 3]
    weights = np.linspace(0.5, 2, rows)
    lambda_ = 0.05 * penalty_scale(matrix, weights)
    found = solver(matrix, data, lambda_=0.05, weights=weights, **POSITIVE, **EXACT)
    weighted = weights[:, None] * matrix
    stacked = np.concatenate([weighted.real, weighted.imag, np.sqrt(lambda_) * np.eye(voxels)])
    for image, column in zip(found.T, (weights[:, None] * data).T, strict=True):
        wanted, _ = nnls(stacked, np.concatenate([column.real, column.imag, np.zeros(voxels)]))
        np.testing.assert_allclose(image, wanted, atol=1e-7)
        np.testing.assert_array_equal(image == 0, wanted == 0)
    assert (found == 0).any()


@both_solvers
@every_set
def test_sparse_images_meet_the_conditions_of_a_minimum(make_system, solver, images):
    matrix, data = make_system(2)
    lambda_, mu = 0.5, 40.0
    found = solver(matrix, data, lambda_=lambda_, mu=mu, prior=L1(), relative=False, **images, **EXACT)
    slope = 2 * matrix.conj().T @ (matrix @ found - data) + 2 * lambda_ * found
    if images["enforce_real"]:
        slope = slope.real
    held = np.abs(found) > 0
    assert 0.1 < held.mean() < 0.9
    np.testing.assert_allclose(slope[held], -mu * found[held] / np.abs(found[held]), atol=1e-5)
    if images["enforce_positive"]:
        assert found.min() == 0
        assert slope[~held].min() > -mu
    else:
        assert np.abs(slope[~held]).max() < mu


@both_solvers
def test_the_weight_that_empties_the_image(make_system, solver):
    matrix, data = make_system(3, frames=1)
    limit = 2 * np.abs(matrix.conj().T @ data).max()
    options = {"lambda_": 0.3, "prior": L1(), "relative": False, **COMPLEX, **EXACT}
    assert not solver(matrix, data, mu=1.0001 * limit, **options).any()
    assert np.count_nonzero(solver(matrix, data, mu=0.999 * limit, **options)) == 1


@both_solvers
def test_much_total_variation_leaves_a_constant(make_system, solver):
    matrix, data = make_system(4)
    column = matrix.sum(axis=1)
    wanted = (column.conj() @ data).real / (np.vdot(column, column).real + 0.5 * 24)
    options = {"lambda_": 0.5, "relative": False, **REAL, "iterations": 3000, "tolerance": 1e-9}
    found = solver(matrix, data, mu=1e4, prior=TotalVariation(SHAPE), **options)
    np.testing.assert_allclose(found, np.broadcast_to(wanted, (24, 3)), atol=1e-6)


@every_prior
@every_set
def test_two_solvers_and_one_minimum(make_system, prior, images):
    matrix, data = make_system(5)
    mu = 0.0 if prior is None else 0.3
    weights = np.linspace(0.5, 1.5, 37)
    options = {"lambda_": 0.02, "mu": mu, "prior": prior, "weights": weights, **images}
    first = fista(matrix, data, iterations=4000, tolerance=1e-9, **options)
    second = admm(matrix, data, iterations=4000, tolerance=1e-8, **options)
    assert np.isrealobj(first) == np.isrealobj(second) == images["enforce_real"]
    if images["enforce_positive"]:
        assert first.min() >= 0
        assert second.min() >= 0
    np.testing.assert_allclose(first, second, atol=2e-5)
    scale = penalty_scale(matrix, weights)
    penalties = {"lambda_": 0.02 * scale, "mu": mu * scale, "prior": prior, "weights": weights}
    least = objective(matrix, data, first, **penalties)
    np.testing.assert_allclose(objective(matrix, data, second, **penalties), least, rtol=1e-6)
    # No image in the neighbourhood, and no early one, is better.
    rng = np.random.default_rng(6)
    for size in (1e-3, 0.1):
        for _ in range(20):
            other = first + size * rng.normal(size=first.shape)
            other = np.maximum(other, 0) if images["enforce_positive"] else other
            assert (objective(matrix, data, other, **penalties) > least).all()
    for solver in (fista, admm):
        early = solver(matrix, data, iterations=7, tolerance=0, **options)
        assert (objective(matrix, data, early, **penalties) >= least * (1 - 1e-9)).all()


@both_solvers
@settings(deadline=None, max_examples=4)
@given(scale=st.floats(1e-6, 1e6), angle=st.floats(0, 6.2))
def test_a_common_factor_changes_nothing(make_system, solver, scale, angle):
    matrix, data = make_system(7)
    factor = scale * np.exp(1j * angle)
    options = {"lambda_": 0.05, "mu": 0.2, "prior": TotalVariation(SHAPE), "tolerance": 1e-7}
    wanted = solver(matrix, data, **options)
    found = solver(factor * matrix, factor * data, **options)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@both_solvers
def test_mu_has_the_unit_of_the_image(make_system, solver):
    matrix, data = make_system(8)
    options = {"lambda_": 0.05, "prior": Wavelet(SHAPE, "haar"), "tolerance": 1e-8, "iterations": 3000}
    wanted = solver(matrix, data, mu=0.2, **options)
    np.testing.assert_allclose(solver(matrix, 10 * data, mu=2, **options), 10 * wanted, atol=1e-5)


@both_solvers
@pytest.mark.parametrize("prior", [PRIORS["l1"], PRIORS["tv"]])
def test_a_batch_is_its_frames_one_by_one(make_system, solver, prior):
    matrix, data = make_system(9, frames=5)
    data = data * np.array([1, 1e-3, 0, 40, 3])  # one is empty, and they need different iterations
    options = {"lambda_": 0.05, "mu": 0.1, "prior": prior, "tolerance": 1e-7, "iterations": 2000}
    together = solver(matrix, data, **options)
    apart = np.hstack([solver(matrix, column[:, None], **options) for column in data.T])
    size = np.linalg.norm(apart, axis=0)
    assert (np.linalg.norm(together - apart, axis=0) <= 1e-6 * size).all()
    assert not together[:, 2].any()


@both_solvers
def test_without_weight_the_prior_does_nothing(make_system, solver):
    matrix, data = make_system(10)
    wanted = solver(matrix, data, lambda_=0.1)
    np.testing.assert_array_equal(solver(matrix, data, lambda_=0.1, prior=TotalVariation(SHAPE)), wanted)


@both_solvers
@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
def test_single_precision_is_kept(make_system, solver, prior):
    matrix, data = make_system(11, kind=np.complex64)
    before = matrix.copy(), data.copy()
    options = {"lambda_": 0.1, "mu": 0.1 if prior else 0, "prior": prior}
    found = solver(matrix, data, tolerance=1e-5, **options)
    assert found.dtype == np.float32
    wanted = solver(matrix.astype(complex), data, tolerance=1e-7, iterations=3000, **options)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert solver(matrix, data, iterations=2, **options, **COMPLEX).dtype == np.complex64
    np.testing.assert_array_equal(matrix, before[0])
    np.testing.assert_array_equal(data, before[1])


def test_a_step_that_is_too_long_is_corrected(make_system):
    matrix, data = make_system(12)
    options = {"relative": False, "weights": None, "real": True}
    problem = make_problem(matrix, data, lambda_=1.0, **options)
    iteration = start_fista(problem, L1(), positive=False, bound=10.0)
    for _ in range(500):
        iteration.advance()
    wanted = tikhonov(matrix, data, lambda_=1.0, relative=False)
    np.testing.assert_allclose(iteration.image, wanted, atol=1e-8)


@pytest.mark.parametrize("solver", [cgls, fista, admm])
def test_steps_are_told(make_system, solver):
    matrix, data = make_system(13)
    events = []
    found = solver(matrix, data, lambda_=0.1, tolerance=1e-6, iterations=900, tell=events.append)
    assert all(isinstance(event, Step) for event in events)
    assert [event.index for event in events] == list(range(1, len(events) + 1))
    assert events[-1].values["residual"] <= 1e-6 < events[-2].values["residual"]
    wanted = objective(matrix, data, found, lambda_=0.1 * penalty_scale(matrix)).sum()
    assert events[-1].values["objective"] == pytest.approx(wanted, rel=1e-9)
    assert events[0].values["objective"] > wanted


@pytest.mark.parametrize("solver", [cgls, fista, admm])
def test_what_is_not_done_is_said(make_system, solver):
    matrix, data = make_system(14)
    events = []
    solver(matrix, data, lambda_=1e-3, tolerance=1e-9, iterations=3, tell=events.append)
    assert isinstance(events[-1], Warned)
    assert "3 of 3 frames are above the tolerance of 1e-09 after 3 iterations" in events[-1].text
    events.clear()
    solver(matrix, data, lambda_=1e-3, tolerance=0, iterations=3, tell=events.append)
    assert len(events) == 3


@pytest.mark.parametrize("solver", [cgls, fista, admm, tikhonov])
def test_bad_input_is_refused(make_system, solver):
    matrix, data = make_system(15, 9, 4)
    with pytest.raises(InputError, match=r"matrix \(9, 4\) and data \(8, 3\) do not fit"):
        solver(matrix, data[:8], lambda_=0.1)
    with pytest.raises(InputError, match="first in frame 2"):
        solver(matrix, np.where(np.arange(3) == 2, np.nan, data), lambda_=0.1)
    broken = matrix.copy()
    broken[5, 1] = np.inf
    with pytest.raises(InputError, match="row 5 of the system matrix"):
        solver(broken, data, lambda_=0.1)
    with pytest.raises(InputError, match="no row with energy"):
        solver(0 * matrix, data, lambda_=0.1)
    with pytest.raises(InputError, match=r"weights \(4,\) do not fit"):
        solver(matrix, data, lambda_=0.1, weights=np.ones(4))
    with pytest.raises(InputError, match="row weights must be finite and not negative"):
        solver(matrix, data, lambda_=0.1, weights=np.linspace(-1, 1, 9))
    for lambda_ in (-1, np.nan, np.inf):
        with pytest.raises(UsageError, match="lambda must be finite and not negative"):
            solver(matrix, data, lambda_=lambda_)


@pytest.mark.parametrize("solver", [cgls, fista, admm])
def test_bad_counts_are_refused(make_system, solver):
    matrix, data = make_system(16, 9, 4)
    with pytest.raises(UsageError, match="at least 1 and tolerance not negative, not 0"):
        solver(matrix, data, lambda_=0.1, iterations=0)
    with pytest.raises(UsageError, match="not 5 and -1"):
        solver(matrix, data, lambda_=0.1, iterations=5, tolerance=-1)


@both_solvers
def test_priors_that_do_not_fit_are_refused(make_system, solver):
    matrix, data = make_system(17)
    with pytest.raises(UsageError, match=r"the prior is for 30 voxels, \(5, 6\); the matrix has 24"):
        solver(matrix, data, lambda_=0.1, mu=0.1, prior=TotalVariation((5, 6)))
    with pytest.raises(UsageError, match="there is no prior"):
        solver(matrix, data, lambda_=0.1, mu=0.1)
    with pytest.raises(UsageError, match="mu must be finite and not negative"):
        solver(matrix, data, lambda_=0.1, mu=-0.1, prior=L1())


@pytest.mark.parametrize("solver", [cgls, fista, admm, tikhonov])
def test_overflow_is_a_numerical_error(make_system, solver):
    matrix, data = make_system(18, 9, 4)
    small, large = (matrix * 1e-15).astype(np.complex64), (data * 1e30).astype(np.complex64)
    with pytest.raises(NumericalError, match="finite"):
        solver(small, large, lambda_=0.1)
