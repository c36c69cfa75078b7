"""Conversions: each does what it says, and every dataset that depends on it follows."""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import pytest

import mdf
from mdf import spec

TF, SNR = spec.TRANSFER_FUNCTION, "/calibration/snr"
INDUCTION = "/acquisition/receiver/inductionFactor"

# Stored foreground of a grid of 3 x 2 x 2 in grid order, acquired on a meander; empty frames 1st and last.
MEANDER = [2, 3, 4, 7, 6, 5, 13, 12, 11, 8, 9, 10, 1, 14]


@pytest.fixture
def calibration(tmp_path, contents, rng):
    """O = 12, E = 2, J = 3, C = 2, V = 61 (K = 31, of which 25 are stored); everything that can depend."""
    path = tmp_path / "calibration.mdf"
    changes = {
        "/acquisition/receiver/numSamplingPoints": 61,
        TF: 1 + rng.normal(size=(2, 25)) + 1j,
        INDUCTION: [1.5, 2.5],
        spec.FOURIER: True,
        spec.FAST_FRAME_AXIS: True,
        spec.PERMUTED: True,
        spec.PERMUTATION: MEANDER,
        spec.SELECTED: True,
        spec.SELECTION: np.arange(4, 29),
        spec.BACKGROUND: [0] * 12 + [1] * 2,
        "/calibration/method": "robot",
        "/calibration/size": [3, 2, 2],
        "/calibration/fieldOfView": [0.003, 0.004, 0.005],
        "/calibration/fieldOfViewCenter": [0.001, 0.0, -0.002],
        SNR: rng.uniform(1, 9, size=(3, 2, 25)),
    }
    data = rng.normal(size=(14, 3, 2, 25)) + 1j * rng.normal(size=(14, 3, 2, 25))
    mdf.write(path, contents | changes, data, user={"/_mine": [1.0, 2.0], "/calibration/_note": "x"})
    return path


@pytest.fixture
def measurement(made, rng):
    """N = 6 (empty: 0 and 5), J = 3, C = 2, V = 10, int16 with a conversion factor."""
    return made(
        {
            "/acquisition/numFrames": 6,
            spec.DATA: rng.integers(-999, 999, size=(6, 3, 2, 10)).astype(np.int16),
            spec.BACKGROUND: np.array([1, 0, 0, 0, 0, 1], np.int8),
            spec.CONVERSION: np.array([[2.0, 0.5], [4.0, -1.0]]),
            TF: rng.normal(size=(2, 6)) + 2j,
            INDUCTION: np.array([1.5, 2.5]),
        }
    )


def converted(source, **options):
    target = source.with_name("converted.mdf")
    done = mdf.convert(source, target, overwrite=True, **options)
    problems = [problem for problem in mdf.validate(target) if problem.rule not in {"F07", "D07"}]
    assert [problem for problem in problems if problem.severity != "note"] == []
    with mdf.open(target) as file:
        assert file.repairs == ()
        assert file.read_signal().shape == done.shape
    return mdf.open(target)


def test_a_plain_copy(measurement):
    with mdf.open(measurement) as before, converted(measurement) as after:
        np.testing.assert_array_equal(after.read_signal(), before.read_signal())
        assert after.acquisition.receiver.data_conversion_factor is None
        assert after.uuid != before.uuid
        kept = before.contents()
        for path, value in after.contents().items():
            np.testing.assert_array_equal(value, kept[path], err_msg=path)


def test_domains(measurement):
    with mdf.open(measurement) as before, converted(measurement, domain="frequency") as after:
        assert after.measurement.is_fourier_transformed
        spectra = before.read_signal(domain="frequency")
        np.testing.assert_array_equal(after.read_signal(), spectra)
        np.testing.assert_array_equal(after.value(TF), before.value(TF))


def test_selected_spectra_to_time(calibration):
    with mdf.open(calibration) as before:
        expected, function = before.read_signal(domain="time"), before.value(TF)
        ratio = before.value(SNR)
    target = calibration.with_name("time.mdf")
    done = mdf.convert(calibration, target, domain="time")
    assert "25 of 31 frequency components" in done.remarks[0]
    with mdf.open(target) as after:
        np.testing.assert_array_equal(after.read_signal(), expected)
        assert not after.measurement.is_frequency_selection
        np.testing.assert_array_equal(after.value(TF)[:, 3:28], function)
        assert not after.value(TF)[:, [0, 1, 2, 28, 29, 30]].any()
        np.testing.assert_array_equal(after.value(SNR)[..., 3:28], ratio)


