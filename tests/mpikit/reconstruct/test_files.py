from __future__ import annotations

import json

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.provenance import HISTORY, sha256
from mpikit.reconstruct import absolute_lambda, kaczmarz, reconstruct_file

OPTIONS = {"min_frequency": 0.0, "snr_threshold": 0.0, "iterations": 50, "lambda_": 1e-4}
TRACER = {
    f"/tracer/{name}": np.array([value])
    for name, value in {
        "name": "iron",
        "batch": "1",
        "vendor": "nobody",
        "solute": "Fe",
        "concentration": 0.2,
        "volume": 1e-6,
        "injectionTime": "2026-01-02T03:04:05.000",
    }.items()
}


@pytest.fixture
def files(pair):
    user = {"/_truth/_peak": np.array([5, 14, 23]), HISTORY: '[{"command": "denoise"}]'}
    return pair.measurement(user=user), pair.calibration(**TRACER)


def test_the_file_holds_the_images(pair, files):
    source, system = files
    result = reconstruct_file(source, system_matrix=system, **OPTIONS)
    assert result.output == pair.folder / "measurement.reconstruction.mdf"
    assert result.picture == pair.folder / "measurement.reconstruction.png"
    assert result.picture.read_bytes().startswith(b"\x89PNG")
    np.testing.assert_allclose(result.images.values.reshape(3, 24), pair.images, atol=5e-3)
    with mdf.open(result.output) as file, mdf.open(system) as calibration:
        assert file.version == "2.1.0"
        assert file.measurement is None
        assert not file.is_calibration
        stored = file.reconstruction
        assert stored.data.shape == (3, 24, 1)
        np.testing.assert_array_equal(stored.data[...], result.images.values.reshape(3, 24, 1))
        assert stored.data.dtype == np.float32
        assert stored.order == "xyz"
        np.testing.assert_array_equal(stored.size, [4, 3, 2])
        np.testing.assert_allclose(stored.field_of_view, [0.04, 0.033, 0.010])
        np.testing.assert_allclose(stored.field_of_view_center, [0.001, 0.002, -0.003])
        np.testing.assert_allclose(stored.positions, calibration.calibration.positions)


def test_metadata_and_history_are_kept(files):
    source, system = files
    result = reconstruct_file(source, system_matrix=system, **OPTIONS)
    with mdf.open(result.output) as file, mdf.open(source) as before:
        assert file.study.name == before.study.name
        assert file.experiment.subject == "points"
        assert file.acquisition.start_time == before.acquisition.start_time
        np.testing.assert_array_equal(file.acquisition.gradient, before.acquisition.gradient)
        assert file.uuid != before.uuid
        np.testing.assert_array_equal(file.user_value("/_truth/_peak"), [5, 14, 23])
        first, last = json.loads(file.user_value(HISTORY))
    assert first == {"command": "denoise"}
    assert last["command"] == "reconstruct"
    assert last["inputs"] == {"measurement.mdf": sha256(source), "system.mdf": sha256(system)}
    assert last["options"]["lambda"] == 1e-4
    assert last["options"]["iterations"] == 50
    assert last["rows"] == 62
    assert last["lambda"] == result.figures["lambda"]
    assert str(source.parent) not in json.dumps(last)


def test_lambda_is_said_relative_and_absolute(pair, files):
    source, system = files
    result = reconstruct_file(source, system_matrix=system, **{**OPTIONS, "lambda_": 0.3, "iterations": 2})
    matrix = pair.matrix.reshape(24, -1).T
    absolute = absolute_lambda(matrix, 0.3)
    assert result.figures["lambda"]["relative"] == 0.3
    assert result.figures["lambda"]["absolute"] == pytest.approx(absolute, rel=1e-5)
    wanted = kaczmarz(matrix, matrix @ pair.images.T, lambda_=0.3, iterations=2)
    np.testing.assert_allclose(result.images.values.reshape(3, 24).T, wanted, atol=1e-3)


