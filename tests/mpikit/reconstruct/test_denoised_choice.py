"""The choice of λ for a denoised measurement, whose empty frames no longer tell of the noise."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError
from mpikit.events import Warned
from mpikit.provenance import HISTORY
from mpikit.reconstruct import LinearSystem, Rows, reconstruct_file
from mpikit.reconstruct.choosing import choose_lambda
from mpikit.reconstruct.options import Kaczmarz
from mpikit.reconstruct.solving import solve

ROWS, VOXELS = 60, 40


def ill_posed(rng):
    """A matrix with s² over eight decades, and a frame that all frames repeat, with the noise in it."""
    left = np.linalg.qr(rng.normal(size=(ROWS, ROWS)) + 1j * rng.normal(size=(ROWS, ROWS)))[0]
    right = np.linalg.qr(rng.normal(size=(VOXELS, VOXELS)))[0]
    matrix = (left[:, :VOXELS] * np.geomspace(1, 1e-4, VOXELS)) @ right
    image = right.T @ (rng.normal(size=VOXELS) * np.geomspace(1, 0.1, VOXELS))
    noise = 0.01 * (rng.normal(size=ROWS) + 1j * rng.normal(size=ROWS))
    data = np.repeat((matrix @ image + noise)[:, None], 3, axis=1)
    grid = mdf.Grid(np.array([8, 5, 1]), np.array([0.03, 0.02, 0.01]), np.zeros(3))
    rows = Rows(np.zeros(ROWS, np.int64), np.arange(ROWS), {})
    return LinearSystem(matrix, data, rows, grid, np.arange(3), noise=np.full(ROWS, 0.01 * 2**0.5))


def test_auto_is_the_corner_and_the_empty_frames_do_not_matter(rng):
    system = ill_posed(rng)
    options, told = Kaczmarz(lambda_="auto", iterations=2), []
    found = solve(replace(system, denoised="d.mdf"), options, tell=told.append)
    expected = choose_lambda(system.matrix, system.data, criterion="l-curve")
    assert found.relative == expected.relative
    assert (found.choice.criterion, found.choice.target) == ("l-curve", None)
    first = next(event.text for event in told if isinstance(event, Warned))
    assert first.startswith("d.mdf was denoised")
    assert "reconstruct the noisy file with --average-frames" in first
    other = replace(system, denoised="d.mdf", noise=1e3 * system.noise)
    assert solve(other, options, tell=told.append).relative == found.relative
    measured = solve(system, options, tell=told.append)
    assert measured.choice.criterion == "discrepancy"


def test_cross_validation_is_done_if_asked_for_and_warned_of(rng):
    system, told = replace(ill_posed(rng), denoised="d.mdf"), []
    found = solve(system, Kaczmarz(lambda_="gcv", iterations=2), tell=told.append)
    assert found.choice.criterion == "gcv"
    assert any("cross-validation takes it for signal" in getattr(each, "text", "") for each in told)
    with pytest.raises(InputError, match=r"d\.mdf was denoised, its empty frames too") as raised:
        solve(system, Kaczmarz(lambda_="discrepancy"), tell=told.append)
    assert "--average-frames --lambda auto" in raised.value.hint


@pytest.mark.parametrize("commands", [("simulate",), ("simulate", "denoise")])
def test_the_history_says_whether_a_file_was_denoised(pair, commands):
    told = []
    history = json.dumps([{"command": command} for command in commands])
    result = reconstruct_file(
        pair.measurement(user={HISTORY: history}),
        system_matrix=pair.calibration(),
        tell=told.append,
        min_frequency=0.0,
        lambda_="auto",
        iterations=2,
    )
    denoised = "denoise" in commands
    warned = [each for each in told if isinstance(each, Warned) and "was denoised" in each.text]
    assert bool(warned) is denoised
    assert (result.figures["lambda"]["choice"]["criterion"] == "l-curve") is denoised
