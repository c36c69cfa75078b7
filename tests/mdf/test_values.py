"""Values that a file lacks, or has in another shape: what is read all the same, and what is said."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import mdf

AQ, ME, CA, RE = "/acquisition", "/measurement", "/calibration", "/reconstruction"


def rules(file: mdf.File) -> set[tuple[str, str]]:
    return {(repair.rule, repair.path) for repair in file.repairs}


@pytest.mark.parametrize("path", ["/tracer/name", f"{CA}/method", f"{CA}/snr", f"{RE}/data"])
def test_nothing_is_missing_in_a_group_that_is_not_there(made, path):
    with mdf.open(made({})) as file:
        assert file.value(path) is None
        assert rules(file) == set()


def test_names_that_a_group_does_not_have(made):
    """Notebooks and copiers ask any object for such names: they must learn that there is nothing."""
    with mdf.open(made({})) as file:
        for name in ("_repr_html_", "__deepcopy__", "_ipython_display_", "nmae"):
            assert not hasattr(file.study, name)
        with pytest.raises(AttributeError, match=r"MDF 2\.1\.0 has no 'nmae' in /study"):
            _ = file.study.nmae


def test_one_frame_of_selected_components_without_the_axis_of_frames(made, rng):
    data = rng.normal(size=(3, 2, 4)) + 1j * rng.normal(size=(3, 2, 4))
    changes = {
        f"{ME}/data": data,
        f"{ME}/isFourierTransformed": np.int8(1),
        f"{ME}/isFrequencySelection": np.int8(1),
        f"{ME}/frequencySelection": [1, 2, 4, 6],
        f"{ME}/isBackgroundFrame": np.zeros(1, np.int8),
        f"{AQ}/numFrames": 1,
    }
    with mdf.open(made(changes)) as file:
        np.testing.assert_array_equal(file.read_signal(), data[None])
        assert ("M01", f"{ME}/data") in rules(file)
        np.testing.assert_allclose(file.frequencies, np.array([0, 1, 3, 5]) * 0.25e6)


def test_flags_whose_lists_are_missing(made):
    changes = {f"{ME}/isFourierTransformed": np.int8(1), f"{ME}/isFrequencySelection": np.int8(1)}
    data = {f"{ME}/data": np.zeros((5, 3, 2, 4), np.complex64)}
    with (
        mdf.open(made(changes | data)) as file,
        pytest.raises(mdf.MdfError, match="frequencySelection is missing, its flag is 1"),
    ):
        file.read_signal()


class TestCountsThatAreMissing:
    def test_the_samples(self, made):
        with mdf.open(made({f"{AQ}/receiver/numSamplingPoints": None})) as file:
            assert file.acquisition.gradient.shape == (3, 1, 3, 3)
            assert file.measurement.is_background_frame.tolist() == [True, False, False, False, True]
            with pytest.raises(mdf.MdfError, match="numSamplingPoints is missing, every MDF file"):
                file.read_signal()

    def test_the_periods(self, made):
        with mdf.open(made({f"{AQ}/numPeriodsPerFrame": None})) as file:
            message = f"{AQ}/gradient cannot be read: the file does not say the size of its axis J"
            with pytest.raises(mdf.MdfError, match=message):
                _ = file.acquisition.gradient
            assert file.acquisition.drivefield.divider.tolist() == [[10], [5]]

    def test_the_components_of_a_transfer_function(self, made):
        changes = {
            f"{AQ}/receiver/numSamplingPoints": None,
            f"{AQ}/receiver/transferFunction": np.ones((2, 6)),
        }
        with mdf.open(made(changes)) as file, pytest.raises(mdf.MdfError, match="the size of its axis K"):
            _ = file.acquisition.receiver.transfer_function


def calibration(rng, **changes):
    """J = 1, O = 5, E = 2, C = 2, K = 6."""
    return {
        f"{ME}/data": rng.normal(size=(1, 2, 6, 7)) + 0j,
        f"{ME}/isFourierTransformed": np.int8(1),
        f"{ME}/isFastFrameAxis": np.int8(1),
        f"{ME}/isBackgroundFrame": np.array([0] * 5 + [1] * 2, np.int8),
        f"{AQ}/numFrames": 7,
        f"{AQ}/numPeriodsPerFrame": 1,
        f"{AQ}/gradient": None,
        f"{AQ}/offsetField": None,
        f"{CA}/method": "robot",
        **{f"{CA}/{name}": value for name, value in changes.items()},
    }


def test_a_signal_to_noise_ratio_without_the_axis_of_periods(made, rng):
    snr = rng.random((2, 6))
    with mdf.open(made(calibration(rng, snr=snr))) as file:
        np.testing.assert_array_equal(file.calibration.snr, snr[None])
        assert ("C06", f"{CA}/snr") in rules(file)


@pytest.mark.parametrize("channels_last", [True, False])
def test_amplitudes_by_channel_and_frequency(made, channels_last):
    """Strength (D, F) holds for every period, and (J, D) for the only frequency."""
    strength = np.array([[0.01], [0.02]]) if not channels_last else np.arange(6).reshape(3, 2) / 100
    with mdf.open(made({f"{AQ}/drivefield/strength": strength})) as file:
        expected = strength[..., None] if channels_last else np.tile(strength, (3, 1, 1))
        np.testing.assert_array_equal(file.acquisition.drivefield.strength, expected)
        assert ("D02", f"{AQ}/drivefield/strength") in rules(file)


class TestGridsThatAreNone:
    @pytest.mark.parametrize(
        ("size", "extent"), [([5, 0, 1], [1.0, 1, 1]), ([5, 1, 1], [-1.0, 1, 1]), ([5, 1, 1], [np.nan, 1, 1])]
    )
    def test_sizes_and_extents(self, made, rng, size, extent):
        changes = calibration(rng, size=size, fieldOfView=extent)
        with (
            mdf.open(made(changes)) as file,
            pytest.raises(mdf.MdfError, match=r"calibration/size .*expected a grid with sizes above 0"),
        ):
            _ = file.grid

    def test_another_number_of_positions(self, made, rng):
        changes = calibration(
            rng, size=[5, 1, 1], fieldOfView=[0.005, 0.001, 0.001], positions=np.zeros((4, 3))
        )
        with mdf.open(made(changes)) as file:
            assert len(file.read_signal()) == 7
            with pytest.raises(mdf.MdfError, match="positions"):
                file.read_signal(order="grid")
        images = {f"{RE}/data": np.zeros((2, 6, 1)), f"{RE}/positions": np.zeros((5, 3))}
        with mdf.open(made(images)) as file:
            with pytest.raises(mdf.MdfError, match=f"{RE}/positions has 5 rows, expected 6"):
                _ = file.images
            assert file.reconstruction.data.shape == (2, 6, 1)

    def test_neither_positions_nor_a_grid(self, made, rng):
        changes = calibration(rng)
        with mdf.open(made(changes)) as file:
            assert file.calibration.grid is None
            assert file.calibration.voxels is None
            with pytest.raises(mdf.MdfError, match="neither positions nor size and fieldOfView"):
                _ = file.calibration.positions
            np.testing.assert_array_equal(
                file.read_signal(order="grid"), np.moveaxis(changes[f"{ME}/data"], -1, 0)[:5]
            )


def test_the_users_values(made):
    path = made({"/_own/number": 7, "/_own/text": "Prüfung", "/_own/list": np.arange(3)})
    with h5py.File(path, "r+") as hdf:
        hdf["/_own/nothing"] = h5py.Empty("f8")
    with mdf.open(path) as file:
        assert file.user_value("/_own/number") == 7
        assert file.user_value("/_own/text") == "Prüfung"
        assert file.user_value("/_own/list").tolist() == [0, 1, 2]
        for path in ("/_own/nothing", "/_own", "/_elsewhere"):
            assert file.user_value(path) is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (f"{AQ}/gradient", np.full((3, 1, 3, 3), 1j), "expected real numbers, found complex ones"),
        (f"{AQ}/numAverages", 4.5, "expected whole numbers"),
        (f"{AQ}/numAverages", np.nan, "expected whole numbers"),
        (f"{AQ}/numAverages", 4 + 1j, "expected whole numbers"),
        ("/tracer/name", np.array(["x" * 2**15] + [""] * 600, object), "601 texts are too long"),
    ],
)
def test_values_that_are_none_of_their_kind(made, path, value, message):
    with mdf.open(made({path: value})) as file, pytest.raises(mdf.MdfError, match=f"{path} .*{message}"):
        file.value(path)


def test_a_dataset_where_a_group_belongs(made):
    path = made({})
    with h5py.File(path, "r+") as hdf:
        del hdf["/scanner"]
        hdf["/scanner"] = "bench"
    with mdf.open(path) as file:
        with pytest.raises(mdf.MdfError, match="/scanner cannot be read: expected a group, found a dataset"):
            _ = file.scanner
        assert file.read_signal().shape == (5, 3, 2, 10)
