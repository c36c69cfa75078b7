"""Weights, order of rows, a λ for each voxel, exact positivity and the mask of Kaczmarz."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from mpikit.errors import InputError, UsageError
from mpikit.reconstruct import absolute_lambda, kaczmarz

FREE = {"enforce_real": False, "enforce_positive": False}
seeds = st.integers(0, 10_000)
few = settings(deadline=None, max_examples=20)


def problem(seed, rows=17, voxels=5, frames=3):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, voxels)) + 1j * rng.normal(size=(rows, voxels))
    data = rng.normal(size=(rows, frames)) + 1j * rng.normal(size=(rows, frames))
    return matrix, data, rng


def close(found, wanted, digits=1e-10):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=digits)


@few
@given(seed=seeds, relative=st.booleans(), block=st.integers(1, 20))
def test_weights_multiply_matrix_and_data(seed, relative, block):
    matrix, data, rng = problem(seed)
    weights = rng.uniform(0.1, 3, len(matrix))
    options = {"lambda_": 0.1, "relative": relative, "iterations": 3, "block": block}
    wanted = kaczmarz(weights[:, None] * matrix, weights[:, None] * data, **options)
    close(kaczmarz(matrix, data, weights=weights, **options), wanted)


@few
@given(seed=seeds)
def test_weights_change_nothing_without_regularisation(seed):
    matrix, data, rng = problem(seed)
    weights = rng.uniform(0.1, 3, len(matrix))
    wanted = kaczmarz(matrix, data, lambda_=0, iterations=3)
    close(kaczmarz(matrix, data, lambda_=0, iterations=3, weights=weights), wanted, 1e-8)


@pytest.mark.parametrize("lambda_", [0, 0.1])
@pytest.mark.parametrize("block", [1, 4, 128])
def test_rows_of_weight_zero_are_left_out(lambda_, block):
    matrix, data, rng = problem(1)
    weights = rng.uniform(0.5, 2, len(matrix))
    weights[[0, 4, 5, 16]] = 0
    kept = weights > 0
    options = {"lambda_": lambda_, "iterations": 3, "block": block}
    wanted = kaczmarz(matrix[kept], data[kept], weights=weights[kept], **options)
    close(kaczmarz(matrix, data, weights=weights, **options), wanted)


@few
@given(seed=seeds, block=st.integers(1, 20))
def test_an_order_permutes_the_rows(seed, block):
    matrix, data, rng = problem(seed)
    order = rng.permutation(len(matrix))
    weights = rng.uniform(0.1, 3, len(matrix))
    options = {"lambda_": 0.1, "iterations": 2, "block": block}
    wanted = kaczmarz(matrix[order], data[order], weights=weights[order], **options)
    close(kaczmarz(matrix, data, weights=weights, order=order, **options), wanted)


def test_a_random_order_is_one_for_all_frames_and_sweeps():
    matrix, data, _ = problem(2, frames=19)
    options = {"lambda_": 0.1, "iterations": 3, "order": 7}
    together = kaczmarz(matrix, data, **options)
    for frame in (0, 1, 18):
        close(kaczmarz(matrix, data[:, [frame]], **options), together[:, [frame]])
    order = np.random.default_rng(7).permutation(len(matrix))
    close(kaczmarz(matrix, data, lambda_=0.1, iterations=3, order=order), together, 0)
    other = kaczmarz(matrix, data, lambda_=0.1, iterations=3, order=8)
    assert np.abs(other - together).max() > 1e-3


@few
@given(seed=seeds, block=st.integers(1, 20), relative=st.booleans())
def test_a_lambda_for_each_voxel_scales_the_columns(seed, block, relative):
    matrix, data, rng = problem(seed)
    diagonal, weights = rng.uniform(0.05, 2, matrix.shape[1]), rng.uniform(0.1, 3, len(matrix))
    factor = absolute_lambda(matrix, 1, weights=weights) if relative else 1
    root = np.sqrt(factor * diagonal)
    options = {"iterations": 3, "weights": weights, "block": block}
    scaled = kaczmarz(matrix / root, data, lambda_=1, relative=False, **options) / root[:, None]
    close(kaczmarz(matrix, data, lambda_=diagonal, relative=relative, **options), scaled)


def test_the_same_lambda_for_each_voxel_is_one_lambda():
    matrix, data, _ = problem(3)
    wanted = kaczmarz(matrix, data, lambda_=0.07, iterations=4)
    close(kaczmarz(matrix, data, lambda_=np.full(5, 0.07), iterations=4), wanted)


def constrained_minimiser(matrix, data, diagonal):
    stacked = np.vstack([matrix.real, matrix.imag, np.diag(np.sqrt(diagonal))])
    zeros = np.zeros((matrix.shape[1], data.shape[1]))
    targets = np.vstack([data.real, data.imag, zeros])
    return np.stack([nnls(stacked, target)[0] for target in targets.T], axis=1)


def smooth_problem():
    """Alike columns, and data of an image with negative values: the plain projection ends elsewhere."""
    rows, voxels = np.arange(20)[:, None], np.arange(9)
    matrix = np.exp(-((rows / 2 - voxels) ** 2) / 8 + 0.7j * rows)
    images = np.array([[2, -1, 0, 0, 3, -2, 0, 1, -1], [0, 1, -1, 0, 0, 2, -3, 1, 0.5]])
    return matrix, matrix @ images.T


@pytest.mark.parametrize("lambda_", [1.0, np.linspace(1, 2, 9)], ids=["single", "for each voxel"])
def test_exact_positivity_reaches_the_constrained_minimiser(lambda_):
    matrix, data = smooth_problem()
    options = {"lambda_": lambda_, "relative": False, "iterations": 400}
    wanted = constrained_minimiser(matrix, data, np.broadcast_to(lambda_, 9))
    assert (wanted == 0).sum() > 5
    close(kaczmarz(matrix, data, exact=True, **options), wanted, 1e-9)
    plain = kaczmarz(matrix, data, **options)
    assert plain.min() >= 0
    assert np.abs(plain - wanted).max() > 0.01


def test_a_mask_projects_some_voxels_only():
    matrix, data, _ = problem(5)
    mask = np.array([True, False, True, True, False])
    image = kaczmarz(matrix, data, lambda_=0.1, iterations=4, mask=mask)
    assert image.dtype == np.complex128
    assert (image[mask].imag == 0).all()
    assert (image[mask].real >= 0).all()
    assert (np.abs(image[~mask].imag) > 1e-6).all()
    assert image[~mask].real.min() < 0
    close(kaczmarz(matrix, data, lambda_=0.1, iterations=4, mask=np.ones(5, bool)).imag, 0, 0)
    close(
        kaczmarz(matrix, data, lambda_=0.1, iterations=4, mask=np.ones(5, bool)).real,
        kaczmarz(matrix, data, lambda_=0.1, iterations=4),
        0,
    )


def test_the_limit_with_real_voxels_and_complex_ones():
    matrix, data, _ = problem(6)
    mask = np.array([True, False, True, True, False])
    # Complex voxels are two real ones: the columns a and 1j a.
    columns = np.hstack([matrix, 1j * matrix[:, ~mask]])
    stacked = np.vstack([columns.real, columns.imag])
    parts = np.linalg.solve(
        stacked.T @ stacked + 3 * np.eye(7), stacked.T @ np.vstack([data.real, data.imag])
    )
    wanted = parts[:5].astype(complex)
    wanted[~mask] += 1j * parts[5:]
    options = {"lambda_": 3, "relative": False, "iterations": 400, "enforce_positive": False}
    close(kaczmarz(matrix, data, mask=mask, **options), wanted)


def test_wrong_choices_are_refused():
    matrix, data, _ = problem(7)

    def refused(error, text, **options):
        with pytest.raises(error, match=text):
            kaczmarz(matrix, data, **{"lambda_": 0.1, **options})

    refused(InputError, r"weights \(3,\) do not fit", weights=np.ones(3))
    refused(InputError, "finite and not negative", weights=-np.ones(17))
    refused(InputError, "no row with energy", weights=np.zeros(17))
    refused(UsageError, "each number from 0 to 16 once", order=np.zeros(17, int))
    refused(UsageError, "each number from 0 to 16 once", order=np.arange(16))
    refused(InputError, r"shape \(4,\), expected one value or 5", lambda_=np.ones(4))
    refused(UsageError, "above 0", lambda_=np.array([1, 1, 0, 1, 1]))
    refused(UsageError, "finite and not negative", lambda_=np.nan)
    refused(UsageError, "enforce_positive is off", exact=True, enforce_positive=False)
    refused(InputError, r"shape \(4,\), expected a bool", mask=np.ones(4, bool))
    refused(InputError, "expected a bool", mask=np.ones(5))
    refused(UsageError, "both are off", mask=np.ones(5, bool), **FREE)
    refused(UsageError, "no device is called", device="gpu")
    with pytest.raises(InputError, match="no row with energy"):
        kaczmarz(0 * matrix, data, lambda_=0.1)
