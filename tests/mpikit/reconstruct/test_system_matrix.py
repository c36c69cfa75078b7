from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError
from mpikit.events import Warned, silent
from mpikit.reconstruct import Kaczmarz, kaczmarz, read_system
from mpikit.reconstruct.match import differences

from .conftest import BASE

ALL = {"min_frequency": 0.0, "snr_threshold": 0.0}


def read(measurement, calibration, tell=silent, **options):
    about_files = {
        name: options.pop(name) for name in ("average_frames", "allow_mismatch") if name in options
    }
    with mdf.open(measurement) as one, mdf.open(calibration) as other:
        return read_system(one, other, Kaczmarz(**{**ALL, **options}), tell=tell, **about_files)


def test_matrix_and_data_are_what_was_written(pair):
    system = read(pair.measurement(), pair.calibration())
    wanted = pair.matrix.reshape(24, -1).T  # frequency fastest, then channel
    np.testing.assert_allclose(system.matrix, wanted, atol=1e-4)
    np.testing.assert_allclose(system.data, wanted @ pair.images.T, atol=1e-3)
    assert system.matrix.dtype == np.complex64
    assert system.frames.tolist() == [1, 2, 3]
    assert system.grid.shape == (2, 3, 4)
    assert len(system.background) == 2
    found = kaczmarz(system.matrix, system.data, lambda_=1e-4, iterations=60)
    np.testing.assert_allclose(found, pair.images.T, atol=5e-3)


def test_background_none_keeps_it_in_both(pair):
    system = read(pair.measurement(), pair.calibration(), background="none")
    empty = pair.empty.reshape(-1, 1)
    np.testing.assert_allclose(system.matrix, pair.matrix.reshape(24, -1).T + empty, atol=1e-3)
    np.testing.assert_allclose(system.data, pair.matrix.reshape(24, -1).T @ pair.images.T + empty, atol=2e-3)


def test_what_is_corrected_already_is_not_corrected_again(pair):
    clean = np.zeros_like(pair.empty)
    known, pair.empty = pair.empty, clean
    corrected = pair.measurement(**{"/measurement/isBackgroundCorrected": True})
    pair.empty = known
    system = read(corrected, pair.calibration())
    wanted = pair.matrix.reshape(24, -1).T
    assert system.background == ("system matrix system.mdf",)
    np.testing.assert_allclose(system.matrix, wanted, atol=1e-4)
    np.testing.assert_allclose(system.data, wanted @ pair.images.T, atol=1e-3)


def test_only_lines_that_both_store_are_used(pair):
    lines = [17, 3, 9, 30]
    system = read(pair.measurement(), pair.calibration(lines=sorted(lines)))
    assert system.rows.lines.tolist() == sorted(lines) * 2
    wanted = pair.matrix[..., sorted(lines)].reshape(24, -1).T
    np.testing.assert_allclose(system.matrix, wanted, atol=1e-4)
    np.testing.assert_allclose(system.data, wanted @ pair.images.T, atol=1e-3)


def test_the_snr_of_the_file_selects_rows(pair):
    snr = np.ones((2, 31))
    snr[0, 4], snr[1, 20], snr[1, 1] = 2, 7, 5
    system = read(pair.measurement(), pair.calibration(snr=snr), snr_threshold=2, min_frequency=80e3)
    assert system.rows.channels.tolist() == [0, 1]
    assert system.rows.lines.tolist() == [4, 20]
    with pytest.raises(InputError, match="58 SNR below 9"):
        read(pair.measurement(), pair.calibration(snr=snr), snr_threshold=9, min_frequency=50e3)


def test_a_calibration_without_snr_keeps_all_rows_and_says_so(pair):
    events = []
    system = read(pair.measurement(), pair.calibration(), tell=events.append, snr_threshold=2)
    assert len(system.rows) == 62
    said = [event.text for event in events if isinstance(event, Warned)]
    assert len(said) == 1
    assert "no SNR, and it cannot be computed" in said[0]


def test_periods_and_frames_are_averaged(pair):
    system = read(pair.measurement(periods=3), pair.calibration(), average_frames=True)
    wanted = pair.matrix.reshape(24, -1).T @ pair.images.T.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(system.data, wanted, atol=1e-3)
    assert len(system.frames) == 0


