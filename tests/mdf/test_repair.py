"""Every habit of real files that is repaired, each built by hand."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import mdf
from mdf.repair import tidy_time

DRIVE = "/acquisition/drivefield"


def rules(file: mdf.File) -> set[tuple[str, str]]:
    return {(repair.rule, repair.path.rpartition("/")[2]) for repair in file.repairs}


def three_channels(**more: object) -> dict[str, object]:
    """Drive field of three channels, as converted scanner files have it."""
    return {
        f"{DRIVE}/numChannels": 3,
        f"{DRIVE}/strength": np.ones((3, 3, 1)) * np.array([0.012, 0.012, 0])[:, None],
        f"{DRIVE}/phase": np.ones((3, 3, 1)),
        f"{DRIVE}/divider": np.array([[102], [96], [99]]),
        f"{DRIVE}/waveform": np.array([["sine"]] * 3, object),
        **{f"{DRIVE}/{name}": value for name, value in more.items()},
    }


@pytest.mark.parametrize("divider", [[[102, 96, 99]], [102, 96, 99]])
def test_divider_of_another_shape(made, divider):
    with mdf.open(made(three_channels(divider=np.array(divider)))) as file:
        assert file.acquisition.drivefield.divider.tolist() == [[102], [96], [99]]
        assert rules(file) == {("D02", "divider")}


@pytest.mark.parametrize("waveform", ["sine", ["sine"], [["sine"]], [["sine"] * 3]])
def test_one_waveform_for_all(made, waveform):
    stored = waveform if isinstance(waveform, str) else np.array(waveform, object)
    with mdf.open(made(three_channels(waveform=stored))) as file:
        assert file.acquisition.drivefield.waveform.tolist() == [["sine"]] * 3
        assert rules(file) == {("D02", "waveform")}


def test_two_components_on_two_channels(made):
    strength = np.arange(12.0).reshape(3, 2, 2)
    divider = np.array([[10, 20], [30, 40]])
    changes = {
        f"{DRIVE}/strength": strength,
        f"{DRIVE}/phase": strength,
        f"{DRIVE}/divider": divider,
        f"{DRIVE}/waveform": np.full((2, 2), "sine", object),
    }
    with mdf.open(made(changes)) as file:
        np.testing.assert_array_equal(file.acquisition.drivefield.divider, divider)
        assert file.repairs == ()


@pytest.mark.parametrize(("shape", "index"), [((3, 2), np.s_[..., None]), ((2,), np.s_[None, :, None])])
def test_amplitudes_that_lack_axes(made, rng, shape, index):
    strength = rng.uniform(0.001, 0.02, shape)
    with mdf.open(made({f"{DRIVE}/strength": strength})) as file:
        np.testing.assert_array_equal(
            file.acquisition.drivefield.strength, np.broadcast_to(strength[index], (3, 2, 1))
        )
        assert rules(file) == {("D02", "strength")}


def test_an_entry_for_one_period_holds_for_all(made):
    changes = {
        "/acquisition/gradient": np.diag([1.0, 2, -3])[None, None],
        "/acquisition/offsetField": np.array([[[1.0, 2, 3]]]),
        f"{DRIVE}/strength": np.array([[[0.01], [0.02]]]),
        f"{DRIVE}/phase": np.array([[[0.1], [0.2]]]),
    }
    with mdf.open(made(changes)) as file:
        assert file.acquisition.gradient.shape == (3, 1, 3, 3)
        assert file.acquisition.offset_field[2, 0].tolist() == [1, 2, 3]
        assert file.acquisition.drivefield.strength[2, :, 0].tolist() == [0.01, 0.02]
        assert file.acquisition.drivefield.phase.shape == (3, 2, 1)
        assert len(file.repairs) == 4


def test_entries_of_the_periods_before_they_were_averaged(made):
    strength = np.repeat(np.array([0.01, 0.02, 0.03]), 4)[:, None, None] * np.ones((12, 2, 1))
    with mdf.open(made({f"{DRIVE}/strength": strength})) as file:
        np.testing.assert_array_equal(file.acquisition.drivefield.strength[:, 0, 0], [0.01, 0.02, 0.03])
    strength[1] = 0.5  # not the same within a period: nobody knows which one counts
    with (
        mdf.open(made({f"{DRIVE}/strength": strength})) as file,
        pytest.raises(mdf.MdfError, match="strength"),
    ):
        _ = file.acquisition.drivefield.strength


@pytest.mark.parametrize("shape", [(3,), (3, 3), (3, 3, 3)])
def test_gradient_that_lacks_axes(made, shape):
    full = np.diag([1.0, 2, -3])
    gradient = full.diagonal() if shape == (3,) else np.broadcast_to(full, shape)
    with mdf.open(made({"/acquisition/gradient": gradient})) as file:
        assert file.acquisition.gradient.shape == (3, 1, 3, 3)
        np.testing.assert_array_equal(file.acquisition.gradient[2, 0], np.diag([1, 2, -3]))
        assert ("A02", "gradient") in rules(file)


@pytest.mark.parametrize("offset", [np.array([1.0, 2, 3]), np.array([1.0, 2, 3]) * np.ones((3, 1))])
def test_offset_field_that_lacks_axes(made, offset):
    with mdf.open(made({"/acquisition/offsetField": offset})) as file:
        assert file.acquisition.offset_field.shape == (3, 1, 3)
        np.testing.assert_array_equal(file.acquisition.offset_field[1, 0], [1, 2, 3])
        assert ("A02", "offsetField") in rules(file)


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("/acquisition/numPeriodsPerFrame", "/acquisition/numPeriods"),
        ("/measurement/isFastFrameAxis", "/measurement/isTransposed"),
        ("/measurement/isFramePermutation", "/measurement/isFramePermution"),
        ("/acquisition/receiver/unit", "/measurement/unit"),
    ],
)
def test_old_names(made, name, old):
    path = made({})
    with h5py.File(path, "r+") as hdf:
        hdf.move(name, old)
    with mdf.open(path) as file:
        value = file.value(name)
        assert ("F11", name.rpartition("/")[2]) in rules(file)
        assert len(file.read_signal()) == 5
    with mdf.open(made({})) as file:
        assert file.value(name) == value
        assert file.repairs == ()


def test_the_old_flag_of_the_frame_axis_counts(made, rng):
    data = rng.normal(size=(3, 2, 10, 5))
    changes = {
        "/measurement/isFastFrameAxis": None,
        "/measurement/isTransposed": np.int8(1),
        "/measurement/data": data,
    }
    with mdf.open(made(changes)) as file:
        np.testing.assert_array_equal(file.read_signal(), np.moveaxis(data, -1, 0))


def test_flags_and_averages_that_are_missing(made):
    names = ("isSparsityTransformed", "isBackgroundCorrected", "isFramePermutation")
    changes = {f"/measurement/{name}": None for name in names} | {"/acquisition/numAverages": None}
    with mdf.open(made(changes)) as file:
        assert [file.value(f"/measurement/{name}") for name in names] == [False] * 3
        assert file.acquisition.num_averages == 1
        assert rules(file) == {
            ("F05", "numAverages"), ("F05", "isBackgroundCorrected"), ("F05", "isFramePermutation"),
            ("F03", "isSparsityTransformed"),
        }  # fmt: skip


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "float64"])
def test_flags_of_another_type(made, kind):
    changes = {
        "/measurement/isBackgroundFrame": np.array([1, 0, 0, 0, 1], kind),
        "/measurement/isBackgroundCorrected": np.array(1, kind),
    }
    with mdf.open(made(changes)) as file:
        assert file.is_background.tolist() == [True, False, False, False, True]
        assert file.measurement.is_background_corrected is True
        assert rules(file) == {("F09", "isBackgroundFrame"), ("F09", "isBackgroundCorrected")}


def test_single_values_in_arrays(made):
    changes = {
        "/acquisition/receiver/bandwidth": np.array([1.25e6]),
        "/acquisition/numFrames": np.array([[5]]),
        "/study/name": np.array(["a"], object),
    }
    with mdf.open(made(changes)) as file:
        assert file.acquisition.receiver.bandwidth == 1.25e6
        assert file.num_frames == 5
        assert file.study.name == "a"
        assert {rule for rule, _ in rules(file)} == {"F10"}


def test_text_of_fixed_length_and_of_another_encoding(made):
    with mdf.open(made({"/scanner/facility": np.bytes_("Universität".encode())})) as file:
        assert file.scanner.facility == "Universität"
        assert file.repairs == ()
    with mdf.open(made({"/scanner/facility": np.bytes_("Universität".encode("latin-1"))})) as file:
        assert file.scanner.facility == "Universität"
        assert rules(file) == {("F15", "facility")}


def test_a_tracer_of_single_values(made):
    changes = {f"/tracer/{name}": "x" for name in ("name", "batch", "vendor", "solute")}
    changes |= {"/tracer/concentration": 0.1, "/tracer/volume": 0.0}
    with mdf.open(made(changes)) as file:
        assert file.tracer.name.tolist() == ["x"]
        assert file.tracer.concentration.tolist() == [0.1]
        assert file.tracer.injection_time is None
        assert {rule for rule, _ in rules(file)} == {"T01"}


def test_an_unknown_order_of_acquisition(made):
    with mdf.open(made({"/measurement/isFramePermutation": np.int8(1)})) as file:
        assert file.measurement.is_frame_permutation is False
        assert file.frame_index().tolist() == [0, 1, 2, 3, 4]
        assert rules(file) == {("M06", "isFramePermutation")}


def test_a_selection_of_frequencies_in_time_data(made):
    with mdf.open(made({"/measurement/isFrequencySelection": np.int8(1)})) as file:
        assert file.stored_lines.all()
        assert rules(file) == {("M08", "isFrequencySelection")}


def test_the_array_wins_over_the_counts(made):
    changes = {
        "/acquisition/numFrames": 7,
        "/acquisition/numPeriodsPerFrame": 1,
        "/acquisition/receiver/numChannels": 9,
    }
    with mdf.open(made(changes)) as file:
        assert (file.num_frames, file.num_periods, file.num_channels) == (5, 3, 2)
        assert rules(file) == {("M05", "numFrames"), ("M01", "numPeriodsPerFrame"), ("M01", "numChannels")}


def test_a_calibration_without_method_is_a_measurement(made):
    with mdf.open(made({"/calibration/deltaSampleSize": np.ones(3)})) as file:
        assert not file.is_calibration
        assert file.calibration is None
        assert rules(file) == {("F06", "calibration")}
        assert not any(path.startswith("/calibration") for path in file.contents())


def test_transfer_functions_of_other_lengths(made, rng):
    full = rng.normal(size=(2, 6)) + 1j
    selection = {
        "/measurement/data": np.zeros((5, 3, 2, 2), complex),
        "/measurement/isFourierTransformed": np.int8(1),
        "/measurement/isFrequencySelection": np.int8(1),
        "/measurement/frequencySelection": [6, 2],
        "/acquisition/receiver/transferFunction": full,
    }
    with mdf.open(made(selection)) as file:
        np.testing.assert_array_equal(file.acquisition.receiver.transfer_function, full[:, [5, 1]])
        assert rules(file) == {("R03", "transferFunction")}
    with mdf.open(made({"/acquisition/receiver/transferFunction": full[:, :3]})) as file:
        assert file.acquisition.receiver.transfer_function is None
        assert rules(file) == {("R03", "transferFunction")}
    with mdf.open(made({"/acquisition/receiver/transferFunction": full})) as file:
        np.testing.assert_array_equal(file.acquisition.receiver.transfer_function, full)
        assert file.repairs == ()


def test_one_conversion_factor_for_all_channels(made):
    with mdf.open(made({"/acquisition/receiver/dataConversionFactor": np.array([0.5, 0.0])})) as file:
        assert file.acquisition.receiver.data_conversion_factor.tolist() == [[0.5, 0]] * 2
        np.testing.assert_array_equal(file.read_signal().ravel(), np.arange(300) / 2)


def test_complex_time_data(made):
    data = np.arange(300).reshape(5, 3, 2, 10) + 1j
    with mdf.open(made({"/measurement/data": data})) as file:
        np.testing.assert_array_equal(file.read_signal(), data.real)
        assert file.read_signal().dtype == np.float64
        assert rules(file) == {("M02", "data")}


def test_images_without_the_axis_of_contrasts(made):
    with mdf.open(made({"/reconstruction/data": np.zeros((4, 6))})) as file:
        assert file.reconstruction.data.shape == (4, 6, 1)


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("2026-03-02T10:15:30.25", "2026-03-02T10:15:30.25"),
        ("2026-03-02T10:15:30.123456", "2026-03-02T10:15:30.123"),
        ("2026-03-02T10:15:30Z", "2026-03-02T10:15:30.000"),
        ("2026-03-02 10:15:30+02:00", "2026-03-02T08:15:30.000"),
        ("yesterday", "yesterday"),
        ("0001-01-01T00:00:00+09:00", "0001-01-01T00:00:00+09:00"),
    ],
)
def test_times(text, tidied):
    assert tidy_time(text) == tidied


def test_times_are_tidied(made):
    with mdf.open(made({"/acquisition/startTime": "2026-03-02T10:15:30Z"})) as file:
        assert file.acquisition.start_time == "2026-03-02T10:15:30.000"
        assert rules(file) == {("F14", "startTime")}
