"""Files of version 1.0 that are not quite so: what is missing, given twice, or stored in another way."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from old_file import NODES, pairs

import mdf

DATA_TD, DATA_FD = "/measurement/dataTD", "/measurement/dataFD"
FREQUENCIES = "/acquisition/receiver/frequencies"


def said(file: mdf.File) -> dict[tuple[str, str], str]:
    return {(repair.path, repair.rule): repair.text for repair in file.repairs}


def test_of_two_signals_the_calibration_is_taken_and_then_the_spectra_are_left_out(old, frames):
    both = {DATA_TD: frames, DATA_FD: pairs(np.fft.rfft(2 * frames))}
    with mdf.open(old(both)) as file:
        np.testing.assert_array_equal(file.read_signal(), frames)
        assert said(file)["/measurement/data", "F11"] == f"{DATA_TD} is taken, {DATA_FD} left out"
    matrix = np.moveaxis(frames[:, :1], 0, -1)
    with mdf.open(old(both | {"/calibration/dataTD": matrix, "/acquisition/numPatches": 1})) as file:
        np.testing.assert_array_equal(file.read_signal(), frames[:, :1])
        text = f"/calibration/dataTD is taken, {DATA_TD}, {DATA_FD} left out"
        assert said(file)["/measurement/data", "F11"] == text


@pytest.mark.parametrize("kind", ["f8", "f4", "i2"])
def test_spectra_as_a_compound_are_read_and_found_valid(old, frames, kind):
    spectra = 1000 * np.fft.rfft(frames)
    stored = np.empty(spectra.shape, [("r", kind), ("i", kind)])
    stored["r"], stored["i"] = spectra.real, spectra.imag
    path = old({DATA_FD: stored})
    with mdf.open(path) as file:
        np.testing.assert_array_equal(file.read_signal(), stored["r"] + 1j * stored["i"])
        assert file.data_axes == ("N", "J", "C", "K")
        assert file.measurement.is_fourier_transformed is True
    assert DATA_FD not in {problem.path for problem in mdf.validate(path)}


def test_a_compound_with_too_many_axes_is_found(old, frames):
    path = old({DATA_FD: np.zeros((1, 4, 2, 3, 6), "c8")})
    (problem,) = [problem for problem in mdf.validate(path) if problem.path == DATA_FD]
    assert (problem.rule, problem.severity, problem.found) == ("M01", "error", "(1, 4, 2, 3, 6)")
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="channels, values and frames"):
        file.read_signal()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({DATA_FD: np.zeros((4, 2, 3, 6))}, "expected a last axis of real and imaginary part"),
        ({DATA_TD: np.zeros((4, 10))}, r"\(4, 10\), expected \(patches,\) channels, values and frames"),
        ({DATA_FD: np.zeros((10, 2))}, r"\(10,\), expected \(patches,\) channels"),
    ],
)
def test_shapes_that_version_1_does_not_have(old, changes, message):
    with mdf.open(old(changes)) as file, pytest.raises(mdf.MdfError, match=message):
        file.read_signal()


def test_sizes_that_are_not_said_are_those_of_the_data(old, frames):
    counts = ("/acquisition/numFrames", "/acquisition/numPatches", "/acquisition/receiver/numChannels")
    with mdf.open(old({DATA_TD: frames} | dict.fromkeys(counts))) as file:
        assert (file.num_frames, file.num_periods, file.num_channels) == (4, 2, 3)
        np.testing.assert_array_equal(file.read_signal(), frames)


def test_without_the_number_of_samples_there_is_no_signal(old, frames):
    with mdf.open(old({DATA_TD: frames, "/acquisition/receiver/numSamplingPoints": None})) as file:
        with pytest.raises(mdf.MdfError, match="numSamplingPoints is missing"):
            file.read_signal()
        assert file.acquisition.gradient.shape == (2, 1, 3, 3)


def test_a_file_without_data_has_no_mask_of_frames(old, rng):
    images = {"/reconstruction/data": rng.normal(size=(2, 6)), "/reconstruction/size": [3, 2, 1]}
    with mdf.open(old(images)) as file:
        assert file.value("/measurement/isBackgroundFrame") is None
        assert file.measurement is None
        with pytest.raises(mdf.MdfError, match="the file has no signal"):
            file.read_signal()


class TestFieldsInTheShapeOfVersion2:
    """Some programs put what version 2 has into a file of version 1: it is taken as it stands."""

    def test_gradient_strength_and_phase(self, old, frames, rng):
        gradient, strength = rng.normal(size=(2, 1, 3, 3)), rng.random(size=(2, 2, 1))
        phase = rng.normal(size=(2, 2, 1))
        changes = {
            DATA_TD: frames,
            "/acquisition/gradient": gradient,
            "/acquisition/drivefield/strength": strength,
            "/acquisition/drivefield/phase": phase,
        }
        with mdf.open(old(changes)) as file:
            np.testing.assert_array_equal(file.acquisition.gradient, gradient)
            np.testing.assert_array_equal(file.acquisition.drivefield.strength, strength)
            np.testing.assert_array_equal(file.acquisition.drivefield.phase, phase)
            assert ("/acquisition/drivefield/phase", "F05") not in said(file)
            center = NODES["/acquisition/drivefield/fieldOfViewCenter"]
            expected = [-gradient[period, 0] @ center[period] for period in range(2)]
            np.testing.assert_allclose(file.acquisition.offset_field[:, 0], expected)

    def test_a_stored_offset_field_wins_over_the_centre(self, old, frames):
        offset = np.arange(6.0).reshape(2, 1, 3)
        with mdf.open(old({DATA_TD: frames, "/acquisition/offsetField": offset})) as file:
            np.testing.assert_array_equal(file.acquisition.offset_field, offset)
            assert ("/acquisition/offsetField", "F05") not in said(file)

    def test_without_gradient_and_strength(self, old, frames):
        missing = dict.fromkeys(("/acquisition/gradient", "/acquisition/drivefield/strength"))
        with mdf.open(old({DATA_TD: frames} | missing)) as file:
            assert file.acquisition.gradient is None
            assert file.acquisition.offset_field is None
            for name in ("strength", "phase"):
                with pytest.raises(mdf.MdfError, match=f"drivefield/{name} is missing"):
                    getattr(file.acquisition.drivefield, name)


class TestFrequencies:
    def test_all_of_them_are_no_selection(self, old, frames):
        spectra = np.fft.rfft(frames)
        changes = {DATA_FD: pairs(spectra), FREQUENCIES: np.arange(6) * 0.25e6}
        with mdf.open(old(changes)) as file:
            assert file.measurement.is_frequency_selection is False
            assert file.measurement.frequency_selection is None
            np.testing.assert_array_equal(file.read_signal(), spectra)

    def test_of_a_signal_in_time_they_say_nothing(self, old, frames):
        with mdf.open(old({DATA_TD: frames, FREQUENCIES: np.array([0.25e6])})) as file:
            assert file.measurement.is_frequency_selection is False
            np.testing.assert_array_equal(file.read_signal(), frames)

    @pytest.mark.parametrize("shape", [(0,), (0, 6), (3, 0)])
    def test_an_empty_list_is_none(self, old, frames, shape):
        spectra = np.fft.rfft(frames)
        with mdf.open(old({DATA_FD: pairs(spectra), FREQUENCIES: np.zeros(shape)})) as file:
            np.testing.assert_array_equal(file.read_signal(), spectra)

    def test_a_bandwidth_of_0_is_named(self, old, frames):
        changes = {FREQUENCIES: np.array([0.25e6, 1e6]), "/acquisition/receiver/bandwidth": np.zeros(3)}
        path = old({DATA_FD: pairs(np.fft.rfft(frames)[..., [1, 4]])} | changes)
        with mdf.open(path) as file, pytest.raises(mdf.MdfError, match=r"bandwidth .*it is 0\.0"):
            file.read_signal()

    @pytest.mark.parametrize(
        ("frequencies", "message"),
        [
            (np.array([[1, 4], [1, 4], [1, 5]]) * 0.25e6, "differs between channels"),
            (np.array([1.0, 4.3]) * 0.25e6, "that no sampled period has"),
            (np.array([0.25e6, np.nan]), "that no sampled period has"),
            (np.array([0.25e6, 1e300]), "that no sampled period has"),
            (np.array([-0.25e6, 1e6]), "that no sampled period has"),
        ],
    )
    def test_those_that_version_2_cannot_say(self, old, frames, frequencies, message):
        path = old({DATA_FD: pairs(np.fft.rfft(frames)[..., [1, 4]]), FREQUENCIES: frequencies})
        with mdf.open(path) as file, pytest.raises(mdf.MdfError, match=f"frequencies .*{message}"):
            file.read_signal()


@pytest.mark.parametrize(("stored", "number"), [(23, 23), (np.array([23]), 23), (" 23 ", 23), ("second", 0)])
def test_the_number_of_the_experiment(old, frames, stored, number):
    with mdf.open(old({DATA_TD: frames, "/study/experiment": stored})) as file:
        assert file.experiment.number == number
        text = said(file).get(("/experiment/number", "F09"))
        assert text == ("'second' is no number, taken as 0" if stored == "second" else None)


def test_a_file_without_a_date_is_found(old, frames):
    path = old({DATA_TD: frames, "/date": None})
    with h5py.File(path) as hdf:
        assert "date" not in hdf
    found = {(problem.rule, problem.severity, problem.path) for problem in mdf.validate(path)}
    assert ("F05", "warning", "/date") in found
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="/time is missing"):
        _ = file.time
