"""From files to images by every method, and what the options do on the way."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding, Warned, silent
from mpikit.reconstruct import Kaczmarz, read_system, reconstruct_file
from mpikit.reconstruct.files import rerun_file
from mpikit.simulate import (
    Subject,
    preset,
    requested,
    simulate_calibration_file,
    simulate_file,
    system_matrix,
)

ALL = {"min_frequency": 0.0, "snr_threshold": 0.0}
MATRIX_METHODS = {
    "kaczmarz": {"iterations": 60, "lambda_": 1e-4},
    "cgls": {"lambda_": 1e-6},
    "fista": {"lambda_": 1e-6},
    "admm": {"lambda_": 1e-6},
    "tikhonov": {"lambda_": 1e-6},
}


def images_of(pair, tell=None, measurement=None, **options):
    options = {**ALL, "method": "kaczmarz", **MATRIX_METHODS["kaczmarz"], **options}
    more = {} if tell is None else {"tell": tell.append}
    result = reconstruct_file(
        measurement or pair.measurement(),
        system_matrix=pair.calibration(),
        overwrite=True,
        **more,
        **options,
    )
    return result.images.values.reshape(-1, 24)


@pytest.mark.parametrize("method", MATRIX_METHODS)
def test_every_method_finds_the_images(pair, method):
    result = reconstruct_file(
        pair.measurement(), system_matrix=pair.calibration(), method=method, **ALL, **MATRIX_METHODS[method]
    )
    np.testing.assert_allclose(result.images.values.reshape(3, 24), pair.images, atol=5e-3)
    scale = result.figures["lambda"]["absolute"] / result.figures["lambda"]["relative"]
    energy = np.sum(np.abs(pair.matrix) ** 2) / 24
    assert scale == pytest.approx(energy, rel=1e-4)


@pytest.mark.parametrize("prior", ["l1", "tv", "wavelet"])
@pytest.mark.parametrize("method", ["fista", "admm"])
def test_a_prior_changes_the_image_and_a_small_one_little(pair, method, prior):
    options = {"method": method, "lambda_": 1e-6, "prior": prior, "iterations": 400}
    weak = images_of(pair, mu=1e-5, **options)
    strong = images_of(pair, mu=0.3 if prior == "l1" else 0.1, **options)
    np.testing.assert_allclose(weak, pair.images, atol=0.02)
    assert np.abs(strong - pair.images).max() > 0.05


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "fista", "prior": "tv"}, "mu above 0 go together"),
        ({"method": "fista", "mu": 0.1}, "mu above 0 go together"),
        ({"method": "cgls", "background": "dictionary"}, "kaczmarz alone"),
        ({"weighting": ("channel",)}, "channel_weights go together"),
        ({"stop_bands": (1e5,)}, "a lower and an upper end"),
        ({"lambda_": "small"}, "'lambda' is 'small'"),
        ({"method": "art"}, "no reconstruction method is called 'art'"),
    ],
)
def test_options_that_make_no_sense(pair, options, words):
    options = {**ALL, "method": "kaczmarz", **options}
    with pytest.raises(UsageError) as caught:
        reconstruct_file(pair.measurement(), system_matrix=pair.calibration(), **options)
    assert words in str(caught.value)
    assert not list(pair.folder.glob("*.reconstruction.*"))


def drifting(pair, name, gain, *, background=True):
    """A measurement whose background grows by a share from frame to frame, with empty frames around."""
    spectra = np.tensordot(pair.images, pair.matrix, 1)
    frames = np.concatenate([0 * spectra[:1], spectra, 0 * spectra[:1]])
    drift = 1 + gain * np.arange(len(frames))
    frames = frames + drift[:, None, None] * pair.empty
    path = pair.measurement(name)
    with mdf.open(path) as file:
        contents = file.contents()
    data = np.fft.irfft(frames, n=60, axis=-1)[:, None].astype(np.float32)
    flags = np.array([background, 0, 0, 0, background], bool)
    contents["/measurement/isBackgroundFrame"] = flags
    if not background:
        data, flags = data[1:4], flags[1:4]
        contents["/measurement/isBackgroundFrame"] = flags
    contents = {key: value for key, value in contents.items() if key not in {"/version", "/uuid", "/time"}}
    contents["/acquisition/numFrames"] = len(data)
    mdf.write(path, contents, data, overwrite=True)
    return path


def test_a_background_that_drifts_is_interpolated(pair):
    """Linear drift between two empty frames: interpolation is exact, the mean is not."""
    path = drifting(pair, "drift.mdf", 0.1)
    exact = images_of(pair, measurement=path, background="interpolated")
    np.testing.assert_allclose(exact, pair.images, atol=5e-3)
    static = images_of(pair, measurement=path, background="static")
    assert np.abs(static - pair.images)[0].max() > 0.05


def test_a_dictionary_finds_the_background_of_each_frame(pair):
    path = drifting(pair, "drift.mdf", 0.3)
    found = images_of(pair, measurement=path, background="dictionary", dictionary_size=1, iterations=400)
    np.testing.assert_allclose(found, pair.images, atol=0.02)


def test_empty_measurements_of_their_own(pair):
    """One for a constant background; two, before and after, for one that drifts."""
    path = drifting(pair, "object.mdf", 0.0, background=False)
    empty = pair.measurement("empty.mdf")
    with mdf.open(empty) as file:
        contents = {
            key: value for key, value in file.contents().items() if key not in {"/version", "/uuid", "/time"}
        }
    for name, level in (("empty.mdf", 1.0), ("before.mdf", 0.96), ("after.mdf", 1.36)):
        frames = np.repeat(level * pair.empty[None], 2, axis=0)
        contents["/measurement/isBackgroundFrame"] = np.ones(2, bool)
        contents["/acquisition/numFrames"] = 2
        data = np.fft.irfft(frames, n=60, axis=-1)[:, None].astype(np.float32)
        mdf.write(pair.folder / name, contents, data, overwrite=True)
    with pytest.raises(InputError, match="no background frames"):
        images_of(pair, measurement=path, background="static")
    one = images_of(pair, measurement=path, background_files=[pair.folder / "empty.mdf"])
    np.testing.assert_allclose(one, pair.images, atol=5e-3)
    # the centres of the empty frames are 1.5 before the first and 3.5 after it: on the line 1.08 + 0.08 n
    moving = drifting(pair, "object.mdf", 0.08, background=False)
    two = images_of(
        pair, measurement=moving, background_files=[pair.folder / "before.mdf", pair.folder / "after.mdf"]
    )
    np.testing.assert_allclose(two, pair.images, atol=5e-3)
    other = images_of(pair, measurement=moving, background_files=[pair.folder / "empty.mdf"])
    assert np.abs(other - pair.images).max() > 0.05
    corrected = pair.measurement("c.mdf", **{"/measurement/isBackgroundCorrected": True})
    with pytest.raises(InputError, match="corrected already, and nothing is subtracted twice"):
        images_of(pair, measurement=corrected, background_files=[pair.folder / "empty.mdf"])


def test_frames_are_averaged_in_blocks(pair):
    found = images_of(pair, frame_averages=2)
    wanted = np.stack([pair.images[:2].mean(axis=0), pair.images[2]])
    np.testing.assert_allclose(found, wanted, atol=5e-3)


def test_rows_that_are_left_out(pair):
    events = []
    images_of(pair, tell=events, receive_channels=(1,), stop_bands=(2e5, 4e5), max_frequency=8e5)
    rows = next(event for event in events if isinstance(event, Finding) and event.name == "rows")
    spacing = 2e6 / 60
    lines = [k for k in range(31) if k * spacing <= 8e5 and not 2e5 <= k * spacing <= 4e5]
    assert rows.value == len(lines)


def test_lambda_is_chosen_and_drawn(pair):
    events = []
    result = reconstruct_file(
        pair.measurement(), system_matrix=pair.calibration(), lambda_="gcv", tell=events.append, **ALL
    )
    assert result.curve == pair.folder / "measurement.reconstruction.lambda.png"
    assert result.curve.read_bytes().startswith(b"\x89PNG")
    finding = next(event for event in events if isinstance(event, Finding) and event.name == "lambda")
    assert finding.value == result.figures["lambda"]["relative"] > 0


@pytest.mark.parametrize(
    "options", [{"row_order": "random", "seed": 3}, {"method": "fista", "lambda_": 0.01}]
)
def test_a_reconstruction_is_repeated_bit_for_bit(pair, options):
    options = {**ALL, "method": "kaczmarz", **options}
    first = reconstruct_file(pair.measurement(), system_matrix=pair.calibration(), **options)
    events = []
    again = rerun_file(first.output, tell=events.append)
    assert again.output == pair.folder / "measurement.rerun.mdf"
    np.testing.assert_array_equal(again.images.values, first.images.values)
    assert not [event for event in events if isinstance(event, Warned)]
    (pair.folder / "system.mdf").unlink()
    with pytest.raises(InputError, match=r"system\.mdf"):
        rerun_file(first.output, overwrite=True)


def test_the_matching_calibration_of_a_folder_is_taken(pair):
    pair.calibration("other.mdf", **{"/acquisition/receiver/unit": "a.u."})
    events = []
    result = reconstruct_file(
        pair.measurement(),
        system_matrix=pair.calibration().parent,
        tell=events.append,
        **ALL,
        **MATRIX_METHODS["kaczmarz"],
    )
    np.testing.assert_allclose(result.images.values.reshape(3, 24), pair.images, atol=5e-3)
    chosen = next(event for event in events if isinstance(event, Finding) and event.name == "system matrix")
    assert chosen.value == "system.mdf"


@pytest.mark.parametrize("ending", [".nii.gz", ".npz", ".gif"])
def test_other_files_for_images(pair, ending):
    output = pair.folder / f"image{ending}"
    result = reconstruct_file(pair.measurement(), system_matrix=pair.calibration(), output=output, **ALL)
    assert output.stat().st_size > 100
    assert result.picture == pair.folder / f"image{ending}.png"
    again = rerun_file(output, output=pair.folder / "again.mdf")
    np.testing.assert_array_equal(again.images.values, result.images.values)


@pytest.mark.parametrize("options", [{}, {"weighting": ("whitening",), "background": "interpolated"}])
def test_a_matrix_that_stays_in_its_file_gives_the_same(pair, monkeypatch, options):
    """Parts of five rows, corrected as they are read."""
    monkeypatch.setattr("mpikit.reconstruct.streamed.PART", 5 * 8 * 24)
    calibration = pair.calibration(background=4)
    options = {**ALL, "method": "kaczmarz", "iterations": 7, "lambda_": 0.01, **options}
    if "weighting" in options:  # frames without noise say nothing of it
        with mdf.open(calibration) as file:
            contents = {k: v for k, v in file.contents().items() if k not in {"/version", "/uuid", "/time"}}
            data = file.read_signal("all", "stored", domain="frequency")
        data[24:] *= np.random.default_rng(3).normal(1, 0.1, data[24:].shape)
        mdf.write(calibration, contents, data, overwrite=True)
    held = reconstruct_file(pair.measurement(), system_matrix=calibration, **options)
    events = []
    read = reconstruct_file(
        pair.measurement(),
        system_matrix=calibration,
        memory=1e-9,
        overwrite=True,
        tell=events.append,
        **options,
    )
    assert any(isinstance(event, Finding) and event.name == "streaming" for event in events)
    np.testing.assert_allclose(read.images.values, held.images.values, atol=1e-4)
    assert read.figures["lambda"]["absolute"] == pytest.approx(held.figures["lambda"]["absolute"], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "cgls"}, "another method than kaczmarz"),
        ({"row_order": "random"}, "another order"),
        ({"lambda_": "gcv"}, "a lambda that is chosen"),
    ],
)
def test_what_needs_the_whole_matrix_says_so(pair, options, words):
    options = {**ALL, "method": "kaczmarz", "memory": 1e-9, **options}
    with pytest.raises(UsageError, match=words) as caught:
        reconstruct_file(pair.measurement(), system_matrix=pair.calibration(), **options)
    assert "fewer rows" in caught.value.hint


def test_a_drifting_background_of_a_meandering_calibration(tmp_path):
    """Each place loses the background of its own time, although the columns are in grid order."""
    scanner = preset("openmpi-2d")
    path = tmp_path / "sm.mdf"
    grid = scanner.calibration.grid((7, 6))
    noise = ["background:amplitude=1e-6,drift=0.9,drift_frames=8", "gaussian:sigma=1e-11"]
    simulate_calibration_file(scanner, path, grid=grid, noise=noise)
    phantom, frames = requested(scanner, Subject(phantom="smile", frames=2))
    simulate_file(scanner, tmp_path / "scan.mdf", phantom=phantom, frames=frames, background_frames=2)
    clean = np.fft.rfft(system_matrix(scanner, grid, concentration=0.1)[:, 0], axis=-1)
    errors = {}
    for mode in ("static", "interpolated"):
        options = Kaczmarz(background=mode, min_frequency=0, snr_threshold=0)
        with mdf.open(tmp_path / "scan.mdf") as scan, mdf.open(path) as calibration:
            system = read_system(scan, calibration, options, tell=silent)
        wanted = clean[:, system.rows.channels, system.rows.lines].T
        errors[mode] = np.linalg.norm(system.matrix - wanted)
    assert errors["interpolated"] < 0.4 * errors["static"]


def test_an_empty_measurement_that_is_none_or_of_another_sequence(pair):
    source, system = pair.measurement(), pair.calibration()
    corrected = pair.measurement("c.mdf", **{"/measurement/isBackgroundCorrected": True})
    turned = pair.measurement("t.mdf", **{"/acquisition/drivefield/phase": np.zeros((1, 2, 1))})
    for path, words in (
        (system, "is no measurement"),
        (corrected, "was all that it held"),
        (turned, "drive phases"),
    ):
        with pytest.raises(InputError, match=words):
            reconstruct_file(source, system_matrix=system, background_files=[path], **ALL)
    with pytest.raises(UsageError, match="3 empty measurements"):
        reconstruct_file(source, system_matrix=system, background_files=[source] * 3, **ALL)


def test_only_the_empty_frames_of_an_empty_measurement_count(pair):
    """A file with an object in some frames is the background of another by its marked frames alone."""
    path = drifting(pair, "object.mdf", 0.0, background=False)
    found = images_of(pair, measurement=path, background_files=[pair.measurement("with-object.mdf")])
    np.testing.assert_allclose(found, pair.images, atol=5e-3)


def test_lines_that_the_empty_measurement_does_not_store_are_left_out(pair):
    lines = np.arange(4, 25)
    empty = np.repeat(pair.empty[None], 2, axis=0)[..., lines][:, None].astype(np.complex64)
    path = drifting(pair, "object.mdf", 0.0, background=False)
    with mdf.open(path) as file:
        contents = {k: v for k, v in file.contents().items() if k not in {"/version", "/uuid", "/time"}}
    contents |= {
        "/acquisition/numFrames": 2,
        "/measurement/isBackgroundFrame": np.ones(2, bool),
        "/measurement/isFourierTransformed": True,
        "/measurement/isFrequencySelection": True,
        "/measurement/frequencySelection": lines + 1,
    }
    mdf.write(pair.folder / "empty.mdf", contents, empty)
    events = []
    found = images_of(
        pair, tell=events, measurement=path, background_files=[pair.folder / "empty.mdf"], iterations=300
    )
    rows = next(event for event in events if isinstance(event, Finding) and event.name == "rows")
    assert rows.value == 2 * len(lines)
    np.testing.assert_allclose(found, pair.images, atol=0.02)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"average_frames": True, "frame_averages": 2}, "frame_averages would do nothing"),
        ({"background": "none", "background_files": ["x.mdf"]}, "would do nothing"),
        ({"background": "dictionary", "lambda_": "gcv"}, "give a number"),
    ],
)
def test_options_that_would_do_nothing_together(pair, options, words):
    with pytest.raises(UsageError, match=words):
        reconstruct_file(pair.measurement(), system_matrix=pair.calibration(), **ALL, **options)