def test_channels(measurement, calibration):
    for source in (measurement, calibration):
        with mdf.open(source) as before, converted(source, channels=[1]) as after:
            np.testing.assert_array_equal(after.read_signal(), before.read_signal()[:, :, [1]])
            np.testing.assert_array_equal(after.value(TF), before.value(TF)[[1]])
            np.testing.assert_array_equal(after.value(INDUCTION), [2.5])
    with mdf.open(calibration) as before, converted(calibration, channels=[1, 0]) as after:
        np.testing.assert_array_equal(after.value(SNR), before.value(SNR)[:, ::-1])


def test_frames(measurement):
    with mdf.open(measurement) as before:
        signal = before.read_signal()
    for frames, places in [
        ("foreground", [1, 2, 3, 4]),
        ("background", [0, 5]),
        ([4, 0, 2], [4, 0, 2]),
        (slice(1, None, 2), [1, 3, 5]),
    ]:
        with converted(measurement, frames=frames) as after:
            np.testing.assert_array_equal(after.read_signal(order="stored"), signal[places])
            np.testing.assert_array_equal(after.read_signal(), signal[sorted(places)])
            np.testing.assert_array_equal(after.is_background, np.isin(sorted(places), [0, 5]))


def test_averages(measurement):
    with mdf.open(measurement) as before:
        signal = before.read_signal().astype(float)
    for frames, together in [("all", 2), ("all", 6), ("foreground", 4), ("foreground", 2)]:
        with converted(measurement, frames=frames, average_frames=together) as after:
            kept = signal if frames == "all" else signal[1:5]
            mean = kept.reshape(-1, together, 3, 2, 10).mean(axis=1)
            np.testing.assert_allclose(after.read_signal(), mean, rtol=1e-6)
            assert after.acquisition.num_averages == 4 * together
            expected = {("all", 2): [1, 0, 1], ("all", 6): [1]}.get((frames, together), [0] * len(mean))
            np.testing.assert_array_equal(after.is_background, expected)


def test_one_average_larger_than_a_block(measurement, monkeypatch):
    monkeypatch.setattr("mdf.conversion.blocks.MEMORY", 1)
    with mdf.open(measurement) as before, converted(measurement, average_frames=3) as after:
        mean = before.read_signal().astype(float).reshape(2, 3, 3, 2, 10).mean(axis=1)
        np.testing.assert_allclose(after.read_signal(), mean, rtol=1e-6)


class TestComponents:
    def test_a_band(self, measurement, calibration):
        with mdf.open(measurement) as before, converted(measurement, band=(2.5e5, 5e5)) as after:
            np.testing.assert_allclose(after.frequencies, [2.5e5, 5e5])  # both ends are included
            expected = before.read_signal(domain="frequency")[..., 1:3]
            np.testing.assert_array_equal(after.read_signal(), expected)
            np.testing.assert_array_equal(after.value(TF), before.value(TF)[:, 1:3])
        with mdf.open(calibration) as before:
            step = before.sampling_rate / 61
            with converted(calibration, band=(None, 9.5 * step)) as after:
                np.testing.assert_array_equal(after.value(spec.SELECTION), np.arange(4, 11))
                np.testing.assert_array_equal(after.value(SNR), before.value(SNR)[..., :7])
                np.testing.assert_array_equal(after.read_signal(), before.read_signal()[..., :7])

    def test_by_the_ratio(self, calibration):
        with mdf.open(calibration) as before:
            best = before.value(SNR)[:, [1]].max(axis=(0, 1))
            signal, step = before.read_signal()[:, :, [1]], before.sampling_rate / 61
        limit = np.sort(best)[10]
        for options, expected in [
            ({"snr_threshold": limit}, np.flatnonzero(best >= limit)),
            ({"best": 7}, np.sort(np.argsort(-best)[:7])),
            ({"best": 99}, np.arange(25)),
            (
                {"best": 3, "snr_threshold": 1.5, "band": (10 * step, None)},
                np.sort(7 + np.argsort(-best[7:])[:3]),
            ),
        ]:
            with converted(calibration, channels=[1], **options) as after:
                np.testing.assert_array_equal(after.value(spec.SELECTION), expected + 4)
                np.testing.assert_array_equal(after.read_signal(), signal[..., expected])

    def test_an_unsorted_selection_is_sorted(self, calibration, rng):
        order = rng.permutation(25)
        with mdf.open(calibration) as before:
            signal, function = before.read_signal(), before.value(TF)
            ratio = before.value(SNR)
        with h5py.File(calibration, "r+") as hdf:
            for path in (spec.DATA, spec.SELECTION, TF, SNR):
                values = hdf[path][()]
                axis = 2 if path == spec.DATA else values.ndim - 1
                hdf[path][...] = np.take(values, order, axis=axis)
        for options in ({}, {"fast_frame_axis": False}):
            with converted(calibration, **options) as after:
                np.testing.assert_array_equal(after.value(spec.SELECTION), np.arange(4, 29))
                np.testing.assert_array_equal(after.read_signal(), signal)
                np.testing.assert_array_equal(after.value(TF), function)
                np.testing.assert_array_equal(after.value(SNR), ratio)


