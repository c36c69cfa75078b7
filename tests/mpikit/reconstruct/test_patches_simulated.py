"""Patches of a simulated scanner, whose dots are where they are, and the supplied ones."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.reconstruct import kaczmarz, reconstruct_file
from mpikit.simulate import Phantom, preset, simulate_calibration_file, simulate_file, system_matrix

from .test_patches import GRADIENT, read

SCANNER = [
    "drive_field.amplitudes=[0.006, 0.006]",
    "particle.core_diameter=25e-9",
    "receiver.sensitivity=[[1e-3, 0.0, 0.0], [0.0, 1e-3, 0.0]]",
]
QUIET = ("gaussian:level=channel,snr_db=90",)
SIMULATED = {"snr_threshold": 0.0, "min_frequency": 80e3}


def simulated(tmp_path, offsets, places, *, own=(0.0, 0.0, 0.0)):
    """A scan of dots on voxels of 2 mm, in patches, and a calibration of 11 x 9 voxels, with its preset."""
    fields = [[float(value) for value in offset] for offset in offsets]
    several = preset("openmpi-2d", [*SCANNER, f"selection_field.offset={fields}"])
    one = preset("openmpi-2d", [*SCANNER, f"selection_field.offset={list(own)}"])
    wide = mdf.Grid(np.array([21, 15, 1]), np.array([0.042, 0.030, 0.001]), np.zeros(3))
    image = np.zeros((1, *wide.shape))
    image.reshape(-1)[wide.nearest(np.asarray(places))] = 0.1
    measurement, calibration = tmp_path / "scan.mdf", tmp_path / "sm.mdf"
    simulate_file(several, measurement, phantom=Phantom(image, wide, "dots"), frames=1, background_frames=0)
    center = -np.linalg.solve(GRADIENT, own)
    grid = mdf.Grid(np.array([11, 9, 1]), np.array([0.022, 0.018, 0.001]), center)
    simulate_calibration_file(one, calibration, grid=grid, noise=QUIET)
    return measurement, calibration, several


@pytest.mark.parametrize("own", [(0.0, 0.0, 0.0), (0.002, -0.002, 0.0)])
def test_a_focus_field_moves_a_calibration_to_the_right_place(tmp_path, own):
    """The moved columns are what a delta sample at these places gives in each patch."""
    offsets = [(-0.004, 0.0, 0.0), (0.004, 0.002, 0.0)]
    measurement, calibration, several = simulated(tmp_path, offsets, [(0.002, 0, 0)], own=own)
    system = read(measurement, calibration, **SIMULATED)
    assert system.grid.shape == (1, 10, 15)
    np.testing.assert_allclose(system.grid.center, [0, 0.001, 0], atol=1e-9)
    there = system_matrix(several, system.grid, concentration=0.1)
    half = len(system.rows) // 2
    for patch, rows in enumerate((slice(0, half), slice(half, None))):
        spectra = np.fft.rfft(there[:, patch], axis=-1)
        wanted = spectra[:, system.rows.channels[rows], system.rows.lines[rows]][
            system.matrix.columns(patch)
        ].T
        np.testing.assert_allclose(system.matrix.load(patch), wanted, atol=1e-3 * np.abs(wanted).max())


def test_simulated_dots_come_out_at_their_places(tmp_path):
    """One dot in each of two patches, and one where both see it."""
    offsets = [(-0.004, 0.0, 0.0), (0.004, 0.0, 0.0)]
    places = np.array([(-0.006, 0.002, 0.0), (0.0, -0.002, 0.0), (0.006, 0.004, 0.0)])
    measurement, calibration, _ = simulated(tmp_path, offsets, places)
    more = {"lambda_": 1e-6, "iterations": 100, **SIMULATED}
    result = reconstruct_file(measurement, system_matrix=calibration, **more)
    image, grid = result.images.values.ravel(), result.images.grid
    assert grid.shape == (1, 9, 15)
    wanted = np.zeros(image.size)
    wanted[grid.nearest(places)] = 1
    np.testing.assert_allclose(image, wanted, atol=0.05)


def test_overlapping_patches_agree(tmp_path):
    """A dot that both patches see has the same place and value in each alone and in both."""
    place = (0.002, -0.002, 0.0)
    offsets = [(-0.002, 0.0, 0.0), (0.004, 0.002, 0.0)]
    measurement, calibration, _ = simulated(tmp_path, offsets, [place])
    system = read(measurement, calibration, **SIMULATED)
    half, voxel = len(system.rows) // 2, int(system.grid.nearest(np.array([place]))[0])
    for rows in (slice(0, half), slice(half, None), slice(None)):
        matrix = system.matrix.whole()[rows]
        image = kaczmarz(matrix, system.data[rows], lambda_=1e-6, iterations=100)[:, 0]
        assert np.argmax(image) == voxel
        assert image[voxel] == pytest.approx(1, abs=0.05)


def test_the_supplied_patches_with_a_simulated_calibration(samples, tmp_path):
    """The sample says where its dots are; scanner and particles are simulated after its description.

    The calibration is wider than the drive field moves, as each patch hears dots far outside.
    """
    source = samples / "multipatch-measurement.mdf"
    changes = [
        "drive_field.amplitudes=[0.006, 0.006]",
        "particle.core_diameter=21e-9",
        "receiver.sensitivity=[[1.0, 0.02, 0.0], [-0.03, 0.9, 0.01]]",
    ]
    ideal, system = tmp_path / "ideal.mdf", tmp_path / "sm.mdf"
    grid = mdf.Grid(np.array([41, 41, 1]), np.array([0.041, 0.041, 0.001]), np.zeros(3))
    simulate_calibration_file(preset("openmpi-2d", changes), ideal, grid=grid, noise=QUIET)
    with mdf.open(ideal) as file:  # its coils are ideal, as if a receive chain had been divided out
        contents = file.contents() | {"/measurement/isTransferFunctionCorrected": True}
        mdf.write(system, contents, np.ascontiguousarray(file.read_signal(order="stored")))
    more = {"lambda_": 1e-3, "iterations": 60, "average_frames": True, "snr_threshold": 0.0}
    result = reconstruct_file(source, system_matrix=system, output=tmp_path / "image.mdf", **more)
    with mdf.open(source) as file:
        places = file.user_value("/_truth/_positions")
        amounts = file.user_value("/_truth/_concentrations")[0]
    assert result.figures["patches"] == [0, 0, 0, 0]
    assert result.images.grid.shape == (1, 53, 53)
    image = result.images.values.reshape(53, 53)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(image, 1), (3, 3)).max(axis=(2, 3))
    peaks = np.flatnonzero((image == around) & (image > 0.25 * image.max()))
    voxels = result.images.grid.nearest(places)
    assert set(peaks) == set(voxels)
    heights = image.ravel()[voxels]
    np.testing.assert_allclose(heights / heights[0], amounts / amounts[0], atol=0.1)
