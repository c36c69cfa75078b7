"""Simulated files: what they hold, and that a seed repeats them."""

import json

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding
from mpikit.scan_file import read_scan
from mpikit.simulate.calibrations import system_matrix
from mpikit.simulate.files import simulate_calibration_file, simulate_file
from mpikit.simulate.presets import preset


@pytest.fixture
def scanner():
    return preset("openmpi-2d")


NOISE = ["gaussian:snr_db=15"]


def test_scan_file(scanner, tmp_path):
    events = []
    made = simulate_file(
        scanner,
        tmp_path / "scan.mdf",
        phantom="smile",
        frames=4,
        background_frames=3,
        noise=NOISE,
        seed=5,
        tell=events.append,
    )
    with mdf.open(tmp_path / "scan.mdf") as file:
        assert file.repairs == ()
        assert file.experiment.is_simulation
        assert (file.num_frames, file.num_periods, file.num_channels, file.num_samples) == (7, 1, 2, 1632)
        np.testing.assert_array_equal(file.is_background, [1, 1, 0, 0, 0, 0, 1])
        assert file.user_value("/_mpikit/repeats") == "frames"
        (record,) = json.loads(file.user_value("/_mpikit/history"))
        assert record["seed"] == 5
        assert record["options"]["noise"] == NOISE
        assert not any(node.startswith("/_truth") for node in file.user_nodes())
    scan = read_scan(tmp_path / "scan.mdf")
    np.testing.assert_array_equal(scan.signal, made.signal)
    np.testing.assert_array_equal(scan.background, made.background)
    finding = next(event for event in events if isinstance(event, Finding))
    assert finding.value == pytest.approx(15, abs=0.1)


def test_background_frames_hold_noise_alone(scanner, tmp_path):
    made = simulate_file(
        scanner, tmp_path / "a.mdf", frames=3, background_frames=4, noise=NOISE, clean=tmp_path / "clean.mdf"
    )
    clean = read_scan(tmp_path / "clean.mdf").signal
    assert clean.shape == made.signal.shape
    sigma = np.sqrt(np.mean(clean[0] ** 2, axis=-1)) * 10 ** (-15 / 20)
    # Signals on the one, noise of the same strength on both: 1632 samples of 4 frames make it sure to 5 %.
    np.testing.assert_allclose(np.std(made.background, axis=(0, 1, 3)), sigma[0], rtol=0.05)
    np.testing.assert_allclose(np.std(made.signal - clean, axis=(0, 1, 3)), sigma[0], rtol=0.05)
    spectrum = np.fft.rfft(made.background, axis=-1)
    likeness = np.abs(np.sum(spectrum * np.fft.rfft(clean[:1], axis=-1).conj(), axis=-1))
    energy = np.sqrt(
        np.sum(np.abs(spectrum) ** 2, axis=-1) * np.sum(np.abs(np.fft.rfft(clean[0])) ** 2, axis=-1)
    )
    assert np.max(likeness / energy) < 0.15


def test_clean_file_tells_the_phantom(scanner, tmp_path):
    simulate_file(scanner, tmp_path / "a.mdf", frames=2, background_frames=2, clean=tmp_path / "b.mdf")
    noisy, clean = read_scan(tmp_path / "a.mdf"), read_scan(tmp_path / "b.mdf")
    np.testing.assert_array_equal(noisy.signal, clean.signal)  # no noise was asked for
    assert len(noisy.background) == 2
    assert len(clean.background) == 0
    with mdf.open(tmp_path / "b.mdf") as file:
        truth = file.user_value("/_truth/_concentrations")
        assert truth.shape == (1, 1, 48, 48)
        amount = truth.sum() * np.prod(scanner.phantom.grid().spacing) * 1000
        stated = file.tracer.concentration[0] * file.tracer.volume[0]
        assert amount == pytest.approx(stated, rel=1e-6)