class TestGrids:
    def test_to_acquisition_and_back(self, calibration):
        target = calibration.with_name("acquired.mdf")
        with mdf.open(calibration) as before:
            signal, positions = before.read_signal(), before.calibration.positions
            on_grid = before.read_signal(order="grid")
            described = before.contents()
        done = mdf.convert(calibration, target, order="acquisition")
        assert "positions are stored" in done.remarks[0]
        with mdf.open(target) as file:
            np.testing.assert_array_equal(file.read_signal(order="stored"), signal)
            np.testing.assert_array_equal(file.is_background, [True] + [False] * 12 + [True])
            np.testing.assert_allclose(file.calibration.positions[:6], positions[[0, 1, 2, 5, 4, 3]])
            assert not file.measurement.is_frame_permutation
            assert file.user_nodes() == ["/_mine", "/calibration/_note"]
        with converted(target, order="grid") as back:
            np.testing.assert_array_equal(back.read_signal(), signal)
            np.testing.assert_array_equal(back.read_signal(order="grid"), on_grid)
            again = back.contents()
            assert again.pop("/calibration/order", "xyz") == "xyz"
            assert set(again) == set(described)
            for path, value in again.items():
                np.testing.assert_array_equal(value, described[path], err_msg=path)

    def test_another_order_of_the_axes(self, calibration):
        with h5py.File(calibration, "r+") as hdf:
            hdf["/calibration/order"] = "zyx"
            hdf["/calibration/offsetFields"] = np.arange(36.0).reshape(12, 3) * 1e-3
        with mdf.open(calibration) as before:
            on_grid, positions = before.read_signal(order="grid"), before.calibration.positions
            rows = before.read_signal("foreground", "stored")
            place = [int(np.flatnonzero((rows == frame).all(axis=(1, 2, 3)))[0]) for frame in on_grid]
        with converted(calibration, order="grid") as after:
            np.testing.assert_array_equal(after.read_signal("foreground", "stored"), on_grid)
            np.testing.assert_array_equal(after.read_signal(order="grid"), on_grid)
            assert after.calibration.order == "xyz"
            np.testing.assert_array_equal(after.calibration.positions, positions)
            np.testing.assert_array_equal(
                after.value("/calibration/offsetFields")[:, 0], 3e-3 * np.array(place)
            )

    def test_some_positions(self, calibration):
        with mdf.open(calibration) as before:
            positions, signal = before.calibration.positions, before.read_signal(order="grid")
        with converted(calibration, frames=[5, 2, 13]) as after:
            np.testing.assert_array_equal(after.value("/calibration/positions"), positions[[5, 2]])
            np.testing.assert_array_equal(after.read_signal("foreground", "stored"), signal[[5, 2]])
            assert after.calibration.size is None
        with converted(calibration, frames="background") as after:
            assert not after.is_calibration
            assert after.num_frames == 2

    def test_no_grid(self, calibration, measurement):
        with pytest.raises(mdf.ConversionError, match="no calibration"):
            mdf.convert(measurement, calibration.with_name("b.mdf"), order="grid")
        with h5py.File(calibration, "r+") as hdf:
            del hdf["/calibration/size"]
            hdf["/calibration/positions"] = np.random.default_rng(3).normal(size=(12, 3)) * 1e-3
        with pytest.raises(mdf.ConversionError, match="regular grid"):
            mdf.convert(calibration, calibration.with_name("b.mdf"), order="grid")
        with mdf.open(calibration) as before, converted(calibration, order="acquisition") as after:
            stored = before.value("/calibration/positions")
            np.testing.assert_array_equal(
                after.value("/calibration/positions")[:6], stored[[0, 1, 2, 5, 4, 3]]
            )


