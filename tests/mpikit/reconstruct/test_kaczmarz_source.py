"""Kaczmarz on a matrix that comes in parts, on torch, and when numbers go wrong."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np
import pytest

from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.reconstruct import absolute_lambda, kaczmarz, kaczmarz_sweeps

MASK = np.array([True, False, True, True, True, False, True])
CHOICES = {
    "free": {"enforce_real": False, "enforce_positive": False},
    "positive": {},
    "weights": {"weights": np.linspace(0, 2, 23)},
    "exact": {"exact": True},
    "masked": {"mask": MASK},
    "exact in a mask": {"exact": True, "mask": MASK},
    "lambda for each voxel": {"lambda_": np.linspace(0.1, 1, 7), "weights": np.linspace(0.5, 2, 23)},
}
every_choice = pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)


def problem(seed, kind=np.complex128, rows=23, voxels=7, frames=5):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, voxels)) + 1j * rng.normal(size=(rows, voxels))
    data = rng.normal(size=(rows, frames)) + 1j * rng.normal(size=(rows, frames))
    return matrix.astype(kind), data.astype(kind)


@dataclass
class Parts:
    """A matrix in parts of a few rows in some order; a part is spoilt when the next one is loaded."""

    matrix: np.ndarray
    places: list[np.ndarray]
    loaded: list[int] = field(default_factory=list)
    last: np.ndarray = field(default_factory=lambda: np.zeros(0))
    growth: float = 1

    @property
    def shape(self):
        return self.matrix.shape

    @property
    def dtype(self):
        return self.matrix.dtype

    def __len__(self):
        return len(self.places)

    def rows(self, part):
        return self.places[part]

    def columns(self, _part):
        return slice(None)

    def load(self, part):
        self.last[...] = np.nan
        factor = self.growth if len(self.loaded) >= len(self) else 1
        self.loaded.append(part)
        self.last = factor * self.matrix[self.places[part]]
        return self.last


def in_parts(matrix, seed=0, **more):
    order = np.random.default_rng(seed).permutation(len(matrix))
    return order, Parts(matrix, np.split(order, [4, 5, 17]), **more)


@every_choice
@pytest.mark.parametrize("frames", [1, 5, 40])
def test_parts_are_the_whole_matrix(choice, frames):
    matrix, data = problem(1, frames=frames)
    order, source = in_parts(matrix)
    options = {"lambda_": 0.1, "iterations": 3, "block": 5, **choice}
    *_, wanted = kaczmarz_sweeps(matrix, data, order=order, **options)
    *_, found = kaczmarz_sweeps(source, data, **options)
    np.testing.assert_allclose(found.image, wanted.image, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.dual, wanted.dual, rtol=0, atol=1e-12)
    assert source.loaded == [0, 1, 2, 3] * 4  # once to set up, once for each sweep


def test_lambda_of_parts_is_that_of_the_whole_matrix():
    matrix, _ = problem(2)
    weights = np.linspace(0, 2, 23)
    _, source = in_parts(matrix)
    wanted = 0.3 * np.linalg.norm(weights[:, None] * matrix) ** 2 / 7
    assert absolute_lambda(source, 0.3, weights=weights) == pytest.approx(wanted, rel=1e-14)
    assert absolute_lambda(matrix, 0.3, weights=weights) == pytest.approx(wanted, rel=1e-14)


def test_a_run_goes_on_with_parts():
    matrix, data = problem(3)
    _, source = in_parts(matrix)
    options = {"lambda_": 0.1, "exact": True}
    *_, half = kaczmarz_sweeps(source, data, iterations=2, **options)
    *_, whole = kaczmarz_sweeps(source, data, iterations=5, **options)
    *_, found = kaczmarz_sweeps(source, data, iterations=3, start=half, **options)
    np.testing.assert_allclose(found.image, whole.image, rtol=0, atol=1e-12)


def test_a_source_that_cannot_be_used_is_refused():
    matrix, data = problem(4)
    _, source = in_parts(matrix)
    with pytest.raises(UsageError, match="cannot be put into another order"):
        kaczmarz(source, data, lambda_=0.1, order=1)
    with pytest.raises(UsageError, match="each number from 0 to 22 once"):
        kaczmarz(Parts(matrix, source.places[1:]), data, lambda_=0.1)
    with pytest.raises(InputError, match="type float64"):
        kaczmarz(Parts(matrix.real, source.places), data, lambda_=0.1)
    broken = matrix.copy()
    broken[13, 2] = np.nan
    _, source = in_parts(broken)
    with pytest.raises(InputError, match="row 13 of the system matrix"):
        kaczmarz(source, data, lambda_=0.1)


@pytest.mark.parametrize("lambda_", [0.01, np.linspace(0.01, 0.02, 7)], ids=["single", "for each voxel"])
def test_divergence_is_found(lambda_):
    matrix, data = problem(5)
    _, source = in_parts(matrix, growth=3)
    with pytest.raises(NumericalError, match=r"diverges: size .* after sweep") as caught:
        kaczmarz(source, data, lambda_=lambda_, iterations=50)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("frames", [1, 2, 5, 13, 40, 129])
def test_the_number_of_cores_does_not_change_a_bit(monkeypatch, frames):
    matrix, data = problem(6, np.complex64, rows=150, voxels=31, frames=frames)
    found = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        found.append(kaczmarz(matrix, data, lambda_=0.01, iterations=3))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@every_choice
@pytest.mark.parametrize("frames", [1, 40])
def test_torch_gives_the_same_images(choice, frames):
    matrix, data = problem(7, np.complex64, frames=frames)
    matrix.setflags(write=False)
    options = {"lambda_": 0.1, "iterations": 4, "block": 5, **choice}
    *_, wanted = kaczmarz_sweeps(matrix, data, **options)
    *_, found = kaczmarz_sweeps(matrix, data, device="torch-cpu", **options)
    assert found.image.dtype == wanted.image.dtype
    for mine, theirs in ((found.image, wanted.image), (found.dual, wanted.dual)):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
    assert found.residual == pytest.approx(wanted.residual, rel=1e-4)


def test_torch_takes_parts_and_a_start():
    matrix, data = problem(8, np.complex64)
    _, source = in_parts(matrix)
    options = {"lambda_": 0.1, "exact": True, "device": "torch-cpu"}
    *_, half = kaczmarz_sweeps(source, data, iterations=2, **options)
    found = kaczmarz(source, data, iterations=3, start=half, **options)
    wanted = kaczmarz(
        matrix, data, lambda_=0.1, exact=True, iterations=5, order=np.concatenate(source.places)
    )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
