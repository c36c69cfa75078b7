"""Layers of each kind of file: shapes, places in the scanner, values, and how little is read."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError
from mpikit.viewer import Layer, OnDemand, layers_of_file

from .conftest import (
    CHANNELS,
    EXTENT,
    FIRST,
    LINES,
    RATE,
    SAMPLES,
    SCALE,
    STUDY,
    SUBJECT,
    write_images,
    write_matrix,
    write_measurement,
)


def test_images_stand_at_the_voxels_of_the_grid(image):
    [layer] = layers_of_file(image)
    with mdf.open(image) as file:
        values, grid = file.images, file.grid
    assert (layer.name, layer.kind, layer.axes) == ("image", "image", ("image", "z", "y", "x"))
    np.testing.assert_array_equal(layer.data, values[..., 0])
    np.testing.assert_allclose(layer.scale, (1, *SCALE))
    np.testing.assert_allclose(layer.translate, (0, *FIRST))
    assert layer.units == ("pixel", "mm", "mm", "mm")
    assert layer.limits == (0.0, pytest.approx(values.max()))
    places = np.indices(grid.shape).reshape(3, -1).T
    centres = (np.array(layer.scale[1:]) * places + layer.translate[1:])[:, ::-1]
    np.testing.assert_allclose(centres, 1e3 * grid.positions(), atol=1e-9)


def test_one_image_has_no_axis_of_images(tmp_path, rng):
    [layer] = layers_of_file(write_images(tmp_path / "a.mdf", rng.random((1, 3, 4, 5, 1)) - 0.5))
    assert layer.data.shape == (3, 4, 5)
    assert layer.axes == ("z", "y", "x")
    np.testing.assert_allclose(layer.translate, FIRST)
    assert layer.limits == (layer.data.min(), layer.data.max())


def test_each_tracer_is_a_layer_and_colours_are_added(tmp_path, rng):
    values = rng.random((2, 3, 4, 5, 3))
    path = write_images(
        tmp_path / "a.mdf", values, user={"/_mpikit/tracers": np.array(["one", "two", "three"], dtype=object)}
    )
    layers = layers_of_file(path)
    assert [layer.name for layer in layers] == ["a one", "a two", "a three"]
    assert len({layer.colours for layer in layers}) == 3
    assert [layer.as_napari()[1]["blending"] for layer in layers] == ["translucent", "additive", "additive"]
    for index, layer in enumerate(layers):
        np.testing.assert_array_equal(layer.data, values[..., index].astype(np.float32))


def test_an_image_without_thickness_can_be_drawn(tmp_path):
    path = write_images(tmp_path / "a.mdf", np.ones((1, 1, 4, 5, 1)), extent=[0.010, 0.012, 0.0])
    [layer] = layers_of_file(path)
    np.testing.assert_allclose(layer.scale, (2, 3, 2))
    np.testing.assert_allclose(layer.translate, (-3, *FIRST[1:]))


def test_values_that_are_no_numbers_do_not_choose_the_colours(tmp_path):
    values = np.zeros((1, 3, 4, 5, 1))
    values[0, 0, 0, :3, 0] = np.nan, np.inf, 4.0
    [layer] = layers_of_file(write_images(tmp_path / "a.mdf", values))
    assert layer.limits == (0.0, 4.0)
    [layer] = layers_of_file(write_images(tmp_path / "b.mdf", np.full((1, 3, 4, 5, 1), np.nan)))
    assert layer.limits == (0.0, 1.0)


def shown_lines(path, layer):
    """Components that a layer of rows shows, by its titles."""
    with mdf.open(path) as file:
        frequencies = file.frequencies
    kilohertz = [float(title.split(", ")[-1].removesuffix(" kHz")) for title in layer.about["rows"]]
    return np.array([int(np.argmin(np.abs(frequencies / 1e3 - each))) for each in kilohertz])


def test_rows_are_images_over_their_largest_magnitude(matrix, rows):
    magnitude, phase, _ = layers_of_file(matrix)
    assert magnitude.axes == ("channel", "row", "z", "y", "x")
    np.testing.assert_allclose(magnitude.scale, (1, 1, *SCALE))
    np.testing.assert_allclose(magnitude.translate, (0, 0, *FIRST))
    lines = shown_lines(matrix, magnitude)
    assert magnitude.data.shape == (CHANNELS, len(lines), 3, 4, 5)
    expected = np.moveaxis(rows[:, :, lines], 0, -1)
    expected = expected / np.abs(expected).max(axis=-1, keepdims=True)
    shape = magnitude.data.shape
    np.testing.assert_allclose(magnitude.data[...], np.abs(expected).reshape(shape), atol=1e-5)
    turned = np.exp(1j * phase.data[...]) * np.conj(expected.reshape(shape))
    np.testing.assert_allclose(np.angle(turned), 0, atol=1e-2)
    assert (magnitude.visible, phase.visible) == (True, False)


def test_rows_of_highest_snr_are_shown_by_mixing_order(matrix, monkeypatch):
    monkeypatch.setattr("mpikit.viewer.matrices.MOST_ROWS", 4)
    layer = layers_of_file(matrix)[0]
    assert sorted(shown_lines(matrix, layer)) == [LINES - 4, LINES - 3, LINES - 2, LINES - 1]
    orders = [int(title.split()[1]) for title in layer.about["rows"]]
    assert orders == sorted(orders)
    lines = shown_lines(matrix, layer)
    np.testing.assert_allclose(layer.about["snr"], [5.0 * lines, np.full(4, 2.0)])


def test_large_grids_have_fewer_rows(matrix, monkeypatch):
    monkeypatch.setattr("mpikit.viewer.matrices.MOST_VALUES", 3 * 60 * CHANNELS)
    assert layers_of_file(matrix)[0].data.shape[1] == 3


@pytest.fixture
def read_rows(monkeypatch):
    """Count the rows of foreground frames that are read."""
    counts = []
    original = mdf.SystemMatrix.rows

    def rows(self, index, *arguments, **options):
        found = original(self, index, *arguments, **options)
        if not arguments:
            counts.append(len(found))
        return found

    monkeypatch.setattr(mdf.SystemMatrix, "rows", rows)
    return counts


def test_a_row_is_read_once_when_it_is_looked_at(matrix, read_rows):
    magnitude, phase, _ = layers_of_file(matrix)
    assert read_rows == []
    assert magnitude.data[1, 2, 0].shape == (4, 5)
    assert read_rows == [1]
    assert magnitude.data[1, 2, 1].shape == phase.data[1, 2, 1].shape
    assert read_rows == [1]
    assert magnitude.data[0, 2].shape == (3, 4, 5)
    assert read_rows == [1, 1]


def test_rows_stored_by_frames_are_read_in_one_pass(tmp_path, rows, read_rows):
    path = write_matrix(
        tmp_path / "sm.mdf", rows, 0 * rows[0], snr=None, **{"/measurement/isFastFrameAxis": False}
    )
    magnitude = layers_of_file(path)[0]
    shown = magnitude.data.shape[1]
    first = magnitude.data[1, 0]
    assert np.abs(first).max() == pytest.approx(1)
    assert magnitude.data[1, shown - 1].shape == (3, 4, 5)
    assert read_rows == [shown]


def test_the_snr_stands_beside_the_rows(matrix):
    magnitude, _, snr = layers_of_file(matrix)
    assert snr.kind == "snr"
    assert snr.data.shape[:3] == magnitude.data.shape[:3]
    assert snr.data.strides[1:3] == (0, 0)  # no copy for each row
    left = snr.translate[4] - snr.scale[4] / 2
    right_of_rows = FIRST[2] + 4.5 * SCALE[2]
    assert left == pytest.approx(right_of_rows + 1.2)  # a tenth of the longer side, 12 mm
    low = snr.translate[3] - snr.scale[3] / 2
    assert low == pytest.approx(FIRST[1] - SCALE[1] / 2)
    assert snr.scale[3] * snr.data.shape[3] == pytest.approx(12)
    # drive frequencies of 3 and 2 oscillations: component 5 is (1, 1), of SNR 25
    assert 10 ** snr.data[0, 0, 0, 1 - snr.about["lowest_factor_2"], 1] == pytest.approx(25, rel=1e-5)
    assert np.nanmax(snr.data[1]) == pytest.approx(np.log10(2))


def test_positions_off_any_grid_leave_the_snr(tmp_path, rows, rng):
    crooked = {
        "/calibration/positions": rng.normal(size=(len(rows), 3)),
        "/calibration/size": None,
        "/calibration/fieldOfView": None,
        "/calibration/fieldOfViewCenter": None,
        "/calibration/order": None,
    }
    known = write_matrix(
        tmp_path / "a.mdf", rows, 0 * rows[0], snr=np.full((CHANNELS, LINES), 7.0), **crooked
    )
    [layer] = layers_of_file(known)
    assert (layer.kind, layer.in_mm, len(layer.axes)) == ("snr", False, 3)
    unknown = write_matrix(tmp_path / "b.mdf", rows, 0 * rows[0], **crooked)
    with pytest.raises(InputError, match="regular grid"):
        layers_of_file(unknown)


def test_signals_and_spectra_of_each_channel(scan):
    with mdf.open(scan) as file:
        signal = file.read_signal("all", domain="time")
    layers = layers_of_file(scan)
    assert [(layer.kind, layer.about["channel"]) for layer in layers] == [
        ("signal", 0), ("spectrum", 0), ("signal", 1), ("spectrum", 1),
    ]  # fmt: skip
    for layer in layers:
        of_channel = signal[:, :, layer.about["channel"]].swapaxes(0, 1)
        assert layer.axes[:2] == ("period", "frame")
        if layer.kind == "signal":
            np.testing.assert_array_equal(layer.data[...], of_channel)
            continue
        amplitude = np.abs(np.fft.rfft(of_channel)) / SAMPLES
        amplitude[..., 1:-1] *= 2
        np.testing.assert_allclose(layer.data[...], np.log10(amplitude), atol=1e-4)


def test_time_is_in_ms_and_no_picture_covers_another(scan):
    layers = layers_of_file(scan)
    width = 1e3 * SAMPLES / RATE
    for layer in layers:
        _, frames, values = layer.data.shape
        assert layer.scale[2] * values == pytest.approx(width)
        assert layer.scale[1] * frames == pytest.approx(width * 2 / 3)
        assert layer.units == ("pixel",) * 3
        if layer.kind == "signal":
            assert layer.scale[2] == pytest.approx(1e3 / RATE)
            assert layer.about["step_ms"] == pytest.approx(1e3 / RATE)
        else:
            assert layer.about["step_kHz"] == pytest.approx(1e-3 * RATE / SAMPLES)
    boxes = [
        (
            layer.translate[1],
            layer.translate[1] + width * 2 / 3,
            layer.translate[2],
            layer.translate[2] + width,
        )
        for layer in layers
    ]
    for index, (top, bottom, left, right) in enumerate(boxes):
        for above, below, begin, end in boxes[index + 1 :]:
            assert bottom < above or below < top or right < begin or end < left


def test_many_periods_stand_upright(tmp_path, rng):
    path = write_measurement(tmp_path / "a.mdf", rng.normal(size=(2, 5, 3, SAMPLES)).astype(np.float32))
    layer = layers_of_file(path)[0]
    assert layer.axes == ("frame", "period", "time")
    assert layer.data.shape == (2, 5, SAMPLES)
    with mdf.open(path) as file:
        np.testing.assert_array_equal(layer.data[1, 3], file.read_signal([1], domain="time")[0, 3, 0])


def test_long_measurements_show_every_nth_frame(scan, monkeypatch):
    monkeypatch.setattr("mpikit.viewer.signals.MOST_VALUES", 3 * SAMPLES)
    layer = layers_of_file(scan)[0]
    assert (layer.data.shape, layer.about["frame_step"]) == ((3, 3, SAMPLES), 3)
    with mdf.open(scan) as file:
        np.testing.assert_array_equal(
            layer.data[2], file.read_signal([0, 3, 6], domain="time", periods=2, channels=0)[:, 0, 0]
        )


def test_signals_are_read_when_they_are_looked_at(scan, monkeypatch):
    layers = layers_of_file(scan)
    shapes = []
    original = mdf.File.read_signal

    def read_signal(self, *arguments, **options):
        found = original(self, *arguments, **options)
        shapes.append(found.shape)
        return found

    monkeypatch.setattr(mdf.File, "read_signal", read_signal)
    assert layers[2].data[1, 2:6, 10].shape == (4,)
    assert layers[1].data[0].shape == (7, LINES)
    assert shapes == [(4, 1, 1, 1), (7, 1, 1, LINES)]


def test_a_silent_measurement_has_colours_too(tmp_path):
    path = write_measurement(tmp_path / "a.mdf", np.zeros((2, 1, 1, SAMPLES), np.float32))
    signal, spectrum = layers_of_file(path)
    assert signal.limits == (-1.0, 1.0)
    assert spectrum.limits[0] < spectrum.limits[1]
    assert np.all(np.isfinite(spectrum.data[0]))


@pytest.mark.parametrize("kind", ["image", "matrix", "scan"])
def test_no_name_of_a_person_or_study_gets_into_a_layer(kind, request):
    for layer in layers_of_file(request.getfixturevalue(kind)):
        told = str(layer.as_napari()[1]) + str(layer.described())
        assert SUBJECT not in told
        assert STUDY not in told


def test_the_independent_samples(samples):
    for path in sorted(samples.glob("*.mdf")):
        layers = layers_of_file(path)
        with mdf.open(path) as file:
            grid = file.grid
            channels = file.num_channels
        of_kind = {layer.kind for layer in layers}
        if grid is None:
            assert of_kind == {"signal", "spectrum"}
            assert len(layers) == 2 * channels
            continue
        assert of_kind == {"rows", "snr"}
        np.testing.assert_allclose(layers[0].scale[2:], 1e3 * grid.spacing[::-1])
        np.testing.assert_allclose(layers[0].translate[2:], 1e3 * grid.positions()[0, ::-1], atol=1e-9)
        first = layers[0].data[0, 0]
        assert first.shape == grid.shape
        assert first.max() == pytest.approx(1)


@pytest.mark.parametrize(
    "key",
    [0, -1, slice(1, 3), (1, 2), (slice(None), 2), (..., 1), (1, ..., slice(None, None, 2)), ([0, 2], 1), ...,
     (0, 1, 2), (slice(None), slice(None), [4, 0])],
)  # fmt: skip
def test_on_demand_is_sliced_as_an_array(key):
    values = np.arange(60).reshape(3, 4, 5)
    asked = OnDemand(values.shape, values.dtype, lambda places: values[np.ix_(*places)])
    np.testing.assert_array_equal(asked[key], values[key])
    np.testing.assert_array_equal(np.asarray(asked), values)
    assert (asked.ndim, asked.size, len(asked)) == (3, 60, 3)


def test_on_demand_refuses_what_is_not_there():
    asked = OnDemand((3, 4), np.dtype(float), lambda places: np.zeros([len(each) for each in places]))
    for key in [3, (0, 4), (0, 0, 0)]:
        with pytest.raises(IndexError):
            asked[key]


def test_a_layer_says_how_large_its_values_are():
    layer = Layer(
        name="a", kind="image", data=np.zeros((2, 3, 4)), axes=("z", "y", "x"), scale=tuple(1e3 * EXTENT),
        translate=(1.0, 2.0, 3.0), limits=(0.0, 1.0), colours="gray", in_mm=True,
    )  # fmt: skip
    told = layer.described()
    assert told["shape"] == [2, 3, 4]
    assert told["units"] == ["mm", "mm", "mm"]
    assert told["scale"] == [10.0, 12.0, 15.0]