class TestSparsity:
    def test_all_coefficients_lose_nothing(self, calibration):
        for name in ("DCT-I", "DCT-II", "DCT-III", "DCT-IV"):
            with mdf.open(calibration) as before, converted(calibration, sparsity=name, kept=1.0) as after:
                assert after.measurement.sparsity_transformation == name
                np.testing.assert_allclose(after.read_signal(), before.read_signal(), atol=1e-13)
                np.testing.assert_array_equal(
                    after.read_signal("background"), before.read_signal("background")
                )

    def test_the_largest_are_kept(self, calibration):
        scipy_fft = pytest.importorskip("scipy.fft")
        with mdf.open(calibration) as before:
            on_grid = before.read_signal(order="grid")
        with converted(calibration, sparsity="DCT-IV", kept=5) as after, h5py.File(after.path) as hdf:
            places = hdf["/measurement/subsamplingIndices"][()]
            stored = hdf[spec.DATA][()]
            assert places.dtype == np.int32
            assert places.shape == (3, 2, 25, 5)
            assert stored.shape == (3, 2, 25, 7)
            volumes = np.moveaxis(on_grid, 0, -1).reshape(3, 2, 25, 2, 2, 3)
            coefficients = scipy_fft.dctn(volumes, type=4, norm="ortho", axes=(3, 4, 5)).reshape(3, 2, 25, 12)
            expected = np.argsort(-np.abs(coefficients), axis=-1)[..., :5]
            np.testing.assert_array_equal(places - 1, expected)  # by falling magnitude
            np.testing.assert_allclose(
                stored[..., :5], np.take_along_axis(coefficients, expected, axis=-1), atol=1e-13
            )

    def test_it_stays_where_it_can_and_is_undone_where_not(self, calibration):
        with converted(calibration, sparsity="DCT-II", kept=0.5) as file:
            sparse = file.path.rename(file.path.with_name("sparse.mdf"))
            signal = file.read_signal()
        for options in ({}, {"channels": [1]}, {"band": (3e5, None)}, {"best": 4}):
            with converted(sparse, **options) as after:
                assert after.value("/measurement/subsamplingIndices").shape[-1] == 6
        for options in ({"sparsity": "none"}, {"fast_frame_axis": False}, {"frames": [3, 1]}):
            with converted(sparse, **options) as after:
                assert not after.measurement.is_sparsity_transformed
        with converted(sparse, sparsity="none") as after:
            np.testing.assert_allclose(after.read_signal(), signal, atol=1e-12)

    def test_a_file_that_needs_more_first(self, calibration):
        """Time data in the order of acquisition: domain, order and axes follow by themselves."""
        acquired = calibration.with_name("acquired.mdf")
        mdf.convert(calibration, acquired, order="acquisition", domain="time", fast_frame_axis=False)
        with mdf.open(calibration) as before:
            expected = before.read_signal()
        mdf.convert(acquired, calibration.with_name("grid.mdf"), order="grid")
        with converted(calibration.with_name("grid.mdf"), sparsity="DCT-IV", kept=12) as after:
            np.testing.assert_allclose(after.read_signal()[..., 3:28], expected, atol=1e-12)