def test_many_phantoms_of_two_periods(tmp_path):
    chosen = preset("peng2023")
    made = simulate_file(chosen, tmp_path / "train.mdf", frames=3, noise=["gaussian:snr_db=5"], seed=2)
    assert made.signal.shape == (3, 2, 1, 9900)
    scan = read_scan(tmp_path / "train.mdf")
    assert scan.repeats == "periods"
    mean, difference = scan.signal.mean(axis=1), scan.signal[:, 0] - scan.signal[:, 1]
    sigma = np.std(difference, axis=-1) / np.sqrt(2)
    power = np.mean(mean**2, axis=-1) - sigma**2 / 2
    np.testing.assert_allclose(10 * np.log10(power / sigma**2), 5, atol=0.2)
    assert not np.allclose(mean[0], mean[1], atol=3 * sigma.max())


def test_a_seed_repeats_a_file(scanner, tmp_path):
    scans = [
        simulate_file(scanner, tmp_path / f"{place}.mdf", frames=2, noise=NOISE, seed=seed).signal
        for place, seed in enumerate([3, 3, 4])
    ]
    np.testing.assert_array_equal(scans[0], scans[1])
    assert not np.array_equal(scans[0], scans[2])


def test_calibration_file(scanner, tmp_path):
    events = []
    simulate_calibration_file(scanner, tmp_path / "sm.mdf", size=(7, 5), tell=events.append)
    assert any("snr_db=40" in event.text for event in events if isinstance(event, Finding))
    grid = scanner.calibration.grid((7, 5))
    matrix = system_matrix(scanner, grid, concentration=0.1)
    sigma = np.sqrt(np.mean(matrix**2, axis=(0, 2))) / 100
    with mdf.open(tmp_path / "sm.mdf") as file:
        assert file.repairs == ()
        assert file.is_calibration
        assert file.grid.shape == (1, 5, 7)
        assert (file.num_frames, int(file.is_background.sum())) == (35 + 6, 6)
        np.testing.assert_array_equal(np.flatnonzero(file.is_background), np.arange(6) * 8)
        np.testing.assert_allclose(file.calibration.positions, grid.positions())
        np.testing.assert_allclose(file.calibration.delta_sample_size, grid.spacing)
        assert file.calibration.snr.shape == (1, 2, 817)
        assert np.all(np.isfinite(file.calibration.snr))
        assert np.argmax(file.calibration.snr[0], axis=-1).tolist() == [16, 17]
        assert file.tracer.concentration[0] == 0.1
        assert file.tracer.volume[0] == pytest.approx(np.prod(grid.spacing) * 1000)
        signal = file.read_signal(order="grid", domain="time")
    np.testing.assert_allclose(np.std(signal[:, 0] - matrix, axis=(0, 2)), sigma, rtol=0.02)


def test_stronger_noise_lowers_the_snr_of_a_calibration(scanner, tmp_path):
    ratios = []
    for level in (30, 50):
        path = tmp_path / f"{level}.mdf"
        noise = [f"gaussian:level=channel,snr_db={level}"]
        simulate_calibration_file(scanner, path, size=(4, 3), field_of_view=(0.02, 0.015), noise=noise)
        with mdf.open(path) as file:
            ratios.append(file.calibration.snr[0, 0, 16])
    assert ratios[1] == pytest.approx(10 * ratios[0], rel=0.02)


def test_outputs_are_checked_first(scanner, tmp_path):
    path = tmp_path / "scan.mdf"
    path.write_bytes(b"precious")
    with pytest.raises(InputError, match="exists already"):
        simulate_file(scanner, path)
    with pytest.raises(InputError, match="exists already"):
        simulate_calibration_file(scanner, path)
    with pytest.raises(InputError, match="exists already"):
        simulate_file(scanner, tmp_path / "other.mdf", clean=path)
    with pytest.raises(UsageError, match="cannot be one file"):
        simulate_file(scanner, path, clean=path, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["scan.mdf"]
    simulate_file(scanner, path, frames=2, overwrite=True)
    assert read_scan(path).signal.shape[0] == 2
