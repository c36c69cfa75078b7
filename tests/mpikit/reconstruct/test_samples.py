"""The supplied pairs: points are found where they are, with their concentrations."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError
from mpikit.reconstruct import reconstruct_file

CALIBRATED = 0.1  # mol/L of the delta samples


def reconstruct(samples, tmp_path, name, **options):
    """Images (Q, P), positions of the points, their concentrations in delta samples, and their voxels."""
    source = samples / f"{name}-measurement.mdf"
    result = reconstruct_file(
        source, system_matrix=samples / f"{name}-systemmatrix.mdf", output=tmp_path / "image.mdf", **options
    )
    with mdf.open(source) as file:
        positions = file.user_value("/_truth/_positions")
        concentrations = file.user_value("/_truth/_concentrations") / CALIBRATED
    images = result.images.values.reshape(len(result.images.values), -1)
    return images, positions, concentrations, result.images.grid.nearest(positions)


@pytest.mark.parametrize("average", [True, False])
def test_five_dots_in_2d(samples, tmp_path, average):
    images, _, wanted, voxels = reconstruct(
        samples, tmp_path, "bruker2d", lambda_=1e-5, iterations=300, snr_threshold=3.0, average_frames=average
    )
    assert len(images) == (1 if average else 20)
    mean = images.mean(axis=0)
    assert set(np.argsort(-mean)[:5]) == set(voxels)
    np.testing.assert_allclose(mean[voxels], wanted[0], atol=0.1)


def test_five_dots_in_2d_with_the_defaults(samples, tmp_path):
    images, _, _, voxels = reconstruct(samples, tmp_path, "bruker2d")
    plane = np.pad(images.mean(axis=0).reshape(15, 15), 1)
    around = np.stack([plane[y : y + 15, x : x + 15] for y in range(3) for x in range(3)])
    peaks = np.flatnonzero((plane[1:-1, 1:-1] == around.max(axis=0)) & (plane[1:-1, 1:-1] > 0.1))
    assert set(peaks) == set(voxels)


def test_three_dots_in_3d_change_from_frame_to_frame(samples, tmp_path):
    images, _, wanted, voxels = reconstruct(samples, tmp_path, "openmpi3d-small", lambda_=1e-3, iterations=50)
    assert voxels.tolist() == [7, 33, 56]
    np.testing.assert_allclose(images[:, voxels], wanted, atol=0.05)
    others = np.delete(images, voxels, axis=1)
    assert others.max() < 0.1


def test_a_point_that_moves_and_fades_in_1d(samples, tmp_path):
    images, positions, wanted, voxels = reconstruct(samples, tmp_path, "bruker1d")
    highest = images.argmax(axis=1)
    on_grid = np.arange(12) != 7  # that point lies between two voxels
    np.testing.assert_array_equal(highest[on_grid], voxels[on_grid])
    assert abs(1e-3 * (highest[7] - 13) - positions[7, 0]) < 0.5e-3
    at_center = [3, 8, 9, 10, 11]
    values = images[at_center, 13]
    np.testing.assert_allclose(values / values[0], wanted[at_center, 0], atol=0.03)


def test_x_space_runs_on_real_layouts(samples, tmp_path):
    for name, shape in (("bruker2d", (1, 1, 29, 29)), ("bruker1d", (1, 1, 1, 51))):
        result = reconstruct_file(
            samples / f"{name}-measurement.mdf",
            method="x-space",
            output=tmp_path / f"{name}.mdf",
            average_frames=True,
        )
        assert result.images.values.shape == shape
        assert np.isfinite(result.images.values).all()


def test_patches_by_x_space(samples, tmp_path):
    """Four patches make one image, its strongest dot in place; a matrix of another scan is refused."""
    source = samples / "multipatch-measurement.mdf"
    result = reconstruct_file(source, method="x-space", output=tmp_path / "image.mdf")
    assert len(result.images.values) == 3
    position, _ = result.images.peak()
    np.testing.assert_allclose(position, [-7e-3, -5e-3, 0], atol=1e-3)
    system = samples / "bruker2d-systemmatrix.mdf"
    with pytest.raises(InputError, match=r"do not match .* drive amplitudes \(6 6\), \(12 12\) mT"):
        reconstruct_file(source, system_matrix=system, output=tmp_path / "matrix.mdf")
