"""Kaczmarz on a matrix whose parts touch some voxels only, as the patches of a focus-field scan do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from mpikit.errors import UsageError
from mpikit.reconstruct import absolute_lambda, kaczmarz, kaczmarz_sweeps

VOXELS = 19
ROWS = [7, 11, 5]
COLUMNS = [np.array([4, 0, 7, 3, 9, 12]), np.array([9, 3, 18, 10, 11, 2, 12, 5]), slice(6, 16)]
MASK = np.arange(VOXELS) % 3 != 1
CHOICES = {
    "free": {"enforce_real": False, "enforce_positive": False},
    "real": {"enforce_positive": False},
    "positive": {},
    "exact": {"exact": True},
    "masked": {"mask": MASK},
    "exact in a mask": {"exact": True, "mask": MASK},
    "weights": {"weights": np.linspace(0, 2, sum(ROWS))},
    "absolute lambda": {"relative": False, "lambda_": 0.7},
    "lambda for each voxel": {"lambda_": np.linspace(0.1, 1, VOXELS), "weights": np.linspace(0.5, 2, 23)},
}
every_choice = pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
every_kind = pytest.mark.parametrize(
    ("kind", "digits"), [(np.complex64, 1e-6), (np.complex128, 1e-12)], ids=["single", "double"]
)


@dataclass
class Patches:
    """Each part is a patch."""

    values: list[np.ndarray]
    places: list
    shape: tuple[int, int]

    @property
    def dtype(self):
        return self.values[0].dtype

    def __len__(self):
        return len(self.values)

    def rows(self, part):
        edges = np.cumsum([0, *map(len, self.values)])
        return slice(edges[part], edges[part + 1])

    def columns(self, part):
        return self.places[part]

    def load(self, part):
        return self.values[part]


def problem(kind=np.complex128, frames=3, seed=0):
    """Return patches, the same as one matrix that is mostly zero, and data."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(kind)

    widths = [len(np.arange(VOXELS)[columns]) for columns in COLUMNS]
    patches = Patches(
        [draw(rows, width) for rows, width in zip(ROWS, widths, strict=True)],
        list(COLUMNS),
        (sum(ROWS), VOXELS),
    )
    whole = np.zeros(patches.shape, kind)
    for part, values in enumerate(patches.values):
        whole[patches.rows(part), COLUMNS[part]] = values
    return patches, whole, draw(sum(ROWS), frames)


def last(*args, **options):
    *_, found = kaczmarz_sweeps(*args, **options)
    return found


def same(found, wanted, digits):
    np.testing.assert_allclose(found.image, wanted.image, rtol=0, atol=digits * np.abs(wanted.image).max())
    np.testing.assert_allclose(found.dual, wanted.dual, rtol=0, atol=digits * np.abs(wanted.dual).max())
    np.testing.assert_allclose(found.lambda_, wanted.lambda_, rtol=1e-6)


@every_kind
@every_choice
@pytest.mark.parametrize("frames", [1, 5, 40])
def test_patches_are_the_stacked_matrix(kind, digits, choice, frames):
    patches, whole, data = problem(kind, frames)
    options = {"lambda_": 0.1, "iterations": 4, "block": 4, **choice}
    same(last(patches, data, **options), last(whole, data, **options), 3 * digits)


@every_choice
@pytest.mark.parametrize("frames", [1, 40])
def test_torch_takes_patches(choice, frames):
    patches, whole, data = problem(np.complex64, frames)
    options = {"lambda_": 0.1, "iterations": 4, "block": 4, **choice}
    same(last(patches, data, device="torch-cpu", **options), last(whole, data, **options), 1e-5)


@every_kind
@every_choice
@pytest.mark.parametrize("device", ["cpu", "torch-cpu"])
def test_a_run_goes_on_with_patches(kind, digits, choice, device):
    patches, whole, data = problem(kind)
    options = {"lambda_": 0.1, "block": 4, "device": device, **choice}
    half = last(whole, data, iterations=2, **options)
    found = last(patches, data, iterations=3, start=half, **options)
    same(found, last(whole, data, iterations=5, **options), 10 * digits)


def test_a_voxel_that_no_patch_touches_stays_empty():
    patches, _, data = problem()
    patches.places[2] = slice(5, 15)
    assert (kaczmarz(patches, data, lambda_=0.1)[[1, 16, 17]] == 0).all()


def test_lambda_of_patches_is_that_of_the_stacked_matrix():
    patches, whole, _ = problem()
    weights = np.linspace(0, 2, sum(ROWS))
    assert absolute_lambda(patches, 0.3, weights=weights) == pytest.approx(
        absolute_lambda(whole, 0.3, weights=weights), rel=1e-14
    )


@pytest.mark.parametrize("columns", [[4, 0, 7, 3, 9, 4], [4, 0, 7, 3, 9, VOXELS], [4, 0, 7, 3, 9, -1]])
def test_wrong_columns_are_refused(columns):
    patches, _, data = problem()
    wrong = replace(patches, places=[np.array(columns), *COLUMNS[1:]])
    with pytest.raises(UsageError, match=r"columns of part 0 .* from 0 to 18, none of them twice"):
        kaczmarz(wrong, data, lambda_=0.1)


def test_a_part_without_rows_is_refused():
    patches, _, data = problem()
    wrong = replace(patches, values=[*patches.values, np.zeros((0, 4))], places=[*COLUMNS, slice(0, 4)])
    with pytest.raises(UsageError, match="part 3 of the matrix has no rows"):
        kaczmarz(wrong, data, lambda_=0.1)
