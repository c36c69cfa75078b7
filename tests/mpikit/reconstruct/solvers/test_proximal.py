"""Priors and their proximal maps: closed forms, exact solvers of the same problem, and optimality."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from mpikit.errors import UsageError
from mpikit.reconstruct.solvers import L1, TotalVariation, Wavelet
from mpikit.reconstruct.solvers.proximal import dual_proximal

PRIORS = {
    "l1": L1(),
    "line": TotalVariation((24,)),
    "plane": TotalVariation((4, 6)),
    "plane, anisotropic": TotalVariation((1, 6, 4), isotropic=False),
    "volume": TotalVariation((2, 3, 4)),
    "wavelet": Wavelet((2, 3, 4), "haar"),
    "long wavelet": Wavelet((4, 6), "db2"),
}
every_prior = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
shapes = st.lists(st.integers(1, 7), min_size=1, max_size=3).filter(lambda shape: max(shape) > 1)


def proximal(prior, point, threshold, *, positive=False):
    limits = np.broadcast_to(np.asarray(threshold, float), point.shape[1:])
    if isinstance(prior, L1) or (isinstance(prior, Wavelet) and not positive):
        return prior.proximal(point, limits, positive=positive, accuracy=np.zeros(0), dual=None)[0]
    return dual_proximal(
        prior, point, limits, positive=positive, accuracy=np.full(point.shape[1], 1e-7), iterations=5000
    )[0]


def dense(prior, voxels):
    """The transform as a matrix."""
    columns = prior.transform(np.eye(voxels))
    return columns.reshape(-1, voxels)


def differences(shape):
    """All differences of neighbours, one by one."""
    index = np.arange(np.prod(shape)).reshape(shape)
    rows = []
    for axis, length in enumerate(shape):
        first = np.take(index, range(length - 1), axis).ravel()
        second = np.take(index, range(1, length), axis).ravel()
        for low, high in zip(first, second, strict=True):
            row = np.zeros(index.size)
            row[low], row[high] = -1, 1
            rows.append(row)
    return np.array(rows)


def by_bounded_least_squares(transform, point, threshold, *, positive):
    """The dual problem of the proximal map, by an active-set solver: c = v - T^T d + s."""
    pulls = [-transform.T]
    low, high = [np.full(len(transform), -threshold)], [np.full(len(transform), threshold)]
    if positive:
        pulls.append(np.eye(len(point)))
        low.append(np.zeros(len(point)))
        high.append(np.full(len(point), np.inf))
    both = np.hstack(pulls)
    bounds = np.concatenate(low), np.concatenate(high)
    found = lsq_linear(both, -point, bounds=bounds, method="bvls", tol=1e-14, max_iter=5000)
    return point + both @ found.x


@every_prior
@pytest.mark.parametrize("kind", [np.float64, np.complex128])
def test_adjoint(prior, kind):
    rng = np.random.default_rng(1)
    image = rng.normal(size=(24, 3)).astype(kind)
    coefficients = prior.transform(rng.normal(size=(24, 3)).astype(kind))
    coefficients = coefficients + 0.5 * prior.transform(image[::-1].copy())
    if kind is np.complex128:
        image = image * np.exp(1j * rng.normal(size=image.shape))
    left = np.vdot(prior.transform(image), coefficients)
    right = np.vdot(image, prior.adjoint(coefficients))
    assert left == pytest.approx(right, rel=1e-12)
    assert image.shape == prior.adjoint(coefficients).shape


@every_prior
def test_bound_is_the_squared_norm(prior):
    norm = np.linalg.norm(dense(prior, 24), 2) ** 2
    assert 0.7 * prior.bound < norm <= prior.bound * (1 + 1e-12)


def test_bound_of_total_variation_grows_with_the_axes():
    sizes = [TotalVariation(shape).bound for shape in [(1, 9), (5, 9), (3, 5, 9), (1, 5, 9)]]
    assert sizes == [4, 8, 12, 8]


@settings(deadline=None, max_examples=30)
@given(shape=shapes, seed=st.integers(0, 1000), frames=st.integers(1, 3))
def test_value_of_total_variation(shape, seed, frames):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(*shape, frames)) + 1j * rng.normal(size=(*shape, frames))
    flat = images.reshape(-1, frames)
    wanted = np.abs(differences(shape) @ flat).sum(axis=0)
    np.testing.assert_allclose(TotalVariation(shape, isotropic=False).value(flat), wanted, rtol=1e-12)
    total = np.zeros(frames)
    for place in np.ndindex(*shape):
        squares = np.zeros(frames)
        for axis, length in enumerate(shape):
            if place[axis] + 1 < length:
                following = (*place[:axis], place[axis] + 1, *place[axis + 1 :])
                squares += np.abs(images[following] - images[place]) ** 2
        total += np.sqrt(squares)
    np.testing.assert_allclose(TotalVariation(shape).value(flat), total, rtol=1e-12)


def test_shrinking_voxels():
    point = np.array([[3 - 4j, 0.3], [0, -2]])
    found = proximal(L1(), point, [1.0, 0.5])
    np.testing.assert_allclose(found, [[(3 - 4j) * 0.8, 0], [0, -1.5]], atol=1e-15)
    found = proximal(L1(), point.real, [1.0, 0.5], positive=True)
    np.testing.assert_allclose(found, [[2, 0], [0, 0]], atol=1e-15)


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("shape", [(11,), (1, 11), (3, 11), (2, 11, 3)])
def test_two_levels_move_together(shape, isotropic):
    # 4 samples at 5 and 7 at 1: each level moves by t over its length, until they meet.
    line = np.where(np.arange(11) < 4, 5.0, 1.0)
    axis = shape.index(11)
    image = np.broadcast_to(line.reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape)
    point = np.stack([image.ravel(), image.ravel()], axis=1)
    thresholds = np.array([1.4, 200.0])
    found = proximal(TotalVariation(shape, isotropic=isotropic), point, thresholds)
    moved = np.where(image.ravel() > 3, 5 - 1.4 / 4, 1 + 1.4 / 7)
    np.testing.assert_allclose(found[:, 0], moved, atol=1e-6)
    np.testing.assert_allclose(found[:, 1], line.mean(), atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    shape=shapes.filter(lambda shape: np.prod(shape) <= 60),
    seed=st.integers(0, 1000),
    threshold=st.floats(0.01, 2),
    positive=st.booleans(),
)
def test_total_variation_is_denoised_exactly(shape, seed, threshold, positive):
    point = np.random.default_rng(seed).normal(size=(int(np.prod(shape)), 1)) + 0.3
    wanted = by_bounded_least_squares(differences(shape), point[:, 0], threshold, positive=positive)
    found = proximal(TotalVariation(shape, isotropic=False), point, threshold, positive=positive)
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-5)


@pytest.mark.parametrize("positive", [True, False])
def test_wavelets_are_denoised_exactly(positive):
    prior = Wavelet((3, 7), "haar")
    point = np.random.default_rng(2).normal(size=(21, 2)) + 0.2
    found = proximal(prior, point, 0.4, positive=positive)
    for image, column in zip(found.T, point.T, strict=True):
        wanted = by_bounded_least_squares(dense(prior, 21), column, 0.4, positive=positive)
        np.testing.assert_allclose(image, wanted, atol=1e-6)
    assert (found.min() >= 0) == positive


@every_prior
@pytest.mark.parametrize("kind", ["real", "positive", "complex"])
def test_no_image_nearby_is_better(prior, kind):
    rng = np.random.default_rng(3)
    point = rng.normal(size=(24, 1)) + 0.5
    if kind == "complex":
        point = point * np.exp(1j * rng.normal(size=point.shape))
    found = proximal(prior, point, 0.3, positive=kind == "positive")

    def cost(images):
        return (np.abs(images - point) ** 2).sum(axis=0) / 2 + 0.3 * prior.value(images)

    least = cost(found)[0]
    assert least < cost(np.maximum(point, 0) if kind == "positive" else point)[0]
    for size in (1e-3, 1e-1, 1):
        images = found + size * rng.normal(size=(24, 300)) * (rng.random((24, 300)) < 0.2)
        if kind == "positive":
            images = np.maximum(images, 0)
        if kind == "complex":
            images = images + 1j * size * rng.normal(size=(24, 300))
        assert cost(images).min() >= least - 1e-12
    towards = found + np.linspace(0.01, 1, 50) * (point - found)
    if kind != "positive":  # there the point itself is not allowed
        assert cost(towards).min() > least


def test_starting_from_the_dual_saves_iterations():
    prior = TotalVariation((5, 7))
    point = np.random.default_rng(4).normal(size=(35, 2))
    options = {"positive": False, "accuracy": np.zeros(2)}
    limit, dual = dual_proximal(prior, point, np.full(2, 0.3), iterations=3000, **options)
    again, _ = dual_proximal(prior, point, np.full(2, 0.3), iterations=5, dual=dual, **options)
    cold, _ = dual_proximal(prior, point, np.full(2, 0.3), iterations=5, **options)
    assert np.linalg.norm(again - limit) < 1e-6
    assert np.linalg.norm(cold - limit) > 1e-2


@settings(deadline=None, max_examples=25)
@given(
    shape=st.lists(st.integers(1, 13), min_size=1, max_size=3).filter(lambda shape: max(shape) >= 6),
    name=st.sampled_from(["haar", "db2", "sym3", "coif1"]),
)
def test_wavelets_are_orthogonal_for_every_shape(shape, name):
    voxels = int(np.prod(shape))
    images = np.random.default_rng(5).normal(size=(voxels, 2))
    prior = Wavelet(shape, name)
    coefficients = prior.transform(images)
    assert coefficients.shape == (*shape, 2)
    np.testing.assert_allclose(prior.adjoint(coefficients), images, atol=1e-9)
    np.testing.assert_allclose((coefficients**2).reshape(voxels, 2).sum(0), (images**2).sum(0), rtol=1e-9)


@pytest.mark.parametrize(("name", "levels"), [("haar", 1), ("haar", 3), ("db2", 1)])
def test_wavelets_of_even_shapes_are_the_usual_ones(name, levels):
    image = np.random.default_rng(6).normal(size=(8, 16))
    wanted, _ = pywt.coeffs_to_array(pywt.wavedec2(image, name, mode="periodization", level=levels))
    found = Wavelet((8, 16), name, levels=levels).transform(image.reshape(-1, 1))[..., 0]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_constant_images_have_few_haar_coefficients():
    found = Wavelet((1, 8, 13), "haar").transform(np.ones((104, 1)))
    assert np.count_nonzero(np.abs(found) > 1e-12) <= 8  # one for each odd length met along 13


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: TotalVariation((1, 1, 1)), "needs neighbouring voxels"),
        (lambda: TotalVariation((3, 0)), "positive integers"),
        (lambda: Wavelet((8, 8), "dmey"), "dmey is not orthogonal"),
        (lambda: Wavelet((8, 8), "bior2.2"), "bior2.2 is not orthogonal"),
        (lambda: Wavelet((8, 8), "haarr"), "no discrete wavelet 'haarr'"),
        (lambda: Wavelet((8, 9), "haar", levels=5), "has 4 levels of haar, not 5"),
        (lambda: Wavelet((3, 3), "db2"), "has 0 levels of db2"),
    ],
)
def test_priors_that_cannot_be(make, text):
    with pytest.raises(UsageError, match=text):
        make()