class TestRatioThatIsMissing:
    @pytest.fixture
    def bare(self, calibration):
        with h5py.File(calibration, "r+") as hdf:
            del hdf[SNR]
        return calibration

    def test_it_is_computed(self, bare, monkeypatch):
        from mdf.snr import signal_to_noise

        with mdf.open(bare) as before:
            expected = signal_to_noise(
                before.read_signal("foreground", "stored"), before.read_signal("background")
            )
        monkeypatch.setattr("mdf.conversion.noise.MEMORY", 1)
        for options in ({}, {"fast_frame_axis": False}, {"channels": [1]}):
            with converted(bare, **options) as after:
                channels = options.get("channels", [0, 1])
                np.testing.assert_allclose(after.value(SNR), expected[:, channels], rtol=1e-12)
        best = np.sort(np.argsort(-expected.max(axis=(0, 1)))[:5])
        with converted(bare, best=5) as after:
            np.testing.assert_array_equal(after.value(spec.SELECTION), best + 4)
            np.testing.assert_allclose(after.value(SNR), expected[..., best], rtol=1e-12)

    def test_of_time_data(self, bare):
        timed = bare.with_name("timed.mdf")
        mdf.convert(bare, timed, domain="time")
        with h5py.File(timed, "r+") as hdf:
            del hdf[SNR]
        with converted(timed, domain="frequency") as after:
            assert after.value(SNR).shape == (3, 2, 31)

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("/measurement/isBackgroundCorrected", 1, "subtracted already"),
            ("/measurement/isTransferFunctionCorrected", 1, "divided out already"),
            (spec.BACKGROUND, 0, "no background frames"),
        ],
    )
    def test_it_cannot_be_computed(self, bare, path, value, message):
        with h5py.File(bare, "r+") as hdf:
            hdf[path][...] = value
            if path == spec.BACKGROUND:
                hdf["/calibration/size"][...] = [14, 1, 1]
        with pytest.raises(mdf.ConversionError, match=message):
            mdf.convert(bare, bare.with_name("b.mdf"), snr_threshold=3.0)
        with converted(bare) as after:
            assert after.value(SNR) is None


