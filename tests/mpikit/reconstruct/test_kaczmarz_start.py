"""Kaczmarz that goes on from a sweep of another run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import InputError, UsageError
from mpikit.reconstruct import kaczmarz, kaczmarz_sweeps

MASK = np.array([True, False, True, True, False])
PROJECTIONS = {
    "none": {"enforce_real": False, "enforce_positive": False},
    "real": {"enforce_positive": False},
    "real in a mask": {"enforce_positive": False, "mask": MASK},
    "positive": {},
    "positive in a mask": {"mask": MASK},
    "exact": {"exact": True},
    "exact in a mask": {"exact": True, "mask": MASK},
}
LAMBDAS = {"single": 0.8, "for each voxel": np.array([0.6, 0.9, 0.5, 1.4, 1.1])}
every_projection = pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS)
every_lambda = pytest.mark.parametrize("lambda_", LAMBDAS.values(), ids=LAMBDAS)


def problem(seed, rows=17, voxels=5, frames=3):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, voxels)) + 1j * rng.normal(size=(rows, voxels))
    data = rng.normal(size=(rows, frames)) + 1j * rng.normal(size=(rows, frames))
    return matrix, data, {"weights": rng.uniform(0.5, 2, rows), "order": rng.permutation(rows), "block": 6}


def last(*args, **options):
    *_, found = kaczmarz_sweeps(*args, **options)
    return found


def close(found, wanted, digits=1e-10):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=digits)


@every_projection
@every_lambda
def test_a_run_in_two_parts_is_one_run(projection, lambda_):
    matrix, data, more = problem(1)
    options = {"lambda_": lambda_, **more, **projection}
    whole = last(matrix, data, iterations=5, **options)
    half = last(matrix, data, iterations=2, **options)
    found = last(matrix, data, iterations=3, start=half, **options)
    assert found.index == whole.index == 5
    close(found.image, whole.image)
    close(found.dual, whole.dual)
    close(found.lambda_, whole.lambda_, 0)


@every_lambda
@pytest.mark.parametrize("name", ["none", "real", "real in a mask", "exact", "exact in a mask"])
def test_other_data_and_another_lambda_reach_the_ordinary_limit(lambda_, name):
    matrix, data, more = problem(2, frames=1)
    options = {**more, **PROJECTIONS[name]}
    before = last(matrix, data[::-1] + 1, lambda_=lambda_, iterations=7, **options)
    wanted = kaczmarz(matrix, data, lambda_=lambda_ / 2, iterations=300, **options)
    found = kaczmarz(matrix, data, lambda_=lambda_ / 2, iterations=300, start=before, **options)
    close(found, wanted, 1e-9)


def test_a_start_near_the_limit_saves_sweeps():
    matrix, data, more = problem(3)
    limit = last(matrix, data, lambda_=0.1, iterations=300, **more, **PROJECTIONS["real"])
    near = data + 1e-6
    options = {"lambda_": 0.1, "iterations": 1, **more, **PROJECTIONS["real"]}
    close(kaczmarz(matrix, near, start=limit, **options), limit.image, 1e-5)
    assert np.abs(kaczmarz(matrix, near, **options) - limit.image).max() > 1e-2


def test_without_regularisation_the_start_is_the_image():
    matrix, data, more = problem(4)
    whole = last(matrix, data, lambda_=0, iterations=4, **more)
    half = last(matrix, data, lambda_=0, iterations=1, **more)
    close(kaczmarz(matrix, data, lambda_=0, iterations=3, start=half, **more), whole.image)


def test_single_precision_goes_on_too():
    matrix, data, more = problem(5, rows=60, voxels=5, frames=9)
    matrix = matrix.astype(np.complex64)
    half = last(matrix, data, lambda_=1e-4, iterations=20, **more)
    whole = kaczmarz(matrix, data, lambda_=1e-4, iterations=40, **more)
    close(kaczmarz(matrix, data, lambda_=1e-4, iterations=20, start=half, **more), whole, 1e-5)


@every_projection
def test_an_image_and_a_dual_that_do_not_belong_together_are_refused(projection):
    matrix, data, more = problem(6)
    options = {"lambda_": 0.2, **more, **projection}
    good = last(matrix, data, iterations=2, **options)
    image = good.image.copy()
    image[1] -= 0.1 + 0.3 * np.abs(image[1])
    image[0] = -1
    with pytest.raises(InputError, match="do not belong together"):
        kaczmarz(matrix, data, start=replace(good, image=image), **options)
    if options.get("enforce_positive", True) is False or options.get("exact"):
        with pytest.raises(InputError, match="do not belong together"):
            kaczmarz(matrix, data, start=replace(good, dual=0 * good.dual), **options)
        with pytest.raises(InputError, match="do not belong together"):
            kaczmarz(2 * matrix, data, start=good, **options)


def test_impossible_starts_are_refused():
    matrix, data, _ = problem(7)
    start = last(matrix, data, lambda_=0.2, iterations=2)

    def refused(error, text, begin=start, **options):
        with pytest.raises(error, match=text):
            kaczmarz(matrix, data, start=begin, **{"lambda_": 0.2, **options})

    refused(UsageError, "depends on the way", lambda_=0.3)
    refused(UsageError, "lambda 0", lambda_=0)
    refused(UsageError, "the same or a multiple", lambda_=np.arange(1.0, 6))
    refused(InputError, r"expected \(5, 3\) and \(17, 3\)", replace(start, image=start.image[:, :1]))
    refused(InputError, "not finite", replace(start, image=np.nan * start.image))
