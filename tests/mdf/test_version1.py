"""Files of version 1.0, built by hand: every row that version 2 has elsewhere or in another shape."""

from __future__ import annotations

import numpy as np
import pytest
from old_file import NODES, pairs

import mdf


def test_names_and_shapes(old, frames):
    with mdf.open(old({"/measurement/dataTD": frames})) as file:
        assert (file.version, file.time) == ("1.0.5", "2016-03-02T10:15:30.5")
        assert (file.experiment.number, file.experiment.subject) == (17, "a dot")
        assert file.experiment.description == "what was done"
        assert file.experiment.is_simulation is True
        assert (file.study.name, file.study.description, file.study.number) == ("old", "n.a.", 0)
        assert file.tracer.name.tolist() == ["particles"]
        assert file.tracer.solute.tolist() == ["Fe"]
        assert file.tracer.concentration.tolist() == [0.5]
        assert file.tracer.injection_time.tolist() == ["2016-03-02T10:00:00"]
        assert file.scanner.name == "bench"
        assert file.acquisition.start_time == "2016-03-02T10:15:00"
        assert (file.num_periods, file.acquisition.num_averages) == (2, 6)
        np.testing.assert_array_equal(file.acquisition.gradient[1, 0], np.diag([2, 2.5, -4.5]))
        np.testing.assert_allclose(file.acquisition.offset_field[1, 0], [0, -0.05, 0.135])
        drive = file.acquisition.drivefield
        np.testing.assert_array_equal(drive.strength[..., 0], NODES["/acquisition/drivefield/strength"])
        assert drive.divider.tolist() == [[10], [5]]
        assert drive.waveform.tolist() == [["sine"], ["sine"]]
        np.testing.assert_array_equal(drive.phase, np.full((2, 2, 1), np.pi / 2))
        assert drive.cycle == 4e-6
        assert (file.acquisition.receiver.bandwidth, file.num_samples) == (1.25e6, 10)
        assert file.acquisition.receiver.unit == "a.u."
        assert file.acquisition.receiver.data_conversion_factor is None
        said = {repair.path: repair.text for repair in file.repairs}
    assert said["/version"].startswith("the datasets are those of version 1")
    assert "/scanner/model" in said["/scanner/name"]
    assert {"/study/uuid", "/experiment/name", "/acquisition/drivefield/phase"} <= set(said)


def test_invented_identities_stay(old, frames):
    path = old({"/measurement/dataTD": frames})
    with mdf.open(path) as one, mdf.open(path) as two:
        assert one.study.uuid == two.study.uuid != one.experiment.uuid


@pytest.mark.parametrize("patches", [1, 2])
def test_measurements_in_time_and_frequency(old, frames, patches):
    frames = frames[:, :patches]
    single = {"/acquisition/gradient": np.array([1.0, 1, -2]), "/acquisition/numPatches": 1,
              "/acquisition/drivefield/strength": np.array([0.01, 0.02]),
              "/acquisition/drivefield/fieldOfViewCenter": np.array([0.01, 0, 0])}  # fmt: skip
    more = single if patches == 1 else {}
    spectra = np.fft.rfft(frames)
    for shape in [frames.shape, (4, 3, 10)][: 3 - patches]:
        with mdf.open(old(more | {"/measurement/dataTD": frames.reshape(shape)})) as file:
            np.testing.assert_array_equal(file.read_signal(), frames)
            assert file.acquisition.gradient.shape == (patches, 1, 3, 3)
            assert file.acquisition.drivefield.strength.shape == (patches, 2, 1)
        stored = pairs(spectra).reshape(*shape[:-1], 6, 2).astype(np.float32)
        with mdf.open(old(more | {"/measurement/dataFD": stored})) as file:
            assert file.read_signal().dtype == np.complex64
            np.testing.assert_allclose(file.read_signal(domain="time"), frames, atol=1e-5)


@pytest.mark.parametrize("lead", [(1,), ()])
@pytest.mark.parametrize("fourier", [True, False])
def test_calibrations(old, rng, lead, fourier):
    frames = rng.normal(size=(6, 1, 3, 10))
    stored = np.moveaxis(np.fft.rfft(frames) if fourier else frames, 0, -1)
    stored = stored.reshape(*lead, *stored.shape[1:])
    changes = {
        "/calibration/dataFD": pairs(stored) if fourier else None,
        "/calibration/dataTD": None if fourier else stored,
        "/calibration/snrFD": rng.random((3, 6)),
        "/calibration/size": [3, 2, 1],
        "/calibration/fieldOfView": [0.03, 0.02, 0.01],
        "/acquisition/numPatches": 1,
        "/acquisition/numFrames": 6,
    }
    with mdf.open(old(changes)) as file:
        assert file.is_calibration
        assert file.calibration.snr.shape == (1, 3, 6)
        assert file.calibration.method == "n.a."
        assert file.measurement.is_background_corrected is True
        np.testing.assert_allclose(file.read_signal(domain="time"), frames, atol=1e-12)
        rows = file.system_matrix.rows([[0, 2, 5], [0, 0, 1]])
        np.testing.assert_allclose(rows, np.fft.rfft(frames)[:, 0, [2, 0], [5, 1]].T, atol=1e-12)
        assert ("M06", "/measurement/isFramePermutation") in {(r.rule, r.path) for r in file.repairs}