REFUSED = {
    "a domain": ({"domain": "laplace"}, "domain is 'laplace'"),
    "an order": ({"order": "xyz"}, "order is 'xyz'"),
    "frames by name": ({"frames": "first"}, "frames is 'first'"),
    "frames beyond": ({"frames": [0, 6]}, "from 0 to 5"),
    "frames twice": ({"frames": [1, 1]}, "different ones"),
    "no frames": ({"frames": slice(9, None)}, "no frame is left"),
    "channels beyond": ({"channels": [2]}, "channels is"),
    "half a channel": ({"channels": [0.5]}, "whole numbers"),
    "a band upside down": ({"band": (5e5, 1e5)}, "the lower one first"),
    "a band without ends": ({"band": (None, None)}, "two frequencies"),
    "a band with nothing": ({"band": (1e3, 2e3)}, "no frequency component is left"),
    "components of time data": ({"band": (1e5, None), "domain": "time"}, "of spectra only"),
    "a threshold of 0": ({"snr_threshold": 0.0}, "above 0"),
    "no ratio": ({"best": 3}, "it is no calibration"),
    "averages of 0": ({"average_frames": 0}, "above 0"),
    "averages that are no blocks": ({"average_frames": 4}, "6 frames make no blocks of 4"),
    "averages out of order": ({"average_frames": 2, "frames": [1, 0]}, "order of acquisition"),
    "sparsity without a number": ({"sparsity": "DCT-II"}, "how many coefficients"),
    "a number without sparsity": ({"kept": 3}, "sparsity transformation only"),
    "half a coefficient": ({"sparsity": "DCT-II", "kept": 1.5}, "expected a number, or a fraction"),
    "sparsity with frames first": (
        {"sparsity": "DCT-II", "kept": 3, "fast_frame_axis": False},
        "frame axis last",
    ),
    "sparsity of time data": ({"sparsity": "DCT-II", "kept": 3, "domain": "time"}, "are spectra"),
    "sparsity of a measurement": ({"sparsity": "DCT-II", "kept": 3}, "no calibration"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_makes_no_sense(measurement, wrong):
    options, message = REFUSED[wrong]
    with pytest.raises(mdf.ConversionError, match=message):
        mdf.plan_conversion(measurement, **options)
    with pytest.raises(mdf.ConversionError, match=message):
        mdf.convert(measurement, measurement.with_name("b.mdf"), **options)
    assert not measurement.with_name("b.mdf").exists()


def test_a_calibration_is_not_averaged(calibration):
    with pytest.raises(mdf.ConversionError, match="different positions"):
        mdf.plan_conversion(calibration, average_frames=2)
    with pytest.raises(mdf.ConversionError, match="kept is 13, there are 12"):
        mdf.plan_conversion(calibration, sparsity="DCT-II", kept=13)


def test_images_alone(measurement):
    with mdf.open(measurement) as file:
        contents = {path: value for path, value in file.contents().items() if "/measurement/" not in path}
    contents |= {"/reconstruction/data": np.ones((2, 6, 3)), "/reconstruction/size": [3, 2, 1]}
    images = measurement.with_name("images.mdf")
    mdf.write(images, contents | {"/acquisition/numFrames": 6})
    with mdf.open(images) as before:
        assert mdf.plan_conversion(before).shape == (0, 0, 0, 0)
    mdf.convert(images, measurement.with_name("copy.mdf"))
    with mdf.open(measurement.with_name("copy.mdf")) as after:
        assert after.reconstruction.data.shape == (2, 6, 3)
    with pytest.raises(mdf.ConversionError, match="no measurement"):
        mdf.plan_conversion(images, domain="time")


def test_a_target_that_is_the_source_or_exists(measurement):
    before, old = measurement.read_bytes(), measurement.with_name("old.mdf")
    old.touch()
    with pytest.raises(mdf.MdfError, match="the output is the input"):
        mdf.convert(measurement, measurement, overwrite=True)
    with pytest.raises(mdf.MdfError, match="exists"):
        mdf.convert(measurement, old)
    assert measurement.read_bytes() == before


VERSION_1 = {
    "/version": "1.0.5",
    "/uuid": "00000000-0000-4000-8000-000000000001",
    "/date": "2015-09-15T11:17:23.011",
    "/study/name": "old",
    "/study/experiment": "18",
    "/tracer/name": "beads",
    "/tracer/concentration": 0.5,
    "/tracer/volume": 1e-6,
    "/scanner/topology": "FFP",
    "/acquisition/numFrames": 12,
    "/acquisition/numPatches": 1,
    "/acquisition/time": "2015-09-15T11:17:23.011",
    "/acquisition/gradient": [-1.0, -1.0, 2.0],
    "/acquisition/drivefield/numChannels": 2,
    "/acquisition/drivefield/strength": [0.012, 0.013],
    "/acquisition/drivefield/baseFrequency": 2.5e6,
    "/acquisition/drivefield/divider": [10, 5],
    "/acquisition/drivefield/period": 4e-6,
    "/acquisition/drivefield/averages": 3,
    "/acquisition/receiver/numChannels": 2,
    "/acquisition/receiver/bandwidth": 1.25e6,
    "/acquisition/receiver/numSamplingPoints": 10,
    "/calibration/size": [3, 2, 2],
    "/calibration/fieldOfView": [0.003, 0.002, 0.002],
    "/calibration/order": "xyz",
}


def test_version_1(tmp_path, rng):
    source = tmp_path / "old.mdf"
    stored = rng.normal(size=(2, 6, 12, 2))  # (C, K, O, real and imaginary part)
    with h5py.File(source, "w") as hdf:
        for path, value in (VERSION_1 | {"/calibration/dataFD": stored}).items():
            hdf[path] = value
    with converted(source, fast_frame_axis=False, channels=[1]) as after:
        spectra = np.moveaxis(stored[..., 0] + 1j * stored[..., 1], -1, 0)[:, None]
        np.testing.assert_allclose(after.read_signal(), spectra[:, :, [1]])
        assert after.version == "2.1.0"
        assert after.is_calibration
        assert after.acquisition.num_averages == 3
        assert after.grid.shape == (2, 2, 3)


CHOICES = [
    {},
    {"domain": "time"},
    {"domain": "frequency"},
    {"order": "acquisition"},
    {"frames": "foreground"},
    {"channels": [0]},
    {"band": (8e4, 6e5)},
    {"fast_frame_axis": True},
    {"fast_frame_axis": False},
    {"compression": 1},
]


@pytest.mark.slow
@pytest.mark.parametrize("choice", range(len(CHOICES)))
def test_samples(tmp_path, samples, choice):
    """What comes out is what was asked for, and the validator has nothing to say."""
    options = CHOICES[choice]
    for source in sorted(samples.glob("*.mdf")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mdf.CompressionWarning)
            done = mdf.convert(source, tmp_path / source.name, **options)
        assert [
            problem for problem in mdf.validate(tmp_path / source.name) if problem.severity != "note"
        ] == []
        with mdf.open(source) as before, mdf.open(tmp_path / source.name) as after:
            frames = options.get("frames", "all")
            expected = before.read_signal(frames, domain=done.domain, channels=options.get("channels"))
            if "band" in options:
                step = before.sampling_rate / before.num_samples
                known = before.frequencies if before.measurement.is_fourier_transformed else None
                known = np.arange(before.num_samples // 2 + 1) * step if known is None else known
                expected = expected[..., (known >= 8e4) & (known <= 6e5)]
            np.testing.assert_array_equal(after.read_signal(), expected)
            assert set(before.user_nodes()) <= set(after.user_nodes())
