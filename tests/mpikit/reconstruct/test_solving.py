"""Signals of the empty scanner are estimated with the image, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mdf
from mpikit.events import silent
from mpikit.reconstruct import LinearSystem, Rows
from mpikit.reconstruct.options import Kaczmarz
from mpikit.reconstruct.solving import images_of, solve

ROWS, VOXELS = 17, 6


def spectra(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def make_system(rng, *, weighted):
    return LinearSystem(
        spectra(rng, ROWS, VOXELS),
        spectra(rng, ROWS, 3),
        Rows(np.zeros(ROWS, np.int64), np.arange(ROWS), {}),
        mdf.Grid(np.array([3, 2, 1]), np.array([0.03, 0.02, 0.01]), np.zeros(3)),
        np.arange(3),
        weights=rng.uniform(0.5, 2, ROWS) if weighted else None,
        dictionary=5 * spectra(rng, ROWS, 2),
    )


@pytest.mark.parametrize("penalty", [0.0, 0.02, 3.0])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_image_is_that_of_the_joint_problem(rng, weighted, penalty):
    """The minimiser over image and background weights together, by its normal equations."""
    system = make_system(rng, weighted=weighted)
    options = Kaczmarz(
        lambda_=0.5,
        background="dictionary",
        dictionary_lambda=penalty,
        iterations=100,
        enforce_real=False,
        enforce_positive=False,
    )
    found = solve(system, options, tell=silent)
    column = np.ones((ROWS, 1)) if system.weights is None else system.weights[:, None]
    own, empty = column * system.matrix, column * system.dictionary
    lambdas = np.concatenate(
        [
            np.full(VOXELS, 0.5 * np.sum(np.abs(own) ** 2) / VOXELS),
            np.full(2, penalty * np.sum(np.abs(empty) ** 2) / 2),
        ]
    )
    both = np.concatenate([own, empty], axis=1)
    joint = np.linalg.solve(both.conj().T @ both + np.diag(lambdas), both.conj().T @ (column * system.data))
    np.testing.assert_allclose(found.images, joint[:VOXELS], atol=1e-6)
    assert found.absolute == pytest.approx(lambdas[0])


def test_a_background_in_the_dictionary_changes_nothing(rng):
    system = make_system(rng, weighted=True)
    more = replace(system, data=system.data + system.dictionary @ spectra(rng, 2, 3) * 100)
    options = Kaczmarz(background="dictionary", iterations=4)
    once, again = (solve(each, options, tell=silent).images for each in (system, more))
    np.testing.assert_allclose(again, once, atol=1e-8)
    assert np.abs(solve(replace(more, dictionary=None), options, tell=silent).images - once).max() > 0.1


def test_other_data_are_solved_alike_column_by_column(rng):
    system = make_system(rng, weighted=True)
    for options in (Kaczmarz(iterations=4), Kaczmarz(iterations=4, background="dictionary")):
        images = solve(system, options, tell=silent).images
        other = images_of(system, options, options.lambda_)(system.data[:, [2, 0]])
        np.testing.assert_allclose(other, images[:, [2, 0]], atol=1e-10)
