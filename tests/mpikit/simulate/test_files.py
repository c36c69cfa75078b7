"""Simulated files: what they hold, and that a seed repeats them."""

import json
from dataclasses import replace

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding, Warned
from mpikit.scan_file import read_scan
from mpikit.simulate.calibration_files import simulate_calibration_file
from mpikit.simulate.calibrations import system_matrix
from mpikit.simulate.files import How, simulate_file
from mpikit.simulate.presets import preset
from mpikit.simulate.receive import Adc, HighPass
from mpikit.simulate.request import Subject, requested
from mpikit.simulate.signals import Signals


@pytest.fixture
def scanner():
    return preset("openmpi-2d")


NOISE = ["gaussian:snr_db=15"]


def make(scanner, path, *, frames=2, phantom=None, clean=None, how=None, **more):
    """Simulate a small file, and read it."""
    several = scanner.repeats == "periods"
    counted = {"count": frames} if several else {"frames": frames}
    how = how or How()
    chosen, frames = requested(scanner, Subject(phantom=phantom, **counted), seed=how.seed)
    simulate_file(scanner, path, phantom=chosen, frames=frames, clean=clean, how=how, **more)
    return read_scan(path)


def test_scan_file(scanner, tmp_path):
    events = []
    scan = make(
        scanner,
        tmp_path / "scan.mdf",
        phantom="smile",
        frames=4,
        background_frames=3,
        noise=NOISE,
        how=How(seed=5, tell=events.append),
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
        assert file.user_value("/_mpikit/sources").tolist() == [0]
        assert record["options"]["table"] == scanner.table
        assert record["options"]["form"] == ["direct"]
    assert scan.signal.shape == (4, 1, 2, 1632)
    finding = next(event for event in events if isinstance(event, Finding))
    assert finding.value == pytest.approx(15, abs=0.1)


def test_background_frames_hold_noise_alone(scanner, tmp_path):
    made = make(
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
    make(scanner, tmp_path / "a.mdf", frames=2, background_frames=2, clean=tmp_path / "b.mdf")
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
    scan = make(chosen, tmp_path / "train.mdf", frames=3, noise=["gaussian:snr_db=5"], how=How(seed=2))
    assert scan.signal.shape == (3, 2, 1, 9900)
    assert scan.repeats == "periods"
    mean, difference = scan.signal.mean(axis=1), scan.signal[:, 0] - scan.signal[:, 1]
    sigma = np.std(difference, axis=-1) / np.sqrt(2)
    power = np.mean(mean**2, axis=-1) - sigma**2 / 2
    np.testing.assert_allclose(10 * np.log10(power / sigma**2), 5, atol=0.2)
    assert not np.allclose(mean[0], mean[1], atol=3 * sigma.max())


def test_a_seed_repeats_a_file(scanner, tmp_path):
    scans = [
        make(scanner, tmp_path / f"{place}.mdf", noise=NOISE, how=How(seed=seed)).signal
        for place, seed in enumerate([3, 3, 4])
    ]
    np.testing.assert_array_equal(scans[0], scans[1])
    assert not np.array_equal(scans[0], scans[2])


def test_calibration_file(scanner, tmp_path):
    events = []
    grid = scanner.calibration.grid((7, 5))
    simulate_calibration_file(scanner, tmp_path / "sm.mdf", grid=grid, how=How(tell=events.append))
    assert any("snr_db=40" in event.text for event in events if isinstance(event, Finding))
    matrix = system_matrix(scanner, grid, concentration=0.1)
    sigma = np.sqrt(np.mean(matrix**2, axis=(0, 1, 3))) / 100
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
    np.testing.assert_allclose(np.std(signal - matrix, axis=(0, 1, 3)), sigma, rtol=0.02)


def test_stronger_noise_lowers_the_snr_of_a_calibration(scanner, tmp_path):
    ratios = []
    for level in (30, 50):
        path = tmp_path / f"{level}.mdf"
        noise = [f"gaussian:level=channel,snr_db={level}"]
        simulate_calibration_file(
            scanner, path, grid=scanner.calibration.grid((4, 3), (0.02, 0.015)), noise=noise
        )
        with mdf.open(path) as file:
            ratios.append(file.calibration.snr[0, 0, 16])
    assert ratios[1] == pytest.approx(10 * ratios[0], rel=0.02)


def test_a_calibration_in_pieces_is_the_same(scanner, tmp_path, monkeypatch):
    """Pieces of the file; and the signal-to-noise ratio against its definition, all in memory."""
    grid = scanner.calibration.grid((5, 3, 2), (0.02, 0.015, 0.004))
    monkeypatch.setattr("mpikit.simulate.calibrations._BLOCK", 4 * 2 * 1632)
    contents = []
    for name, held in (("whole", 1 << 30), ("pieces", 7 * 2 * 817 * 8)):
        monkeypatch.setattr("mpikit.simulate.calibration_files._HELD", held)
        simulate_calibration_file(scanner, tmp_path / name, grid=grid, how=How(seed=3))
        with mdf.open(tmp_path / name) as file:
            empty = file.read_signal("background", domain="frequency")
            places = file.read_signal("foreground", order="grid", domain="frequency")
            contents.append((places, empty, file.calibration.snr.copy()))
    for whole, pieces in zip(*contents, strict=True):
        np.testing.assert_array_equal(whole, pieces)
    places, empty, snr = contents[0]
    assert (len(places), len(empty)) == (30, 7)
    places, empty = places.astype(complex), empty.astype(complex)
    jitter = np.abs(np.diff(empty, axis=0)).mean(axis=0)
    np.testing.assert_allclose(snr, np.abs(places - empty.mean(axis=0)).mean(axis=0) / jitter, rtol=1e-6)


def test_the_steps_of_the_receiver_are_in_the_file(scanner, tmp_path):
    receiver = replace(
        scanner.receiver,
        feed_through=np.array([[1e-7, 0], [0, 2e-7]]),
        high_pass=HighPass(frequency=50e3, order=2),
        adc=Adc(bits=14, full_scale=0.02),
        averages=3,
    )
    chosen = replace(scanner, receiver=receiver, particle=replace(scanner.particle, relaxation_time=1e-6))
    make(chosen, tmp_path / "a.mdf", noise=["gaussian:sigma=1e-6"], clean=tmp_path / "c.mdf")
    step = 0.04 / 2**14
    with mdf.open(tmp_path / "a.mdf") as file:
        (record,) = json.loads(file.user_value("/_mpikit/history"))
        assert list(record["steps"]) == ["relaxation", "feed_through", "high_pass", "adc", "averages"]
        assert record["steps"]["adc"] == {"bits": 14, "full_scale": 0.02}
        assert "high-pass, adc, averages" in file.experiment.description
        assert not file.measurement.is_transfer_function_corrected
        response = file.acquisition.receiver.transfer_function
        assert response.shape == (2, 817)
        ratio = np.arange(817) * 2.5e6 / 1632 / 50e3
        np.testing.assert_allclose(
            np.abs(response[1, :-1]), (ratio**2 / np.sqrt(1 + ratio**4))[:-1], atol=1e-6
        )
        assert file.acquisition.num_averages == 3
        factor = file.acquisition.receiver.data_conversion_factor
        np.testing.assert_allclose(factor, [[step / 3, 0], [step / 3, 0]])
        counts = file.read_signal("foreground", domain="time") / (step / 3)
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-2)
    clean = read_scan(tmp_path / "c.mdf").signal
    empty = Signals(chosen, chosen.phantom.grid(), filled=0).empty()
    assert np.abs(read_scan(tmp_path / "a.mdf").signal - clean - empty).max() < 3 * 1e-6 + step


def test_a_saturated_converter_is_told(scanner, tmp_path):
    events = []
    narrow = replace(scanner, receiver=replace(scanner.receiver, adc=Adc(bits=8, full_scale=1e-6)))
    make(narrow, tmp_path / "a.mdf", noise=NOISE, how=How(tell=events.append))
    (warning,) = [event.text for event in events if isinstance(event, Warned)]
    assert "clipped" in warning
    assert "full_scale" in warning


def test_another_noise_shows_the_same_digits(tmp_path):
    peng = preset("peng2023")
    clean = [tmp_path / f"clean{level}.mdf" for level in (5, 15)]
    for level, path in zip((5, 15), clean, strict=True):
        make(peng, tmp_path / f"{level}.mdf", frames=5, clean=path, noise=[f"gaussian:snr_db={level}"])
    first, second = (read_scan(path).signal for path in clean)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[:, 0], first[:, 1])
    assert len(np.unique(first[:, 0, 0, 100])) == 5