def test_concentrations_are_shown_where_they_are_known(pair, files):
    source, system = files
    result = reconstruct_file(source, system_matrix=system, average_frames=True, **OPTIONS)
    values, unit = result.images.shown
    assert unit == "mmol/L"
    np.testing.assert_allclose(values, 200 * result.images.values)
    assert len(values) == 1
    position, value = result.images.peak()
    assert value == pytest.approx(2 / 3, abs=5e-3)
    np.testing.assert_allclose(position, result.images.grid.positions()[23])
    unknown = reconstruct_file(source, system_matrix=pair.calibration("other.mdf"), overwrite=True, **OPTIONS)
    assert unknown.images.shown[1] == "delta sample"


def test_a_denoised_file_is_corrected_in_the_matrix_only(pair, files):
    _, system = files
    known, pair.empty = pair.empty, np.zeros_like(pair.empty)
    source = pair.measurement("denoised.mdf", **{"/measurement/isBackgroundCorrected": True})
    pair.empty = known
    result = reconstruct_file(source, system_matrix=system, **OPTIONS)
    assert result.figures["background_subtracted"] == ["system matrix system.mdf"]
    np.testing.assert_allclose(result.images.values.reshape(3, 24), pair.images, atol=5e-3)


def test_nothing_is_overwritten_and_no_input_is_an_output(pair, files):
    source, system = files
    output = pair.folder / "out.mdf"
    output.with_suffix(".png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"out.png exists already"):
        reconstruct_file(source, system_matrix=system, output=output, **OPTIONS)
    assert not output.exists()
    with pytest.raises(InputError, match=r"system.mdf is an input"):
        reconstruct_file(source, system_matrix=system, output=system, overwrite=True, **OPTIONS)
    reconstruct_file(source, system_matrix=system, output=output, overwrite=True, **OPTIONS)
    assert output.with_suffix(".png").read_bytes() != b"mine"


def test_bad_data_leave_no_file(pair, files):
    pair.images[1, 3] = np.nan
    source = pair.measurement("broken.mdf")
    before = sorted(pair.folder.iterdir())
    where = r"broken\.mdf holds 62 values .* first in frame 2 .* at 0 kHz in receive channel 0"
    with pytest.raises(InputError, match=where):
        reconstruct_file(source, system_matrix=files[1], **OPTIONS)
    assert sorted(pair.folder.iterdir()) == before


def test_wrong_options_are_refused(files):
    source, system = files
    with pytest.raises(UsageError, match="kaczmarz needs a system matrix"):
        reconstruct_file(source)
    with pytest.raises(UsageError, match="x-space uses no system matrix"):
        reconstruct_file(source, system_matrix=system, method="x-space")
    with pytest.raises(UsageError, match="x-space has no option 'lambda'"):
        reconstruct_file(source, method="x-space", lambda_=0.1)
    with pytest.raises(UsageError, match="has no option 'iteration'") as caught:
        reconstruct_file(source, system_matrix=system, iteration=3)
    assert caught.value.hint == "did you mean 'iterations'?"
    with pytest.raises(UsageError, match="'iterations' is 0, expected a whole number, at least 1"):
        reconstruct_file(source, system_matrix=system, iterations=0)
    with pytest.raises(UsageError, match="no reconstruction method is called 'kacmarz'"):
        reconstruct_file(source, system_matrix=system, method="kacmarz")


def test_x_space_of_a_file(pair, files):
    result = reconstruct_file(files[0], method="x-space", grid=(7, 9))
    assert result.images.values.shape == (3, 1, 9, 7)
    assert result.images.unit == "V / (T/s)"
    assert result.figures["background_subtracted"] == ["measurement measurement.mdf"]
    with mdf.open(result.output) as file:
        assert file.reconstruction.data.shape == (3, 63, 1)
        np.testing.assert_allclose(file.reconstruction.field_of_view[:2], [0.024, 0.020], rtol=1e-3)
    with pytest.raises(InputError, match=r"system.mdf is no measurement"):
        reconstruct_file(files[1], method="x-space", grid=(7, 9))


def test_a_reconstruction_is_no_measurement(files):
    source, system = files
    result = reconstruct_file(source, system_matrix=system, **OPTIONS)
    with pytest.raises(InputError, match="holds no measured signal"):
        reconstruct_file(result.output, system_matrix=system, **OPTIONS)
