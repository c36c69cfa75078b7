"""What Kaczmarz says of each sweep, and what its scale, its types and its groups of frames change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.reconstruct import kaczmarz, kaczmarz_sweeps
from mpikit.reconstruct.blocked import GROUP
from mpikit.reconstruct.iteration import begin
from mpikit.reconstruct.rows import ArrayRows

FREE = {"enforce_real": False, "enforce_positive": False}


def problem(seed, rows=9, voxels=4, frames=2):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, voxels)) + 1j * rng.normal(size=(rows, voxels))
    data = rng.normal(size=(rows, frames)) + 1j * rng.normal(size=(rows, frames))
    return matrix, data


def last(*args, **options):
    *_, found = kaczmarz_sweeps(*args, **options)
    return found


def met(matrix, data, lambda_, image, dual):
    """Norm of the residuals that one sweep meets, row by row; changes image and dual (M, Q)."""
    squares, penalty = 0.0, np.broadcast_to(lambda_, image.shape[:1])
    ridge = lambda_ if np.ndim(lambda_) == 0 else 1.0
    inverse = np.ones(len(penalty)) if np.ndim(lambda_) == 0 else 1 / penalty
    for place, row in enumerate(matrix):
        rest = data[place] - row @ image - ridge**0.5 * dual[place]
        squares += np.vdot(rest, rest).real
        beta = rest / (np.sum(np.abs(row) ** 2 * inverse) + ridge)
        image += (row.conj() * inverse)[:, None] * beta
        dual[place] += ridge**0.5 * beta
    return np.sqrt(squares)


@pytest.mark.parametrize("lambda_", [0.7, np.array([0.5, 0.9, 1.7, 0.3])], ids=["one", "each"])
def test_the_residual_is_what_the_rows_met(lambda_):
    matrix, data = problem(1)
    weights = np.linspace(0.5, 2, len(matrix))
    image, dual = np.zeros((4, 2), complex), np.zeros((9, 2), complex)
    options = {"lambda_": lambda_, "relative": False, "weights": weights, "block": 1, **FREE}
    for sweep in kaczmarz_sweeps(matrix, data, iterations=3, **options):
        wanted = met(weights[:, None] * matrix, weights[:, None] * data, lambda_, image, dual)
        assert sweep.residual == pytest.approx(wanted / np.linalg.norm(weights[:, None] * data), rel=1e-12)
        np.testing.assert_allclose(sweep.image, image, atol=1e-12)
        np.testing.assert_allclose(sweep.dual, dual, atol=1e-12)


def test_without_data_the_residual_is_a_norm():
    """There is no norm of the data to divide by."""
    matrix, data = problem(2)
    options = {"lambda_": 0.4, "relative": False, "block": 1, **FREE}
    start = last(matrix, data, iterations=1, **options)
    image, dual = start.image.copy(), start.dual.copy()
    wanted = met(matrix, 0 * data, 0.4, image, dual)
    found = last(matrix, 0 * data, iterations=1, start=start, **options)
    assert found.residual == pytest.approx(wanted, rel=1e-12)


def test_nothing_stays_nothing_and_can_be_gone_on_from():
    matrix, data = problem(3)
    nothing = last(matrix, 0 * data, lambda_=0.4, iterations=2)
    assert not nothing.image.any()
    assert nothing.residual == 0
    found = kaczmarz(matrix, data, lambda_=0.4, iterations=2, start=nothing)
    np.testing.assert_allclose(found, kaczmarz(matrix, data, lambda_=0.4, iterations=2), atol=1e-14)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_whether_a_start_belongs_together_does_not_depend_on_its_scale(scale):
    matrix, data = problem(4)
    data = scale * data
    options = {"lambda_": 0.4, **FREE}
    half = last(matrix, data, iterations=2, **options)
    whole = last(matrix, data, iterations=4, **options)
    found = last(matrix, data, iterations=2, start=half, **options)
    np.testing.assert_allclose(found.image / scale, whole.image / scale, atol=1e-12)
    assert found.residual == pytest.approx(whole.residual, rel=1e-9)
    wrong = replace(half, image=(1 + 1e-6) * half.image)
    with pytest.raises(InputError, match="do not belong together"):
        kaczmarz(matrix, data, start=wrong, **options)
    slightly = replace(half, image=(1 + 1e-10) * half.image)
    kaczmarz(matrix, data, start=slightly, iterations=1, **options)


def test_the_type_of_the_matrix_is_that_of_the_result():
    matrix, data = problem(5)
    for kind, real in [(np.complex64, np.float32), (np.complex128, np.float64)]:
        for other in (np.complex64, np.complex128):
            sweep = last(matrix.astype(kind), data.astype(other), lambda_=0.4, iterations=1, **FREE)
            assert sweep.image.dtype == sweep.dual.dtype == kind
            assert kaczmarz(matrix.astype(kind), data.astype(other), lambda_=0.4).dtype == real


@pytest.mark.parametrize("lambda_", [0.0, 0.4])
def test_rows_without_energy_or_weight_change_nothing(lambda_):
    matrix, data = problem(6)
    weights = np.linspace(0.5, 2, len(matrix))
    matrix[2], weights[5] = 0, 0
    kept = np.delete(np.arange(len(matrix)), [2, 5])
    options = {"lambda_": lambda_, "relative": False, "iterations": 3, "block": 4}
    found = kaczmarz(matrix, data, weights=weights, **options)
    wanted = kaczmarz(matrix[kept], data[kept], weights=weights[kept], **options)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_matrix_in_one_part_is_loaded_for_the_set_up_and_once_more():
    class Counted(ArrayRows):
        loads = 0

        def load(self, part, /):
            Counted.loads += 1
            return super().load(part)

    matrix, data = problem(7)
    for iterations in (1, 5):
        Counted.loads = 0
        found = kaczmarz(Counted(matrix), data, lambda_=0.4, iterations=iterations)
        assert Counted.loads == 2
        np.testing.assert_array_equal(found, kaczmarz(matrix, data, lambda_=0.4, iterations=iterations))


def run_of(matrix, data, **options):
    free = {"relative": False, "exact": False, "mask": None, "weights": None, "order": None, "start": None}
    return begin(matrix, data, **{"lambda_": 0.4, "device": "cpu", "block": None} | free | FREE | options)


@pytest.mark.parametrize("frames", [1, 2, 3, GROUP, 2 * GROUP, 2 * GROUP + 1, 2 * GROUP + 40, 5 * GROUP])
def test_groups_of_frames_are_few_even_and_fit_the_cache(frames):
    run = run_of(problem(8)[0], np.zeros((9, frames), complex))
    groups = [np.arange(frames)[part] for part in run._solver._frames(frames)]
    sizes = [len(group) for group in groups]
    np.testing.assert_array_equal(np.concatenate(groups), np.arange(frames))
    assert max(sizes) <= GROUP
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) % 2 == 0 or len(sizes) == frames == 1
    assert len(sizes) <= max(2, frames / GROUP + 2)


def test_torch_takes_all_frames_at_once():
    run = run_of(problem(8)[0], np.zeros((9, 7), complex), device="torch-cpu")
    assert run._solver._frames(7) == [slice(0, 7)]


@pytest.mark.parametrize("lambda_", [0.0, 0.7, np.array([0.5, 0.9, 1.7, 0.3])], ids=["zero", "one", "each"])
@pytest.mark.parametrize("frames", [2, 2 * GROUP + 1])
def test_the_size_is_the_norm_that_cannot_grow(lambda_, frames):
    """That of √λ (x, v), or of (√L x, v)."""
    matrix, data = problem(9, frames=frames)
    run = run_of(matrix, data, lambda_=lambda_)
    run.sweep()
    image, dual = np.abs(run.state.image) ** 2, np.abs(run.state.dual) ** 2
    ridge = lambda_ if np.ndim(lambda_) == 0 else 1.0
    wanted = np.sum(np.broadcast_to(lambda_, 4) @ image) + ridge * np.sum(dual)
    assert run._solver.size == pytest.approx(np.sqrt(wanted), rel=1e-12)