def test_a_reference_is_all_background(old, frames):
    with mdf.open(old({"/measurement/dataTD": frames, "/study/reference": 1})) as file:
        assert file.is_background.all()
        assert len(file.read_signal("foreground")) == 0


@pytest.mark.parametrize("channels", [False, True])
def test_stored_frequencies_become_a_selection(old, frames, channels):
    lines = np.array([1, 4, 5])
    frequencies = lines * 0.25e6 * (np.ones((3, 1)) if channels else 1)
    stored = pairs(np.fft.rfft(frames)[..., lines])
    changes = {"/measurement/dataFD": stored, "/acquisition/receiver/frequencies": frequencies}
    with mdf.open(old(changes)) as file:
        assert file.measurement.frequency_selection.tolist() == [2, 5, 6]
        np.testing.assert_allclose(file.frequencies, lines * 0.25e6)
        np.testing.assert_allclose(
            file.read_signal(full=True)[..., lines], np.fft.rfft(frames)[..., lines], atol=1e-12
        )


@pytest.mark.parametrize("compound", [False, True])
def test_transfer_functions(old, frames, compound, rng):
    function = rng.normal(size=(3, 6)) + 1j
    stored = function if compound else pairs(function)
    changes = {"/measurement/dataTD": frames, "/acquisition/receiver/transferFunction": stored}
    with mdf.open(old(changes)) as file:
        np.testing.assert_array_equal(file.acquisition.receiver.transfer_function, function)


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 4)])
def test_images(old, rng, shape):
    images = rng.normal(size=shape)
    changes = {"/reconstruction/data": images, "/reconstruction/size": [3, 2, 1],
               "/reconstruction/fieldOfView": [0.03, 0.02, 0.01]}  # fmt: skip
    with mdf.open(old(changes)) as file:
        np.testing.assert_array_equal(file.images, images.reshape(2, 1, 2, 3, -1))
        assert file.measurement is None


def test_channels_that_differ_cannot_be_read(old, frames):
    changes = {"/measurement/dataTD": frames, "/acquisition/receiver/bandwidth": np.array([1.0, 2, 1])}
    with mdf.open(old(changes)) as file, pytest.raises(mdf.MdfError, match="same for all channels"):
        file.read_signal()


def test_every_value_of_study_and_tracer_may_be_missing(old, frames):
    missing = {node: None for node in NODES if node.startswith(("/study", "/tracer"))}
    with mdf.open(old(missing | {"/measurement/dataTD": frames, "/tracer/name": "x"})) as file:
        assert file.experiment.subject == file.study.name == "n.a."
        assert file.experiment.number == 0
        assert file.tracer.vendor.tolist() == ["n.a."]
        assert file.tracer.concentration.tolist() == [0]


def test_version_2_of_an_old_file(old, frames, tmp_path):
    with mdf.open(old({"/measurement/dataTD": frames})) as file:
        mdf.write(tmp_path / "new.mdf", file.contents(), file.read_signal(order="stored"))
    with mdf.open(tmp_path / "new.mdf") as file:
        assert file.version == "2.1.0"
        assert file.repairs == ()
        np.testing.assert_array_equal(file.read_signal(), frames)


def test_the_label_decides_nothing(made, old, frames):
    with mdf.open(made({"/version": "1.0"})) as file:
        assert file.read_signal().shape == (5, 3, 2, 10)
    with mdf.open(old({"/version": "2.1.0", "/measurement/dataTD": frames})) as file:
        np.testing.assert_array_equal(file.read_signal(), frames)


def test_the_letters_of_the_stored_axes(old, frames):
    spectra = pairs(np.fft.rfft(frames))
    cases = [
        ({"/measurement/dataTD": frames}, ("N", "J", "C", "V")),
        ({"/measurement/dataFD": spectra}, ("N", "J", "C", "K", "RI")),
        ({"/calibration/dataFD": np.moveaxis(spectra, 0, -2)}, ("J", "C", "K", "N", "RI")),
        ({"/calibration/dataFD": np.moveaxis(spectra, 0, -2)[0], "/acquisition/numPatches": 1},
         ("C", "K", "N", "RI")),
    ]  # fmt: skip
    for changes, axes in cases:
        with mdf.open(old(changes)) as file:
            assert file.data_axes == axes
            assert len(axes) == len(file.measurement.data.shape)


def test_a_flag_that_is_absent_is_told_as_a_number(old, frames):
    with mdf.open(old({"/measurement/dataTD": frames})) as file:
        said = {repair.path: repair.text for repair in file.repairs}
    assert said["/measurement/isSpectralLeakageCorrected"] == "absent, taken as 0"