def test_nothing_is_left_when_the_work_is_stopped(scanner, tmp_path, monkeypatch):
    monkeypatch.setattr("mpikit.simulate.scans._BLOCK", 2 * 1632)

    def stop(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(scanner, tmp_path / "a.mdf", frames=8, noise=NOISE, how=How(tell=stop))
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_checked_first(scanner, tmp_path):
    path = tmp_path / "scan.mdf"
    path.write_bytes(b"precious")
    with pytest.raises(InputError, match="exists already"):
        make(scanner, path)
    with pytest.raises(InputError, match="exists already"):
        simulate_calibration_file(scanner, path)
    with pytest.raises(InputError, match="exists already"):
        make(scanner, tmp_path / "other.mdf", clean=path)
    with pytest.raises(UsageError, match="cannot be one file"):
        make(scanner, path, clean=path, how=How(overwrite=True))
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["scan.mdf"]
    assert make(scanner, path, how=How(overwrite=True)).signal.shape[0] == 2


def test_frames_of_a_file_are_not_averaged_again(scanner, tmp_path):
    """Noise of an averaged measurement comes back as strong as it was, or not at all."""
    averaged = replace(scanner, receiver=replace(scanner.receiver, averages=9))
    source = tmp_path / "empty.mdf"
    made = make(averaged, source, frames=1, background_frames=6, noise=["gaussian:sigma=3e-6"])
    again = make(
        averaged, tmp_path / "b.mdf", frames=1, background_frames=5, noise=[f"empirical:file={source}"]
    )
    assert np.std(made.background) == pytest.approx(1e-6, rel=0.05)
    assert np.std(again.background) == pytest.approx(np.std(made.background), rel=0.1)
    with pytest.raises(UsageError, match="measured with 9 averages, the scan has 1"):
        make(scanner, tmp_path / "c.mdf", noise=[f"empirical:file={source}"])
    with mdf.open(tmp_path / "b.mdf") as file:
        (record,) = json.loads(file.user_value("/_mpikit/history"))
    assert list(record["inputs"]) == ["empty.mdf"]
    with pytest.raises(InputError, match="is an input"):
        make(averaged, source, noise=[f"empirical:file={source}"], how=How(overwrite=True))