@pytest.mark.parametrize(
    ("path", "what", "hint"),
    [("gradient", "gradient", "fbp"), ("drivefield/strength", "drive-field strength", "x-space")],
)
def test_periods_of_other_fields_than_the_focus_field_are_refused(pair, path, what, hint):
    values = np.repeat(BASE[f"/acquisition/{path}"], 3, axis=0)
    values[1] *= 1.5
    changed = pair.measurement(periods=3, **{f"/acquisition/{path}": values})
    with pytest.raises(InputError, match=f"the {what} differs between its 3 periods") as caught:
        read(changed, pair.calibration())
    assert f"--method {hint}" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "/acquisition/gradient",
            np.diag([-1.1, -1.1, 2.2])[None, None],
            "gradient (-1.1 -1.1 2.2), (-1 -1 2) T/m",
        ),
        (
            "/acquisition/drivefield/strength",
            np.array([[[0.012], [0.011]]]),
            "drive amplitudes (12 11), (12 10) mT",
        ),
        (
            "/acquisition/drivefield/divider",
            np.array([[24], [32]]),
            "drive frequencies (100000 75000), (100000 66666.7) Hz",
        ),
        ("/acquisition/receiver/bandwidth", 2e6, "sampling rate 4e+06, 2e+06 Hz"),
        ("/acquisition/receiver/unit", "a.u.", "unit a.u., V"),
    ],
)
def test_what_differs_is_named_with_both_values(pair, path, value, words):
    measurement, calibration = pair.measurement(**{path: value}), pair.calibration()
    with pytest.raises(InputError) as caught:
        read(measurement, calibration)
    assert str(caught.value) == (
        f"measurement.mdf and system.mdf do not match (measurement, system matrix): {words}"
    )
    assert "--allow-mismatch" in caught.value.hint
    events = []
    read(measurement, calibration, tell=events.append, allow_mismatch=True)
    assert any(isinstance(event, Warned) and words in event.text for event in events)


def test_the_receive_chain_of_one_file_alone_is_refused(pair):
    chain = {"/acquisition/receiver/transferFunction": np.ones((2, 31), complex)}
    corrected = pair.measurement(**chain, **{"/measurement/isTransferFunctionCorrected": True})
    calibration = pair.calibration()
    with pytest.raises(
        InputError, match=r"measurement\.mdf is corrected for it already, system matrix system\.mdf has"
    ):
        read(corrected, calibration)
    events = []
    read(corrected, calibration, tell=events.append, allow_mismatch=True)
    assert any(isinstance(event, Warned) and "transfer function" in event.text for event in events)


def test_the_receive_chain_is_divided_out_of_both(pair):
    """Matrix and data are those at the coils; a line that the chain does not let through is left out."""
    plain = read(pair.measurement("plain.mdf"), pair.calibration("plain-sm.mdf"))
    chain = np.exp(0.3j * np.arange(31)) * np.arange(1, 32) * np.array([[1.0], [2.0]])
    chain[1, 7] = 0
    contents = {"/acquisition/receiver/transferFunction": chain}
    divided = read(pair.measurement(**contents), pair.calibration(**contents))
    assert len(divided.rows) == len(plain.rows) - 1
    assert divided.rows.removed["where the transfer function is zero"] == 1
    channels, lines = divided.rows.channels, divided.rows.lines
    both = [
        np.flatnonzero((plain.rows.channels == c) & (plain.rows.lines == k))[0]
        for c, k in zip(channels, lines, strict=True)
    ]
    factor = chain[channels, lines][:, None]
    np.testing.assert_allclose(divided.matrix, plain.matrix[both] / factor, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(divided.data, plain.data[both] / factor, rtol=1e-3, atol=1e-3)
    kept = read(pair.measurement(**contents), pair.calibration(**contents), transfer_function="none")
    np.testing.assert_array_equal(kept.matrix, plain.matrix)


def test_small_differences_and_unused_channels_are_no_mismatch(pair):
    gradient = 1.01 * np.diag([-1.0, -1.0, 2.0])[None, None]
    unused = {
        "/acquisition/drivefield/divider": np.array([[24], [36], [30]]),
        "/acquisition/drivefield/strength": np.array([[[0.0121], [0.0101], [0.0]]]),
        "/acquisition/drivefield/phase": np.full((1, 3, 1), np.pi / 2),
        "/acquisition/drivefield/waveform": np.full((3, 1), "sine"),
    }
    measurement = pair.measurement(**{"/acquisition/gradient": gradient}, **unused)
    with mdf.open(measurement) as one, mdf.open(pair.calibration()) as other:
        assert differences(one, other) == []


def test_files_in_the_wrong_place_are_refused(pair):
    measurement, calibration = pair.measurement(), pair.calibration()
    with pytest.raises(InputError, match=r"system.mdf is a calibration \(a system matrix\)"):
        read(calibration, calibration)
    with pytest.raises(InputError, match=r"measurement.mdf is no system matrix"):
        read(measurement, measurement)


def test_another_number_of_samples_is_refused(pair, monkeypatch):
    calibration = pair.calibration()
    with mdf.open(pair.measurement()) as one, mdf.open(calibration) as other:
        monkeypatch.setattr(type(other), "num_samples", property(lambda file: 60 if file is one else 62))
        with pytest.raises(InputError, match="60, 62 samples in a period"):
            read_system(one, other, Kaczmarz(), allow_mismatch=True, tell=silent)


def test_bounded_reading_gives_the_same(pair, monkeypatch):
    measurement, calibration = pair.measurement(), pair.calibration()
    wanted = read(measurement, calibration)
    monkeypatch.setattr("mpikit.reconstruct.reading.MEMORY", 1)
    found = read(measurement, calibration)
    np.testing.assert_array_equal(found.matrix, wanted.matrix)
    np.testing.assert_array_equal(found.data, wanted.data)
